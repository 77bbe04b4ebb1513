/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_PUBLISH_SHARE_WATCH_TREE_H
#define WEFT_SHARES_PUBLISH_SHARE_WATCH_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * The directories of a tree, each with an inotify watch. When a directory comes or goes, the
 * whole is made anew beside the old one. So no list of which watch is where is needed.
 */

/*
 * shares_watch_tree_open watches path, a folder with all below it. A path that is a file is
 * watched by the folder it is in. only: lines of paths below it, or "". Symbolic links are not
 * followed. Returns a descriptor with *out_dir_cnt, or
 *   WEFT_EFULL      there are more than dir_cap directories
 *   -ENOSPC, -EMFILE the user's inotify watches or instances are used up
 *   -errno
 * Context: a job. Reads directories.
 */
WEFT_MUST_CHECK
int shares_watch_tree_open(const char *path, const char *only, uint32_t dir_cap,
			   uint32_t *out_dir_cnt);

struct watch_news {
	bool has_changed;  /* something in the tree did */
	bool has_new_dirs; /* directories came or went: the tree is to be opened again */
	bool has_overflow; /* the kernel reported less than happened */
};
/* shares_watch_tree_read takes the events since its last call. Home worker; does not wait. */
void shares_watch_tree_read(int fd, struct watch_news *out_news);

#endif
