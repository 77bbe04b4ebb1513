/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading DNS messages. A name is read in pieces: what stands where the
 * cursor is, then what a pointer names, and so on back to the header.
 */
#include "codec/dns.h"

#include <ctype.h>

/* The two high bits of a length byte: a label, or a pointer. The rest was never used (RFC 6891, 5). */
#define LABEL_KIND_MASK	   0xc0
#define LABEL_KIND_POINTER 0xc0

/* name_append takes one label with its length byte; false: the name is too long. */
static bool name_append(struct dns_name *name, const uint8_t *label, size_t len)
{
	if (name->len + len > DNS_NAME_LEN_MAX)
		return false;
	memcpy(name->bytes + name->len, label, len);
	name->len = (uint8_t)(name->len + len);
	return true;
}

/*
 * labels_read appends labels from c up to the root, true, or up to a pointer: false with its
 * target in *out_target.
 */
static bool labels_read(struct cursor *c, struct dns_name *name, size_t *out_target)
{
	for (;;) {
		const uint8_t *label = c->pos;
		uint8_t len = cursor_u8(c);

		if ((len & LABEL_KIND_MASK) == LABEL_KIND_POINTER) {
			*out_target = (size_t)(len & ~LABEL_KIND_MASK) << 8 | cursor_u8(c);
			return false;
		}
		if (len & LABEL_KIND_MASK || !cursor_bytes(c, len))
			c->bad = true;
		if (!c->bad && !name_append(name, label, len + 1u))
			c->bad = true;
		if (c->bad || len == 0)
			return true;
	}
}

static void name_read(struct dns_reader *r, struct dns_name *out_name)
{
	size_t piece_off = (size_t)(r->c.pos - r->start), target;
	bool is_whole;

	out_name->len = 0;
	is_whole = labels_read(&r->c, out_name, &target);
	while (!is_whole && !r->c.bad) {
		struct cursor piece;

		/* Only farther back each time, and the piece ends before the one that named it. */
		if (target < DNS_HEADER_LEN || target >= piece_off) {
			r->c.bad = true;
			return;
		}
		piece = cursor_of(r->start + target, piece_off - target);
		piece_off = target;
		is_whole = labels_read(&piece, out_name, &target);
		r->c.bad = piece.bad;
	}
}

static void record_read(struct dns_reader *r, struct dns_record *out_record)
{
	name_read(r, &out_record->name);
	out_record->type = cursor_be16(&r->c);
	out_record->class = cursor_be16(&r->c);
	out_record->ttl_s = cursor_be32(&r->c);
	out_record->data = cursor_sub(&r->c, cursor_be16(&r->c));
}

void dns_reader_begin(struct dns_reader *r, const void *data, size_t len)
{
	*r = (struct dns_reader){.c = cursor_of(data, len), .start = data};
	r->id = cursor_be16(&r->c);
	r->flags = cursor_be16(&r->c);
	r->question_left = cursor_be16(&r->c);
	r->answer_left = cursor_be16(&r->c);
	/* Two counts that may each be 65,535 and of which a message holds a few hundred. */
	r->other_left = cursor_be16(&r->c);
	if (__builtin_add_overflow(r->other_left, cursor_be16(&r->c), &r->other_left))
		r->c.bad = true;
}

bool dns_next_question(struct dns_reader *r, struct dns_question *out_question)
{
	if (r->c.bad || !r->question_left)
		return false;
	r->question_left--;
	name_read(r, &out_question->name);
	out_question->type = cursor_be16(&r->c);
	out_question->class = cursor_be16(&r->c);
	return !r->c.bad;
}

static void questions_skip(struct dns_reader *r)
{
	struct dns_question question;

	while (dns_next_question(r, &question))
		;
}

void dns_reader_init(struct dns_reader *r, const void *data, size_t len)
{
	dns_reader_begin(r, data, len);
	questions_skip(r);
}

bool dns_next_answer(struct dns_reader *r, struct dns_record *out_record)
{
	if (r->c.bad || !r->answer_left)
		return false;
	r->answer_left--;
	record_read(r, out_record);
	return !r->c.bad;
}

bool dns_next_record(struct dns_reader *r, struct dns_record *out_record)
{
	questions_skip(r);
	if (dns_next_answer(r, out_record))
		return true;
	if (r->c.bad || !r->other_left)
		return false;
	r->other_left--;
	record_read(r, out_record);
	return !r->c.bad;
}

void dns_data_name(const struct dns_reader *r, struct cursor *data, struct dns_name *out_name)
{
	struct dns_reader at = {.c = *data, .start = r->start};

	name_read(&at, out_name);
	*data = at.c;
}

int dns_reader_finish(struct dns_reader *r)
{
	struct dns_record record;

	while (dns_next_record(r, &record))
		;
	return r->c.bad || cursor_left(&r->c) ? WEFT_EMALFORMED : 0;
}

int dns_name_parse(const char *text, struct dns_name *out_name)
{
	struct dns_name name = {.len = 0};

	for (;;) {
		size_t len = strcspn(text, ".");
		uint8_t label[1 + DNS_LABEL_LEN_MAX];

		if (len == 0 || len > DNS_LABEL_LEN_MAX)
			return WEFT_EMALFORMED;
		label[0] = (uint8_t)len;
		memcpy(label + 1, text, len);
		if (!name_append(&name, label, len + 1))
			return WEFT_EMALFORMED;
		if (!text[len])
			break;
		text += len + 1;
	}
	if (!name_append(&name, (const uint8_t *)"", 1))
		return WEFT_EMALFORMED;
	*out_name = name;
	return 0;
}

/* Length bytes are below 'A', so letters and lengths are not taken for each other. */
bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (tolower(a->bytes[i]) != tolower(b->bytes[i]))
			return false;
	return true;
}

bool dns_txt_next(struct cursor *data, const char **out_text, size_t *out_len)
{
	size_t len;
	const uint8_t *text;

	if (!cursor_left(data))
		return false;
	len = cursor_u8(data);
	text = cursor_bytes(data, len);
	if (!text)
		return false;
	*out_text = (const char *)text;
	*out_len = len;
	return true;
}
