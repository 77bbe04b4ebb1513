/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_READ_TREE_H
#define WEFT_BLOBS_READ_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/manifest/manifest.h"
#include "weft/err.h"

struct store;

/*
 * Paths in a collection whose manifest is held here, with its parts. One
 * part at a time is in memory; a path among a million files costs some ten
 * parts. Waits on the disk: for jobs. Any thread.
 */
#define TREE_MIME_CAP 128

enum tree_kind { TREE_FILE, TREE_DIR };

struct tree_place {
	enum tree_kind kind;
	/* of a file */
	uint8_t content_id[32];
	uint64_t size;
	char mime[TREE_MIME_CAP]; /* "" when the manifest does not tell */
	uint8_t part_id[32];	  /* the manifest, or part of it, that lists the file */
	uint32_t item;		  /* at this place */
};

/* A path of a collection, without '/' at either end; "" is the whole. */
struct tree_ask {
	const uint8_t *manifest_id;
	const char *path;
	size_t len;
};
/*
 * blobs_tree_find looks for a path. 0,
 * WEFT_EABSENT (no such path), WEFT_EUNKNOWN (the manifest is not held),
 * WEFT_EDAMAGED (nor some part that is needed), -ENOMEM or -errno.
 */
WEFT_MUST_CHECK
int blobs_tree_find(struct store *store, const struct tree_ask *ask, struct tree_place *out_place);

/* What lies in a directory; texts are borrowed and have no NUL. */
struct tree_entry {
	enum tree_kind kind;
	const char *name;
	size_t name_len;
	uint64_t size; /* of a file */
};
/*
 * blobs_tree_list calls fn with each entry of a directory, in order, until it returns false. As
 * blobs_tree_find.
 */
WEFT_MUST_CHECK
int blobs_tree_list(struct store *store, const struct tree_ask *ask,
		    bool (*fn)(void *arg, const struct tree_entry *entry), void *arg);

#endif
