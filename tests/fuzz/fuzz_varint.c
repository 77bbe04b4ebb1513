/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "codec/varint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read is written in at most as many bytes and read again as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor c = cursor_of(data, len);

	while (cursor_left(&c)) {
		const uint8_t *start = c.pos;
		uint64_t value = varint_read(&c);
		uint8_t again[8];
		struct writer w;
		struct cursor back;

		if (c.bad)
			break;
		w = writer_of(again, (size_t)(c.pos - start));
		varint_write(&w, value);
		back = cursor_of(again, writer_len(&w));
		if (w.bad || varint_read(&back) != value || back.pos != back.end)
			abort();
	}
	return 0;
}
