/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_TARGET_LINK_CLAIMS_H
#define WEFT_BLOBS_TARGET_LINK_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/object.h"
#include "weft/err.h"

struct manifest_link;
struct store_batch;
struct store_snapshot;

/*
 * Symbolic links that gets made in the folders of followed shares, each by its path and its text.
 * A link that stands there with that text is weft's own and goes with the revision that made it;
 * any other link is the user's. A claim is durable before its link is made, so a killed program
 * leaves no link of its own that it takes for the user's.
 *
 * STORE_META "links:" get id u64be | manifest id 32 -> of each link the first 16 bytes of
 * BLAKE3(path) and of BLAKE3(text).
 *
 * A set has one user at a time, on any thread. More than LINK_CLAIMS_MAX are not kept: those links
 * stay as the user's do.
 */
#define LINK_CLAIM_LEN	32u
#define LINK_CLAIMS_MAX 65536u

struct link_claims {
	uint8_t *entries; /* LINK_CLAIM_LEN each, sorted but for added ones; NULL: none */
	uint32_t cnt;
};
void blobs_link_claims_fini(struct link_claims *claims);
/* blobs_link_claims_load adds what get id claimed, of one manifest or, with NULL, of all. */
WEFT_MUST_CHECK
int blobs_link_claims_load(struct link_claims *claims, struct store_snapshot *snapshot, uint64_t id,
			   const uint8_t *manifest_id);
/* blobs_link_claims_add: it is found from the next merge on. 0, also without a place, or -ENOMEM. */
WEFT_MUST_CHECK
int blobs_link_claims_add(struct link_claims *claims, const struct manifest_link *link);
/* blobs_link_claims_merge adds all of other. */
WEFT_MUST_CHECK
int blobs_link_claims_merge(struct link_claims *claims, const struct link_claims *other);
bool blobs_link_claims_have(const struct link_claims *claims, const struct manifest_link *link);

/* blobs_link_claims_put stores what get id claims of a manifest; blobs_link_claims_forget deletes it. */
void blobs_link_claims_put(const struct link_claims *claims, struct store_batch *batch, uint64_t id,
			   const uint8_t manifest_id[static OBJECT_ID_LEN]);
void blobs_link_claims_forget(struct store_batch *batch, uint64_t id,
			      const uint8_t manifest_id[static OBJECT_ID_LEN]);

#endif
