/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of documents as bytes (postings.h). */
#include "postings.h"

#include <string.h>

#define NUMBER_LEN_MAX 5u /* of 32 bits */
#define FIELD_BITS     3

static uint8_t *number_write(uint8_t *dst, uint32_t value)
{
	for (; value >= 0x80; value >>= 7)
		*dst++ = (uint8_t)(value | 0x80);
	*dst++ = (uint8_t)value;
	return dst;
}

static bool number_read(const uint8_t **io_pos, const uint8_t *end, uint32_t *out_value)
{
	const uint8_t *pos = *io_pos;
	uint32_t value = 0;

	for (unsigned shift = 0; shift < 7 * NUMBER_LEN_MAX && pos < end; shift += 7) {
		uint8_t byte = *pos++;

		value |= (uint32_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*io_pos = pos;
			*out_value = value;
			return true;
		}
	}
	return false;
}

/* --- writing --- */

size_t search_postings_len_max(size_t run_cnt)
{
	return (1 + POSTING_FIELD_CNT + 2 * run_cnt) * NUMBER_LEN_MAX;
}

static uint8_t *run_write(uint8_t *dst, uint32_t gap, uint32_t cnt)
{
	dst = number_write(dst, gap << 1 | (cnt > 1));
	return cnt > 1 ? number_write(dst, cnt - 2) : dst;
}

static size_t list_write(uint8_t *dst, const struct posting_run *runs, size_t cnt)
{
	uint32_t told = 0, first = runs[0].first, end = first + runs[0].cnt;
	uint8_t *pos = dst;

	for (size_t i = 1; i < cnt; i++) {
		uint32_t run_end = runs[i].first + runs[i].cnt;

		if (runs[i].first > end) {
			pos = run_write(pos, first - told, end - first);
			told = end;
			first = runs[i].first;
		}
		if (run_end > end)
			end = run_end;
	}
	pos = run_write(pos, first - told, end - first);
	return (size_t)(pos - dst);
}

size_t search_postings_write(uint8_t *dst, const struct posting_run *const runs[POSTING_FIELD_CNT],
			     const size_t cnts[POSTING_FIELD_CNT])
{
	/* The head has the length of what is behind it: written there, then moved up. */
	uint8_t *body = dst + NUMBER_LEN_MAX, *pos = body, *head_end;
	unsigned fields = 0;

	for (unsigned f = 0; f < POSTING_FIELD_CNT; f++)
		fields |= (unsigned)(cnts[f] != 0) << f;
	for (unsigned f = 0; f < POSTING_FIELD_CNT; f++) {
		bool is_last = fields >> (f + 1) == 0;
		uint8_t *list = is_last ? pos : pos + NUMBER_LEN_MAX;
		size_t len;

		if (!cnts[f])
			continue;
		len = list_write(list, runs[f], cnts[f]);
		if (!is_last) {
			pos = number_write(pos, (uint32_t)len);
			memmove(pos, list, len);
		}
		pos += len;
	}
	head_end = number_write(dst, (uint32_t)(pos - body) << FIELD_BITS | fields);
	memmove(head_end, body, (size_t)(pos - body));
	return (size_t)(head_end - dst) + (size_t)(pos - body);
}

/* --- reading --- */

bool search_postings_skip(const uint8_t **io_pos, const uint8_t *end)
{
	uint32_t head;

	if (!number_read(io_pos, end, &head) || head >> FIELD_BITS > (size_t)(end - *io_pos))
		return false;
	*io_pos += head >> FIELD_BITS;
	return true;
}

bool search_postings_open(const uint8_t **io_pos, const uint8_t *end,
			  struct postings out_lists[POSTING_FIELD_CNT])
{
	const uint8_t *pos = *io_pos;
	uint32_t head, len;

	if (!search_postings_skip(io_pos, end) || !number_read(&pos, end, &head))
		return false;
	end = *io_pos;
	for (unsigned f = 0; f < POSTING_FIELD_CNT; f++) {
		out_lists[f] = (struct postings){NULL, NULL, 0};
		if (!(head >> f & 1))
			continue;
		len = (uint32_t)(end - pos);
		if ((head & ((1u << FIELD_BITS) - 1)) >> (f + 1) &&
		    (!number_read(&pos, end, &len) || len > (size_t)(end - pos)))
			return false;
		out_lists[f] = (struct postings){pos, pos + len, 0};
		pos += len;
	}
	return true;
}

bool search_postings_next(struct postings *list, struct posting_run *out_run)
{
	uint32_t gap, more = 0;

	if (list->pos == list->end || !number_read(&list->pos, list->end, &gap))
		return false;
	if ((gap & 1) && !number_read(&list->pos, list->end, &more))
		return false;
	out_run->first = list->next + (gap >> 1);
	out_run->cnt = gap & 1 ? more + 2 : 1;
	list->next = out_run->first + out_run->cnt;
	return true;
}
