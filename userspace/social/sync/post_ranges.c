/* SPDX-License-Identifier: Apache-2.0 */
#include "social/sync/post_ranges.h"

#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "crypto/blake3/blake3.h"

enum range_kind { RANGE_SKIP, RANGE_PRINT, RANGE_LIST, RANGE_ANSWER };

/* An end of a range: rows below it are in the range. */
struct range_end {
	uint64_t time_ms;
	uint8_t id[POST_ID_LEN]; /* zeros behind id_len */
	uint8_t id_len;
};
static const struct range_end end_of_all = {.time_ms = RANGE_TIME_MAX};

struct range {
	struct range_end end;
	enum range_kind kind;
	const uint8_t *bytes; /* borrowed */
	size_t len;
};

/* The rows of a range that the peer may have. */
struct range_walk {
	const struct range_posts *posts;
	struct post_place place;
	const struct range_end *end;
};

/* Heads of a range with the longest end, and of a message. */
#define RANGE_HEAD_LEN	 (1u + 9 + 2 + POST_ID_LEN + 1 + 3)
#define MESSAGE_HEAD_LEN 3u
/* The range over all that has no room, and a skip before it. */
#define REST_LEN (2 * RANGE_HEAD_LEN + RANGE_PRINT_LEN)

/* A message in the making. */
struct range_answer {
	const struct range_posts *posts;
	struct writer *out;
	struct range_end from; /* where the range at hand begins */
	bool skips;	       /* ranges up to from are to be skipped, and not written yet */
	bool is_full;
	uint32_t range_cnt;
};

/* --- rows --- */

static struct range_walk walk_of(const struct range_posts *posts, const struct range_end *from,
				 const struct range_end *end)
{
	return (struct range_walk){posts, social_index_place(posts->index, from->time_ms, from->id),
				   end};
}

static int end_compare(uint64_t time_ms, const uint8_t *id, const struct range_end *end)
{
	if (time_ms != end->time_ms)
		return time_ms < end->time_ms ? -1 : 1;
	return memcmp(id, end->id, POST_ID_LEN);
}

static const struct post_row *walk_next(struct range_walk *walk)
{
	const struct range_posts *posts = walk->posts;
	const struct post_row *row;

	while ((row = social_index_next(posts->index, &walk->place))) {
		if (end_compare(row->time_ms, row->id, walk->end) >= 0)
			return NULL;
		if (!posts->may_have || posts->may_have(posts->ctx, row))
			return row;
	}
	return NULL;
}

void social_ranges_row(const struct post_row *row, uint8_t out[static RANGE_ROW_LEN])
{
	memcpy(out, row->id, POST_ID_LEN);
	out[POST_ID_LEN] = (uint8_t)(row->number >> 8);
	out[POST_ID_LEN + 1] = (uint8_t)row->number;
}

/* Rows are hashed many at once: BLAKE3 takes eight leaves side by side. */
#define PRINT_LEN (8u * BLAKE3_LEAF_LEN)
struct print {
	struct blake3 hash;
	size_t len; /* of bytes */
	uint8_t bytes[PRINT_LEN + RANGE_ROW_LEN];
};

static void print_begin(struct print *print)
{
	blake3_init(&print->hash);
	print->len = 0;
}

static void print_add(struct print *print, const struct post_row *row)
{
	social_ranges_row(row, print->bytes + print->len);
	print->len += RANGE_ROW_LEN;
	if (print->len < PRINT_LEN)
		return;
	blake3_update(&print->hash, print->bytes, PRINT_LEN);
	print->len -= PRINT_LEN;
	memcpy(print->bytes, print->bytes + PRINT_LEN, print->len);
}

static void print_end(struct print *print, uint8_t out[static RANGE_PRINT_LEN])
{
	blake3_update(&print->hash, print->bytes, print->len);
	blake3_final(&print->hash, out, RANGE_PRINT_LEN);
}

/* The number of rows of the walk, and a hash of them. */
static uint32_t print_make(struct range_walk walk, uint8_t *out_print)
{
	const struct post_row *row;
	struct print print;
	uint32_t cnt = 0;

	print_begin(&print);
	for (; (row = walk_next(&walk)); cnt++)
		print_add(&print, row);
	print_end(&print, out_print);
	return cnt;
}

/* The shortest end between two rows that follow one another. */
static struct range_end end_between(const struct post_row *row, const struct post_row *next)
{
	struct range_end end = {.time_ms = next->time_ms};

	if (row->time_ms == next->time_ms) {
		while (row->id[end.id_len] == next->id[end.id_len])
			end.id_len++;
		end.id_len++;
		memcpy(end.id, next->id, end.id_len);
	}
	return end;
}

/* --- writing --- */

static void range_write(struct range_answer *answer, const struct range *range)
{
	struct writer *w = answer->out;
	uint8_t *at;

	cbor_write_array(w, 4);
	cbor_write_uint(w, range->end.time_ms);
	cbor_write_bytes(w, range->end.id, range->end.id_len);
	cbor_write_uint(w, range->kind);
	cbor_write_bytes_head(w, range->len);
	/* The bytes may lie in the room that is left. */
	at = writer_reserve(w, range->len);
	if (at && range->len)
		memmove(at, range->bytes, range->len);
	answer->range_cnt++;
}

/* Whether a range with len bytes has room, the skip before it and the rest behind it. */
static bool has_room(const struct range_answer *answer, size_t len)
{
	const struct writer *w = answer->out;

	return (size_t)(w->end - w->pos) >= 2 * RANGE_HEAD_LEN + len + REST_LEN;
}

/* Writes a range from answer->from on. */
static void range_put(struct range_answer *answer, const struct range *range)
{
	if (range->kind == RANGE_SKIP) {
		answer->skips = true;
	} else {
		if (answer->skips)
			range_write(answer, &(struct range){.end = answer->from});
		answer->skips = false;
		range_write(answer, range);
	}
	answer->from = range->end;
}

/* All from answer->from on is left to a later message. */
static void rest_put(struct range_answer *answer)
{
	struct range_walk walk = walk_of(answer->posts, &answer->from, &end_of_all);
	uint8_t print[RANGE_PRINT_LEN];

	(void)print_make(walk, print);
	range_put(answer, &(struct range){end_of_all, RANGE_PRINT, print, sizeof(print)});
	answer->is_full = true;
}

static void message_begin(struct range_answer *answer)
{
	(void)writer_reserve(answer->out, MESSAGE_HEAD_LEN);
}

/* The head is as short as the count allows: ranges move up to it. */
static void message_end(struct range_answer *answer, size_t start)
{
	uint8_t *at = answer->out->start + start, *ranges = at + MESSAGE_HEAD_LEN;
	size_t len = writer_len(answer->out) - start - MESSAGE_HEAD_LEN;
	struct writer head = writer_of(at, MESSAGE_HEAD_LEN);

	cbor_write_array(&head, answer->range_cnt);
	memmove(head.pos, ranges, len);
	answer->out->pos = head.pos + len;
}

/* --- what a range is answered with --- */

static int row_compare(const void *a, const void *b)
{
	return memcmp(a, b, RANGE_ROW_LEN);
}

static void list_put(struct range_answer *answer, const struct range_end *end)
{
	struct range_walk walk = walk_of(answer->posts, &answer->from, end);
	uint8_t rows[RANGE_LIST_MAX][RANGE_ROW_LEN];
	const struct post_row *row;
	uint32_t cnt = 0;

	while (cnt < RANGE_LIST_MAX && (row = walk_next(&walk)))
		social_ranges_row(row, rows[cnt++]);
	qsort(rows, cnt, RANGE_ROW_LEN, row_compare);
	range_put(answer, &(struct range){*end, RANGE_LIST, rows[0], cnt * RANGE_ROW_LEN});
}

/* The first cnt rows of the walk, hashed: where they end, and the walk's own end with the last part. */
static struct range_end part_make(struct range_walk *walk, uint32_t cnt, uint8_t *out_print)
{
	const struct post_row *row, *last = NULL;
	struct range_walk next;
	struct print print;

	print_begin(&print);
	for (; cnt && (row = walk_next(walk)); cnt--) {
		print_add(&print, row);
		last = row;
	}
	print_end(&print, out_print);
	next = *walk;
	row = walk_next(&next);
	return last && row ? end_between(last, row) : *walk->end;
}

static void parts_put(struct range_answer *answer, const struct range_end *end, uint32_t cnt)
{
	struct range_walk walk = walk_of(answer->posts, &answer->from, end);
	uint8_t print[RANGE_PRINT_LEN];

	for (unsigned part = RANGE_PARTS; part; part--) {
		uint32_t part_cnt = cnt / part;
		struct range_end to;

		if (!has_room(answer, sizeof(print))) {
			rest_put(answer);
			return;
		}
		to = part_make(&walk, part_cnt, print);
		range_put(answer, &(struct range){to, RANGE_PRINT, print, sizeof(print)});
		cnt -= part_cnt;
	}
}

static void print_answer(struct range_answer *answer, const struct range *range)
{
	uint8_t print[RANGE_PRINT_LEN];
	uint32_t cnt = print_make(walk_of(answer->posts, &answer->from, &range->end), print);

	if (memcmp(print, range->bytes, sizeof(print)) == 0)
		range_put(answer, &(struct range){.end = range->end});
	else if (cnt > RANGE_LIST_MAX)
		parts_put(answer, &range->end, cnt);
	else if (has_room(answer, RANGE_LIST_MAX * RANGE_ROW_LEN))
		list_put(answer, &range->end);
	else
		rest_put(answer);
}

/* The rows of a range, of which has says which are own ones. */
#define HEARD_MAX (RANGE_MESSAGE_MAX / RANGE_ROW_LEN)
struct range_heard {
	const struct range *range;
	uint8_t has[(HEARD_MAX + 7) / 8];
};

static bool heard_take(struct range_heard *heard, const struct post_row *row)
{
	uint8_t said[RANGE_ROW_LEN];
	const uint8_t *at;
	size_t idx;

	social_ranges_row(row, said);
	at = bsearch(said, heard->range->bytes, heard->range->len / RANGE_ROW_LEN, RANGE_ROW_LEN,
		     row_compare);

	if (!at)
		return false;
	idx = (size_t)(at - heard->range->bytes) / RANGE_ROW_LEN;
	heard->has[idx / 8] |= (uint8_t)(1u << idx % 8);
	return true;
}

static void lacking_call(const struct range_posts *posts, const struct range_heard *heard)
{
	for (size_t i = 0; i < heard->range->len / RANGE_ROW_LEN; i++)
		if (!(heard->has[i / 8] >> i % 8 & 1))
			posts->lacking(posts->ctx, heard->range->bytes + i * RANGE_ROW_LEN);
}

/*
 * Goes over the own rows of a list or an answer. Those that a list lacks are written behind each
 * other into rows, at most cap. Returns how many, and the row at which they had no room.
 */
static uint32_t heard_walk(struct range_answer *answer, struct range_heard *heard, uint8_t *rows,
			   uint32_t cap, struct range_end *out_end)
{
	struct range_walk walk = walk_of(answer->posts, &answer->from, &heard->range->end);
	const struct post_row *row;
	struct post_row last = {0};
	uint32_t cnt = 0;

	*out_end = heard->range->end;
	for (; (row = walk_next(&walk)); last = *row) {
		if (heard_take(heard, row) || heard->range->kind == RANGE_ANSWER)
			continue;
		if (cnt == cap) {
			*out_end = end_between(&last, row);
			/* The rest is walked for what the list has of it. */
			while ((row = walk_next(&walk)))
				(void)heard_take(heard, row);
			return cnt;
		}
		social_ranges_row(row, rows + cnt++ * RANGE_ROW_LEN);
		if (answer->posts->said)
			answer->posts->said(answer->posts->ctx, row);
	}
	return cnt;
}

static void heard_answer(struct range_answer *answer, const struct range *range)
{
	struct range_heard heard = {.range = range};
	struct writer *w = answer->out;
	size_t taken = 2 * RANGE_HEAD_LEN + REST_LEN, room = (size_t)(w->end - w->pos);
	uint32_t cap = room > taken ? (uint32_t)((room - taken) / RANGE_ROW_LEN) : 0;
	/* The rows lie where the range will: behind its head. */
	uint8_t *rows = w->pos + 2 * RANGE_HEAD_LEN;
	struct range_end end;
	uint32_t cnt = heard_walk(answer, &heard, rows, cap, &end);

	lacking_call(answer->posts, &heard);
	if (cnt) {
		qsort(rows, cnt, RANGE_ROW_LEN, row_compare);
		range_put(answer, &(struct range){end, RANGE_ANSWER, rows, cnt * RANGE_ROW_LEN});
	} else if (end_compare(end.time_ms, end.id, &range->end) == 0) {
		range_put(answer, &(struct range){.end = end});
	}
	if (end_compare(end.time_ms, end.id, &range->end) != 0)
		rest_put(answer);
}

/* --- messages --- */

static void end_read(struct cbor_reader *r, struct range_end *end)
{
	const uint8_t *id;
	size_t len;

	*end = (struct range_end){.time_ms = cbor_read_uint(r)};
	id = cbor_read_bytes(r, &len);
	/* An id of zeros alone says what none says. */
	if (len > POST_ID_LEN || (len && id[len - 1] == 0)) {
		cbor_fail(r);
		return;
	}
	end->id_len = (uint8_t)len;
	if (len)
		memcpy(end->id, id, len);
}

static bool rows_ascend(const struct range *range)
{
	for (size_t at = RANGE_ROW_LEN; at < range->len; at += RANGE_ROW_LEN)
		if (memcmp(range->bytes + at - RANGE_ROW_LEN, range->bytes + at, RANGE_ROW_LEN) >=
		    0)
			return false;
	return true;
}

static bool bytes_are_sound(const struct range *range)
{
	switch (range->kind) {
	case RANGE_SKIP:
		return range->len == 0;
	case RANGE_PRINT:
		return range->len == RANGE_PRINT_LEN;
	default:
		return range->len % RANGE_ROW_LEN == 0 &&
		       range->len <= (size_t)HEARD_MAX * RANGE_ROW_LEN && rows_ascend(range);
	}
}

/* A range that begins where answer->from stands in the message. */
static void range_read(struct cbor_reader *r, const struct range_end *from, struct range *out)
{
	if (cbor_enter_array(r) != 4)
		cbor_fail(r);
	end_read(r, &out->end);
	out->kind = (enum range_kind)cbor_read_uint_max(r, RANGE_ANSWER);
	out->bytes = cbor_read_bytes(r, &out->len);
	if (cbor_next(r) || cbor_is_bad(r) || !bytes_are_sound(out) ||
	    end_compare(from->time_ms, from->id, &out->end) >= 0)
		cbor_fail(r);
}

static void range_answer(struct range_answer *answer, const struct range *range)
{
	switch (range->kind) {
	case RANGE_SKIP:
		range_put(answer, &(struct range){.end = range->end});
		break;
	case RANGE_PRINT:
		print_answer(answer, range);
		break;
	default:
		heard_answer(answer, range);
	}
}

void social_ranges_open(const struct range_posts *posts, struct writer *out)
{
	struct range_answer answer = {.posts = posts, .out = out};
	size_t start = writer_len(out);

	message_begin(&answer);
	rest_put(&answer);
	message_end(&answer, start);
}

int social_ranges_answer(const struct range_posts *posts, const void *bytes, size_t len,
			 struct writer *out)
{
	struct range_answer answer = {.posts = posts, .out = out};
	size_t start = writer_len(out);
	struct range range = {.kind = RANGE_SKIP};
	struct range_end from = {0};
	struct cbor_reader r;

	if (len > RANGE_MESSAGE_MAX)
		return WEFT_EMALFORMED;
	message_begin(&answer);
	cbor_reader_init(&r, bytes, len);
	(void)cbor_enter_array(&r);
	while (cbor_next(&r)) {
		range_read(&r, &from, &range);
		if (cbor_is_bad(&r))
			break;
		from = range.end;
		if (!answer.is_full)
			range_answer(&answer, &range);
	}
	if (cbor_reader_finish(&r) < 0)
		return WEFT_EMALFORMED;
	message_end(&answer, start);
	return answer.range_cnt > 0;
}
