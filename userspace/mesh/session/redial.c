/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dial beside a session that has gone silent. Its peer may have been killed and be back at
 * another address, or have come back and forgotten this node. QUIC's own idle timeout is a
 * minute away. Home worker.
 *
 * The rule: a request that went out owes a packet, an acknowledgement at least. The connection
 * may have received none for SILENCE_NS and three round trips. Then the peer is dialled at the
 * addresses of that request and at the session's own. If none of the addresses asked for is the
 * session's, the request's word is worth less. Then dial_stagger is waited instead, as between
 * two addresses of one peer. Nothing is dialled beside a session that owes nothing, however long
 * it is silent: that is idleness.
 *
 * A request that its peer has acknowledged owes no packet until its answer, which may take long.
 * Should the peer die meanwhile, nothing would show it before QUIC's idle timeout. So a session
 * with requests or streams of this node that was silent for a turn is sent a PING. A PING owes a
 * packet (liveness).
 *
 * At the session's own address the peer need not be dialled: it is sent a PING each
 * dial_stagger. A peer that is back there and has forgotten this node answers with a stateless
 * reset (RFC 9000 10.3), which ends the session. For peers that send no reset, that address is
 * dialled as well, PUT_OFF_NS later. It is dialled at once when a program is there and the
 * session is silent all the same. A port probe shows that: a packet of no connection that any
 * QUIC server answers, from another port.
 *
 * The host may say instead that nothing listens. Then the peer's process has died, and nothing
 * is waited for but its return. A sender that guesses the port can forge that answer. A router
 * in front of a host gives it for hosts that are only cut off. So the answer ends nothing by
 * itself. It ends only a session that answers nothing, and only where this node dialled.
 *
 * Through a relay there is no such address. Should the relay have gone, the peer is at another. So
 * its address record is looked up at once, and the relays that it names are asked.
 *
 * The first to answer wins. A packet on the session ends the dial, and the requests made
 * meanwhile go over the session. A connection that is proved after that packet is closed. A
 * connection that is proved while the old session has still not stirred is the newer session and
 * preferred. No request of the old session lives, and it is closed so that their askers may ask
 * again. If nothing answers anywhere, the peer is gone. Then the session is closed as well, and
 * its askers turn to other peers, a minute before QUIC would end it.
 *
 * A dial here is held (nothing started, nothing waits, its timer is the
 * patience), then on (attempts under way, new requests wait in it).
 */
#include "mesh/mesh_state.h"

#include "base/monotonic.h"

/* Several probe timeouts (RFC 9002 6.2) of a path of up to 300 ms. */
#define SILENCE_NS (1000ull * 1000 * 1000)
/*
 * A link that is down for five seconds, and seen a second later, ends no session. Until then the
 * session's own address is not dialled, but asked by PINGs. The whole takes ten seconds, as a
 * handshake has.
 */
#define PUT_OFF_NS    (6600ull * 1000 * 1000)
#define REDIAL_MAX_NS (10000ull * 1000 * 1000)
/* With each PING, for so long; then seldom. */
#define PORT_PROBE_OFTEN_NS (3000ull * 1000 * 1000)
#define PORT_PROBE_NS	    (1000ull * 1000 * 1000)
/* Asked after the port probe was answered, the session has this and three round trips. */
#define THERE_NS (150ull * 1000 * 1000)
/*
 * Asked twice more meanwhile; a process that is started again at once is back by then. Linux says
 * that nothing listens six times, and then once a second: there may be no second word.
 */
#define NOBODY_NS (700ull * 1000 * 1000)

/*
 * With SILENCE_NS, and up to two more until its host has said that nothing listens there, a
 * killed peer is given up within 5 s. A peer that was waited on for long takes 6 s, and one
 * whose host is silent 13 s. A peer that lives costs two small packets per turn.
 */
#define LIVENESS_NS	   (1 * NS_PER_S)
#define LIVENESS_LONG_NS   (2 * NS_PER_S)
#define LIVENESS_SHORT_CNT 10

bool mesh_redial_is_held(const struct mesh_dial *dial)
{
	return dial->beside && !dial->next_idx;
}

static uint64_t received_len(const struct mesh_session *session)
{
	struct transport_conn_info info;

	session->mesh->transport->ops->info(session->conn, &info);
	return info.received_len;
}

static bool addr_suits(const struct addr *addr, const struct mesh_peer *peer)
{
	for (unsigned i = 0; i < peer->addr_cnt; i++)
		if (addr_equal(&peer->addrs[i], addr))
			return true;
	return !peer->addr_cnt;
}

bool mesh_redial_session_suits(const struct mesh_session *session, const struct mesh_peer *peer)
{
	struct transport_conn_info info;

	session->mesh->transport->ops->info(session->conn, &info);
	return addr_suits(&info.remote, peer);
}

void mesh_redial_asked(struct mesh_session *session, const struct mesh_peer *peer)
{
	struct mesh *mesh = session->mesh;
	struct mesh_dial *dial = map_lookup(&mesh->dials_by_key, session->key);
	struct transport_conn_info info;
	uint64_t due_ns = mesh->now_ns;

	mesh->transport->ops->info(session->conn, &info);
	due_ns += 3 * info.rtt_ns;
	due_ns += addr_suits(&info.remote, peer) ? SILENCE_NS : mesh->config.dial_stagger_ns;
	if (!dial && !(dial = mesh_dial_beside(session, peer)))
		return; /* no room for one more: the request has its timeout */
	if (dial->beside != session || !mesh_redial_is_held(dial))
		return;
	if (dial->seen_len != info.received_len) {
		dial->addr_cnt = 0; /* what was asked before is no longer in doubt */
		dial->is_sought = false;
		mesh_discovery_reset(dial);
	}
	mesh_dial_add_peer(dial, peer);
	mesh_dial_add_addr(dial, &info.remote, false);
	if (timer_is_set(&dial->timer) && dial->seen_len == info.received_len &&
	    dial->due_ns <= due_ns)
		return;
	dial->seen_len = info.received_len;
	dial->due_ns = due_ns;
	timer_set(mesh->timers, &dial->timer, due_ns);
}

bool mesh_redial_is_on(const struct mesh_session *session)
{
	const struct mesh_dial *dial = map_lookup(&session->mesh->dials_by_key, session->key);

	return dial && dial->beside == session && dial->next_idx;
}

bool mesh_redial_puts_off(const struct mesh_dial *dial, unsigned idx)
{
	struct transport_conn_info info;

	if (!dial->beside || dial->mesh->now_ns >= dial->due_ns + PUT_OFF_NS)
		return false;
	dial->mesh->transport->ops->info(dial->beside->conn, &info);
	if (dial->there_ns && dial->mesh->now_ns >= dial->there_ns + THERE_NS + 3 * info.rtt_ns)
		return false;
	/* A link that comes back lets TCP through before the session has stirred. */
	return dial->addrs[idx].transport == ADDR_TCP ||
	       addr_equal(&dial->addrs[idx], &info.remote);
}

bool mesh_redial_is_relayed(const struct mesh_dial *dial)
{
	struct transport_conn_info info;

	if (!dial->beside)
		return false;
	dial->mesh->transport->ops->info(dial->beside->conn, &info);
	return addr_is_relayed(&info.remote);
}

/* The port probe first: what the host says of one packet to that port it does not say of the next. */
static void redial_ask(struct mesh_dial *dial)
{
	struct mesh *mesh = dial->mesh;
	struct transport_conn_info info;

	mesh->transport->ops->info(dial->beside->conn, &info);
	/* The host of a TCP connection says by itself that it has none. */
	if (mesh->params.port_probe && info.remote.transport == ADDR_UDP &&
	    mesh->now_ns >= dial->port_probe_ns) {
		dial->port_probe_ns = mesh->now_ns;
		if (mesh->now_ns >= dial->due_ns + PORT_PROBE_OFTEN_NS)
			dial->port_probe_ns += PORT_PROBE_NS;
		mesh->params.port_probe(mesh->params.ctx, &info.remote);
	}
	if (mesh->transport->ops->probe)
		mesh->transport->ops->probe(dial->beside->conn);
}

static bool redial_is_lost(const struct mesh_dial *dial)
{
	return dial->beside->is_dialler && dial->nobody_ns && !dial->there_ns &&
	       dial->mesh->now_ns >= dial->nobody_ns + NOBODY_NS;
}

static void redial_probed(struct mesh_dial *dial, enum mesh_port_probe answer)
{
	struct mesh *mesh = dial->mesh;
	struct transport_conn_info info;

	if (answer == MESH_PORT_PROBE_NOBODY && !dial->nobody_ns)
		dial->nobody_ns = mesh->now_ns;
	if (answer == MESH_PORT_PROBE_NOBODY || dial->there_ns)
		return;
	dial->there_ns = mesh->now_ns;
	if (mesh->transport->ops->probe)
		mesh->transport->ops->probe(dial->beside->conn);
	mesh->transport->ops->info(dial->beside->conn, &info);
	timer_set(mesh->timers, &dial->timer, mesh->now_ns + THERE_NS + 3 * info.rtt_ns);
}

void mesh_knocked(struct mesh *mesh, const struct addr *remote, enum mesh_port_probe answer,
		  uint64_t now_ns)
{
	struct mesh_dial *dial = NULL;
	struct transport_conn_info info;

	mesh_turn(mesh, now_ns);
	while ((dial = pool_next(&mesh->dials, dial))) {
		if (!dial->beside || !dial->port_probe_ns)
			continue;
		mesh->transport->ops->info(dial->beside->conn, &info);
		if (addr_equal(&info.remote, remote))
			redial_probed(dial, answer);
	}
}

/* Nothing waits, and no port probe has said more than silence: the next asker begins anew. */
static bool redial_is_idle(const struct mesh_dial *dial)
{
	return !mesh_session_is_waited_on(dial->beside) && !dial->waiter_cnt && !dial->nobody_ns &&
	       !dial->there_ns;
}

bool mesh_redial_goes_on(struct mesh_dial *dial)
{
	struct mesh_session *session = dial->beside;
	struct mesh *mesh = dial->mesh;

	if (received_len(session) != dial->seen_len || redial_is_idle(dial)) {
		mesh_dial_won(dial, session);
		return false;
	}
	/* Its peer dialled this node in the meantime. */
	if (map_lookup(&mesh->sessions_by_key, session->key) != session) {
		mesh_dial_won(dial, map_lookup(&mesh->sessions_by_key, session->key));
		return false;
	}
	if (mesh->now_ns >= dial->due_ns + REDIAL_MAX_NS || redial_is_lost(dial)) {
		mesh_dial_fail(dial, mesh_dial_verdict(dial));
		return false;
	}
	redial_ask(dial);
	return true;
}

bool mesh_redial_is_over(const struct mesh_dial *dial)
{
	return dial->beside && dial->next_idx && !dial->beside->is_leaving &&
	       received_len(dial->beside) != dial->seen_len &&
	       map_lookup(&dial->mesh->sessions_by_key, dial->key) == dial->beside;
}

struct mesh_session *mesh_redial_loser(const struct mesh_dial *dial,
				       const struct mesh_session *winner)
{
	struct mesh_session *other = dial->beside;

	if (!other || other == winner || received_len(other) != dial->seen_len)
		return NULL;
	return other;
}

void mesh_redial_lost(struct mesh_session *session)
{
	session->mesh->stats.timeout_cnt++;
	session->end = (struct transport_close){.err = WEFT_ETIMEOUT};
	mesh_session_close(session, MESH_BYE_SILENT, "no answer");
}

/* --- liveness --- */

static void liveness_arm(struct mesh_session *session, uint64_t received_len)
{
	uint64_t turn_ns =
		session->liveness_cnt++ < LIVENESS_SHORT_CNT ? LIVENESS_NS : LIVENESS_LONG_NS;

	session->liveness_len = received_len;
	timer_set(session->mesh->timers, &session->liveness, session->mesh->now_ns + turn_ns);
}

void mesh_liveness_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_session *session = container_of(timer, struct mesh_session, liveness);
	struct mesh *mesh = session->mesh;
	struct transport_conn_info info;
	struct mesh_peer peer = {.is_unsought = session->is_unsought};

	mesh_turn(mesh, now_ns);
	if (session->is_leaving || !mesh_session_is_waited_on(session))
		return;
	mesh->transport->ops->info(session->conn, &info);
	if (info.received_len == session->liveness_len && mesh_control_say_ping(session) == 0) {
		memcpy(peer.key, session->key, sizeof(peer.key));
		mesh_redial_asked(session, &peer);
	}
	liveness_arm(session, info.received_len);
}

void mesh_liveness_begin(struct mesh_session *session)
{
	struct transport_conn_info info;

	session->liveness_cnt = 0;
	if (timer_is_set(&session->liveness))
		return;
	session->mesh->transport->ops->info(session->conn, &info);
	liveness_arm(session, info.received_len);
}
