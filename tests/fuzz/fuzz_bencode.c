/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "codec/bencode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void value_copy(struct bencode_reader *r, struct writer *w)
{
	struct bencode_span span;

	switch (bencode_peek(r)) {
	case BENCODE_INT:
		bencode_write_int(w, bencode_read_int(r));
		break;
	case BENCODE_LIST:
		bencode_open_list(w);
		bencode_enter_list(r);
		while (bencode_next(r))
			value_copy(r, w);
		bencode_close(w);
		break;
	case BENCODE_DICT:
		bencode_open_dict(w);
		bencode_enter_dict(r);
		while (bencode_next_key(r, &span)) {
			bencode_write_bytes(w, span.data, span.len);
			value_copy(r, w);
		}
		bencode_close(w);
		break;
	default:
		span = bencode_read_bytes(r);
		bencode_write_bytes(w, span.data, span.len);
	}
}

/* One value has one encoding: what is read whole is written as the same bytes, and can be skipped. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *again = malloc(len + 1);
	struct bencode_reader r;
	struct writer w;
	bool is_read;

	if (!again)
		abort();
	w = writer_of(again, len);
	bencode_reader_init(&r, data, len);
	value_copy(&r, &w);
	is_read = bencode_reader_finish(&r) == 0;
	if (is_read && (w.bad || writer_len(&w) != len || memcmp(again, data, len) != 0))
		abort();
	if (is_read != (bencode_check(data, len) == 0))
		abort();
	free(again);
	return 0;
}
