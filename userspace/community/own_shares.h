/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_OWN_SHARES_H
#define WEFT_COMMUNITY_OWN_SHARES_H

#include <stdbool.h>
#include <stdint.h>

#include "roster.h"

/*
 * The ids of the shares that this node announced in one community, in order: so nobody has to look
 * through those of all others for them. An id may stay a while after its row has gone.
 */
struct own_shares {
	uint8_t (*ids)[ROSTER_KEY_LEN];
	unsigned cnt, cap;
};

/* community_own_shares_find: the place of the first id >= from; cnt when there is none. */
unsigned community_own_shares_find(const struct own_shares *own, const uint8_t *from);
/* community_own_shares_set: id is one, or is none any more. What is beyond cap is left out. */
void community_own_shares_set(struct own_shares *own, const uint8_t *id, bool is_own);

#endif
