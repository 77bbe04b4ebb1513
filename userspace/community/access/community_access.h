/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_ACCESS_COMMUNITY_ACCESS_H
#define WEFT_COMMUNITY_ACCESS_COMMUNITY_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "community/record/community_record.h"

struct store;

/*
 * Which nodes may read what is bound to a community, as the store says. Any thread: nothing but
 * a snapshot of the store is read, so each worker asks for itself.
 *
 * community_admits: this node has joined the community of id, and the node of key is a member
 *     at wall_s: its record came here, it has not left, and in a strict community its token
 *     counts. The session proves that the asker has that key.
 * community_hides: no public record may name what is bound to the community of id: it
 *     is strict, or was not joined here.
 */
bool community_admits(struct store *store, const uint8_t id[static COMMUNITY_ID_LEN],
		      const uint8_t key[static COMMUNITY_KEY_LEN], uint64_t wall_s);
bool community_hides(struct store *store, const uint8_t id[static COMMUNITY_ID_LEN]);

#endif
