/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_IMPORT_IMPORT_H
#define WEFT_BLOBS_IMPORT_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/manifest/manifest.h"
#include "weft/err.h"

struct blobs;
struct blobs_share_ask;
struct imports;
struct store_batch;

/*
 * Imports: one runs, some wait. blobs_share_add and
 * blobs_import_cancel of blobs.h are implemented here. Home worker;
 * walking and hashing run in a pool of their own, so that reads for peers
 * never queue behind a slice.
 */
#define IMPORTS_MAX 16

WEFT_MUST_CHECK
int blobs_imports_new(struct blobs *content, struct imports **out_imports);
/*
 * blobs_imports_stop ends what runs without telling; what was hashed is kept. Its
 * batches may still be in the store: flush it between stop and free.
 */
void blobs_imports_stop(struct imports *imports);
void blobs_imports_free(struct imports *imports);
int blobs_imports_fd(const struct imports *imports);
void blobs_imports_reap(struct imports *imports, uint64_t now_ns);
uint32_t blobs_imports_cnt(const struct imports *imports);

/*
 * A publisher (shares/publish/) has a tree imported, to make the manifest itself. All
 * on home, until the import's done.
 */
struct import_sealed;
struct import_seal {
	/* label says mime and tags of item; what it points to lives until the next call. */
	void (*label)(void *ctx, struct manifest_item *item);
	/*
	 * seal signs what builder has collected as shape, into bytes lent until the next
	 * call, and puts what belongs to it into batch. 0; 1 when it is what there is
	 * already, and no share is to be stored; or a code that ends the import.
	 */
	int (*seal)(void *ctx, struct import_sealed *io_sealed);
	void *ctx;
};
struct import_sealed {
	struct manifest_builder *builder;
	enum manifest_shape shape;
	uint64_t item_cnt, byte_cnt;
	const uint8_t *part_ids; /* 32 bytes each */
	size_t part_cnt;
	struct store_batch *batch;
	/* Filled by seal. */
	const uint8_t *bytes;
	size_t len;
	const uint8_t *replaced_id; /* the share's manifest up to now; NULL: none */
};
/* blobs_import_add: blobs_share_add for a caller that seals; seal NULL: its own collection. */
WEFT_MUST_CHECK
int blobs_import_add(struct blobs *content, const struct blobs_share_ask *ask,
		     const struct import_seal *seal, uint64_t now_ns, uint64_t *out_import_id);

/* blobs_imports_is_hashing: jobs are under way that blobs_imports_reap runs or takes in. */
bool blobs_imports_is_hashing(const struct imports *imports);

/*
 * Some files and folders below a root: their paths relative to it, each on a line; "" or NULL
 * stands for all of it. Pure.
 */
#define ONLY_CAP 4096u /* with the NUL */

/* blobs_only_is_sound: each line is a path that is safe. */
bool blobs_only_is_sound(const char *only);
/* blobs_only_admits: path is one of them, below one, or leads to one. */
bool blobs_only_admits(const char *only, const char *path, size_t len);
/* blobs_only_next gives the line at *at, and its length, and steps over it; NULL at the end. */
const char *blobs_only_next(const char **at, size_t *out_len);

#endif
