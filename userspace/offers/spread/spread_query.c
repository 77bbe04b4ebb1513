/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of queries. A token is drawn at random for each query, and kept for a minute. At each node it
 * leads to the neighbour that the query came from, which is where responses go.
 */
#include <string.h>

#include "base/siphash_bytes.h"
#include "offers/message/service_query.h"
#include "spread_state.h"

static void token_free(struct offer_spread *spread, struct spread_token *token, uint64_t now_ns)
{
	map_delete(&spread->by_token, token->token);
	list_unlink(&token->link);
	if (token->is_own) {
		pool_release(&spread->own_tokens, token);
		return;
	}
	fair_release(&spread->places.fair, &token->share, now_ns);
	pool_release(&spread->tokens, token);
}

static void tokens_expire(struct offer_spread *spread, struct list_node *tokens, uint64_t now_ns)
{
	struct spread_token *token;

	while ((token = list_first(tokens, struct spread_token, link)) &&
	       token->expires_ns <= now_ns)
		token_free(spread, token, now_ns);
}

struct spread_token *offers_spread_token_find(struct offer_spread *spread, const uint8_t *token,
					      uint64_t now_ns)
{
	tokens_expire(spread, &spread->others, now_ns);
	tokens_expire(spread, &spread->own, now_ns);
	return map_lookup(&spread->by_token, token);
}

static bool token_enter(struct offer_spread *spread, struct spread_token *token,
			const uint8_t *bytes, uint64_t now_ns)
{
	memcpy(token->token, bytes, SPREAD_TOKEN_LEN);
	token->expires_ns = now_ns + SPREAD_TOKEN_LIFE_NS;
	list_push_back(token->is_own ? &spread->own : &spread->others, &token->link);
	if (map_put(&spread->by_token, token->token, token) == 0)
		return true;
	token_free(spread, token, now_ns);
	return false;
}

bool offers_spread_token_take(struct offer_spread *spread, const uint8_t *bytes,
			      const struct mesh_call *call, uint64_t now_ns)
{
	struct spread_token *token;
	struct fair_item *victim;
	struct fair_path path;

	if (offers_spread_token_find(spread, bytes, now_ns))
		return false;
	token = pool_acquire(&spread->tokens);
	if (!token)
		return false;
	spread->params.mesh.ops->asker_path(call->incoming, &path);
	switch (fair_take(&spread->places.fair, &path, &token->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		spread->stats.evicted_cnt++;
		token_free(spread, (struct spread_token *)victim, now_ns);
		break;
	case FAIR_BUSY:
		pool_release(&spread->tokens, token);
		return false;
	}
	memcpy(token->from, call->peer_key, MESH_KEY_LEN);
	return token_enter(spread, token, bytes, now_ns);
}

/* --- queries of this node --- */

int offers_spread_query(struct offer_spread *spread, const uint8_t *bytes, size_t len,
			uint64_t now_ns)
{
	struct service_message message;
	struct service_query query;
	struct spread_token *token;
	/* As a relay's: else neighbours that compare their clocks can tell. */
	struct spread_flood flood = {.bytes = bytes, .len = len, .jitter_ns = SPREAD_JITTER_NS};

	if (offers_message_parse(bytes, len, &message) < 0 ||
	    message.type != SERVICE_MESSAGE_QUERY || offers_query_parse(&message, &query) < 0 ||
	    offers_spread_token_find(spread, query.token, now_ns))
		return WEFT_EMALFORMED;
	token = pool_acquire(&spread->own_tokens);
	if (!token)
		return WEFT_EFULL;
	token->is_own = true;
	if (!token_enter(spread, token, query.token, now_ns))
		return WEFT_EFULL;
	flood.hop_cnt = message.hop_cnt;
	return (int)offers_spread_forward(spread, &flood, now_ns);
}

void offers_spread_query_end(struct offer_spread *spread,
			     const uint8_t token[static SPREAD_TOKEN_LEN])
{
	struct spread_token *own = map_lookup(&spread->by_token, token);

	if (own && own->is_own)
		token_free(spread, own, 0);
}

/* --- what went back --- */

/* An Announce and its Update, or an endorsement. A copy that differs in a bit is another one. */
static uint64_t item_hash(const struct offer_spread *spread,
			  const struct service_response *response, unsigned i)
{
	const uint64_t *secret = spread->places.paths.secret;
	const struct service_response_entry *entry = &response->entries[i];

	if (i >= response->entry_cnt) {
		const struct service_response_endorsement *endorsement =
			&response->endorsements[i - response->entry_cnt];

		return siphash(secret, endorsement->bytes, endorsement->len);
	}
	return siphash(secret, entry->announce, entry->announce_len) +
	       (entry->update ? 3 * siphash(secret, entry->update, entry->update_len) : 0);
}

static bool has_returned(const struct spread_token *token, uint64_t hash)
{
	for (unsigned i = 0; i < token->returned_cnt; i++)
		if (token->returned[i] == hash)
			return true;
	return false;
}

bool offers_spread_is_news(const struct offer_spread *spread, const struct spread_token *token,
			   const struct service_response *response)
{
	unsigned cnt = response->entry_cnt + response->endorsement_cnt;

	for (unsigned i = 0; i < cnt; i++)
		if (!has_returned(token, item_hash(spread, response, i)))
			return true;
	return cnt == 0;
}

void offers_spread_note(const struct offer_spread *spread, struct spread_token *token,
			const struct service_response *response)
{
	for (unsigned i = 0; i < response->entry_cnt + response->endorsement_cnt; i++) {
		uint64_t hash = item_hash(spread, response, i);

		if (token->returned_cnt == SPREAD_RETURNED_MAX)
			return;
		if (!has_returned(token, hash))
			token->returned[token->returned_cnt++] = hash;
	}
}

bool offers_spread_respond(struct offer_spread *spread,
			   const uint8_t token[static SPREAD_TOKEN_LEN], const uint8_t *bytes,
			   size_t len, uint64_t now_ns)
{
	struct spread_token *asked = offers_spread_token_find(spread, token, now_ns);
	const struct spread_flood flood = {.bytes = bytes, .len = len};
	struct service_response *response = &spread->response;
	struct service_message message;

	if (!asked || asked->is_own || !offers_spread_send_to(spread, asked->from, &flood, now_ns))
		return false;
	if (offers_message_parse(bytes, len, &message) == 0 &&
	    offers_response_parse(&message, response) == 0)
		offers_spread_note(spread, asked, response);
	return true;
}
