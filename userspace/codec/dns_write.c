/* SPDX-License-Identifier: Apache-2.0 */
/* Writing DNS messages with compressed names. */
#include "base/assert.h"
#include "codec/dns.h"

#define POINTER		0xc000
#define POINTER_OFF_MAX 0x3fff
#define ANSWER_CNT_OFF	6

void dns_writer_init(struct dns_writer *w, void *dst, size_t cap)
{
	static const uint8_t head[DNS_HEADER_LEN] = {[2] = DNS_FLAG_RESPONSE >> 8};

	*w = (struct dns_writer){.w = writer_of(dst, cap)};
	writer_bytes(&w->w, head, sizeof(head));
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

static void name_write(struct dns_writer *w, const struct dns_name *name)
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

void dns_write_txt(struct dns_writer *w, const struct dns_name *name, uint32_t ttl_s,
		   const char *text, size_t len)
{
	weft_assert(len <= DNS_STRING_LEN_MAX);
	name_write(w, name);
	writer_be16(&w->w, DNS_TYPE_TXT);
	writer_be16(&w->w, DNS_CLASS_IN);
	writer_be32(&w->w, ttl_s);
	writer_be16(&w->w, (uint16_t)(len + 1));
	writer_u8(&w->w, (uint8_t)len);
	writer_bytes(&w->w, text, len);
	w->answer_cnt++;
}

int dns_writer_finish(struct dns_writer *w)
{
	if (w->w.bad)
		return WEFT_ETOOSMALL;
	w->w.start[ANSWER_CNT_OFF] = (uint8_t)(w->answer_cnt >> 8);
	w->w.start[ANSWER_CNT_OFF + 1] = (uint8_t)w->answer_cnt;
	return (int)writer_len(&w->w);
}
