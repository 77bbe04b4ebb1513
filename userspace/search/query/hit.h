/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_QUERY_HIT_H
#define WEFT_SEARCH_QUERY_HIT_H

#include <stdint.h>

#include "weft/err.h"

struct indexed;
struct query;
struct search_hit;
struct shard;
struct store;

/* A document in a shard of a share. */
struct hit_place {
	const struct indexed *indexed;
	const struct shard *shard;
	uint32_t document;
};

/*
 * search_hit_read fills what the manifest and the share say of a document. Its texts are one
 * allocation that begins at path, but for share_title, which indexed lends. Returns 0,
 * WEFT_EABSENT, WEFT_EDAMAGED (the manifest is gone or changed) or
 * -ENOMEM. May wait on the disk.
 */
WEFT_MUST_CHECK
int search_hit_read(struct store *store, const struct hit_place *place, const struct query *query,
		    struct search_hit *out_hit);
void search_hit_free(struct search_hit *hit);

#endif
