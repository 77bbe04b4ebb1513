/* SPDX-License-Identifier: Apache-2.0 */
/* HOLDERS, to and from bytes. */
#include "content_message_holders.h"

#include "codec/cbor_fields.h"
#include "content_message.h"

static void id_read(struct cbor_reader *r, void *member)
{
	struct message_holders_request *request = member;

	request->is_blind = blobs_message_id_read(r, request->id, request->veiled);
}

static const struct cbor_field request_fields[] = {
	{0, CBOR_FIELD_CODED, CBOR_NEEDED, .read = id_read},
	{1, CBOR_FIELD_ADDRS, CBOR_AT(struct message_holders_request, addrs),
	 CBOR_LEN(struct message_holders_request, addr_cnt),
	 CBOR_HAS(struct message_holders_request, is_serving)},
};
static const struct cbor_table request_table = {CBOR_FIELDS(request_fields)};

void blobs_message_holders_request_write(struct writer *w,
					 const struct message_holders_request *request)
{
	cbor_write_map(w, 1u + request->is_serving);
	blobs_message_id_write(w, 0, request->id, request->is_blind ? request->veiled : NULL);
	if (request->is_serving) {
		cbor_write_uint(w, 1);
		peer_addrs_write(w, request->addrs, request->addr_cnt);
	}
}

int blobs_message_holders_request_parse(const void *payload, size_t len,
					struct message_holders_request *out_request)
{
	struct message_holders_request request = {.is_serving = false};
	int err = cbor_fields_parse(payload, len, &request_table, &request);

	if (err == 0)
		*out_request = request;
	return err;
}

/* A row: [key, [PeerAddr]]. */
static const struct cbor_field holder_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct message_holder, key)},
	{1, CBOR_FIELD_ADDRS, CBOR_NEEDED, CBOR_AT(struct message_holder, addrs),
	 CBOR_LEN(struct message_holder, addr_cnt)},
};
static const struct cbor_table holder_table = {CBOR_FIELDS(holder_fields)};

void blobs_message_holders_write(struct writer *w, const struct message_holder *holders,
				 unsigned cnt)
{
	cbor_write_map(w, 1);
	cbor_write_uint(w, 0);
	cbor_write_array(w, cnt);
	for (unsigned i = 0; i < cnt; i++)
		cbor_row_write(w, &holder_table, &holders[i]);
}

int blobs_message_holders_parse(const void *payload, size_t len,
				struct message_holder out_holders[static HOLDERS_MAX])
{
	struct cbor_reader r;
	uint64_t key;
	int cnt = 0, err;

	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key != 0) {
			cbor_skip(&r);
			continue;
		}
		if (cbor_enter_array(&r) > HOLDERS_MAX)
			cbor_fail(&r);
		while (cbor_next(&r))
			cbor_row_read(&r, &holder_table, &out_holders[cnt++]);
	}
	err = cbor_reader_finish_with(&r, CBOR_KEY(0));
	return err < 0 ? err : cnt;
}
