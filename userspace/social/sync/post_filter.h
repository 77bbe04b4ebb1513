/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SYNC_POST_FILTER_H
#define WEFT_SOCIAL_SYNC_POST_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "social/object/visibility.h"

/*
 * Which posts a node gives to another one. The rules are tried in this order:
 *
 *	the requester wrote it				given
 *	it is public, and its author is one that the
 *	requester follows, or asked for by name		given
 *	it is for recipients, and the requester is one	given
 *	it is for a group that the requester is in	given
 *	else						as if it were not there
 *
 * Pure.
 */
struct post_requester {
	const uint8_t *key; /* NODE_KEY_LEN, proved by its session */
	/* its HELLO named this author among its follows, or it asked for this author's posts */
	bool (*follows)(void *ctx, const uint8_t *author);
	/* it is a member of the group at the epoch, as this node knows it or as it proved */
	bool (*is_member)(void *ctx, const uint8_t *group, uint64_t epoch);
	void *ctx;
};
bool social_may_have(const struct post_requester *requester, const uint8_t *author,
		     const struct visibility *visibility);

#endif
