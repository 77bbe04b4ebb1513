/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_STORAGE_RIG_H
#define WEFT_TESTS_STORAGE_RIG_H

#include "base/memory/arena.h"
#include "base/random.h"
#include "kad/storage.h"

/* A store of values for others, of a node whose id is storage_rig_own, and what it forgot last. */
struct storage_rig {
	struct arena arena;
	struct random dice;
	struct kad_storage *storage;
	struct kad_value gone;
	unsigned gone_cnt;
};
extern const struct kad_id storage_rig_own;

/* storage_rig_begin makes it anew with config; a rig that is zeroed or was begun before. */
void storage_rig_begin(struct storage_rig *rig, const struct kad_storage_config *config,
		       uint64_t seed);

#endif
