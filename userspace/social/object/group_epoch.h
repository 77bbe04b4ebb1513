/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_GROUP_EPOCH_H
#define WEFT_SOCIAL_OBJECT_GROUP_EPOCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/node_key.h"
#include "social/seal/group_key.h"
#include "weft/err.h"

/*
 * A group of people at one epoch, signed by an admin of the epoch before (tag
 * "group"). Its public key is here, and each member gets the secret one sealed
 * (seal/group_key.h):
 *
 *	0 group 32 | 1 the epoch's key 32 | 2 epoch | 3 [[member 32, standing], ...] ascending by member
 *	4 [shard, shards] | 5 root post 32? | 6 hash of the state before 32?
 *
 * A group of more than GROUP_SHARD_MAX members has several shards, each with
 * states and keys of its own. A standing is a role, or GROUP_VISITS + a role for
 * a visitor. A visitor is a member of another shard and no viewer: it has no key
 * of this one. Key 6 is missing in epoch 0 alone.
 *
 * Pure, and thread-safe.
 */
#define GROUP_TAG	   "group"
#define GROUP_SHARD_MAX	   250u
#define GROUP_VISITORS_MAX 32u
#define GROUP_ROWS_MAX	   (GROUP_SHARD_MAX + GROUP_VISITORS_MAX)
#define GROUP_SHARDS_MAX   65535u
#define GROUP_LEN_MAX	   (12u << 10)
#define GROUP_EPOCH_MAX	   ((1ull << 48) - 1)
#define GROUP_VISITS	   4u
#define GROUP_HASH_LEN	   32u

enum group_role { GROUP_VIEWER, GROUP_POSTER, GROUP_MODERATOR, GROUP_ADMIN };

struct group_member {
	uint8_t key[NODE_KEY_LEN];
	enum group_role role;
	bool is_visitor; /* its own shard is another, and it is no viewer */
};

/* 11 KiB. Pointers borrow the bytes that were parsed. */
struct group_state {
	const uint8_t *group; /* GROUP_ID_LEN */
	const uint8_t *key;   /* NODE_KEY_LEN */
	uint64_t epoch;
	struct group_member members[GROUP_ROWS_MAX];
	unsigned member_cnt;
	uint32_t shard, shard_cnt;
	const uint8_t *root;	  /* a post, or NULL */
	const uint8_t *previous;  /* NULL: epoch 0 */
	const uint8_t *admin;	  /* its signer; read alone */
	const uint8_t *signature; /* NODE_KEY_SIG_LEN; read alone */
};

/*
 * social_group_read verifies the signature as well: 0, WEFT_ETOOLARGE, WEFT_EMALFORMED,
 * WEFT_EDAMAGED or -ENOMEM. That the signer was an admin is for the caller to know.
 */
WEFT_MUST_CHECK
int social_group_read(const void *bytes, size_t len, struct group_state *out_state);
/* social_group_parse is the same without the signature, for bytes that were verified before. */
WEFT_MUST_CHECK
int social_group_parse(const void *bytes, size_t len, struct group_state *out_state);
/*
 * social_group_write: members ascend, and what no reader takes makes w bad. social_group_rewrite
 * writes a state with the signature that another made of it. Encoding is deterministic, so a node
 * that knows what changed has the same bytes as the signer.
 */
void social_group_write(struct writer *w, const struct group_state *state,
			const struct node_key *admin);
void social_group_rewrite(struct writer *w, const struct group_state *state,
			  const uint8_t admin[static NODE_KEY_LEN],
			  const uint8_t signature[static NODE_KEY_SIG_LEN]);
/* social_group_member: NULL when key is none. */
const struct group_member *social_group_member(const struct group_state *state,
					       const uint8_t key[static NODE_KEY_LEN]);
/* social_group_id_make: the id of a group that begins with that key and 16 random bytes. */
#define GROUP_NONCE_LEN 16u
void social_group_id_make(const uint8_t key[static NODE_KEY_LEN],
			  const uint8_t nonce[static GROUP_NONCE_LEN],
			  uint8_t out_id[static GROUP_ID_LEN]);

#endif
