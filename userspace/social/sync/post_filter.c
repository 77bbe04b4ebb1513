/* SPDX-License-Identifier: Apache-2.0 */
#include "social/sync/post_filter.h"

#include <string.h>

bool social_may_have(const struct post_requester *requester, const uint8_t *author,
		     const struct visibility *visibility)
{
	const struct visibility_group *group = &visibility->group;

	if (memcmp(requester->key, author, NODE_KEY_LEN) == 0)
		return true;
	switch (visibility->kind) {
	case VISIBILITY_PUBLIC:
		return requester->follows(requester->ctx, author);
	case VISIBILITY_RECIPIENTS:
		return social_visibility_recipient(visibility, requester->key) != NULL;
	case VISIBILITY_GROUP:
		return requester->is_member(requester->ctx, group->group, group->epoch);
	}
	return false;
}
