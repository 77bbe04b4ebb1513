/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_CBOR_H
#define WEFT_CODEC_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * Deterministic CBOR (RFC 8949 4.2.1): shortest heads, map keys ascending and unique,
 * definite lengths, no floats, no tags. Depth is at most 8, and text is valid UTF-8. The
 * reader refuses everything else; like the cursor it is sticky, so a parser checks once at
 * its end with cbor_reader_finish.
 *
 * Own maps have unsigned integer keys, free metadata text keys; one map has one kind, so that
 * both orders of RFC 8949 agree. Typical use:
 *
 *	cbor_reader_init(&r, bytes, len);
 *	cbor_enter_map(&r);
 *	while (cbor_next_key(&r, &key))
 *		switch (key) {
 *		case 0: cbor_read_fixed(&r, id, 32); break;
 *		case 1: size = cbor_read_uint(&r); break;
 *		default: cbor_skip(&r);
 *		}
 *	return cbor_reader_finish_with(&r, CBOR_KEY(0));
 *
 * Skipped values are checked for determinism all the same.
 */
#define CBOR_DEPTH_MAX 8

/* The bit of a key below 64, for sets of them. */
#define CBOR_KEY(key) (1ull << (key))

enum cbor_type {
	CBOR_UINT,
	CBOR_NEGATIVE,
	CBOR_BYTES,
	CBOR_TEXT,
	CBOR_ARRAY,
	CBOR_MAP,
	CBOR_FALSE,
	CBOR_TRUE,
	CBOR_NULL,
	CBOR_END, /* container or input has no further item, or the reader is bad */
};

struct cbor_level {
	uint64_t left;	    /* items (array) or pairs (map) still to come */
	const uint8_t *key; /* last key's bytes, for the order check; NULL: none yet */
	size_t key_len;
	bool is_map;
	bool wants_value; /* map: the key was read */
};

struct cbor_reader {
	struct cursor c; /* c.bad is the sticky error */
	unsigned depth;
	bool is_any_order; /* keys of maps need not ascend, nor be there once */
	uint64_t seen;	   /* CBOR_KEY of the outermost map's keys read so far */
	struct cbor_level levels[CBOR_DEPTH_MAX];
};

void cbor_reader_init(struct cbor_reader *r, const void *data, size_t len);
/*
 * cbor_reader_init_any_order: for writers that do not sort keys; nothing of it is signed or
 * hashed.
 */
void cbor_reader_init_any_order(struct cbor_reader *r, const void *data, size_t len);
/* cbor_reader_finish: 0, or WEFT_EMALFORMED when anything was wrong or bytes are left over. */
WEFT_MUST_CHECK
int cbor_reader_finish(struct cbor_reader *r);
/*
 * cbor_reader_finish_with is cbor_reader_finish for a map that lacks none
 * of the keys in needed, a set of CBOR_KEY.
 */
WEFT_MUST_CHECK
int cbor_reader_finish_with(struct cbor_reader *r, uint64_t needed);
/* cbor_has_key: the outermost map had this number, below 64, among the keys read so far. */
bool cbor_has_key(const struct cbor_reader *r, unsigned key);
/* cbor_fail marks the input as malformed (a wrong length, a value out of range). */
void cbor_fail(struct cbor_reader *r);
bool cbor_is_bad(const struct cbor_reader *r);

/* cbor_peek: the type of the next item; reads nothing. */
enum cbor_type cbor_peek(const struct cbor_reader *r);

uint64_t cbor_read_uint(struct cbor_reader *r);
/* cbor_read_uint_max fails when the value exceeds max. */
uint64_t cbor_read_uint_max(struct cbor_reader *r, uint64_t max);
int64_t cbor_read_int(struct cbor_reader *r);
bool cbor_read_bool(struct cbor_reader *r);
void cbor_read_null(struct cbor_reader *r);
/* cbor_read_{bytes,text}: borrowed pointer into the input and its length; NULL, 0 when bad. */
const uint8_t *cbor_read_bytes(struct cbor_reader *r, size_t *out_len);
const char *cbor_read_text(struct cbor_reader *r, size_t *out_len); /* not NUL-terminated */
/* cbor_read_{exactly,fixed}: a byte string of exactly len, borrowed (NULL when bad) or copied. */
const uint8_t *cbor_read_exactly(struct cbor_reader *r, size_t len);
void cbor_read_fixed(struct cbor_reader *r, void *dst, size_t len);
/* cbor_read_text_copy: text of at most cap - 1 bytes without NUL inside, NUL-terminated. */
void cbor_read_text_copy(struct cbor_reader *r, char *dst, size_t cap);

/*
 * cbor_enter_array gives the number of items, cbor_enter_map the number
 * of pairs. cbor_next and cbor_next_key say whether there is one more.
 * The call that says false leaves the container, so even one of known
 * size is walked to that call. When bad they say false.
 */
uint64_t cbor_enter_array(struct cbor_reader *r);
uint64_t cbor_enter_map(struct cbor_reader *r);
bool cbor_next(struct cbor_reader *r);
/* cbor_next_key reads an unsigned integer key. */
bool cbor_next_key(struct cbor_reader *r, uint64_t *out_key);
/* cbor_next_text_key reads a text key of a free metadata map. */
bool cbor_next_text_key(struct cbor_reader *r, const char **out_key, size_t *out_len);
void cbor_skip(struct cbor_reader *r);

/*
 * cbor_enter_record enters the map of a record that states its layout,
 * a number from 1 on, under key 0. The caller reads the keys behind it.
 *
 * Returns 0, or:
 *   WEFT_ENEWER     a later program wrote it, in a layout of its own
 *   WEFT_EMALFORMED no map, or one that says no layout that ever was
 */
WEFT_MUST_CHECK
int cbor_enter_record(struct cbor_reader *r, const void *data, size_t len, uint64_t layout);

/*
 * The writer emits heads in shortest form; the caller writes map keys in
 * ascending order. Overflow is sticky in the struct writer.
 */
void cbor_write_uint(struct writer *w, uint64_t value);
void cbor_write_int(struct writer *w, int64_t value);
void cbor_write_bool(struct writer *w, bool value);
void cbor_write_bytes(struct writer *w, const void *data, size_t len);
void cbor_write_text(struct writer *w, const char *text, size_t len);
void cbor_write_array(struct writer *w, uint64_t item_cnt);
void cbor_write_map(struct writer *w, uint64_t pair_cnt);
/* cbor_write_bytes_head: the head of a byte string whose len bytes the caller sends itself. */
void cbor_write_bytes_head(struct writer *w, uint64_t len);

/* cbor_field_{uint,bool,bytes,text}: a key of a map with its value. */
void cbor_field_uint(struct writer *w, uint64_t key, uint64_t value);
void cbor_field_bool(struct writer *w, uint64_t key, bool value);
void cbor_field_bytes(struct writer *w, uint64_t key, const void *data, size_t len);
void cbor_field_text(struct writer *w, uint64_t key, const char *text, size_t len);

#endif
