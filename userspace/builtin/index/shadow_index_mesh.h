/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_INDEX_SHADOW_INDEX_MESH_H
#define WEFT_BUILTIN_INDEX_SHADOW_INDEX_MESH_H

#include "base/memory/pool.h"
#include "builtin/builtin_request.h"
#include "index_entry.h"

struct builtin_params;
struct shadow_index;

/*
 * The index beyond this node. Rows that programs of this node registered go to the overlay, one
 * each second and at most SHADOW_INDEX_CYCLE_MAX in a cycle. The first cycle begins when a node
 * that stores values is there (builtin_shadow_mesh_hurry). A lookup asks the overlay, unless it did
 * within SHADOW_INDEX_CACHE_NS.
 */
#define SHADOW_INDEX_CYCLE_NS	(15 * 60 * NS_PER_S)
#define SHADOW_INDEX_CYCLE_MAX	100
#define SHADOW_INDEX_CACHE_NS	(10 * 60 * NS_PER_S)
#define SHADOW_INDEX_CACHE_CNT	256 /* a place for each first byte of a key */
#define SHADOW_INDEX_LOOKUP_MAX 64  /* under way; further ones get this node's entry alone */
#define SHADOW_INDEX_RUN_MAX	(SHADOW_INDEX_LOOKUP_MAX + 1) /* of the overlay: and a put */

struct shadow_cached {
	uint8_t key[SHARD_KEY_LEN];
	uint64_t until_ns; /* 0: none is here */
	struct shard shard;
};

struct shadow_mesh {
	struct shadow_index *index;
	const struct node_key *key;
	struct pool lookups; /* struct shadow_lookup */
	struct shadow_cached *cache;
	struct provider_timer publish; /* not set where there is no overlay */
	struct provider_run *put;      /* one at a time; NULL: none is under way */
	uint8_t publish_from[SHARD_KEY_LEN + MESH_KEY_LEN]; /* the row to go on with */
	uint64_t cycle_ns;				    /* when this cycle began */
	unsigned cycle_cnt;				    /* rows that it put */
	bool has_keepers; /* a node that stores values was there */
};

WEFT_MUST_CHECK
int builtin_shadow_mesh_init(struct shadow_mesh *mesh, struct shadow_index *index,
			     struct arena *arena, const struct builtin_params *params);
void builtin_shadow_mesh_fini(struct shadow_mesh *mesh);
/*
 * builtin_shadow_mesh_hurry: more nodes store values than before: all rows again, within the rest
 * of the cycle.
 */
void builtin_shadow_mesh_hurry(struct shadow_mesh *mesh, uint64_t now_ns);
/*
 * builtin_shadow_mesh_written: row is durable at key. One of this node's own goes to the overlay
 * now, if nothing else is on its way there, else with a cycle.
 */
void builtin_shadow_mesh_written(struct shadow_mesh *mesh,
				 const uint8_t key[static SHARD_KEY_LEN + MESH_KEY_LEN],
				 const struct shard *row, uint64_t now_ns);

/*
 * builtin_shadow_mesh_lookup ends the call of request with shard, this node's entry at place, and
 * other nodes' entries. Now or later; forget: the call is gone.
 */
void builtin_shadow_mesh_lookup(struct shadow_mesh *mesh, const struct request *request,
				const struct shard_place *place, const struct shard *shard);
void builtin_shadow_mesh_forget(struct shadow_mesh *mesh, const struct service_call *call);

#endif
