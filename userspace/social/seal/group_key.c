/* SPDX-License-Identifier: Apache-2.0 */
#include "social/seal/group_key.h"

#include <string.h>

#include "base/byte_cursor.h"
#include "social/seal/agreed_wrap.h"

_Static_assert(GROUP_KEY_WRAPPED_LEN == AGREED_WRAP_LEN, "a wrapped key");
_Static_assert(NODE_KEY_SEED_LEN == AGREED_SECRET_LEN, "a seed is a secret");

/* Group | epoch u64be | member. */
#define INFO_LEN (GROUP_ID_LEN + 8 + NODE_KEY_LEN)

static struct agreed_wrap wrap_of(const struct group_wrap *wrap, uint8_t info[static INFO_LEN])
{
	struct writer w = writer_of(info, INFO_LEN);

	writer_bytes(&w, wrap->group, GROUP_ID_LEN);
	writer_be64(&w, wrap->epoch);
	writer_bytes(&w, wrap->member, NODE_KEY_LEN);
	return (struct agreed_wrap){"mesh/distsoc/group-wrap/v1", wrap->admin, wrap->member, info,
				    INFO_LEN};
}

int social_group_wrap(const struct group_wrap *wrap, const struct node_key *own,
		      const uint8_t seed[static NODE_KEY_SEED_LEN], const uint8_t nonce[static 12],
		      uint8_t out[static GROUP_KEY_WRAPPED_LEN])
{
	uint8_t info[INFO_LEN];
	struct agreed_wrap agreed = wrap_of(wrap, info);

	return social_wrap_seal(&agreed, own, seed, nonce, out);
}

int social_group_unwrap(const struct group_wrap *wrap, const struct node_key *own,
			const uint8_t wrapped[static GROUP_KEY_WRAPPED_LEN],
			uint8_t out_seed[static NODE_KEY_SEED_LEN])
{
	uint8_t info[INFO_LEN];
	struct agreed_wrap agreed = wrap_of(wrap, info);

	return social_wrap_open(&agreed, own, wrapped, out_seed);
}
