/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BEP-44 items: targets, and the bytes a signature covers. Those are the
 * inside of a bencoded dictionary of salt, seq and v, without its d and e.
 */
#include "item.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "crypto/sha1.h"

_Static_assert(KAD_ID_LEN == SHA1_HASH_LEN, "a target is a SHA-1");

#define SIGNED_HEAD_CAP                                                                            \
	(sizeof("4:salt64:") + DHT_SALT_LEN_MAX + sizeof("3:seqi9223372036854775807e1:v"))
#define SIGNED_BYTES_CAP (SIGNED_HEAD_CAP + DHT_SIGNED_VALUE_LEN_MAX)

void dht_item_target_of_key(const uint8_t key[static NODE_KEY_LEN], const uint8_t *salt,
			    size_t salt_len, struct kad_id *out_target)
{
	uint8_t name[NODE_KEY_LEN + DHT_SALT_LEN_MAX];
	struct writer w = writer_of(name, sizeof(name));

	writer_bytes(&w, key, NODE_KEY_LEN);
	writer_bytes(&w, salt, salt_len);
	weft_assert(!w.bad);
	sha1(name, writer_len(&w), out_target->bytes);
}

void dht_item_target(const struct dht_item *item, struct kad_id *out_target)
{
	if (item->key)
		dht_item_target_of_key(item->key, item->salt, item->salt_len, out_target);
	else
		sha1(item->value, item->value_len, out_target->bytes);
}

static size_t signed_bytes_write(const struct dht_item *item, uint8_t out[static SIGNED_BYTES_CAP])
{
	struct writer w = writer_of(out, SIGNED_BYTES_CAP);
	char text[SIGNED_HEAD_CAP];

	if (item->salt_len) {
		int len = snprintf(text, sizeof(text), "4:salt%zu:", item->salt_len);

		writer_bytes(&w, text, (size_t)len);
		writer_bytes(&w, item->salt, item->salt_len);
	}
	writer_bytes(&w, text,
		     (size_t)snprintf(text, sizeof(text), "3:seqi%llde1:v", (long long)item->seq));
	writer_bytes(&w, item->value, item->value_len);
	weft_assert(!w.bad);
	return writer_len(&w);
}

int dht_item_verify(const struct dht_item *item)
{
	uint8_t covered[SIGNED_BYTES_CAP];

	if (item->value_len > DHT_SIGNED_VALUE_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (!item->key)
		return 0;
	if (item->salt_len > DHT_SALT_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (item->seq < 0)
		return WEFT_EMALFORMED;
	return node_key_verify(item->key, covered, signed_bytes_write(item, covered), item->sig);
}

void dht_item_sign(const struct dht_item *item, const struct node_key *key,
		   uint8_t out_sig[static NODE_KEY_SIG_LEN])
{
	uint8_t covered[SIGNED_BYTES_CAP];

	node_key_sign(key, covered, signed_bytes_write(item, covered), out_sig);
}
