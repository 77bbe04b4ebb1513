/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_ATTACHMENTS_ATTACHMENT_PIECES_H
#define WEFT_SOCIAL_ATTACHMENTS_ATTACHMENT_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/blake3/blake3.h"
#include "social/object/post.h"
#include "store/store.h"
#include "weft/err.h"

/*
 * The pieces of an attachment, and where the store has them. A piece is a blob of at most
 * PIECE_LEN_MAX bytes, named by the BLAKE3 of its bytes.
 *
 * One of a private post lists its units, and a unit is a piece. One of a public post names a file by
 * its content id. A file of one chunk is a piece. The chunks of a larger one are pieces, and two kinds
 * of rows of STORE_META lead to them:
 *
 *	"attachment:" content id		the chaining values of its chunks
 *	"attachment:" content id, number u32be	the blob of that chunk
 *
 * Any thread; what reads the store may wait on the disk.
 */
#define PIECE_LEN_MAX  BLAKE3_CHUNK_LEN
#define PIECES_CNT_MAX POST_UNITS_MAX

/* Borrows the post. */
struct attachment_pieces {
	bool is_public;
	const uint8_t *ids; /* the content id, or the units */
	uint32_t cnt;	    /* 1 to PIECES_CNT_MAX */
	uint64_t size;	    /* of a public one */
};
/* social_pieces_of: false: it breaks the rules, or is larger than any node takes. */
bool social_pieces_of(const struct post_attachment *attachment, bool is_public,
		      struct attachment_pieces *out_pieces);
/* social_pieces_len: bytes that all of them take, at most. */
uint64_t social_pieces_len(const struct attachment_pieces *pieces);
bool social_pieces_have_list(const struct attachment_pieces *pieces);

/* social_piece_find: the blob of a piece that is stored: 0, WEFT_EABSENT or an error. */
WEFT_MUST_CHECK
int social_piece_find(struct store_snapshot *snapshot, const struct attachment_pieces *pieces,
		      uint32_t idx, uint8_t out_blob[static BLAKE3_HASH_LEN]);
/*
 * social_piece_verify: bytes, which any peer may have sent, are that piece. list: the chaining values
 * of one that has a list, else NULL.
 */
bool social_piece_verify(const struct attachment_pieces *pieces, const uint8_t *list, uint32_t idx,
			 const uint8_t *bytes, size_t len);
void social_piece_put(struct store_batch *batch, const struct attachment_pieces *pieces,
		      uint32_t idx, const uint8_t *bytes, size_t len);
/* social_chunk_put: the row of a chunk whose blob is stored with it or before. */
void social_chunk_put(struct store_batch *batch, const uint8_t content_id[static BLAKE3_HASH_LEN],
		      uint32_t idx, const uint8_t blob[static BLAKE3_HASH_LEN]);

/* social_list_get lends the list until the snapshot ends: 0, WEFT_EABSENT or an error. */
WEFT_MUST_CHECK
int social_list_get(struct store_snapshot *snapshot, const struct attachment_pieces *pieces,
		    const uint8_t **out_list);
bool social_list_verify(const struct attachment_pieces *pieces, const uint8_t *list, size_t len);
void social_list_put(struct store_batch *batch, const uint8_t content_id[static BLAKE3_HASH_LEN],
		     const uint8_t *list, uint32_t cnt);

/*
 * social_lists_each calls fn with each row of a list and of a chunk, until it returns false: blob is NULL
 * for a list. Returns whether all were given.
 */
struct list_row {
	struct store_key key;
	const uint8_t *content_id, *blob;
};
bool social_lists_each(struct store *store, bool (*fn)(void *arg, const struct list_row *row),
		       void *arg);

/*
 * A post may name any id. So a piece is of a post in two cases. This node's person wrote the post, or
 * a run of the post got the piece from another node. A piece of a run has a row of STORE_META:
 *
 *	"attached:" post id, attachment u32be, piece u32be	1
 *
 * A list is the piece PIECE_LIST. social_mark_find: 0, WEFT_EABSENT or an error.
 */
#define PIECE_LIST UINT32_MAX
struct piece_mark {
	struct store_key key;
	const uint8_t *post;
	uint32_t attachment, piece;
};
void social_mark_put(struct store_batch *batch, const uint8_t post[static POST_ID_LEN],
		     uint32_t attachment, uint32_t piece);
WEFT_MUST_CHECK
int social_mark_find(struct store_snapshot *snapshot, const uint8_t post[static POST_ID_LEN],
		     uint32_t attachment, uint32_t piece);
/* social_marks_each: of all posts, in the order of their ids, or of one; 0, or what fn returned, or an error. */
WEFT_MUST_CHECK
int social_marks_each(struct store *store, const uint8_t *post,
		      int (*fn)(void *arg, const struct piece_mark *mark), void *arg);

#endif
