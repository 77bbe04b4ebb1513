/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AddShare, ListShares, RemoveShare, CancelImport, PlanGc, RunGc. An import
 * outlives the caller that asked for it, so each has a record here, in a
 * list on the node, until content/ says it is done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/zbase32.h"
#include "content/content.h"
#include "content/link.h"
#include "node/methods.h"

struct import_record {
	struct import_record *next;
	struct node *node;
	struct control_call *call; /* NULL: the caller left */
	struct content_import import;
	char *path;
};

static json_t *import_json(const struct import_record *record)
{
	const struct content_import *import = &record->import;
	json_t *json = json_pack(
		"{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "import_id",
		method_json_uint(import->id), "path", record->path, "files",
		method_json_uint(import->file_cnt), "files_done",
		method_json_uint(import->file_done_cnt), "files_reused",
		method_json_uint(import->reused_cnt), "bytes", method_json_uint(import->byte_cnt),
		"bytes_done", method_json_uint(import->byte_done_cnt), "skipped_symlinks",
		method_json_uint(import->skipped_symlink_cnt), "skipped_special",
		method_json_uint(import->skipped_special_cnt), "skipped_unreadable",
		method_json_uint(import->skipped_unreadable_cnt), "skipped_names",
		method_json_uint(import->skipped_name_cnt), "skipped_changed",
		method_json_uint(import->skipped_changed_cnt));

	if (import->first_skipped[0])
		json_object_set_new(json, "first_skipped", json_string(import->first_skipped));
	return json;
}

static json_t *link_json(const struct node *node, const uint8_t manifest_id[static 32])
{
	struct link link = {.kind = LINK_COLLECTION, .addr_cnt = (uint8_t)node->advertised_cnt};
	char text[LINK_TEXT_CAP];

	memcpy(link.manifest_id, manifest_id, sizeof(link.manifest_id));
	memcpy(link.node_key, node->own_key, sizeof(link.node_key));
	memcpy(link.addrs, node->advertised, node->advertised_cnt * sizeof(link.addrs[0]));
	return json_string(link_write(&link, text));
}

static json_t *share_json(const struct node *node, const struct content_share *share)
{
	return json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "collection_id",
			 method_json_id(share->manifest_id), "link",
			 link_json(node, share->manifest_id), "path", share->path, "title",
			 share->title, "added_s", method_json_uint(share->added_s), "items",
			 method_json_uint(share->item_cnt), "bytes",
			 method_json_uint(share->byte_cnt), "served_bytes",
			 method_json_uint(share->served_byte_cnt), "changed_files",
			 method_json_uint(share->changed_cnt));
}

struct share_search {
	const struct node *node;
	const uint8_t *manifest_id; /* NULL: collect all */
	json_t *found;
};

static bool share_collect(void *arg, const struct content_share *share)
{
	struct share_search *search = arg;

	if (!search->manifest_id)
		json_array_append_new(search->found, share_json(search->node, share));
	else if (memcmp(share->manifest_id, search->manifest_id, 32) == 0)
		search->found = share_json(search->node, share);
	return !search->manifest_id || !search->found;
}

static void import_forget(struct import_record *record)
{
	struct import_record **at = &record->node->imports;

	while (*at && *at != record)
		at = &(*at)->next;
	if (*at)
		*at = record->next;
	free(record->path);
	free(record);
}

void method_imports_forget(struct node *node)
{
	while (node->imports)
		import_forget(node->imports);
}

static void import_caller_left(void *arg)
{
	((struct import_record *)arg)->call = NULL;
}

static void import_progress(void *arg, const struct content_import *import)
{
	struct import_record *record = arg;

	record->import = *import;
	if (record->call && control_wants_more(record->call))
		control_reply_more(record->call, json_pack("{s:o}", "import", import_json(record)));
}

static void import_reply(struct import_record *record, int err, const char *detail)
{
	struct share_search search = {record->node, record->import.manifest_id, NULL};

	if (err == WEFT_ECANCELLED) {
		control_fail(record->call, err, record->path, "the import was cancelled",
			     "what was hashed is kept: share the folder again to go on");
	} else if (err == WEFT_EUNSAFE) {
		control_fail(record->call, err, record->path, detail,
			     "name a folder or a regular file that the daemon's user may read");
	} else if (err < 0) {
		control_fail(record->call, err, record->path, detail,
			     "mend that and share it again; what was hashed is kept");
	} else {
		content_shares_each(record->node->content, share_collect, &search);
		control_reply(record->call,
			      json_pack("{s:o, s:o, s:o*}", "import", import_json(record), "link",
					link_json(record->node, record->import.manifest_id),
					"share", search.found));
	}
}

static void import_done(void *arg, int err, const struct content_import *import, const char *detail)
{
	struct import_record *record = arg;

	record->import = *import;
	if (record->call)
		import_reply(record, err, detail);
	import_forget(record);
}

void method_add_share(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;
	struct content_share_ask ask = {
		.path = json_string_value(json_object_get(parameters, "path")),
		.title = json_string_value(json_object_get(parameters, "title")),
		.progress = import_progress,
		.done = import_done,
	};
	struct import_record *record;
	int err;

	if (ask.path[0] != '/') {
		control_fail(call, WEFT_EMALFORMED, ask.path, "the path is not absolute",
			     "give the full path, beginning with /");
		return;
	}
	record = calloc(1, sizeof(*record));
	if (!record || !(record->path = strdup(ask.path))) {
		free(record);
		control_fail(call, -ENOMEM, ask.path, "no memory", "free some and try again");
		return;
	}
	record->node = node;
	record->call = call;
	record->next = node->imports;
	node->imports = record;
	ask.arg = record;
	err = content_share_add(node->content, &ask, now_ns, &record->import.id);
	if (err == WEFT_EMALFORMED && ask.title) {
		control_fail(call, err, "title", "it is empty, too long or has control characters",
			     "give another with --title");
		import_forget(record);
		return;
	}
	if (err < 0) {
		control_fail(call, err, ask.path, weft_err_text(err),
			     err == WEFT_EFULL ? "wait for a running import, or raise "
						 "content.share_cap (weft limits show)"
					       : "check that the path exists and is readable by "
						 "the daemon's user");
		import_forget(record);
		return;
	}
	control_on_gone(call, import_caller_left, record);
}

void method_list_shares(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	struct node *node = ctx;
	struct share_search search = {node, NULL, json_array()};
	json_t *imports = json_array();

	(void)parameters, (void)now_ns;
	content_shares_each(node->content, share_collect, &search);
	for (struct import_record *record = node->imports; record; record = record->next)
		json_array_append_new(imports, import_json(record));
	control_reply(call, json_pack("{s:o, s:o}", "shares", search.found, "imports", imports));
}

/* A share is named by its link or by its collection id. */
static int share_name_parse(const char *text, uint8_t manifest_id[static 32])
{
	struct link link;
	int err;

	if (strlen(text) == ZBASE32_TEXT_LEN(32))
		return zbase32_parse(text, strlen(text), manifest_id, 32) == 32 ? 0
										: WEFT_EMALFORMED;
	if ((err = link_parse(text, &link)) == 0)
		memcpy(manifest_id, link.manifest_id, 32);
	return err;
}

struct removal {
	struct control_call *call;
	uint8_t manifest_id[32];
};

static void removal_caller_left(void *arg)
{
	((struct removal *)arg)->call = NULL;
}

static void removal_done(void *arg, int err)
{
	struct removal *removal = arg;

	if (removal->call && err < 0)
		control_fail(removal->call, err, "share", weft_err_text(err),
			     "the share is still there: try again");
	else if (removal->call)
		control_reply(removal->call, json_pack("{s:o}", "collection_id",
						       method_json_id(removal->manifest_id)));
	free(removal);
}

void method_remove_share(void *ctx, struct control_call *call, const json_t *parameters,
			 uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = json_string_value(json_object_get(parameters, "share"));
	struct removal *removal = calloc(1, sizeof(*removal));
	int err = removal ? share_name_parse(name, removal->manifest_id) : -ENOMEM;

	(void)now_ns;
	if (err < 0) {
		if (strncasecmp(name, "mesh:", 5) == 0)
			method_fail_link(call, err, name);
		else
			control_fail(call, err, name, "neither a link nor a collection id",
				     "copy one from weft share list");
		free(removal);
		return;
	}
	removal->call = call;
	control_on_gone(call, removal_caller_left, removal);
	err = content_share_remove(node->content, removal->manifest_id, removal_done, removal);
	if (err == 0)
		return;
	control_on_gone(call, NULL, NULL);
	control_fail(call, err, name,
		     err == WEFT_EABSENT ? "this node does not share it" : weft_err_text(err),
		     "weft share list shows what is shared");
	free(removal);
}

void method_cancel_import(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	struct node *node = ctx;
	json_int_t id = json_integer_value(json_object_get(parameters, "import_id"));
	int err = content_import_cancel(node->content, (uint64_t)id);

	(void)now_ns;
	if (err < 0)
		control_fail(call, err, "import", "no import of that number is running",
			     "weft share list shows those that run");
	else
		control_reply(call, NULL);
}

struct collection {
	struct control_call *call;
	bool is_run;
};

static void collection_caller_left(void *arg)
{
	((struct collection *)arg)->call = NULL;
}

static void collection_done(void *arg, int err, const struct content_gc *gc)
{
	struct collection *collection = arg;

	if (collection->call && err < 0)
		control_fail(collection->call, err, "garbage collection", weft_err_text(err),
			     "nothing that is referred to was touched; try again");
	else if (collection->call)
		control_reply(collection->call,
			      json_pack("{s:{s:o, s:o, s:o, s:o}}",
					collection->is_run ? "freed" : "unreferenced", "objects",
					method_json_uint(gc->object_cnt), "blobs",
					method_json_uint(gc->blob_cnt), "paths",
					method_json_uint(gc->path_cnt), "bytes",
					method_json_uint(gc->byte_cnt)));
	free(collection);
}

static void collection_start(struct node *node, struct control_call *call, bool is_run)
{
	struct collection *collection = calloc(1, sizeof(*collection));
	int err = -ENOMEM;

	if (collection) {
		collection->call = call;
		collection->is_run = is_run;
		control_on_gone(call, collection_caller_left, collection);
		err = content_gc(node->content, is_run, collection_done, collection);
		if (err == 0)
			return;
		control_on_gone(call, NULL, NULL);
	}
	control_fail(call, err, "garbage collection", weft_err_text(err),
		     "one may be running already: wait for it");
	free(collection);
}

void method_plan_gc(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	(void)parameters, (void)now_ns;
	collection_start(ctx, call, false);
}

void method_run_gc(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	(void)parameters, (void)now_ns;
	collection_start(ctx, call, true);
}
