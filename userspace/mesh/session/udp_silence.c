/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of QUIC and TCP in a dial, and the way back from TCP and from relays. Home worker.
 *
 * Silence of UDP counts only at an address that this node has reached before, or that its asker
 * named. An unknown peer that names a dead address changes nothing.
 */
#include "mesh/mesh_state.h"

#include "base/monotonic.h"

#define UDP_PATIENCE_NS	   NS_PER_S
#define UDP_SILENT_NS	   (3600 * NS_PER_S)
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

static uint64_t *silent_since(struct mesh *mesh, const struct addr *addr)
{
	return &mesh->udp_silent_ns[mesh_network_of(addr)][addr->family == ADDR_IPV6];
}

static bool since_is_silent(const struct mesh *mesh, uint64_t since_ns)
{
	return since_ns && mesh->now_ns - since_ns < UDP_SILENT_NS;
}

static bool is_silent(const struct mesh *mesh, const struct addr *addr)
{
	return since_is_silent(
		mesh, mesh->udp_silent_ns[mesh_network_of(addr)][addr->family == ADDR_IPV6]);
}

unsigned mesh_udp_rank(const struct mesh_dial *dial, unsigned idx)
{
	const struct addr *addr = &dial->addrs[idx];
	unsigned rank = mesh_ways_rank(dial->mesh->config.ways, addr);

	if (rank && addr->transport == ADDR_UDP && is_silent(dial->mesh, addr))
		rank += MESH_WAY_CNT;
	/* Behind QUIC where QUIC is silent, too: a relay's rates are low. */
	if (rank && addr_is_relayed(addr))
		rank += 2 * MESH_WAY_CNT;
	return rank;
}

bool mesh_udp_is_awaited(const struct mesh_dial *dial, unsigned idx)
{
	unsigned rank = mesh_udp_rank(dial, idx);

	if (dial->addrs[idx].transport != ADDR_TCP ||
	    dial->mesh->now_ns >= dial->began_ns + UDP_PATIENCE_NS)
		return false;
	for (unsigned i = 0; i < dial->next_idx; i++)
		if (dial->attempts[i].conn && dial->addrs[i].transport == ADDR_UDP &&
		    mesh_udp_rank(dial, i) < rank)
			return true;
	return false;
}

void mesh_udp_note(struct mesh *mesh, const struct mesh_attempt *attempt,
		   const struct transport_conn_info *info)
{
	const struct mesh_dial *dial = attempt ? attempt->dial : NULL;

	if (addr_is_relayed(&info->remote))
		return;
	if (info->remote.transport == ADDR_UDP) {
		*silent_since(mesh, &info->remote) = 0;
		return;
	}
	if (info->is_dialler)
		mesh_unverified_answered(&mesh->unverified, &info->remote);
	for (unsigned i = 0; dial && i < dial->next_idx; i++) {
		if (!dial->attempts[i].conn || dial->addrs[i].transport != ADDR_UDP ||
		    dial->unverified & 1u << i || mesh->now_ns < dial->began_ns + UDP_PATIENCE_NS)
			continue;
		*silent_since(mesh, &dial->addrs[i]) = mesh->now_ns;
	}
}

bool mesh_udp_is_silent(const struct mesh *mesh)
{
	const struct mesh_session *session = NULL;

	/* Where another session is on UDP, a peer was silent, and not the network. */
	while ((session = pool_next(&mesh->sessions, session)))
		if (session->remote.transport == ADDR_UDP && !session->is_leaving)
			return false;
	for (unsigned i = 0; i < MESH_NETWORK_CNT; i++)
		for (unsigned k = 0; k < 2; k++)
			if (since_is_silent(mesh, mesh->udp_silent_ns[i][k]))
				return true;
	return false;
}

void mesh_udp_forget(struct mesh *mesh)
{
	memset(mesh->udp_silent_ns, 0, sizeof(mesh->udp_silent_ns));
}

void mesh_peer_place(struct addr *kept, const struct addr *addr, bool is_dialler)
{
	bool is_quic_kept = kept->family != ADDR_NONE && kept->transport == ADDR_UDP;

	if (addr_is_relayed(addr))
		return;
	if (addr->transport == ADDR_UDP || (is_dialler && !is_quic_kept))
		*kept = *addr;
}

/* --- back to QUIC --- */

/*
 * Where its peer is on QUIC: where a session was, or what the peer names on the host that answers by
 * TCP. Another host would be sent Initials for a peer's mere word. ADDR_NONE: unknown.
 */
static struct addr upgrade_addr(const struct mesh_session *session)
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

static void upgrade_arm(struct mesh_session *session)
{
	struct mesh_upgrade *upgrade = &session->upgrade;
	bool is_eager = addr_is_relayed(&session->remote) &&
			session->mesh->now_ns - session->ready_ns < UPGRADE_EAGER_NS;
	uint64_t pause_max_ns = is_eager ? UPGRADE_EAGER_PAUSE_MAX : UPGRADE_PAUSE_MAX;

	timer_set(session->mesh->timers, &upgrade->timer,
		  session->mesh->now_ns + upgrade->pause_ns);
	upgrade->pause_ns *= 2;
	if (upgrade->pause_ns > pause_max_ns)
		upgrade->pause_ns = pause_max_ns;
}

static void upgrade_dial(struct mesh_session *session)
{
	struct mesh_upgrade *upgrade = &session->upgrade;
	struct transport_dial dial = {.remote = upgrade_addr(session), .user = upgrade};
	struct mesh *mesh = session->mesh;

	memcpy(dial.peer_key, session->key, sizeof(dial.peer_key));
	if (dial.remote.family == ADDR_NONE || mesh_refuses(mesh, session->key, &dial.remote) ||
	    mesh->transport->ops->dial(mesh->transport, &dial, mesh->now_ns, &upgrade->conn) < 0)
		upgrade->conn = NULL;
}

/* Paths of a session that nothing uses are not worth a probe. */
static void check_turn(struct mesh_session *session)
{
	struct mesh *mesh = session->mesh;

	timer_set(mesh->timers, &session->upgrade.timer, mesh->now_ns + CHECK_NS);
	if (!session->is_retired && mesh_session_is_used(session))
		mesh->params.find_path(mesh->params.ctx, session->key);
}

static void upgrade_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_session *session = container_of(timer, struct mesh_session, upgrade.timer);
	struct mesh *mesh = session->mesh;
	bool is_searched = addr_is_relayed(&session->remote) && mesh->params.find_path;

	mesh->now_ns = now_ns;
	if (session->is_leaving || mesh->is_leaving)
		return;
	if (session->remote.transport == ADDR_UDP) {
		check_turn(session);
		return;
	}
	upgrade_arm(session);
	if (session->is_retired)
		return;
	/* A direct path is first looked for by itself: with it this session goes on, and no other begins. */
	if (!session->upgrade.conn && (session->upgrade.has_searched || !is_searched))
		upgrade_dial(session);
	session->upgrade.has_searched = is_searched;
	if (is_searched)
		mesh->params.find_path(mesh->params.ctx, session->key);
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

void mesh_upgrade_begin(struct mesh_session *session)
{
	struct mesh_upgrade *upgrade = &session->upgrade;

	if (session->remote.transport == ADDR_UDP)
		session->peer->direct_ns = session->mesh->now_ns;
	if (!session->is_dialler ||
	    (session->remote.transport == ADDR_UDP && !session->mesh->params.find_path))
		return;
	upgrade->kind = MESH_CONN_UPGRADE;
	upgrade->session = session;
	if (session->remote.transport == ADDR_UDP) {
		timer_init(&upgrade->timer, upgrade_expire);
		timer_set(session->mesh->timers, &upgrade->timer,
			  session->mesh->now_ns + CHECK_FIRST_NS);
		return;
	}
	upgrade->pause_ns = UPGRADE_FIRST_NS;
	if (addr_is_relayed(&session->remote))
		upgrade->pause_ns = search_first_ns(session->peer, session->mesh->now_ns);
	/* Where direct paths do not last, a session of its own may. */
	upgrade->has_searched = upgrade->pause_ns > UPGRADE_RELAYED_NS;
	timer_init(&upgrade->timer, upgrade_expire);
	upgrade_arm(session);
}

void mesh_upgrade_ended(struct mesh_session *session)
{
	session->upgrade.conn = NULL;
}

/* TCP goes on where UDP brings nothing: a change of the own addresses may have had it forgotten. */
void mesh_upgrade_failed(struct mesh_session *session, const struct transport_close *close)
{
	struct transport_conn *conn = session->upgrade.conn;
	struct transport_conn_info info;

	mesh_upgrade_ended(session);
	if (!conn || session->remote.transport != ADDR_TCP || session->is_leaving ||
	    (close->err != WEFT_ETIMEOUT && close->err != WEFT_EUNREACHABLE))
		return;
	session->mesh->transport->ops->info(conn, &info);
	*silent_since(session->mesh, &info.remote) = session->mesh->now_ns;
}

void mesh_upgrade_drop(struct mesh_session *session)
{
	struct mesh_upgrade *upgrade = &session->upgrade;

	if (!upgrade->session)
		return;
	timer_cancel(session->mesh->timers, &upgrade->timer);
	if (!upgrade->conn)
		return;
	upgrade->conn->user = NULL;
	session->mesh->transport->ops->close(upgrade->conn, MESH_BYE_DUPLICATE, "not needed");
	upgrade->conn = NULL;
}
