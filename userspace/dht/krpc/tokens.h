/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_KRPC_TOKENS_H
#define WEFT_DHT_KRPC_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "codec/bencode.h"
#include "weft/krpc.h"

struct random;

/*
 * Write tokens (BEP-5): a node may store in the name of an address only if it reads the
 * datagrams sent to that address. weft_krpc_token makes them, under a key that changes every
 * five minutes. The key of the five minutes before is honoured as well. Callers may read current
 * and turn_ns.
 */
struct dht_tokens {
	uint64_t current[2], last[2];
	uint64_t turn_ns; /* when the key changes */
	struct random *random;
};

#define DHT_TOKEN_TURN_NS (300 * 1000000000ull)

void dht_tokens_init(struct dht_tokens *tokens, struct random *random, uint64_t now_ns);
/* dht_tokens_expire: true when the key has changed. */
bool dht_tokens_expire(struct dht_tokens *tokens, uint64_t now_ns);
void dht_tokens_make(const struct dht_tokens *tokens, const struct addr *asker,
		     uint8_t out_token[static WEFT_KRPC_TOKEN_LEN]);
/* dht_tokens_is_good: token was made for a node at asker's address, at most ten minutes ago. */
bool dht_tokens_is_good(const struct dht_tokens *tokens, const struct addr *asker,
			const struct bencode_span *token);

#endif
