/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_CONTENT_MESSAGE_H
#define WEFT_BLOBS_CONTENT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * The payloads of messages 400, 401 and 500-504, as maps with integer keys:
 *	GET_MANIFEST	 0 id			  -> 0 id, 1 bytes
 *	GET_CHUNK	 0 content id, 1 index	  -> 0, 1, 2 bytes
 *	GET_CHUNK_HASHES 0 content id, 1 first, 2 count
 *						  -> 0, 1, 2 bytes, 3 total
 *	RANGE_PROOF	 0 content id, 1 first group, 2 group count
 *						  -> 0, 1, 2 file length, 3 proof
 * In a request the id may be a blinded one of 64 bytes (scope.h); the answer then says its first
 * half. An answer's bytes are borrowed from the payload that is parsed; what the
 * asker must compare is compared by him. Parsers return 0 or
 * WEFT_EMALFORMED.
 */
#define MESSAGE_REQUEST_CAP 96 /* the longest request below */
#define MESSAGE_HEAD_CAP    80 /* an answer up to its bytes */
/* Hashes in one page of a chunk list, at most: they fill one chunk buffer. */
#define MESSAGE_HASHES_MAX 8192u
/* Groups in one proof, at most: with the nodes above them they fit a blob. */
#define MESSAGE_GROUPS_MAX 8u

struct message_request {
	uint8_t id[32]; /* or the first half of a blinded one */
	uint8_t veiled[32];
	bool is_blind;
	uint64_t first; /* index of a chunk, hash or group; 0 for GET_MANIFEST */
	uint64_t cnt;	/* of hashes or groups; else 0 */
};

/*
 * blobs_message_id_write, blobs_message_id_read: an id as a field of a request; with veiled, or
 * true, a blinded one: 32 bytes each. A field of another length fails r.
 */
struct cbor_reader;
void blobs_message_id_write(struct writer *w, uint64_t key, const uint8_t id[static 32],
			    const uint8_t *veiled);
bool blobs_message_id_read(struct cbor_reader *r, uint8_t out_id[static 32],
			   uint8_t out_veiled[static 32]);

/* blobs_message_request_write writes the fields that type has into w; returns their length. */
size_t blobs_message_request_write(unsigned type, const struct message_request *request,
				   uint8_t out[static MESSAGE_REQUEST_CAP]);
WEFT_MUST_CHECK
int blobs_message_request_parse(unsigned type, const void *payload, size_t len,
				struct message_request *out_request);

struct message_answer {
	uint8_t id[32];
	uint64_t first;
	uint64_t total; /* hashes of the list, or length of the file */
	const uint8_t *bytes;
	size_t len;
};

/*
 * blobs_message_answer_write_head writes an answer up to and with the head of its byte string.
 * The caller sends answer->len bytes after it. For CHUNK_HASH_LIST it sends the few bytes of
 * blobs_message_answer_write_end after them.
 */
void blobs_message_answer_write_head(struct writer *w, unsigned type,
				     const struct message_answer *answer);
#define MESSAGE_END_CAP 10
size_t blobs_message_answer_write_end(unsigned type, const struct message_answer *answer,
				      uint8_t out[static MESSAGE_END_CAP]);
WEFT_MUST_CHECK
int blobs_message_answer_parse(unsigned type, const void *payload, size_t len,
			       struct message_answer *out_answer);

#endif
