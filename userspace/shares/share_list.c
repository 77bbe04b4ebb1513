/* SPDX-License-Identifier: Apache-2.0 */
#include "share_list.h"

#include "codec/cbor_fields.h"

static const struct cbor_field request_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_HAS(struct list_request, has_share),
	 CBOR_AT(struct list_request, share_id)},
	{1, CBOR_FIELD_FIXED, CBOR_HAS(struct list_request, has_cursor),
	 CBOR_AT(struct list_request, cursor)},
};
static const struct cbor_table request_table = {CBOR_FIELDS(request_fields), .is_closed = true};

size_t shares_list_request_write(const struct list_request *request,
				 uint8_t out[static LIST_REQUEST_CAP])
{
	struct writer w = writer_of(out, LIST_REQUEST_CAP);
	struct list_request one = *request;

	one.has_cursor = request->has_cursor && !request->has_share;
	cbor_fields_write(&w, &request_table, &one);
	return writer_len(&w);
}

int shares_list_request_parse(const void *payload, size_t len, struct list_request *out_request)
{
	struct list_request request = {0};

	if (cbor_fields_parse(payload, len, &request_table, &request) < 0 ||
	    (request.has_share && request.has_cursor))
		return WEFT_EMALFORMED;
	*out_request = request;
	return 0;
}

static void heads_write(struct writer *w, const void *of)
{
	const struct list_answer *answer = of;

	cbor_write_array(w, answer->head_cnt);
	for (unsigned i = 0; i < answer->head_cnt; i++)
		cbor_write_bytes(w, answer->heads[i].bytes, answer->heads[i].len);
}

static void heads_read(struct cbor_reader *r, void *of)
{
	struct list_answer *answer = of;

	if (cbor_enter_array(r) > LIST_HEADS_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		size_t len;
		const uint8_t *bytes = cbor_read_bytes(r, &len);

		if (len == 0 || len > HEAD_LEN_MAX)
			cbor_fail(r);
		answer->heads[answer->head_cnt].bytes = bytes;
		answer->heads[answer->head_cnt++].len = len;
	}
}

static const struct cbor_field answer_fields[] = {
	{0, CBOR_FIELD_CODED, CBOR_NEEDED, .read = heads_read, .write = heads_write},
	{1, CBOR_FIELD_FIXED, CBOR_HAS(struct list_answer, has_cursor),
	 CBOR_AT(struct list_answer, cursor)},
};
static const struct cbor_table answer_table = {CBOR_FIELDS(answer_fields), .is_closed = true};

void shares_list_answer_write(struct writer *w, const struct list_answer *answer)
{
	cbor_fields_write(w, &answer_table, answer);
}

int shares_list_answer_parse(const void *payload, size_t len, struct list_answer *out_answer)
{
	out_answer->head_cnt = 0;
	out_answer->has_cursor = false;
	return cbor_fields_parse(payload, len, &answer_table, out_answer);
}
