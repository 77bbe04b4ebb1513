/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_ACCESS_BLINDING_H
#define WEFT_COMMUNITY_ACCESS_BLINDING_H

#include <stdint.h>

#include "weft/err.h"

struct blind_keys;
struct key_seal;
struct store;

/*
 * How long after a revocation list ids blinded under the epoch before are still answered, to those that
 * the revocation list admits: members hear of a revocation list when a session with another begins, but downloads run.
 */
#define COMMUNITY_GRACE_S 3600u

/*
 * community_blind_keys: the keys of all strict communities of this node that have an epoch key,
 * as the store says; keys is cleared before. Of an epoch whose key has not come, one without
 * a key stands there, so that plain ids of that community are not taken all the same. Any thread.
 * 0, -ENOMEM or what the store says; then some are missing.
 */
WEFT_MUST_CHECK
int community_blind_keys(struct store *store, const struct key_seal *seal, uint64_t wall_s,
			 struct blind_keys *keys);

#endif
