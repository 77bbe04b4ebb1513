/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/stock_message.h"

#include <string.h>

#include "codec/cbor_fields.h"

/* Either map, as bytes. */
struct stock_map {
	const uint8_t *bytes;
	size_t len;
	unsigned looked_cnt;
};

static const struct cbor_field kept_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct stock_map, bytes),
	 CBOR_LEN(struct stock_map, len), .min = STOCK_ENTRY_LEN,
	 .max = STOCK_MAX * STOCK_ENTRY_LEN},
};
static const struct cbor_table kept_table = {CBOR_FIELDS(kept_fields), .is_closed = true};

static const struct cbor_field lacked_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct stock_map, bytes),
	 CBOR_LEN(struct stock_map, len), .max = STOCK_LACKS_MAX * STOCK_REF_LEN},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct stock_map, looked_cnt), .max = STOCK_MAX},
};
static const struct cbor_table lacked_table = {CBOR_FIELDS(lacked_fields), .is_closed = true};

void offers_stock_write(struct writer *w, const struct stock_entry *entries, unsigned cnt)
{
	uint8_t bytes[STOCK_MAX * STOCK_ENTRY_LEN];
	struct writer b = writer_of(bytes, sizeof(bytes));
	struct stock_map map = {.bytes = bytes};

	for (unsigned i = 0; i < cnt; i++) {
		writer_bytes(&b, entries[i].ref, STOCK_REF_LEN);
		writer_be64(&b, entries[i].sequence);
		writer_u8(&b, entries[i].hop_cnt);
	}
	map.len = writer_len(&b);
	w->bad |= b.bad;
	cbor_fields_write(w, &kept_table, &map);
}

int offers_stock_parse(const void *data, size_t len, struct stock_entry entries[static STOCK_MAX])
{
	struct stock_map map = {.bytes = NULL};
	struct cursor c;
	unsigned cnt = 0;

	if (cbor_fields_parse(data, len, &kept_table, &map) < 0 || map.len % STOCK_ENTRY_LEN != 0)
		return WEFT_EMALFORMED;
	for (c = cursor_of(map.bytes, map.len); cursor_left(&c) > 0; cnt++) {
		entries[cnt].service = 0;
		cursor_copy(&c, entries[cnt].ref, STOCK_REF_LEN);
		entries[cnt].sequence = cursor_be64(&c);
		entries[cnt].hop_cnt = cursor_u8(&c);
	}
	return (int)cnt;
}

void offers_lacks_write(struct writer *w, const struct stock_lacks *lacked)
{
	const struct stock_map map = {.bytes = lacked->refs[0],
				      .len = lacked->cnt * STOCK_REF_LEN,
				      .looked_cnt = lacked->looked_cnt};

	cbor_fields_write(w, &lacked_table, &map);
}

int offers_lacks_parse(const void *data, size_t len, struct stock_lacks *out_lacked)
{
	struct stock_map map = {.bytes = NULL};

	if (cbor_fields_parse(data, len, &lacked_table, &map) < 0 || map.len % STOCK_REF_LEN != 0 ||
	    map.len / STOCK_REF_LEN > map.looked_cnt)
		return WEFT_EMALFORMED;
	out_lacked->cnt = (unsigned)(map.len / STOCK_REF_LEN);
	out_lacked->looked_cnt = map.looked_cnt;
	if (map.len)
		memcpy(out_lacked->refs, map.bytes, map.len);
	return 0;
}
