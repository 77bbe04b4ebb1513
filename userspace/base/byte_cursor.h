/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_BYTE_CURSOR_H
#define WEFT_BASE_BYTE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The one way to read bytes that a peer wrote. A read past the end sets bad, gives zeros and
 * moves nothing; bad never clears, so a parser checks once at its end.
 *
 * Callers may read pos, end and bad.
 */
struct cursor {
	const uint8_t *pos;
	const uint8_t *end;
	bool bad;
};

/* cursor_of: over len bytes at data, which may be NULL when there are none. */
static inline struct cursor cursor_of(const void *data, size_t len)
{
	struct cursor c = {data, len ? (const uint8_t *)data + len : data, false};

	return c;
}

static inline size_t cursor_left(const struct cursor *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->pos);
}

/*
 * cursor_bytes gives len bytes in place and steps over them, or NULL
 * with bad set. The pointer lives as long as the bytes under the cursor.
 */
static inline const uint8_t *cursor_bytes(struct cursor *c, size_t len)
{
	const uint8_t *at = c->pos;

	if (len > cursor_left(c)) {
		c->bad = true;
		return NULL;
	}
	c->pos += len;
	return at;
}

/* cursor_sub gives the next len bytes as a cursor of their own. */
static inline struct cursor cursor_sub(struct cursor *c, size_t len)
{
	const uint8_t *at = cursor_bytes(c, len);
	struct cursor sub = {at, at ? at + len : NULL, at == NULL};

	return sub;
}

static inline void cursor_copy(struct cursor *c, void *dst, size_t len)
{
	const uint8_t *at = cursor_bytes(c, len);

	if (at)
		memcpy(dst, at, len);
	else
		memset(dst, 0, len);
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 1);

	return at ? at[0] : 0;
}

static inline uint16_t cursor_be16(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 2);

	return at ? (uint16_t)((uint32_t)at[0] << 8 | at[1]) : 0;
}

static inline uint32_t cursor_be32(struct cursor *c)
{
	uint32_t hi = cursor_be16(c);

	return hi << 16 | cursor_be16(c);
}

static inline uint64_t cursor_be64(struct cursor *c)
{
	uint64_t hi = cursor_be32(c);

	return hi << 32 | cursor_be32(c);
}

/*
 * The writing counterpart: a write past the end sets bad and writes nothing.
 * writer_len is what was written so far.
 */
struct writer {
	uint8_t *start;
	uint8_t *pos;
	uint8_t *end;
	bool bad;
};

static inline struct writer writer_of(void *data, size_t cap)
{
	struct writer w = {data, data, (uint8_t *)data + cap, false};

	return w;
}

static inline size_t writer_len(const struct writer *w)
{
	return (size_t)(w->pos - w->start);
}

/* writer_reserve steps over len bytes for the caller to fill, or NULL. */
static inline uint8_t *writer_reserve(struct writer *w, size_t len)
{
	uint8_t *at = w->pos;

	if (w->bad || len > (size_t)(w->end - w->pos)) {
		w->bad = true;
		return NULL;
	}
	w->pos += len;
	return at;
}

static inline void writer_bytes(struct writer *w, const void *src, size_t len)
{
	uint8_t *at = writer_reserve(w, len);

	if (at && len)
		memcpy(at, src, len);
}

static inline void writer_u8(struct writer *w, uint8_t value)
{
	writer_bytes(w, &value, 1);
}

static inline void writer_be16(struct writer *w, uint16_t value)
{
	uint8_t be[2] = {(uint8_t)(value >> 8), (uint8_t)value};

	writer_bytes(w, be, sizeof(be));
}

static inline void writer_be32(struct writer *w, uint32_t value)
{
	uint8_t *at = writer_reserve(w, 4);

	if (!at)
		return;
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static inline void writer_be64(struct writer *w, uint64_t value)
{
	uint8_t *at = writer_reserve(w, 8);

	if (!at)
		return;
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (56 - 8 * i));
}

#endif
