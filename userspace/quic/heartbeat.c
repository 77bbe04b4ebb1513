/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heartbeat of a connection in use, which it is for fifteen seconds after the last bytes of a stream.
 * The end that dialled sends a PING once five seconds have passed without a datagram of its peer. So a
 * path that broke is left (fallback.c) before the next request needs it. While something is in flight
 * there is no need: it is waited for.
 *
 * The other end does the same a second later, so only where the first one's beat has not come. It may be
 * the one whose NAT has rebound, and only what it sends shows where it is now.
 */
#include "quic/conn_path.h"

#include "quic/engine.h"

#include "base/monotonic.h"

#define BEAT_NS	  (5 * NS_PER_S)
#define LATER_NS  NS_PER_S
#define IN_USE_NS (15 * NS_PER_S)

uint64_t quic_keepalive_ns(const struct quic_engine *engine)
{
	uint64_t config_ns = engine->config.keepalive_ns;

	return engine->nat_keepalive_ns && engine->nat_keepalive_ns < config_ns
		       ? engine->nat_keepalive_ns
		       : config_ns;
}

void quic_engine_set_nat_keepalive(struct quic_engine *engine, uint64_t pause_ns, uint64_t now_ns)
{
	struct quic_conn *conn = NULL;

	quic_engine_turn(engine, now_ns);
	if (engine->nat_keepalive_ns == pause_ns)
		return;
	engine->nat_keepalive_ns = pause_ns;
	while ((conn = pool_next(&engine->conns, conn)))
		if (conn->state == QUIC_CONN_OPEN && !conn->is_pinging) {
			ngtcp2_conn_set_keep_alive_timeout(conn->ngtcp2, quic_keepalive_ns(engine));
			quic_conn_rearm(conn);
		}
}

void quic_heartbeat_used(struct quic_conn *conn)
{
	conn->used_ns = conn->engine->now_ns;
}

uint64_t quic_heartbeat_next_ns(const struct quic_conn *conn)
{
	uint64_t at_ns = conn->heard_ns + BEAT_NS + (conn->is_dialler ? 0 : LATER_NS);

	if (conn->state != QUIC_CONN_OPEN || conn->is_close_wanted || conn->has_flight ||
	    conn->is_pinging || !conn->used_ns || at_ns > conn->used_ns + IN_USE_NS)
		return UINT64_MAX;
	return at_ns;
}

void quic_heartbeat_expire(struct quic_conn *conn)
{
	if (conn->engine->now_ns >= quic_heartbeat_next_ns(conn))
		quic_probe_ping(conn);
}
