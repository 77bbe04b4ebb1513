/* SPDX-License-Identifier: Apache-2.0 */
/* Writing DNS messages with compressed names. */
#include "base/assert.h"
#include "codec/dns.h"

#define POINTER		 0xc000
#define POINTER_OFF_MAX	 0x3fff
#define QUESTION_CNT_OFF 4
#define ANSWER_CNT_OFF	 6

void dns_writer_init_flags(struct dns_writer *w, void *dst, size_t cap, uint16_t flags)
{
	static const uint8_t counts[DNS_HEADER_LEN - 4];

	*w = (struct dns_writer){.w = writer_of(dst, cap)};
	writer_be16(&w->w, 0);
	writer_be16(&w->w, flags);
	writer_bytes(&w->w, counts, sizeof(counts));
}

void dns_writer_init(struct dns_writer *w, void *dst, size_t cap)
{
	dns_writer_init_flags(w, dst, cap, DNS_FLAG_RESPONSE);
}

/* rest_is_at: what the message says from off on is the name rest, byte by byte. */
static bool rest_is_at(const struct dns_writer *w, size_t off, const uint8_t *rest)
{
	const uint8_t *at = w->w.start + off;

	for (;;) {
		while (*at >= POINTER >> 8)
			at = w->w.start + ((at[0] & ~(POINTER >> 8)) << 8 | at[1]);
		if (*at != *rest || memcmp(at + 1, rest + 1, *rest) != 0)
			return false;
		if (!*rest)
			return true;
		at += *at + 1;
		rest += *rest + 1;
	}
}

static bool pointer_write(struct dns_writer *w, const uint8_t *rest)
{
	for (unsigned i = 0; i < w->label_cnt; i++) {
		if (!rest_is_at(w, w->labels[i], rest))
			continue;
		writer_be16(&w->w, (uint16_t)(POINTER | w->labels[i]));
		return true;
	}
	return false;
}

void dns_write_name(struct dns_writer *w, const struct dns_name *name)
{
	unsigned label_cnt = w->label_cnt;

	/* The labels are remembered when all of the name is there to be compared with. */
	for (const uint8_t *at = name->bytes; !pointer_write(w, at); at += *at + 1) {
		size_t off = writer_len(&w->w);

		writer_bytes(&w->w, at, *at + 1u);
		if (!*at)
			break;
		if (label_cnt < DNS_WRITER_LABELS_MAX && off <= POINTER_OFF_MAX)
			w->labels[label_cnt++] = (uint16_t)off;
	}
	if (!w->w.bad)
		w->label_cnt = (uint16_t)label_cnt;
}

static void be16_at(struct dns_writer *w, size_t off, size_t value)
{
	w->w.start[off] = (uint8_t)(value >> 8);
	w->w.start[off + 1] = (uint8_t)value;
}

void dns_write_question(struct dns_writer *w, const struct dns_name *name, uint16_t type,
			uint16_t class)
{
	dns_write_name(w, name);
	writer_be16(&w->w, type);
	writer_be16(&w->w, class);
	w->question_cnt++;
}

size_t dns_record_begin(struct dns_writer *w, const struct dns_name *name, uint16_t type,
			uint16_t class, uint32_t ttl_s)
{
	dns_write_name(w, name);
	writer_be16(&w->w, type);
	writer_be16(&w->w, class);
	writer_be32(&w->w, ttl_s);
	writer_be16(&w->w, 0);
	w->answer_cnt++;
	return writer_len(&w->w);
}

void dns_record_end(struct dns_writer *w, size_t data_off)
{
	if (!w->w.bad)
		be16_at(w, data_off - 2, writer_len(&w->w) - data_off);
}

void dns_write_txt(struct dns_writer *w, const struct dns_name *name, uint32_t ttl_s,
		   const char *text, size_t len)
{
	size_t data_off;

	weft_assert(len <= DNS_STRING_LEN_MAX);
	data_off = dns_record_begin(w, name, DNS_TYPE_TXT, DNS_CLASS_IN, ttl_s);
	writer_u8(&w->w, (uint8_t)len);
	writer_bytes(&w->w, text, len);
	dns_record_end(w, data_off);
}

int dns_writer_finish(struct dns_writer *w)
{
	if (w->w.bad)
		return WEFT_ETOOSMALL;
	be16_at(w, QUESTION_CNT_OFF, w->question_cnt);
	be16_at(w, ANSWER_CNT_OFF, w->answer_cnt);
	return (int)writer_len(&w->w);
}
