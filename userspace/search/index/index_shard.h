/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_INDEX_INDEX_SHARD_H
#define WEFT_SEARCH_INDEX_INDEX_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "postings.h"
#include "crypto/blake3/blake3.h"
#include "weft/err.h"

/*
 * A shard is the index of the items of a few manifests that follow each other in a share.
 * index_shard_builder.h writes its bytes once, and they are read in place. An item is a
 * document, numbered from 0 in the order of the manifests.
 *
 *	head	   struct shard_head
 *	parts	   manifest id 32, length u32, first document u32
 *	documents  struct shard_document
 *	blocks	   of SHARD_BLOCK_WORDS words: where their text and their postings begin
 *	text	   all words, ascending by their bytes, each between NULs
 *	postings   of each word (postings.h), in the same order
 *	BLAKE3	   of all that
 *
 * A document says where its item is in a manifest; the item's name, and all else, is there. The
 * words of a document are those that codec/text/casefold.h makes of the name, the tags and the
 * folders. A substring of a word is found by going through the text, which is a tenth as long as
 * the names.
 *
 * Numbers are in the machine's byte order; a shard from one with the other is damaged.
 */
#define SHARD_VERSION	    1u /* of this form, and of how words are made */
#define SHARD_DOCUMENTS_MAX (128u << 10)
#define SHARD_PARTS_LEN_MAX (16u << 20) /* bytes of manifests that one shard is made of */
#define SHARD_RUNS_MAX	    (4u << 20)	/* words of items; those beyond are left out */
#define SHARD_BLOCK_WORDS   16u
#define SHARD_WORD_LEN_MAX  255u /* longer ones are cut, here and in queries */

struct shard_head {
	uint32_t order; /* SHARD_ORDER */
	uint32_t part_cnt, document_cnt, word_cnt;
	uint32_t text_len, postings_len;
};
#define SHARD_ORDER 0x77656674u

struct shard_document {
	uint8_t content_prefix[8]; /* of the content id */
	uint32_t name_hash;	   /* of the words of the name, in order */
	uint32_t off;		   /* of the item in its manifest */
};

struct shard_part {
	const uint8_t *manifest_id;
	uint32_t len; /* of the manifest */
	uint32_t first_document;
};

/* Borrows the bytes. */
struct shard {
	struct shard_head head;
	const uint8_t *parts, *documents, *blocks;
	const char *text;
	const uint8_t *postings;
};

/* search_shard_open: 0, or WEFT_EDAMAGED when the lengths do not add up. */
WEFT_MUST_CHECK
int search_shard_open(const void *bytes, size_t len, struct shard *out_shard);
/* search_shard_verify also hashes; what it let pass once is read without further questions. */
WEFT_MUST_CHECK
int search_shard_verify(const void *bytes, size_t len);

static inline struct shard_document shard_document(const struct shard *shard, uint32_t document)
{
	struct shard_document d;

	memcpy(&d, shard->documents + (size_t)document * sizeof(d), sizeof(d));
	return d;
}
/* search_shard_part_of: the part that has document. */
struct shard_part search_shard_part_of(const struct shard *shard, uint32_t document);

/* A word and where its postings begin; search_shard_word_next: false after the last. */
struct shard_word {
	const char *text;
	size_t len;
	uint32_t idx;
	const uint8_t *postings;
};
/* search_shard_word_seek: the first word that is not less than text; false: there is none. */
bool search_shard_word_seek(const struct shard *shard, const char *text, size_t len,
			    struct shard_word *out_word);
bool search_shard_word_next(const struct shard *shard, struct shard_word *word);
/*
 * search_shard_word_within: the first word at or behind *io_off of the text, which begins at 0,
 * that has text in it; false: there is none. *io_off becomes where it ends.
 */
bool search_shard_word_within(const struct shard *shard, const char *text, size_t len,
			      size_t *io_off, struct shard_word *out_word);

/* search_shard_word_cut: the length of a word of len bytes after it was cut to SHARD_WORD_LEN_MAX. */
size_t search_shard_word_cut(const char *text, size_t len);
/* search_shard_name_hash: of folded words, each followed by a space. */
uint32_t search_shard_name_hash(const char *words, size_t len);

#endif
