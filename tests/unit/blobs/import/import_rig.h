/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_IMPORT_RIG_H
#define WEFT_TESTS_IMPORT_RIG_H

#include <errno.h>

#include "blobs/import/import_read.h"
#include "blobs/serve/served_index.h"
#include "unit/blobs/content_rig.h"
#include "support/uring_probe.h"

/* A tree of files that is imported. */

#define CHUNK BLAKE3_CHUNK_LEN

static inline bool item_is(const struct manifest *m, uint32_t i, const char *path, size_t len,
			   unsigned seed)
{
	uint8_t *data = malloc(len ? len : 1), id[32];
	bool is;

	rig_pattern(data, len, seed);
	blake3_hash(data, len, id);
	is = i < m->item_cnt && m->items[i].size == len && m->items[i].path_len == strlen(path) &&
	     memcmp(m->items[i].path, path, strlen(path)) == 0 &&
	     memcmp(m->items[i].content_id, id, 32) == 0;
	if (!is)
		printf("# item %u is not %s\n", i, path);
	free(data);
	return is;
}

#endif
