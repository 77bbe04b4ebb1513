/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_OBJECT_H
#define WEFT_BLOBS_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "weft/err.h"

struct stat;

/*
 * Objects: bytes named by their BLAKE3, and the files on disk that held
 * them when they were hashed. Three databases:
 *	STORE_PATHS	BLAKE3(path) -> the file as it was, with its content id
 *	STORE_OBJECTS	content id | BLAKE3(path) -> nothing: one row per location
 *	STORE_OUTBOARDS content id -> blob ids of the pages of its chunk list
 * and in STORE_META "bad-file:" BLAKE3(path) -> the record of a file whose
 * bytes became bad: it stays named until the path is recorded anew.
 * An object of at most one chunk has no outboard: its chunk's hash is its
 * content id. All of it is plain records; nothing is cached here.
 *
 * Context: any thread with a snapshot; writes go into a batch of home.
 */
#define OBJECT_ID_LEN	    32
#define OBJECT_PATH_LEN_MAX 4096u
/* Hashes of one page: 32,768, which is 1 MiB, for 8 GiB of file. */
#define OBJECT_PAGE_HASHES 32768u

/* The result of fstat for a file when its bytes were hashed. */
struct object_stamp {
	uint64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	uint64_t inode;
	uint64_t dev;
};
void blobs_object_stamp_of(const struct stat *st, struct object_stamp *out_stamp);
/*
 * blobs_object_stamp_equal: the file is as it was. The device is left out: the
 * kernel may number it otherwise after every boot, and records outlive boots.
 */
bool blobs_object_stamp_equal(const struct object_stamp *a, const struct object_stamp *b);
/*
 * blobs_object_stamp_is_racy: the file was written so shortly before wall_ns, a
 * time since 1970, that a write after it may leave the same stamp.
 */
bool blobs_object_stamp_is_racy(const struct object_stamp *stamp, int64_t wall_ns);

struct object_file {
	struct object_stamp stamp;
	uint8_t content_id[OBJECT_ID_LEN];
	/* The stamp was racy when the file was hashed: verify its bytes, do not trust it. */
	bool is_racy;
	/* A get brought or found it here, as a file of this collection. */
	bool is_got;
	uint8_t got_id[OBJECT_ID_LEN]; /* the manifest that the get's link names */
	/* The get wrote it; else it lay in its place before, and is the user's own. */
	bool is_placed;
	char path[OBJECT_PATH_LEN_MAX]; /* absolute */
};

void blobs_object_path_key(const char *path, uint8_t key[static OBJECT_ID_LEN]);

/* blobs_object_file_parse reads a record of STORE_PATHS: 0 or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int blobs_object_file_parse(const void *record, size_t len, struct object_file *out_file);
/* blobs_object_file_get reads the record of path: 0, WEFT_EABSENT or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int blobs_object_file_get(struct store_snapshot *snapshot, const char *path,
			  struct object_file *out_file);
/* blobs_object_file_at: as blobs_object_file_get, by the key of the path. */
WEFT_MUST_CHECK
int blobs_object_file_at(struct store_snapshot *snapshot,
			 const uint8_t path_key[static OBJECT_ID_LEN],
			 struct object_file *out_file);
/*
 * blobs_object_file_put records a file and makes it a location of its content. known is the
 * record that it replaces, as far as its path and content id are known, or NULL.
 */
void blobs_object_file_put(struct store_batch *batch, const struct object_file *file,
			   const struct object_file *known);
/*
 * blobs_object_bad_put marks a file as bad, until blobs_object_file_put records its
 * path again; WEFT_EFULL beyond OBJECT_BAD_MAX of them, and then it is not
 * put. A disk that fails fills it, no peer can.
 */
#define OBJECT_BAD_MAX	   1000u
#define OBJECT_BAD_KEY_LEN (9u + OBJECT_ID_LEN)
WEFT_MUST_CHECK
int blobs_object_bad_put(struct store *store, struct store_batch *batch,
			 const struct object_file *file);
bool blobs_object_is_bad(struct store_snapshot *snapshot,
			 const uint8_t path_key[static OBJECT_ID_LEN]);
void blobs_object_bad_delete(struct store_batch *batch, const struct object_file *file);
/*
 * A walk over the marks from the key of a path on; NULL: from the first. blobs_object_bad_next
 * lends each file until the next call; NULL: no more. blobs_object_bad_end gives the outcome.
 */
struct object_bad_iter {
	struct store_iter rows;
	uint8_t key[OBJECT_BAD_KEY_LEN];
	struct object_file file;
};
void blobs_object_bad_begin(struct object_bad_iter *iter, struct store *store, const uint8_t *from);
const struct object_file *blobs_object_bad_next(struct object_bad_iter *iter);
WEFT_MUST_CHECK
int blobs_object_bad_end(struct object_bad_iter *iter);
/* blobs_object_has_hashes: the object is of one chunk, or its chunk list is stored. */
bool blobs_object_has_hashes(struct store_snapshot *snapshot, const struct object_file *file);

/*
 * blobs_object_file_trust records that a file whose record is racy was verified
 * as a whole when its stamp no longer was. Nothing happens when the record
 * is another by now. The caller knows that no batch with a record of the
 * path waits to be committed.
 */
void blobs_object_file_trust(struct store *store, const struct object_file *file);
/* blobs_object_file_forget drops both rows: the file is gone or no longer what was hashed. */
void blobs_object_file_forget(struct store_batch *batch, const struct object_file *file);

/*
 * A walk over the locations of a content. blobs_object_locations_next lends each until the next
 * call; NULL: no more. The caller opens the file, compares its stamp and verifies every chunk
 * before it uses it. blobs_object_locations_end: 0, WEFT_EDAMAGED or -errno.
 */
struct object_locations {
	struct store_iter rows;
	const uint8_t *content_id; /* borrowed */
	struct object_file file;
};
void blobs_object_locations_begin(struct object_locations *locations,
				  struct store_snapshot *snapshot, const uint8_t *content_id);
const struct object_file *blobs_object_locations_next(struct object_locations *locations);
WEFT_MUST_CHECK
int blobs_object_locations_end(struct object_locations *locations);

/*
 * blobs_object_pages_put records the chunk list of an object, the ids of its pages. Each page is
 * a blob of OBJECT_PAGE_HASHES hashes, the last one of fewer. The caller puts the blobs with
 * store_batch_put_blob.
 */
void blobs_object_pages_put(struct store_batch *batch,
			    const uint8_t content_id[static OBJECT_ID_LEN], const uint8_t *page_ids,
			    size_t page_cnt);
/* Hashes [first, first + cnt) of the chunk list of an object of size bytes. */
struct object_hashes {
	const uint8_t *content_id;
	uint64_t size, first;
	size_t cnt;
};
/*
 * blobs_object_hashes_read: 0, WEFT_EABSENT (no list), WEFT_EDAMAGED,
 * WEFT_ETOOLARGE (beyond the last chunk) or -errno. May wait on the disk.
 */
WEFT_MUST_CHECK
int blobs_object_hashes_read(struct store *store, const struct object_hashes *which,
			     uint8_t *out_hashes);

#endif
