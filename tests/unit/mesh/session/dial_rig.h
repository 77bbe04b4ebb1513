/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_DIAL_RIG_H
#define WEFT_TESTS_DIAL_RIG_H

#include "support/check.h"
#include "support/mesh_rig.h"

#include "mesh/session/hello.h"
#include "mesh/peers/peers.h"

/* Nodes that answer a request with its own bytes, and one asker. */

static struct rig rig;
static struct rig_ask ask;

static inline struct mesh_stats stats_of(unsigned node)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[node].mesh, &stats);
	return stats;
}

static inline void nodes_init(unsigned node_cnt)
{
	rig_init(&rig, node_cnt);
	for (unsigned i = 0; i < node_cnt; i++)
		(void)rig.nodes[i].seam.ops->handle(rig.nodes[i].mesh, MESH_GET_CHUNK, rig_echo,
						    &rig.nodes[i]);
}

/* Node 0 asks the key of node to at these addresses. */
static inline int ask_at(unsigned to, const struct addr *addrs, unsigned addr_cnt,
			 uint64_t timeout_ns)
{
	struct mesh_ask call = {.peer = {.addrs = addrs, .addr_cnt = addr_cnt},
				.type = MESH_GET_CHUNK,
				.payload = "abc",
				.payload_len = 3,
				.timeout_ns = timeout_ns};

	memset(call.peer.key, (int)to + 1, MESH_KEY_LEN);
	return rig_ask_with(&rig, &ask, 0, &call);
}

static inline void nodes_fini(void)
{
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

#endif
