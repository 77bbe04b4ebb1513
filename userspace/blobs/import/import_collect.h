/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_IMPORT_IMPORT_COLLECT_H
#define WEFT_BLOBS_IMPORT_IMPORT_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/manifest/manifest.h"
#include "weft/err.h"

struct store_batch;

/*
 * Collects items into manifests: one as long as they fit, else parts, which go into the batch as
 * they fill up, and a root. Memory is that of one manifest and 64 bytes for each part. item_cap:
 * items of one manifest.
 *
 * When there will be parts (blobs_import_collect_expect), a part begins at a path whose hash
 * says so, and not where a count is reached. So an added or removed file changes the part that
 * it is in, and seldom the next. A part has at least a third of item_cap, half of it on average,
 * and rarely all of it.
 */
struct import_collect;

WEFT_MUST_CHECK
int blobs_import_collect_new(uint32_t item_cap, struct import_collect **out_collect);
void blobs_import_collect_free(struct import_collect *collect);
/* blobs_import_collect_expect: about so many items are to come; asked before the first. */
void blobs_import_collect_expect(struct import_collect *collect, uint64_t item_cnt);
/*
 * blobs_import_collect_add_{item,dir,link}: in the order of the walk. io_put_len is
 * raised by what was put into batch. 0, WEFT_EUNSAFE, WEFT_ETOOLARGE (more
 * than a root can name) or -ENOMEM.
 */
WEFT_MUST_CHECK
int blobs_import_collect_add_item(struct import_collect *collect, const struct manifest_item *item,
				  struct store_batch *batch, uint64_t *io_put_len);
WEFT_MUST_CHECK
int blobs_import_collect_add_dir(struct import_collect *collect, const char *path, size_t len,
				 struct store_batch *batch, uint64_t *io_put_len);
WEFT_MUST_CHECK
int blobs_import_collect_add_link(struct import_collect *collect, const struct manifest_link *link,
				  struct store_batch *batch, uint64_t *io_put_len);
/*
 * blobs_import_collect_finish closes the last part. blobs_import_collect_encode gives
 * the manifest that names the collection, lent until the next call; it may
 * be called again with another time or title.
 */
WEFT_MUST_CHECK
int blobs_import_collect_finish(struct import_collect *collect, struct store_batch *batch,
				uint64_t *io_put_len);
const uint8_t *blobs_import_collect_encode(struct import_collect *collect, uint64_t created_s,
					   const char *title, size_t *out_len,
					   uint8_t out_id[static 32]);
/*
 * blobs_import_collect_shape and blobs_import_collect_builder are for the signer of the
 * collected items, after blobs_import_collect_finish.
 */
enum manifest_shape blobs_import_collect_shape(const struct import_collect *collect);
struct manifest_builder *blobs_import_collect_builder(struct import_collect *collect);
/* blobs_import_collect_part_ids: 32 bytes for each part, none when the manifest is whole. */
const uint8_t *blobs_import_collect_part_ids(const struct import_collect *collect, size_t *out_cnt);
uint64_t blobs_import_collect_item_cnt(const struct import_collect *collect);
uint64_t blobs_import_collect_byte_cnt(const struct import_collect *collect);

#endif
