/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_CBOR_FIELDS_H
#define WEFT_CODEC_CBOR_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "codec/cbor.h"

/*
 * A format as data. A table says which field of a map is which member of a struct, and one
 * pair of functions reads and writes it. Typical use:
 *
 *	static const struct cbor_field fields[] = {
 *		{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct ping, id)},
 *		{1, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct ping, ttl_s), .max = 60},
 *		{2, CBOR_FIELD_TEXT, CBOR_USUAL, CBOR_AT(struct ping, agent)},
 *	};
 *	static const struct cbor_table table = {CBOR_FIELDS(fields)};
 *
 * Rules between fields, and those of a value that are no limit, are the
 * caller's after the read; cbor_has_key says which keys were there.
 */

/* The member's type is in brackets. */
enum cbor_field_kind {
	CBOR_FIELD_UINT,     /* unsigned of 1, 2, 4 or 8 bytes, or an enum; at most max */
	CBOR_FIELD_INT,	     /* int64_t */
	CBOR_FIELD_BOOL,     /* bool */
	CBOR_FIELD_FLAG,     /* bool: true or missing, false is malformed */
	CBOR_FIELD_CONSTANT, /* none: the number max; another is malformed */
	CBOR_FIELD_FIXED,    /* uint8_t []: as many bytes as it has */
	CBOR_FIELD_EXACT,    /* const uint8_t *: max bytes, borrowed */
	CBOR_FIELD_BYTES,    /* const uint8_t * and a length: min to max bytes, borrowed */
	CBOR_FIELD_SPAN,     /* const char * and a length: text of min to max bytes, borrowed */
	CBOR_FIELD_TEXT,     /* char []: text without NUL that fits, NUL-terminated */
	CBOR_FIELD_PATH,     /* char []: a byte string of that kind, as it need not be UTF-8 */
	CBOR_FIELD_ADDR,     /* struct addr: a PeerAddr */
	CBOR_FIELD_ADDRS,    /* struct addr [] and a count: PeerAddrs, the direct ones that fit */
	CBOR_FIELD_PLACES,   /* struct peer_places: PeerAddrs, relays among them */
	CBOR_FIELD_ROWS,     /* struct [] and a count: an array of at most so many rows */
	CBOR_FIELD_IDS,	     /* uint8_t [][n] and a count: an array of byte strings of n */
	CBOR_FIELD_CODED,    /* any: functions read and write the value */
};

enum cbor_need {
	CBOR_OPTIONAL, /* written when the member, or that of CBOR_WHEN, is not zero */
	CBOR_USUAL,    /* always written, may be missing */
	CBOR_NEEDED,   /* always written, malformed when missing */
	CBOR_FORMER,   /* never written; earlier versions did */
	CBOR_FLAGGED,  /* written when the bool of CBOR_HAS is set; reading sets it */
};

struct cbor_field {
	uint8_t key; /* below 64, ascending in a table */
	enum cbor_field_kind kind;
	enum cbor_need need;
	size_t off, size;	       /* of the member: CBOR_AT */
	size_t len_off, len_size;      /* of its length or count: CBOR_LEN */
	size_t has, has_size;	       /* CBOR_HAS, CBOR_WHEN */
	uint64_t min, max;	       /* max 0: all that fits */
	const struct cbor_table *rows; /* ROWS: CBOR_ROWS */
	size_t row_size;	       /* ROWS, IDS */
	/* CODED: one value, from or to the member, or without CBOR_AT the struct. */
	void (*read)(struct cbor_reader *r, void *member);
	void (*write)(struct writer *w, const void *member);
};

#define CBOR_AT(type, member) .off = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define CBOR_LEN(type, member)                                                                     \
	.len_off = offsetof(type, member), .len_size = sizeof(((type *)0)->member)

/* An array of structs and the table of one; an array of ids. */
#define CBOR_ROWS(type, member, table)                                                             \
	CBOR_AT(type, member), .rows = &(table), .row_size = sizeof(((type *)0)->member[0])
#define CBOR_IDS(type, member) CBOR_AT(type, member), .row_size = sizeof(((type *)0)->member[0])
#define CBOR_HAS(type, member)                                                                     \
	.need = CBOR_FLAGGED, .has = offsetof(type, member), .has_size = sizeof(((type *)0)->member)
#define CBOR_WHEN(type, member)                                                                    \
	.need = CBOR_OPTIONAL, .has = offsetof(type, member),                                      \
	.has_size = sizeof(((type *)0)->member)

struct cbor_table {
	const struct cbor_field *fields;
	unsigned cnt;
	bool is_closed; /* unknown keys are malformed; else they are skipped */
};

#define CBOR_FIELDS(array) .fields = (array), .cnt = sizeof(array) / sizeof((array)[0])

/*
 * cbor_fields_read reads the map that comes next, wherever it stands, into
 * record. A member whose field is missing keeps its value. When anything
 * is wrong the reader is bad and record has unspecified values.
 *
 * cbor_fields_read_on is the same for a map already entered, of which the
 * caller read the first keys: cbor_enter_record.
 */
void cbor_fields_read(struct cbor_reader *r, const struct cbor_table *table, void *record);
void cbor_fields_read_on(struct cbor_reader *r, const struct cbor_table *table, void *record);

/* cbor_fields_parse reads a map that is the whole input. Returns 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int cbor_fields_parse(const void *data, size_t len, const struct cbor_table *table, void *record);

void cbor_fields_write(struct writer *w, const struct cbor_table *table, const void *record);

/* cbor_row_{read,write}: an array of exactly the table's fields in its order, without keys. */
void cbor_row_read(struct cbor_reader *r, const struct cbor_table *table, void *record);
void cbor_row_write(struct writer *w, const struct cbor_table *table, const void *record);

#endif
