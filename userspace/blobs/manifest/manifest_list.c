/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lists of a manifest, read: bytes of a peer. Counts are checked before memory
 * is asked for, paths before anybody sees them.
 */
#include "codec/cbor_fields.h"
#include "manifest_reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "codec/text/utf8.h"
#include "crypto/blake3/blake3.h"

enum {
	ITEM_ID = 0,
	ITEM_SIZE = 1,
	ITEM_NAME = 2,
	ITEM_PATH = 3,
	ITEM_MIME = 4,
	ITEM_TAGS = 5,
	ITEM_CHUNKS = 6,
	ITEM_MTIME = 7,
	ITEM_EXECUTABLE = 8,
	ITEM_OPTIONAL = 1 << ITEM_PATH | 1 << ITEM_MIME | 1 << ITEM_TAGS | 1 << ITEM_MTIME |
			1 << ITEM_EXECUTABLE,
	ITEM_ALL = 0x1ff
};
enum { PART_ID = 0, PART_ITEMS = 1, PART_BYTES = 2, PART_LEN = 3 };

bool blobs_manifest_path_is_below(const char *path, size_t len, const char *dir, size_t dir_len)
{
	return len > dir_len && path[dir_len] == '/' && memcmp(path, dir, dir_len) == 0;
}

void blobs_manifest_reading_fail(struct manifest_reading *reading, int err)
{
	if (reading->err == 0)
		reading->err = err;
	cbor_fail(&reading->r);
}

void *blobs_manifest_list_alloc(struct manifest_reading *reading, uint64_t cnt, uint64_t max,
				size_t len)
{
	void *list;

	/* Each item takes at least one byte: no array is longer than what is left. */
	if (cnt > max)
		blobs_manifest_reading_fail(reading, WEFT_ETOOLARGE);
	else if (cnt > cursor_left(&reading->r.c))
		cbor_fail(&reading->r);
	if (cbor_is_bad(&reading->r))
		return NULL;
	list = calloc(cnt ? cnt : 1, len);
	if (!list)
		blobs_manifest_reading_fail(reading, -ENOMEM);
	return list;
}

static void bytes_add(struct manifest_reading *reading, uint64_t byte_cnt)
{
	uint64_t sum;

	if (__builtin_add_overflow(reading->manifest->all_byte_cnt, byte_cnt, &sum) ||
	    sum > MANIFEST_BYTES_MAX)
		blobs_manifest_reading_fail(reading, WEFT_ETOOLARGE);
	else
		reading->manifest->all_byte_cnt = sum;
}

/* Tags of all items lie in one array, whose place is known when the last was read. */
static void tag_add(struct manifest_reading *reading, const struct manifest_tag *tag)
{
	struct manifest *m = reading->manifest;

	if (m->tag_cnt == reading->tag_cap) {
		size_t cap = reading->tag_cap ? 2 * reading->tag_cap : 64;
		void *grown = realloc(m->tags, cap * sizeof(*m->tags));

		if (!grown) {
			blobs_manifest_reading_fail(reading, -ENOMEM);
			return;
		}
		m->tags = grown;
		reading->tag_cap = cap;
	}
	m->tags[m->tag_cnt++] = *tag;
}

static void tags_read(struct manifest_reading *reading, struct manifest_item *item)
{
	struct cbor_reader *r = &reading->r;
	struct manifest_tag tag, last = {0};

	if (cbor_enter_array(r) > MANIFEST_TAGS_MAX)
		blobs_manifest_reading_fail(reading, WEFT_ETOOLARGE);
	while (cbor_next(r)) {
		tag.text = cbor_read_text(r, &tag.len);
		if (cbor_is_bad(r))
			return;
		if (!blobs_manifest_tag_is_safe(tag.text, tag.len))
			blobs_manifest_reading_fail(reading, WEFT_EUNSAFE);
		else if (item->tag_cnt && blobs_manifest_tag_compare(&last, &tag) >= 0)
			cbor_fail(r);
		else
			tag_add(reading, &tag);
		last = tag;
		item->tag_cnt++;
	}
	/* An absent field means none. */
	if (item->tag_cnt == 0)
		cbor_fail(r);
}

static void tags_place(struct manifest *m)
{
	size_t at = 0;

	for (uint32_t i = 0; i < m->item_cnt; i++) {
		m->items[i].tags = m->items[i].tag_cnt ? m->tags + at : NULL;
		at += m->items[i].tag_cnt;
	}
}

static void mime_read(struct manifest_reading *reading, struct manifest_item *item)
{
	item->mime = cbor_read_text(&reading->r, &item->mime_len);
	if (!cbor_is_bad(&reading->r) && !blobs_manifest_mime_is_safe(item->mime, item->mime_len))
		blobs_manifest_reading_fail(reading, WEFT_EUNSAFE);
}

/* An absent field means not executable. */
static void executable_read(struct manifest_reading *reading, struct manifest_item *item)
{
	item->is_executable = cbor_read_bool(&reading->r);
	if (!item->is_executable)
		cbor_fail(&reading->r);
}

/* The path is given where it differs from the name, its last part. */
static void path_take(struct manifest_reading *reading, struct manifest_item *item,
		      const char *name, size_t name_len)
{
	if (!item->path) {
		item->path = name;
		item->path_len = name_len;
	} else if (item->path_len <= name_len || item->path[item->path_len - name_len - 1] != '/' ||
		   memcmp(item->path + item->path_len - name_len, name, name_len) != 0) {
		cbor_fail(&reading->r);
		return;
	}
	if (memchr(name, '/', name_len) || !blobs_manifest_path_is_safe(item->path, item->path_len))
		blobs_manifest_reading_fail(reading, WEFT_EUNSAFE);
}

static void item_read(struct manifest_reading *reading, struct manifest_item *item)
{
	struct cbor_reader *r = &reading->r;
	const char *name = NULL;
	size_t name_len = 0;
	uint64_t key, chunk_cnt = 0;
	unsigned seen = 0;

	cbor_enter_map(r);
	while (cbor_next_key(r, &key)) {
		switch (key) {
		case ITEM_ID:
			item->content_id = cbor_read_exactly(r, BLAKE3_HASH_LEN);
			break;
		case ITEM_SIZE:
			item->size = cbor_read_uint(r);
			break;
		case ITEM_NAME:
			name = cbor_read_text(r, &name_len);
			break;
		case ITEM_PATH:
			item->path = cbor_read_text(r, &item->path_len);
			break;
		case ITEM_MIME:
			mime_read(reading, item);
			break;
		case ITEM_TAGS:
			tags_read(reading, item);
			break;
		case ITEM_CHUNKS:
			chunk_cnt = cbor_read_uint(r);
			break;
		case ITEM_MTIME:
			item->mtime_ns = cbor_read_uint_max(r, INT64_MAX);
			break;
		case ITEM_EXECUTABLE:
			executable_read(reading, item);
			break;
		default:
			cbor_skip(r);
			continue;
		}
		seen |= 1u << key;
	}
	if (cbor_is_bad(r))
		return;
	if ((seen | ITEM_OPTIONAL) != ITEM_ALL ||
	    chunk_cnt != blobs_manifest_chunk_cnt(item->size)) {
		cbor_fail(r);
		return;
	}
	path_take(reading, item, name, name_len);
	bytes_add(reading, item->size);
}

void blobs_manifest_items_read(struct manifest_reading *reading)
{
	struct manifest *m = reading->manifest;
	uint64_t cnt = cbor_enter_array(&reading->r);

	m->items = blobs_manifest_list_alloc(reading, cnt, MANIFEST_ITEMS_MAX, sizeof(*m->items));
	while (cbor_next(&reading->r) && m->items) {
		struct manifest_item *item = &m->items[m->item_cnt];

		item->encoding = reading->r.c.pos;
		item_read(reading, item);
		if (cbor_is_bad(&reading->r))
			return;
		/* A file's path before its own child's would make it a directory too. */
		if (m->item_cnt &&
		    (blobs_manifest_path_compare(item[-1].path, item[-1].path_len, item->path,
						 item->path_len) >= 0 ||
		     blobs_manifest_path_is_below(item->path, item->path_len, item[-1].path,
						  item[-1].path_len))) {
			cbor_fail(&reading->r);
			return;
		}
		m->item_cnt++;
	}
	m->all_item_cnt += m->item_cnt;
	tags_place(m);
}

int blobs_manifest_parse_item(const void *bytes, size_t len, struct manifest **out_manifest)
{
	struct manifest_reading reading = {.manifest = calloc(1, sizeof(struct manifest))};
	struct manifest *m = reading.manifest;
	int err = 0;

	if (!m)
		return -ENOMEM;
	m->shape = MANIFEST_PART;
	m->items = calloc(1, sizeof(*m->items));
	if (!m->items) {
		blobs_manifest_free(m);
		return -ENOMEM;
	}
	m->items->encoding = bytes;
	cbor_reader_init(&reading.r, bytes, len);
	item_read(&reading, m->items);
	m->item_cnt = 1;
	m->all_item_cnt = 1;
	tags_place(m);
	if (cbor_is_bad(&reading.r))
		err = reading.err < 0 ? reading.err : WEFT_EMALFORMED;
	if (err < 0) {
		blobs_manifest_free(m);
		return err;
	}
	*out_manifest = m;
	return 0;
}

static const struct cbor_field part_fields[] = {
	{PART_ID, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct manifest_part, manifest_id),
	 .max = BLAKE3_HASH_LEN},
	{PART_ITEMS, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct manifest_part, item_cnt),
	 .max = MANIFEST_ITEMS_MAX},
	{PART_BYTES, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct manifest_part, byte_cnt)},
	{PART_LEN, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct manifest_part, len),
	 .max = MANIFEST_LEN_MAX},
};
static const struct cbor_table part_table = {CBOR_FIELDS(part_fields)};

void blobs_manifest_parts_read(struct manifest_reading *reading)
{
	struct manifest *m = reading->manifest;
	uint64_t cnt = cbor_enter_array(&reading->r);

	m->parts = blobs_manifest_list_alloc(reading, cnt, MANIFEST_PARTS_MAX, sizeof(*m->parts));
	while (cbor_next(&reading->r) && m->parts) {
		struct manifest_part *part = &m->parts[m->part_cnt];

		cbor_fields_read(&reading->r, &part_table, part);
		if (cbor_is_bad(&reading->r))
			return;
		bytes_add(reading, part->byte_cnt);
		m->all_item_cnt += part->item_cnt;
		m->part_cnt += !cbor_is_bad(&reading->r);
	}
}

void blobs_manifest_dirs_read(struct manifest_reading *reading)
{
	struct manifest *m = reading->manifest;
	uint64_t cnt = cbor_enter_array(&reading->r);

	m->dirs = blobs_manifest_list_alloc(reading, cnt, MANIFEST_DIRS_MAX, sizeof(*m->dirs));
	while (cbor_next(&reading->r) && m->dirs) {
		struct manifest_dir *dir = &m->dirs[m->dir_cnt];

		dir->path = cbor_read_text(&reading->r, &dir->path_len);
		if (cbor_is_bad(&reading->r))
			return;
		if (!blobs_manifest_path_is_safe(dir->path, dir->path_len))
			blobs_manifest_reading_fail(reading, WEFT_EUNSAFE);
		if (m->dir_cnt && blobs_manifest_path_compare(dir[-1].path, dir[-1].path_len,
							      dir->path, dir->path_len) >= 0)
			cbor_fail(&reading->r);
		m->dir_cnt += !cbor_is_bad(&reading->r);
	}
}
