/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_TARGET_TARGET_DIR_H
#define WEFT_BLOBS_TARGET_TARGET_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/manifest/manifest.h"
#include "blobs/object.h"
#include "weft/err.h"

/*
 * The directory a get writes into, and the staging directory inside it. Everything below is
 * reached by descriptors, component by component, never through a symbolic link. So nothing is
 * written outside, whatever another program puts in the way meanwhile. Only a directory that is
 * itself moved out takes along the file that was about to be written to it. Paths are those of
 * manifests: relative and checked with blobs_manifest_path_is_safe. Any thread; a target_dir is
 * used by one at a time.
 */
#define TARGET_STAGE_CAP 64

struct target {
	int fd;
	int stage_fd;
	int versions_fd;   /* where what is replaced or removed is kept; -1: nowhere */
	bool is_stage_old; /* an earlier run may have left something in it */
	bool has_nameless; /* files here can be made without a name and get one later */
	char path[OBJECT_PATH_LEN_MAX];
	char stage_name[TARGET_STAGE_CAP];
};

/* blobs_target_init: nothing is open; as blobs_target_close leaves it. */
void blobs_target_init(struct target *target);
/*
 * blobs_target_open makes path (with its parents) and the staging directory
 * where they are missing. 0, WEFT_ETOOLARGE (path), WEFT_EUNSAFE (a link
 * stands where the staging directory should be) or -errno.
 */
WEFT_MUST_CHECK
int blobs_target_open(struct target *target, const char *path, const char *stage_name);
/* blobs_target_close keeps what is staged. */
void blobs_target_close(struct target *target);
/*
 * blobs_target_clear removes the staging directory and what is in it, for good: a
 * power cut afterwards does not bring it back. 0 or -errno. blobs_target_leave
 * does the same if nothing is in it; false: it stays.
 */
WEFT_MUST_CHECK
int blobs_target_clear(const struct target *target);
bool blobs_target_leave(const struct target *target);
/* blobs_target_discard is blobs_target_clear for a target that is not open and makes nothing. */
WEFT_MUST_CHECK
int blobs_target_discard(const char *path, const char *stage_name);
/* blobs_target_join writes the absolute path of a path inside the target: 0 or WEFT_ETOOLARGE. */
WEFT_MUST_CHECK
int blobs_target_join(const struct target *target, const char *path, size_t len,
		      char out[static OBJECT_PATH_LEN_MAX]);

/* blobs_target_free_len: bytes free on its filesystem; UINT64_MAX: not known. */
uint64_t blobs_target_free_len(const struct target *target);

/* The directory used last, because neighbours in a manifest lie in one. */
struct target_dir {
	const struct target *target;
	int fd; /* -1: none */
	size_t len;
	char path[OBJECT_PATH_LEN_MAX];
};
void blobs_target_dir_init(struct target_dir *dir, const struct target *target);
void blobs_target_dir_fini(struct target_dir *dir);

/*
 * The errors of the following functions: WEFT_EUNSAFE when a symbolic link stands in the way,
 * WEFT_EEXISTS when a file does or the place is taken, -errno.
 *
 * blobs_target_make_dir makes a directory with its parents.
 *
 * blobs_target_make_link makes a symbolic link to text, with the directories above it. A link
 * that stands there with the same text is left; one with another is replaced if may_replace. 1:
 * the filesystem has no symbolic links.
 *
 * blobs_target_look_link reads the symbolic link at path into text. Returns its length,
 * WEFT_EABSENT, or WEFT_EEXISTS when something else stands there. blobs_target_remove_link
 * removes the link that stands at its path with its text, and the directories above that are
 * empty then. 1, or 0 when it is not there.
 *
 * blobs_target_lookup opens the regular file at path for reading: a descriptor, or WEFT_EABSENT.
 * blobs_target_place moves a staged file to path. Where replaced is given, a file with that
 * inode may be there and is replaced; nothing else is.
 */
WEFT_MUST_CHECK
int blobs_target_make_dir(const struct target *target, const char *path, size_t len);
WEFT_MUST_CHECK
int blobs_target_make_link(struct target_dir *dir, const struct manifest_link *link,
			   bool may_replace);
WEFT_MUST_CHECK
int blobs_target_look_link(struct target_dir *dir, const char *path, size_t len,
			   char text[static MANIFEST_LINK_LEN_MAX + 1]);
WEFT_MUST_CHECK
int blobs_target_remove_link(struct target_dir *dir, const struct manifest_link *link);
WEFT_MUST_CHECK
int blobs_target_lookup(struct target_dir *dir, const char *path, size_t len);
WEFT_MUST_CHECK
int blobs_target_place(struct target_dir *dir, const char *staged, const char *path, size_t len,
		       const struct object_stamp *replaced);

/*
 * A small file needs no name before it is whole. blobs_target_nameless_open makes one without in
 * the directory of path, with its parents. So its inode lies with its neighbours', and a crash
 * leaves nothing. That costs a third less than making it in the staging directory.
 * blobs_target_nameless_place names it; it replaces nothing. Only where has_nameless is set.
 */
WEFT_MUST_CHECK
int blobs_target_nameless_open(struct target_dir *dir, const char *path, size_t len);
WEFT_MUST_CHECK
int blobs_target_nameless_place(struct target_dir *dir, int fd, const char *path, size_t len);

/*
 * blobs_target_dir_make makes the directory of path, with its parents;
 * blobs_target_dir_sync brings the names in it to the disk. blobs_target_stamp is of
 * what stands at path, a link itself and not what it points to.
 */
WEFT_MUST_CHECK
int blobs_target_dir_make(struct target_dir *dir, const char *path, size_t len);
WEFT_MUST_CHECK
int blobs_target_dir_sync(struct target_dir *dir, const char *path, size_t len);
WEFT_MUST_CHECK
int blobs_target_stamp(struct target_dir *dir, const char *path, size_t len,
		       struct object_stamp *out_stamp);

/*
 * blobs_target_open_there opens a target that is there, without a staging directory: 0 or
 * -errno. blobs_target_remove removes the file of that inode at path. Then it removes each
 * directory above it that is empty now, up to the target. Returns 0 (also when it is not there),
 * WEFT_EEXISTS when another file is, or -errno. blobs_target_remove_dirs: likewise the directory
 * at path, as far as it is empty. blobs_target_move moves the file of that inode into another
 * directory of the same filesystem, whose descriptor to is, under the same path. A file that was
 * there under that path is replaced.
 */
WEFT_MUST_CHECK
int blobs_target_open_there(struct target *target, const char *path);
WEFT_MUST_CHECK
int blobs_target_remove(struct target_dir *dir, const char *path, size_t len,
			const struct object_stamp *stamp);
void blobs_target_remove_dirs(struct target_dir *dir, const char *path, size_t len);
WEFT_MUST_CHECK
int blobs_target_move(struct target_dir *dir, const char *path, size_t len,
		      const struct object_stamp *stamp, int to);

/*
 * blobs_target_open_versions makes a folder of that number below .weft-versions in the target.
 * blobs_target_keep gives the file of that inode at path a second name there, before it is
 * replaced. blobs_target_prune_versions removes all but the cnt highest numbers, and those that
 * are empty. 0, WEFT_EUNSAFE (a link stands there), or as others above.
 */
WEFT_MUST_CHECK
int blobs_target_open_versions(struct target *target, uint64_t number);
WEFT_MUST_CHECK
int blobs_target_keep(struct target_dir *dir, const char *path, size_t len,
		      const struct object_stamp *stamp);
/* blobs_target_link: as blobs_target_move, but the file keeps its name too, where the filesystem has links. */
WEFT_MUST_CHECK
int blobs_target_link(struct target_dir *dir, const char *path, size_t len,
		      const struct object_stamp *stamp, int to);
WEFT_MUST_CHECK
int blobs_target_prune_versions(const struct target *target, unsigned cnt);

/* blobs_target_stage_open opens or makes (*out_is_new) a staged file. Returns a descriptor. */
WEFT_MUST_CHECK
int blobs_target_stage_open(const struct target *target, const char *name, bool *out_is_new);
/* blobs_target_stage_lookup opens a staged file that is there: a descriptor, -ENOENT or another -errno. */
WEFT_MUST_CHECK
int blobs_target_stage_lookup(const struct target *target, const char *name);
void blobs_target_stage_remove(const struct target *target, const char *name);

/*
 * blobs_target_fd_sync brings a directory's names to the disk: 0 or -errno. blobs_target_fd_name
 * gives a file without a name one in the directory dir. It does so by the file's descriptor
 * where that is allowed, else by its name in /proc: 0 or -errno.
 */
WEFT_MUST_CHECK
int blobs_target_fd_sync(int fd);
WEFT_MUST_CHECK
int blobs_target_fd_name(int fd, int dir, const char *name);

#endif
