/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_MANIFEST_READING_H
#define WEFT_CONTENT_MANIFEST_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/cbor.h"
#include "content/manifest.h"

/* A manifest while it is read: manifest.c reads the fields, manifest_list.c the lists. */
struct manifest_reading {
	struct cbor_reader r;
	struct manifest *manifest;
	size_t tag_cap;
	int err; /* the first thing wrong that is not the encoding */
};

/* manifest_reading_fail makes err the outcome, unless there is one. */
void manifest_reading_fail(struct manifest_reading *reading, int err);

void manifest_items_read(struct manifest_reading *reading);
void manifest_parts_read(struct manifest_reading *reading);
void manifest_dirs_read(struct manifest_reading *reading);
/* manifest_dirs_are_no_files: no path is both; the lists were read. */
bool manifest_dirs_are_no_files(const struct manifest *manifest);

#endif
