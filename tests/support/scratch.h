/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SCRATCH_H
#define WEFT_TESTS_SCRATCH_H

#include <stddef.h>

/* scratch_make makes an empty directory under TMPDIR or /tmp; ends the program when it cannot. */
#define SCRATCH_CAP 200
char *scratch_make(char path[static SCRATCH_CAP]);
/* scratch_remove deletes it with all that is in it. */
void scratch_remove(const char *path);
/* scratch_path writes dir/name into path; returns path. */
char *scratch_path(char *path, size_t cap, const char *dir, const char *name);
/* scratch_write makes the file with len bytes; ends the program when it cannot. */
void scratch_write(const char *path, const void *data, size_t len);

#endif
