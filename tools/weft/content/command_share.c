/* SPDX-License-Identifier: Apache-2.0 */
/* weft share: add, list, remove, cancel. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_path.h"
#include "content/command_share.h"
#include "print/output_table.h"
#include "print/text.h"

void share_import_begin(struct share_import *import, struct invocation *inv)
{
	*import = (struct share_import){0};
	progress_init(&import->progress, inv->has_terminal_err);
}

void share_import_end(struct share_import *import)
{
	progress_clear(&import->progress);
}

void share_import_failed(void *arg)
{
	share_import_end(arg);
}

bool share_import_reply(void *arg, json_t *reply, bool is_last)
{
	struct share_import *adding = arg;
	const json_t *import = json_object_get(reply, "import");
	struct progress_state state = {
		.verb = "hashing",
		.done = field_uint(import, "bytes_done"),
		.cnt = field_uint(import, "bytes"),
		.item_done = field_uint(import, "files_done"),
		.item_cnt = field_uint(import, "files"),
	};

	if (is_last)
		adding->last = json_incref(reply);
	else
		progress_show(&adding->progress, &state);
	return true;
}

void share_tell_skipped(const json_t *import)
{
	static const struct {
		const char *field;
		const char *one, *many;
	} kinds[] = {
		{"skipped_symlinks", "symbolic link that leads out",
		 "symbolic links that lead out"},
		{"skipped_special", "socket, pipe or device", "sockets, pipes or devices"},
		{"skipped_unreadable", "unreadable file", "unreadable files"},
		{"skipped_names", "name that is not safe UTF-8 or too deep",
		 "names that are not safe UTF-8 or too deep"},
		{"skipped_changed", "file that changed while being read",
		 "files that changed while being read"},
	};
	const char *first = field_text(import, "first_skipped");
	char clean[512], count[TEXT_COUNT_CAP];
	bool is_any = false;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint64_t cnt = field_uint(import, kinds[i].field);

		if (cnt)
			fprintf(stderr, "%s%s", is_any ? ", " : "weft: skipped ",
				text_count(cnt, kinds[i].one, kinds[i].many, count));
		is_any |= cnt != 0;
	}
	if (is_any && *first)
		fprintf(stderr, "; for example %s", text_clean(first, clean, sizeof(clean)));
	if (json_array_size(json_object_get(import, "skipped")) > 1)
		fprintf(stderr, "; --json lists them");
	if (is_any)
		fprintf(stderr, "\n");
}

static void print_added(const struct invocation *inv, const json_t *reply)
{
	const json_t *share = json_object_get(reply, "share");
	const char *link = field_text(reply, "link");
	char bytes[TEXT_SHORT_CAP], files[TEXT_COUNT_CAP], clean[2][PATH_MAX];

	if (!inv->has_terminal_out) {
		printf("%s\n", link);
		return;
	}
	printf("Shared %s as \"%s\": %s, %s.\n\n%s\n\nFetch it on another node:\n"
	       "  weft get '%s' --to DIR\n",
	       text_clean(field_text(share, "path"), clean[0], sizeof(clean[0])),
	       text_clean(field_text(share, "title"), clean[1], sizeof(clean[1])),
	       text_count(field_uint(share, "items"), "file", "files", files),
	       text_bytes(field_uint(share, "bytes"), bytes), link, link);
}

int run_share_add(struct invocation *inv)
{
	const char *title = invocation_option(inv, "title");
	char path[PATH_MAX];
	struct share_import adding;
	struct client_call call = {.method = "AddShare",
				   .wants_more = true,
				   .reply = share_import_reply,
				   .on_error = share_import_failed,
				   .arg = &adding};
	int status;

	if (!path_existing(inv->args[0], path))
		return client_say_error(STATUS_NOT_FOUND, inv->args[0], path,
					"Name a folder or a file that is there.");
	share_import_begin(&adding, inv);
	call.parameters = json_pack("{s:s}", "path", path);
	if (!call.parameters)
		return client_say_error(STATUS_USAGE, inv->args[0], "the path is not UTF-8",
					"Rename it first.");
	if (title)
		(void)json_object_set_new(call.parameters, "title", json_string(title));
	client_catch_interrupt();
	status = client_call(inv, &call);
	share_import_end(&adding);
	/* Leaving is enough: the daemon stops an import whose caller is gone. */
	if (status == STATUS_INTERRUPTED)
		fprintf(stderr, "weft: import cancelled, unless another command waits for it; "
				"what was hashed is remembered, so the next \"weft share add\" "
				"goes on from there\n");
	if (status == STATUS_OK && adding.last) {
		share_tell_skipped(json_object_get(adding.last, "import"));
		if (inv->is_json)
			text_print_json(adding.last);
		else
			print_added(inv, adding.last);
	}
	json_decref(adding.last);
	return status;
}

static void print_of_node(const struct invocation *inv, const json_t *reply)
{
	uint64_t false_cnt = field_uint(reply, "false_heads");

	table_print(inv, json_object_get(reply, "shares"), api_view_node_share_list,
		    "it shares nothing with everybody");
	if (inv->has_terminal_out && json_array_size(json_object_get(reply, "shares")))
		printf("\nFollow one: weft share list NODE --json prints the links for weft sub "
		       "add.\n");
	if (false_cnt)
		fprintf(stderr,
			"weft: %" PRIu64 " of what it listed is signed by no share's key, and left "
			"out\n",
			false_cnt);
	table_tell_more(reply);
}

static int list_of_node(struct invocation *inv)
{
	const char *cursor = invocation_option(inv, "cursor");

	return client_show(inv, "ListNodeShares",
			   json_pack("{s:s, s:s*}", "node_id", inv->args[0], "cursor", cursor),
			   print_of_node);
}

static int list_own(struct invocation *inv)
{
	json_t *reply;
	int status = client_ask(inv, "ListShares", NULL, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json) {
		text_print_json(reply);
	} else {
		table_print(inv, json_object_get(reply, "shares"), api_view_share_list,
			    "nothing is shared; weft share add DIR shares a folder, weft share new "
			    "makes a share that can be updated");
		if (inv->has_terminal_out && json_array_size(json_object_get(reply, "published")))
			table_print(inv, json_object_get(reply, "published"),
				    api_view_published_share_list, "");
		if (inv->has_terminal_out && json_array_size(json_object_get(reply, "imports")))
			table_print(inv, json_object_get(reply, "imports"), api_view_import_list,
				    "");
	}
	json_decref(reply);
	return STATUS_OK;
}

int run_share_list(struct invocation *inv)
{
	if (inv->arg_cnt)
		return list_of_node(inv);
	if (invocation_option(inv, "cursor"))
		return client_say_error(STATUS_USAGE, "--cursor", "it is for the list of a node",
					"weft share list NODE --cursor TEXT");
	return list_own(inv);
}

int run_share_cancel(struct invocation *inv)
{
	uint64_t id;
	json_t *reply;
	int status;

	if (!text_parse_count(inv->args[0], &id))
		return client_say_error(STATUS_USAGE, inv->args[0], "not the number of an import",
					"weft share list shows the numbers.");
	status = client_ask(inv, "CancelImport", json_pack("{s:I}", "import_id", (json_int_t)id),
			    &reply);
	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	json_decref(reply);
	return STATUS_OK;
}
