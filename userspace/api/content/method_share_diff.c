/* SPDX-License-Identifier: Apache-2.0 */
/* DiffShare: what two revisions of a share that this node publishes differ in. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shares/publish/diff.h"
#include "api/methods.h"
#include "method_publish.h"
#include "node/sharing/sharing_state.h"

static json_t *line_json(const struct diff_line *line)
{
	static const char *const kinds[] = {
		[DIFF_ADDED] = "added", [DIFF_REMOVED] = "removed", [DIFF_CHANGED] = "changed"};
	json_t *json = json_pack("{s:s, s:s}", "change", kinds[line->kind], "path", line->path);

	if (line->kind != DIFF_ADDED)
		json_object_set_new(json, "bytes_before", api_json_uint(line->before_len));
	if (line->kind != DIFF_REMOVED)
		json_object_set_new(json, "bytes_after", api_json_uint(line->after_len));
	return json;
}

static void diff_caller_left(void *arg)
{
	((struct sharing_call *)arg)->call = NULL;
}

static void diff_told(void *arg, int err, const struct diff *diff)
{
	struct sharing_call *waiting = arg;
	struct control_call *call = waiting->call;
	uint64_t from = waiting->numbers[0], to = waiting->numbers[1];
	json_t *lines;

	if (call)
		control_on_gone(call, NULL, NULL);
	node_sharing_call_free(waiting);
	if (!call)
		return;
	if (err < 0) {
		control_fail(call, err, "revisions", weft_err_text(err),
			     "weft store check --repair says what is damaged");
		return;
	}
	lines = json_array();
	for (uint32_t i = 0; i < diff->line_cnt; i++)
		json_array_append_new(lines, line_json(&diff->lines[i]));
	control_reply(call,
		      json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "from", api_json_uint(from),
				"to", api_json_uint(to), "files", lines, "added",
				api_json_uint(diff->cnts[DIFF_ADDED]), "removed",
				api_json_uint(diff->cnts[DIFF_REMOVED]), "changed",
				api_json_uint(diff->cnts[DIFF_CHANGED]), "cut", diff->is_cut));
}

/* The revision that parameters name, or the one so many before the newest. */
static const struct publish_revision *revision_read(const struct published *share,
						    const json_t *parameters, const char *name,
						    uint32_t back)
{
	const json_t *seq = json_object_get(parameters, name);

	if (!seq)
		return share->revision_cnt > back
			       ? &share->revisions[share->revision_cnt - 1 - back]
			       : NULL;
	for (uint32_t i = 0; i < share->revision_cnt; i++)
		if (share->revisions[i].seq == (uint64_t)json_integer_value(seq))
			return &share->revisions[i];
	return NULL;
}

void api_diff_share(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	const struct published *share = api_published(node, call, parameters);
	const struct publish_revision *from, *to;
	struct sharing_call *waiting;
	int err;

	(void)now_ns;
	if (!share)
		return;
	from = revision_read(share, parameters, "from", 1);
	to = revision_read(share, parameters, "to", 0);
	if (!from || !to) {
		control_fail(call, WEFT_EABSENT, share->settings->name,
			     "that revision was not made here, or is not kept any more",
			     "weft share show NAME lists those that can be compared");
		return;
	}
	waiting = node_sharing_call_new(node->sharing);
	err = waiting ? 0 : -ENOMEM;
	if (waiting) {
		waiting->call = call;
		waiting->numbers[0] = from->seq;
		waiting->numbers[1] = to->seq;
		control_on_gone(call, diff_caller_left, waiting);
		err = shares_diff_start(node->store, node->home.jobs, from->manifest_id,
					to->manifest_id, diff_told, waiting);
	}
	if (err == 0)
		return;
	if (waiting) {
		control_on_gone(call, NULL, NULL);
		node_sharing_call_free(waiting);
	}
	control_fail(call, err, share->settings->name, weft_err_text(err), "try again");
}
