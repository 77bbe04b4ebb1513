/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_DNS_H
#define WEFT_CODEC_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "weft/err.h"

/*
 * DNS messages (RFC 1035, 4) as far as somebody needs them who carries
 * records about and resolves nothing: every section is walked and checked,
 * answers are told.
 */
#define DNS_NAME_LEN_MAX   255 /* on the wire, with the root's empty label (2.3.4) */
#define DNS_LABEL_LEN_MAX  63
#define DNS_HEADER_LEN	   12
#define DNS_STRING_LEN_MAX 255 /* one character string of a TXT record */

enum { DNS_TYPE_TXT = 16, DNS_CLASS_IN = 1, DNS_FLAG_RESPONSE = 0x8000 };

/* A name in wire form without compression, letters as they came. */
struct dns_name {
	uint8_t bytes[DNS_NAME_LEN_MAX];
	uint8_t len; /* in [1, DNS_NAME_LEN_MAX] */
};

struct dns_record {
	struct dns_name name;
	uint16_t type, class;
	uint32_t ttl_s;
	struct cursor data; /* borrowed from the message */
};

/*
 * The reader is sticky like the cursor: walk the answers, then ask
 * dns_reader_finish once. A compressed name may point only to before
 * itself and each pointer only farther back, so there are no loops and no
 * name costs more than its 255 bytes.
 */
struct dns_reader {
	struct cursor c; /* c.bad is the sticky error */
	const uint8_t *start;
	uint16_t id, flags;
	uint16_t answer_left, other_left; /* authorities and additionals */
};

/* dns_reader_init reads the header and steps over the questions. */
void dns_reader_init(struct dns_reader *r, const void *data, size_t len);
/* dns_next_answer: false at the end of the answers, or when anything was wrong. */
bool dns_next_answer(struct dns_reader *r, struct dns_record *out_record);
/*
 * dns_reader_finish steps over what was not walked. Returns 0, or
 * WEFT_EMALFORMED when anything was wrong or bytes are left over.
 */
WEFT_MUST_CHECK
int dns_reader_finish(struct dns_reader *r);

/*
 * dns_name_parse reads "_mesh.example", one or more labels without a dot at
 * the end. 0, or WEFT_EMALFORMED: an empty or overlong label or name.
 */
WEFT_MUST_CHECK
int dns_name_parse(const char *text, struct dns_name *out_name);
/* dns_name_equal ignores the case of ASCII letters (RFC 4343). */
bool dns_name_equal(const struct dns_name *a, const struct dns_name *b);
/*
 * dns_txt_next takes the next character string of a TXT record's data;
 * false at the end, or with data->bad set when it is cut short.
 */
bool dns_txt_next(struct cursor *data, const char **out_text, size_t *out_len);

/*
 * The writer makes a response with answers alone, id 0, and compresses
 * names against those written before. Overflow is sticky; a copy taken
 * before a record takes the record back.
 */
#define DNS_WRITER_LABELS_MAX 16

struct dns_writer {
	struct writer w;
	uint16_t answer_cnt;
	uint16_t label_cnt;
	uint16_t labels
		[DNS_WRITER_LABELS_MAX]; /* where in the message a name, or the rest of one, begins */
};

void dns_writer_init(struct dns_writer *w, void *dst, size_t cap);
/* dns_write_txt: a TXT record of one string of len bytes, in [0, DNS_STRING_LEN_MAX]. */
void dns_write_txt(struct dns_writer *w, const struct dns_name *name, uint32_t ttl_s,
		   const char *text, size_t len);
/* dns_writer_finish: the message's length, or WEFT_ETOOSMALL. */
WEFT_MUST_CHECK
int dns_writer_finish(struct dns_writer *w);

#endif
