/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens.h"

#include <string.h>

#include "base/random.h"

static void key_turn(struct dht_tokens *tokens)
{
	memcpy(tokens->last, tokens->current, sizeof(tokens->last));
	random_fill(tokens->random, tokens->current, sizeof(tokens->current));
}

void dht_tokens_init(struct dht_tokens *tokens, struct random *random, uint64_t now_ns)
{
	tokens->random = random;
	tokens->turn_ns = now_ns + DHT_TOKEN_TURN_NS;
	/* Both keys, so that each one is random. */
	key_turn(tokens);
	key_turn(tokens);
}

bool dht_tokens_expire(struct dht_tokens *tokens, uint64_t now_ns)
{
	if (now_ns < tokens->turn_ns)
		return false;
	/* After a sleep that outlasted both keys, neither is honoured. */
	if (now_ns - tokens->turn_ns >= DHT_TOKEN_TURN_NS)
		key_turn(tokens);
	key_turn(tokens);
	tokens->turn_ns = now_ns + DHT_TOKEN_TURN_NS;
	return true;
}

void dht_tokens_make(const struct dht_tokens *tokens, const struct addr *asker,
		     uint8_t out_token[static WEFT_KRPC_TOKEN_LEN])
{
	struct weft_endpoint endpoint = addr_endpoint(asker);

	weft_store_le64(out_token, weft_krpc_token((const __u64 *)tokens->current, &endpoint));
}

bool dht_tokens_is_good(const struct dht_tokens *tokens, const struct addr *asker,
			const struct bencode_span *token)
{
	struct weft_endpoint endpoint = addr_endpoint(asker);
	__u64 word;

	if (token->len != WEFT_KRPC_TOKEN_LEN)
		return false;
	word = weft_load_le64(token->data);
	return word == weft_krpc_token((const __u64 *)tokens->current, &endpoint) ||
	       word == weft_krpc_token((const __u64 *)tokens->last, &endpoint);
}
