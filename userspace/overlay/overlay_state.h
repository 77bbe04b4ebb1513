/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_OVERLAY_STATE_H
#define WEFT_OVERLAY_OVERLAY_STATE_H

#include "base/memory/arena.h"
#include "base/memory/heap.h"
#include "base/memory/pool.h"
#include "book.h"
#include "overlay_persist.h"
#include "overlay.h"
#include "base/fair/request_quota.h"
#include "overlay_rules.h"
#include "silent.h"
#include "values.h"

/* The overlay's objects, private to this folder. One worker owns all of them. */

/* Nodes that others have named and that are worth a try when no others are known. */
#define OVERLAY_KNOWN_MAX 64

struct overlay_join {
	bool is_joined;
	struct overlay_run *run; /* the join or refresh that runs */
	unsigned fill_idx;	 /* buckets from here on are still to be filled */
	uint64_t next_ns;	 /* no join or refresh before */
	uint64_t retry_ns;	 /* pause after the next failure */
	uint64_t thin_ns;	 /* no lookup for want of nodes before */
	uint64_t thin_pause_ns;
	uint64_t ping_ns;      /* no ping before */
	uint64_t reachable_ns; /* overlay_reachable_look is due then */
	struct overlay_node known[OVERLAY_KNOWN_MAX];
	unsigned known_cnt, known_idx; /* the next one goes there */
};

struct overlay {
	struct overlay_config config;
	uint8_t own_key[MESH_KEY_LEN];
	struct kad_id own_id;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct random *random;
	uint64_t wall_s, wall_at_ns;
	uint64_t now_ns; /* of the last turn */
	bool is_started, is_serving;
	bool has_met; /* a session was there */
	/* From how far a peer has dialled this node, and how far any peer was, since the start. */
	enum kad_addr_scope dialled_scope, farthest_scope;
	struct arena arena;
	struct heap *work;    /* requests and puts of this node under way */
	struct heap *answers; /* to peers, which may be slow to take them */
	uint64_t secret[2];
	struct overlay_rules rules;
	struct request_quota quota;
	struct overlay_book book;
	struct overlay_values *values;
	struct overlay_keep keep;
	struct kad_table *table;
	struct kad_rtt rtt;
	struct overlay_silent silent;
	struct pool runs, queries;
	bool wants_flush; /* a run does */
	struct overlay_join join;
	uint64_t put_cnt, get_cnt, sent_cnt;
	uint64_t reasons[OVERLAY_REASON_CNT];
};

static inline void overlay_count(struct overlay *overlay, enum overlay_reason reason)
{
	overlay->reasons[reason]++;
}

uint64_t overlay_wall_now_s(const struct overlay *overlay, uint64_t now_ns);

#endif
