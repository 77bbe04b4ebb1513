/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_RELAY_OF_HOME_RIG_H
#define WEFT_TESTS_RELAY_OF_HOME_RIG_H

#include "worker/stream_relay.h"

#include "base/fair/load.h"
#include "mesh/mesh_state.h"
#include "worker/stream_inlet.h"
#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/stream_user.h"

/* A worker and home, joined by their mailboxes. */

#define STREAM_CAP 8 /* of the worker */
#define HOME_CAP   5

static struct rig rig;
static struct stream_queue to_worker, to_home;
static struct stream_relay relay;
static struct stream_inlet inlet;
static struct stream_host host; /* at home */
static struct stream_user user; /* at the peer */
static struct mesh_stream_seam peer_seam;

static inline void bench_init(void)
{
	static const uint32_t stream_caps[] = {2 * STREAM_CAP, STREAM_CAP, HOME_CAP};
	struct mesh_config config;

	memset(&host, 0, sizeof(host));
	memset(&user, 0, sizeof(user));
	rig_init(&rig, 0);
	mesh_config_defaults(&config);
	for (unsigned i = 0; i < 3; i++) {
		config.stream_cap = stream_caps[i];
		rig_add(&rig, i, &config, NULL, RIG_WALL_S);
	}
	peer_seam = mesh_stream_seam_of(rig.nodes[0].mesh);
	host.ops = mesh_stream_seam_of(rig.nodes[2].mesh).ops;
	check_failed |=
		worker_stream_relay_queues(&to_worker, -1, &to_home, -1) < 0 ||
		worker_stream_relay_open(&relay, mesh_stream_seam_of(rig.nodes[1].mesh), STREAM_CAP,
					 &to_worker, &to_home) < 0 ||
		worker_stream_inlet_open(&inlet, rig.nodes[2].mesh, STREAM_CAP, &to_worker,
					 &to_home) < 0 ||
		host.ops->accept(rig.nodes[2].mesh, MESH_CALL, stream_host_accept, &host) < 0;
}

static inline void worker_stop(void)
{
	worker_stream_relay_close(&relay);
	worker_stream_inlet_close(&inlet, rig.net.now_ns);
	worker_stream_queue_fini(&to_worker);
	worker_stream_queue_fini(&to_home);
}

static inline void bench_fini(void)
{
	worker_stop();
	rig_fini(&rig);
}

/* Lets some turns of both threads and of the network pass. */
static inline void run(void)
{
	for (unsigned i = 0; i < 100; i++) {
		pair_net_run(&rig.net, 20 * PAIR_MS);
		(void)worker_stream_relay_read(&relay);
		(void)worker_stream_relay_flush(&relay);
		(void)worker_stream_inlet_read(&inlet, rig.net.now_ns);
		(void)worker_stream_inlet_flush(&inlet);
	}
}

static inline unsigned stream_cnt(unsigned idx)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[idx].mesh, &stats);
	return stats.stream_cnt;
}

static inline bool all_gone(void)
{
	return !stream_cnt(0) && !stream_cnt(1) && !stream_cnt(2) && !relay.streams.used_cnt &&
	       !relay.unused_len && !relay.messages_len && !relay.accounts.used_cnt &&
	       !inlet.streams.used_cnt && !rig.net.span_out_cnt;
}

#endif
