/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_IMPORT_ONLY_H
#define WEFT_BLOBS_IMPORT_ONLY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Some files and folders below a root: their paths relative to it, each on a line; "" or NULL
 * stands for all of it. Pure.
 */
#define ONLY_CAP 4096u /* with the NUL */

/* blobs_only_is_sound: each line is a path that is safe (blobs/manifest/manifest.h). */
bool blobs_only_is_sound(const char *only);
/* blobs_only_admits: path is one of them, below one, or leads to one. */
bool blobs_only_admits(const char *only, const char *path, size_t len);
/* blobs_only_next gives the line at *at, and its length, and steps over it; NULL at the end. */
const char *blobs_only_next(const char **at, size_t *out_len);

#endif
