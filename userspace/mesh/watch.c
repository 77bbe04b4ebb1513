/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching over a session that somebody waits on. A request that its peer
 * has acknowledged owes no packet until its answer, which may take long;
 * should the peer die meanwhile, nothing would show it before QUIC's idle
 * timeout. So while requests or streams of ours are under way, a session
 * that was silent for a turn is sent a PING. That one owes a packet, and
 * race.c sees to who does not give it. Home worker.
 */
#include "mesh/stream.h"

#include "base/clock.h"

/*
 * With race.c's second, and up to two more until its host has said that nobody is there,
 * a killed peer is given up within 5 s, or 6 when it was waited on for long; one whose
 * host is silent within 13. One that lives costs two small packets per turn.
 */
#define WATCH_NS	(1 * NS_PER_S)
#define WATCH_LONG_NS	(2 * NS_PER_S)
#define WATCH_SHORT_CNT 10

static void watch_arm(struct mesh_session *session, uint64_t received_len)
{
	uint64_t turn_ns = session->watch_cnt++ < WATCH_SHORT_CNT ? WATCH_NS : WATCH_LONG_NS;

	session->watch_len = received_len;
	timer_set(session->mesh->timers, &session->watch, session->mesh->now_ns + turn_ns);
}

void mesh_watch_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_session *session = list_entry(timer, struct mesh_session, watch);
	struct mesh *mesh = session->mesh;
	struct transport_conn_info info;
	struct mesh_peer peer = {0};

	mesh->now_ns = now_ns;
	if (session->is_leaving ||
	    (!session->request_cnt && !session->stream_cnts[MESH_SIDE_OPENER]))
		return;
	mesh->transport->ops->info(session->conn, &info);
	if (info.received_len == session->watch_len && mesh_control_say_ping(session) == 0) {
		memcpy(peer.key, session->key, sizeof(peer.key));
		mesh_race_asked(session, &peer);
	}
	watch_arm(session, info.received_len);
}

void mesh_watch_begin(struct mesh_session *session)
{
	struct transport_conn_info info;

	session->watch_cnt = 0;
	if (timer_is_set(&session->watch))
		return;
	session->mesh->transport->ops->info(session->conn, &info);
	watch_arm(session, info.received_len);
}
