/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching over a session that somebody waits on. A request that its peer
 * has acknowledged owes no packet until its answer, which may take long;
 * should the peer die meanwhile, nothing would show it before QUIC's idle
 * timeout. So while requests or streams of ours are under way, a session
 * that was silent for a turn is sent a PING. That one owes a packet, and
 * redial.c sees to who does not give it. Home worker.
 */
#include "mesh/stream/mesh_stream.h"

#include "base/monotonic.h"

/*
 * With redial.c's second, and up to two more until its host has said that nobody is there,
 * a killed peer is given up within 5 s, or 6 when it was waited on for long; one whose
 * host is silent within 13. One that lives costs two small packets per turn.
 */
#define LIVENESS_NS	   (1 * NS_PER_S)
#define LIVENESS_LONG_NS   (2 * NS_PER_S)
#define LIVENESS_SHORT_CNT 10

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
	struct mesh_peer peer = {0};

	mesh->now_ns = now_ns;
	if (session->is_leaving ||
	    (!session->request_cnt && !session->stream_cnts[MESH_SIDE_OPENER]))
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
