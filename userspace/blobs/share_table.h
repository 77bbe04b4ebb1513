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

/*
 * The table of shares: in memory, with STORE_SHARES behind it. Adding and
 * removing shows only after the commit. Home worker.
 */
WEFT_MUST_CHECK
int blobs_shares_new(struct blobs *content, struct shares **out_shares);
/* blobs_shares_stop: removals under way report to no caller any more. */
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

#endif
