/* SPDX-License-Identifier: Apache-2.0 */
#include "social/replicas/replica_restore.h"

static enum restore_step step_of(const struct restore_candidate *candidate, bool is_public)
{
	if (candidate->has_copy || candidate->is_resting)
		return RESTORE_NOWHERE;
	if (!is_public && candidate->is_reader)
		return RESTORE_READER;
	if (is_public && candidate->is_follower)
		return RESTORE_FOLLOWER;
	return RESTORE_PEER;
}

enum restore_step social_restore_choose(const struct restore_candidate *candidates, size_t cnt,
					bool is_public, size_t *out_idx)
{
	enum restore_step best = RESTORE_NOWHERE;

	for (size_t i = 0; i < cnt; i++) {
		enum restore_step step = step_of(&candidates[i], is_public);

		if (step >= best)
			continue;
		best = step;
		*out_idx = i;
	}
	return best;
}
