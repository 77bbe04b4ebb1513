/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of a collection's files, read (manifest.h): bytes of a peer. Counts are checked before
 * memory is asked for, paths before any caller sees them. One that is signed is the same map in a
 * signed object, with what its publisher says of the share.
 */
#include "manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/blake3/blake3.h"
#include "crypto/signed.h"

enum {
	KEY_VERSION = 0,
	KEY_SHARE_KEY = 1,
	KEY_SHARE_ID = 2,
	KEY_SEQ = 3,
	KEY_CREATED = 4,
	KEY_EXPIRES = 5,
	KEY_TITLE = 6,
	KEY_DESCRIPTION = 7,
	KEY_VISIBILITY = 8,
	KEY_COMMUNITIES = 9,
	KEY_ITEMS = 10,
	KEY_RECOMMENDED = 11,
	KEY_PARTS = 12,
	KEY_DIRS = 13,
	KEY_LINKS = 14,
};

/* The fields that only a share has, and those it must have. */
#define SIGNED_KEYS                                                                                \
	(CBOR_KEY(KEY_SHARE_KEY) | CBOR_KEY(KEY_SHARE_ID) | CBOR_KEY(KEY_SEQ) |                    \
	 CBOR_KEY(KEY_EXPIRES) | CBOR_KEY(KEY_DESCRIPTION) | CBOR_KEY(KEY_VISIBILITY) |            \
	 CBOR_KEY(KEY_COMMUNITIES) | CBOR_KEY(KEY_RECOMMENDED))
#define SIGNED_KEYS_NEEDED                                                                         \
	(CBOR_KEY(KEY_SHARE_KEY) | CBOR_KEY(KEY_SHARE_ID) | CBOR_KEY(KEY_SEQ) |                    \
	 CBOR_KEY(KEY_CREATED) | CBOR_KEY(KEY_VISIBILITY))

/* A manifest while it is read. */
struct reading {
	struct manifest *m;
	struct cbor_reader r;
	size_t tag_cap;
	int err; /* the first thing wrong that is not the encoding */
};

static void reading_fail(struct reading *reading, int err)
{
	if (reading->err == 0)
		reading->err = err;
	cbor_fail(&reading->r);
}

static void reading_need(struct reading *reading, bool is_right, int err)
{
	if (!cbor_is_bad(&reading->r) && !is_right)
		reading_fail(reading, err);
}

static void bytes_add(struct reading *reading, uint64_t byte_cnt)
{
	if (byte_cnt > MANIFEST_BYTES_MAX - reading->m->all_byte_cnt)
		reading_fail(reading, WEFT_ETOOLARGE);
	else
		reading->m->all_byte_cnt += byte_cnt;
}

/* --- an item --- */

struct item_fields {
	struct manifest_item item;
	const char *name;
	size_t name_len;
	uint64_t chunk_cnt;
	struct reading *reading;
};

/* Tags of all items lie in one array, whose place is known when the last was read. */
static void tag_add(struct reading *reading, const struct manifest_tag *tag)
{
	struct manifest *m = reading->m;

	if (m->tag_cnt == reading->tag_cap) {
		size_t cap = reading->tag_cap ? 2 * reading->tag_cap : 64;
		void *grown = realloc(m->tags, cap * sizeof(*m->tags));

		if (!grown) {
			reading_fail(reading, -ENOMEM);
			return;
		}
		m->tags = grown;
		reading->tag_cap = cap;
	}
	m->tags[m->tag_cnt++] = *tag;
}

static void tags_read(struct cbor_reader *r, void *record)
{
	struct item_fields *fields = record;
	struct reading *reading = fields->reading;
	struct manifest *m = reading->m;
	struct manifest_tag tag;

	if (cbor_enter_array(r) > MANIFEST_TAGS_MAX)
		reading_fail(reading, WEFT_ETOOLARGE);
	while (cbor_next(r)) {
		tag.text = cbor_read_text(r, &tag.len);
		if (cbor_is_bad(r))
			return;
		if (!blobs_manifest_tag_is_safe(tag.text, tag.len))
			reading_fail(reading, WEFT_EUNSAFE);
		else if (fields->item.tag_cnt &&
			 blobs_manifest_tag_compare(&m->tags[m->tag_cnt - 1], &tag) >= 0)
			cbor_fail(r);
		else
			tag_add(reading, &tag);
		fields->item.tag_cnt++;
	}
	/* An absent field means none. */
	if (fields->item.tag_cnt == 0)
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

static const struct cbor_field item_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct item_fields, item.content_id),
	 .max = BLAKE3_HASH_LEN},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct item_fields, item.size)},
	{2, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct item_fields, name),
	 CBOR_LEN(struct item_fields, name_len)},
	{3, CBOR_FIELD_SPAN, CBOR_OPTIONAL, CBOR_AT(struct item_fields, item.path),
	 CBOR_LEN(struct item_fields, item.path_len)},
	{4, CBOR_FIELD_SPAN, CBOR_OPTIONAL, CBOR_AT(struct item_fields, item.mime),
	 CBOR_LEN(struct item_fields, item.mime_len)},
	{5, CBOR_FIELD_CODED, CBOR_OPTIONAL, .read = tags_read},
	{6, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct item_fields, chunk_cnt)},
	{7, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct item_fields, item.mtime_ns),
	 .max = INT64_MAX},
	{8, CBOR_FIELD_FLAG, CBOR_OPTIONAL, CBOR_AT(struct item_fields, item.is_executable)},
};
static const struct cbor_table item_table = {CBOR_FIELDS(item_fields)};

/* The path is given where it differs from the name, its last part. */
static void path_take(struct item_fields *fields)
{
	struct manifest_item *item = &fields->item;
	const char *name = fields->name;
	size_t name_len = fields->name_len;

	if (!item->path) {
		item->path = name;
		item->path_len = name_len;
	} else if (item->path_len <= name_len || item->path[item->path_len - name_len - 1] != '/' ||
		   memcmp(item->path + item->path_len - name_len, name, name_len) != 0) {
		cbor_fail(&fields->reading->r);
		return;
	}
	reading_need(fields->reading,
		     !memchr(name, '/', name_len) &&
			     blobs_manifest_path_is_safe(item->path, item->path_len),
		     WEFT_EUNSAFE);
}

static void item_read(struct reading *reading, void *entry)
{
	struct item_fields fields = {.item = {.encoding = reading->r.c.pos}, .reading = reading};
	struct manifest_item *item = &fields.item;

	cbor_fields_read(&reading->r, &item_table, &fields);
	if (cbor_is_bad(&reading->r))
		return;
	reading_need(reading, fields.chunk_cnt == blobs_manifest_chunk_cnt(item->size),
		     WEFT_EMALFORMED);
	reading_need(reading,
		     !item->mime || blobs_manifest_mime_is_safe(item->mime, item->mime_len),
		     WEFT_EUNSAFE);
	path_take(&fields);
	bytes_add(reading, item->size);
	*(struct manifest_item *)entry = *item;
}

static const struct cbor_field part_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct manifest_part, manifest_id),
	 .max = BLAKE3_HASH_LEN},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct manifest_part, item_cnt),
	 .max = MANIFEST_ITEMS_MAX},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct manifest_part, byte_cnt)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct manifest_part, len),
	 .max = MANIFEST_LEN_MAX},
};
static const struct cbor_table part_table = {CBOR_FIELDS(part_fields)};

static void part_read(struct reading *reading, void *entry)
{
	struct manifest_part *part = entry;

	cbor_fields_read(&reading->r, &part_table, part);
	if (cbor_is_bad(&reading->r))
		return;
	bytes_add(reading, part->byte_cnt);
	reading->m->all_item_cnt += part->item_cnt;
}

static void dir_read(struct reading *reading, void *entry)
{
	struct manifest_dir *dir = entry;

	dir->path = cbor_read_text(&reading->r, &dir->path_len);
	reading_need(reading, dir->path && blobs_manifest_path_is_safe(dir->path, dir->path_len),
		     WEFT_EUNSAFE);
}

static const struct cbor_field link_fields[] = {
	{0, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct manifest_link, path),
	 CBOR_LEN(struct manifest_link, path_len)},
	{1, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct manifest_link, text),
	 CBOR_LEN(struct manifest_link, text_len)},
};
static const struct cbor_table link_table = {CBOR_FIELDS(link_fields)};

static void link_read(struct reading *reading, void *entry)
{
	struct manifest_link *link = entry;

	cbor_fields_read(&reading->r, &link_table, link);
	if (cbor_is_bad(&reading->r))
		return;
	reading_need(reading,
		     blobs_manifest_path_is_safe(link->path, link->path_len) &&
			     blobs_manifest_link_is_safe(link->path, link->path_len, link->text,
							 link->text_len),
		     WEFT_EUNSAFE);
}

/* --- lists --- */

enum list { LIST_ITEMS, LIST_DIRS, LIST_LINKS, LIST_PARTS };

/* Where a list stands in a manifest, and the length of an entry. */
#define LIST_AT(list, cnt)                                                                         \
	offsetof(struct manifest, list), offsetof(struct manifest, cnt),                           \
		sizeof(*((struct manifest *)0)->list)
static const struct list_kind {
	uint32_t max;
	size_t off, cnt_off, len;
	void (*read)(struct reading *reading, void *entry);
} lists[] = {
	[LIST_ITEMS] = {MANIFEST_ITEMS_MAX, LIST_AT(items, item_cnt), item_read},
	[LIST_DIRS] = {MANIFEST_DIRS_MAX, LIST_AT(dirs, dir_cnt), dir_read},
	[LIST_LINKS] = {MANIFEST_LINKS_MAX, LIST_AT(links, link_cnt), link_read},
	[LIST_PARTS] = {MANIFEST_PARTS_MAX, LIST_AT(parts, part_cnt), part_read},
};

static uint32_t *list_cnt(struct manifest *m, enum list list)
{
	return (uint32_t *)(void *)((uint8_t *)m + lists[list].cnt_off);
}

/* All entries but parts begin with their path. */
_Static_assert(offsetof(struct manifest_item, path_len) ==
			       offsetof(struct manifest_dir, path_len) &&
		       offsetof(struct manifest_link, path_len) ==
			       offsetof(struct manifest_dir, path_len),
	       "");

static struct manifest_dir list_path(const struct manifest *m, enum list list, uint32_t at)
{
	struct manifest_dir path;
	const uint8_t *entries;

	memcpy(&entries, (const uint8_t *)m + lists[list].off, sizeof(entries));
	memcpy(&path, entries + at * lists[list].len, sizeof(path));
	return path;
}

static bool path_is_below(const struct manifest_dir *path, const struct manifest_dir *dir)
{
	return path->path_len > dir->path_len && path->path[dir->path_len] == '/' &&
	       memcmp(path->path, dir->path, dir->path_len) == 0;
}

static int path_order(struct manifest_dir a, struct manifest_dir b)
{
	return blobs_manifest_path_compare(a.path, a.path_len, b.path, b.path_len);
}

/* A file's path before its own child's would make it a directory too. */
static bool entry_follows(const struct manifest *m, enum list list, uint32_t at)
{
	struct manifest_dir path, last;

	if (list == LIST_PARTS || at == 0)
		return true;
	path = list_path(m, list, at);
	last = list_path(m, list, at - 1);
	return path_order(last, path) < 0 && (list == LIST_DIRS || !path_is_below(&path, &last));
}

static void list_read(struct reading *reading, enum list list)
{
	const struct list_kind *kind = &lists[list];
	uint64_t cnt = cbor_enter_array(&reading->r);
	uint32_t *at = list_cnt(reading->m, list);
	uint8_t *entries;

	/* Each item takes at least one byte: no array is longer than what is left. */
	if (cnt > kind->max)
		reading_fail(reading, WEFT_ETOOLARGE);
	else if (cnt > cursor_left(&reading->r.c))
		cbor_fail(&reading->r);
	if (cbor_is_bad(&reading->r))
		return;
	entries = calloc(cnt ? cnt : 1, kind->len);
	memcpy((uint8_t *)reading->m + kind->off, &entries, sizeof(entries));
	if (!entries)
		reading_fail(reading, -ENOMEM);
	while (cbor_next(&reading->r)) {
		kind->read(reading, entries + *at * kind->len);
		if (!cbor_is_bad(&reading->r) && !entry_follows(reading->m, list, *at))
			cbor_fail(&reading->r);
		*at += !cbor_is_bad(&reading->r);
	}
}

/*
 * Both ascend, and what lies below a path comes right behind it, so it is
 * enough to compare the two that are at hand.
 */
static bool two_are_apart(struct manifest *m, enum list left, enum list right)
{
	uint32_t l = 0, r = 0;

	while (l < *list_cnt(m, left) && r < *list_cnt(m, right)) {
		struct manifest_dir a = list_path(m, left, l), b = list_path(m, right, r);
		int order = path_order(a, b);

		if (order == 0 || (left != LIST_DIRS && path_is_below(&b, &a)) ||
		    (right != LIST_DIRS && path_is_below(&a, &b)))
			return false;
		l += order < 0;
		r += order > 0;
	}
	return true;
}

/* No path is in two lists, and none lies below a file or a link. */
static bool lists_are_apart(struct manifest *m)
{
	return two_are_apart(m, LIST_ITEMS, LIST_DIRS) &&
	       two_are_apart(m, LIST_ITEMS, LIST_LINKS) && two_are_apart(m, LIST_DIRS, LIST_LINKS);
}

/* --- the fields --- */

static void description_read(struct reading *reading)
{
	struct manifest *m = reading->m;

	m->description = cbor_read_text(&reading->r, &m->description_len);
	reading_need(reading, m->description_len <= MANIFEST_DESCRIPTION_LEN_MAX, WEFT_ETOOLARGE);
	reading_need(reading,
		     m->description &&
			     blobs_manifest_description_is_safe(m->description, m->description_len),
		     WEFT_EUNSAFE);
}

/* Ids ascend, so that none is there twice. */
static uint32_t ids_read(struct reading *reading, const uint8_t **ids, uint32_t max)
{
	struct cbor_reader *r = &reading->r;
	uint32_t cnt = 0;

	if (cbor_enter_array(r) > max)
		reading_fail(reading, WEFT_ETOOLARGE);
	while (cbor_next(r)) {
		ids[cnt] = cbor_read_exactly(r, SHARE_ID_LEN);
		if (ids[cnt] && cnt && memcmp(ids[cnt - 1], ids[cnt], SHARE_ID_LEN) >= 0)
			cbor_fail(r);
		if (cbor_is_bad(r))
			return 0;
		cnt++;
	}
	return cnt;
}

static void field_read(struct reading *reading, uint64_t key)
{
	struct cbor_reader *r = &reading->r;
	struct manifest *m = reading->m;

	switch (key) {
	case KEY_VERSION:
		reading_need(reading, cbor_read_uint(r) == MANIFEST_VERSION, WEFT_EUNKNOWN);
		break;
	case KEY_SHARE_KEY:
		cbor_read_fixed(r, m->share_key, sizeof(m->share_key));
		break;
	case KEY_SHARE_ID:
		cbor_read_fixed(r, m->share_id, sizeof(m->share_id));
		break;
	case KEY_SEQ:
		m->seq = cbor_read_uint(r);
		break;
	case KEY_CREATED:
		m->created_s = cbor_read_uint(r);
		break;
	case KEY_EXPIRES:
		m->expires_s = cbor_read_uint(r);
		break;
	case KEY_TITLE:
		cbor_read_text_copy(r, m->title, sizeof(m->title));
		reading_need(reading, blobs_manifest_title_is_safe(m->title), WEFT_EUNSAFE);
		break;
	case KEY_DESCRIPTION:
		description_read(reading);
		break;
	case KEY_VISIBILITY:
		m->is_public = cbor_read_uint_max(r, 1) == 1;
		break;
	case KEY_COMMUNITIES:
		m->community_cnt = ids_read(reading, m->communities, MANIFEST_COMMUNITIES_MAX);
		break;
	case KEY_ITEMS:
		list_read(reading, LIST_ITEMS);
		break;
	case KEY_RECOMMENDED:
		m->recommended_cnt = ids_read(reading, m->recommended, MANIFEST_RECOMMENDED_MAX);
		break;
	case KEY_PARTS:
		list_read(reading, LIST_PARTS);
		break;
	case KEY_DIRS:
		list_read(reading, LIST_DIRS);
		break;
	case KEY_LINKS:
		list_read(reading, LIST_LINKS);
		break;
	default:
		cbor_skip(r);
	}
}

static bool has(const struct reading *reading, unsigned key)
{
	return cbor_has_key(&reading->r, key);
}

static int shape_take(struct reading *reading)
{
	struct manifest *m = reading->m;

	if (!has(reading, KEY_VERSION) || has(reading, KEY_ITEMS) == has(reading, KEY_PARTS))
		return WEFT_EMALFORMED;
	if (has(reading, KEY_PARTS)) {
		m->shape = MANIFEST_ROOT;
		return has(reading, KEY_CREATED) && m->part_cnt && !m->dir_cnt && !m->link_cnt
			       ? 0
			       : WEFT_EMALFORMED;
	}
	m->shape = has(reading, KEY_CREATED) ? MANIFEST_WHOLE : MANIFEST_PART;
	if (m->shape == MANIFEST_PART && has(reading, KEY_TITLE))
		return WEFT_EMALFORMED;
	m->all_item_cnt = m->item_cnt;
	tags_place(m);
	return lists_are_apart(m) ? 0 : WEFT_EUNSAFE;
}

static int body_parse(struct reading *reading, const void *bytes, size_t len)
{
	uint64_t key;
	int err;

	cbor_reader_init(&reading->r, bytes, len);
	cbor_enter_map(&reading->r);
	while (cbor_next_key(&reading->r, &key))
		field_read(reading, key);
	err = cbor_reader_finish(&reading->r);
	if (reading->err < 0)
		return reading->err;
	return err < 0 ? err : shape_take(reading);
}

/* --- signed ones --- */

/* is_signed: field 0 is bytes that hold the manifest, and not its version. */
static bool is_signed(const void *bytes, size_t len)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, bytes, len);
	cbor_enter_map(&r);
	return cbor_next_key(&r, &key) && key == 0 && cbor_peek(&r) == CBOR_BYTES;
}

static int share_check(const struct reading *reading, const uint8_t *signer)
{
	const struct manifest *m = reading->m;
	uint8_t id[SHARE_ID_LEN];

	if ((reading->r.seen & SIGNED_KEYS_NEEDED) != SIGNED_KEYS_NEEDED || m->seq == 0 ||
	    m->seq == HEAD_SEQ_REVOKED ||
	    (has(reading, KEY_EXPIRES) && m->expires_s <= m->created_s))
		return WEFT_EMALFORMED;
	share_id_of(m->share_key, id);
	if (memcmp(m->share_key, signer, sizeof(m->share_key)) != 0 ||
	    memcmp(m->share_id, id, sizeof(id)) != 0)
		return WEFT_EDAMAGED;
	return 0;
}

static int manifest_read(struct reading *reading, const void *bytes, size_t len)
{
	struct signed_object object;
	int err;

	reading->m->is_signed = is_signed(bytes, len);
	if (!reading->m->is_signed) {
		err = body_parse(reading, bytes, len);
		/* No signature vouches for what it says of a share. */
		return err == 0 && (reading->r.seen & SIGNED_KEYS) ? WEFT_EMALFORMED : err;
	}
	if ((err = signed_parse(bytes, len, &object)) < 0 ||
	    (err = body_parse(reading, object.body, object.body_len)) < 0 ||
	    (err = share_check(reading, object.signer)) < 0)
		return err;
	return signed_verify(&object, MANIFEST_TAG);
}

/* --- life --- */

void blobs_manifest_free(struct manifest *manifest)
{
	if (!manifest)
		return;
	free(manifest->items);
	free(manifest->tags);
	free(manifest->parts);
	free(manifest->dirs);
	free(manifest->links);
	free(manifest);
}

/* Gives what was read to the caller, or frees it. */
static int reading_end(const struct reading *reading, int err, struct manifest **out_manifest)
{
	if (err < 0)
		blobs_manifest_free(reading->m);
	else
		*out_manifest = reading->m;
	return err < 0 ? err : 0;
}

int blobs_manifest_parse(const void *bytes, size_t len, struct manifest **out_manifest)
{
	struct reading reading = {0};

	if (len > MANIFEST_LEN_MAX)
		return WEFT_ETOOLARGE;
	reading.m = calloc(1, sizeof(*reading.m));
	if (!reading.m)
		return -ENOMEM;
	return reading_end(&reading, manifest_read(&reading, bytes, len), out_manifest);
}

int blobs_manifest_parse_item(const void *bytes, size_t len, struct manifest **out_manifest)
{
	struct reading reading = {.m = calloc(1, sizeof(struct manifest))};
	struct manifest *m = reading.m;
	int err = 0;

	if (!m)
		return -ENOMEM;
	m->shape = MANIFEST_PART;
	m->item_cnt = 1;
	m->all_item_cnt = 1;
	m->items = calloc(1, sizeof(*m->items));
	if (!m->items)
		return reading_end(&reading, -ENOMEM, out_manifest);
	cbor_reader_init(&reading.r, bytes, len);
	item_read(&reading, m->items);
	tags_place(m);
	if (cbor_is_bad(&reading.r))
		err = reading.err < 0 ? reading.err : WEFT_EMALFORMED;
	return reading_end(&reading, err, out_manifest);
}
