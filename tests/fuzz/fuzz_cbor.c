/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void item_copy(struct cbor_reader *r, struct writer *w);

static void bytes_copy(struct cbor_reader *r, struct writer *w)
{
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	cbor_write_bytes(w, bytes, len);
}

static void text_copy(struct cbor_reader *r, struct writer *w)
{
	size_t len;
	const char *text = cbor_read_text(r, &len);

	cbor_write_text(w, text, len);
}

static void array_copy(struct cbor_reader *r, struct writer *w)
{
	cbor_write_array(w, cbor_enter_array(r));
	while (cbor_next(r))
		item_copy(r, w);
}

/* Keys of a map may be of both kinds; here the first decides, as in our formats. */
static void map_copy(struct cbor_reader *r, struct writer *w)
{
	bool is_text;
	const char *text;
	uint64_t number;
	size_t len;

	cbor_write_map(w, cbor_enter_map(r));
	is_text = cbor_peek(r) == CBOR_TEXT;
	while (is_text ? cbor_next_text_key(r, &text, &len) : cbor_next_key(r, &number)) {
		if (is_text)
			cbor_write_text(w, text, len);
		else
			cbor_write_uint(w, number);
		item_copy(r, w);
	}
}

static void item_copy(struct cbor_reader *r, struct writer *w)
{
	switch (cbor_peek(r)) {
	case CBOR_UINT:
		cbor_write_uint(w, cbor_read_uint(r));
		break;
	case CBOR_NEGATIVE:
		cbor_write_int(w, cbor_read_int(r));
		break;
	case CBOR_BYTES:
		bytes_copy(r, w);
		break;
	case CBOR_TEXT:
		text_copy(r, w);
		break;
	case CBOR_ARRAY:
		array_copy(r, w);
		break;
	case CBOR_MAP:
		map_copy(r, w);
		break;
	case CBOR_FALSE:
	case CBOR_TRUE:
		cbor_write_bool(w, cbor_read_bool(r));
		break;
	case CBOR_NULL:
		cbor_read_null(r);
		writer_u8(w, 0xf6);
		break;
	case CBOR_END:
		cbor_fail(r);
	}
}

/* One value has one encoding: what is read whole is written as the same bytes, and can be skipped. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *again = malloc(len + 1);
	struct cbor_reader reading, skipping;
	struct writer w;

	if (!again)
		abort();
	w = writer_of(again, len);
	cbor_reader_init(&reading, data, len);
	item_copy(&reading, &w);
	cbor_reader_init(&skipping, data, len);
	cbor_skip(&skipping);
	if (cbor_reader_finish(&reading) == 0 &&
	    (w.bad || writer_len(&w) != len || memcmp(again, data, len) != 0 ||
	     cbor_reader_finish(&skipping) < 0))
		abort();
	free(again);
	return 0;
}
