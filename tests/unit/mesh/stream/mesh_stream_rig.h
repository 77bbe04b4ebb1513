/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_MESH_STREAM_RIG_H
#define WEFT_TESTS_MESH_STREAM_RIG_H

#include "support/check.h"

#include "mesh/mesh_state.h"
#include "support/mesh_rig.h"
#include "support/stream_user.h"

/* Two speakers with a stream between them. */

static struct rig rig;
static struct mesh_stream_seam seams[RIG_NODES];
static struct stream_host host; /* at node 1 */
static struct stream_user user; /* at node 0 */

static inline void bench_init(unsigned node_cnt)
{
	rig_init(&rig, node_cnt);
	memset(&host, 0, sizeof(host));
	memset(&user, 0, sizeof(user));
	for (unsigned i = 0; i < node_cnt; i++)
		seams[i] = mesh_stream_seam_of(rig.nodes[i].mesh);
	if (node_cnt < 2)
		return;
	host.ops = seams[1].ops;
	check_failed |= host.ops->accept(seams[1].mesh, MESH_CALL, stream_host_accept, &host) < 0;
	check_failed |=
		host.ops->accept(seams[1].mesh, MESH_STREAM_OPEN, stream_host_accept, &host) < 0;
}

static inline int open_from(struct stream_user *at, unsigned from, unsigned to)
{
	struct addr addr = pair_addr(to + 1);

	return stream_user_open(at, seams[from], (uint8_t)(to + 1), &addr, rig.net.now_ns);
}

static inline int open_to(struct stream_user *at, unsigned to)
{
	return open_from(at, 0, to);
}

static inline struct mesh_stats stats_of(unsigned idx)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[idx].mesh, &stats);
	return stats;
}

static inline void run_s(unsigned seconds)
{
	pair_net_run(&rig.net, seconds * PAIR_S);
}

static inline bool all_gone(void)
{
	return stats_of(0).stream_cnt == 0 && stats_of(1).stream_cnt == 0 &&
	       rig.net.span_out_cnt == 0 && user.lent_cnt == 0;
}

#endif
