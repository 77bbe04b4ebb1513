/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FOLDER_H
#define WEFT_BASE_FOLDER_H

#include <sys/types.h>

#include "weft/err.h"

/*
 * folder_make_parents makes the folders that path lies in, as far as they are
 * missing, with mode less the umask. Returns 0, -ENAMETOOLONG or -errno.
 */
WEFT_MUST_CHECK
int folder_make_parents(const char *path, mode_t mode);

/* folder_sync_parent: the name that path has in its folder is on the disk. 0, -ENAMETOOLONG or -errno. */
WEFT_MUST_CHECK
int folder_sync_parent(const char *path);

#endif
