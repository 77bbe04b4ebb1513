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
	struct api *api;
	struct control_call *call;
};

static struct api_files_check files_row(const struct blobs_files *files)
{
	return (struct api_files_check){
		.files = api_uint(files->total_cnt),
		.files_done = api_uint(files->file_cnt),
		.bytes_done = api_uint(files->byte_cnt),
		.files_bad = api_uint(files->bad_cnt),
		.files_passed = api_uint(files->passed_cnt),
	};
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

	api_reply_more(check->call, check_files,
		       .finding = &(struct api_file_finding){finding->path, finding->is_bad,
							     outcome_of(finding)});
}

static void check_progress(void *arg, const struct blobs_files *files)
{
	const struct api_files_check row = files_row(files);
	const struct files_check *check = arg;

	api_reply_more(check->call, check_files, .progress = &row);
}

static void check_done(void *arg, int err, const struct blobs_files *files)
{
	const struct api_files_check result = files_row(files);
	struct files_check *check = arg;

	if (err < 0)
		control_fail(check->call, err, "files", weft_err_text(err),
			     err == -ENOMEM ? "free some memory and try again"
					    : "run weft store check: their records cannot be read");
	else
		api_reply(check->call, check_files, .result = &result);
	check->api->files_check = NULL;
	free(check);
}

static void check_caller_left(void *arg)
{
	struct files_check *check = arg;

	blobs_check_files_cancel(check->api->home->content);
	check->api->files_check = NULL;
	free(check);
}

void api_check_files(struct api *api, struct control_call *call,
		     const struct api_check_files_in *in, uint64_t now_ns)
{
	struct files_check *check = calloc(1, sizeof(*check));
	const struct blobs_files_ask ask = {check_found, check_progress, check_done, check};
	int err = -ENOMEM;

	(void)in;
	if (check) {
		check->api = api;
		check->call = call;
		err = blobs_check_files(api->home->content, &ask, now_ns);
	}
	if (err < 0) {
		control_fail(call, err, "files", weft_err_text(err),
			     err == WEFT_EBUSY ? "a check is running already: wait for it"
					       : "free some memory and try again");
		free(check);
		return;
	}
	api->files_check = check;
	control_on_gone(call, check_caller_left, check);
}

void api_files_check_forget(struct api *api)
{
	if (api->files_check)
		blobs_check_files_cancel(api->home->content);
	free(api->files_check);
	api->files_check = NULL;
}
