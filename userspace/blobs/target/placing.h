/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_TARGET_PLACING_H
#define WEFT_BLOBS_TARGET_PLACING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/object.h"
#include "weft/err.h"

struct target;

/*
 * Files that are whole and verified, on their way from the staging
 * directory to their places. A filesystem may keep a name and lose the
 * bytes below it when power fails, so the order is fixed:
 *
 *	bytes in the staging directory -> one syncfs for all of them
 *	-> renames -> fsync of each directory that got a name
 *	-> records in the store (the caller's)
 *
 * A power cut anywhere leaves a file staged or in its place, and what is
 * in its place is whole. Home fills a batch, one job runs it, home reads it.
 */
#define PLACING_NAME_CAP 32 /* of a staged file */

struct placing_file {
	uint8_t content_id[OBJECT_ID_LEN];
	/* As it was staged, once it is placed as it is there. */
	struct object_stamp stamp;
	char staged[PLACING_NAME_CAP]; /* or empty, and then */
	bool has_fd;		       /* it has no name yet but this descriptor, owned */
	int fd;			       /* else it was found in its place, and is only recorded */
	bool is_racy;
	bool was_placed;  /* found in its place, where an earlier get had put it */
	bool may_replace; /* the file with this inode, and no other */
	uint64_t replaced_inode, replaced_dev;
	/* Set by blobs_placing_add and blobs_placing_run. */
	size_t path_at, path_len; /* in the batch's text */
	bool is_in_place;	  /* from the beginning */
	bool is_placed;
	bool is_changed; /* since then by another program: it is not to be recorded */
};

struct placing {
	struct placing_file *files;
	size_t cnt, cap;
	char *text;
	size_t text_len, text_cap;
	size_t fd_cnt;	   /* that it owned when it was filled */
	uint64_t byte_cnt; /* of the files */
	size_t failed_at; /* the file of the error that blobs_placing_run returned; cnt: none of them */
	bool is_sync_error; /* bytes or names may be lost though they can be read now */
};

/*
 * blobs_placing_add copies *file and its path, relative to the target, and takes
 * its descriptor: 0; or -ENOMEM, and the descriptor is the caller's.
 */
WEFT_MUST_CHECK
int blobs_placing_add(struct placing *placing, const struct placing_file *file, const char *path,
		      size_t path_len);
/* blobs_placing_path is borrowed until the next blobs_placing_add, and not terminated. */
const char *blobs_placing_path(const struct placing *placing, const struct placing_file *file);
/*
 * blobs_placing_run does all of the above up to the records, which are right for files whose
 * is_placed is set. The files are in another order afterwards.
 *
 * Returns 0, or the first error. An error of blobs_target_place sets failed_at: the files before
 * it are placed and the rest stays staged. After -errno of a sync no file is is_placed.
 * Context: a job. Waits on the disk.
 */
WEFT_MUST_CHECK
int blobs_placing_run(struct placing *placing, const struct target *target);
/* blobs_placing_fini takes one that is all zero, and leaves it so. */
void blobs_placing_fini(struct placing *placing);

#endif
