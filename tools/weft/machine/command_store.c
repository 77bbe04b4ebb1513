/* SPDX-License-Identifier: Apache-2.0 */
/* weft gc and weft store: what is stored, and what nothing needs. */
#include <inttypes.h>
#include <stdio.h>

#include "command/daemon_client.h"
#include "print/progress.h"
#include "print/output_table.h"
#include "print/text.h"

/* gc_print says in words what was or would be deleted; a pipe gets the figures. */
static void gc_print(const struct invocation *inv, const json_t *gc, bool is_run)
{
	uint64_t object_cnt = field_uint(gc, "objects"), blob_cnt = field_uint(gc, "blobs");
	uint64_t path_cnt = field_uint(gc, "paths");
	char cnts[3][TEXT_COUNT_CAP], bytes[TEXT_SHORT_CAP];

	if (!inv->has_terminal_out) {
		fields_print(inv, gc, api_view_unreferenced_show);
		return;
	}
	if (!object_cnt && !blob_cnt && !path_cnt) {
		printf("A share or a get refers to everything that is kept: nothing to delete.\n");
		return;
	}
	printf("%s%s, %s and %s that no share and no get refers to, %s in all.\n",
	       is_run ? "Deleted " : "",
	       text_count(object_cnt, "file's hashes", "files' hashes", cnts[0]),
	       text_count(blob_cnt, "stored blob", "stored blobs", cnts[1]),
	       text_count(path_cnt, "path", "paths", cnts[2]),
	       text_bytes(field_uint(gc, "bytes"), bytes));
	if (!is_run)
		printf("\"weft gc run\" deletes them; the files themselves stay.\n");
}

struct collecting {
	struct invocation *inv;
	bool is_run;
};

static bool gc_reply(void *arg, json_t *reply, bool is_last)
{
	const struct collecting *gc = arg;

	(void)is_last;
	if (gc->inv->is_json)
		text_print_json(reply);
	else
		gc_print(gc->inv, json_object_get(reply, gc->is_run ? "freed" : "unreferenced"),
			 gc->is_run);
	return true;
}

int run_gc_plan(struct invocation *inv)
{
	struct collecting gc = {inv, false};
	struct client_call call = {
		.method = "PlanGc", .is_long = true, .reply = gc_reply, .arg = &gc};

	return client_call(inv, &call);
}

int run_gc_run(struct invocation *inv)
{
	struct collecting gc = {inv, true};
	struct client_call call = {
		.method = "RunGc", .is_long = true, .reply = gc_reply, .arg = &gc};

	return client_call(inv, &call);
}

struct checking {
	struct invocation *inv;
	int status;
	struct progress progress;
};

static void check_print(const struct invocation *inv, const json_t *result)
{
	bool is_sound = !field_uint(result, "blobs_bad") && !field_uint(result, "items_bad");

	fields_print(inv, result, api_view_store_check_show);
	if (!inv->has_terminal_out)
		return;
	if (is_sound)
		printf("The store is sound.\n");
	else if (!field_uint(result, "repaired"))
		printf("\"weft store check --repair\" drops or rebuilds what can be derived.\n");
}

static bool check_reply(void *arg, json_t *reply, bool is_last)
{
	struct checking *checking = arg;
	const json_t *result = json_object_get(reply, "result");
	const char *finding = json_string_value(json_object_get(reply, "finding"));
	const json_t *told = json_object_get(reply, "progress");
	char clean[1024];

	if (checking->inv->is_json)
		text_print_json(reply);
	if (told && !is_last)
		progress_show(&checking->progress, &(struct progress_state){
							   .verb = "checking",
							   .done = field_uint(told, "bytes_done"),
							   .cnt = field_uint(told, "bytes"),
						   });
	else
		progress_clear(&checking->progress);
	if (finding && !checking->inv->is_json)
		fprintf(stderr, "%s\n", text_clean(finding, clean, sizeof(clean)));
	if (!result)
		return true;
	if (!checking->inv->is_json)
		check_print(checking->inv, result);
	if (field_uint(result, "blobs_bad") + field_uint(result, "items_bad") >
	    field_uint(result, "repaired"))
		checking->status = STATUS_NOT_VERIFIED;
	return true;
}

static void files_print(const struct invocation *inv, const json_t *result)
{
	fields_print(inv, result, api_view_files_check_show);
	if (!inv->has_terminal_out)
		return;
	if (!field_uint(result, "files_bad"))
		printf("No file is bad.\n");
	else
		printf("Bad files of gets are fetched again; of shares they are not served any "
		       "more:\nrestore them and share them again.\n");
}

static bool files_reply(void *arg, json_t *reply, bool is_last)
{
	struct checking *checking = arg;
	const json_t *finding = json_object_get(reply, "finding");
	const json_t *told = json_object_get(reply, "progress");
	const json_t *result = json_object_get(reply, "result");
	char path[1024], why[256];

	if (checking->inv->is_json)
		text_print_json(reply);
	if (told && !is_last)
		progress_show(&checking->progress,
			      &(struct progress_state){
				      .verb = "checking",
				      .done = field_uint(told, "bytes_done"),
				      .item_done = field_uint(told, "files_done"),
				      .item_cnt = field_uint(told, "files"),
			      });
	else
		progress_clear(&checking->progress);
	if (finding && !checking->inv->is_json)
		fprintf(stderr, "%s: %s\n",
			text_clean(field_text(finding, "path"), path, sizeof(path)),
			text_clean(field_text(finding, "why"), why, sizeof(why)));
	if (result && !checking->inv->is_json)
		files_print(checking->inv, result);
	if (result && field_uint(result, "files_bad"))
		checking->status = STATUS_NOT_VERIFIED;
	return true;
}

static int run_files_check(struct invocation *inv)
{
	struct checking checking = {.inv = inv, .status = STATUS_OK};
	struct client_call call = {
		.method = "CheckFiles",
		.wants_more = true,
		.is_long = true,
		.reply = files_reply,
		.arg = &checking,
	};
	int status;

	progress_init(&checking.progress, inv->has_terminal_err);
	status = client_call(inv, &call);
	progress_clear(&checking.progress);
	return status == STATUS_OK ? checking.status : status;
}

static int run_rows_check(struct invocation *inv)
{
	struct checking checking = {.inv = inv, .status = STATUS_OK};
	struct client_call call = {
		.method = "CheckStore",
		.parameters =
			json_pack("{s:b}", "repair", invocation_option(inv, "repair") != NULL),
		.wants_more = true,
		.reply = check_reply,
		.arg = &checking,
	};
	int status;

	progress_init(&checking.progress, inv->has_terminal_err);
	status = client_call(inv, &call);
	progress_clear(&checking.progress);
	return status == STATUS_OK ? checking.status : status;
}

int run_store_check(struct invocation *inv)
{
	return invocation_option(inv, "files") ? run_files_check(inv) : run_rows_check(inv);
}
