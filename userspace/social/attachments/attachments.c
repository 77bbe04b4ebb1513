/* SPDX-License-Identifier: Apache-2.0 */
#include "social/attachments/attachments.h"

#include <errno.h>
#include <stdlib.h>

#include "base/thread/jobs.h"
#include "social/attachments/attachments_state.h"

int social_attachments_open(const struct attachments_params *params,
			    struct attachments **out_attachments)
{
	struct attachments *attachments = calloc(1, sizeof(*attachments));

	if (!attachments)
		return -ENOMEM;
	attachments->params = *params;
	*out_attachments = attachments;
	return 0;
}

void social_attachments_stop(struct attachments *attachments)
{
	if (!attachments || attachments->is_stopped)
		return;
	attachments->is_stopped = true;
	while (attachments->job_cnt) {
		jobs_reap_wait(attachments->params.jobs);
		store_flush(attachments->params.ground->store);
	}
}

void social_attachments_close(struct attachments *attachments)
{
	free(attachments);
}
