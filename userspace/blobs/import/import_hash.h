/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_IMPORT_IMPORT_HASH_H
#define WEFT_BLOBS_IMPORT_IMPORT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread/jobs.h"
#include "import_read.h"
#include "blobs/object.h"
#include "walk.h"
#include "crypto/blake3/blake3.h"

/*
 * The work of a hashing thread: a run of small files, or a slice of a big one. A task owns what
 * it points to while it is busy; home fills it before and reads it after.
 */
#define IMPORT_RUN_CNT	 64			    /* small files of one task, at most */
#define IMPORT_RUN_LEN	 (8ull << 20)		    /* and their bytes */
#define IMPORT_SLICE_LEN (64ull * BLAKE3_CHUNK_LEN) /* 16 MiB: some ten milliseconds of hashing */

enum import_file_state { IMPORT_FILE_WAITING, IMPORT_FILE_HASHING, IMPORT_FILE_DONE };

/* One entry of the walk on its way into the manifest. */
struct import_file {
	struct import_file *next;
	enum walk_kind kind;
	enum import_file_state state;
	struct object_stamp stamp;
	bool is_reused; /* hashed before and unchanged since: content_id is known */
	bool has_known; /* known_id, is_got and got_id are what its record says */
	bool is_got, is_placed;
	bool is_racy;
	bool was_retried;
	int err; /* why it is skipped */
	uint8_t known_id[OBJECT_ID_LEN];
	uint8_t got_id[OBJECT_ID_LEN];
	uint8_t content_id[OBJECT_ID_LEN];
	uint8_t *page_ids; /* of its chunk list, when it has more than one chunk */
	size_t page_cnt;
	bool is_executable;
	const char *link; /* of WALK_SYMLINK: its text, behind the path */
	size_t link_len;
	char path[]; /* relative to the root of the walk */
};

struct import_task {
	struct job job;
	void *owner; /* the import */
	const struct walk *walk;
	struct import_reader *reader; /* made at first use */
	bool is_busy;

	struct import_file *run[IMPORT_RUN_CNT];
	unsigned run_cnt;

	struct import_file *big; /* NULL: a run */
	uint64_t off;
	uint64_t len;
	bool is_parked; /* done, and waiting for the slices before it */
	uint8_t cvs[IMPORT_SLICE_LEN / BLAKE3_CHUNK_LEN][BLAKE3_HASH_LEN];
	unsigned cv_cnt;
	struct object_stamp stamp; /* as the slice found the file */
	bool is_racy;
	int err; /* of the slice: WEFT_ECHANGED or -errno */
};

/* blobs_import_task_run is the job's function: fills run[]'s files, or cvs and err. */
void blobs_import_task_run(struct job *job);

#endif
