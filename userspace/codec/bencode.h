/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_BENCODE_H
#define WEFT_CODEC_BENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * Bencode (BEP-3), strictly. Dictionary keys are ascending as bytes and
 * unique, integers and lengths have no leading zeros, and there is no
 * negative zero. Integers have 64 bits, depth is at most 10, and nothing
 * follows the value. So a value has one encoding, and a hash or signature
 * over it means one thing. The reader is sticky like the cursor: a parser
 * checks once at its end with bencode_reader_finish. Nothing is copied.
 * Typical use:
 *
 *	bencode_reader_init(&r, bytes, len);
 *	bencode_enter_dict(&r);
 *	while (bencode_next_key(&r, &key))
 *		if (bencode_is(&key, "id"))
 *			id = bencode_read_bytes(&r);
 *		else
 *			bencode_skip(&r);
 *	return bencode_reader_finish(&r);
 *
 * Skipped values are checked all the same.
 */
#define BENCODE_DEPTH_MAX 10 /* what libtorrent allows in a DHT message */

enum bencode_type {
	BENCODE_INT,
	BENCODE_BYTES,
	BENCODE_LIST,
	BENCODE_DICT,
	BENCODE_END, /* container or input has no further value, or the reader is bad */
};

/* Bytes inside the input, borrowed from it; data is NULL when there are none. */
struct bencode_span {
	const uint8_t *data;
	size_t len;
};

struct bencode_level {
	struct bencode_span key; /* last key, for the order check */
	bool is_dict;
	bool wants_value; /* dictionary: the key was read */
};

struct bencode_reader {
	struct cursor c; /* c.bad is the sticky error */
	unsigned depth;
	struct bencode_level levels[BENCODE_DEPTH_MAX];
};

void bencode_reader_init(struct bencode_reader *r, const void *data, size_t len);
/* bencode_reader_finish: 0, or WEFT_EMALFORMED when anything was wrong or bytes are left over. */
WEFT_MUST_CHECK
int bencode_reader_finish(struct bencode_reader *r);
bool bencode_is_bad(const struct bencode_reader *r);

/* bencode_peek: the type of the next value; reads nothing. */
enum bencode_type bencode_peek(const struct bencode_reader *r);

int64_t bencode_read_int(struct bencode_reader *r);
struct bencode_span bencode_read_bytes(struct bencode_reader *r);
/* bencode_read_raw: any one value, as the bytes it is encoded in. */
struct bencode_span bencode_read_raw(struct bencode_reader *r);
void bencode_skip(struct bencode_reader *r);

/*
 * bencode_next and bencode_next_key say whether there is one more; the
 * call that says false leaves the container. When bad they say false.
 */
void bencode_enter_list(struct bencode_reader *r);
void bencode_enter_dict(struct bencode_reader *r);
bool bencode_next(struct bencode_reader *r);
bool bencode_next_key(struct bencode_reader *r, struct bencode_span *out_key);

/* bencode_is: span holds exactly the bytes of text. */
bool bencode_is(const struct bencode_span *span, const char *text);

/*
 * bencode_check: data is one value in its one encoding. 0 or
 * WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int bencode_check(const void *data, size_t len);

/*
 * The writer; the caller writes keys in ascending order and closes what it
 * opens. Overflow is sticky in the struct writer.
 */
void bencode_write_int(struct writer *w, int64_t value);
void bencode_write_bytes(struct writer *w, const void *data, size_t len);
void bencode_write_text(struct writer *w, const char *text);
/* bencode_write_head: the head of a string whose len bytes the caller writes next. */
void bencode_write_head(struct writer *w, size_t len);
void bencode_open_list(struct writer *w);
void bencode_open_dict(struct writer *w);
void bencode_close(struct writer *w);

#endif
