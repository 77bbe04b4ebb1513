/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SHARE_TABLE_H
#define WEFT_BLOBS_SHARE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct blobs;
struct served_filling;
struct shares;
struct store_batch;

/*
 * The table of shares: in memory, with STORE_SHARES behind it. Adding and
 * removing shows only after the commit. Home worker.
 */
WEFT_MUST_CHECK
int blobs_shares_new(struct blobs *content, struct shares **out_shares);
/* blobs_shares_stop: removals under way are told to nobody any more. */
void blobs_shares_stop(struct shares *shares);
void blobs_shares_free(struct shares *shares);
uint32_t blobs_shares_cnt(const struct shares *shares);

/* blobs_shares_has_manifest: id is a share or a part of one. */
bool blobs_shares_has_manifest(const struct shares *shares, const uint8_t id[static 32]);
/* blobs_shares_fill_served adds manifests, their parts, and the shared paths. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int blobs_shares_fill_served(const struct shares *shares, struct served_filling *filling);
/* blobs_shares_note_served counts for one share, blobs_shares_note_changed for all that path belongs to. */
void blobs_shares_note_served(struct shares *shares, const uint8_t manifest_id[static 32],
			      uint64_t len);
void blobs_shares_note_changed(struct shares *shares, const char *path);
/* blobs_shares_note_mended: a file that was noted as changed is what it was. */
void blobs_shares_note_mended(struct shares *shares, const char *path);

/* A share that is whole but not durable yet. */
struct share_ask {
	const uint8_t *manifest_id;
	const char *path; /* absolute */
	const char *title;
	const char *only; /* of path (import/only.h); NULL: all of it */
	uint64_t added_s;
	uint64_t item_cnt;
	uint64_t byte_cnt;
	const uint8_t *part_ids; /* 32 bytes each, of a root manifest */
	size_t part_cnt;
	bool is_published;	    /* a revision of a share that shares/publish/ keeps */
	const uint8_t *replaced_id; /* it takes the place of this manifest; NULL: of none */
};
/* blobs_shares_added_s: when path was shared as a collection of its own; false when it is not. */
bool blobs_shares_added_s(const struct shares *shares, const char *path, uint64_t *out_added_s);
/*
 * blobs_shares_add puts the share into batch and submits it: done(arg, err) after
 * the commit, when it is listed and what it replaces is not. batch is taken on success. 0, WEFT_EFULL
 * (share_cap) or what store_submit says.
 */
WEFT_MUST_CHECK
int blobs_shares_add(struct shares *shares, struct store_batch *batch, const struct share_ask *ask,
		     void (*done)(void *arg, int err), void *arg);

/*
 * A share that goes with something else: blobs_shares_put_removal puts that into its batch, and
 * blobs_shares_forget takes the share off the list when the batch is committed, or sooner.
 * Nothing happens when it is not listed.
 */
void blobs_shares_put_removal(struct store_batch *batch, const uint8_t manifest_id[static 32]);
void blobs_shares_forget(struct shares *shares, const uint8_t manifest_id[static 32]);

#endif
