/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_IMPORT_IMPORT_LIST_H
#define WEFT_BLOBS_IMPORT_IMPORT_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/thread/jobs.h"
#include "import_hash.h"

struct store;
struct walk;

/*
 * Walking as jobs: a step lists some entries and looks up which files were
 * hashed before. A first walk only counts, for progress with totals. home
 * fills and reads the list between steps, the job owns it during one.
 */
#define IMPORT_LIST_CNT	 256  /* entries of one step */
#define IMPORT_COUNT_CNT 4096 /* of one step that only counts */

struct import_list {
	struct job job;
	void *owner; /* the import */
	struct store *store;
	char *root;
	const char *only;  /* of the root (import.h); the import's */
	char *resolved;	   /* root without symbolic links, from the first step; home takes it */
	struct walk *walk; /* opened by the first step */
	bool counts_only;

	bool has_ended;
	int err;
	const char *special; /* what the root is instead of a file or folder; else NULL */
	uint64_t file_cnt;   /* of the step */
	uint64_t byte_cnt;
	struct import_file *first; /* home takes them */
	unsigned cnt;
};

/* blobs_import_list_run is the job's function. */
void blobs_import_list_run(struct job *job);
void blobs_import_file_free(struct import_file *file);

#endif
