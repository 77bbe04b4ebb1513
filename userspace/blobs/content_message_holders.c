/* SPDX-License-Identifier: Apache-2.0 */
/* PROVIDERS, to and from bytes. */
#include "content_message_holders.h"

#include "codec/cbor.h"
#include "content_message.h"

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
	struct cbor_reader r;
	uint64_t key;
	int err;

	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case 0:
			request.is_blind = blobs_message_id_read(&r, request.id, request.veiled);
			break;
		case 1:
			request.addr_cnt = peer_addrs_read(&r, request.addrs);
			request.is_serving = true;
			break;
		default:
			cbor_skip(&r);
		}
	}
	err = cbor_reader_finish_with(&r, CBOR_KEY(0));
	if (err)
		return err;
	*out_request = request;
	return 0;
}

void blobs_message_holders_write(struct writer *w, const struct message_holder *providers,
				 unsigned cnt)
{
	cbor_write_map(w, 1);
	cbor_write_uint(w, 0);
	cbor_write_array(w, cnt);
	for (unsigned i = 0; i < cnt; i++) {
		cbor_write_array(w, 2);
		cbor_write_bytes(w, providers[i].key, sizeof(providers[i].key));
		peer_addrs_write(w, providers[i].addrs, providers[i].addr_cnt);
	}
}

static void provider_read(struct cbor_reader *r, struct message_holder *provider)
{
	if (cbor_enter_array(r) != 2)
		cbor_fail(r);
	cbor_read_fixed(r, provider->key, sizeof(provider->key));
	provider->addr_cnt = peer_addrs_read(r, provider->addrs);
	if (cbor_next(r))
		cbor_fail(r);
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
			provider_read(&r, &out_holders[cnt++]);
	}
	err = cbor_reader_finish_with(&r, CBOR_KEY(0));
	return err < 0 ? err : cnt;
}
