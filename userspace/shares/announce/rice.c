/* SPDX-License-Identifier: Apache-2.0 */
/* Reading takes a word at a time: a seeker reads sets of tens of thousands of numbers. */
#include "rice.h"

#include <string.h>

#define VALUE_MAX (UINT64_C(1) << 63)

/* --- writing --- */

void shares_rice_writer_init(struct rice_writer *w, unsigned parameter, uint8_t *bytes, size_t cap)
{
	*w = (struct rice_writer){.bytes = bytes, .bit_cap = 8 * cap, .parameter = parameter};
	memset(bytes, 0, cap);
}

static void bit_set(struct rice_writer *w)
{
	w->bytes[w->bit_cnt / 8] |= (uint8_t)(0x80u >> w->bit_cnt % 8);
	w->bit_cnt++;
}

bool shares_rice_write(struct rice_writer *w, uint64_t value)
{
	uint64_t difference = value - w->last, quotient = difference >> w->parameter;
	size_t left = w->bit_cap - w->bit_cnt;

	if (left < w->parameter + 1u || quotient > left - w->parameter - 1u)
		return false;
	for (uint64_t i = 0; i < quotient; i++)
		bit_set(w);
	w->bit_cnt++;
	for (unsigned bit = w->parameter; bit-- > 0;) {
		if (difference >> bit & 1)
			bit_set(w);
		else
			w->bit_cnt++;
	}
	w->last = value;
	return true;
}

size_t shares_rice_writer_len(const struct rice_writer *w)
{
	return (w->bit_cnt + 7) / 8;
}

/* --- reading --- */

void shares_rice_reader_init(struct rice_reader *r, unsigned parameter, const uint8_t *bytes,
			     size_t len)
{
	*r = (struct rice_reader){.bytes = bytes, .bit_cnt = 8 * len, .parameter = parameter};
}

/* The next bits, at least 57 of them, in the top of a word; beyond the end they are 0. */
static uint64_t bits_peek(const struct rice_reader *r)
{
	size_t at = r->bit_at / 8, len = r->bit_cnt / 8;
	uint64_t word = 0;

	if (len - at >= sizeof(word)) {
		memcpy(&word, r->bytes + at, sizeof(word));
		word = __builtin_bswap64(word);
	} else {
		for (size_t i = at; i < len; i++)
			word |= (uint64_t)r->bytes[i] << (56 - 8 * (i - at));
	}
	return word << r->bit_at % 8;
}

/* True with so many bits stepped over. */
static bool bits_take(struct rice_reader *r, size_t cnt)
{
	if (cnt > r->bit_cnt - r->bit_at)
		r->bad = true;
	else
		r->bit_at += cnt;
	return !r->bad;
}

static uint64_t quotient_read(struct rice_reader *r)
{
	uint64_t quotient = 0;
	unsigned ones;

	for (;;) {
		uint64_t word = ~bits_peek(r);

		ones = word ? (unsigned)__builtin_clzll(word) : 64;
		if (ones < 57)
			break;
		if (!bits_take(r, 57))
			return 0;
		quotient += 57;
	}
	return bits_take(r, ones + 1) ? quotient + ones : 0;
}

uint64_t shares_rice_read(struct rice_reader *r)
{
	uint64_t quotient, low = 0;

	if (r->bad)
		return 0;
	quotient = quotient_read(r);
	if (r->parameter && !r->bad) {
		low = bits_peek(r) >> (64 - r->parameter);
		(void)bits_take(r, r->parameter);
	}
	if (quotient >= (VALUE_MAX - r->last) >> r->parameter)
		r->bad = true;
	if (r->bad)
		return 0;
	r->last += (quotient << r->parameter) + low;
	return r->last;
}

bool shares_rice_reader_is_over(const struct rice_reader *r)
{
	return !r->bad && r->bit_cnt - r->bit_at < 8 && bits_peek(r) == 0;
}
