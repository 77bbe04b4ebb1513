/* SPDX-License-Identifier: Apache-2.0 */
/* weft share: add, list, items; imports. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "content/command_share.h"
#include "print/output_table.h"
#include "print/progress.h"
#include "print/text.h"

/* --- imports --- */

struct importing {
	struct client_call call;
	struct progress progress;
};

/* Both methods reply with one. */
static const struct api_import *import_of(const struct client_call *call, const void *reply)
{
	return varlink_part(call->request.method->out, &api_import_type, reply);
}

static bool import_reply(void *arg, const struct client_reply *reply)
{
	struct importing *importing = arg;
	const struct api_import *import = import_of(&importing->call, reply->out);

	if (import && !reply->is_last)
		progress_show(&importing->progress,
			      &(struct progress_state){
				      .verb = "hashing",
				      .done = (uint64_t)import->bytes_done,
				      .cnt = (uint64_t)import->bytes,
				      .item_done = (uint64_t)import->files_done,
				      .item_cnt = (uint64_t)import->files,
			      });
	return true;
}

static void import_failed(void *arg)
{
	progress_clear(&((struct importing *)arg)->progress);
}

/* Files of the folder that are not in the share, so that the user learns it at once. */
static void tell_skipped(const struct api_import *import)
{
	const struct {
		int64_t cnt;
		const char *one, *many;
	} kinds[] = {
		{import->skipped_symlinks, "symbolic link that leads out",
		 "symbolic links that lead out"},
		{import->skipped_special, "socket, pipe or device", "sockets, pipes or devices"},
		{import->skipped_unreadable, "unreadable file", "unreadable files"},
		{import->skipped_names, "name that is not safe UTF-8 or too deep",
		 "names that are not safe UTF-8 or too deep"},
		{import->skipped_changed, "file that changed while being read",
		 "files that changed while being read"},
	};
	char clean[512], count[TEXT_COUNT_CAP];
	bool is_any = false;

	for (size_t i = 0; i < VARLINK_CNT_OF(kinds); i++) {
		if (kinds[i].cnt)
			fprintf(stderr, "%s%s", is_any ? ", " : "weft: skipped ",
				text_count((uint64_t)kinds[i].cnt, kinds[i].one, kinds[i].many,
					   count));
		is_any |= kinds[i].cnt != 0;
	}
	if (is_any && import->first_skipped)
		fprintf(stderr, "; for example %s",
			text_clean(import->first_skipped, clean, sizeof(clean)));
	if (import->skipped.cnt > 1)
		fprintf(stderr, "; --json lists them");
	if (is_any)
		fprintf(stderr, "\n");
}

int share_import_run(const struct invocation *inv, struct varlink_request request,
		     client_print_fn *print, const char *interrupted)
{
	struct importing importing = {.call = {.request = request,
					       .wants_more = true,
					       .reply = import_reply,
					       .on_error = import_failed,
					       .arg = &importing}};
	const struct client_reply *last = &importing.call.last;
	const struct api_import *import;
	int status;

	progress_init(&importing.progress, inv->has_terminal_err);
	client_catch_interrupt();
	status = client_call(inv, &importing.call);
	progress_clear(&importing.progress);
	if (status == STATUS_INTERRUPTED)
		fprintf(stderr, "weft: %s\n", interrupted);
	if (!last->is_last)
		return status;
	import = import_of(&importing.call, last->out);
	if (import)
		tell_skipped(import);
	if (inv->is_json)
		text_print_json(last->json);
	else
		print(inv, last->out);
	return status;
}

/* --- add --- */

static void print_added(const struct invocation *inv, const void *reply)
{
	const struct api_add_share_out *out = reply;
	const struct api_share *share = out->share;
	const char *link = out->link ? out->link : "";
	char bytes[TEXT_SHORT_CAP], files[TEXT_COUNT_CAP], clean[2][PATH_MAX];

	if (!inv->has_terminal_out || !share) {
		printf("%s\n", link);
		return;
	}
	printf("Shared %s as \"%s\": %s, %s.\n\n%s\n\nFetch it on another node:\n"
	       "  weft get '%s' --to DIR\n",
	       text_clean(share->path, clean[0], sizeof(clean[0])),
	       text_clean(share->title, clean[1], sizeof(clean[1])),
	       text_count((uint64_t)share->items, "file", "files", files),
	       text_bytes((uint64_t)share->bytes, bytes), link, link);
}

int run_share_add(struct invocation *inv)
{
	struct api_add_share_in in = {0};
	int status = command_fill(inv, API_ADD_SHARE, &in);

	/* Leaving is enough: the daemon stops an import whose caller is gone. */
	return status != STATUS_OK
		       ? status
		       : share_import_run(inv, api_add_share_request(&in), print_added,
					  "import cancelled, unless another command waits for it; "
					  "what was hashed is remembered, so the next \"weft share "
					  "add\" goes on from there");
}

/* --- list, items --- */

static void print_of_node(const struct invocation *inv, const void *reply)
{
	const struct api_list_node_shares_out *out = reply;

	table_print(inv, TABLE_ROWS(out->shares), api_view_node_share_list,
		    "it has no public shares");
	if (inv->has_terminal_out && out->shares.cnt)
		printf("\nFollow one: weft share list NODE --json prints the links for weft sub "
		       "add.\n");
	if (out->false_heads)
		fprintf(stderr,
			"weft: %" PRId64 " of what it listed is signed by no share's key, and left "
			"out\n",
			out->false_heads);
	table_tell_more(out->cursor);
}

static void print_own(const struct invocation *inv, const void *reply)
{
	const struct api_list_shares_out *out = reply;

	table_print(inv, TABLE_ROWS(out->shares), api_view_share_list,
		    "nothing is shared; weft share add DIR shares a folder, weft share new "
		    "makes a share that can be updated");
	if (inv->has_terminal_out && out->published.cnt)
		table_print(inv, TABLE_ROWS(out->published), api_view_published_share_list, "");
	if (inv->has_terminal_out && out->imports.cnt)
		table_print(inv, TABLE_ROWS(out->imports), api_view_import_list, "");
}

int run_share_list(struct invocation *inv)
{
	const struct api_list_node_shares_in in = {.node_id = inv->args[0],
						   .cursor = invocation_option(inv, "cursor")};

	if (inv->arg_cnt)
		return client_show(inv, api_list_node_shares_request(&in), print_of_node);
	if (in.cursor)
		return client_say_error(STATUS_USAGE, "--cursor", "it is for the list of a node",
					"weft share list NODE --cursor TEXT");
	return client_show(inv, api_list_shares_request(NULL), print_own);
}

struct item_row {
	struct api_share_item item;
	int64_t seeders;
};

void print_share_items(const struct invocation *inv, const void *reply)
{
	static const struct column columns[] = {
		COLUMN_OF("CONTENT", item_row, item.content_id, string, ID),
		COLUMN_OF("SIZE", item_row, item.bytes, int, BYTES),
		COLUMN_OF("SEEDERS", item_row, seeders, int, COUNT),
		COLUMN_OF("PATH", item_row, item.path, string, TEXT),
		{0},
	};
	const struct api_list_share_items_out *out = reply;
	struct item_row *rows = varlink_alloc(inv->blocks, (out->items.cnt + 1) * sizeof(*rows));

	for (size_t i = 0; rows && i < out->items.cnt; i++)
		rows[i] = (struct item_row){out->items.rows[i], out->seeders};
	table_print(inv, (struct table_rows){rows, rows ? out->items.cnt : 0, sizeof(*rows)},
		    columns, "no items");
}
