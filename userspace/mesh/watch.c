/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching over a session that somebody waits on. A request that its peer
 * has acknowledged owes no packet until its answer, which may take long;
 * should the peer die meanwhile, nothing would show it before QUIC's idle
 * timeout. So while requests or streams of ours are under way, a session
 * that was silent for WATCH_NS is sent a PING. That one owes a packet, and
 * race.c sees to who does not give it. Home worker.
 */
#include "mesh/stream.h"

#include "base/clock.h"

/*
 * With race.c's second and a handshake's time-out a dead peer is given up
 * within 17 s, half of a call's default timeout: there is time left to ask
 * somebody else. One that lives costs two small packets per turn.
 */
#define WATCH_NS (3 * NS_PER_S)

static void watch_arm(struct mesh_session *session, uint64_t received_len)
{
	session->watch_len = received_len;
	timer_set(session->mesh->timers, &session->watch, session->mesh->now_ns + WATCH_NS);
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

	if (timer_is_set(&session->watch))
		return;
	session->mesh->transport->ops->info(session->conn, &info);
	watch_arm(session, info.received_len);
}
