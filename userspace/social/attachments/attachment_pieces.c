/* SPDX-License-Identifier: Apache-2.0 */
#include "social/attachments/attachment_pieces.h"

#include <string.h>

#include "base/byte_cursor.h"
#include "social/object/attachment_head.h"

#define PREFIX	     "attachment:"
#define PREFIX_LEN   (sizeof(PREFIX) - 1)
#define LIST_KEY_LEN (PREFIX_LEN + BLAKE3_HASH_LEN)
#define ROW_KEY_LEN  (LIST_KEY_LEN + 4)
#define MARK	     "attached:"
#define MARK_LEN     (sizeof(MARK) - 1)
#define MARK_KEY_LEN (MARK_LEN + POST_ID_LEN + 8)

bool social_pieces_of(const struct post_attachment *attachment, bool is_public,
		      struct attachment_pieces *out_pieces)
{
	uint64_t cnt = is_public ? social_attachment_chunk_cnt(attachment->size)
				 : attachment->ids_len / POST_ID_LEN;

	if (cnt == 0 || cnt > PIECES_CNT_MAX || (is_public && attachment->ids_len != POST_ID_LEN))
		return false;
	*out_pieces = (struct attachment_pieces){.is_public = is_public,
						 .ids = attachment->ids,
						 .cnt = (uint32_t)cnt,
						 .size = attachment->size};
	return true;
}

uint64_t social_pieces_len(const struct attachment_pieces *pieces)
{
	return pieces->is_public ? pieces->size : (uint64_t)pieces->cnt * PIECE_LEN_MAX;
}

bool social_pieces_have_list(const struct attachment_pieces *pieces)
{
	return pieces->is_public && pieces->cnt > 1;
}

static const uint8_t *piece_id(const struct attachment_pieces *pieces, uint32_t idx)
{
	return pieces->is_public ? pieces->ids : pieces->ids + (size_t)idx * POST_ID_LEN;
}

/* --- rows --- */

static struct store_key row_key(const uint8_t *content_id, const uint32_t *idx,
				uint8_t key[static ROW_KEY_LEN])
{
	struct writer w = writer_of(key, ROW_KEY_LEN);

	writer_bytes(&w, PREFIX, PREFIX_LEN);
	writer_bytes(&w, content_id, BLAKE3_HASH_LEN);
	if (idx)
		writer_be32(&w, *idx);
	return store_key(key, writer_len(&w));
}

int social_list_get(struct store_snapshot *snapshot, const struct attachment_pieces *pieces,
		    const uint8_t **out_list)
{
	uint8_t key[ROW_KEY_LEN];
	const void *value;
	size_t len;
	int err = store_get(snapshot, STORE_META, row_key(pieces->ids, NULL, key), &value, &len);

	if (err == 0 && len != (size_t)pieces->cnt * BLAKE3_HASH_LEN)
		err = WEFT_EABSENT;
	if (err == 0)
		*out_list = value;
	return err;
}

bool social_list_verify(const struct attachment_pieces *pieces, const uint8_t *list, size_t len)
{
	uint8_t root[BLAKE3_HASH_LEN];

	if (len != (size_t)pieces->cnt * BLAKE3_HASH_LEN)
		return false;
	blake3_cvs_combine(list, pieces->cnt, true, root);
	return memcmp(root, pieces->ids, sizeof(root)) == 0;
}

void social_list_put(struct store_batch *batch, const uint8_t content_id[static BLAKE3_HASH_LEN],
		     const uint8_t *list, uint32_t cnt)
{
	uint8_t key[ROW_KEY_LEN];

	store_batch_put(batch, STORE_META, row_key(content_id, NULL, key), list,
			(size_t)cnt * BLAKE3_HASH_LEN);
}

bool social_lists_each(struct store *store, bool (*fn)(void *arg, const struct list_row *row),
		       void *arg)
{
	struct store_iter iter = store_iter_fresh(store, STORE_META, store_key(PREFIX, PREFIX_LEN));
	struct store_item item;
	bool is_whole = true;

	while (is_whole && store_iter_next(&iter, &item) && item.key_len >= PREFIX_LEN &&
	       memcmp(item.key, PREFIX, PREFIX_LEN) == 0) {
		const struct list_row row = {
			.key = store_key(item.key, item.key_len),
			.content_id = item.key + PREFIX_LEN,
			.blob = item.key_len == ROW_KEY_LEN && item.value_len == BLAKE3_HASH_LEN
					? item.value
					: NULL,
		};

		if (item.key_len == LIST_KEY_LEN || row.blob)
			is_whole = fn(arg, &row);
	}
	return store_iter_end(&iter) == 0 && is_whole;
}

/* --- pieces --- */

int social_piece_find(struct store_snapshot *snapshot, const struct attachment_pieces *pieces,
		      uint32_t idx, uint8_t out_blob[static BLAKE3_HASH_LEN])
{
	uint8_t key[ROW_KEY_LEN];
	const void *value;
	int64_t stored_len;
	size_t len;
	int err;

	memcpy(out_blob, piece_id(pieces, idx), BLAKE3_HASH_LEN);
	if (social_pieces_have_list(pieces)) {
		err = store_get(snapshot, STORE_META, row_key(pieces->ids, &idx, key), &value,
				&len);
		if (err < 0)
			return err;
		if (len != BLAKE3_HASH_LEN)
			return WEFT_EABSENT;
		memcpy(out_blob, value, BLAKE3_HASH_LEN);
	}
	stored_len = store_blob_len(snapshot, out_blob);
	return stored_len < 0 ? (int)stored_len : 0;
}

static size_t chunk_len(const struct attachment_pieces *pieces, uint32_t idx)
{
	uint64_t left = pieces->size - (uint64_t)idx * PIECE_LEN_MAX;

	return left < PIECE_LEN_MAX ? (size_t)left : PIECE_LEN_MAX;
}

bool social_piece_verify(const struct attachment_pieces *pieces, const uint8_t *list, uint32_t idx,
			 const uint8_t *bytes, size_t len)
{
	uint8_t hash[BLAKE3_HASH_LEN];
	const uint8_t *want = piece_id(pieces, idx);

	if (len > PIECE_LEN_MAX || (pieces->is_public && len != chunk_len(pieces, idx)))
		return false;
	if (social_pieces_have_list(pieces)) {
		want = list + (size_t)idx * BLAKE3_HASH_LEN;
		blake3_subtree(bytes, len, (uint64_t)idx * (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN),
			       false, hash);
	} else {
		blake3_hash(bytes, len, hash);
	}
	return memcmp(hash, want, sizeof(hash)) == 0;
}

void social_chunk_put(struct store_batch *batch, const uint8_t content_id[static BLAKE3_HASH_LEN],
		      uint32_t idx, const uint8_t blob[static BLAKE3_HASH_LEN])
{
	uint8_t key[ROW_KEY_LEN];

	store_batch_put(batch, STORE_META, row_key(content_id, &idx, key), blob, BLAKE3_HASH_LEN);
}

void social_piece_put(struct store_batch *batch, const struct attachment_pieces *pieces,
		      uint32_t idx, const uint8_t *bytes, size_t len)
{
	uint8_t blob[BLAKE3_HASH_LEN];

	if (!social_pieces_have_list(pieces)) {
		store_batch_put_blob(batch, piece_id(pieces, idx), bytes, len);
		return;
	}
	blake3_hash(bytes, len, blob);
	store_batch_put_blob(batch, blob, bytes, len);
	social_chunk_put(batch, pieces->ids, idx, blob);
}

/* --- marks --- */

static struct store_key mark_key(const uint8_t *post, uint32_t attachment, uint32_t piece,
				 uint8_t key[static MARK_KEY_LEN])
{
	struct writer w = writer_of(key, MARK_KEY_LEN);

	writer_bytes(&w, MARK, MARK_LEN);
	writer_bytes(&w, post, POST_ID_LEN);
	writer_be32(&w, attachment);
	writer_be32(&w, piece);
	return store_key(key, writer_len(&w));
}

void social_mark_put(struct store_batch *batch, const uint8_t post[static POST_ID_LEN],
		     uint32_t attachment, uint32_t piece)
{
	static const uint8_t is_here = 1;
	uint8_t key[MARK_KEY_LEN];

	store_batch_put(batch, STORE_META, mark_key(post, attachment, piece, key), &is_here, 1);
}

int social_mark_find(struct store_snapshot *snapshot, const uint8_t post[static POST_ID_LEN],
		     uint32_t attachment, uint32_t piece)
{
	uint8_t key[MARK_KEY_LEN];
	const void *value;
	size_t len;

	return store_get(snapshot, STORE_META, mark_key(post, attachment, piece, key), &value,
			 &len);
}

int social_marks_each(struct store *store, const uint8_t *post,
		      int (*fn)(void *arg, const struct piece_mark *mark), void *arg)
{
	uint8_t from[MARK_KEY_LEN] = MARK;
	size_t from_len = MARK_LEN + (post ? POST_ID_LEN : 0);
	struct store_iter iter;
	struct store_item item;
	int err = 0, end;

	if (post)
		memcpy(from + MARK_LEN, post, POST_ID_LEN);
	iter = store_iter_fresh(store, STORE_META, store_key(from, from_len));
	while (err == 0 && store_iter_next(&iter, &item) && item.key_len >= from_len &&
	       memcmp(item.key, from, from_len) == 0) {
		struct cursor numbers;
		struct piece_mark mark = {.key = store_key(item.key, item.key_len),
					  .post = item.key + MARK_LEN};

		if (item.key_len != MARK_KEY_LEN)
			continue;
		numbers = cursor_of(item.key + MARK_LEN + POST_ID_LEN, 8);
		mark.attachment = cursor_be32(&numbers);
		mark.piece = cursor_be32(&numbers);
		err = fn(arg, &mark);
	}
	end = store_iter_end(&iter);
	return err ? err : end;
}
