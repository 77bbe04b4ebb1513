/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AddShare, ListShares, RemoveShare, CancelImport.
 *
 * A caller that asks for what is being imported already joins that import. Each
 * has a record here, in a list on the node, until blobs/ says that it is
 * done. The last caller to leave takes the import back.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/utf8.h"
#include "codec/text/zbase32.h"
#include "blobs/blobs.h"
#include "blobs/link.h"
#include "api/methods.h"
#include "method_publish.h"

struct import_caller {
	struct import_caller *next;
	struct import_record *record;
	struct control_call *call;
};

struct import_record {
	struct import_record *next;
	struct api *api;
	struct import_caller *callers;
	struct blobs_import import;
	bool is_cancelled; /* no caller joins it any more */
	char *path;
	char *title; /* NULL: the path's last part */
};

struct api_import api_import(struct varlink_blocks *blocks, const struct blobs_import *import,
			     const char *path)
{
	struct api_import row = {
		.import_id = api_uint(import->id),
		.path = path,
		.files = api_uint(import->file_cnt),
		.files_done = api_uint(import->file_done_cnt),
		.files_reused = api_uint(import->reused_cnt),
		.bytes = api_uint(import->byte_cnt),
		.bytes_done = api_uint(import->byte_done_cnt),
		.skipped_symlinks = api_uint(import->skipped_symlink_cnt),
		.skipped_special = api_uint(import->skipped_special_cnt),
		.skipped_unreadable = api_uint(import->skipped_unreadable_cnt),
		.skipped_names = api_uint(import->skipped_name_cnt),
		.skipped_changed = api_uint(import->skipped_changed_cnt),
		.first_skipped = import->first_skipped[0] ? import->first_skipped : NULL,
	};

	for (uint32_t at = 0; at < import->skipped_len;
	     at += (uint32_t)strlen(import->skipped + at) + 1)
		varlink_push(blocks, &row.skipped, import->skipped + at);
	return row;
}

static const char *link_text(struct varlink_blocks *blocks, const struct api *api,
			     const uint8_t manifest_id[static 32])
{
	struct link link = {.kind = LINK_COLLECTION};
	char text[LINK_TEXT_CAP];

	memcpy(link.manifest_id, manifest_id, sizeof(link.manifest_id));
	memcpy(link.node_key, api->own_key, sizeof(link.node_key));
	api->own_places(api->ctx, &link.places);
	return varlink_text(blocks, blobs_link_write(&link, text));
}

static struct api_share share_row(struct varlink_blocks *blocks, const struct api *api,
				  const struct blobs_share *share)
{
	return (struct api_share){
		.collection_id = api_id(blocks, share->manifest_id),
		.link = link_text(blocks, api, share->manifest_id),
		.path = varlink_text(blocks, share->path),
		.title = varlink_text(blocks, share->title),
		.added_s = api_uint(share->added_s),
		.items = api_uint(share->item_cnt),
		.bytes = api_uint(share->byte_cnt),
		.served_bytes = api_uint(share->served_byte_cnt),
		.changed_files = api_uint(share->changed_cnt),
		.bad_files = api_uint(share->bad_cnt),
		.published = share->is_published,
	};
}

/* The first share of that collection. */
static bool share_lookup(struct api *api, const uint8_t manifest_id[static 32],
			 struct blobs_share *out_share)
{
	struct blobs_share_iter iter = {.content = api->home->content};

	while (blobs_shares_next(&iter, out_share))
		if (memcmp(out_share->manifest_id, manifest_id, 32) == 0)
			return true;
	return false;
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
	struct import_record **at = &record->api->imports;
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

void api_imports_forget(struct api *api)
{
	while (api->imports)
		import_forget(api->imports);
}

static int import_cancel(struct import_record *record)
{
	int err = blobs_import_cancel(record->api->home->content, record->import.id);

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

static struct import_record *import_find(struct api *api, const char *path, const char *title)
{
	struct import_record *record = api->imports;

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
			api_reply_more(caller->call, add_share,
				       .import = api_import(control_blocks(caller->call), import,
							    record->path));
	}
}

static void import_reply(struct import_record *record, struct control_call *call, int err,
			 const char *detail)
{
	struct varlink_blocks *blocks = control_blocks(call);
	struct blobs_share share;
	struct api_share row;
	bool is_there;

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
		is_there = share_lookup(record->api, record->import.manifest_id, &share);
		if (is_there)
			row = share_row(blocks, record->api, &share);
		api_reply(call, add_share,
			  .import = api_import(blocks, &record->import, record->path),
			  .link = link_text(blocks, record->api, record->import.manifest_id),
			  .share = is_there ? &row : NULL);
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
		import_reply(record, call, err, detail);
	}
	import_forget(record);
}

static struct import_record *import_record_make(struct api *api, const char *path,
						const char *title)
{
	struct import_record *record = calloc(1, sizeof(*record));

	if (!record)
		return NULL;
	record->api = api;
	record->path = strdup(path);
	record->title = title ? strdup(title) : NULL;
	if (!record->path || (title && !record->title)) {
		import_forget(record);
		return NULL;
	}
	record->next = api->imports;
	api->imports = record;
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

void api_add_share(struct api *api, struct control_call *call, const struct api_add_share_in *in,
		   uint64_t now_ns)
{
	struct blobs_share_ask ask = {
		.path = in->path,
		.title = in->title,
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
	record = import_find(api, ask.path, ask.title);
	if (record && (err = import_join(record, call)) < 0)
		add_refuse(call, &ask, err);
	if (record)
		return;
	record = import_record_make(api, ask.path, ask.title);
	if (!record) {
		add_refuse(call, &ask, -ENOMEM);
		return;
	}
	ask.arg = record;
	err = blobs_share_add(api->home->content, &ask, now_ns, &record->import.id);
	if (err < 0) {
		import_forget(record);
		add_refuse(call, &ask, err);
	} else if ((err = import_join(record, call)) < 0) {
		(void)import_cancel(record);
		add_refuse(call, &ask, err);
	}
}

void api_list_shares(struct api *api, struct control_call *call,
		     const struct api_list_shares_in *in, uint64_t now_ns)
{
	struct varlink_blocks *blocks = control_blocks(call);
	struct blobs_share_iter iter = {.content = api->home->content};
	struct api_import_list imports = {0};
	struct api_share_list shares = {0};
	struct blobs_share share;

	(void)in, (void)now_ns;
	while (blobs_shares_next(&iter, &share))
		varlink_push(blocks, &shares, share_row(blocks, api, &share));
	for (struct import_record *record = api->imports; record; record = record->next)
		varlink_push(blocks, &imports, api_import(blocks, &record->import, record->path));
	api_reply(call, list_shares, .shares = shares, .imports = imports,
		  .published = api_published_shares(blocks, api));
}

/* A collection id may be cut to this many letters, as share list does. */
#define SHARE_PREFIX_LEN_MIN 8

/* How many shares have ids that begin with text, 2 at most; the last one's id. */
static unsigned prefix_match(struct api *api, const char *text, uint8_t manifest_id[static 32])
{
	struct blobs_share_iter iter = {.content = api->home->content};
	struct blobs_share share;
	unsigned found_cnt = 0;

	while (found_cnt < 2 && blobs_shares_next(&iter, &share)) {
		char id[ZBASE32_KEY_TEXT_CAP];

		zbase32_write(share.manifest_id, sizeof(share.manifest_id), id);
		if (strncasecmp(id, text, strlen(text)) == 0) {
			memcpy(manifest_id, share.manifest_id, sizeof(share.manifest_id));
			found_cnt++;
		}
	}
	return found_cnt;
}

/* A share is named by its link, its collection id or the beginning of that. */
bool api_share_read(struct api *api, struct control_call *call, const char *name,
		    uint8_t manifest_id[static 32])
{
	unsigned found_cnt = 0;
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
		found_cnt = prefix_match(api, name, manifest_id);
	if (found_cnt != 1)
		control_fail(call, found_cnt ? WEFT_EMALFORMED : WEFT_EABSENT, name,
			     found_cnt ? "several shares begin with that"
				       : "neither a share's name, nor a link, nor an id",
			     "copy one from weft share list; 8 letters of an id are enough");
	return found_cnt == 1;
}

struct removal {
	struct control_call *call;
	uint8_t manifest_id[32];
};

static void removal_done(void *arg, int err)
{
	struct removal *removal = arg;

	if (removal->call && err < 0)
		control_fail(removal->call, err, "share", weft_err_text(err),
			     "the share is still there: try again");
	else if (removal->call)
		api_reply(removal->call, remove_share,
			  .collection_id =
				  api_id(control_blocks(removal->call), removal->manifest_id));
	free(removal);
}

/* A share may stand there beside a published one of the same collection. */
static bool is_published(struct api *api, const uint8_t manifest_id[static 32])
{
	struct blobs_share_iter iter = {.content = api->home->content};
	struct blobs_share share;

	while (blobs_shares_next(&iter, &share))
		if (share.is_published && memcmp(share.manifest_id, manifest_id, 32) == 0)
			return true;
	return false;
}

void api_remove_share(struct api *api, struct control_call *call,
		      const struct api_remove_share_in *in, uint64_t now_ns)
{
	const char *name = in->share;
	struct removal *removal = calloc(1, sizeof(*removal));
	int err;

	(void)now_ns;
	if (!removal) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return;
	}
	if (!api_share_read(api, call, name, removal->manifest_id)) {
		free(removal);
		return;
	}
	if (is_published(api, removal->manifest_id)) {
		control_fail(call, WEFT_EREFUSED, name, "it is a revision of a published share",
			     "weft share retire NAME or weft share revoke NAME ends the share");
		free(removal);
		return;
	}
	control_hold(call, &removal->call);
	err = blobs_share_remove(api->home->content, removal->manifest_id, removal_done, removal);
	if (err == 0)
		return;
	control_fail(call, err, name,
		     err == WEFT_EABSENT ? "this node does not share it" : weft_err_text(err),
		     "weft share list shows what is shared");
	free(removal);
}

void api_cancel_import(struct api *api, struct control_call *call,
		       const struct api_cancel_import_in *in, uint64_t now_ns)
{
	struct import_record *record = api->imports;
	char what[32];
	int err;

	(void)now_ns;
	while (record && record->import.id != (uint64_t)in->import_id)
		record = record->next;
	err = record ? import_cancel(record) : WEFT_EABSENT;
	snprintf(what, sizeof(what), "import %" PRIi64, in->import_id);
	if (err < 0)
		control_fail(call, err, what, "no import of that number is running",
			     "weft share list shows those that run");
	else
		api_reply(call, cancel_import);
}
