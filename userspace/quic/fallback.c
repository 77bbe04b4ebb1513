/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back to a relay. A connection that hole punching moved keeps the label that it came from as
 * its fallback. The relay's flow stays open as long (relay/end/).
 *
 * A connection may have something in flight of which nothing is acknowledged for its patience
 * (quic_probe_patience_ns). That its peer is heard says nothing of the other direction. Then three
 * short probes follow, each a round trip after the one before, and at least 50 ms. If none is acknowledged,
 * the end that dialled moves to the label. QUIC validates that path first, and the path in use may
 * still win: nothing is lost if the relay is gone as well. The other end may not move (RFC 9000 9). It
 * asks the first one through the relay to write on the path in use, which finds out the same.
 *
 * A connection that came from no relay goes to another direct path in the same way, where hole punching
 * keeps one warm (quic_engine_fall_back_on).
 *
 * A connection on a label has no other path, but this node's NAT may have rebound. With each of its
 * probes the session with the relay is written on as well, and the leg follows that session.
 *
 * With 40 ms of round trip that is 250 ms, and a round trip through the relay. The mesh dials beside a
 * session that is silent for a second (mesh/session/redial.c).
 */
#include "quic/conn_path.h"

#include "quic/engine.h"

#include "base/monotonic.h"

#define LOST_PROBES	3
#define PROBE_PAUSE_MIN (50 * NS_PER_MS)
/* Each trial of a path takes one of the peer's spare ids, and those that went come back with a datagram. */
#define TRIALS_MAX  3
#define TRIAL_PAUSE NS_PER_S

void quic_fallback_moved(struct quic_conn *conn, const struct addr *from)
{
	struct quic_fallback *fallback = &conn->fallback;

	if (addr_is_relayed(&conn->remote))
		*fallback = (struct quic_fallback){.label = {.family = ADDR_NONE}};
	else if (addr_is_relayed(from))
		*fallback = (struct quic_fallback){.label = *from};
	else if (!addr_is_relayed(&fallback->label))
		*fallback = (struct quic_fallback){.label = {.family = ADDR_NONE}};
}

/* Something can be done about a silent path. */
static bool has_way(const struct quic_conn *conn)
{
	return conn->fallback.label.family != ADDR_NONE ||
	       (conn->engine->leg_silent && addr_is_relayed(&conn->remote));
}

/* Since when what was sent is not answered; UINT64_MAX: nothing is in flight. */
static uint64_t silent_since_ns(const struct quic_conn *conn)
{
	if (conn->state != QUIC_CONN_OPEN || conn->is_close_wanted || !conn->has_flight)
		return UINT64_MAX;
	return conn->fallback.acked_ns > conn->flight_ns ? conn->fallback.acked_ns
							 : conn->flight_ns;
}

void quic_fallback_hears(struct quic_conn *conn)
{
	if (has_way(conn))
		conn->fallback.in_flight_len = quic_probe_in_flight_len(conn);
}

void quic_fallback_heard(struct quic_conn *conn)
{
	struct quic_fallback *fallback = &conn->fallback;

	if (has_way(conn) && quic_probe_in_flight_len(conn) < fallback->in_flight_len)
		fallback->acked_ns = conn->engine->now_ns;
}

static uint64_t probe_pause_ns(const struct quic_conn *conn)
{
	ngtcp2_conn_info info;

	ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
	return info.smoothed_rtt > PROBE_PAUSE_MIN ? info.smoothed_rtt : PROBE_PAUSE_MIN;
}

uint64_t quic_fallback_next_ns(const struct quic_conn *conn)
{
	const struct quic_fallback *fallback = &conn->fallback;
	uint64_t since_ns;

	if (!has_way(conn))
		return UINT64_MAX;
	since_ns = silent_since_ns(conn);
	if (since_ns == UINT64_MAX || fallback->silent_ns != since_ns)
		return since_ns == UINT64_MAX ? UINT64_MAX
					      : since_ns + quic_probe_patience_ns(conn);
	return fallback->trial_cnt < TRIALS_MAX ? fallback->next_ns : UINT64_MAX;
}

/* A second connection that leads there would lose its path with the label, which is replaced. */
static bool label_is_taken(const struct quic_conn *conn)
{
	const struct quic_conn *other = NULL;

	while ((other = pool_next(&conn->engine->conns, other)))
		if (other != conn && other->state == QUIC_CONN_OPEN &&
		    addr_equal(&other->remote, &conn->fallback.label))
			return true;
	return false;
}

static void fall_back(struct quic_conn *conn)
{
	struct quic_engine *engine = conn->engine;
	struct quic_fallback *fallback = &conn->fallback;

	fallback->trial_cnt++;
	fallback->next_ns = engine->now_ns + TRIAL_PAUSE;
	if (addr_is_relayed(&conn->remote)) {
		engine->leg_silent(engine->path_ctx, &conn->remote);
		return;
	}
	engine->stats.fallback_cnt++;
	if (!addr_is_relayed(&fallback->label)) {
		(void)quic_conn_move(conn, &fallback->local, &fallback->label);
		return;
	}
	if (!conn->is_dialler && engine->ask_relayed)
		engine->ask_relayed(engine->path_ctx, &fallback->label);
	if (conn->is_dialler && engine->relabel && !label_is_taken(conn) &&
	    engine->relabel(engine->path_ctx, &fallback->label))
		(void)quic_conn_move(conn, &fallback->label, &fallback->label);
}

int quic_fallback_expire(struct quic_conn *conn)
{
	struct quic_fallback *fallback = &conn->fallback;
	uint64_t now_ns = conn->engine->now_ns, since_ns;

	if (now_ns < quic_fallback_next_ns(conn))
		return 0;
	since_ns = silent_since_ns(conn);
	if (fallback->silent_ns != since_ns) {
		fallback->silent_ns = since_ns;
		fallback->probe_cnt = fallback->trial_cnt = 0;
	}
	if (fallback->probe_cnt == LOST_PROBES) {
		fall_back(conn);
		return 0;
	}
	/* Else a path that loses long packets alone would be left for the relay. */
	quic_black_hole_doubt(conn);
	fallback->probe_cnt++;
	fallback->next_ns = now_ns + probe_pause_ns(conn);
	if (addr_is_relayed(&conn->remote))
		conn->engine->leg_silent(conn->engine->path_ctx, &conn->remote);
	return quic_probe_send(conn);
}

void quic_engine_fall_back_to(struct quic_engine *engine, const struct addr *remote,
			      const struct addr *label)
{
	struct quic_conn *conn = NULL;

	while ((conn = pool_next(&engine->conns, conn)))
		if (conn->state == QUIC_CONN_OPEN && addr_equal(&conn->remote, remote))
			conn->fallback.label = *label;
}

void quic_engine_fall_back_on(struct quic_engine *engine, const struct addr *from,
			      const struct addr *local, const struct addr *remote)
{
	struct quic_conn *conn = NULL;

	while ((conn = pool_next(&engine->conns, conn)))
		if (conn->state == QUIC_CONN_OPEN && conn->is_dialler &&
		    addr_equal(&conn->remote, from) && !addr_is_relayed(&conn->fallback.label)) {
			conn->fallback.label = *remote;
			conn->fallback.local = *local;
		}
}

void quic_engine_relabel(struct quic_engine *engine, const struct addr *from, const struct addr *to)
{
	struct quic_conn *conn = NULL;

	while ((conn = pool_next(&engine->conns, conn)))
		if (addr_equal(&conn->fallback.label, from))
			conn->fallback.label = *to;
}
