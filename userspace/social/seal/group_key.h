/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SEAL_GROUP_KEY_H
#define WEFT_SOCIAL_SEAL_GROUP_KEY_H

#include <stdint.h>

#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * The secret key of a group's epoch, from the admin that made the epoch to each
 * member (docs/wire/social.md). A post of the group has its key wrapped once,
 * for the public key of the epoch (seal/content_key.h). Thread-safe.
 */
#define GROUP_ID_LEN	      32u
#define GROUP_KEY_WRAPPED_LEN 60u

struct group_wrap {
	const uint8_t *group;	       /* GROUP_ID_LEN */
	const uint8_t *admin, *member; /* NODE_KEY_LEN */
	uint64_t epoch;
};
/*
 * social_group_wrap: own is the admin's key, seed that of the epoch. nonce has 12 random bytes.
 * 0, or WEFT_EMALFORMED: member is no point that a key can be agreed with.
 */
WEFT_MUST_CHECK
int social_group_wrap(const struct group_wrap *wrap, const struct node_key *own,
		      const uint8_t seed[static NODE_KEY_SEED_LEN], const uint8_t nonce[static 12],
		      uint8_t out[static GROUP_KEY_WRAPPED_LEN]);
/* social_group_unwrap: own is the member's key, or the admin's. 0 or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int social_group_unwrap(const struct group_wrap *wrap, const struct node_key *own,
			const uint8_t wrapped[static GROUP_KEY_WRAPPED_LEN],
			uint8_t out_seed[static NODE_KEY_SEED_LEN]);

#endif
