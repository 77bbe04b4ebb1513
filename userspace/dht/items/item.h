/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_ITEMS_ITEM_H
#define WEFT_DHT_ITEMS_ITEM_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/node_key.h"
#include "kad/id.h"
#include "weft/err.h"

/*
 * The items stored on the Mainline DHT (BEP-44): where an item lies, which bytes are signed, and
 * whether it may be believed. Nothing here knows messages.
 */
#define DHT_VALUE_LEN_MAX 1000 /* bencoded: what nodes store */
#define DHT_SALT_LEN_MAX  64
/* The longest record of pkarr, 1,000 bytes before bencoding: worth verifying, not storing. */
#define DHT_SIGNED_VALUE_LEN_MAX 1005

/*
 * Everything is borrowed. The value is the bencoding as it came: these bytes are hashed and signed,
 * so they are never encoded again.
 */
struct dht_item {
	const uint8_t *key; /* NODE_KEY_LEN bytes; NULL: immutable, sig, salt and seq say nothing */
	const uint8_t *sig; /* NODE_KEY_SIG_LEN bytes */
	const uint8_t *salt; /* salt_len bytes; with 0 it may be NULL */
	size_t salt_len;
	const uint8_t *value;
	size_t value_len;
	int64_t seq; /* [0, INT64_MAX] */
};

/*
 * dht_item_target: SHA-1 of an immutable item's value, of a mutable one's
 * key and salt. dht_item_target_of_key is for asking, without an item.
 * salt_len is in [0, DHT_SALT_LEN_MAX].
 */
void dht_item_target(const struct dht_item *item, struct kad_id *out_target);
void dht_item_target_of_key(const uint8_t key[static NODE_KEY_LEN], const uint8_t *salt,
			    size_t salt_len, struct kad_id *out_target);

/*
 * dht_item_verify: an immutable item is good when it is not too long; that its target is the wanted
 * one is the caller's to compare. For a mutable one sizes are checked first and the signature last,
 * strictly (node_key_verify): that costs more than all else a query asks for.
 *
 * Returns 0, or:
 *   WEFT_ETOOLARGE  value above DHT_SIGNED_VALUE_LEN_MAX, or salt
 *   WEFT_EMALFORMED the sequence number is negative
 *   WEFT_EDAMAGED   the signature is not this key's over these bytes
 */
WEFT_MUST_CHECK
int dht_item_verify(const struct dht_item *item);

/*
 * dht_item_sign signs a mutable item of this node. Its value, salt and seq are within the limits
 * above. The item's own key and sig are ignored.
 */
void dht_item_sign(const struct dht_item *item, const struct node_key *key,
		   uint8_t out_sig[static NODE_KEY_SIG_LEN]);

#endif
