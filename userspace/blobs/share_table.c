/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of shares. A row of STORE_SHARES, deterministic CBOR:
 *	{0 path, 1 title, 2 added s, 3 items, 4 bytes, 5 true: it is published,
 *	 6 paths below it, if not all (import/import.h)}
 * The manifests themselves are blobs; the ids of a root's parts are read
 * from it at start.
 */
#include "share_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "codec/cbor_fields.h"
#include "blobs/blobs_state.h"
#include "blobs/import/import.h"
#include "blobs/manifest/manifest.h"
#include "blobs/object.h"
#include "blobs/serve/served_index.h"
#include "blobs/serve/serve.h"
#include "store/store.h"

#define SHARE_ROW_CAP (OBJECT_PATH_LEN_MAX + MANIFEST_TITLE_CAP + ONLY_CAP + 64)

struct share {
	struct shares *shares;
	struct share *next; /* of those listed */
	uint8_t manifest_id[32];
	char *path;
	char *title;
	char *only; /* "": all of path */
	uint8_t *part_ids;
	size_t part_cnt;
	uint64_t added_s;
	uint64_t item_cnt;
	uint64_t byte_cnt;
	uint64_t served_byte_cnt;
	uint64_t changed_cnt;
	uint64_t bad_cnt; /* as of the last report */
	bool is_published;
	bool is_leaving;   /* a removal was submitted */
	bool has_replaced; /* it is being added in the place of replaced_id */
	uint8_t replaced_id[32];
	void (*done)(void *arg, int err); /* of the add or removal under way */
	void *arg;
};

struct shares {
	struct blobs *content;
	struct share *first;
	uint32_t cnt; /* listed and being added */
};

static void share_free(struct share *share)
{
	if (!share)
		return;
	free(share->path);
	free(share->title);
	free(share->only);
	free(share->part_ids);
	free(share);
}

static struct share *share_find(const struct shares *shares, const uint8_t *manifest_id)
{
	struct share *share = shares->first;

	while (share && memcmp(share->manifest_id, manifest_id, 32) != 0)
		share = share->next;
	return share;
}

static struct share *share_make(struct shares *shares, const struct share_ask *ask)
{
	struct share *share = calloc(1, sizeof(*share));

	if (!share)
		return NULL;
	share->shares = shares;
	memcpy(share->manifest_id, ask->manifest_id, 32);
	share->path = strdup(ask->path);
	share->title = strdup(ask->title);
	share->only = strdup(ask->only ? ask->only : "");
	share->added_s = ask->added_s;
	share->item_cnt = ask->item_cnt;
	share->byte_cnt = ask->byte_cnt;
	share->part_cnt = ask->part_cnt;
	share->is_published = ask->is_published;
	share->has_replaced =
		ask->replaced_id && memcmp(ask->replaced_id, ask->manifest_id, 32) != 0;
	if (share->has_replaced)
		memcpy(share->replaced_id, ask->replaced_id, 32);
	if (ask->part_cnt) {
		share->part_ids = malloc(ask->part_cnt * 32);
		if (share->part_ids)
			memcpy(share->part_ids, ask->part_ids, ask->part_cnt * 32);
	}
	if (!share->path || !share->title || !share->only || (ask->part_cnt && !share->part_ids)) {
		share_free(share);
		return NULL;
	}
	return share;
}

/* --- reading at start --- */

struct share_row {
	char path[OBJECT_PATH_LEN_MAX], title[MANIFEST_TITLE_CAP], only[ONLY_CAP];
	uint64_t added_s, item_cnt, byte_cnt;
	bool is_published;
};
static const struct cbor_field row_fields[] = {
	{0, CBOR_FIELD_TEXT, CBOR_USUAL, CBOR_AT(struct share_row, path)},
	{1, CBOR_FIELD_TEXT, CBOR_USUAL, CBOR_AT(struct share_row, title)},
	{2, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct share_row, added_s)},
	{3, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct share_row, item_cnt)},
	{4, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct share_row, byte_cnt)},
	{5, CBOR_FIELD_BOOL, CBOR_OPTIONAL, CBOR_AT(struct share_row, is_published)},
	{6, CBOR_FIELD_TEXT, CBOR_OPTIONAL, CBOR_AT(struct share_row, only)},
};
static const struct cbor_table row_table = {CBOR_FIELDS(row_fields)};

/* parts_load reads a share's manifest for the ids of its parts; a lost one has none. */
static int parts_load(struct store *store, struct share *share)
{
	struct stored_manifest root;
	int err = blobs_stored_manifest_load(store, share->manifest_id, &root);

	if (err < 0)
		return err == -ENOMEM ? err : 0;
	err = blobs_manifest_part_ids(root.manifest, &share->part_ids);
	if (err == 0)
		share->part_cnt = root.manifest->part_cnt;
	blobs_stored_manifest_fini(&root);
	return err;
}

static int share_load(struct shares *shares, const struct store_item *item)
{
	struct share_row row = {.path = ""};
	struct share *share;

	if (item->key_len != 32 ||
	    cbor_fields_parse(item->value, item->value_len, &row_table, &row) < 0 ||
	    row.path[0] != '/')
		return WEFT_EDAMAGED;
	share = share_make(shares, &(struct share_ask){.manifest_id = item->key,
						       .path = row.path,
						       .title = row.title,
						       .only = row.only,
						       .added_s = row.added_s,
						       .item_cnt = row.item_cnt,
						       .byte_cnt = row.byte_cnt,
						       .is_published = row.is_published});
	if (!share)
		return -ENOMEM;
	share->next = shares->first;
	shares->first = share;
	shares->cnt++;
	return parts_load(shares->content->params.store, share);
}

static int shares_load(struct shares *shares)
{
	struct store_iter iter =
		store_iter_fresh(shares->content->params.store, STORE_SHARES, STORE_ALL);
	struct store_item item;

	while (store_iter_next(&iter, &item))
		iter.err = share_load(shares, &item);
	return store_iter_end(&iter);
}

static int bad_load(struct shares *shares);

int blobs_shares_new(struct blobs *content, struct shares **out_shares)
{
	struct shares *shares = calloc(1, sizeof(*shares));
	int err;

	if (!shares)
		return -ENOMEM;
	shares->content = content;
	err = shares_load(shares);
	if (err == 0)
		err = bad_load(shares);
	if (err < 0) {
		blobs_shares_free(shares);
		return err;
	}
	*out_shares = shares;
	return 0;
}

void blobs_shares_stop(struct shares *shares)
{
	for (struct share *share = shares ? shares->first : NULL; share; share = share->next)
		share->done = NULL;
}

void blobs_shares_free(struct shares *shares)
{
	if (!shares)
		return;
	while (shares->first) {
		struct share *share = shares->first;

		shares->first = share->next;
		share_free(share);
	}
	free(shares);
}

/* --- asking --- */

uint32_t blobs_shares_cnt(const struct shares *shares)
{
	return shares->cnt;
}

bool blobs_shares_has_manifest(const struct shares *shares, const uint8_t id[static 32])
{
	for (const struct share *share = shares->first; share; share = share->next) {
		if (memcmp(share->manifest_id, id, 32) == 0)
			return true;
		for (size_t i = 0; i < share->part_cnt; i++)
			if (memcmp(share->part_ids + 32 * i, id, 32) == 0)
				return true;
	}
	return false;
}

static bool share_covers(const struct share *share, const char *path)
{
	size_t len = strlen(share->path);

	if (strncmp(share->path, path, len) != 0)
		return false;
	return path[len] == '\0' || path[len] == '/' || (len == 1 && path[0] == '/');
}

/* The whole path, or what of it was chosen. */
static int share_fill_places(const struct share *share, struct served_index *served_index)
{
	const char *at = share->only, *line;
	char path[OBJECT_PATH_LEN_MAX + ONLY_CAP];
	size_t len;
	int err = 0;

	if (!*at)
		return blobs_served_index_add_share(served_index, share->path, share->manifest_id);
	while (err == 0 && (line = blobs_only_next(&at, &len))) {
		snprintf(path, sizeof(path), "%s/%.*s", share->path[1] ? share->path : "", (int)len,
			 line);
		err = blobs_served_index_add_share(served_index, path, share->manifest_id);
	}
	return err;
}

int blobs_shares_fill_served(const struct shares *shares, struct served_filling *filling)
{
	struct served_index *served_index = filling->served_index;
	int err = 0;

	for (const struct share *share = shares->first; share && !err; share = share->next) {
		int (*add)(struct served_index *served_index, const uint8_t id[static 32]) =
			share->changed_cnt ? blobs_served_index_add_manifest
					   : blobs_served_index_add_whole;

		err = blobs_scope_set(filling, share->manifest_id);
		if (!err)
			err = share_fill_places(share, served_index);
		if (!err)
			err = add(served_index, share->manifest_id);
		for (size_t i = 0; i < share->part_cnt && !err; i++)
			err = add(served_index, share->part_ids + 32 * i);
	}
	return err;
}

void blobs_shares_note_served(struct shares *shares, const uint8_t manifest_id[static 32],
			      uint64_t len)
{
	struct share *share = share_find(shares, manifest_id);

	if (share)
		share->served_byte_cnt += len;
}

void blobs_shares_note_changed(struct shares *shares, const char *path)
{
	for (struct share *share = shares->first; share; share = share->next) {
		if (!share_covers(share, path))
			continue;
		if (share->changed_cnt++ == 0)
			blobs_served_changed(shares->content); /* it is whole no more */
		blobs_tell(shares->content, &(struct blobs_event){.kind = BLOBS_FILE_CHANGED,
								  .manifest_id = share->manifest_id,
								  .err = WEFT_ECHANGED,
								  .text = path});
	}
}

void blobs_shares_note_mended(struct shares *shares, const char *path)
{
	for (struct share *share = shares->first; share; share = share->next)
		if (share_covers(share, path) && share->changed_cnt && --share->changed_cnt == 0)
			blobs_served_changed(shares->content);
}

/* A file that was bad when this node ended still is: its share is not whole. */
static int bad_load(struct shares *shares)
{
	const struct object_file *file;
	struct object_bad_iter iter;

	blobs_object_bad_begin(&iter, shares->content->params.store, NULL);
	while ((file = blobs_object_bad_next(&iter)))
		for (struct share *share = shares->first; share; share = share->next)
			share->changed_cnt += share_covers(share, file->path);
	return blobs_object_bad_end(&iter);
}

static void bad_count(struct shares *shares)
{
	const struct object_file *file;
	struct object_bad_iter iter;

	for (struct share *share = shares->first; share; share = share->next)
		share->bad_cnt = 0;
	if (!shares->first)
		return;
	blobs_object_bad_begin(&iter, shares->content->params.store, NULL);
	while ((file = blobs_object_bad_next(&iter)))
		for (struct share *share = shares->first; share; share = share->next)
			share->bad_cnt += share_covers(share, file->path);
	/* A check of the store names what cannot be read. */
	(void)!blobs_object_bad_end(&iter);
}

bool blobs_shares_added_s(const struct blobs *content, const char *path, uint64_t *out_added_s)
{
	for (const struct share *share = content->shares->first; share; share = share->next) {
		if (!share->is_published && strcmp(share->path, path) == 0) {
			*out_added_s = share->added_s;
			return true;
		}
	}
	return false;
}

bool blobs_shares_next(struct blobs_share_iter *iter, struct blobs_share *out_share)
{
	struct shares *shares = iter->content->shares;
	const struct share *share = iter->at ? iter->at->next : shares->first;

	if (!iter->at) {
		blobs_collect_served(iter->content);
		bad_count(shares);
	}
	iter->at = share;
	if (!share)
		return false;
	*out_share = (struct blobs_share){
		.path = share->path,
		.title = share->title,
		.added_s = share->added_s,
		.item_cnt = share->item_cnt,
		.byte_cnt = share->byte_cnt,
		.served_byte_cnt = share->served_byte_cnt,
		.changed_cnt = share->changed_cnt,
		.bad_cnt = share->bad_cnt,
		.is_published = share->is_published,
	};
	memcpy(out_share->manifest_id, share->manifest_id, 32);
	return true;
}

/* --- adding and removing --- */

static size_t row_write(const struct share *share, uint8_t bytes[static SHARE_ROW_CAP])
{
	struct writer w = writer_of(bytes, SHARE_ROW_CAP);
	struct share_row row = {.added_s = share->added_s,
				.item_cnt = share->item_cnt,
				.byte_cnt = share->byte_cnt,
				.is_published = share->is_published};

	snprintf(row.path, sizeof(row.path), "%s", share->path);
	snprintf(row.title, sizeof(row.title), "%s", share->title);
	snprintf(row.only, sizeof(row.only), "%s", share->only);
	cbor_fields_write(&w, &row_table, &row);
	return writer_len(&w);
}

static void share_unlist(struct share *share)
{
	struct share **link = &share->shares->first;

	while (*link != share)
		link = &(*link)->next;
	*link = share->next;
	share->shares->cnt--;
}

/* The revision before goes, and what was counted for it goes on. */
static void share_replace(struct share *share)
{
	struct share *former = share_find(share->shares, share->replaced_id);

	if (!share->has_replaced || !former || former->is_leaving)
		return;
	share->served_byte_cnt = former->served_byte_cnt;
	share_unlist(former);
	share_free(former);
}

/* An add of what is listed already keeps its counters and takes the newer row. */
static void share_added(void *arg, int err)
{
	struct share *share = arg;
	struct shares *shares = share->shares;
	struct share *known = share_find(shares, share->manifest_id);
	void (*done)(void *arg, int err) = share->done;
	void *done_arg = share->arg;

	if (err == 0)
		blobs_collect_served(shares->content);
	if (err == 0 && !known) {
		share_replace(share);
		share->next = shares->first;
		shares->first = share;
		blobs_served_changed(shares->content);
		blobs_tell(shares->content, &(struct blobs_event){.kind = BLOBS_SHARE_ADDED,
								  .manifest_id = share->manifest_id,
								  .text = share->path});
	} else {
		if (err == 0) {
			char *path = known->path, *only = known->only;

			known->path = share->path;
			share->path = path;
			known->only = share->only;
			share->only = only;
			known->changed_cnt = 0; /* all of it was looked at */
			blobs_served_changed(shares->content);
		}
		shares->cnt--;
		share_free(share);
	}
	done(done_arg, err);
}

/* Every file that a new revision has was hashed for it; one that it has not is missed no more. */
static void bad_drop(const struct share *share, struct store_batch *batch)
{
	const struct object_file *file;
	struct object_bad_iter iter;

	blobs_object_bad_begin(&iter, share->shares->content->params.store, NULL);
	while ((file = blobs_object_bad_next(&iter)))
		if (share_covers(share, file->path))
			blobs_object_bad_delete(batch, file);
	(void)!blobs_object_bad_end(&iter);
}

int blobs_shares_add(struct blobs *content, struct store_batch *batch, const struct share_ask *ask,
		     void (*done)(void *arg, int err), void *arg)
{
	struct shares *shares = content->shares;
	uint8_t row[SHARE_ROW_CAP];
	struct share *share;
	int err;

	if (!ask->replaced_id && shares->cnt >= shares->content->params.config.share_cap)
		return WEFT_EFULL;
	share = share_make(shares, ask);
	if (!share)
		return -ENOMEM;
	share->done = done;
	share->arg = arg;
	if (share->has_replaced)
		store_batch_delete(batch, STORE_SHARES, store_key(share->replaced_id, 32));
	store_batch_put(batch, STORE_SHARES, store_key(share->manifest_id, 32), row,
			row_write(share, row));
	bad_drop(share, batch);
	err = store_submit(shares->content->params.store, batch, share_added, share);
	if (err < 0) {
		share_free(share);
		return err;
	}
	shares->cnt++;
	return 0;
}

/* share_drop ends it: peers may not read it any more. */
static void share_drop(struct share *share)
{
	struct blobs *content = share->shares->content;

	share_unlist(share);
	blobs_served_changed(content);
	blobs_serve_forget_files(content->serve);
	blobs_tell(content, &(struct blobs_event){.kind = BLOBS_SHARE_REMOVED,
						  .manifest_id = share->manifest_id,
						  .text = share->path});
	share_free(share);
}

void blobs_shares_put_removal(struct store_batch *batch, const uint8_t manifest_id[static 32])
{
	store_batch_delete(batch, STORE_SHARES, store_key(manifest_id, 32));
}

void blobs_shares_forget(struct blobs *content, const uint8_t manifest_id[static 32])
{
	struct share *share = share_find(content->shares, manifest_id);

	/* One that is being removed is dropped by that. */
	if (share && !share->is_leaving)
		share_drop(share);
}

static void share_removed(void *arg, int err)
{
	struct share *share = arg;
	void (*done)(void *arg, int err) = share->done;
	void *done_arg = share->arg;

	share->is_leaving = false;
	if (err == 0)
		share_drop(share);
	if (done)
		done(done_arg, err);
}

int blobs_share_remove(struct blobs *content, const uint8_t manifest_id[static 32],
		       void (*done)(void *arg, int err), void *arg)
{
	struct share *share = share_find(content->shares, manifest_id);
	struct store_batch *batch;
	int err;

	if (!share || share->is_leaving)
		return WEFT_EABSENT;
	batch = store_batch_new(content->params.store);
	blobs_shares_put_removal(batch, manifest_id);
	share->done = done;
	share->arg = arg;
	err = store_submit(content->params.store, batch, share_removed, share);
	if (err < 0)
		store_batch_free(batch);
	share->is_leaving = err == 0;
	return err;
}
