/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_INCOMING_RIG_H
#define WEFT_TESTS_INCOMING_RIG_H

#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/pair_raw.h"

#include "mesh/mesh_state.h"

/* A peer that sends bytes, and the speaker that answers its requests. */

/*
 * One mesh (node 0, handlers of the test's choice) and a raw peer that
 * says to it what no mesh would.
 */
static struct rig rig;
static struct pair_raw raw;
static struct rig_kept kept;
static uint8_t frame[3 * 1024 * 1024];

static inline bool bench_init(const struct mesh_config *config, bool says_hello)
{
	uint8_t hello[256];

	memset(&rig, 0, sizeof(rig));
	memset(&raw, 0, sizeof(raw));
	memset(&kept, 0, sizeof(kept));
	pair_net_init(&rig.net);
	rig_add(&rig, 0, config, NULL, RIG_WALL_S);
	kept.ops = rig.nodes[0].seam.ops;
	raw.end = pair_net_add(&rig.net, 9, &pair_raw_events, &raw);
	if (kept.ops->handle(rig.nodes[0].mesh, MESH_GET_CHUNK, rig_echo, &rig.nodes[0]) < 0 ||
	    kept.ops->handle(rig.nodes[0].mesh, MESH_HAVE_CONTENT, rig_echo, &rig.nodes[0]) < 0 ||
	    kept.ops->handle(rig.nodes[0].mesh, MESH_GET_CHUNK_HASHES, rig_keep, &kept) < 0 ||
	    !pair_raw_dial(&raw, pair_addr(1), 1))
		return false;
	if (says_hello)
		pair_raw_send(&raw, pair_raw_open(&raw), hello,
			      rig_hello(hello, sizeof(hello), RIG_WALL_S), false);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	return raw.conn != NULL;
}

static inline bool bench_default(void)
{
	struct mesh_config config;

	mesh_config_defaults(&config);
	return bench_init(&config, true);
}

static inline struct mesh_stats stats_now(void)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[0].mesh, &stats);
	return stats;
}

/* The answer on stream: its frame, and the code when it is an error; -1: none. */
static inline int answer_on(unsigned stream, struct mesh_frame *out_frame)
{
	struct pair_raw_stream *at = &raw.streams[stream];
	int head_len = mesh_frame_parse(at->bytes, at->len, out_frame);
	struct mesh_error error;

	if (head_len <= 0 || (size_t)head_len + out_frame->payload_len != at->len)
		return -1;
	if (!(out_frame->flags & MESH_FLAG_ERROR))
		return 0;
	if (out_frame->type != MESH_ERROR || !(out_frame->flags & MESH_FLAG_RESPONSE) ||
	    mesh_error_parse(at->bytes + head_len, out_frame->payload_len, &error) < 0)
		return -1;
	return (int)error.code;
}

static inline unsigned say(const void *bytes, size_t len, bool fin)
{
	unsigned stream = pair_raw_open(&raw);

	pair_raw_send(&raw, stream, bytes, len, fin);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	return stream;
}

static inline unsigned say_frame(unsigned type, uint32_t req_id, unsigned flags, size_t payload_len)
{
	static const uint8_t payload[sizeof(frame) - 64];

	return say(frame,
		   rig_frame(frame, sizeof(frame), type, req_id, flags, payload, payload_len),
		   true);
}

static inline void bench_fini(void)
{
	rig_fini(&rig);
}

#endif
