/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of queries. A token is drawn at random for each query, and kept for a minute. At each node it
 * leads to the neighbour that the query came from, which is where responses go. A query for several
 * services is a query for each of them from its first relay on, with one token.
 */
#include <string.h>

#include "base/container_of.h"
#include "base/siphash_bytes.h"
#include "offers/message/service_query.h"
#include "spread_state.h"
#include "weft/bytes.h"

static void token_free(struct offer_spread *spread, struct spread_token *token, uint64_t now_ns)
{
	map_delete(&spread->by_token, token->name);
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

static void name_write(uint8_t name[static SPREAD_ASKED_LEN], const uint8_t *token,
		       uint32_t service)
{
	memcpy(name, token, SPREAD_TOKEN_LEN);
	weft_store_le32(name + SPREAD_TOKEN_LEN, service);
}

struct spread_token *offers_spread_token_find(struct offer_spread *spread, const uint8_t *token,
					      uint32_t service, uint64_t now_ns)
{
	uint8_t name[SPREAD_ASKED_LEN];

	tokens_expire(spread, &spread->others, now_ns);
	tokens_expire(spread, &spread->own, now_ns);
	name_write(name, token, service);
	return map_lookup(&spread->by_token, name);
}

static bool token_enter(struct offer_spread *spread, struct spread_token *token,
			const uint8_t *bytes, uint32_t service, uint64_t now_ns)
{
	name_write(token->name, bytes, service);
	token->expires_ns = now_ns + SPREAD_TOKEN_LIFE_NS;
	list_push_back(token->is_own ? &spread->own : &spread->others, &token->link);
	if (map_put(&spread->by_token, token->name, token) == 0)
		return true;
	token_free(spread, token, now_ns);
	return false;
}

bool offers_spread_token_take(struct offer_spread *spread, const uint8_t *bytes, uint32_t service,
			      const struct mesh_call *call, uint64_t now_ns)
{
	struct spread_token *token;
	struct fair_item *victim;
	struct fair_path path;

	if (offers_spread_token_find(spread, bytes, service, now_ns))
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
	return token_enter(spread, token, bytes, service, now_ns);
}

/* --- queries of this node --- */

/* false: a part has no place, and none of them has one. */
static bool own_enter(struct offer_spread *spread, const struct service_query *query,
		      uint64_t now_ns)
{
	for (unsigned i = 0; i < query->part_cnt; i++) {
		struct spread_token *token = pool_acquire(&spread->own_tokens);

		if (token)
			token->is_own = true;
		if (token &&
		    token_enter(spread, token, query->token, query->parts[i].service, now_ns))
			continue;
		offers_spread_query_end(spread, query->token);
		return false;
	}
	return true;
}

/* As a relay sends it on: each of its services by itself. Returns to how many neighbours, at most. */
static unsigned own_expand(struct offer_spread *spread, const struct service_message *message,
			   const struct service_query *query, uint64_t now_ns)
{
	uint8_t bytes[SERVICE_QUERY_MESSAGE_LEN_MAX];
	unsigned cnt_max = 0;

	for (unsigned i = 0; i < query->part_cnt; i++) {
		struct spread_flood flood = {
			.bytes = bytes,
			.len = offers_query_part_write(message, query, i, bytes),
			.hop_cnt = message->hop_max > 1 ? 1 : message->hop_cnt,
			.jitter_ns = SPREAD_JITTER_NS,
		};
		unsigned cnt = offers_spread_forward(spread, &flood, now_ns);

		cnt_max = cnt > cnt_max ? cnt : cnt_max;
	}
	return cnt_max;
}

int offers_spread_query(struct offer_spread *spread, const uint8_t *bytes, size_t len,
			uint64_t now_ns)
{
	struct service_message message;
	struct service_query query;
	/* As a relay's: else neighbours that compare their clocks can tell. */
	struct spread_flood flood = {.bytes = bytes, .len = len, .jitter_ns = SPREAD_JITTER_NS};
	unsigned cnt = 0;

	if (offers_message_parse(bytes, len, &message) < 0 ||
	    message.type != SERVICE_MESSAGE_QUERY || offers_query_parse(&message, &query) < 0)
		return WEFT_EMALFORMED;
	for (unsigned i = 0; i < query.part_cnt; i++)
		if (offers_spread_token_find(spread, query.token, query.parts[i].service, now_ns))
			return WEFT_EMALFORMED;
	if (!own_enter(spread, &query, now_ns))
		return WEFT_EFULL;
	flood.hop_cnt = message.hop_cnt;
	if (message.service != OFFERS_ANY_SERVICE)
		return (int)offers_spread_forward(spread, &flood, now_ns);
	/* Relays send on none of this form, so it is of hop count 0 alone. */
	flood.query = &query;
	if (message.hop_cnt == 0)
		cnt = offers_spread_forward(spread, &flood, now_ns);
	return (int)(cnt ? cnt : own_expand(spread, &message, &query, now_ns));
}

void offers_spread_query_end(struct offer_spread *spread,
			     const uint8_t token[static SPREAD_TOKEN_LEN])
{
	for (struct list_node *node = spread->own.next, *next; node != &spread->own; node = next) {
		struct spread_token *own = container_of(node, struct spread_token, link);

		next = node->next;
		if (memcmp(own->name, token, SPREAD_TOKEN_LEN) == 0)
			token_free(spread, own, 0);
	}
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
	struct spread_token *asked =
		offers_spread_token_find(spread, token, weft_load_le32(bytes), now_ns);
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
