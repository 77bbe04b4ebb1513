/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_INTAKE_POST_INTAKE_STATE_H
#define WEFT_SOCIAL_INTAKE_POST_INTAKE_STATE_H

#include "base/list.h"
#include "social/intake/post_intake.h"

/* Private to this folder. */
struct intake {
	struct intake_params params;
	struct list_node runs;
	struct intake_stats stats;
};

#endif
