/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_STORE_DERIVED_H
#define WEFT_STORE_DERIVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * Rows that can be made again from what the store holds: an LMDB environment in a folder of its
 * own in the state directory. Large values are read in place. A crash of the program loses
 * nothing that was committed, one of the machine the last commits (MDB_NOMETASYNC). Up to
 * DERIVED_BAD_MAX rows with a wrong check are dropped alone. An environment with more damage, or
 * of another version, is thrown away as a whole. Its owner makes it again.
 *
 * Any thread may read. One at a time writes, and may wait on the disk: call it in a job.
 */
struct derived;
struct derived_view;
struct derived_write;

#define DERIVED_BAD_MAX	    64u
#define DERIVED_KEY_LEN_MAX 511u /* LMDB's */

struct derived_config {
	const char *state_dir; /* held by an open store */
	const char *name;      /* of the folder in it */
	uint32_t version;      /* of the rows; a change of their form changes it */
	uint64_t map_len_max;  /* bytes of address space; what rows may take at most */
	unsigned reader_cap;
};

/* How the environment was found. */
enum derived_start {
	DERIVED_KEPT,
	DERIVED_NEW,
	DERIVED_OTHER_VERSION, /* was thrown away */
	DERIVED_DAMAGED,       /* was thrown away */
};

/*
 * store_derived_open: 0, or -errno (of the folder: neither made nor removed). It reads the whole
 * file first, as LMDB may die of damaged pages.
 */
WEFT_MUST_CHECK
int store_derived_open(const struct derived_config *config, struct derived **out_derived,
		       enum derived_start *out_start);
/* store_derived_close ends it; views and writes were closed before. Takes NULL. */
void store_derived_close(struct derived *derived);
/* store_derived_used_len: bytes of pages that hold rows or are free for others. */
uint64_t store_derived_used_len(const struct derived *derived);

/*
 * A view is a consistent look; what it lends stays until it is closed. One thread uses it.
 * store_derived_view_get: 0, WEFT_EABSENT, WEFT_EDAMAGED or -errno.
 * store_derived_view_each: the rows whose keys begin with prefix, in order, until fn says false.
 */
WEFT_MUST_CHECK
int store_derived_view_open(struct derived *derived, struct derived_view **out_view);
void store_derived_view_close(struct derived_view *view);
WEFT_MUST_CHECK
int store_derived_view_get(struct derived_view *view, const void *key, size_t key_len,
			   const void **out_value, size_t *out_len);
typedef bool (*derived_row_fn)(void *arg, const uint8_t *key, size_t key_len, const void *value,
			       size_t value_len);
WEFT_MUST_CHECK
int store_derived_view_each(struct derived_view *view, const void *prefix, size_t prefix_len,
			    derived_row_fn fn, void *arg);

/*
 * A write is applied whole by its commit or not at all. Errors are sticky: the commit
 * returns the first of WEFT_EFULL (map_len_max), -ENOSPC, WEFT_EDAMAGED, -errno.
 * store_derived_write_commit frees it.
 */
WEFT_MUST_CHECK
int store_derived_write_open(struct derived *derived, struct derived_write **out_write);
void store_derived_write_put(struct derived_write *write, const void *key, size_t key_len,
			     const void *value, size_t value_len);
void store_derived_write_delete(struct derived_write *write, const void *key, size_t key_len);
WEFT_MUST_CHECK
int store_derived_write_commit(struct derived_write *write);

#endif
