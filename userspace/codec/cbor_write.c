/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cbor.h"

static void head_write(struct writer *w, uint8_t major, uint64_t value)
{
	uint8_t first = (uint8_t)(major << 5);

	unsigned size = value <= UINT8_MAX    ? 0
			: value <= UINT16_MAX ? 1
			: value <= UINT32_MAX ? 2
					      : 3;
	size_t len = value < 24 ? 0 : 1u << size;
	uint8_t *at = writer_reserve(w, 1 + len);

	if (!at)
		return;
	at[0] = (uint8_t)(first | (len ? 24 + size : value));
	for (; len > 0; len--, value >>= 8)
		at[len] = (uint8_t)value;
}

void cbor_write_uint(struct writer *w, uint64_t value)
{
	head_write(w, 0, value);
}

void cbor_write_int(struct writer *w, int64_t value)
{
	if (value < 0)
		head_write(w, 1, (uint64_t)(-1 - value));
	else
		head_write(w, 0, (uint64_t)value);
}

void cbor_write_bool(struct writer *w, bool value)
{
	writer_u8(w, value ? 0xf5 : 0xf4);
}

void cbor_write_bytes_head(struct writer *w, uint64_t len)
{
	head_write(w, 2, len);
}

void cbor_write_bytes(struct writer *w, const void *data, size_t len)
{
	head_write(w, 2, len);
	writer_bytes(w, data, len);
}

void cbor_write_text(struct writer *w, const char *text, size_t len)
{
	head_write(w, 3, len);
	writer_bytes(w, text, len);
}

void cbor_write_array(struct writer *w, uint64_t item_cnt)
{
	head_write(w, 4, item_cnt);
}

void cbor_write_map(struct writer *w, uint64_t pair_cnt)
{
	head_write(w, 5, pair_cnt);
}

void cbor_field_uint(struct writer *w, uint64_t key, uint64_t value)
{
	cbor_write_uint(w, key);
	cbor_write_uint(w, value);
}

void cbor_field_bool(struct writer *w, uint64_t key, bool value)
{
	cbor_write_uint(w, key);
	cbor_write_bool(w, value);
}

void cbor_field_bytes(struct writer *w, uint64_t key, const void *data, size_t len)
{
	cbor_write_uint(w, key);
	cbor_write_bytes(w, data, len);
}

void cbor_field_text(struct writer *w, uint64_t key, const char *text, size_t len)
{
	cbor_write_uint(w, key);
	cbor_write_text(w, text, len);
}
