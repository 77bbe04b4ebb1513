/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_IMPORT_IMPORT_STATE_H
#define WEFT_BLOBS_IMPORT_IMPORT_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/timer.h"
#include "blobs/blobs.h"
#include "import.h"
#include "import_collect.h"
#include "import_hash.h"
#include "import_list.h"
#include "blobs/manifest/manifest.h"
#include "crypto/blake3/blake3.h"

/* The state that the files of an import share. It is home's, but for the parts that a job holds. */

#define IMPORT_DETAIL_CAP 512

struct imports;

enum import_phase { IMPORT_QUEUED, IMPORT_COUNTING, IMPORT_HASHING, IMPORT_SAVING };

/* The big file that is being hashed in slices, one at a time. */
struct import_big {
	struct import_file *file; /* NULL: none */
	uint64_t given_len;	  /* handed to tasks */
	uint64_t done_len;	  /* pushed into the tree, in order */
	unsigned slice_cnt;	  /* with tasks or parked */
	int err;
	struct object_stamp seen; /* with WEFT_ECHANGED: as it is now */
	struct blake3_chunk_tree tree;
	uint8_t *page; /* hashes of the page being filled */
	unsigned page_fill;
};

struct import {
	struct imports *imports;
	struct import *next;
	struct blobs_import told;
	enum import_phase phase;
	char *root;
	char title[MANIFEST_TITLE_CAP];
	char only[ONLY_CAP];
	void (*progress)(void *arg, const struct blobs_import *import);
	void (*done)(void *arg, int err, const struct blobs_import *import, const char *detail);
	void *arg;
	struct import_seal seal; /* seal.seal NULL: a collection of its own */
	uint64_t progress_ns;	 /* the time of the last progress report */
	int err;
	char detail[IMPORT_DETAIL_CAP];

	struct import_list list;
	bool is_listing;	   /* a job holds list */
	struct import_file *first; /* found by the walk and not yet in the manifest */
	struct import_file **last;
	struct import_file *cursor; /* the first that tasks have not passed */
	unsigned window_cnt;
	struct import_big big;
	struct import_collect *collect;
	struct store_batch *batch;
	uint64_t batch_len; /* bytes it and its commit take, about */
	bool is_storing;    /* a batch was submitted */
};

struct imports {
	struct blobs *content;
	struct jobs *pool;
	struct import_task *tasks;
	unsigned task_cnt;
	struct import *first; /* runs; the others wait */
	uint32_t cnt;
	uint64_t last_id;
	uint64_t now_ns;
	bool is_closing;
	struct timer cancelled; /* some that wait were taken back */
};

/* blobs_import_path_is_shareable: path is one that a share may have. */
bool blobs_import_path_is_shareable(const char *path);
/* blobs_import_begin readies one that is queued for its first step. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int blobs_import_begin(struct import *import);
/* blobs_import_pump does what can be done now; called whenever something came back. */
void blobs_import_pump(struct import *import);
/* blobs_import_save submits manifest and share; blobs_import_end reports the outcome and frees. */
void blobs_import_save(struct import *import);
void blobs_import_end(struct import *import);
/* blobs_import_tell reports progress. */
void blobs_import_tell(struct import *import);

/* blobs_import_fail makes err the outcome, unless there is one. */
__attribute__((format(printf, 3, 4))) void blobs_import_fail(struct import *import, int err,
							     const char *fmt, ...);

/* blobs_import_big_begin makes file the big one; 0 or -ENOMEM. */
WEFT_MUST_CHECK
int blobs_import_big_begin(struct import *import, struct import_file *file);
/* blobs_import_big_slice loads task with the next slice; false when all are given. */
bool blobs_import_big_slice(struct import *import, struct import_task *task);
/*
 * blobs_import_big_advance takes what slices are due out of tasks, and ends the
 * file when it is whole or cannot be.
 */
void blobs_import_big_advance(struct import *import, struct import_task *tasks, unsigned task_cnt);
void blobs_import_big_free(struct import_big *big);

/* blobs_import_take puts files that are done into manifest and batch, in order. */
void blobs_import_take(struct import *import);

#endif
