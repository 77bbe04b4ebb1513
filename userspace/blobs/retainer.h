/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RETAINER_H
#define WEFT_BLOBS_RETAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct blobs;
struct store_batch;

/*
 * The manifests that other rooms keep. A retainer names manifests besides those of shares and
 * gets: published revisions, followed shares, communities. They are served to peers and are no
 * garbage; the files of the manifest are another matter.
 */
#define BLOBS_HOLDERS_MAX 8

/* A manifest that stands on its own, and the ids of its parts (32 bytes each). Borrowed. */
typedef bool (*blobs_holder_fn)(void *arg, const uint8_t manifest_id[static 32],
				const uint8_t *part_ids, size_t part_cnt);

struct blobs_retainer {
	/*
	 * manifests_each calls fn with each manifest that is kept, until it returns false.
	 * false: not all could be listed, or fn ended it; then nothing is swept.
	 */
	bool (*manifests_each)(void *ctx, blobs_holder_fn fn, void *arg);
	void *ctx;
	/*
	 * blobs_each (NULL: none) likewise calls fn with each blob that is kept without a manifest.
	 * Such blobs are no garbage. They stand in no record, and their keeper serves them.
	 */
	bool (*blobs_each)(void *ctx, bool (*fn)(void *arg, const uint8_t id[static 32]),
			   void *arg);
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

/* A share that is whole but not durable yet. */
struct share_ask {
	const uint8_t *manifest_id;
	const char *path; /* absolute */
	const char *title;
	const char *only; /* of path (import/import.h); NULL: all of it */
	uint64_t added_s;
	uint64_t item_cnt;
	uint64_t byte_cnt;
	const uint8_t *part_ids; /* 32 bytes each, of a root manifest */
	size_t part_cnt;
	bool is_published;	    /* a revision of a share that shares/publish/ keeps */
	const uint8_t *replaced_id; /* it takes the place of this manifest; NULL: of none */
};
/* blobs_shares_added_s: when path was shared as a collection of its own; false when it is not. */
bool blobs_shares_added_s(const struct blobs *content, const char *path, uint64_t *out_added_s);
/*
 * blobs_shares_add puts the share into batch and submits it: done(arg, err) after
 * the commit, when it is listed and what it replaces is not. batch is taken on success. 0,
 * WEFT_EFULL (share_cap) or what store_submit says.
 */
WEFT_MUST_CHECK
int blobs_shares_add(struct blobs *content, struct store_batch *batch, const struct share_ask *ask,
		     void (*done)(void *arg, int err), void *arg);

/*
 * A share that goes together with another change. blobs_shares_put_removal puts the removal into
 * the batch of that change. blobs_shares_forget takes the share off the list when the batch is
 * committed, or sooner. Nothing happens when it is not listed.
 */
void blobs_shares_put_removal(struct store_batch *batch, const uint8_t manifest_id[static 32]);
void blobs_shares_forget(struct blobs *content, const uint8_t manifest_id[static 32]);

#endif
