/* SPDX-License-Identifier: Apache-2.0 */
#include "support/storage_rig.h"

#include <stdlib.h>

const struct kad_id storage_rig_own = {{0x80}};

static void note_gone(void *arg, const struct kad_value *value)
{
	struct storage_rig *rig = arg;

	rig->gone = *value;
	rig->gone_cnt++;
}

void storage_rig_begin(struct storage_rig *rig, const struct kad_storage_config *config,
		       uint64_t seed)
{
	random_init_seeded(&rig->dice, seed);
	rig->gone_cnt = 0;
	arena_close(&rig->arena);
	if (arena_open(&rig->arena, ARENA_GROWS) < 0 ||
	    kad_storage_new(&rig->arena,
			    &(struct kad_storage_params){.config = config,
							 .own_id = &storage_rig_own,
							 .random = &rig->dice,
							 .dropped = note_gone,
							 .arg = rig},
			    &rig->storage) < 0)
		abort();
}
