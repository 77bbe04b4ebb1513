/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_ATTACHMENTS_ATTACHMENTS_STATE_H
#define WEFT_SOCIAL_ATTACHMENTS_ATTACHMENTS_STATE_H

#include "social/attachments/attachment_pieces.h"
#include "social/attachments/attachments.h"

/* Private to this room. */
struct attachments {
	struct attachments_params params;
	bool is_stopped;
	unsigned job_cnt; /* out: the stop waits for them */
	unsigned make_cnt, read_cnt;
};

#endif
