/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SESSION_RIG_H
#define WEFT_TESTS_SESSION_RIG_H

#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/pair_raw.h"

#include "mesh/session/hello.h"
#include "mesh/stream/mesh_frame.h"

/* A node, and a raw peer that says on its streams what a test wants. */

static struct rig rig;
static struct pair_raw raw;

static inline struct mesh_stats stats_of(unsigned node)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[node].mesh, &stats);
	return stats;
}

/* Node 0, and a raw peer with key 9 that dialled it and has said nothing yet. */
static inline bool raw_init(uint8_t key_byte)
{
	struct mesh_config config;

	mesh_config_defaults(&config);
	memset(&rig, 0, sizeof(rig));
	memset(&raw, 0, sizeof(raw));
	pair_net_init(&rig.net);
	rig_add(&rig, 0, &config, NULL, RIG_WALL_S);
	raw.end = pair_net_add(&rig.net, key_byte, &pair_raw_events, &raw);
	return pair_raw_dial(&raw, pair_addr(1), 1);
}

static inline bool raw_say_hello(uint64_t unix_s)
{
	uint8_t hello[256];

	pair_raw_send(&raw, pair_raw_open(&raw), hello, rig_hello(hello, sizeof(hello), unix_s),
		      false);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	return raw.conn != NULL;
}

static inline void raw_say(unsigned stream, const void *bytes, size_t len)
{
	pair_raw_send(&raw, stream, bytes, len, false);
	pair_net_run(&rig.net, 200 * PAIR_MS);
}

/* Frame number idx that came on stream; false when there is none. */
static inline bool frame_on(unsigned stream, unsigned idx, struct mesh_frame *out_frame,
			    const uint8_t **out_payload)
{
	struct pair_raw_stream *at = &raw.streams[stream];
	size_t off = 0;

	for (;; idx--) {
		int len = mesh_frame_parse(at->bytes + off, at->len - off, out_frame);

		if (len <= 0)
			return false;
		*out_payload = at->bytes + off + len;
		off += (size_t)len + out_frame->payload_len;
		if (!idx)
			return off <= at->len;
	}
}

#endif
