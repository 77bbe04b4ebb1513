/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of other nodes: announces that are kept, queries that are answered from what is kept, and
 * the responses to queries of this node.
 */
#include <string.h>

#include "base/random.h"
#include "offers/store/offer_index.h"
#include "service_offers_state.h"

/* --- announces --- */

static bool is_verified(struct service_offers *offers, const struct service_message *message,
			const uint8_t *key)
{
	uint8_t id[SERVICE_MESSAGE_ID_LEN];
	uint8_t *place;

	/* The id covers signature and key, so what was verified once is verified. */
	offers_message_id(message, id);
	place = offers->verified[(id[0] | (unsigned)id[1] << 8) % OFFERS_VERIFIED_CNT];
	if (memcmp(place, id, sizeof(id)) == 0)
		return true;
	if (offers_message_verify(message, key) < 0)
		return false;
	memcpy(place, id, sizeof(id));
	return true;
}

static enum spread_verdict verdict_of(enum offer_verdict verdict, const char **out_why)
{
	switch (verdict) {
	case OFFER_STORED:
	case OFFER_REPLACED:
	case OFFER_REVOKED:
		return SPREAD_NEW;
	case OFFER_DUPLICATE:
	case OFFER_OLDER:
	case OFFER_GONE:
		return SPREAD_KNOWN;
	case OFFER_NO_BASE:
		*out_why = "an update of an announce that is not here";
		return SPREAD_REFUSED;
	case OFFER_NO_KEY:
		*out_why = "it has no key of its provider (field 0), so nothing proves it";
		return SPREAD_REFUSED;
	case OFFER_UNFIT:
		*out_why = "the schema of the service refuses it";
		return SPREAD_REFUSED;
	case OFFER_FULL:
		*out_why = "no room is left for its provider or network";
		return SPREAD_REFUSED;
	default:
		*out_why = "this node cannot keep it now";
		return SPREAD_REFUSED;
	}
}

/* An Update and a Revoke may leave the key out. Then it is that of the Announce that is kept. */
static bool on_key(void *arg, const struct offer_view *view)
{
	struct service_message announce;
	struct offer_terms terms;

	if (offers_message_parse(view->announce, view->announce_len, &announce) == 0 &&
	    offer_terms_read(&announce, &terms) == 0 && terms.provider_key)
		memcpy(arg, terms.provider_key, OFFER_KEY_LEN);
	return false;
}

static const uint8_t *key_of(struct service_offers *offers, const struct service_message *message,
			     const struct offer_terms *terms, uint8_t key[static OFFER_KEY_LEN])
{
	struct offer_name name = {.service = message->service};

	if (terms->provider_key || message->type == SERVICE_MESSAGE_ANNOUNCE)
		return terms->provider_key;
	memcpy(name.provider, message->provider, sizeof(name.provider));
	memcpy(name.offer_id, terms->offer_id, sizeof(name.offer_id));
	memset(key, 0, OFFER_KEY_LEN); /* of no address */
	return offers_store_get(offers->store, &name, on_key, key) < 0 ? NULL : key;
}

/* Of what a neighbour announced, and of what it answered with. */
static enum spread_verdict word_keep(struct service_offers *offers,
				     const struct spread_message *message, const char **out_why)
{
	const struct service_offers_params *params = &offers->params;
	const struct service_message *parsed = message->parsed;
	struct mesh_neighbour neighbour = {.is_known = false};
	/* Those without a session, older programs of this machine, share one network. */
	struct mesh_path path = {.remote = {.family = ADDR_IPV4, .ip = {127, 0, 0, 1}}};
	struct offer_terms terms;
	struct offer_put put = {
		.bytes = message->bytes,
		.len = message->len,
		.msg = parsed,
		.terms = &terms,
		.source = &path.remote,
		.hop_cnt = parsed->hop_cnt,
		.now_s = params->wall_s(params->ctx),
		.now_ns = message->now_ns,
	};
	const struct schema *schema;
	uint8_t kept[OFFER_KEY_LEN];
	const uint8_t *key;
	enum offer_verdict verdict;

	if (offer_terms_read(parsed, &terms) < 0) {
		*out_why = "its payload is malformed, or its key is not that of the address";
		return SPREAD_REFUSED;
	}
	if (memcmp(parsed->provider, offers->address, SERVICE_MESSAGE_ADDRESS_LEN) == 0)
		return SPREAD_KNOWN; /* of this node; what it has is newer */
	schema = offers_schema_registry_lookup(offers->registry, parsed->service, terms.schema,
					       terms.schema_len);
	if (schema && !schema->takes_seed_form && !parsed->is_full_cover) {
		*out_why = "the service takes no signatures of the seed form";
		return SPREAD_REFUSED;
	}
	(void)params->neighbours->path(params->mesh.mesh, message->peer, &path);
	(void)params->neighbours->find(params->mesh.mesh, message->peer, &neighbour);
	put.class = neighbour.is_known ? FAIR_KNOWN : FAIR_UNKNOWN;
	/* In a flood most come again: no signature is looked at that can change nothing. */
	verdict = offers_store_judge(offers->store, &put);
	if (verdict != OFFER_STORED)
		return verdict_of(verdict, out_why);
	key = key_of(offers, parsed, &terms, kept);
	if (!key || !is_verified(offers, parsed, key)) {
		*out_why = "its signature is not the provider's";
		return SPREAD_REFUSED;
	}
	verdict = offers_store_put(offers->store, &put, NULL);
	if (offers_verdict_is_stored(verdict)) {
		offers_stored(offers, parsed, &terms);
		offers_due(offers, message->now_ns);
	}
	return verdict_of(verdict, out_why);
}

enum spread_verdict offers_keep(void *ctx, const struct spread_message *message,
				const char **out_why)
{
	struct service_offers *offers = ctx;
	struct offer_terms terms;

	if (offer_terms_read(message->parsed, &terms) == 0 &&
	    !offers_relays_service(offers, offers_schema_registry_lookup(
						   offers->registry, message->parsed->service,
						   terms.schema, terms.schema_len))) {
		*out_why = "this node relays other services";
		return SPREAD_REFUSED;
	}
	return word_keep(offers, message, out_why);
}

struct comparing {
	const struct spread_message *message;
	bool is_same;
};

/* Whether bytes, which may be absent, are the message but for its hop count. */
static bool is_copy(const struct spread_message *message, const uint8_t *bytes, size_t len)
{
	const size_t behind = SERVICE_MESSAGE_HOP_AT + 1;

	return bytes && len == message->len &&
	       memcmp(bytes, message->bytes, SERVICE_MESSAGE_HOP_AT) == 0 &&
	       memcmp(bytes + behind, message->bytes + behind, len - behind) == 0;
}

static bool on_compared(void *arg, const struct offer_view *view)
{
	struct comparing *comparing = arg;

	comparing->is_same = is_copy(comparing->message, view->announce, view->announce_len) ||
			     is_copy(comparing->message, view->update, view->update_len);
	return false;
}

bool offers_is_kept(void *ctx, const struct spread_message *message)
{
	struct service_offers *offers = ctx;
	struct comparing comparing = {.message = message};
	struct offer_name name = {.service = message->parsed->service};
	struct offer_terms terms;

	if (offer_terms_read(message->parsed, &terms) < 0)
		return false;
	memcpy(name.provider, message->parsed->provider, sizeof(name.provider));
	memcpy(name.offer_id, terms.offer_id, sizeof(name.offer_id));
	return offers_store_get(offers->store, &name, on_compared, &comparing) == 0 &&
	       comparing.is_same;
}

/* --- queries --- */

/* What a query costs at most, whatever it asks: its sender is not named, and a flood multiplies it. */
#define ANSWER_VISITS_MAX   (OFFER_VISITS_MAX / 4)
#define ANSWER_MESSAGES_MAX 2u

/* Responses to a query. Offers are borrowed for a moment, so their bytes are collected. */
struct answering {
	struct service_offers *offers;
	const struct spread_message *query;
	const uint8_t *token;
	size_t collected_len; /* in offers->fields */
	unsigned result_left, message_cnt;
	unsigned level; /* that the schema asks for */
	bool has_more;
};

static void response_send(struct answering *answering)
{
	struct service_offers *offers = answering->offers;
	struct writer p = writer_of(offers->payload, sizeof(offers->payload));
	struct writer w = writer_of(offers->made, sizeof(offers->made));
	struct service_message message = {
		.service = answering->query->parsed->service,
		.type = SERVICE_MESSAGE_RESPONSE,
		.version = answering->query->parsed->version,
		.hop_max = UINT8_MAX, /* it goes as far as its query came */
		.ttl_hours = 1,
		.timestamp_s = offers->params.wall_s(offers->params.ctx),
	};

	answering->message_cnt++;
	offers_response_write(&p, &offers->response);
	message.payload = offers->payload;
	message.payload_len = writer_len(&p);
	offers_message_write(&w, &message);
	if (!p.bad && !w.bad)
		(void)offers_spread_respond(offers->spread, answering->token, offers->made,
					    writer_len(&w), answering->query->now_ns);
	offers_response_init(&offers->response, answering->token);
	answering->collected_len = 0;
}

static bool response_add(struct answering *answering, const struct offer_view *view)
{
	struct service_offers *offers = answering->offers;
	size_t len = view->announce_len + view->update_len;
	uint8_t *at = offers->fields + answering->collected_len;
	struct service_response_entry entry = {.announce = at, .announce_len = view->announce_len};

	if (len > sizeof(offers->fields) - answering->collected_len)
		return false;
	memcpy(at, view->announce, view->announce_len);
	if (view->update) {
		entry.update = at + view->announce_len;
		entry.update_len = view->update_len;
		memcpy(at + view->announce_len, view->update, view->update_len);
	}
	if (!offers_response_add_entry(&offers->response, &entry))
		return false;
	answering->collected_len += len;
	offers_endorsements_answer(
		offers, &offers->response,
		&(const struct offer_proof){view->service, view->provider, answering->level});
	return true;
}

static bool on_match(void *arg, const struct offer_view *view)
{
	struct answering *answering = arg;

	if (response_add(answering, view))
		return true;
	/* One that is too long for an empty response is in none. */
	if (answering->collected_len == 0)
		return true;
	if (answering->message_cnt + 1 >= ANSWER_MESSAGES_MAX) {
		answering->has_more = true;
		return true;
	}
	response_send(answering);
	(void)response_add(answering, view);
	return true;
}

/* Returns whether more may be answered. What is damaged is missing; the store has said so. */
static bool page_answer(struct answering *answering, struct offer_search *search)
{
	struct offer_search_result result;

	search->page_max = answering->result_left;
	if (offers_store_search(answering->offers->store, search, &result) < 0)
		return false;
	answering->result_left -= result.cnt;
	answering->has_more |= result.next != 0;
	return answering->result_left > 0;
}

/* An endorsement of its provider states the level that the schema asks for. */
static bool is_claimed(void *arg, const struct offer_view *view)
{
	const struct answering *answering = arg;

	return offers_endorse_claimed(answering->offers->book, view->service, view->provider) >=
	       answering->level;
}

/*
 * Those that are verified here first. Then those that others may hold for verified, as their own
 * trust says; the endorsements go along. The rest is left out.
 */
static void levels_answer(struct answering *answering, struct offer_search *search)
{
	if (search->schema->min_verification > 0) {
		search->visit_max /= 2;
		search->level_min = search->schema->min_verification;
		if (!page_answer(answering, search))
			return;
		search->level_end = search->level_min;
		search->level_min = 0;
		search->is_wanted = is_claimed;
	}
	(void)page_answer(answering, search);
}

void offers_answer(void *ctx, const struct spread_message *message, const uint8_t *token)
{
	struct service_offers *offers = ctx;
	struct answering answering = {.offers = offers, .query = message, .token = token};
	struct offer_search search = {
		.query = &offers->query,
		.before = OFFER_NEWEST,
		.visit_max = ANSWER_VISITS_MAX,
		.now_s = offers->params.wall_s(offers->params.ctx),
		.fn = on_match,
		.arg = &answering,
	};
	struct service_query query;
	struct schema_fault fault;

	/* The spread gives one of one service. */
	if (offers_query_parse(message->parsed, &query) < 0)
		return;
	search.schema = offers_schema_registry_lookup(offers->registry, message->parsed->service,
						      query.schema, query.schema_len);
	if (!search.schema ||
	    offers_schema_query_read(search.schema, query.parts[0].filters,
				     query.parts[0].filters_len, &offers->query, &fault) < 0)
		return;
	offers_response_init(&offers->response, token);
	answering.result_left = query.result_max;
	answering.level = search.schema->min_verification;
	levels_answer(&answering, &search);
	offers->response.has_more = answering.has_more;
	if (answering.collected_len)
		response_send(&answering);
}

/* --- responses --- */

/* Each is a signature or two of 50 us, and any node that saw the query may send them. */
#define HEAR_MAX 2048u

/* Bytes of a response, as if the neighbour had announced them, but that they go nowhere. */
static void entry_keep(struct service_offers *offers, const struct spread_message *response,
		       const uint8_t *bytes, size_t len)
{
	struct service_message message;
	const struct spread_message entry = {.parsed = &message,
					     .bytes = bytes,
					     .len = len,
					     .peer = response->peer,
					     .now_ns = response->now_ns};
	const char *why;

	if (offers_message_parse(bytes, len, &message) < 0)
		return;
	message.hop_cnt = OFFER_HOPS_NONE;
	(void)word_keep(offers, &entry, &why);
}

void offers_hear(void *ctx, const struct spread_message *message,
		 const struct service_response *response)
{
	struct service_offers *offers = ctx;

	offers_endorsements_hear(offers, message, response);
	for (unsigned i = 0; i < response->entry_cnt && offers->hear_left > 0; i++) {
		const struct service_response_entry *entry = &response->entries[i];

		offers->hear_left--;
		entry_keep(offers, message, entry->announce, entry->announce_len);
		if (entry->update)
			entry_keep(offers, message, entry->update, entry->update_len);
	}
}

/* One map of filters behind the other, in buf; false: they are longer than a query. */
static bool parts_write(const struct offer_wanted *wanted, unsigned cnt,
			uint8_t buf[static SERVICE_QUERY_LEN_MAX], struct service_query *ask)
{
	struct writer w = writer_of(buf, SERVICE_QUERY_LEN_MAX);

	for (unsigned i = 0; i < cnt; i++) {
		unsigned at = ask->part_cnt++;
		struct service_query_part part = {.service = wanted[i].schema->id,
						  .filters = buf + writer_len(&w)};

		offers_schema_query_write(wanted[i].schema, wanted[i].query, &w);
		part.filters_len = (size_t)(buf + writer_len(&w) - part.filters);
		/* By ascending services. */
		for (; at > 0 && ask->parts[at - 1].service > part.service; at--)
			ask->parts[at] = ask->parts[at - 1];
		ask->parts[at] = part;
	}
	return !w.bad;
}

int offers_ask(struct service_offers *offers, const struct offer_wanted *wanted, unsigned cnt,
	       uint64_t now_ns)
{
	uint8_t filters[SERVICE_QUERY_LEN_MAX], token[SERVICE_QUERY_TOKEN_LEN];
	struct writer p = writer_of(offers->payload, sizeof(offers->payload));
	struct writer w = writer_of(offers->made, sizeof(offers->made));
	struct service_query ask = {.token = token, .result_max = SERVICE_QUERY_RESULTS_MAX};
	struct service_message message = {
		.service = cnt > 1 ? OFFERS_ANY_SERVICE : wanted[0].schema->id,
		.type = SERVICE_MESSAGE_QUERY,
		.version = cnt > 1 ? 0 : wanted[0].schema->version,
		/* A relay sends on 1 and more: one that sees 1 does not know whether it began here. */
		.hop_cnt = offers->params.config.spread.hops_max > 1
				   ? (uint8_t)random_below(offers->params.random, 2)
				   : 0,
		.hop_max = (uint8_t)offers->params.config.spread.hops_max,
		.ttl_hours = 1,
		.timestamp_s = offers->params.wall_s(offers->params.ctx),
	};

	offers->hear_left = HEAR_MAX;
	random_fill(offers->params.random, token, sizeof(token));
	if (!parts_write(wanted, cnt, filters, &ask))
		return WEFT_ETOOLARGE;
	if (message.service == OFFERS_CUSTOM_SERVICE) {
		ask.schema = wanted[0].schema->name;
		ask.schema_len = strlen(ask.schema);
	}
	offers_query_write(&p, message.service, &ask);
	message.payload = offers->payload;
	message.payload_len = writer_len(&p);
	offers_message_write(&w, &message);
	if (p.bad || w.bad || message.payload_len > SERVICE_QUERY_LEN_MAX)
		return WEFT_ETOOLARGE;
	return offers_spread_query(offers->spread, offers->made, writer_len(&w), now_ns);
}
