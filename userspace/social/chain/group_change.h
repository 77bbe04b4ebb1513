/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_CHAIN_GROUP_CHANGE_H
#define WEFT_SOCIAL_CHAIN_GROUP_CHANGE_H

#include "social/chain/group_rules.h"
#include "social/object/group_epoch.h"

/*
 * A state as what changed in it since the one before, and with the secret key of its epoch for one
 * member. A reader with the state before makes the signed bytes of it again, so 300 bytes say what
 * 10 KiB do. That is what messages 641 and 642 carry:
 *
 *	0 group 32 | 1 epoch | 2 [shard, shards] | 3 hash of the state before 32
 *	4 the epoch's key 32?	missing: that of the state before
 *	5 [[member 32, standing], ...]	new ones, and those with another standing
 *	6 [member 32, ...]		those that are gone
 *	7 root post 32? | 8 its signer 32 | 9 signature 64
 *	10 secret key sealed 60? | 11 sealed by 32?	missing: by its signer
 *
 * Pure, and thread-safe.
 */
#define GROUP_CHANGE_LEN_MAX (20u << 10)

/* 20 KiB. Pointers borrow what was parsed, or the states of which it was made. */
struct group_change {
	const uint8_t *group;
	uint64_t epoch;
	uint32_t shard, shard_cnt;
	const uint8_t *previous;
	const uint8_t *key; /* NULL: as before */
	struct group_member set[GROUP_ROWS_MAX];
	unsigned set_cnt;
	uint8_t gone[GROUP_ROWS_MAX][NODE_KEY_LEN];
	unsigned gone_cnt;
	const uint8_t *root;
	const uint8_t *admin, *signature;
	const uint8_t *wrapped;	   /* GROUP_KEY_WRAPPED_LEN, or NULL */
	const uint8_t *wrapped_by; /* NODE_KEY_LEN, or NULL: admin */
};

/* social_change_make: both were parsed, and next follows before. */
void social_change_make(const struct group_state *before, const struct group_state *next,
			struct group_change *out_change);
/*
 * social_change_apply writes the state that change makes of before. Its signature is not verified. 0,
 * WEFT_EMALFORMED (no state that can be), or -ENOMEM.
 */
WEFT_MUST_CHECK
int social_change_apply(const struct group_state *before, const struct group_change *change,
			struct writer *w);
void social_change_write(struct writer *w, const struct group_change *change);
WEFT_MUST_CHECK
int social_change_read(const void *bytes, size_t len, struct group_change *out_change);

#endif
