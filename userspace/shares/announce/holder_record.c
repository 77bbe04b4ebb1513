/* SPDX-License-Identifier: Apache-2.0 */
#include "holder_record.h"

#include <string.h>

#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"

#define TAG "provider"

enum { FIELD_ID, FIELD_KEY, FIELD_ADDRS, FIELD_TIME, FIELD_CNT };
#define FIELDS_ALL ((1u << FIELD_CNT) - 1)

void shares_holder_record_write(struct writer *w, const struct node_key *key,
				struct provider *provider)
{
	uint8_t body[HOLDER_RECORD_LEN_MAX];
	struct writer body_w = writer_of(body, sizeof(body));

	memcpy(provider->key, node_key_public(key), sizeof(provider->key));
	cbor_write_map(&body_w, FIELD_CNT);
	cbor_field_bytes(&body_w, FIELD_ID, provider->id, sizeof(provider->id));
	cbor_field_bytes(&body_w, FIELD_KEY, provider->key, sizeof(provider->key));
	cbor_write_uint(&body_w, FIELD_ADDRS);
	peer_addrs_write(&body_w, provider->addrs, provider->addr_cnt);
	cbor_field_uint(&body_w, FIELD_TIME, provider->time_s);
	w->bad |= body_w.bad;
	signed_write(w, key, TAG, body, writer_len(&body_w));
}

static void field_read(struct cbor_reader *r, uint64_t key, struct provider *provider)
{
	switch (key) {
	case FIELD_ID:
		cbor_read_fixed(r, provider->id, sizeof(provider->id));
		break;
	case FIELD_KEY:
		cbor_read_fixed(r, provider->key, sizeof(provider->key));
		break;
	case FIELD_ADDRS:
		provider->addr_cnt = peer_addrs_read(r, provider->addrs);
		break;
	case FIELD_TIME:
		provider->time_s = cbor_read_uint_max(r, INT64_MAX);
		break;
	default:
		cbor_skip(r);
	}
}

int shares_holder_record_parse(const void *bytes, size_t len, struct provider *out_provider)
{
	struct provider provider = {0};
	struct signed_object object;
	struct cbor_reader r;
	uint64_t key;
	int err;

	if (len > HOLDER_RECORD_LEN_MAX)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0)
		return err;
	cbor_reader_init(&r, object.body, object.body_len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		field_read(&r, key, &provider);
	if (cbor_reader_finish_with(&r, FIELDS_ALL) < 0 ||
	    memcmp(provider.key, object.signer, sizeof(provider.key)) != 0)
		return WEFT_EMALFORMED;
	*out_provider = provider;
	return 0;
}

int shares_holder_record_verify_signature(const void *bytes, size_t len)
{
	struct signed_object object;
	int err = signed_parse(bytes, len, &object);

	return err < 0 ? err : signed_verify(&object, TAG);
}

int shares_holder_record_check_time(uint64_t time_s, uint64_t wall_s)
{
	if (time_s > wall_s + HOLDER_RECORD_SKEW_S)
		return WEFT_EREFUSED;
	return time_s + HOLDER_RECORD_LIFE_S <= wall_s ? WEFT_ESTALE : 0;
}
