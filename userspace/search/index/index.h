/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_INDEX_INDEX_H
#define WEFT_SEARCH_INDEX_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct derived;
struct derived_view;
struct shard;

/*
 * The index at rest: one row for each shard. The key is the share and the hash of the ids of the
 * manifests from which the shard was made.
 */
#define INDEX_NAME    "search"
#define INDEX_KEY_LEN 64u

void search_index_key(const uint8_t share_id[static 32], const uint8_t shard_hash[static 32],
		      uint8_t key[static INDEX_KEY_LEN]);
/* search_index_shard: 0 with a shard that the view lends, WEFT_EABSENT, WEFT_EDAMAGED, -errno. */
WEFT_MUST_CHECK
int search_index_shard(struct derived_view *view, const uint8_t share_id[static 32],
		       const uint8_t shard_hash[static 32], struct shard *out_shard);
/* search_index_has: the shard is there and verifies. */
bool search_index_has(struct derived *derived, const uint8_t share_id[static 32],
		      const uint8_t shard_hash[static 32]);
WEFT_MUST_CHECK
int search_index_put(struct derived *derived, const uint8_t share_id[static 32],
		     const uint8_t shard_hash[static 32], const void *bytes, size_t len);

/* The part of a share that is searched. Does not change once it is made; counted on home. */
struct indexed {
	unsigned ref_cnt;
	uint8_t share_id[32], manifest_id[32];
	char *title, *description; /* as they are written; "" */
	char *title_folded, *description_folded;
	uint64_t item_cnt;
	uint32_t shard_cnt;
	uint8_t (*shards)[32]; /* hashes, in the order of the items */
};
void search_indexed_free(struct indexed *indexed);

/* search_index_sweep removes the shards of all shares but those kept. 0 or what the commit says. */
struct index_live {
	uint8_t (*keys)[INDEX_KEY_LEN]; /* ascending */
	size_t key_cnt;
	uint8_t (*share_ids)[32]; /* of these all shards; ascending */
	size_t share_cnt;
};
WEFT_MUST_CHECK
int search_index_sweep(struct derived *derived, const struct index_live *kept);

#endif
