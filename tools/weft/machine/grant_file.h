/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_GRANT_FILE_H
#define WEFT_TOOLS_GRANT_FILE_H

#include <limits.h>
#include <stddef.h>

struct invocation;
struct node_key;

/*
 * The files of a relays' operator, beside its key FILE: FILE.grants has each grant that was signed,
 * one a line as text, and FILE.revoked the newest revocation list. All have mode 0600. A file is
 * replaced as a whole or not at all.
 *
 * Each function returns an exit status, after saying what is wrong.
 */
#define GRANT_FILE_LEN_MAX (16u << 20)

/* grant_file_key_new makes a key in a new file; one that is there is never overwritten. */
int grant_file_key_new(const struct invocation *inv, const char *path, struct node_key **out_key);
/* grant_file_key_load: --passphrase-file or --passphrase-fd opens a sealed one; else it is asked. */
int grant_file_key_load(const struct invocation *inv, const char *path, struct node_key **out_key);
/* grant_file_lock: other runs with the key at path wait until this one ends. */
int grant_file_lock(const char *path);
/* grant_file_name: path.suffix; a longer one than the system has is said. */
int grant_file_name(const char *path, const char *suffix, char name[static PATH_MAX]);
/* grant_file_read: all of it, with a NUL, as long as inv; *out_text NULL: there is none. */
int grant_file_read(const struct invocation *inv, const char *path, char **out_text);
/* grant_file_replace: by before and then line. */
int grant_file_replace(const char *path, const char *before, const char *line);

#endif
