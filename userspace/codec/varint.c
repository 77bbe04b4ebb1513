/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/varint.h"

uint64_t varint_read(struct cursor *c)
{
	uint8_t first = cursor_u8(c);
	uint64_t value = first & 0x3f;

	for (unsigned left = (1u << (first >> 6)) - 1; left; left--)
		value = value << 8 | cursor_u8(c);
	return c->bad ? 0 : value;
}

void varint_write(struct writer *w, uint64_t value)
{
	if (value < 1u << 6)
		writer_u8(w, (uint8_t)value);
	else if (value < 1u << 14)
		writer_be16(w, (uint16_t)(value | 1u << 14));
	else if (value < 1u << 30)
		writer_be32(w, (uint32_t)(value | 2u << 30));
	else if (value <= VARINT_MAX)
		writer_be64(w, value | 3ull << 62);
	else
		w->bad = true;
}
