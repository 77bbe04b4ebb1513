/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_HIT_H
#define WEFT_SEARCH_HIT_H

#include <stdint.h>

#include "weft/err.h"

struct indexed;
struct query;
struct search_hit;
struct shard;
struct store;

/*
 * search_hit_read fills what the manifest and the share say of a document. Its texts are one
 * allocation that begins at path, but for share_title, which is lent by indexed. 0,
 * WEFT_EABSENT, WEFT_EDAMAGED (the manifest is not there any more, or not as it was) or
 * -ENOMEM. May wait on the disk.
 */
WEFT_MUST_CHECK
int search_hit_read(struct store *store, const struct indexed *indexed, const struct shard *shard,
		    uint32_t document, const struct query *query, struct search_hit *out_hit);
void search_hit_free(struct search_hit *hit);

#endif
