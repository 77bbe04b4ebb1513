/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of objects and of the files that hold them. Path records are
 * binary with a version byte:
 *	version u8 1 | flags u8 (1: racy, 2: got, 4: placed) | content id 32 | size u64be |
 *	mtime ns u64be | ctime ns u64be | inode u64be | device u64be |
 *	the collection it was got as a part of 32, with flag 2 | path
 * and those of bad files are the same.
 */
#include "object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "blobs/manifest/manifest.h"
#include "crypto/blake3/blake3.h"
#include "store/store.h"

#define FILE_VERSION	 1
#define FILE_FLAG_RACY	 1
#define FILE_FLAG_GOT	 2
#define FILE_FLAG_PLACED 4
#define FILE_RECORD_CAP	 (OBJECT_PATH_LEN_MAX + 128)
#define LOCATION_KEY_LEN (2 * OBJECT_ID_LEN)

/* Some file systems keep times that nanoseconds cannot say: cut, and so never old. */
static int64_t timespec_ns(const struct timespec *ts)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)ts->tv_sec, (int64_t)NS_PER_S, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)ts->tv_nsec, &ns))
		return ts->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

void blobs_object_stamp_of(const struct stat *st, struct object_stamp *out_stamp)
{
	*out_stamp = (struct object_stamp){
		.size = (uint64_t)st->st_size,
		.mtime_ns = timespec_ns(&st->st_mtim),
		.ctime_ns = timespec_ns(&st->st_ctim),
		.inode = st->st_ino,
		.dev = st->st_dev,
	};
}

bool blobs_object_stamp_equal(const struct object_stamp *a, const struct object_stamp *b)
{
	return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
	       a->inode == b->inode;
}

/* File systems keep times in ticks, of up to 2 s (FAT). */
#define TICK_NS_MAX 2000000000ll

bool blobs_object_stamp_is_racy(const struct object_stamp *stamp, int64_t wall_ns)
{
	return stamp->mtime_ns >= wall_ns - TICK_NS_MAX || stamp->ctime_ns >= wall_ns - TICK_NS_MAX;
}

void blobs_object_path_key(const char *path, uint8_t key[static OBJECT_ID_LEN])
{
	blake3_hash(path, strlen(path), key);
}

static size_t file_write(const struct object_file *file, uint8_t record[static FILE_RECORD_CAP])
{
	struct writer w = writer_of(record, FILE_RECORD_CAP);

	writer_u8(&w, FILE_VERSION);
	writer_u8(&w, (uint8_t)((file->is_racy ? FILE_FLAG_RACY : 0) |
				(file->is_got ? FILE_FLAG_GOT : 0) |
				(file->is_placed ? FILE_FLAG_PLACED : 0)));
	writer_bytes(&w, file->content_id, OBJECT_ID_LEN);
	writer_be64(&w, file->stamp.size);
	writer_be64(&w, (uint64_t)file->stamp.mtime_ns);
	writer_be64(&w, (uint64_t)file->stamp.ctime_ns);
	writer_be64(&w, file->stamp.inode);
	writer_be64(&w, file->stamp.dev);
	if (file->is_got)
		writer_bytes(&w, file->got_id, OBJECT_ID_LEN);
	writer_bytes(&w, file->path, strlen(file->path));
	return writer_len(&w);
}

int blobs_object_file_parse(const void *record, size_t len, struct object_file *out_file)
{
	struct cursor c = cursor_of(record, len);
	uint8_t version = cursor_u8(&c);
	uint8_t flags = cursor_u8(&c);
	size_t path_len;

	out_file->is_racy = flags & FILE_FLAG_RACY;
	out_file->is_got = flags & FILE_FLAG_GOT;
	out_file->is_placed = flags & FILE_FLAG_PLACED;
	cursor_copy(&c, out_file->content_id, OBJECT_ID_LEN);
	out_file->stamp.size = cursor_be64(&c);
	out_file->stamp.mtime_ns = (int64_t)cursor_be64(&c);
	out_file->stamp.ctime_ns = (int64_t)cursor_be64(&c);
	out_file->stamp.inode = cursor_be64(&c);
	out_file->stamp.dev = cursor_be64(&c);
	if (out_file->is_got)
		cursor_copy(&c, out_file->got_id, OBJECT_ID_LEN);
	path_len = cursor_left(&c);
	if (c.bad || version != FILE_VERSION || path_len >= sizeof(out_file->path) ||
	    memchr(c.pos, '\0', path_len))
		return WEFT_EDAMAGED;
	cursor_copy(&c, out_file->path, path_len);
	out_file->path[path_len] = '\0';
	return 0;
}

static void location_key(const struct object_file *file, uint8_t key[static LOCATION_KEY_LEN])
{
	memcpy(key, file->content_id, OBJECT_ID_LEN);
	blobs_object_path_key(file->path, key + OBJECT_ID_LEN);
}

/* --- bad ones --- */

#define BAD_PREFIX     "bad-file:"
#define BAD_PREFIX_LEN 9

static void bad_key(const uint8_t *path_key, uint8_t key[static OBJECT_BAD_KEY_LEN])
{
	memcpy(key, BAD_PREFIX, BAD_PREFIX_LEN);
	memcpy(key + BAD_PREFIX_LEN, path_key, OBJECT_ID_LEN);
}

void blobs_object_bad_begin(struct object_bad_iter *iter, struct store *store, const uint8_t *from)
{
	static const uint8_t first[OBJECT_ID_LEN];

	bad_key(from ? from : first, iter->key);
	iter->rows = store_iter_fresh(store, STORE_META, store_key(iter->key, sizeof(iter->key)));
}

const struct object_file *blobs_object_bad_next(struct object_bad_iter *iter)
{
	struct store_item item;

	if (!store_iter_next(&iter->rows, &item) || item.key_len != OBJECT_BAD_KEY_LEN ||
	    memcmp(item.key, BAD_PREFIX, BAD_PREFIX_LEN) != 0)
		return NULL;
	iter->rows.err = blobs_object_file_parse(item.value, item.value_len, &iter->file);
	return iter->rows.err ? NULL : &iter->file;
}

int blobs_object_bad_end(struct object_bad_iter *iter)
{
	return store_iter_end(&iter->rows);
}

int blobs_object_bad_put(struct store *store, struct store_batch *batch,
			 const struct object_file *file)
{
	uint8_t key[OBJECT_BAD_KEY_LEN], path_key[OBJECT_ID_LEN], record[FILE_RECORD_CAP];
	struct object_bad_iter iter;
	unsigned cnt = 0;
	int err;

	blobs_object_bad_begin(&iter, store, NULL);
	while (blobs_object_bad_next(&iter))
		cnt++;
	err = blobs_object_bad_end(&iter);
	if (err < 0 || cnt >= OBJECT_BAD_MAX)
		return err < 0 ? err : WEFT_EFULL;
	blobs_object_path_key(file->path, path_key);
	bad_key(path_key, key);
	store_batch_put(batch, STORE_META, store_key(key, sizeof(key)), record,
			file_write(file, record));
	return 0;
}

bool blobs_object_is_bad(struct store_snapshot *snapshot,
			 const uint8_t path_key[static OBJECT_ID_LEN])
{
	uint8_t key[OBJECT_BAD_KEY_LEN];
	const void *record;
	size_t len;

	bad_key(path_key, key);
	return store_get(snapshot, STORE_META, store_key(key, sizeof(key)), &record, &len) == 0;
}

void blobs_object_bad_delete(struct store_batch *batch, const struct object_file *file)
{
	uint8_t key[OBJECT_BAD_KEY_LEN], path_key[OBJECT_ID_LEN];

	blobs_object_path_key(file->path, path_key);
	bad_key(path_key, key);
	store_batch_delete(batch, STORE_META, store_key(key, sizeof(key)));
}

bool blobs_object_has_hashes(struct store_snapshot *snapshot, const struct object_file *file)
{
	const void *ids;
	size_t len;

	return file->stamp.size <= BLAKE3_CHUNK_LEN ||
	       store_get(snapshot, STORE_OUTBOARDS, store_key(file->content_id, OBJECT_ID_LEN),
			 &ids, &len) == 0;
}

void blobs_object_file_put(struct store_batch *batch, const struct object_file *file,
			   const struct object_file *known)
{
	uint8_t key[LOCATION_KEY_LEN], bad[OBJECT_BAD_KEY_LEN], record[FILE_RECORD_CAP];
	size_t len = file_write(file, record);

	if (known && memcmp(known->content_id, file->content_id, OBJECT_ID_LEN) != 0) {
		location_key(known, key);
		store_batch_delete(batch, STORE_OBJECTS, store_key(key, sizeof(key)));
	}
	location_key(file, key);
	bad_key(key + OBJECT_ID_LEN, bad);
	store_batch_delete(batch, STORE_META, store_key(bad, sizeof(bad)));
	store_batch_put(batch, STORE_PATHS, store_key(key + OBJECT_ID_LEN, OBJECT_ID_LEN), record,
			len);
	store_batch_put(batch, STORE_OBJECTS, store_key(key, sizeof(key)), "", 0);
}

static bool is_as_hashed(const struct object_file *file, const struct object_file *known)
{
	return blobs_object_stamp_equal(&file->stamp, &known->stamp) &&
	       memcmp(file->content_id, known->content_id, OBJECT_ID_LEN) == 0;
}

void blobs_object_file_trust(struct store *store, const struct object_file *file)
{
	struct store_snapshot *snapshot;
	struct store_batch *batch;
	struct object_file known;
	int err;

	if (store_snapshot_open(store, &snapshot) < 0)
		return;
	err = blobs_object_file_get(snapshot, file->path, &known);
	store_snapshot_close(snapshot);
	if (err || !is_as_hashed(file, &known))
		return;
	known.is_racy = false;
	batch = store_batch_new(store);
	blobs_object_file_put(batch, &known, &known);
	/* Not recorded, it is verified again some time. */
	if (store_submit(store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
}

void blobs_object_file_forget(struct store_batch *batch, const struct object_file *file)
{
	uint8_t key[LOCATION_KEY_LEN];

	location_key(file, key);
	store_batch_delete(batch, STORE_PATHS, store_key(key + OBJECT_ID_LEN, OBJECT_ID_LEN));
	store_batch_delete(batch, STORE_OBJECTS, store_key(key, sizeof(key)));
}

int blobs_object_file_at(struct store_snapshot *snapshot,
			 const uint8_t path_key[static OBJECT_ID_LEN], struct object_file *out_file)
{
	const void *record;
	size_t len;
	int err =
		store_get(snapshot, STORE_PATHS, store_key(path_key, OBJECT_ID_LEN), &record, &len);

	return err < 0 ? err : blobs_object_file_parse(record, len, out_file);
}

int blobs_object_file_get(struct store_snapshot *snapshot, const char *path,
			  struct object_file *out_file)
{
	uint8_t key[OBJECT_ID_LEN];

	blobs_object_path_key(path, key);
	return blobs_object_file_at(snapshot, key, out_file);
}

void blobs_object_locations_begin(struct object_locations *locations,
				  struct store_snapshot *snapshot, const uint8_t *content_id)
{
	locations->content_id = content_id;
	locations->rows = store_iter(snapshot, STORE_OBJECTS, store_key(content_id, OBJECT_ID_LEN));
}

/* A row whose path record names other content is left over and not passed on. */
const struct object_file *blobs_object_locations_next(struct object_locations *locations)
{
	struct store_iter *rows = &locations->rows;
	const uint8_t *id = locations->content_id;
	struct object_file *file = &locations->file;
	struct store_item item;

	while (store_iter_next(rows, &item) && memcmp(item.key, id, OBJECT_ID_LEN) == 0) {
		int err = blobs_object_file_at(rows->snapshot, item.key + OBJECT_ID_LEN, file);

		if (err == 0 && memcmp(file->content_id, id, OBJECT_ID_LEN) == 0)
			return file;
		if (err < 0 && err != WEFT_EABSENT)
			rows->err = err;
	}
	return NULL;
}

int blobs_object_locations_end(struct object_locations *locations)
{
	return store_iter_end(&locations->rows);
}

void blobs_object_pages_put(struct store_batch *batch,
			    const uint8_t content_id[static OBJECT_ID_LEN], const uint8_t *page_ids,
			    size_t page_cnt)
{
	store_batch_put(batch, STORE_OUTBOARDS, store_key(content_id, OBJECT_ID_LEN), page_ids,
			page_cnt * OBJECT_ID_LEN);
}

static int page_id_get(struct store *store, const uint8_t *content_id, uint64_t page,
		       uint8_t out_id[static OBJECT_ID_LEN])
{
	struct store_snapshot *snapshot;
	const void *ids;
	size_t len;
	int err = store_snapshot_open(store, &snapshot);

	if (err < 0)
		return err;
	err = store_get(snapshot, STORE_OUTBOARDS, store_key(content_id, OBJECT_ID_LEN), &ids,
			&len);
	if (err == 0 && (len % OBJECT_ID_LEN != 0 || page >= len / OBJECT_ID_LEN))
		err = WEFT_EDAMAGED;
	if (err == 0)
		memcpy(out_id, (const uint8_t *)ids + page * OBJECT_ID_LEN, OBJECT_ID_LEN);
	store_snapshot_close(snapshot);
	return err;
}

int blobs_object_hashes_read(struct store *store, const struct object_hashes *which,
			     uint8_t *out_hashes)
{
	uint64_t chunk_cnt = blobs_manifest_chunk_cnt(which->size), first = which->first;
	size_t cnt = which->cnt;

	if (first > chunk_cnt || cnt > chunk_cnt - first)
		return WEFT_ETOOLARGE;
	if (chunk_cnt == 1 && cnt) {
		memcpy(out_hashes, which->content_id, OBJECT_ID_LEN);
		return 0;
	}
	while (cnt) {
		uint64_t at = first % OBJECT_PAGE_HASHES;
		size_t step =
			cnt < OBJECT_PAGE_HASHES - at ? cnt : (size_t)(OBJECT_PAGE_HASHES - at);
		uint8_t page_id[OBJECT_ID_LEN];
		int err =
			page_id_get(store, which->content_id, first / OBJECT_PAGE_HASHES, page_id);

		if (err == 0)
			err = store_blob_read(store, page_id, at * OBJECT_ID_LEN, out_hashes,
					      step * OBJECT_ID_LEN);
		if (err < 0)
			return err;
		out_hashes += step * OBJECT_ID_LEN;
		first += step;
		cnt -= step;
	}
	return 0;
}
