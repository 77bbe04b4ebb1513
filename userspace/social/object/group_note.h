/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_GROUP_NOTE_H
#define WEFT_SOCIAL_OBJECT_GROUP_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * What members sign beside the states of a group (object/group_epoch.h):
 *
 *	grouphide	0 group 32 | 1 author 32 | 2 hidden? | 3 time ms | 4 logical id 16	a moderator, of a post
 *	groupleave	0 group 32 | 1 time ms				a member that goes
 *	groupproof	0 group 32 | 1 epoch | 2 session 16		the key of that epoch
 *
 * A post to a group has one edition for each shard, and for each edit. A grouphide names what they have in
 * common, so it counts for all of them.
 *
 * A groupproof says that the asker has the secret key of an epoch, and names no member. The session
 * in it is the one that it is sent by, so it is of no use to the node that hears it.
 *
 * Pure, and thread-safe.
 */
#define GROUP_HIDE_TAG	    "grouphide"
#define GROUP_LEAVE_TAG	    "groupleave"
#define GROUP_PROOF_TAG	    "groupproof"
#define GROUP_NOTE_LEN_MAX  256u /* of any of them */
#define GROUP_SESSION_LEN   16u
#define GROUP_HIDE_NAME_LEN 32u

/* Pointers borrow the bytes that were parsed; signer is read alone. */
struct group_hide {
	const uint8_t *group;	   /* GROUP_ID_LEN */
	const uint8_t *author;	   /* NODE_KEY_LEN, of the post */
	const uint8_t *logical_id; /* POST_LOGICAL_ID_LEN */
	bool is_hidden;
	uint64_t time_ms;
	const uint8_t *signer;
};
struct group_leave {
	const uint8_t *group;
	uint64_t time_ms;
	const uint8_t *signer;
};
struct group_proof {
	const uint8_t *group;
	uint64_t epoch;
	const uint8_t *session; /* GROUP_SESSION_LEN */
	const uint8_t *signer;
};

/*
 * social_{hide,leave,proof}_read verify the signature as well: 0, WEFT_ETOOLARGE, WEFT_EMALFORMED
 * or WEFT_EDAMAGED. Whether the signer may say so is for the caller to know.
 */
WEFT_MUST_CHECK
int social_hide_read(const void *bytes, size_t len, struct group_hide *out_hide);
/* social_hide_name: of group, author and logical_id, which the hides of one post have in common. */
void social_hide_name(const struct group_hide *hide, uint8_t out_name[static GROUP_HIDE_NAME_LEN]);
WEFT_MUST_CHECK
int social_leave_read(const void *bytes, size_t len, struct group_leave *out_leave);
WEFT_MUST_CHECK
int social_proof_read(const void *bytes, size_t len, struct group_proof *out_proof);
void social_hide_write(struct writer *w, const struct group_hide *hide, const struct node_key *key);
void social_leave_write(struct writer *w, const struct group_leave *leave,
			const struct node_key *key);
void social_proof_write(struct writer *w, const struct group_proof *proof,
			const struct node_key *key);

#endif
