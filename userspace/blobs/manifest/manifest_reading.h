/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_MANIFEST_MANIFEST_READING_H
#define WEFT_BLOBS_MANIFEST_MANIFEST_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/cbor.h"
#include "manifest.h"

/*
 * A manifest while it is read: manifest.c reads the fields, manifest_list.c and
 * manifest_links.c the lists.
 */
struct manifest_reading {
	struct cbor_reader r;
	struct manifest *manifest;
	size_t tag_cap;
	int err; /* the first thing wrong that is not the encoding */
};

/* blobs_manifest_reading_fail makes err the outcome, unless there is one. */
void blobs_manifest_reading_fail(struct manifest_reading *reading, int err);

/*
 * blobs_manifest_list_alloc makes room for the cnt items, of len bytes each, of the array that
 * was just entered; NULL: more than max, or no memory, which is noted.
 */
void *blobs_manifest_list_alloc(struct manifest_reading *reading, uint64_t cnt, uint64_t max,
				size_t len);

void blobs_manifest_items_read(struct manifest_reading *reading);
void blobs_manifest_parts_read(struct manifest_reading *reading);
void blobs_manifest_dirs_read(struct manifest_reading *reading);
void blobs_manifest_links_read(struct manifest_reading *reading);
/* blobs_manifest_path_is_below: path lies in the directory dir, at any depth. */
bool blobs_manifest_path_is_below(const char *path, size_t len, const char *dir, size_t dir_len);
/*
 * blobs_manifest_lists_are_apart: no path is in two lists, and none lies below a file or a link;
 * the lists were read.
 */
bool blobs_manifest_lists_are_apart(const struct manifest *manifest);

#endif
