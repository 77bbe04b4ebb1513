/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of a collection's files, read and written (manifest.h). The
 * reader takes bytes of a stranger: counts are checked before memory is
 * asked for, paths before anybody sees them.
 */
#include "content/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "codec/cbor.h"
#include "codec/utf8.h"
#include "crypto/blake3.h"

enum {
	KEY_VERSION = 0,
	KEY_CREATED = 4,
	KEY_TITLE = 6,
	KEY_ITEMS = 10,
	KEY_PARTS = 12,
	KEY_DIRS = 13
};
enum { ITEM_ID = 0, ITEM_SIZE = 1, ITEM_NAME = 2, ITEM_PATH = 3, ITEM_CHUNKS = 6 };
enum { PART_ID = 0, PART_ITEMS = 1, PART_BYTES = 2, PART_LEN = 3 };

uint64_t manifest_chunk_cnt(uint64_t size)
{
	return size / BLAKE3_CHUNK_LEN + (size % BLAKE3_CHUNK_LEN != 0);
}

/* --- paths --- */

static bool name_is_safe(const char *name, size_t len)
{
	const size_t prefix_len = sizeof(MANIFEST_STAGING_PREFIX) - 1;

	if (len == 0 || len > MANIFEST_NAME_LEN_MAX)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return len < prefix_len || memcmp(name, MANIFEST_STAGING_PREFIX, prefix_len) != 0;
}

bool manifest_path_is_safe(const char *path, size_t len)
{
	const char *end = path + len;

	if (len == 0 || len > MANIFEST_PATH_LEN_MAX || !utf8_is_plain(path, len))
		return false;
	for (;;) {
		const char *slash = memchr(path, '/', (size_t)(end - path));

		if (!name_is_safe(path, (size_t)((slash ? slash : end) - path)))
			return false;
		if (!slash)
			return true;
		path = slash + 1;
	}
}

bool manifest_title_is_safe(const char *title)
{
	size_t len = strnlen(title, MANIFEST_TITLE_CAP);

	return len < MANIFEST_TITLE_CAP && utf8_is_plain(title, len);
}

static unsigned path_rank(char c)
{
	return c == '/' ? 0 : (unsigned)(uint8_t)c;
}

int manifest_path_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t len = a_len < b_len ? a_len : b_len;

	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i])
			return path_rank(a[i]) < path_rank(b[i]) ? -1 : 1;
	return (a_len > b_len) - (a_len < b_len);
}

static bool path_is_below(const char *path, size_t len, const char *dir, size_t dir_len)
{
	return len > dir_len && path[dir_len] == '/' && memcmp(path, dir, dir_len) == 0;
}

/* --- reading --- */

struct reading {
	struct cbor_reader r;
	struct manifest *manifest;
	bool has_created, has_items, has_parts;
	int err; /* the first thing wrong that is not the encoding */
};

static void reading_fail(struct reading *reading, int err)
{
	if (reading->err == 0)
		reading->err = err;
	cbor_fail(&reading->r);
}

/* list_alloc makes room for the items of the array that was just entered. */
static void *list_alloc(struct reading *reading, uint64_t cnt, uint64_t max, size_t len)
{
	void *list;

	/* Each item takes at least one byte: no array is longer than what is left. */
	if (cnt > max)
		reading_fail(reading, WEFT_ETOOLARGE);
	else if (cnt > cursor_left(&reading->r.c))
		cbor_fail(&reading->r);
	if (cbor_is_bad(&reading->r))
		return NULL;
	list = calloc(cnt ? cnt : 1, len);
	if (!list)
		reading_fail(reading, -ENOMEM);
	return list;
}

static void bytes_add(struct reading *reading, uint64_t byte_cnt)
{
	uint64_t sum;

	if (__builtin_add_overflow(reading->manifest->all_byte_cnt, byte_cnt, &sum) ||
	    sum > MANIFEST_BYTES_MAX)
		reading_fail(reading, WEFT_ETOOLARGE);
	else
		reading->manifest->all_byte_cnt = sum;
}

static void item_read(struct reading *reading, struct manifest_item *item)
{
	struct cbor_reader *r = &reading->r;
	const char *name = NULL;
	size_t name_len = 0, id_len = 0;
	uint64_t key, chunk_cnt = 0;
	unsigned seen = 0;

	cbor_enter_map(r);
	while (cbor_next_key(r, &key)) {
		switch (key) {
		case ITEM_ID:
			item->content_id = cbor_read_bytes(r, &id_len);
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
		case ITEM_CHUNKS:
			chunk_cnt = cbor_read_uint(r);
			break;
		default:
			cbor_skip(r);
			continue;
		}
		seen |= 1u << key;
	}
	if (cbor_is_bad(r))
		return;
	if ((seen | 1u << ITEM_PATH) != 0x4f || id_len != BLAKE3_HASH_LEN ||
	    chunk_cnt != manifest_chunk_cnt(item->size)) {
		cbor_fail(r);
		return;
	}
	if (!item->path) {
		item->path = name;
		item->path_len = name_len;
	} else if (item->path_len <= name_len || item->path[item->path_len - name_len - 1] != '/' ||
		   memcmp(item->path + item->path_len - name_len, name, name_len) != 0) {
		cbor_fail(r);
		return;
	}
	if (memchr(name, '/', name_len) || !manifest_path_is_safe(item->path, item->path_len))
		reading_fail(reading, WEFT_EUNSAFE);
	bytes_add(reading, item->size);
}

static void items_read(struct reading *reading)
{
	struct manifest *m = reading->manifest;
	uint64_t cnt = cbor_enter_array(&reading->r);

	m->items = list_alloc(reading, cnt, MANIFEST_ITEMS_MAX, sizeof(*m->items));
	while (cbor_next(&reading->r) && m->items) {
		struct manifest_item *item = &m->items[m->item_cnt];

		item_read(reading, item);
		if (cbor_is_bad(&reading->r))
			return;
		/* A file's path before its own child's would make it a directory too. */
		if (m->item_cnt &&
		    (manifest_path_compare(item[-1].path, item[-1].path_len, item->path,
					   item->path_len) >= 0 ||
		     path_is_below(item->path, item->path_len, item[-1].path, item[-1].path_len))) {
			cbor_fail(&reading->r);
			return;
		}
		m->item_cnt++;
	}
	m->all_item_cnt += m->item_cnt;
}

static void part_read(struct reading *reading, struct manifest_part *part)
{
	struct cbor_reader *r = &reading->r;
	size_t id_len = 0;
	uint64_t key;
	unsigned seen = 0;

	cbor_enter_map(r);
	while (cbor_next_key(r, &key)) {
		switch (key) {
		case PART_ID:
			part->manifest_id = cbor_read_bytes(r, &id_len);
			break;
		case PART_ITEMS:
			part->item_cnt = cbor_read_uint_max(r, MANIFEST_ITEMS_MAX);
			break;
		case PART_BYTES:
			part->byte_cnt = cbor_read_uint(r);
			break;
		case PART_LEN:
			part->len = cbor_read_uint_max(r, MANIFEST_LEN_MAX);
			break;
		default:
			cbor_skip(r);
			continue;
		}
		seen |= 1u << key;
	}
	if (cbor_is_bad(r))
		return;
	if (seen != 0xf || id_len != BLAKE3_HASH_LEN)
		cbor_fail(r);
	bytes_add(reading, part->byte_cnt);
	reading->manifest->all_item_cnt += part->item_cnt;
}

static void parts_read(struct reading *reading)
{
	struct manifest *m = reading->manifest;
	uint64_t cnt = cbor_enter_array(&reading->r);

	m->parts = list_alloc(reading, cnt, MANIFEST_PARTS_MAX, sizeof(*m->parts));
	while (cbor_next(&reading->r) && m->parts) {
		part_read(reading, &m->parts[m->part_cnt]);
		m->part_cnt += !cbor_is_bad(&reading->r);
	}
}

static void dirs_read(struct reading *reading)
{
	struct manifest *m = reading->manifest;
	uint64_t cnt = cbor_enter_array(&reading->r);

	m->dirs = list_alloc(reading, cnt, MANIFEST_DIRS_MAX, sizeof(*m->dirs));
	while (cbor_next(&reading->r) && m->dirs) {
		struct manifest_dir *dir = &m->dirs[m->dir_cnt];

		dir->path = cbor_read_text(&reading->r, &dir->path_len);
		if (cbor_is_bad(&reading->r))
			return;
		if (!manifest_path_is_safe(dir->path, dir->path_len))
			reading_fail(reading, WEFT_EUNSAFE);
		if (m->dir_cnt && manifest_path_compare(dir[-1].path, dir[-1].path_len, dir->path,
							dir->path_len) >= 0)
			cbor_fail(&reading->r);
		m->dir_cnt += !cbor_is_bad(&reading->r);
	}
}

/* A path may not be a file and an (empty) directory; both lists ascend. */
static bool dirs_are_no_files(const struct manifest *m)
{
	uint32_t i = 0, d = 0;

	while (i < m->item_cnt && d < m->dir_cnt) {
		const struct manifest_item *item = &m->items[i];
		const struct manifest_dir *dir = &m->dirs[d];
		int order =
			manifest_path_compare(item->path, item->path_len, dir->path, dir->path_len);

		if (order == 0 ||
		    path_is_below(dir->path, dir->path_len, item->path, item->path_len))
			return false;
		if (order < 0)
			i++;
		else
			d++;
	}
	return true;
}

static void fields_read(struct reading *reading)
{
	struct cbor_reader *r = &reading->r;
	struct manifest *m = reading->manifest;
	bool has_version = false;
	uint64_t key;

	cbor_enter_map(r);
	while (cbor_next_key(r, &key)) {
		switch (key) {
		case KEY_VERSION:
			if (cbor_read_uint(r) != MANIFEST_VERSION)
				reading_fail(reading, WEFT_EUNKNOWN);
			has_version = true;
			break;
		case KEY_CREATED:
			m->created_s = cbor_read_uint(r);
			reading->has_created = true;
			break;
		case KEY_TITLE:
			cbor_read_text_copy(r, m->title, sizeof(m->title));
			if (!cbor_is_bad(r) && !manifest_title_is_safe(m->title))
				reading_fail(reading, WEFT_EUNSAFE);
			break;
		case KEY_ITEMS:
			items_read(reading);
			reading->has_items = true;
			break;
		case KEY_PARTS:
			parts_read(reading);
			reading->has_parts = true;
			break;
		case KEY_DIRS:
			dirs_read(reading);
			break;
		default:
			cbor_skip(r);
		}
	}
	if (!has_version)
		cbor_fail(r);
}

static int shape_take(struct reading *reading)
{
	struct manifest *m = reading->manifest;

	if (reading->has_items == reading->has_parts)
		return WEFT_EMALFORMED;
	if (reading->has_parts) {
		m->shape = MANIFEST_ROOT;
		return reading->has_created && m->part_cnt && !m->dir_cnt ? 0 : WEFT_EMALFORMED;
	}
	m->shape = reading->has_created ? MANIFEST_WHOLE : MANIFEST_PART;
	if (m->shape == MANIFEST_PART && m->title[0])
		return WEFT_EMALFORMED;
	return dirs_are_no_files(m) ? 0 : WEFT_EUNSAFE;
}

int manifest_parse(const void *bytes, size_t len, struct manifest **out_manifest)
{
	struct reading reading = {.manifest = calloc(1, sizeof(struct manifest))};
	int err;

	if (!reading.manifest)
		return -ENOMEM;
	err = len > MANIFEST_LEN_MAX ? WEFT_ETOOLARGE : 0;
	if (err == 0) {
		cbor_reader_init(&reading.r, bytes, len);
		fields_read(&reading);
		err = cbor_reader_finish(&reading.r);
	}
	if (reading.err < 0)
		err = reading.err;
	if (err == 0)
		err = shape_take(&reading);
	if (err < 0) {
		manifest_free(reading.manifest);
		return err;
	}
	*out_manifest = reading.manifest;
	return 0;
}

void manifest_free(struct manifest *manifest)
{
	if (!manifest)
		return;
	free(manifest->items);
	free(manifest->parts);
	free(manifest->dirs);
	free(manifest);
}
