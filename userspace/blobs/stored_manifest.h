/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_STORED_MANIFEST_H
#define WEFT_BLOBS_STORED_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct manifest;
struct store;

/* A manifest that is stored here, a whole one, a root or a part, with the bytes it points into. */
struct stored_manifest {
	uint8_t id[32];
	struct manifest *manifest; /* NULL: none is loaded */
	uint8_t *bytes;
	size_t len;
};

/*
 * blobs_stored_manifest_load reads the manifest named by id.
 *
 * Returns 0, or:
 *   WEFT_EABSENT  no such blob
 *   WEFT_EDAMAGED it cannot be read, or is longer than any manifest
 *   what blobs_manifest_parse says of its bytes, or -errno
 * Owns:    *out_stored, until blobs_stored_manifest_fini; on failure it is untouched.
 * Context: any thread; waits on the disk (store_blob_read).
 */
WEFT_MUST_CHECK
int blobs_stored_manifest_load(struct store *store, const uint8_t id[static 32],
			       struct stored_manifest *out_stored);
/* blobs_stored_manifest_fini takes one that is all zero, too, and leaves it so. */
void blobs_stored_manifest_fini(struct stored_manifest *stored);

#endif
