/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_INTAKE_POST_INTAKE_STATE_H
#define WEFT_SOCIAL_INTAKE_POST_INTAKE_STATE_H

#include "base/list.h"
#include "base/timer.h"
#include "social/intake/post_intake.h"

/* Private to this folder. */
struct intake {
	struct intake_params params;
	struct list_node runs;
	struct timer timer;
	struct post_cursor looked; /* posts from here on, to older ones, are looked at next */
	bool is_midway;
	struct intake_stats stats;
};

/* intake_moves.c: social_intake_groups_watch looks for keys of groups that came behind their posts. */
void social_intake_groups_watch(struct intake *intake);

#endif
