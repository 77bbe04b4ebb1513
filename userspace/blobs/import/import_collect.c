/* SPDX-License-Identifier: Apache-2.0 */
/* From items in order to a manifest, or a root and its parts. */
#include "import_collect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash_bytes.h"
#include "crypto/blake3/blake3.h"
#include "store/store.h"

struct import_collect {
	struct manifest_builder *builder;
	struct manifest_part *parts; /* manifest_id is set from ids when they are added */
	uint8_t *ids;
	size_t part_cnt;
	uint64_t item_cnt;
	uint64_t byte_cnt;
	uint32_t item_cap;
	uint32_t entry_cnt; /* of the part that is being filled: items, directories, links */
	bool has_parts;	    /* there will be some: they end where paths say */
};

int blobs_import_collect_new(uint32_t item_cap, struct import_collect **out_collect)
{
	struct import_collect *c = calloc(1, sizeof(*c));
	int err = c ? blobs_manifest_builder_new(&c->builder) : -ENOMEM;

	if (err < 0) {
		free(c);
		return err;
	}
	blobs_manifest_builder_limit(c->builder, item_cap);
	c->item_cap = item_cap;
	*out_collect = c;
	return 0;
}

void blobs_import_collect_free(struct import_collect *c)
{
	if (!c)
		return;
	blobs_manifest_builder_free(c->builder);
	free(c->parts);
	free(c->ids);
	free(c);
}

void blobs_import_collect_expect(struct import_collect *c, uint64_t item_cnt)
{
	c->has_parts = item_cnt > c->item_cap;
}

enum manifest_shape blobs_import_collect_shape(const struct import_collect *c)
{
	return c->part_cnt ? MANIFEST_ROOT : MANIFEST_WHOLE;
}

struct manifest_builder *blobs_import_collect_builder(struct import_collect *c)
{
	return c->builder;
}

/*
 * Every PART_ODDS-th path begins a part, once the one before has its least. With 3,000
 * items at most, 1 part in 55 ends only because it is full.
 */
#define PART_LEAST(cap) ((cap) / 3)
#define PART_ODDS(cap)	((cap) < 6 ? 1 : (cap) / 6)

static bool part_begins_at(const struct import_collect *c, const char *path, size_t len)
{
	/* Publishers of one share have to agree, so there is no secret in it. */
	static const uint64_t key[2];

	return c->has_parts && c->entry_cnt >= PART_LEAST(c->item_cap) &&
	       siphash(key, path, len) % PART_ODDS(c->item_cap) == 0;
}

static int part_close(struct import_collect *c, struct store_batch *batch, uint64_t *io_put_len)
{
	struct manifest_part *part;
	const uint8_t *bytes;
	size_t len;

	if (c->part_cnt == MANIFEST_PARTS_MAX)
		return WEFT_ETOOLARGE;
	if (!c->parts) {
		c->parts = malloc(MANIFEST_PARTS_MAX * sizeof(*c->parts));
		c->ids = malloc((size_t)MANIFEST_PARTS_MAX * 32);
		if (!c->parts || !c->ids)
			return -ENOMEM;
	}
	bytes = blobs_manifest_builder_encode(c->builder, MANIFEST_PART, 0, "", &len);
	part = &c->parts[c->part_cnt];
	*part = (struct manifest_part){
		.manifest_id = c->ids + 32 * c->part_cnt,
		.item_cnt = blobs_manifest_builder_item_cnt(c->builder),
		.byte_cnt = blobs_manifest_builder_byte_cnt(c->builder),
		.len = len,
	};
	blake3_hash(bytes, len, c->ids + 32 * c->part_cnt);
	store_batch_put_blob(batch, part->manifest_id, bytes, len);
	*io_put_len += len;
	c->part_cnt++;
	c->has_parts = true;
	c->entry_cnt = 0;
	blobs_manifest_builder_reset(c->builder);
	return 0;
}

/* The next item, path, may begin a part. */
static int part_turn(struct import_collect *c, const char *path, size_t len,
		     struct store_batch *batch, uint64_t *io_put_len)
{
	return part_begins_at(c, path, len) ? part_close(c, batch, io_put_len) : 0;
}

int blobs_import_collect_add_item(struct import_collect *c, const struct manifest_item *item,
				  struct store_batch *batch, uint64_t *io_put_len)
{
	int err;

	if (item->size > MANIFEST_BYTES_MAX - c->byte_cnt)
		return WEFT_ETOOLARGE;
	err = part_turn(c, item->path, item->path_len, batch, io_put_len);
	if (err == 0)
		err = blobs_manifest_builder_add_item(c->builder, item);
	if (err == WEFT_EFULL) {
		err = part_close(c, batch, io_put_len);
		if (err == 0)
			err = blobs_manifest_builder_add_item(c->builder, item);
	}
	if (err < 0)
		return err;
	c->entry_cnt++;
	c->item_cnt++;
	c->byte_cnt += item->size;
	return 0;
}

int blobs_import_collect_add_dir(struct import_collect *c, const char *path, size_t len,
				 struct store_batch *batch, uint64_t *io_put_len)
{
	int err = part_turn(c, path, len, batch, io_put_len);

	if (err == 0)
		err = blobs_manifest_builder_add_dir(c->builder, path, len);
	if (err == WEFT_EFULL) {
		err = part_close(c, batch, io_put_len);
		if (err == 0)
			err = blobs_manifest_builder_add_dir(c->builder, path, len);
	}
	c->entry_cnt += err == 0;
	return err;
}

int blobs_import_collect_add_link(struct import_collect *c, const struct manifest_link *link,
				  struct store_batch *batch, uint64_t *io_put_len)
{
	int err = part_turn(c, link->path, link->path_len, batch, io_put_len);

	if (err == 0)
		err = blobs_manifest_builder_add_link(c->builder, link);
	if (err == WEFT_EFULL) {
		err = part_close(c, batch, io_put_len);
		if (err == 0)
			err = blobs_manifest_builder_add_link(c->builder, link);
	}
	c->entry_cnt += err == 0;
	return err;
}

int blobs_import_collect_finish(struct import_collect *c, struct store_batch *batch,
				uint64_t *io_put_len)
{
	int err = 0;

	if (c->part_cnt == 0)
		return 0;
	if (!blobs_manifest_builder_is_empty(c->builder))
		err = part_close(c, batch, io_put_len);
	for (size_t i = 0; i < c->part_cnt && err == 0; i++)
		err = blobs_manifest_builder_add_part(c->builder, &c->parts[i]);
	return err;
}

const uint8_t *blobs_import_collect_encode(struct import_collect *c, uint64_t created_s,
					   const char *title, size_t *out_len,
					   uint8_t out_id[static 32])
{
	const uint8_t *bytes = blobs_manifest_builder_encode(
		c->builder, blobs_import_collect_shape(c), created_s, title, out_len);

	blake3_hash(bytes, *out_len, out_id);
	return bytes;
}

const uint8_t *blobs_import_collect_part_ids(const struct import_collect *c, size_t *out_cnt)
{
	*out_cnt = c->part_cnt;
	return c->ids;
}

uint64_t blobs_import_collect_item_cnt(const struct import_collect *c)
{
	return c->item_cnt;
}

uint64_t blobs_import_collect_byte_cnt(const struct import_collect *c)
{
	return c->byte_cnt;
}
