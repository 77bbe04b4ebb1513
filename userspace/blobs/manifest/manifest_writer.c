/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing manifests: items are encoded when they are added, into a buffer
 * of the size of the longest manifest; encode puts heads around them.
 */
#include "manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "codec/cbor.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"

/* The bytes around the lists, at most: the fields of a revision and its signature. */
#define BUILDER_FRAME_LEN                                                                          \
	(SIGNED_OVERHEAD_MAX + MANIFEST_TITLE_CAP + MANIFEST_DESCRIPTION_LEN_MAX +                 \
	 34u * (2 + MANIFEST_COMMUNITIES_MAX + MANIFEST_RECOMMENDED_MAX) + 128u)
/* The head and the fields of an item but its texts. */
#define BUILDER_ITEM_LEN 96u
#define BUILDER_PART_LEN 72u

struct manifest_builder {
	uint8_t *items; /* or parts: encoded one after the other */
	size_t items_len;
	uint8_t *dirs;
	size_t dirs_len;
	uint8_t *links;
	size_t links_len;
	uint8_t *whole; /* what encode and sign lend */
	uint8_t *body;	/* of what is signed */
	uint32_t item_cap, item_cnt, part_cnt, dir_cnt, link_cnt;
	uint64_t byte_cnt;
	char last_item[MANIFEST_PATH_LEN_MAX];
	size_t last_item_len;
	char last_dir[MANIFEST_PATH_LEN_MAX];
	size_t last_dir_len;
	char last_link[MANIFEST_PATH_LEN_MAX];
	size_t last_link_len;
};

int blobs_manifest_builder_new(struct manifest_builder **out_builder)
{
	struct manifest_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->item_cap = MANIFEST_ITEMS_MAX;
	b->items = malloc(MANIFEST_LEN_MAX);
	b->dirs = malloc(MANIFEST_LEN_MAX);
	b->links = malloc(MANIFEST_LEN_MAX);
	b->whole = malloc(MANIFEST_LEN_MAX);
	b->body = malloc(MANIFEST_LEN_MAX);
	if (!b->items || !b->dirs || !b->links || !b->whole || !b->body) {
		blobs_manifest_builder_free(b);
		return -ENOMEM;
	}
	*out_builder = b;
	return 0;
}

void blobs_manifest_builder_free(struct manifest_builder *b)
{
	if (!b)
		return;
	free(b->items);
	free(b->dirs);
	free(b->links);
	free(b->whole);
	free(b->body);
	free(b);
}

void blobs_manifest_builder_limit(struct manifest_builder *b, uint32_t item_cap)
{
	b->item_cap = item_cap < MANIFEST_ITEMS_MAX ? item_cap : MANIFEST_ITEMS_MAX;
}

void blobs_manifest_builder_reset(struct manifest_builder *b)
{
	b->items_len = b->dirs_len = b->links_len = 0;
	b->item_cnt = b->part_cnt = b->dir_cnt = b->link_cnt = 0;
	b->byte_cnt = 0;
	b->last_item_len = b->last_dir_len = b->last_link_len = 0;
}

static bool has_room(const struct manifest_builder *b, size_t len)
{
	return b->items_len + b->dirs_len + b->links_len + len + BUILDER_FRAME_LEN <=
	       MANIFEST_LEN_MAX;
}

/* Does path come after the last of its list? */
static bool path_follows(const char *last, size_t last_len, const char *path, size_t len)
{
	return last_len == 0 || blobs_manifest_path_compare(last, last_len, path, len) < 0;
}

/* item_text_len: what an item's texts take, or SIZE_MAX when they must not be written. */
static size_t item_text_len(const struct manifest_item *item)
{
	size_t len = 2 * item->path_len + item->mime_len + 3 * item->tag_cnt;

	if (!blobs_manifest_path_is_safe(item->path, item->path_len) ||
	    (item->mime && !blobs_manifest_mime_is_safe(item->mime, item->mime_len)) ||
	    item->tag_cnt > MANIFEST_TAGS_MAX || item->mtime_ns > INT64_MAX)
		return SIZE_MAX;
	for (uint32_t i = 0; i < item->tag_cnt; i++) {
		const struct manifest_tag *tag = &item->tags[i];

		if (!blobs_manifest_tag_is_safe(tag->text, tag->len) ||
		    (i && blobs_manifest_tag_compare(tag - 1, tag) >= 0))
			return SIZE_MAX;
		len += tag->len;
	}
	return len;
}

static void item_write(struct writer *w, const struct manifest_item *item)
{
	const char *slash = memrchr(item->path, '/', item->path_len);
	size_t dir_len = slash ? (size_t)(slash + 1 - item->path) : 0;

	cbor_write_map(w, 4u + (slash != NULL) + (item->mime != NULL) + (item->tag_cnt != 0) +
				  (item->mtime_ns != 0) + item->is_executable);
	cbor_field_bytes(w, 0, item->content_id, 32);
	cbor_field_uint(w, 1, item->size);
	cbor_field_text(w, 2, item->path + dir_len, item->path_len - dir_len);
	if (slash)
		cbor_field_text(w, 3, item->path, item->path_len);
	if (item->mime)
		cbor_field_text(w, 4, item->mime, item->mime_len);
	if (item->tag_cnt) {
		cbor_write_uint(w, 5);
		cbor_write_array(w, item->tag_cnt);
	}
	for (uint32_t i = 0; i < item->tag_cnt; i++)
		cbor_write_text(w, item->tags[i].text, item->tags[i].len);
	cbor_field_uint(w, 6, blobs_manifest_chunk_cnt(item->size));
	if (item->mtime_ns)
		cbor_field_uint(w, 7, item->mtime_ns);
	if (item->is_executable)
		cbor_field_bool(w, 8, true);
}

int blobs_manifest_builder_add_item(struct manifest_builder *b, const struct manifest_item *item)
{
	size_t text_len = item_text_len(item);
	struct writer w;

	if (text_len == SIZE_MAX)
		return WEFT_EUNSAFE;
	if (!path_follows(b->last_item, b->last_item_len, item->path, item->path_len))
		return WEFT_EMALFORMED;
	if (b->item_cnt == b->item_cap || item->size > MANIFEST_BYTES_MAX - b->byte_cnt ||
	    !has_room(b, BUILDER_ITEM_LEN + text_len))
		return WEFT_EFULL;
	w = writer_of(b->items + b->items_len, MANIFEST_LEN_MAX - b->items_len);
	item_write(&w, item);
	b->items_len += writer_len(&w);
	b->item_cnt++;
	b->byte_cnt += item->size;
	memcpy(b->last_item, item->path, item->path_len);
	b->last_item_len = item->path_len;
	return 0;
}

int blobs_manifest_builder_add_dir(struct manifest_builder *b, const char *path, size_t len)
{
	struct writer w;

	if (!blobs_manifest_path_is_safe(path, len))
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

int blobs_manifest_builder_add_link(struct manifest_builder *b, const struct manifest_link *link)
{
	struct writer w;

	if (!blobs_manifest_path_is_safe(link->path, link->path_len) ||
	    !blobs_manifest_link_is_safe(link->path, link->path_len, link->text, link->text_len))
		return WEFT_EUNSAFE;
	if (!path_follows(b->last_link, b->last_link_len, link->path, link->path_len))
		return WEFT_EMALFORMED;
	if (b->link_cnt == MANIFEST_LINKS_MAX || !has_room(b, link->path_len + link->text_len + 16))
		return WEFT_EFULL;
	w = writer_of(b->links + b->links_len, MANIFEST_LEN_MAX - b->links_len);
	cbor_write_map(&w, 2);
	cbor_field_text(&w, 0, link->path, link->path_len);
	cbor_field_text(&w, 1, link->text, link->text_len);
	b->links_len += writer_len(&w);
	b->link_cnt++;
	memcpy(b->last_link, link->path, link->path_len);
	b->last_link_len = link->path_len;
	return 0;
}

int blobs_manifest_builder_add_part(struct manifest_builder *b, const struct manifest_part *part)
{
	struct writer w;

	if (b->part_cnt == MANIFEST_PARTS_MAX ||
	    part->byte_cnt > MANIFEST_BYTES_MAX - b->byte_cnt || !has_room(b, BUILDER_PART_LEN))
		return WEFT_EFULL;
	w = writer_of(b->items + b->items_len, MANIFEST_LEN_MAX - b->items_len);
	cbor_write_map(&w, 4);
	cbor_field_bytes(&w, 0, part->manifest_id, 32);
	cbor_field_uint(&w, 1, part->item_cnt);
	cbor_field_uint(&w, 2, part->byte_cnt);
	cbor_field_uint(&w, 3, part->len);
	b->items_len += writer_len(&w);
	b->part_cnt++;
	b->byte_cnt += part->byte_cnt;
	return 0;
}

uint32_t blobs_manifest_builder_item_cnt(const struct manifest_builder *b)
{
	return b->item_cnt;
}

uint64_t blobs_manifest_builder_byte_cnt(const struct manifest_builder *b)
{
	return b->byte_cnt;
}

bool blobs_manifest_builder_is_empty(const struct manifest_builder *b)
{
	return b->item_cnt + b->part_cnt + b->dir_cnt + b->link_cnt == 0;
}

static void list_write(struct writer *w, uint64_t key, uint64_t cnt, const uint8_t *items,
		       size_t len)
{
	cbor_write_uint(w, key);
	cbor_write_array(w, cnt);
	writer_bytes(w, items, len);
}

const uint8_t *blobs_manifest_builder_encode(struct manifest_builder *b, enum manifest_shape shape,
					     uint64_t created_s, const char *title, size_t *out_len)
{
	struct writer w = writer_of(b->whole, MANIFEST_LEN_MAX);
	bool has_head = shape != MANIFEST_PART;
	bool has_title = has_head && title[0];

	cbor_write_map(&w, 2u + has_head + has_title + (b->dir_cnt != 0) + (b->link_cnt != 0));
	cbor_field_uint(&w, 0, MANIFEST_VERSION);
	if (has_head)
		cbor_field_uint(&w, 4, created_s);
	if (has_title)
		cbor_field_text(&w, 6, title, strlen(title));
	list_write(&w, shape == MANIFEST_ROOT ? 12 : 10,
		   shape == MANIFEST_ROOT ? b->part_cnt : b->item_cnt, b->items, b->items_len);
	if (b->dir_cnt)
		list_write(&w, 13, b->dir_cnt, b->dirs, b->dirs_len);
	if (b->link_cnt)
		list_write(&w, 14, b->link_cnt, b->links, b->links_len);
	*out_len = writer_len(&w);
	return b->whole;
}

/* --- revisions of a share --- */

static bool ids_ascend(const uint8_t (*ids)[32], uint32_t cnt)
{
	for (uint32_t i = 1; i < cnt; i++)
		if (memcmp(ids[i - 1], ids[i], 32) >= 0)
			return false;
	return true;
}

static bool revision_is_sound(const struct manifest_revision *revision)
{
	return revision->seq > 0 && revision->seq < HEAD_SEQ_REVOKED &&
	       (revision->expires_s == 0 || revision->expires_s > revision->created_s) &&
	       blobs_manifest_title_is_safe(revision->title) &&
	       blobs_manifest_description_is_safe(revision->description,
						  strlen(revision->description)) &&
	       revision->community_cnt <= MANIFEST_COMMUNITIES_MAX &&
	       revision->recommended_cnt <= MANIFEST_RECOMMENDED_MAX &&
	       ids_ascend(revision->communities, revision->community_cnt) &&
	       ids_ascend(revision->recommended, revision->recommended_cnt);
}

static void field_text(struct writer *w, uint64_t key, const char *text)
{
	if (!text[0])
		return;
	cbor_field_text(w, key, text, strlen(text));
}

static void field_ids(struct writer *w, uint64_t key, const uint8_t (*ids)[32], uint32_t cnt)
{
	if (!cnt)
		return;
	cbor_write_uint(w, key);
	cbor_write_array(w, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		cbor_write_bytes(w, ids[i], 32);
}

static void body_write(struct writer *w, const struct manifest_builder *b,
		       enum manifest_shape shape, const struct manifest_revision *revision)
{
	const uint8_t *key = node_key_public(revision->key);
	uint8_t id[SHARE_ID_LEN];
	bool is_root = shape == MANIFEST_ROOT;

	share_id_of(key, id);
	cbor_write_map(w, 7u + (revision->expires_s != 0) + (revision->title[0] != 0) +
				  (revision->description[0] != 0) + (revision->community_cnt != 0) +
				  (revision->recommended_cnt != 0) + (b->dir_cnt != 0) +
				  (b->link_cnt != 0));
	cbor_field_uint(w, 0, MANIFEST_VERSION);
	cbor_field_bytes(w, 1, key, NODE_KEY_LEN);
	cbor_field_bytes(w, 2, id, sizeof(id));
	cbor_field_uint(w, 3, revision->seq);
	cbor_field_uint(w, 4, revision->created_s);
	if (revision->expires_s)
		cbor_field_uint(w, 5, revision->expires_s);
	field_text(w, 6, revision->title);
	field_text(w, 7, revision->description);
	cbor_field_uint(w, 8, revision->is_public);
	field_ids(w, 9, revision->communities, revision->community_cnt);
	if (!is_root)
		list_write(w, 10, b->item_cnt, b->items, b->items_len);
	field_ids(w, 11, revision->recommended, revision->recommended_cnt);
	if (is_root)
		list_write(w, 12, b->part_cnt, b->items, b->items_len);
	if (b->dir_cnt)
		list_write(w, 13, b->dir_cnt, b->dirs, b->dirs_len);
	if (b->link_cnt)
		list_write(w, 14, b->link_cnt, b->links, b->links_len);
}

int blobs_manifest_builder_sign(struct manifest_builder *b, enum manifest_shape shape,
				const struct manifest_revision *revision, const uint8_t **out_bytes,
				size_t *out_len)
{
	struct writer body = writer_of(b->body, MANIFEST_LEN_MAX);
	struct writer w = writer_of(b->whole, MANIFEST_LEN_MAX);

	if (!revision_is_sound(revision))
		return WEFT_EMALFORMED;
	body_write(&body, b, shape, revision);
	weft_assert(!body.bad); /* each list was refused before it would not fit */
	signed_write(&w, revision->key, MANIFEST_TAG, b->body, writer_len(&body));
	if (w.bad)
		return -ENOMEM;
	*out_bytes = b->whole;
	*out_len = writer_len(&w);
	return 0;
}

void blobs_manifest_builder_digest(struct manifest_builder *b, enum manifest_shape shape,
				   const struct manifest_revision *revision,
				   uint8_t out_digest[static 32])
{
	struct manifest_revision timeless = *revision;
	struct writer body = writer_of(b->body, MANIFEST_LEN_MAX);

	timeless.seq = 1;
	timeless.created_s = timeless.expires_s = 0;
	body_write(&body, b, shape, &timeless);
	blake3_hash(b->body, writer_len(&body), out_digest);
}
