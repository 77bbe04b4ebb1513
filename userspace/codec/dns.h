/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_DNS_H
#define WEFT_CODEC_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * DNS messages (RFC 1035, 4), for a carrier of records that resolves nothing. Every section
 * is walked and checked, and answers are returned.
 */
#define DNS_NAME_LEN_MAX   255 /* on the wire, with the root's empty label (2.3.4) */
#define DNS_LABEL_LEN_MAX  63
#define DNS_HEADER_LEN	   12
#define DNS_STRING_LEN_MAX 255 /* one character string of a TXT record */

enum {
	DNS_TYPE_A = 1,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_SRV = 33,
	DNS_TYPE_ANY = 255,
	DNS_CLASS_IN = 1,
	DNS_FLAG_RESPONSE = 0x8000,
	DNS_FLAG_AUTHORITATIVE = 0x0400,
};

/* A name in wire form without compression, letters as they came. */
struct dns_name {
	uint8_t bytes[DNS_NAME_LEN_MAX];
	uint8_t len; /* in [1, DNS_NAME_LEN_MAX] */
};

struct dns_question {
	struct dns_name name;
	uint16_t type, class;
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
 * itself and each pointer only farther back. So there are no loops, and
 * no name costs more than its 255 bytes.
 */
struct dns_reader {
	struct cursor c; /* c.bad is the sticky error */
	const uint8_t *start;
	uint16_t id, flags;
	uint16_t question_left;
	uint16_t answer_left, other_left; /* authorities and additionals */
};

/*
 * dns_reader_init reads the header and steps over the questions; dns_reader_begin reads the
 * header alone, dns_next_question then walks the questions.
 */
void dns_reader_init(struct dns_reader *r, const void *data, size_t len);
void dns_reader_begin(struct dns_reader *r, const void *data, size_t len);
bool dns_next_question(struct dns_reader *r, struct dns_question *out_question);
/*
 * dns_next_answer: false at the end of the answers, or when anything was wrong. dns_next_record goes
 * on through authorities and additionals.
 */
bool dns_next_answer(struct dns_reader *r, struct dns_record *out_record);
bool dns_next_record(struct dns_reader *r, struct dns_record *out_record);
/* dns_data_name reads a name in a record's data, which may be compressed; data->bad when it is wrong. */
void dns_data_name(const struct dns_reader *r, struct cursor *data, struct dns_name *out_name);
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
 * The writer makes a message of questions and then answers, id 0, and compresses
 * names against those written before. Overflow is sticky; a copy taken
 * before a record takes the record back.
 */
#define DNS_WRITER_LABELS_MAX 16

struct dns_writer {
	struct writer w;
	uint16_t question_cnt, answer_cnt;
	uint16_t label_cnt;
	uint16_t labels
		[DNS_WRITER_LABELS_MAX]; /* where in the message a name, or the rest of one, begins */
};

/* dns_writer_init: a response. dns_writer_init_flags: with these flags, 0 for a query. */
void dns_writer_init(struct dns_writer *w, void *dst, size_t cap);
void dns_writer_init_flags(struct dns_writer *w, void *dst, size_t cap, uint16_t flags);
void dns_write_question(struct dns_writer *w, const struct dns_name *name, uint16_t type,
			uint16_t class);
/*
 * A record with any data: dns_record_begin, then its bytes by w->w and its names by
 * dns_write_name, then dns_record_end, which is given what begin gave.
 */
size_t dns_record_begin(struct dns_writer *w, const struct dns_name *name, uint16_t type,
			uint16_t class, uint32_t ttl_s);
void dns_write_name(struct dns_writer *w, const struct dns_name *name);
void dns_record_end(struct dns_writer *w, size_t data_off);
/* dns_write_txt: a TXT record of one string of len bytes, in [0, DNS_STRING_LEN_MAX]. */
void dns_write_txt(struct dns_writer *w, const struct dns_name *name, uint32_t ttl_s,
		   const char *text, size_t len);
/* dns_writer_finish: the message's length, or WEFT_ETOOSMALL. */
WEFT_MUST_CHECK
int dns_writer_finish(struct dns_writer *w);

#endif
