/* SPDX-License-Identifier: Apache-2.0 */
/* weft gc and weft store: what is stored, and what nothing needs. */
#include <stdio.h>

#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/progress.h"
#include "print/text.h"

/* In words what was or would be deleted; a pipe gets the figures. */
void print_gc(const struct invocation *inv, const void *reply)
{
	const struct varlink_method *method = inv->command->call.method;
	const struct api_unreferenced *gc =
		varlink_part(method->out, &api_unreferenced_type, reply);
	bool is_run = method == API_RUN_GC;
	char cnts[3][TEXT_COUNT_CAP], bytes[TEXT_SHORT_CAP];

	if (!inv->has_terminal_out) {
		fields_print(inv, gc, api_view_unreferenced_show);
		return;
	}
	if (!gc->objects && !gc->blobs && !gc->paths) {
		printf("A share or a get refers to everything that is kept: nothing to delete.\n");
		return;
	}
	printf("%s%s, %s and %s that no share and no get refers to, %s in all.\n",
	       is_run ? "Deleted " : "",
	       text_count((uint64_t)gc->objects, "file's hashes", "files' hashes", cnts[0]),
	       text_count((uint64_t)gc->blobs, "stored blob", "stored blobs", cnts[1]),
	       text_count((uint64_t)gc->paths, "path", "paths", cnts[2]),
	       text_bytes((uint64_t)gc->bytes, bytes));
	if (!is_run)
		printf("\"weft gc run\" deletes them; the files themselves stay.\n");
}

/* --- checks --- */

struct checking {
	const struct invocation *inv;
	int status;
	struct progress progress;
};

/* The progress line; state NULL takes it away. */
static void check_tell(struct checking *checking, const struct client_reply *reply,
		       const struct progress_state *state)
{
	if (checking->inv->is_json)
		text_print_json(reply->json);
	if (state && !reply->is_last)
		progress_show(&checking->progress, state);
	else
		progress_clear(&checking->progress);
}

static void check_print(const struct invocation *inv, const struct api_store_check *result)
{
	fields_print(inv, result, api_view_store_check_show);
	if (!inv->has_terminal_out)
		return;
	if (!result->blobs_bad && !result->items_bad)
		printf("The store is sound.\n");
	else if (!result->repaired)
		printf("\"weft store check --repair\" drops or rebuilds what can be derived.\n");
}

static bool check_reply(void *arg, const struct client_reply *reply)
{
	struct checking *checking = arg;
	const struct api_check_store_out *out = reply->out;
	const struct api_store_progress *told = out->progress;
	const struct progress_state state = {.verb = "checking",
					     .done = told ? (uint64_t)told->bytes_done : 0,
					     .cnt = told ? (uint64_t)told->bytes : 0};
	char clean[1024];

	check_tell(checking, reply, told ? &state : NULL);
	if (out->finding && !checking->inv->is_json)
		fprintf(stderr, "%s\n", text_clean(out->finding, clean, sizeof(clean)));
	if (!out->result)
		return true;
	if (!checking->inv->is_json)
		check_print(checking->inv, out->result);
	if (out->result->blobs_bad + out->result->items_bad > out->result->repaired)
		checking->status = STATUS_NOT_VERIFIED;
	return true;
}

static void files_print(const struct invocation *inv, const struct api_files_check *result)
{
	fields_print(inv, result, api_view_files_check_show);
	if (!inv->has_terminal_out)
		return;
	if (!result->files_bad)
		printf("No file is bad.\n");
	else
		printf("Bad files of gets are fetched again; of shares they are not served any "
		       "more:\nrestore them and share them again.\n");
}

static bool files_reply(void *arg, const struct client_reply *reply)
{
	struct checking *checking = arg;
	const struct api_check_files_out *out = reply->out;
	const struct api_files_check *told = out->progress;
	const struct progress_state state = {.verb = "checking",
					     .done = told ? (uint64_t)told->bytes_done : 0,
					     .item_done = told ? (uint64_t)told->files_done : 0,
					     .item_cnt = told ? (uint64_t)told->files : 0};
	char path[1024], why[256];

	check_tell(checking, reply, told ? &state : NULL);
	if (out->finding && !checking->inv->is_json)
		fprintf(stderr, "%s: %s\n", text_clean(out->finding->path, path, sizeof(path)),
			text_clean(out->finding->why, why, sizeof(why)));
	if (out->result && !checking->inv->is_json)
		files_print(checking->inv, out->result);
	if (out->result && out->result->files_bad)
		checking->status = STATUS_NOT_VERIFIED;
	return true;
}

int run_store_check(struct invocation *inv)
{
	const struct api_check_store_in in = {.has_repair = true,
					      .repair = invocation_option(inv, "repair") != NULL};
	bool is_of_files = invocation_option(inv, "files") != NULL;
	struct checking checking = {.inv = inv, .status = STATUS_OK};
	struct client_call call = {.request = is_of_files ? api_check_files_request(NULL)
							  : api_check_store_request(&in),
				   .wants_more = true,
				   .reply = is_of_files ? files_reply : check_reply,
				   .arg = &checking};
	int status;

	progress_init(&checking.progress, inv->has_terminal_err);
	status = client_call(inv, &call);
	progress_clear(&checking.progress);
	return status == STATUS_OK ? checking.status : status;
}
