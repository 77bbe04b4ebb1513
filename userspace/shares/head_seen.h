/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_HEAD_SEEN_H
#define WEFT_SHARES_HEAD_SEEN_H

#include "head.h"

struct store_batch;
struct store_snapshot;

/*
 * STORE_HEADS: of each share the newest head that was ever seen, as it was signed. It outlives
 * following and publishing, so that no node can lead us back behind it.
 */
struct head_seen {
	struct share_head head; /* seq 0: none was seen */
	uint8_t bytes[HEAD_LEN_MAX];
	size_t len;
};

/* shares_head_seen_get: 0, WEFT_EABSENT, WEFT_EDAMAGED (no head, or another share's) or -errno. */
WEFT_MUST_CHECK
int shares_head_seen_get(struct store_snapshot *snapshot,
			 const uint8_t share_id[static SHARE_ID_LEN], struct head_seen *out_seen);
/*
 * shares_head_seen_put is for a head that is newer than what was seen; the caller has compared
 * them.
 */
void shares_head_seen_put(struct store_batch *batch, const struct head_seen *seen);
/* shares_head_seen_write signs head (head.h) into out_seen. */
void shares_head_seen_write(const struct node_key *key, const struct share_head *head,
			    struct head_seen *out_seen);

#endif
