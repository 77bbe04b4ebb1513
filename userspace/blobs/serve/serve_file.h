/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_SERVE_FILE_H
#define WEFT_BLOBS_SERVE_SERVE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/object.h"
#include "weft/err.h"

/*
 * Files that peers read from, a few kept open. A file is as its record says or it is stale: the
 * descriptor's stamp is compared before and after each read. So bytes of a changed file are
 * never handed out. While the record is racy, so is a chunk, until it was verified at a time
 * when the stamp no longer was.
 */
#define SERVE_FILES_MAX	 64
#define SERVE_AHEAD_MAX	 16u	      /* 4 MiB: a rotating disk's seek is a tenth of it */
#define SERVE_SETTLE_FEW 4096	      /* chunks of a racy file that takes no memory of its own */
#define SERVE_SETTLE_MAX (1ull << 22) /* chunks of a racy file; a larger one stays racy */

struct serve_file {
	struct object_file object;
	int fd; /* -1: not open yet; set by home only */
	uint32_t use_cnt;
	uint64_t used_seq;
	bool is_known;	  /* a slot in use */
	bool is_stale;	  /* not found any more; closed with its last use */
	bool is_changed;  /* object is not true any more, until the slot is taken again */
	uint8_t *settled; /* of a racy object: a bit for each chunk that is not; or NULL */
	uint8_t settled_few[SERVE_SETTLE_FEW / 8]; /* where settled points if they fit */
	uint64_t settled_cnt;
	uint64_t next_chunk; /* the one behind what was read last from the disk */
	uint32_t run_cnt;    /* chunks that were so read one behind the other */
};

struct serve_files {
	struct serve_file slots[SERVE_FILES_MAX];
	uint64_t seq;
};

void blobs_serve_files_init(struct serve_files *files);
void blobs_serve_files_fini(struct serve_files *files);
/* blobs_serve_files_lookup: a use of the file kept for content_id, or NULL. */
struct serve_file *blobs_serve_files_lookup(struct serve_files *files,
					    const uint8_t content_id[static OBJECT_ID_LEN]);
/* blobs_serve_files_add: a use of a slot for object, closing the longest unused; NULL: all are in use. */
struct serve_file *blobs_serve_files_add(struct serve_files *files,
					 const struct object_file *object);
void blobs_serve_file_release(struct serve_file *file);
/* blobs_serve_file_drop: no lookup finds this file any more. */
void blobs_serve_file_drop(struct serve_file *file);
/* blobs_serve_file_is_racy: the chunk's bytes prove themselves, the stamp does not. */
bool blobs_serve_file_is_racy(const struct serve_file *file, uint64_t chunk);
/*
 * blobs_serve_file_settle: a chunk was verified, and read when the stamp was not
 * racy any more. True when it was the last: object is not racy from now on.
 */
bool blobs_serve_file_settle(struct serve_file *file, uint64_t chunk);
/*
 * blobs_serve_file_ahead: chunk is read from the disk now. Returns how many behind it are worth
 * reading at once, [0, SERVE_AHEAD_MAX]. That is as many as were asked for one behind the other:
 * a getter that is alone reads so, and others read anywhere.
 */
uint32_t blobs_serve_file_ahead(struct serve_file *file, uint64_t chunk);
/* blobs_serve_files_has_changed: object was found changed, though its record may be there still. */
bool blobs_serve_files_has_changed(const struct serve_files *files,
				   const struct object_file *object);
/*
 * blobs_serve_files_changed_next walks the files of that content that were found changed and are
 * still remembered; *at begins at 0. NULL: behind the last.
 */
const struct object_file *
blobs_serve_files_changed_next(const struct serve_files *files,
			       const uint8_t content_id[static OBJECT_ID_LEN], size_t *at);
void blobs_serve_files_drop_all(struct serve_files *files);

/*
 * blobs_serve_file_open opens an object's file; with is_waiting false only if no
 * disk must be waited for. A descriptor, -EAGAIN (it must), WEFT_ECHANGED
 * (gone, or something else stands there) or -errno. Any thread.
 */
WEFT_MUST_CHECK
int blobs_serve_file_open(const struct object_file *object, bool is_waiting);
/* blobs_serve_file_read_ahead has the kernel read [off, off + len) in its own time. Any thread. */
void blobs_serve_file_read_ahead(int fd, uint64_t off, uint64_t len);
/* Bytes [off, off + len) of a file, and where they go. */
struct serve_part {
	uint64_t off;
	void *dst;
	size_t len;
};
/*
 * blobs_serve_file_read reads a part that lies inside the file, with
 * its stamp compared before and after. 0, -EAGAIN, WEFT_ECHANGED or -errno.
 */
WEFT_MUST_CHECK
int blobs_serve_file_read(int fd, const struct object_file *object, const struct serve_part *part,
			  bool is_waiting);

#endif
