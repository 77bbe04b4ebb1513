/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RETAINER_H
#define WEFT_BLOBS_RETAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct blobs;

/*
 * Who keeps manifests besides shares and gets: revisions that were published, shares that
 * are followed, communities. What a holder names is served to peers and is no garbage;
 * the files of the manifest are another matter.
 */
#define BLOBS_HOLDERS_MAX 8

/* A manifest that stands on its own, and the ids of its parts (32 bytes each). Borrowed. */
typedef bool (*blobs_holder_fn)(void *arg, const uint8_t manifest_id[static 32],
				const uint8_t *part_ids, size_t part_cnt);

struct blobs_retainer {
	/*
	 * manifests_each calls fn with each manifest that is kept, until it returns false.
	 * false: not all could be told, or fn ended it; then nothing is swept.
	 */
	bool (*manifests_each)(void *ctx, blobs_holder_fn fn, void *arg);
	void *ctx;
};

/*
 * blobs_add_holder: holder is copied and asked from then on, on home, until content is
 * freed. 0 or WEFT_EFULL. blobs_holder_changed: some holder keeps others than it did.
 */
WEFT_MUST_CHECK
int blobs_add_holder(struct blobs *content, const struct blobs_retainer *holder);
void blobs_holder_changed(struct blobs *content);
/*
 * blobs_holder_begin: a manifest is on its way into the store that no holder can name
 * yet; nothing is swept until as many blobs_holder_end. 0, or WEFT_EBUSY: it is being
 * swept, so try again in a while.
 */
WEFT_MUST_CHECK
int blobs_holder_begin(struct blobs *content);
void blobs_holder_end(struct blobs *content);

#endif
