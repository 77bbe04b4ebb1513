/* SPDX-License-Identifier: Apache-2.0 */
/* Attachments, and what they ask of the parts beside them. */
#include "social/social_state.h"

int social_files_open(struct social *social, uint64_t now_ns)
{
	const struct attachments_params params = {
		.ground = &social->ground,
		.jobs = social->jobs,
		.ways = social->ways.attachments,
	};

	(void)now_ns;
	return social_attachments_open(&params, &social->attachments);
}

struct attachments *social_attachments_of(const struct social *social)
{
	return social->attachments;
}
