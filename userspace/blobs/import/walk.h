/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_IMPORT_WALK_H
#define WEFT_BLOBS_IMPORT_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/object.h"
#include "weft/err.h"

/*
 * A walk over a tree of files in the order of blobs_manifest_path_compare. It follows no
 * symbolic link below its root and is iterative. It holds the names of the directories it is in,
 * and a descriptor for each.
 *
 * Context: one thread at a time; waits on the disk.
 */
#define WALK_DEPTH_MAX	   200
#define WALK_NAMES_LEN_MAX (256u << 20) /* of one directory: millions of files */

enum walk_kind {
	WALK_FILE,
	WALK_EMPTY_DIR, /* nothing in it, or nothing that can be shared */
	WALK_SYMLINK,	/* that leads to a place below the root */
	WALK_FAR_LINK,	/* one that does not: the rest are skipped, and reported for counting */
	WALK_SPECIAL,	/* socket, pipe, device */
	WALK_UNREADABLE,
	WALK_BAD_NAME, /* blobs_manifest_path_is_safe says no: not UTF-8, too deep, ... */
};

struct walk_entry {
	enum walk_kind kind;
	const char *path; /* relative to root, lent until the next call */
	size_t path_len;
	struct object_stamp stamp; /* of a file */
	bool is_executable;	   /* of a file: by its owner */
	const char *link;	   /* of WALK_SYMLINK: its text, normalised; lent as path is */
	size_t link_len;
	int err; /* of WALK_UNREADABLE */
};

struct walk;

/*
 * blobs_walk_new begins at root, a directory or a single file, whose entry then
 * has its last part as path. 0, -errno (-ENOENT, -EACCES, ...) or
 * WEFT_EUNSAFE (neither file nor directory, or a name that cannot be shared).
 */
WEFT_MUST_CHECK
int blobs_walk_new(const char *root, struct walk **out_walk);
/* blobs_walk_limit: reports only these (import.h, borrowed); before the first blobs_walk_next. */
void blobs_walk_limit(struct walk *walk, const char *only);
void blobs_walk_free(struct walk *walk);
/*
 * blobs_walk_special_kind names what root is when blobs_walk_new refuses it for being
 * neither file nor directory ("a FIFO"); NULL: it is one of them, or gone.
 */
const char *blobs_walk_special_kind(const char *root);
/* blobs_walk_is_file: root is a single file. */
bool blobs_walk_is_file(const struct walk *walk);
/* blobs_walk_next: 1 with the next entry, 0 at the end, -errno when the system has no more to give. */
WEFT_MUST_CHECK
int blobs_walk_next(struct walk *walk, struct walk_entry *out_entry);
/*
 * blobs_walk_open opens a file that the walk reported, for reading; no symbolic link
 * in path is followed. A descriptor or -errno. Any thread.
 */
WEFT_MUST_CHECK
int blobs_walk_open(const struct walk *walk, const char *path);
/* blobs_walk_file_path writes the absolute path of a reported file; 0 or WEFT_ETOOSMALL. */
WEFT_MUST_CHECK
int blobs_walk_file_path(const struct walk *walk, const char *path, char *dst, size_t cap);

#endif
