/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a get is about to place in the folder of a followed share. A program that is killed
 * between the renames and their records finds files there that no record knows: by this note they
 * are told from the user's own. It is durable before the renames, and goes with their records.
 *
 * STORE_META "placing:" get id u64be -> of each file BLAKE3(path) 32 | content id 32 |
 * size u64be | mtime u64be | inode u64be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "content/get/fetch.h"
#include "store/store.h"

#define KEY_PREFIX     "placing:"
#define KEY_PREFIX_LEN 8
#define KEY_LEN	       (KEY_PREFIX_LEN + GET_RECORD_KEY_LEN)
#define ENTRY_LEN      88u
/* Of runs that were killed one after the other: beyond it the user is asked, by what is kept. */
#define OLD_MAX (4u * FETCH_RECORDS_MAX)

static void intent_key(uint64_t id, uint8_t key[static KEY_LEN])
{
	memcpy(key, KEY_PREFIX, KEY_PREFIX_LEN);
	get_record_key(id, key + KEY_PREFIX_LEN);
}

void fetch_intents_forget(struct store_batch *batch, uint64_t id)
{
	uint8_t key[KEY_LEN];

	intent_key(id, key);
	store_batch_delete(batch, STORE_META, key, sizeof(key));
}

static void entry_write(struct writer *w, const char *path, const uint8_t *content_id,
			const struct object_stamp *stamp)
{
	uint8_t path_key[OBJECT_ID_LEN];

	object_path_key(path, path_key);
	writer_bytes(w, path_key, sizeof(path_key));
	writer_bytes(w, content_id, OBJECT_ID_LEN);
	writer_be64(w, stamp->size);
	writer_be64(w, (uint64_t)stamp->mtime_ns);
	writer_be64(w, stamp->inode);
}

/* What earlier runs left, and with_new what is placed now. */
static int intents_put(struct fetch *fetch, struct store_batch *batch, bool with_new)
{
	const struct placing *placing = &fetch->sync.placing;
	size_t old_len = fetch->intent_cnt * (size_t)ENTRY_LEN;
	size_t cap = old_len + (with_new ? placing->cnt * ENTRY_LEN : 0);
	uint8_t *bytes = malloc(cap ? cap : 1), key[KEY_LEN];
	struct writer w = writer_of(bytes, cap);
	char path[OBJECT_PATH_LEN_MAX];

	if (!bytes)
		return -ENOMEM;
	if (old_len)
		writer_bytes(&w, fetch->intents, old_len);
	for (size_t i = 0; with_new && i < placing->cnt; i++) {
		const struct placing_file *file = &placing->files[i];

		if (!file->is_in_place && target_join(&fetch->target, placing_path(placing, file),
						      file->path_len, path) == 0)
			entry_write(&w, path, file->content_id, &file->stamp);
	}
	intent_key(fetch->get->view.id, key);
	if (writer_len(&w))
		store_batch_put(batch, STORE_META, key, sizeof(key), bytes, writer_len(&w));
	else
		store_batch_delete(batch, STORE_META, key, sizeof(key));
	free(bytes);
	return 0;
}

bool fetch_intents_are_wanted(const struct fetch *fetch)
{
	return fetch->get->view.folder && fetch->sync.placing.cnt > 0;
}

int fetch_intents_store(struct fetch *fetch, void (*done)(void *arg, int err))
{
	struct store *store = fetch->content->params.store;
	struct store_batch *batch = store_batch_new(store);
	int err = intents_put(fetch, batch, true);

	if (!err)
		err = store_submit(store, batch, done, fetch);
	if (err)
		store_batch_free(batch);
	return err;
}

void fetch_intents_end(struct fetch *fetch, struct store_batch *batch)
{
	/* Without memory the note stays, and says what is true. */
	if (fetch->get->view.folder)
		(void)!intents_put(fetch, batch, false);
}

/* --- what earlier runs left --- */

void fetch_intents_begin(struct fetch *fetch)
{
	const struct get *get = fetch->get, *other = NULL;

	fetch->intent_ids[fetch->intent_id_cnt++] = get->view.id;
	while (fetch->intent_id_cnt < FETCH_INTENT_IDS_MAX &&
	       (other = gets_folder_other(get->gets, get, other ? other->view.id : 0)))
		fetch->intent_ids[fetch->intent_id_cnt++] = other->view.id;
}

static int entry_compare(const void *a, const void *b)
{
	return memcmp(a, b, OBJECT_ID_LEN);
}

static int intents_append(struct fetch *fetch, const void *bytes, size_t len)
{
	size_t cnt = len / ENTRY_LEN;
	uint8_t *grown;

	if (cnt == 0 || fetch->intent_cnt + cnt > OLD_MAX)
		return 0;
	grown = realloc(fetch->intents, (fetch->intent_cnt + cnt) * ENTRY_LEN);
	if (!grown)
		return -ENOMEM;
	fetch->intents = grown;
	memcpy(grown + fetch->intent_cnt * (size_t)ENTRY_LEN, bytes, cnt * ENTRY_LEN);
	fetch->intent_cnt += (uint32_t)cnt;
	return 0;
}

int fetch_intents_load(struct fetch *fetch)
{
	struct store_snapshot *snapshot;
	uint8_t key[KEY_LEN];
	const void *bytes;
	size_t len;
	int err = store_snapshot_open(fetch->content->params.store, &snapshot);

	if (err)
		return err;
	for (unsigned i = 0; i < fetch->intent_id_cnt && !err; i++) {
		intent_key(fetch->intent_ids[i], key);
		if (store_get(snapshot, STORE_META, key, sizeof(key), &bytes, &len) == 0)
			err = intents_append(fetch, bytes, len);
	}
	store_snapshot_close(snapshot);
	if (fetch->intent_cnt)
		qsort(fetch->intents, fetch->intent_cnt, ENTRY_LEN, entry_compare);
	return err;
}

bool fetch_intent_find(const struct fetch *fetch, const char *path,
		       const struct object_stamp *stamp, struct object_file *out_file)
{
	uint8_t path_key[OBJECT_ID_LEN];
	const uint8_t *entry, *end = fetch->intents + fetch->intent_cnt * (size_t)ENTRY_LEN;

	if (!fetch->intent_cnt)
		return false;
	object_path_key(path, path_key);
	entry = bsearch(path_key, fetch->intents, fetch->intent_cnt, ENTRY_LEN, entry_compare);
	while (entry && entry > fetch->intents && entry_compare(entry - ENTRY_LEN, path_key) == 0)
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
