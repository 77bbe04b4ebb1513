/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_GET_RUN_DUPLICATES_H
#define WEFT_BLOBS_GET_RUN_DUPLICATES_H

#include <stdint.h>

#include "blobs/manifest/manifest.h"
#include "weft/err.h"

struct random;

/*
 * The items of a manifest that have the same content. The author of the manifest chose the ids,
 * so they are hashed under a secret. An author that makes many ids begin alike makes none of
 * them slower to find. Home worker.
 */
struct duplicates {
	const struct manifest_item *items;
	uint32_t *firsts; /* by hash, open: items of which none has the content of another */
	uint32_t mask;
	uint64_t secret[2];
	uint64_t look_cnt; /* places looked at, of all calls */
};

/*
 * blobs_duplicates_init: for the cnt items, which are borrowed; at most
 * MANIFEST_ITEMS_MAX. random gives the secret (NULL: it is 0, in tests). 0 or
 * -ENOMEM. blobs_duplicates_fini takes one that is all zero.
 */
WEFT_MUST_CHECK
int blobs_duplicates_init(struct duplicates *duplicates, const struct manifest_item *items,
			  uint32_t cnt, struct random *random);
void blobs_duplicates_fini(struct duplicates *duplicates);
/* blobs_duplicates_first notes item; the one with its content that was noted first, maybe itself. */
uint32_t blobs_duplicates_first(struct duplicates *duplicates, uint32_t item);

#endif
