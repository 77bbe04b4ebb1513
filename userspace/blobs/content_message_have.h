/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_CONTENT_MESSAGE_HAVE_H
#define WEFT_BLOBS_CONTENT_MESSAGE_HAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * The payloads of message 499, HAVE_CONTENT: which of these are here?
 *	asked	 {0: [content id]} or {1: manifest id, may be blinded (scope.h)}
 *	answered {0: whole, 1: [[item, log2 chunks per bit, bits]]?, 2: true?, 3: true?}
 * An item is an index into the ids that were asked, or into the items of the manifest. A root
 * manifest has none: there it is an index into the parts. Bit i of whole (bit i % 8 of byte i /
 * 8) says that item i is here whole. Field 1 says which parts of an item are here: a bit stands
 * for a run of chunks that are all here. Field 2 says that everything is here, and comes alone.
 * Field 3 says that the rest is being fetched, so that asking again is worth it. Items behind
 * the last bit are not here. An answer is a hint: bytes are verified when they arrive.
 *
 * Parsers return 0 or WEFT_EMALFORMED; fields unknown to them are skipped. Their results borrow
 * the payload.
 */
#define HAVE_IDS_MAX	     1024u
#define HAVE_ITEMS_MAX	     3000u /* of one manifest */
#define HAVE_IN_PROGRESS_MAX 64u
#define HAVE_BITS_LEN_MAX    (32u * 1024u) /* of one item */
#define HAVE_LEN_MAX	     (60u * 1024u) /* of all bits of an answer */
#define HAVE_LOG2_MAX	     54u	   /* chunks of 2^18 bytes in a file of less than 2^64 */
/* A payload with as much as these allow. */
#define HAVE_REQUEST_CAP (16u + HAVE_IDS_MAX * 34u)
#define HAVE_ANSWER_CAP	 (18u + HAVE_LEN_MAX + HAVE_IN_PROGRESS_MAX * 12u)

struct message_have_request {
	bool has_manifest;	    /* else ids */
	const uint8_t *manifest_id; /* 32 bytes */
	const uint8_t *veiled; /* NULL, or the second half of a blinded manifest id (scope.h) */
	const uint8_t *ids;    /* see blobs_message_have_id */
	uint32_t id_cnt;
};
/* blobs_message_have_id: the content id at idx, below id_cnt. */
const uint8_t *blobs_message_have_id(const struct message_have_request *request, uint32_t idx);

/* The written form: ids lie one behind the other. */
void blobs_message_have_ask_ids(struct writer *w, const uint8_t (*ids)[32], uint32_t id_cnt);
/* blobs_message_have_ask_manifest: of 32 bytes, or of 64 as it is blinded. */
void blobs_message_have_ask_manifest(struct writer *w, const uint8_t *id, size_t len);
WEFT_MUST_CHECK
int blobs_message_have_request_parse(const void *payload, size_t len,
				     struct message_have_request *out_request);

struct message_have_file {
	uint32_t item;
	unsigned chunks_log2; /* a bit's run: 2^chunks_log2 chunks */
	const uint8_t *bits;
	size_t bits_len;
};

struct message_have_answer {
	bool has_all;
	bool is_growing; /* asking again is worth it */
	const uint8_t *whole;
	size_t whole_len;
	struct message_have_file in_progress[HAVE_IN_PROGRESS_MAX]; /* by ascending item */
	unsigned in_progress_cnt;
};

/* blobs_message_have_answer_write keeps to what has_all excludes; the caller to the limits above. */
void blobs_message_have_answer_write(struct writer *w, const struct message_have_answer *answer);
WEFT_MUST_CHECK
int blobs_message_have_answer_parse(const void *payload, size_t len,
				    struct message_have_answer *out_answer);

/* blobs_message_have_has_item: the answer lists item as whole; false beyond its end. */
bool blobs_message_have_has_item(const struct message_have_answer *answer, uint32_t item);
/* blobs_message_have_has_chunk: chunk of item is. */
bool blobs_message_have_has_chunk(const struct message_have_answer *answer, uint32_t item,
				  uint64_t chunk);
/* blobs_message_have_chunks: bit i says so of chunk first + i; first is a multiple of 64. */
uint64_t blobs_message_have_chunks(const struct message_have_answer *answer, uint32_t item,
				   uint64_t first);

#endif
