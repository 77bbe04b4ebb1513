/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_VOLUME_H
#define WEFT_CONTENT_VOLUME_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct manifest;
struct store;

/* A manifest that is stored here, a whole one, a root or a part, with the bytes it points into. */
struct volume {
	uint8_t id[32];
	struct manifest *manifest; /* NULL: none is loaded */
	uint8_t *bytes;
	size_t len;
};

/*
 * volume_load reads the manifest named by id.
 *
 * Returns 0, or:
 *   WEFT_EABSENT  no such blob
 *   WEFT_EDAMAGED it cannot be read, or is longer than any manifest
 *   what manifest_parse says of its bytes, or -errno
 * Owns:    *out_volume, until volume_fini; on failure it is untouched.
 * Context: any thread; waits on the disk (store_blob_read).
 */
WEFT_MUST_CHECK
int volume_load(struct store *store, const uint8_t id[static 32], struct volume *out_volume);
/* volume_fini takes one that is all zero, too, and leaves it so. */
void volume_fini(struct volume *volume);

#endif
