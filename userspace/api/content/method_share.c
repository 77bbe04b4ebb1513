/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AddShare, ListShares, RemoveShare, CancelImport, PlanGc, RunGc.
 *
 * Whoever asks for what is being imported already joins that import. Each
 * has a record here, in a list on the node, until blobs/ says that it is
 * done. The last caller to leave takes the import back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/utf8.h"
#include "codec/zbase32.h"
#include "blobs/blobs.h"
#include "blobs/link.h"
#include "api/methods.h"

struct import_caller {
	struct import_caller *next;
	struct import_record *record;
	struct control_call *call;
};

struct import_record {
	struct import_record *next;
	struct node *node;
	struct import_caller *callers;
	struct blobs_import import;
	bool is_cancelled; /* nobody joins it any more */
	char *path;
	char *title; /* NULL: the path's last part */
};

/* json_any_text: a name may have bytes that are no UTF-8; they become question marks. */
static json_t *json_any_text(const char *text)
{
	char copy[BLOBS_SKIPPED_LEN];
	size_t len = strlen(text);

	if (utf8_is_valid(text, len))
		return json_string(text);
	for (size_t i = 0; i <= len; i++)
		copy[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	return json_string(copy);
}

static json_t *json_skipped(const struct blobs_import *import)
{
	json_t *list = json_array();

	for (uint32_t at = 0; at < import->skipped_len;
	     at += (uint32_t)strlen(import->skipped + at) + 1)
		json_array_append_new(list, json_any_text(import->skipped + at));
	return list;
}

json_t *api_json_import(const struct blobs_import *import, const char *path)
{
	json_t *json = json_pack(
		"{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "import_id",
		api_json_uint(import->id), "path", path, "files", api_json_uint(import->file_cnt),
		"files_done", api_json_uint(import->file_done_cnt), "files_reused",
		api_json_uint(import->reused_cnt), "bytes", api_json_uint(import->byte_cnt),
		"bytes_done", api_json_uint(import->byte_done_cnt), "skipped_symlinks",
		api_json_uint(import->skipped_symlink_cnt), "skipped_special",
		api_json_uint(import->skipped_special_cnt), "skipped_unreadable",
		api_json_uint(import->skipped_unreadable_cnt), "skipped_names",
		api_json_uint(import->skipped_name_cnt), "skipped_changed",
		api_json_uint(import->skipped_changed_cnt));

	if (import->first_skipped[0])
		json_object_set_new(json, "first_skipped", json_string(import->first_skipped));
	json_object_set_new(json, "skipped", json_skipped(import));
	return json;
}

static json_t *link_json(const struct node *node, const uint8_t manifest_id[static 32])
{
	struct link link = {.kind = LINK_COLLECTION, .addr_cnt = (uint8_t)node->advertised_cnt};
	char text[LINK_TEXT_CAP];

	memcpy(link.manifest_id, manifest_id, sizeof(link.manifest_id));
	memcpy(link.node_key, node->own_key, sizeof(link.node_key));
	memcpy(link.addrs, node->advertised, node->advertised_cnt * sizeof(link.addrs[0]));
	return json_string(blobs_link_write(&link, text));
}

static json_t *share_json(const struct node *node, const struct blobs_share *share)
{
	return json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "collection_id",
			 api_json_id(share->manifest_id), "link",
			 link_json(node, share->manifest_id), "path", share->path, "title",
			 share->title, "added_s", api_json_uint(share->added_s), "items",
			 api_json_uint(share->item_cnt), "bytes", api_json_uint(share->byte_cnt),
			 "served_bytes", api_json_uint(share->served_byte_cnt), "changed_files",
			 api_json_uint(share->changed_cnt), "bad_files",
			 api_json_uint(share->bad_cnt), "published", share->is_published);
}

struct share_search {
	const struct node *node;
	const uint8_t *manifest_id; /* NULL: collect all */
	json_t *found;
};

static bool share_collect(void *arg, const struct blobs_share *share)
{
	struct share_search *search = arg;

	if (!search->manifest_id)
		json_array_append_new(search->found, share_json(search->node, share));
	else if (memcmp(share->manifest_id, search->manifest_id, 32) == 0)
		search->found = share_json(search->node, share);
	return !search->manifest_id || !search->found;
}

static void caller_forget(struct import_caller *caller)
{
	struct import_caller **at = &caller->record->callers;

	while (*at != caller)
		at = &(*at)->next;
	*at = caller->next;
	free(caller);
}

static void import_forget(struct import_record *record)
{
	struct import_record **at = &record->node->imports;
	struct import_caller *caller;

	while (*at && *at != record)
		at = &(*at)->next;
	if (*at)
		*at = record->next;
	while ((caller = record->callers)) {
		record->callers = caller->next;
		free(caller);
	}
	free(record->path);
	free(record->title);
	free(record);
}

void api_imports_forget(struct node *node)
{
	while (node->imports)
		import_forget(node->imports);
}

static int import_cancel(struct import_record *record)
{
	int err = blobs_import_cancel(record->node->home.content, record->import.id);

	record->is_cancelled |= err == 0;
	return err;
}

static void import_caller_left(void *arg)
{
	struct import_caller *caller = arg;
	struct import_record *record = caller->record;

	caller_forget(caller);
	if (!record->callers)
		(void)import_cancel(record); /* too late: it is being saved, and stays */
}

/* import_join makes call wait for record's import; 0 or -ENOMEM. */
static int import_join(struct import_record *record, struct control_call *call)
{
	struct import_caller *caller = calloc(1, sizeof(*caller));

	if (!caller)
		return -ENOMEM;
	caller->record = record;
	caller->call = call;
	caller->next = record->callers;
	record->callers = caller;
	control_on_gone(call, import_caller_left, caller);
	return 0;
}

static bool text_is_same(const char *left, const char *right)
{
	return left && right ? strcmp(left, right) == 0 : left == right;
}

static struct import_record *import_find(struct node *node, const char *path, const char *title)
{
	struct import_record *record = node->imports;

	while (record && (record->is_cancelled || strcmp(record->path, path) != 0 ||
			  !text_is_same(record->title, title)))
		record = record->next;
	return record;
}

static void import_progress(void *arg, const struct blobs_import *import)
{
	struct import_record *record = arg;
	struct import_caller *next;

	record->import = *import;
	for (struct import_caller *caller = record->callers; caller; caller = next) {
		next = caller->next;
		if (control_wants_more(caller->call))
			control_reply_more(caller->call, json_pack("{s:o}", "import",
								   api_json_import(&record->import,
										   record->path)));
	}
}

static void import_reply(struct import_record *record, struct control_call *call, int err,
			 const char *detail)
{
	struct share_search search = {record->node, record->import.manifest_id, NULL};

	if (err == WEFT_ECANCELLED) {
		control_fail(call, err, record->path, "the import was cancelled",
			     "what was hashed is kept: share the folder again to go on");
	} else if (err == WEFT_EUNSAFE) {
		control_fail(call, err, record->path, detail,
			     "name a folder or a regular file that the daemon's user may read");
	} else if (err < 0) {
		control_fail(call, err, record->path, detail,
			     "mend that and share it again; what was hashed is kept");
	} else {
		blobs_shares_each(record->node->home.content, share_collect, &search);
		control_reply(call,
			      json_pack("{s:o, s:o, s:o*}", "import",
					api_json_import(&record->import, record->path), "link",
					link_json(record->node, record->import.manifest_id),
					"share", search.found));
	}
}

static void import_done(void *arg, int err, const struct blobs_import *import, const char *detail)
{
	struct import_record *record = arg;

	record->import = *import;
	while (record->callers) {
		struct import_caller *caller = record->callers;
		struct control_call *call = caller->call;

		record->callers = caller->next;
		free(caller);
		control_on_gone(call, NULL, NULL);
		import_reply(record, call, err, detail);
	}
	import_forget(record);
}

static struct import_record *import_record_make(struct node *node, const char *path,
						const char *title)
{
	struct import_record *record = calloc(1, sizeof(*record));

	if (!record)
		return NULL;
	record->node = node;
	record->path = strdup(path);
	record->title = title ? strdup(title) : NULL;
	if (!record->path || (title && !record->title)) {
		import_forget(record);
		return NULL;
	}
	record->next = node->imports;
	node->imports = record;
	return record;
}

static void add_refuse(struct control_call *call, const struct blobs_share_ask *ask, int err)
{
	if (err == WEFT_EMALFORMED && ask->title)
		control_fail(call, err, "title", "it is empty, too long or has control characters",
			     "give another with --title");
	else if (err == -ENOMEM)
		control_fail(call, err, ask->path, "no memory", "free some and try again");
	else
		control_fail(call, err, ask->path, weft_err_text(err),
			     err == WEFT_EFULL ? "wait for a running import, or raise "
						 "content.share_cap (weft limits show)"
					       : "check that the path exists and is readable by "
						 "the daemon's user");
}

void api_add_share(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	struct blobs_share_ask ask = {
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
	record = import_find(node, ask.path, ask.title);
	if (record && (err = import_join(record, call)) < 0)
		add_refuse(call, &ask, err);
	if (record)
		return;
	record = import_record_make(node, ask.path, ask.title);
	if (!record) {
		add_refuse(call, &ask, -ENOMEM);
		return;
	}
	ask.arg = record;
	err = blobs_share_add(node->home.content, &ask, now_ns, &record->import.id);
	if (err < 0) {
		import_forget(record);
		add_refuse(call, &ask, err);
	} else if ((err = import_join(record, call)) < 0) {
		(void)import_cancel(record);
		add_refuse(call, &ask, err);
	}
}

void api_list_shares(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;
	struct share_search search = {node, NULL, json_array()};
	json_t *imports = json_array();

	(void)parameters, (void)now_ns;
	blobs_shares_each(node->home.content, share_collect, &search);
	for (struct import_record *record = node->imports; record; record = record->next)
		json_array_append_new(imports, api_json_import(&record->import, record->path));
	control_reply(call, json_pack("{s:o, s:o, s:o}", "shares", search.found, "imports", imports,
				      "published", api_json_published_shares(node)));
}

/* A collection id may be cut to this many letters, as share list does. */
#define SHARE_PREFIX_LEN_MIN 8

struct share_prefix {
	const char *text;
	unsigned found_cnt;
	uint8_t *manifest_id;
};

static bool share_match(void *arg, const struct blobs_share *share)
{
	struct share_prefix *prefix = arg;
	char text[ZBASE32_KEY_TEXT_CAP];

	zbase32_write(share->manifest_id, 32, text);
	if (strncasecmp(text, prefix->text, strlen(prefix->text)) == 0) {
		memcpy(prefix->manifest_id, share->manifest_id, 32);
		prefix->found_cnt++;
	}
	return prefix->found_cnt < 2;
}

/* A share is named by its link, its collection id or the beginning of that. */
bool api_share_read(struct node *node, struct control_call *call, const char *name,
		    uint8_t manifest_id[static 32])
{
	struct share_prefix prefix = {.text = name, .manifest_id = manifest_id};
	size_t len = strlen(name);
	struct link link;
	int err;

	if (strncasecmp(name, "mesh:", 5) == 0) {
		err = blobs_link_parse(name, &link);
		if (err < 0)
			api_fail_link(call, err, name, "give the link that weft share add printed");
		else
			memcpy(manifest_id, link.manifest_id, 32);
		return err == 0;
	}
	if (len == ZBASE32_TEXT_LEN(32) && zbase32_parse(name, len, manifest_id, 32) == 32)
		return true;
	if (len >= SHARE_PREFIX_LEN_MIN)
		blobs_shares_each(node->home.content, share_match, &prefix);
	if (prefix.found_cnt != 1)
		control_fail(call, prefix.found_cnt ? WEFT_EMALFORMED : WEFT_EABSENT, name,
			     prefix.found_cnt ? "several shares begin with that"
					      : "neither a share's name, nor a link, nor an id",
			     "copy one from weft share list; 8 letters of an id are enough");
	return prefix.found_cnt == 1;
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
						       api_json_id(removal->manifest_id)));
	free(removal);
}

struct published_search {
	const uint8_t *manifest_id;
	bool is_published;
};

static bool published_look(void *arg, const struct blobs_share *share)
{
	struct published_search *search = arg;

	if (memcmp(share->manifest_id, search->manifest_id, 32) == 0)
		search->is_published = share->is_published;
	return !search->is_published;
}

static bool is_published(struct node *node, const uint8_t *manifest_id)
{
	struct published_search search = {manifest_id, false};

	blobs_shares_each(node->home.content, published_look, &search);
	return search.is_published;
}

void api_remove_share(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = json_string_value(json_object_get(parameters, "share"));
	struct removal *removal = calloc(1, sizeof(*removal));
	int err;

	(void)now_ns;
	if (!removal) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return;
	}
	if (!api_share_read(node, call, name, removal->manifest_id)) {
		free(removal);
		return;
	}
	if (is_published(node, removal->manifest_id)) {
		control_fail(call, WEFT_EREFUSED, name, "it is a revision of a published share",
			     "weft share retire NAME or weft share revoke NAME ends the share");
		free(removal);
		return;
	}
	removal->call = call;
	control_on_gone(call, removal_caller_left, removal);
	err = blobs_share_remove(node->home.content, removal->manifest_id, removal_done, removal);
	if (err == 0)
		return;
	control_on_gone(call, NULL, NULL);
	control_fail(call, err, name,
		     err == WEFT_EABSENT ? "this node does not share it" : weft_err_text(err),
		     "weft share list shows what is shared");
	free(removal);
}

void api_cancel_import(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	struct node *node = ctx;
	json_int_t id = json_integer_value(json_object_get(parameters, "import_id"));
	struct import_record *record = node->imports;
	char what[32];
	int err;

	(void)now_ns;
	while (record && record->import.id != (uint64_t)id)
		record = record->next;
	err = record ? import_cancel(record) : WEFT_EABSENT;
	snprintf(what, sizeof(what), "import %" JSON_INTEGER_FORMAT, id);
	if (err < 0)
		control_fail(call, err, what, "no import of that number is running",
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

static void collection_done(void *arg, int err, const struct blobs_gc *gc)
{
	struct collection *collection = arg;

	if (collection->call && err < 0)
		control_fail(collection->call, err, "garbage collection", weft_err_text(err),
			     "nothing that is referred to was touched; try again");
	else if (collection->call)
		control_reply(collection->call,
			      json_pack("{s:{s:o, s:o, s:o, s:o}}",
					collection->is_run ? "freed" : "unreferenced", "objects",
					api_json_uint(gc->object_cnt), "blobs",
					api_json_uint(gc->blob_cnt), "paths",
					api_json_uint(gc->path_cnt), "bytes",
					api_json_uint(gc->byte_cnt)));
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
		err = blobs_gc(node->home.content, is_run, collection_done, collection);
		if (err == 0)
			return;
		control_on_gone(call, NULL, NULL);
	}
	control_fail(call, err, "garbage collection", weft_err_text(err),
		     "one may be running already: wait for it");
	free(collection);
}

void api_plan_gc(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	(void)parameters, (void)now_ns;
	collection_start(ctx, call, false);
}

void api_run_gc(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	(void)parameters, (void)now_ns;
	collection_start(ctx, call, true);
}
