/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers are levels on a small stack; every value goes through
 * value_begin, which insists that a dictionary's key was read before it.
 */
#include "codec/bencode.h"

#include <string.h>

#define DIGITS_MAX 20 /* of a 64-bit number */

void bencode_reader_init(struct bencode_reader *r, const void *data, size_t len)
{
	memset(r, 0, sizeof(*r));
	r->c = cursor_of(data, len);
}

int bencode_reader_finish(struct bencode_reader *r)
{
	if (r->depth || r->c.pos != r->c.end)
		r->c.bad = true;
	return r->c.bad ? WEFT_EMALFORMED : 0;
}

bool bencode_is_bad(const struct bencode_reader *r)
{
	return r->c.bad;
}

static struct bencode_level *innermost(struct bencode_reader *r)
{
	return r->depth ? &r->levels[r->depth - 1] : NULL;
}

enum bencode_type bencode_peek(const struct bencode_reader *r)
{
	if (r->c.bad || r->c.pos == r->c.end)
		return BENCODE_END;
	switch (*r->c.pos) {
	case 'i':
		return BENCODE_INT;
	case 'l':
		return BENCODE_LIST;
	case 'd':
		return BENCODE_DICT;
	case '0' ... '9':
		return BENCODE_BYTES;
	default:
		return BENCODE_END; /* an end, or what is refused when it is read */
	}
}

/* A value may stand here: in a dictionary its key was read. */
static void value_begin(struct bencode_reader *r)
{
	struct bencode_level *level = innermost(r);

	if (!level)
		return;
	if (level->is_dict && !level->wants_value)
		r->c.bad = true;
	level->wants_value = false;
}

static void byte_expect(struct bencode_reader *r, uint8_t want)
{
	if (cursor_u8(&r->c) != want)
		r->c.bad = true;
}

/* Digits up to end, which is stepped over: no leading zero, and at most max. */
static uint64_t digits_read(struct cursor *c, uint8_t end, uint64_t max)
{
	const uint8_t *start = c->pos;
	uint64_t value = 0;
	uint8_t byte;

	while ((byte = cursor_u8(c)) != end && !c->bad) {
		unsigned digit = (unsigned)byte - '0';

		if (digit > 9 || value > max / 10 || digit > max - value * 10) {
			c->bad = true;
			return 0;
		}
		value = value * 10 + digit;
	}
	if (c->pos - start < 2 || (*start == '0' && c->pos - start > 2))
		c->bad = true;
	return c->bad ? 0 : value;
}

int64_t bencode_read_int(struct bencode_reader *r)
{
	bool is_negative;
	uint64_t value;

	value_begin(r);
	byte_expect(r, 'i');
	is_negative = cursor_left(&r->c) && *r->c.pos == '-';
	if (is_negative)
		(void)cursor_u8(&r->c);
	value = digits_read(&r->c, 'e', (uint64_t)INT64_MAX + is_negative);
	if (is_negative && value == 0)
		r->c.bad = true;
	return is_negative ? (int64_t)(0 - value) : (int64_t)value;
}

static struct bencode_span string_read(struct bencode_reader *r)
{
	size_t len = (size_t)digits_read(&r->c, ':', SIZE_MAX);
	const uint8_t *data = cursor_bytes(&r->c, len);

	return r->c.bad ? (struct bencode_span){NULL, 0} : (struct bencode_span){data, len};
}

struct bencode_span bencode_read_bytes(struct bencode_reader *r)
{
	value_begin(r);
	return string_read(r);
}

static void container_enter(struct bencode_reader *r, bool is_dict)
{
	value_begin(r);
	byte_expect(r, is_dict ? 'd' : 'l');
	if (r->depth == BENCODE_DEPTH_MAX)
		r->c.bad = true;
	if (!r->c.bad)
		r->levels[r->depth++] = (struct bencode_level){.is_dict = is_dict};
}

void bencode_enter_list(struct bencode_reader *r)
{
	container_enter(r, false);
}

void bencode_enter_dict(struct bencode_reader *r)
{
	container_enter(r, true);
}

/* False at the container's end, which is stepped over. */
static bool container_next(struct bencode_reader *r, bool is_dict)
{
	struct bencode_level *level = innermost(r);

	if (!level || level->is_dict != is_dict || level->wants_value || !cursor_left(&r->c))
		r->c.bad = true;
	if (r->c.bad)
		return false;
	if (*r->c.pos != 'e')
		return true;
	(void)cursor_u8(&r->c);
	r->depth--;
	return false;
}

bool bencode_next(struct bencode_reader *r)
{
	return container_next(r, false);
}

static bool is_ascending(const struct bencode_span *a, const struct bencode_span *b)
{
	int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);

	return order < 0 || (order == 0 && a->len < b->len);
}

bool bencode_next_key(struct bencode_reader *r, struct bencode_span *out_key)
{
	struct bencode_span key;
	struct bencode_level *level;

	if (!container_next(r, true))
		return false;
	level = innermost(r);
	key = string_read(r);
	if (r->c.bad)
		return false;
	if (level->key.data && !is_ascending(&level->key, &key)) {
		r->c.bad = true;
		return false;
	}
	level->key = key;
	level->wants_value = true;
	*out_key = key;
	return true;
}

void bencode_skip(struct bencode_reader *r)
{
	unsigned base = r->depth;
	struct bencode_span key;

	do {
		/* Step over the ends of containers and over a dictionary's next key. */
		if (r->depth > base) {
			bool is_dict = innermost(r)->is_dict;

			if (is_dict ? !bencode_next_key(r, &key) : !bencode_next(r))
				continue;
		}
		switch (bencode_peek(r)) {
		case BENCODE_INT:
			(void)bencode_read_int(r);
			break;
		case BENCODE_LIST:
			bencode_enter_list(r);
			break;
		case BENCODE_DICT:
			bencode_enter_dict(r);
			break;
		default:
			(void)bencode_read_bytes(r);
		}
	} while (!r->c.bad && r->depth > base);
}

struct bencode_span bencode_read_raw(struct bencode_reader *r)
{
	const uint8_t *start = r->c.pos;

	bencode_skip(r);
	if (r->c.bad)
		return (struct bencode_span){NULL, 0};
	return (struct bencode_span){start, (size_t)(r->c.pos - start)};
}

bool bencode_is(const struct bencode_span *span, const char *text)
{
	return span->data && span->len == strlen(text) && memcmp(span->data, text, span->len) == 0;
}

int bencode_check(const void *data, size_t len)
{
	struct bencode_reader r;

	bencode_reader_init(&r, data, len);
	bencode_skip(&r);
	return bencode_reader_finish(&r);
}

static void digits_write(struct writer *w, uint64_t value)
{
	uint8_t digits[DIGITS_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (uint8_t)('0' + value % 10);
		value /= 10;
	} while (value);
	writer_bytes(w, digits + at, sizeof(digits) - at);
}

void bencode_write_int(struct writer *w, int64_t value)
{
	writer_u8(w, 'i');
	if (value < 0)
		writer_u8(w, '-');
	digits_write(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
	writer_u8(w, 'e');
}

void bencode_write_head(struct writer *w, size_t len)
{
	digits_write(w, len);
	writer_u8(w, ':');
}

void bencode_write_bytes(struct writer *w, const void *data, size_t len)
{
	bencode_write_head(w, len);
	writer_bytes(w, data, len);
}

void bencode_write_text(struct writer *w, const char *text)
{
	bencode_write_bytes(w, text, strlen(text));
}

void bencode_open_list(struct writer *w)
{
	writer_u8(w, 'l');
}

void bencode_open_dict(struct writer *w)
{
	writer_u8(w, 'd');
}

void bencode_close(struct writer *w)
{
	writer_u8(w, 'e');
}
