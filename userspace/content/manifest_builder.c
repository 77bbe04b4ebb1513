/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing manifests: items are encoded when they are added, into a buffer
 * of the size of the longest manifest; encode puts heads around them.
 */
#include "content/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "codec/cbor.h"

/* Heads, version, time, title and the like around the lists. */
#define BUILDER_FRAME_LEN (MANIFEST_TITLE_CAP + 64u)
/* The head and the fields of an item but its name and path. */
#define BUILDER_ITEM_LEN 72u
#define BUILDER_PART_LEN 72u

struct manifest_builder {
	uint8_t *items; /* or parts: encoded one after the other */
	size_t items_len;
	uint8_t *dirs;
	size_t dirs_len;
	uint8_t *whole; /* what encode lends */
	uint32_t item_cap, item_cnt, part_cnt, dir_cnt;
	uint64_t byte_cnt;
	char last_item[MANIFEST_PATH_LEN_MAX];
	size_t last_item_len;
	char last_dir[MANIFEST_PATH_LEN_MAX];
	size_t last_dir_len;
};

int manifest_builder_new(struct manifest_builder **out_builder)
{
	struct manifest_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->item_cap = MANIFEST_ITEMS_MAX;
	b->items = malloc(MANIFEST_LEN_MAX);
	b->dirs = malloc(MANIFEST_LEN_MAX);
	b->whole = malloc(MANIFEST_LEN_MAX);
	if (!b->items || !b->dirs || !b->whole) {
		manifest_builder_free(b);
		return -ENOMEM;
	}
	*out_builder = b;
	return 0;
}

void manifest_builder_free(struct manifest_builder *b)
{
	if (!b)
		return;
	free(b->items);
	free(b->dirs);
	free(b->whole);
	free(b);
}

void manifest_builder_limit(struct manifest_builder *b, uint32_t item_cap)
{
	b->item_cap = item_cap < MANIFEST_ITEMS_MAX ? item_cap : MANIFEST_ITEMS_MAX;
}

void manifest_builder_reset(struct manifest_builder *b)
{
	b->items_len = b->dirs_len = 0;
	b->item_cnt = b->part_cnt = b->dir_cnt = 0;
	b->byte_cnt = 0;
	b->last_item_len = b->last_dir_len = 0;
}

static bool has_room(const struct manifest_builder *b, size_t len)
{
	return b->items_len + b->dirs_len + len + BUILDER_FRAME_LEN <= MANIFEST_LEN_MAX;
}

/* Does path come after the last of its list? */
static bool path_follows(const char *last, size_t last_len, const char *path, size_t len)
{
	return last_len == 0 || manifest_path_compare(last, last_len, path, len) < 0;
}

int manifest_builder_add_item(struct manifest_builder *b, const struct manifest_item *item)
{
	const char *slash = memrchr(item->path, '/', item->path_len);
	size_t dir_len = slash ? (size_t)(slash + 1 - item->path) : 0;
	struct writer w;

	if (!manifest_path_is_safe(item->path, item->path_len))
		return WEFT_EUNSAFE;
	if (!path_follows(b->last_item, b->last_item_len, item->path, item->path_len))
		return WEFT_EMALFORMED;
	if (b->item_cnt == b->item_cap || item->size > MANIFEST_BYTES_MAX - b->byte_cnt ||
	    !has_room(b, BUILDER_ITEM_LEN + 2 * item->path_len))
		return WEFT_EFULL;
	w = writer_of(b->items + b->items_len, MANIFEST_LEN_MAX - b->items_len);
	cbor_write_map(&w, slash ? 5 : 4);
	cbor_write_uint(&w, 0);
	cbor_write_bytes(&w, item->content_id, 32);
	cbor_write_uint(&w, 1);
	cbor_write_uint(&w, item->size);
	cbor_write_uint(&w, 2);
	cbor_write_text(&w, item->path + dir_len, item->path_len - dir_len);
	if (slash) {
		cbor_write_uint(&w, 3);
		cbor_write_text(&w, item->path, item->path_len);
	}
	cbor_write_uint(&w, 6);
	cbor_write_uint(&w, manifest_chunk_cnt(item->size));
	b->items_len += writer_len(&w);
	b->item_cnt++;
	b->byte_cnt += item->size;
	memcpy(b->last_item, item->path, item->path_len);
	b->last_item_len = item->path_len;
	return 0;
}

int manifest_builder_add_dir(struct manifest_builder *b, const char *path, size_t len)
{
	struct writer w;

	if (!manifest_path_is_safe(path, len))
		return WEFT_EUNSAFE;
	if (!path_follows(b->last_dir, b->last_dir_len, path, len))
		return WEFT_EMALFORMED;
	if (b->dir_cnt == MANIFEST_DIRS_MAX || !has_room(b, len + 8))
		return WEFT_EFULL;
	w = writer_of(b->dirs + b->dirs_len, MANIFEST_LEN_MAX - b->dirs_len);
	cbor_write_text(&w, path, len);
	b->dirs_len += writer_len(&w);
	b->dir_cnt++;
	memcpy(b->last_dir, path, len);
	b->last_dir_len = len;
	return 0;
}

int manifest_builder_add_part(struct manifest_builder *b, const struct manifest_part *part)
{
	struct writer w;

	if (b->part_cnt == MANIFEST_PARTS_MAX ||
	    part->byte_cnt > MANIFEST_BYTES_MAX - b->byte_cnt || !has_room(b, BUILDER_PART_LEN))
		return WEFT_EFULL;
	w = writer_of(b->items + b->items_len, MANIFEST_LEN_MAX - b->items_len);
	cbor_write_map(&w, 4);
	cbor_write_uint(&w, 0);
	cbor_write_bytes(&w, part->manifest_id, 32);
	cbor_write_uint(&w, 1);
	cbor_write_uint(&w, part->item_cnt);
	cbor_write_uint(&w, 2);
	cbor_write_uint(&w, part->byte_cnt);
	cbor_write_uint(&w, 3);
	cbor_write_uint(&w, part->len);
	b->items_len += writer_len(&w);
	b->part_cnt++;
	b->byte_cnt += part->byte_cnt;
	return 0;
}

uint32_t manifest_builder_item_cnt(const struct manifest_builder *b)
{
	return b->item_cnt;
}

uint64_t manifest_builder_byte_cnt(const struct manifest_builder *b)
{
	return b->byte_cnt;
}

bool manifest_builder_is_empty(const struct manifest_builder *b)
{
	return b->item_cnt + b->part_cnt + b->dir_cnt == 0;
}

const uint8_t *manifest_builder_encode(struct manifest_builder *b, enum manifest_shape shape,
				       uint64_t created_s, const char *title, size_t *out_len)
{
	struct writer w = writer_of(b->whole, MANIFEST_LEN_MAX);
	bool has_head = shape != MANIFEST_PART;
	bool has_title = has_head && title[0];

	cbor_write_map(&w, 2u + has_head + has_title + (b->dir_cnt != 0));
	cbor_write_uint(&w, 0);
	cbor_write_uint(&w, MANIFEST_VERSION);
	if (has_head) {
		cbor_write_uint(&w, 4);
		cbor_write_uint(&w, created_s);
	}
	if (has_title) {
		cbor_write_uint(&w, 6);
		cbor_write_text(&w, title, strlen(title));
	}
	cbor_write_uint(&w, shape == MANIFEST_ROOT ? 12 : 10);
	cbor_write_array(&w, shape == MANIFEST_ROOT ? b->part_cnt : b->item_cnt);
	writer_bytes(&w, b->items, b->items_len);
	if (b->dir_cnt) {
		cbor_write_uint(&w, 13);
		cbor_write_array(&w, b->dir_cnt);
		writer_bytes(&w, b->dirs, b->dirs_len);
	}
	*out_len = writer_len(&w);
	return b->whole;
}
