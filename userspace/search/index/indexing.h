/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_INDEX_INDEXING_H
#define WEFT_SEARCH_INDEX_INDEXING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index.h"

struct derived;
struct store;

/*
 * One revision of a share on its way into the index, shard by shard. A shard ends after a
 * manifest whose id says so (one of INDEXING_PARTS_MEAN does), or where it would grow beyond its
 * limits. So two revisions have the same shards where they have the same manifests. Shards that
 * are there and verify are kept.
 *
 * search_indexing_step runs in jobs, one at a time; all else on home while none runs.
 */
#define INDEXING_PARTS_MEAN 64u

struct indexing_ask {
	struct store *store;
	struct derived *derived;
	uint64_t secret[2]; /* index_shard_builder.h */
	uint8_t share_id[32], manifest_id[32];
};
struct indexing {
	struct indexing_ask ask;
	struct indexed *made;
	uint8_t *root_bytes;
	size_t root_len;
	struct manifest *root; /* NULL before the first step */
	uint32_t next_part;
	uint64_t done_cnt; /* items; of root->all_item_cnt */
	uint64_t all_cnt;
	uint64_t built_cnt, reused_cnt, cut_cnt; /* shards */
	int err;
};

WEFT_MUST_CHECK
int search_indexing_new(const struct indexing_ask *ask, struct indexing **out_indexing);
void search_indexing_free(struct indexing *indexing);
/*
 * search_indexing_step goes on by one shard; false when that was all or err is set: WEFT_EABSENT
 * (a manifest is not in the store), WEFT_EDAMAGED, what blobs_manifest_parse says, what the
 * commit says.
 */
bool search_indexing_step(struct indexing *indexing);

#endif
