/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back from TCP and from relays: a session has a path, and a better one may be there. A session on
 * TCP looks for one by QUIC, and a relayed one for either. What is found is a session of its own, or the relayed one moves (mesh_params.find_path).
 * Requests that have begun end where they are. Home worker.
 *
 * The end that dialled does that. Its dials of QUIC come after 2 s, then with pauses that double, up to a
 * minute. Through a relay they begin after half a second, with pauses of up to 4 s in the first half
 * minute. A direct path that lasted for less than a minute doubles the first pause of the next search.
 *
 * TCP is dialled when hole punching has had TCP_PATIENCE_NS. A pair that it joins is better off with QUIC,
 * and from TCP no hole is punched. The end that did not dial may be the only one that reaches the other by
 * TCP, so it tries as well, later.
 */
#include "mesh/mesh_state.h"

#include "base/monotonic.h"

#define UPGRADE_FIRST_NS   (2 * NS_PER_S)
#define UPGRADE_RELAYED_NS (500 * NS_PER_MS)
#define UPGRADE_PAUSE_MAX  (60 * NS_PER_S)
/* A direct path that breaks sooner than this does not last: the next one is looked for later. */
#define UPGRADE_LASTS_NS (60 * NS_PER_S)
/* Of a session that has a direct path, other ones are looked at: soon after it came there, then each minute. */
#define CHECK_FIRST_NS (5 * NS_PER_S)
#define CHECK_NS       (60 * NS_PER_S)
/* A node that has just started may learn its own address seconds later, and others' likewise. */
#define UPGRADE_EAGER_NS	(30 * NS_PER_S)
#define UPGRADE_EAGER_PAUSE_MAX (4 * NS_PER_S)
/* Two rounds of hole punching; the third turn of a search is after it. */
#define TCP_PATIENCE_NS (3 * NS_PER_S)
/* The other end has dialled by then, and its dials have their time. */
#define TCP_ACCEPTOR_NS (6 * NS_PER_S)

/* --- dials by QUIC --- */

/*
 * Where its peer is on QUIC: where a session was, or what the peer names on the host that answers by
 * TCP. Another host would be sent Initials for a peer's mere word. ADDR_NONE: unknown.
 */
static struct addr quic_addr(const struct mesh_session *session)
{
	const struct mesh_peer_record *record = session->peer ? &session->peer->record : NULL;
	const struct mesh_config *config = &session->mesh->config;

	if (record && record->last_addr.family && record->last_addr.transport == ADDR_UDP &&
	    mesh_ways_rank(config->ways, &record->last_addr))
		return record->last_addr;
	for (unsigned i = 0; record && i < record->addr_cnt; i++)
		if (record->addrs[i].transport == ADDR_UDP &&
		    addr_is_same_host(&record->addrs[i], &session->remote) &&
		    mesh_ways_rank(config->ways, &record->addrs[i]))
			return record->addrs[i];
	return (struct addr){.family = ADDR_NONE};
}

/* NULL: none could begin. */
static struct transport_conn *dial_at(struct mesh_session *session, const struct addr *addr)
{
	struct transport_dial dial = {.remote = *addr, .user = &session->upgrade};
	struct mesh *mesh = session->mesh;
	struct transport_conn *conn;

	memcpy(dial.peer_key, session->key, sizeof(dial.peer_key));
	return mesh->transport->ops->dial(mesh->transport, &dial, mesh->now_ns, &conn) < 0 ? NULL
											   : conn;
}

static void dial_quic(struct mesh_session *session)
{
	struct addr addr = quic_addr(session);

	if (addr.family != ADDR_NONE && !mesh_refuses(session->mesh, session->key, &addr))
		session->upgrade.conn = dial_at(session, &addr);
}

/* --- dials by TCP, of a relayed session --- */

/* The operator may want a relay before TCP. */
static bool is_better_than_relay(const struct mesh *mesh, const struct addr *label,
				 const struct addr *addr)
{
	unsigned rank = mesh_ways_rank(mesh->config.ways, addr);

	return rank && (mesh_network_of(addr) != mesh_network_of(label) ||
			rank <= mesh_ways_rank(mesh->config.ways, label));
}

/*
 * An address that a peer merely names may be a victim's: such dials are few (unverified.h). This takes one of
 * them.
 */
static bool tcp_may(struct mesh_session *session, const struct addr *addr)
{
	const struct mesh_peer_record *record = &session->peer->record;
	struct mesh *mesh = session->mesh;

	if (addr->transport != ADDR_TCP || !is_better_than_relay(mesh, &session->remote, addr) ||
	    mesh_refuses(mesh, session->key, addr))
		return false;
	return session->is_chosen || addr_is_same_host(&record->good_addr, addr) ||
	       addr_is_same_host(&record->last_addr, addr) ||
	       mesh_unverified_take(&mesh->unverified, addr, mesh->now_ns);
}

static struct transport_conn **tcp_place(struct mesh_upgrade *upgrade)
{
	for (unsigned i = 0; i < MESH_UPGRADE_TCP_MAX; i++)
		if (!upgrade->tcp_conns[i])
			return &upgrade->tcp_conns[i];
	return NULL;
}

static bool tcp_is_dialled(const struct mesh_session *session, const struct addr *addr)
{
	const struct transport_ops *ops = mesh_transport_ops(session->mesh);
	const struct mesh_upgrade *upgrade = &session->upgrade;
	struct transport_conn_info info;

	for (unsigned i = 0; i < MESH_UPGRADE_TCP_MAX; i++) {
		if (!upgrade->tcp_conns[i])
			continue;
		ops->info(upgrade->tcp_conns[i], &info);
		if (addr_equal(&info.remote, addr))
			return true;
	}
	return false;
}

/* All at once, as many as there are places for: first those that mean a host from anywhere. */
static void dial_tcp(struct mesh_session *session)
{
	const struct mesh_peer_record *record = &session->peer->record;
	struct mesh_upgrade *upgrade = &session->upgrade;

	for (unsigned i = 0; i < 2 * record->addr_cnt; i++) {
		const struct addr *addr = &record->addrs[i % record->addr_cnt];
		struct transport_conn **place = tcp_place(upgrade);

		if (!place)
			return;
		if (addr_is_global(addr) == (i < record->addr_cnt) &&
		    !tcp_is_dialled(session, addr) && tcp_may(session, addr))
			*place = dial_at(session, addr);
	}
}

static void tcp_turn(struct mesh_session *session)
{
	uint64_t since_ns = session->has_moved ? session->moved_ns : session->ready_ns;

	if (session->peer && session->mesh->now_ns >= since_ns + TCP_PATIENCE_NS)
		dial_tcp(session);
}

/* --- turns --- */

static void upgrade_arm(struct mesh_session *session)
{
	struct mesh_upgrade *upgrade = &session->upgrade;
	bool is_eager = addr_is_relayed(&session->remote) && session->is_dialler &&
			session->mesh->now_ns - session->ready_ns < UPGRADE_EAGER_NS;
	uint64_t pause_max_ns = is_eager ? UPGRADE_EAGER_PAUSE_MAX : UPGRADE_PAUSE_MAX;

	timer_set(session->mesh->timers, &upgrade->timer,
		  session->mesh->now_ns + upgrade->pause_ns);
	upgrade->pause_ns *= 2;
	if (upgrade->pause_ns > pause_max_ns)
		upgrade->pause_ns = pause_max_ns;
}

/* Paths of a session that nothing uses are not worth a probe. */
static void check_turn(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;

	timer_set(mesh->timers, &session->upgrade.timer, mesh->now_ns + CHECK_NS);
	if (!session->is_retired && mesh_session_is_used(session))
		mesh->params.find_path(mesh->params.ctx, session->key);
}

/* Of the end that dialled, on TCP or through a relay. */
static void search_turn(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;
	bool is_searched = addr_is_relayed(&session->remote) && mesh->params.find_path;

	/* A direct path is first looked for by itself: with it this session goes on, and no other begins. */
	if (!session->upgrade.conn && (session->upgrade.has_searched || !is_searched))
		dial_quic(session);
	session->upgrade.has_searched = is_searched;
	if (is_searched)
		mesh->params.find_path(mesh->params.ctx, session->key);
}

static void upgrade_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_session *session = container_of(timer, struct mesh_session, upgrade.timer);
	struct mesh *mesh = session->mesh;

	mesh_turn(mesh, now_ns);
	if (session->is_leaving || mesh->is_leaving)
		return;
	if (session->remote.transport == ADDR_UDP) {
		check_turn(session);
		return;
	}
	upgrade_arm(session);
	if (session->is_retired)
		return;
	if (session->is_dialler)
		search_turn(session);
	if (addr_is_relayed(&session->remote))
		tcp_turn(session);
}

/* The first pause of a search for a direct path, after the last one did not last: twice the one before. */
static uint64_t search_first_ns(struct mesh_peer_entry *peer, uint64_t now_ns)
{
	if (!peer->direct_ns || !peer->search_ns || now_ns >= peer->direct_ns + UPGRADE_LASTS_NS)
		peer->search_ns = UPGRADE_RELAYED_NS;
	else if (peer->search_ns < UPGRADE_PAUSE_MAX / 2)
		peer->search_ns *= 2;
	else
		peer->search_ns = UPGRADE_PAUSE_MAX;
	return peer->search_ns;
}

/* False: this end has nothing to look for. */
static bool begin_may(const struct mesh_session *session)
{
	const struct mesh_peer_record *record = &session->peer->record;

	if (session->is_dialler)
		return session->remote.transport != ADDR_UDP || session->mesh->params.find_path;
	for (unsigned i = 0; addr_is_relayed(&session->remote) && i < record->addr_cnt; i++)
		if (record->addrs[i].transport == ADDR_TCP)
			return true;
	return false;
}

void mesh_upgrade_begin(struct mesh_session *session)
{
	struct mesh_upgrade *upgrade = &session->upgrade;

	if (session->remote.transport == ADDR_UDP)
		session->peer->direct_ns = session->mesh->now_ns;
	if (!begin_may(session))
		return;
	upgrade->kind = MESH_CONN_UPGRADE;
	upgrade->session = session;
	timer_init(&upgrade->timer, upgrade_expire);
	if (session->remote.transport == ADDR_UDP) {
		timer_set(session->mesh->timers, &upgrade->timer,
			  session->mesh->now_ns + CHECK_FIRST_NS);
		return;
	}
	upgrade->pause_ns = UPGRADE_FIRST_NS;
	if (!session->is_dialler)
		upgrade->pause_ns = TCP_ACCEPTOR_NS;
	else if (addr_is_relayed(&session->remote))
		upgrade->pause_ns = search_first_ns(session->peer, session->mesh->now_ns);
	/* Where direct paths do not last, a session of its own may. */
	upgrade->has_searched = upgrade->pause_ns > UPGRADE_RELAYED_NS;
	upgrade_arm(session);
}

/* --- ends --- */

static void conn_drop(struct mesh_session *session, struct transport_conn **conn)
{
	if (!*conn)
		return;
	(*conn)->user = NULL;
	session->mesh->transport->ops->close(*conn, MESH_BYE_DUPLICATE, "not needed");
	*conn = NULL;
}

static void tcp_drop(struct mesh_session *session)
{
	for (unsigned i = 0; i < MESH_UPGRADE_TCP_MAX; i++)
		conn_drop(session, &session->upgrade.tcp_conns[i]);
}

static void conn_forget(struct mesh_upgrade *upgrade, const struct transport_conn *conn)
{
	if (upgrade->conn == conn)
		upgrade->conn = NULL;
	for (unsigned i = 0; i < MESH_UPGRADE_TCP_MAX; i++)
		if (upgrade->tcp_conns[i] == conn)
			upgrade->tcp_conns[i] = NULL;
}

/* QUIC that is under way beside TCP is better yet, and goes on. */
void mesh_upgrade_won(struct mesh_session *session, const struct transport_conn *conn)
{
	conn_forget(&session->upgrade, conn);
	tcp_drop(session);
}

/* TCP goes on where UDP brings nothing: a change of the own addresses may have had it forgotten. */
void mesh_upgrade_failed(struct mesh_session *session, const struct transport_conn *conn,
			 const struct transport_close *close)
{
	bool was_quic = session->upgrade.conn == conn;
	struct transport_conn_info info;

	conn_forget(&session->upgrade, conn);
	if (!was_quic || session->remote.transport != ADDR_TCP || session->is_leaving ||
	    (close->err != WEFT_ETIMEOUT && close->err != WEFT_EUNREACHABLE))
		return;
	session->mesh->transport->ops->info(conn, &info);
	mesh_udp_fell_silent(session->mesh, &info.remote);
}

struct transport_conn *mesh_upgrade_next(const struct mesh_session *session,
					 const struct transport_conn *conn)
{
	const struct mesh_upgrade *upgrade = &session->upgrade;
	bool is_past = !conn;

	if (upgrade->conn && is_past)
		return upgrade->conn;
	is_past |= upgrade->conn == conn;
	for (unsigned i = 0; i < MESH_UPGRADE_TCP_MAX; i++) {
		if (upgrade->tcp_conns[i] && is_past)
			return upgrade->tcp_conns[i];
		is_past |= upgrade->tcp_conns[i] == conn;
	}
	return NULL;
}

void mesh_upgrade_drop(struct mesh_session *session)
{
	struct mesh_upgrade *upgrade = &session->upgrade;

	if (!upgrade->session)
		return;
	timer_cancel(session->mesh->timers, &upgrade->timer);
	conn_drop(session, &upgrade->conn);
	tcp_drop(session);
}
