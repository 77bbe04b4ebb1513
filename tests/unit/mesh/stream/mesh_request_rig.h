/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_MESH_REQUEST_RIG_H
#define WEFT_TESTS_MESH_REQUEST_RIG_H

#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/pair_raw.h"

#include "mesh/stream/mesh_frame.h"
#include "mesh/message_types.h"

/* Two speakers, one of which asks the other. */

static struct rig rig;
static struct rig_ask ask;
static struct rig_kept kept;

/* Node 0 asks, node 1 echoes chunks and keeps what is asked for hashes. */
static inline bool pair_init(const struct mesh_config *config)
{
	memset(&rig, 0, sizeof(rig));
	memset(&kept, 0, sizeof(kept));
	pair_net_init(&rig.net);
	for (unsigned i = 0; i < 2; i++)
		rig_add(&rig, i, config, NULL, RIG_WALL_S);
	kept.ops = rig.nodes[1].seam.ops;
	kept.wants_gone = true;
	return kept.ops->handle(rig.nodes[1].mesh, MESH_GET_CHUNK, rig_echo, &rig.nodes[1]) == 0 &&
	       kept.ops->handle(rig.nodes[1].mesh, MESH_GET_CHUNK_HASHES, rig_keep, &kept) == 0;
}

static inline bool pair_default(void)
{
	struct mesh_config config;

	mesh_config_defaults(&config);
	return pair_init(&config);
}

static inline void pair_fini(void)
{
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static inline uint32_t requests_of(unsigned node)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[node].mesh, &stats);
	return stats.request_cnt;
}

/* Node 0 against a raw peer (end 2), connected, with one request under way. */
static inline bool raw_asked(struct pair_raw *raw, size_t reply_cap)
{
	struct mesh_config config;
	struct addr addr = pair_addr(2);
	struct mesh_ask call = {.peer = {.addrs = &addr, .addr_cnt = 1},
				.type = MESH_GET_CHUNK,
				.payload = "abc",
				.payload_len = 3,
				.reply_cap = reply_cap,
				.timeout_ns = 20 * PAIR_S};

	mesh_config_defaults(&config);
	memset(&rig, 0, sizeof(rig));
	memset(raw, 0, sizeof(*raw));
	pair_net_init(&rig.net);
	rig_add(&rig, 0, &config, NULL, RIG_WALL_S);
	raw->end = pair_net_add(&rig.net, 2, &pair_raw_events, raw);
	memset(call.peer.key, 2, MESH_KEY_LEN);
	if (rig_ask_with(&rig, &ask, 0, &call) < 0)
		return false;
	pair_net_run(&rig.net, PAIR_S);
	/* The control stream and the request's. */
	return raw->stream_cnt == 2 && raw->streams[1].has_fin;
}

#endif
