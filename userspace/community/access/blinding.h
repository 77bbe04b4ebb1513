/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_ACCESS_BLINDING_H
#define WEFT_COMMUNITY_ACCESS_BLINDING_H

#include <stdint.h>

#include "weft/err.h"

struct blind_keys;
struct key_seal;
struct store;

/*
 * The time after a revocation list in which ids blinded under the epoch before are still
 * answered, to peers that the list admits. Members get a revocation list when a session with
 * another begins, but downloads run on.
 */
#define COMMUNITY_GRACE_S 3600u

/*
 * community_blind_keys reads from the store the keys of all strict communities of this node that
 * have an epoch key; keys is cleared before. An epoch whose key has not come has an entry
 * without a key. So plain ids of that community are not taken all the same. Any thread. Returns
 * 0, -ENOMEM or an error of the store; then some are missing.
 */
WEFT_MUST_CHECK
int community_blind_keys(struct store *store, const struct key_seal *seal, uint64_t wall_s,
			 struct blind_keys *keys);

#endif
