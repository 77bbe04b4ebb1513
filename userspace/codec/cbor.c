/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader. Every item goes through head_read, which insists on the
 * shortest form. Containers are levels on a small stack, and map keys are
 * compared as the bytes they were written in.
 */
#include "codec/cbor.h"

#include <stdbool.h>
#include <string.h>

#include "codec/text/utf8.h"

enum major {
	MAJOR_UINT = 0,
	MAJOR_NEGATIVE = 1,
	MAJOR_BYTES = 2,
	MAJOR_TEXT = 3,
	MAJOR_ARRAY = 4,
	MAJOR_MAP = 5,
	MAJOR_SIMPLE = 7,
};
enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22 };

struct head {
	enum major major;
	uint64_t value;
};

void cbor_reader_init(struct cbor_reader *r, const void *data, size_t len)
{
	memset(r, 0, sizeof(*r));
	r->c = cursor_of(data, len);
}

void cbor_reader_init_any_order(struct cbor_reader *r, const void *data, size_t len)
{
	cbor_reader_init(r, data, len);
	r->is_any_order = true;
}

void cbor_fail(struct cbor_reader *r)
{
	r->c.bad = true;
}

bool cbor_is_bad(const struct cbor_reader *r)
{
	return r->c.bad;
}

int cbor_reader_finish(struct cbor_reader *r)
{
	if (r->depth || r->c.pos != r->c.end)
		r->c.bad = true;
	return r->c.bad ? WEFT_EMALFORMED : 0;
}

int cbor_reader_finish_with(struct cbor_reader *r, uint64_t needed)
{
	if ((r->seen & needed) != needed)
		r->c.bad = true;
	return cbor_reader_finish(r);
}

bool cbor_has_key(const struct cbor_reader *r, unsigned key)
{
	return (r->seen & CBOR_KEY(key)) != 0;
}

/* True when the innermost container has no further item. */
static bool level_is_done(const struct cbor_reader *r)
{
	const struct cbor_level *level;

	if (!r->depth)
		return false;
	level = &r->levels[r->depth - 1];
	return level->left == 0 && !level->wants_value;
}

enum cbor_type cbor_peek(const struct cbor_reader *r)
{
	static const enum cbor_type types[] = {CBOR_UINT, CBOR_NEGATIVE, CBOR_BYTES,
					       CBOR_TEXT, CBOR_ARRAY,	 CBOR_MAP};
	uint8_t first;

	if (r->c.bad || r->c.pos == r->c.end || level_is_done(r))
		return CBOR_END;
	first = *r->c.pos;
	if (first >> 5 <= MAJOR_MAP)
		return types[first >> 5];
	switch (first) {
	case MAJOR_SIMPLE << 5 | SIMPLE_FALSE:
		return CBOR_FALSE;
	case MAJOR_SIMPLE << 5 | SIMPLE_TRUE:
		return CBOR_TRUE;
	case MAJOR_SIMPLE << 5 | SIMPLE_NULL:
		return CBOR_NULL;
	default:
		return CBOR_END; /* a tag, a float, an indefinite end: refused when read */
	}
}

/* Shortest form only (RFC 8949 4.2.1); additional information 28..31 is refused. */
static struct head head_read(struct cbor_reader *r)
{
	uint8_t first = cursor_u8(&r->c);
	struct head head = {first >> 5, first & 31};
	uint64_t min = 0;

	switch (first & 31) {
	case 24:
		head.value = cursor_u8(&r->c);
		min = 24;
		break;
	case 25:
		head.value = cursor_be16(&r->c);
		min = 1ull << 8;
		break;
	case 26:
		head.value = cursor_be32(&r->c);
		min = 1ull << 16;
		break;
	case 27:
		head.value = cursor_be64(&r->c);
		min = 1ull << 32;
		break;
	default:
		if ((first & 31) > 27)
			cbor_fail(r);
	}
	if (head.value < min)
		cbor_fail(r);
	return head;
}

/*
 * Each item consumes a place of the container it stands in. A key's place
 * was taken by the functions that read keys.
 */
static void level_take(struct cbor_reader *r)
{
	struct cbor_level *level;

	if (!r->depth)
		return;
	level = &r->levels[r->depth - 1];
	if (level->is_map) {
		if (!level->wants_value)
			cbor_fail(r);
		level->wants_value = false;
	} else if (level->left == 0) {
		cbor_fail(r);
	} else {
		level->left--;
	}
}

static uint64_t item_read(struct cbor_reader *r, enum major want)
{
	struct head head;

	level_take(r);
	head = head_read(r);
	if (head.major != want)
		cbor_fail(r);
	return r->c.bad ? 0 : head.value;
}

uint64_t cbor_read_uint(struct cbor_reader *r)
{
	return item_read(r, MAJOR_UINT);
}

uint64_t cbor_read_uint_max(struct cbor_reader *r, uint64_t max)
{
	uint64_t value = cbor_read_uint(r);

	if (value > max)
		cbor_fail(r);
	return r->c.bad ? 0 : value;
}

int64_t cbor_read_int(struct cbor_reader *r)
{
	bool is_negative = cbor_peek(r) == CBOR_NEGATIVE;
	uint64_t value = item_read(r, is_negative ? MAJOR_NEGATIVE : MAJOR_UINT);

	if (value > INT64_MAX)
		cbor_fail(r);
	if (r->c.bad)
		return 0;
	return is_negative ? -1 - (int64_t)value : (int64_t)value;
}

static uint64_t simple_read(struct cbor_reader *r)
{
	uint64_t value = item_read(r, MAJOR_SIMPLE);

	/* 24 and above would be a wider simple value or a float. */
	if (value < SIMPLE_FALSE || value > SIMPLE_NULL)
		cbor_fail(r);
	return value;
}

bool cbor_read_bool(struct cbor_reader *r)
{
	uint64_t value = simple_read(r);

	if (value == SIMPLE_NULL)
		cbor_fail(r);
	return !r->c.bad && value == SIMPLE_TRUE;
}

void cbor_read_null(struct cbor_reader *r)
{
	if (simple_read(r) != SIMPLE_NULL)
		cbor_fail(r);
}

static const uint8_t *string_read(struct cbor_reader *r, enum major major, size_t *out_len)
{
	uint64_t len = item_read(r, major);
	const uint8_t *at = NULL;

	if (len > cursor_left(&r->c))
		cbor_fail(r);
	else
		at = cursor_bytes(&r->c, (size_t)len);
	*out_len = at ? (size_t)len : 0;
	return at;
}

const uint8_t *cbor_read_bytes(struct cbor_reader *r, size_t *out_len)
{
	return string_read(r, MAJOR_BYTES, out_len);
}

const char *cbor_read_text(struct cbor_reader *r, size_t *out_len)
{
	const char *text = (const char *)string_read(r, MAJOR_TEXT, out_len);

	if (text && !utf8_is_valid(text, *out_len)) {
		cbor_fail(r);
		*out_len = 0;
		return NULL;
	}
	return text;
}

const uint8_t *cbor_read_exactly(struct cbor_reader *r, size_t len)
{
	size_t got;
	const uint8_t *at = cbor_read_bytes(r, &got);

	if (got != len)
		cbor_fail(r);
	return r->c.bad ? NULL : at;
}

void cbor_read_fixed(struct cbor_reader *r, void *dst, size_t len)
{
	const uint8_t *at = cbor_read_exactly(r, len);

	if (!at)
		memset(dst, 0, len);
	else if (len)
		memcpy(dst, at, len);
}

void cbor_read_text_copy(struct cbor_reader *r, char *dst, size_t cap)
{
	size_t len;
	const char *text = cbor_read_text(r, &len);

	dst[0] = '\0';
	if (len >= cap || (text && memchr(text, '\0', len)))
		cbor_fail(r);
	if (r->c.bad || !text)
		return;
	memcpy(dst, text, len);
	dst[len] = '\0';
}

static uint64_t container_enter(struct cbor_reader *r, enum major major)
{
	uint64_t cnt = item_read(r, major);

	/* Each item is at least one byte: a count beyond the input is a lie. */
	if (r->depth == CBOR_DEPTH_MAX || cnt > cursor_left(&r->c))
		cbor_fail(r);
	if (r->c.bad)
		return 0;
	r->levels[r->depth++] = (struct cbor_level){.left = cnt, .is_map = major == MAJOR_MAP};
	return cnt;
}

uint64_t cbor_enter_array(struct cbor_reader *r)
{
	return container_enter(r, MAJOR_ARRAY);
}

uint64_t cbor_enter_map(struct cbor_reader *r)
{
	return container_enter(r, MAJOR_MAP);
}

/* False leaves the container. */
static bool level_go_on(struct cbor_reader *r, bool is_map)
{
	if (r->c.bad || !r->depth || r->levels[r->depth - 1].is_map != is_map ||
	    r->levels[r->depth - 1].wants_value) {
		cbor_fail(r);
		return false;
	}
	if (r->levels[r->depth - 1].left)
		return true;
	r->depth--;
	return false;
}

bool cbor_next(struct cbor_reader *r)
{
	return level_go_on(r, false);
}

/* Keys ascend by their encoded bytes, which also makes them unique, unless their order is free. */
static void key_check_order(struct cbor_reader *r, const uint8_t *key)
{
	struct cbor_level *level = &r->levels[r->depth - 1];
	size_t len = (size_t)(r->c.pos - key);
	size_t common = len < level->key_len ? len : level->key_len;
	int order = 1;

	if (level->key) {
		if (*key >> 5 != *level->key >> 5) /* one kind of key per map */
			cbor_fail(r);
		order = memcmp(key, level->key, common);
		if (order == 0)
			order = len > level->key_len ? 1 : -1;
	}
	if (order <= 0 && !r->is_any_order)
		cbor_fail(r);
	level->key = key;
	level->key_len = len;
	level->left--;
	level->wants_value = true;
}

/* Keys are read outside level_take: they hold no place of their own. */
static bool key_next(struct cbor_reader *r, enum major major, uint64_t *out_value,
		     const uint8_t **out_start)
{
	struct head head;

	if (!level_go_on(r, true))
		return false;
	*out_start = r->c.pos;
	head = head_read(r);
	if (head.major != major)
		cbor_fail(r);
	*out_value = head.value;
	return !r->c.bad;
}

bool cbor_next_key(struct cbor_reader *r, uint64_t *out_key)
{
	const uint8_t *start;

	if (!key_next(r, MAJOR_UINT, out_key, &start))
		return false;
	key_check_order(r, start);
	if (r->depth == 1 && *out_key < 64)
		r->seen |= CBOR_KEY(*out_key);
	return !r->c.bad;
}

bool cbor_next_text_key(struct cbor_reader *r, const char **out_key, size_t *out_len)
{
	const uint8_t *start;
	uint64_t len;

	if (!key_next(r, MAJOR_TEXT, &len, &start))
		return false;
	if (len > cursor_left(&r->c)) {
		cbor_fail(r);
		return false;
	}
	*out_len = (size_t)len;
	*out_key = (const char *)cursor_bytes(&r->c, *out_len);
	if (!utf8_is_valid(*out_key, *out_len))
		cbor_fail(r);
	key_check_order(r, start);
	return !r->c.bad;
}

/* One key of either kind while skipping. */
static bool key_skip(struct cbor_reader *r)
{
	uint64_t number;
	const char *text;
	size_t len;

	if (r->levels[r->depth - 1].left && !r->c.bad && r->c.pos < r->c.end &&
	    *r->c.pos >> 5 == MAJOR_TEXT)
		return cbor_next_text_key(r, &text, &len);
	return cbor_next_key(r, &number);
}

static void scalar_skip(struct cbor_reader *r)
{
	size_t len;

	switch (cbor_peek(r)) {
	case CBOR_UINT:
		(void)cbor_read_uint(r);
		break;
	case CBOR_NEGATIVE:
		(void)item_read(r, MAJOR_NEGATIVE);
		break;
	case CBOR_BYTES:
		(void)cbor_read_bytes(r, &len);
		break;
	case CBOR_TEXT:
		(void)cbor_read_text(r, &len);
		break;
	case CBOR_FALSE:
	case CBOR_TRUE:
	case CBOR_NULL:
		(void)simple_read(r);
		break;
	default:
		cbor_fail(r);
	}
}

void cbor_skip(struct cbor_reader *r)
{
	unsigned base = r->depth;

	do {
		/* Step over the ends of containers and over a map's next key. */
		if (r->depth > base && !r->levels[r->depth - 1].wants_value) {
			bool is_map = r->levels[r->depth - 1].is_map;

			if (is_map ? !key_skip(r) : !cbor_next(r))
				continue;
		}
		if (cbor_peek(r) == CBOR_ARRAY)
			(void)cbor_enter_array(r);
		else if (cbor_peek(r) == CBOR_MAP)
			(void)cbor_enter_map(r);
		else
			scalar_skip(r);
	} while (!r->c.bad && r->depth > base);
}

int cbor_enter_record(struct cbor_reader *r, const void *data, size_t len, uint64_t layout)
{
	uint64_t key, found;

	cbor_reader_init(r, data, len);
	cbor_enter_map(r);
	if (!cbor_next_key(r, &key) || key != 0)
		return WEFT_EMALFORMED;
	found = cbor_read_uint(r);
	if (found > layout)
		return WEFT_ENEWER;
	return found == layout ? 0 : WEFT_EMALFORMED;
}
