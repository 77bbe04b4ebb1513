/* SPDX-License-Identifier: Apache-2.0 */
#include "list_message.h"

#include "codec/cbor.h"

enum { KEY_SHARE = 0, KEY_CURSOR = 1 };
enum { KEY_HEADS = 0 };

size_t shares_list_request_write(const struct list_request *request,
				 uint8_t out[static LIST_REQUEST_CAP])
{
	struct writer w = writer_of(out, LIST_REQUEST_CAP);

	cbor_write_map(&w, request->has_share || request->has_cursor);
	if (request->has_share) {
		cbor_field_bytes(&w, KEY_SHARE, request->share_id, sizeof(request->share_id));
	} else if (request->has_cursor) {
		cbor_field_bytes(&w, KEY_CURSOR, request->cursor, sizeof(request->cursor));
	}
	return writer_len(&w);
}

int shares_list_request_parse(const void *payload, size_t len, struct list_request *out_request)
{
	struct list_request request = {0};
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key == KEY_SHARE) {
			request.has_share = true;
			cbor_read_fixed(&r, request.share_id, sizeof(request.share_id));
		} else if (key == KEY_CURSOR) {
			request.has_cursor = true;
			cbor_read_fixed(&r, request.cursor, sizeof(request.cursor));
		} else {
			cbor_fail(&r);
		}
	}
	if (cbor_reader_finish(&r) < 0 || (request.has_share && request.has_cursor))
		return WEFT_EMALFORMED;
	*out_request = request;
	return 0;
}

void shares_list_answer_write(struct writer *w, const struct list_answer *answer)
{
	cbor_write_map(w, 1 + answer->has_cursor);
	cbor_write_uint(w, KEY_HEADS);
	cbor_write_array(w, answer->head_cnt);
	for (unsigned i = 0; i < answer->head_cnt; i++)
		cbor_write_bytes(w, answer->heads[i].bytes, answer->heads[i].len);
	if (answer->has_cursor)
		cbor_field_bytes(w, KEY_CURSOR, answer->cursor, sizeof(answer->cursor));
}

static void heads_read(struct cbor_reader *r, struct list_answer *answer)
{
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

int shares_list_answer_parse(const void *payload, size_t len, struct list_answer *out_answer)
{
	struct cbor_reader r;
	uint64_t key;

	out_answer->head_cnt = 0;
	out_answer->has_cursor = false;
	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key == KEY_HEADS) {
			heads_read(&r, out_answer);
		} else if (key == KEY_CURSOR) {
			out_answer->has_cursor = true;
			cbor_read_fixed(&r, out_answer->cursor, sizeof(out_answer->cursor));
		} else {
			cbor_fail(&r);
		}
	}
	return cbor_reader_finish_with(&r, CBOR_KEY(KEY_HEADS));
}
