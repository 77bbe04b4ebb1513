/* SPDX-License-Identifier: Apache-2.0 */
/* DiffShare: what two revisions of a share that this node publishes differ in. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shares/publish/diff.h"
#include "api/methods.h"
#include "method_publish.h"
#include "share_call.h"

_Static_assert((int)API_SHARE_CHANGE_CHANGE_ADDED == (int)DIFF_ADDED &&
		       (int)API_SHARE_CHANGE_CHANGE_CHANGED == (int)DIFF_CHANGED,
	       "numbered as shares/ has them");

static void diff_reply(const struct api_share_call *waiting, const struct diff *diff)
{
	struct varlink_blocks *blocks = control_blocks(waiting->call);
	struct api_share_change_list files = {0};

	for (uint32_t i = 0; i < diff->line_cnt; i++) {
		const struct diff_line *line = &diff->lines[i];

		varlink_push(
			blocks, &files,
			{.change = (enum api_share_change_change)line->kind,
			 .path = line->path,
			 API_IF(bytes_before, line->kind != DIFF_ADDED, api_uint(line->before_len)),
			 API_IF(bytes_after, line->kind != DIFF_REMOVED,
				api_uint(line->after_len))});
	}
	api_reply(waiting->call, diff_share, .from = api_uint(waiting->numbers[0]),
		  .to = api_uint(waiting->numbers[1]), .files = files,
		  .added = api_uint(diff->cnts[DIFF_ADDED]),
		  .removed = api_uint(diff->cnts[DIFF_REMOVED]),
		  .changed = api_uint(diff->cnts[DIFF_CHANGED]), .cut = diff->is_cut);
}

static void diff_told(void *arg, int err, const struct diff *diff)
{
	struct api_share_call *waiting = arg;

	if (waiting->call && err < 0)
		control_fail(waiting->call, err, "revisions", weft_err_text(err),
			     "weft store check --repair says what is damaged");
	else if (waiting->call)
		diff_reply(waiting, diff);
	api_share_call_free(waiting);
}

/* The revision of seq, or when it is not given the one so many before the newest. */
static const struct publish_revision *revision_find(const struct published *share,
						    const int64_t *seq, uint32_t back)
{
	if (!seq)
		return share->revision_cnt > back
			       ? &share->revisions[share->revision_cnt - 1 - back]
			       : NULL;
	for (uint32_t i = 0; i < share->revision_cnt; i++)
		if (share->revisions[i].seq == (uint64_t)*seq)
			return &share->revisions[i];
	return NULL;
}

void api_diff_share(struct api *api, struct control_call *call, const struct api_diff_share_in *in,
		    uint64_t now_ns)
{
	const struct published *share = api_published(api, call, in->name);
	const struct publish_revision *from, *to;
	struct api_share_call *waiting;
	int err;

	(void)now_ns;
	if (!share)
		return;
	from = revision_find(share, in->has_from ? &in->from : NULL, 1);
	to = revision_find(share, in->has_to ? &in->to : NULL, 0);
	if (!from || !to) {
		control_fail(call, WEFT_EABSENT, share->settings->name,
			     "that revision was not made here, or is not kept any more",
			     "weft share show NAME lists those that can be compared");
		return;
	}
	waiting = api_share_call_wait(api, call, share->settings->name);
	if (!waiting)
		return;
	waiting->numbers[0] = from->seq;
	waiting->numbers[1] = to->seq;
	err = shares_diff_start(api->store, api->home->jobs,
				&(struct diff_ask){.before = from->manifest_id,
						   .after = to->manifest_id,
						   .done = diff_told,
						   .arg = waiting});
	if (err == 0)
		return;
	control_fail(call, err, share->settings->name, weft_err_text(err), "try again");
	api_share_call_free(waiting);
}
