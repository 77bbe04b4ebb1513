/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CheckFiles: all recorded files read again and compared. blobs/ runs one
 * at a time; it ends when its caller leaves.
 */
#include <errno.h>
#include <stdlib.h>

#include "blobs/blobs.h"
#include "api/methods.h"

struct files_check {
	struct node *node;
	struct control_call *call;
};

static json_t *json_of_files(const struct blobs_files *files)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "files", api_json_uint(files->total_cnt),
			 "files_done", api_json_uint(files->file_cnt), "bytes_done",
			 api_json_uint(files->byte_cnt), "files_bad", api_json_uint(files->bad_cnt),
			 "files_passed", api_json_uint(files->passed_cnt));
}

static const char *outcome_of(const struct blobs_file_finding *finding)
{
	if (finding->is_bad)
		return finding->is_got ? "bad: its get fetches it again"
				       : "bad: not served any more; restore it and share it again";
	if (finding->err == WEFT_ECHANGED)
		return "changed since it was recorded";
	return weft_err_text(finding->err);
}

static void check_found(void *arg, const struct blobs_file_finding *finding)
{
	const struct files_check *check = arg;

	control_reply_more(check->call,
			   json_pack("{s:{s:s, s:b, s:s}}", "finding", "path", finding->path, "bad",
				     finding->is_bad, "why", outcome_of(finding)));
}

static void check_progress(void *arg, const struct blobs_files *files)
{
	const struct files_check *check = arg;

	control_reply_more(check->call, json_pack("{s:o}", "progress", json_of_files(files)));
}

static void check_done(void *arg, int err, const struct blobs_files *files)
{
	struct files_check *check = arg;

	control_on_gone(check->call, NULL, NULL);
	if (err < 0)
		control_fail(check->call, err, "files", weft_err_text(err),
			     err == -ENOMEM ? "free some memory and try again"
					    : "run weft store check: their records cannot be read");
	else
		control_reply(check->call, json_pack("{s:o}", "result", json_of_files(files)));
	check->node->files_check = NULL;
	free(check);
}

static void check_caller_left(void *arg)
{
	struct files_check *check = arg;

	blobs_check_files_cancel(check->node->home.content);
	check->node->files_check = NULL;
	free(check);
}

void api_check_files(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct files_check *check = calloc(1, sizeof(*check));
	const struct blobs_files_ask ask = {check_found, check_progress, check_done, check};
	struct node *node = ctx;
	int err = -ENOMEM;

	(void)parameters;
	if (check) {
		check->node = node;
		check->call = call;
		err = blobs_check_files(node->home.content, &ask, now_ns);
	}
	if (err < 0) {
		control_fail(call, err, "files", weft_err_text(err),
			     err == WEFT_EBUSY ? "a check is running already: wait for it"
					       : "free some memory and try again");
		free(check);
		return;
	}
	node->files_check = check;
	control_on_gone(call, check_caller_left, check);
}

void api_files_check_forget(struct node *node)
{
	if (node->files_check)
		blobs_check_files_cancel(node->home.content);
	free(node->files_check);
	node->files_check = NULL;
}
