/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that a get is about to place in the folder of a followed share. A program that is
 * killed between the renames and their records later finds files without a record. This note
 * distinguishes them from the user's own. It is durable before the renames and is deleted with
 * their records.
 *
 * STORE_META "placing:" get id u64be -> of each file BLAKE3(path) 32 | content id 32 |
 * size u64be | mtime u64be | inode u64be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "get_run.h"
#include "store/store.h"
#include "blobs/get/get_state.h"
#include "blobs/blobs_state.h"

#define KEY_PREFIX     "placing:"
#define KEY_PREFIX_LEN 8
#define KEY_LEN	       (KEY_PREFIX_LEN + GET_RECORD_KEY_LEN)
#define ENTRY_LEN      88u
/* Of runs that were killed one after the other: beyond it the user is asked, by what is kept. */
#define OLD_MAX (4u * GET_RUN_RECORDS_MAX)

static void intent_key(uint64_t id, uint8_t key[static KEY_LEN])
{
	memcpy(key, KEY_PREFIX, KEY_PREFIX_LEN);
	blobs_get_record_key(id, key + KEY_PREFIX_LEN);
}

void blobs_get_run_intents_forget(struct store_batch *batch, uint64_t id)
{
	uint8_t key[KEY_LEN];

	intent_key(id, key);
	store_batch_delete(batch, STORE_META, store_key(key, sizeof(key)));
}

static void entry_write(struct writer *w, const char *path, const uint8_t *content_id,
			const struct object_stamp *stamp)
{
	uint8_t path_key[OBJECT_ID_LEN];

	blobs_object_path_key(path, path_key);
	writer_bytes(w, path_key, sizeof(path_key));
	writer_bytes(w, content_id, OBJECT_ID_LEN);
	writer_be64(w, stamp->size);
	writer_be64(w, (uint64_t)stamp->mtime_ns);
	writer_be64(w, stamp->inode);
}

/* The notes that earlier runs left, and with_new those of the files placed now. */
static int intents_put(struct get_run *get_run, struct store_batch *batch, bool with_new)
{
	const struct placing *placing = &get_run->records.sync.placing;
	size_t old_len = get_run->folder.intent_cnt * (size_t)ENTRY_LEN;
	size_t cap = old_len + (with_new ? placing->cnt * ENTRY_LEN : 0);
	uint8_t *bytes = malloc(cap ? cap : 1), key[KEY_LEN];
	struct writer w = writer_of(bytes, cap);
	char path[OBJECT_PATH_LEN_MAX];

	if (!bytes)
		return -ENOMEM;
	if (old_len)
		writer_bytes(&w, get_run->folder.intents, old_len);
	for (size_t i = 0; with_new && i < placing->cnt; i++) {
		const struct placing_file *file = &placing->files[i];

		if (!file->is_in_place &&
		    blobs_target_join(&get_run->target, blobs_placing_path(placing, file),
				      file->path_len, path) == 0)
			entry_write(&w, path, file->content_id, &file->stamp);
	}
	intent_key(get_run->get->view.id, key);
	if (writer_len(&w))
		store_batch_put(batch, STORE_META, store_key(key, sizeof(key)), bytes,
				writer_len(&w));
	else
		store_batch_delete(batch, STORE_META, store_key(key, sizeof(key)));
	free(bytes);
	return 0;
}

bool blobs_get_run_intents_are_wanted(const struct get_run *get_run)
{
	return get_run->get->view.folder && get_run->records.sync.placing.cnt > 0;
}

int blobs_get_run_intents_store(struct get_run *get_run, void (*done)(void *arg, int err))
{
	struct store *store = get_run->content->params.store;
	struct store_batch *batch = store_batch_new(store);
	int err = intents_put(get_run, batch, true);

	if (!err)
		err = store_submit(store, batch, done, get_run);
	if (err)
		store_batch_free(batch);
	return err;
}

void blobs_get_run_intents_end(struct get_run *get_run, struct store_batch *batch)
{
	/* Without memory the note stays, and says what is true. */
	if (get_run->get->view.folder)
		(void)!intents_put(get_run, batch, false);
}

/* --- what earlier runs left --- */

void blobs_get_run_intents_begin(struct get_run *get_run)
{
	const struct get *get = get_run->get, *other = NULL;

	get_run->folder.intent_ids[get_run->folder.intent_id_cnt++] = get->view.id;
	while (get_run->folder.intent_id_cnt < GET_RUN_INTENT_IDS_MAX &&
	       (other = blobs_gets_folder_other(get->gets, get, other ? other->view.id : 0)))
		get_run->folder.intent_ids[get_run->folder.intent_id_cnt++] = other->view.id;
}

static int entry_compare(const void *a, const void *b)
{
	return memcmp(a, b, OBJECT_ID_LEN);
}

static int intents_append(struct get_run *get_run, const void *bytes, size_t len)
{
	size_t cnt = len / ENTRY_LEN;
	uint8_t *grown;

	if (cnt == 0 || get_run->folder.intent_cnt + cnt > OLD_MAX)
		return 0;
	grown = realloc(get_run->folder.intents, (get_run->folder.intent_cnt + cnt) * ENTRY_LEN);
	if (!grown)
		return -ENOMEM;
	get_run->folder.intents = grown;
	memcpy(grown + get_run->folder.intent_cnt * (size_t)ENTRY_LEN, bytes, cnt * ENTRY_LEN);
	get_run->folder.intent_cnt += (uint32_t)cnt;
	return 0;
}

int blobs_get_run_intents_load(struct get_run *get_run)
{
	struct store_snapshot *snapshot;
	uint8_t key[KEY_LEN];
	const void *bytes;
	size_t len;
	int err = store_snapshot_open(get_run->content->params.store, &snapshot);

	if (err)
		return err;
	for (unsigned i = 0; i < get_run->folder.intent_id_cnt && !err; i++) {
		intent_key(get_run->folder.intent_ids[i], key);
		if (store_get(snapshot, STORE_META, store_key(key, sizeof(key)), &bytes, &len) == 0)
			err = intents_append(get_run, bytes, len);
	}
	store_snapshot_close(snapshot);
	if (get_run->folder.intent_cnt)
		qsort(get_run->folder.intents, get_run->folder.intent_cnt, ENTRY_LEN,
		      entry_compare);
	return err;
}

bool blobs_get_run_intent_find(const struct get_run *get_run, const char *path,
			       const struct object_stamp *stamp, struct object_file *out_file)
{
	uint8_t path_key[OBJECT_ID_LEN];
	const uint8_t *entry,
		*end = get_run->folder.intents + get_run->folder.intent_cnt * (size_t)ENTRY_LEN;

	if (!get_run->folder.intent_cnt)
		return false;
	blobs_object_path_key(path, path_key);
	entry = bsearch(path_key, get_run->folder.intents, get_run->folder.intent_cnt, ENTRY_LEN,
			entry_compare);
	while (entry && entry > get_run->folder.intents &&
	       entry_compare(entry - ENTRY_LEN, path_key) == 0)
		entry -= ENTRY_LEN;
	for (; entry && entry < end && entry_compare(entry, path_key) == 0; entry += ENTRY_LEN) {
		struct cursor c = cursor_of(entry + 2 * OBJECT_ID_LEN, 24);
		uint64_t size = cursor_be64(&c), mtime = cursor_be64(&c), inode = cursor_be64(&c);

		if (size != stamp->size || (int64_t)mtime != stamp->mtime_ns ||
		    inode != stamp->inode)
			continue;
		out_file->stamp = *stamp;
		memcpy(out_file->content_id, entry + OBJECT_ID_LEN, OBJECT_ID_LEN);
		/* Its bytes are hashed before they count. */
		out_file->is_racy = out_file->is_got = out_file->is_placed = true;
		memset(out_file->got_id, 0, sizeof(out_file->got_id));
		return true;
	}
	return false;
}
