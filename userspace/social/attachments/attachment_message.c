/* SPDX-License-Identifier: Apache-2.0 */
#include "social/attachments/attachment_message.h"

#include "codec/cbor_fields.h"
#include "social/attachments/attachment_pieces.h"

static const struct cbor_field get_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct attachment_get, post)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct attachment_get, attachment),
	 .max = POST_ATTACHMENTS_MAX - 1},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct attachment_get, piece),
	 .max = PIECES_CNT_MAX - 1},
	{3, CBOR_FIELD_FLAG, CBOR_OPTIONAL, CBOR_AT(struct attachment_get, is_list)},
};
static const struct cbor_table get_table = {CBOR_FIELDS(get_fields)};

struct data {
	const uint8_t *bytes;
	size_t len;
};
static const struct cbor_field data_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct data, bytes), CBOR_LEN(struct data, len),
	 .max = PIECE_LEN_MAX},
};
static const struct cbor_table data_table = {CBOR_FIELDS(data_fields)};

int social_attachment_get_parse(const void *bytes, size_t len, struct attachment_get *out_get)
{
	*out_get = (struct attachment_get){.piece = 0};
	if (cbor_fields_parse(bytes, len, &get_table, out_get) < 0 ||
	    (out_get->is_list && out_get->piece))
		return WEFT_EMALFORMED;
	return 0;
}

void social_attachment_get_write(struct writer *w, const struct attachment_get *get)
{
	cbor_fields_write(w, &get_table, get);
}

int social_attachment_data_parse(const void *bytes, size_t len, const uint8_t **out_bytes,
				 size_t *out_len)
{
	struct data data = {.bytes = NULL};

	if (cbor_fields_parse(bytes, len, &data_table, &data) < 0)
		return WEFT_EMALFORMED;
	*out_bytes = data.bytes;
	*out_len = data.len;
	return 0;
}

void social_attachment_data_head_write(struct writer *w, size_t len)
{
	cbor_write_map(w, 1);
	cbor_write_uint(w, 0);
	cbor_write_bytes_head(w, len);
}
