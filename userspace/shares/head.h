/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_HEAD_H
#define WEFT_SHARES_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "blobs/manifest/manifest.h"
#include "weft/err.h"

struct node_key;
struct overlay_rule;

/*
 * The head of a share: which revision is its newest, as its publisher says. A signed
 * object (crypto/signed.h) with the tag "sharehead" and this body (docs/wire/share.md):
 *
 *	0 share id 32 | 1 sequence number | 2 manifest id 32 | 3 updated, seconds since 1970
 *	4 key of the share that takes its place 32?, of the last revision alone
 *
 * The share's key signs, and the share id is SHA-256 of it. Unknown fields are stepped
 * over. Pure.
 */
#define HEAD_TAG     "sharehead"
#define HEAD_LEN_MAX 256u
/* By which clocks may differ. */
#define HEAD_SKEW_S 300u

/* Keys of one share, one after the other, that a lookup of the first goes through. */
#define HEAD_SUCCESSORS_MAX 8u

struct share_head {
	uint8_t share_id[SHARE_ID_LEN];
	uint8_t share_key[32];
	uint64_t seq; /* from 1 */
	uint8_t manifest_id[32];
	uint64_t updated_s;
	bool has_successor; /* it goes on under that key */
	uint8_t successor[32];
};

/* shares_head_write signs head with the share's key, which sets share_id and share_key. */
void shares_head_write(struct writer *w, const struct node_key *key, struct share_head *head);
/*
 * shares_head_parse checks form, ids and signature. 0, WEFT_EMALFORMED, WEFT_ETOOLARGE or
 * WEFT_EDAMAGED (the signature, or a key that is not the share's).
 */
WEFT_MUST_CHECK
int shares_head_parse(const void *bytes, size_t len, struct share_head *out_head);

/*
 * shares_head_is_newer: a comes after b. The higher sequence number comes later, then the later
 * time, then the greater manifest id. So two publishers that used one number end at the same
 * revision, in whatever order their heads arrive. Nothing comes after a revoked head, with one
 * exception: a head revoked without a successor comes after one revoked for a successor. So the
 * thief of a key cannot keep the successor that it named.
 */
bool shares_head_is_newer(const struct share_head *a, const struct share_head *b);
/* shares_head_is_fork: both are revision seq, and differ. */
bool shares_head_is_fork(const struct share_head *a, const struct share_head *b);
bool shares_head_is_revoked(const struct share_head *head);

/*
 * In the overlay a head is HEAD_OVERLAY_TAG followed by its bytes. Its name is "share:head:" and
 * the share id, which is its only writer. It has no end of its own. A storer keeps it for 24
 * hours, and a follower of the share may put the same bytes again.
 */
#define HEAD_OVERLAY_TAG      0x01
#define HEAD_OVERLAY_TTL_S    86400u
#define HEAD_OVERLAY_NAME_LEN (11u + SHARE_ID_LEN)
void shares_head_overlay_name(const uint8_t share_id[static SHARE_ID_LEN],
			      uint8_t name[static HEAD_OVERLAY_NAME_LEN]);
/* shares_head_rule makes the overlay's rule for heads. */
void shares_head_rule(struct overlay_rule *out_rule);

#endif
