/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_INDEX_INDEX_SHARD_BUILDER_H
#define WEFT_SEARCH_INDEX_INDEX_SHARD_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct manifest_item;

/*
 * Makes a shard (index_shard.h) of manifests that are given in order. The limits of a shard
 * bound the memory: about 120 MiB for a shard that fills them all, 20 for a usual one. Any
 * thread, one at a time.
 */
struct shard_builder;

/* secret keys the table of words: a publisher that names files shall not choose its collisions. */
WEFT_MUST_CHECK
int search_shard_builder_new(const uint64_t secret[static 2], struct shard_builder **out_builder);
void search_shard_builder_free(struct shard_builder *builder);

/* The items that follow are of this manifest of len bytes. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int search_shard_builder_add_part(struct shard_builder *builder,
				  const uint8_t manifest_id[static 32], uint32_t len);
/*
 * search_shard_builder_add_item: its encoding begins at off of the manifest. 0, WEFT_EFULL
 * (SHARD_DOCUMENTS_MAX), WEFT_EMALFORMED (a text is not UTF-8) or -ENOMEM.
 */
WEFT_MUST_CHECK
int search_shard_builder_add_item(struct shard_builder *builder, const struct manifest_item *item,
				  uint32_t off);
/* search_shard_builder_is_cut: words were left out (SHARD_RUNS_MAX). */
bool search_shard_builder_is_cut(const struct shard_builder *builder);
/* search_shard_builder_finish gives the bytes, which the caller frees. 0, -ENOMEM. */
WEFT_MUST_CHECK
int search_shard_builder_finish(struct shard_builder *builder, uint8_t **out_bytes,
				size_t *out_len);

#endif
