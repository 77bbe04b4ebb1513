/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The older wire of FAPP, for programs that speak nothing else (docs/wire/legacy-fapp.md). Messages
 * come from local programs, with the gateway's token, and answers go back the same way:
 *
 *	announce, response -> service message in the seed form -> as if a neighbour had announced it
 *	query -> offers that are kept here -> response
 *
 * Nothing of it goes to another node in the older form.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fair/request_quota.h"
#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "codec/cbor.h"
#include "offers/legacy/legacy_fapp.h"
#include "offers/store/offer_index.h"
#include "service_offers_state.h"

#define SERVICE_NAME "fapp"
/* Therapists with a number of their own in a minute; the one counted longest ago is forgotten. */
#define QUOTA_CAP 1024u
/* Therapists that are counted; the one heard longest ago is forgotten. */
#define PEERS_MAX    256u
#define PEER_LIFE_NS (86400 * NS_PER_S)

struct legacy_peer {
	uint8_t key[OFFER_KEY_LEN];
	uint64_t heard_ns; /* 0: free */
};

struct offers_legacy {
	struct arena arena;
	struct request_quota quota;
	struct legacy_peer peers[PEERS_MAX];
	struct offers_legacy_stats stats;
	struct schema_record record;
	struct schema_query query;
	uint8_t words[LEGACY_FAPP_WORDS_CAP];
	uint8_t payload[LEGACY_FAPP_LEN_MAX];
	uint8_t message[SERVICE_MESSAGE_HEAD_LEN + LEGACY_FAPP_LEN_MAX];
	uint8_t found[OFFERS_LEGACY_ANSWER_MAX - 8];
};

/* What a whole minute has, whatever its key: announces of all therapists, and queries. */
static const uint8_t all_announces[REQUEST_QUOTA_KEY_LEN] = {1};
static const uint8_t all_queries[REQUEST_QUOTA_KEY_LEN] = {2};

/* --- its programs --- */

static struct legacy_peer *peer_find(struct offers_legacy *legacy, const uint8_t *key)
{
	for (unsigned i = 0; i < PEERS_MAX; i++)
		if (legacy->peers[i].heard_ns &&
		    memcmp(legacy->peers[i].key, key, OFFER_KEY_LEN) == 0)
			return &legacy->peers[i];
	return NULL;
}

static struct legacy_peer *peer_stalest(struct offers_legacy *legacy)
{
	struct legacy_peer *stalest = &legacy->peers[0];

	for (unsigned i = 1; i < PEERS_MAX; i++)
		if (legacy->peers[i].heard_ns < stalest->heard_ns)
			stalest = &legacy->peers[i];
	return stalest;
}

/* A key whose signature was never looked at makes no row. */
static void peer_note(struct offers_legacy *legacy, const uint8_t *key, bool is_proved,
		      uint64_t now_ns)
{
	struct legacy_peer *peer = peer_find(legacy, key);

	if (!peer && is_proved) {
		peer = peer_stalest(legacy);
		memcpy(peer->key, key, sizeof(peer->key));
	}
	if (peer)
		peer->heard_ns = now_ns;
}

/* --- announces --- */

static enum offers_legacy_verdict fault_say(struct offers_legacy_ask *ask,
					    const struct schema_fault *fault)
{
	snprintf(ask->why, sizeof(ask->why), "%s%s%s", fault->field, fault->field[0] ? " " : "",
		 fault->what);
	return OFFERS_LEGACY_MALFORMED;
}

static enum offers_legacy_verdict refuse(struct offers_legacy_ask *ask, const char *why)
{
	snprintf(ask->why, sizeof(ask->why), "%s", why);
	return OFFERS_LEGACY_REFUSED;
}

static enum offers_legacy_verdict message_keep(struct service_offers *offers,
					       struct offers_legacy_ask *ask, const uint8_t *key,
					       size_t len)
{
	struct offers_legacy *legacy = offers->legacy;
	struct service_message parsed;
	/* No session leads to its sender. Its share is that of its own one, if there is any. */
	const struct spread_message heard = {.parsed = &parsed,
					     .bytes = legacy->message,
					     .len = len,
					     .peer = key,
					     .now_ns = ask->now_ns};
	const char *why = "this node does not keep it";
	enum spread_verdict verdict;

	if (offers_message_parse(legacy->message, len, &parsed) < 0)
		return refuse(ask, "it is no service message");
	if (offers_message_time(&parsed, offers->params.wall_s(offers->params.ctx)) !=
	    SERVICE_MESSAGE_TIMELY)
		return refuse(ask, "it has expired, or its time is ahead");
	verdict = offers_keep(offers, &heard, &why);
	if (verdict == SPREAD_REFUSED)
		return refuse(ask, why);
	peer_note(legacy, key, verdict == SPREAD_NEW, ask->now_ns);
	if (verdict == SPREAD_NEW)
		(void)offers_spread_announce(offers->spread, legacy->message, len, ask->now_ns);
	return OFFERS_LEGACY_TAKEN;
}

static enum offers_legacy_verdict announce_take(struct service_offers *offers,
						struct offers_legacy_ask *ask,
						const struct schema *schema,
						const struct cursor *map)
{
	const struct spread_config *rates = &offers->params.config.spread;
	struct offers_legacy *legacy = offers->legacy;
	struct writer p = writer_of(legacy->payload, sizeof(legacy->payload));
	struct writer w = writer_of(legacy->message, sizeof(legacy->message));
	struct legacy_fapp_announce announce;
	struct schema_fault fault;

	if (offers_legacy_fapp_announce(schema, map, &announce, &legacy->record, &fault) < 0)
		return fault_say(ask, &fault);
	if (request_quota_take_of(&legacy->quota, announce.key, rates->announces_per_min,
				  ask->now_ns) ||
	    request_quota_take_of(&legacy->quota, all_announces, rates->relayed_per_min,
				  ask->now_ns))
		return OFFERS_LEGACY_TOO_MANY;
	offers_legacy_fapp_message(schema, &announce, &legacy->record, &p, &w);
	return w.bad ? refuse(ask, "it is too long")
		     : message_keep(offers, ask, announce.key, writer_len(&w));
}

/* The announces of a response. One that is not taken stops no other; the first fault is said if none is. */
static enum offers_legacy_verdict response_take(struct service_offers *offers,
						struct offers_legacy_ask *ask,
						const struct schema *schema,
						const struct cursor *array)
{
	enum offers_legacy_verdict fault = OFFERS_LEGACY_TAKEN, verdict;
	char why[sizeof(ask->why)];
	bool is_any_taken = false;
	struct cbor_reader r;

	cbor_reader_init(&r, array->pos, cursor_left(array));
	if (cbor_enter_array(&r) > LEGACY_FAPP_RESULTS_MAX)
		return refuse(ask, "it has more than 50 announces");
	while (cbor_next(&r)) {
		const uint8_t *begin = r.c.pos;
		bool is_map = cbor_peek(&r) == CBOR_MAP;
		struct cursor map;

		cbor_skip(&r);
		map = cursor_of(begin, (size_t)(r.c.pos - begin));
		verdict = is_map ? announce_take(offers, ask, schema, &map)
				 : refuse(ask, "an announce in it is no map");
		is_any_taken |= verdict == OFFERS_LEGACY_TAKEN;
		if (verdict != OFFERS_LEGACY_TAKEN && fault == OFFERS_LEGACY_TAKEN) {
			fault = verdict;
			memcpy(why, ask->why, sizeof(why));
		}
		if (verdict == OFFERS_LEGACY_TOO_MANY)
			break;
	}
	if (is_any_taken || fault == OFFERS_LEGACY_TAKEN)
		return OFFERS_LEGACY_TAKEN;
	memcpy(ask->why, why, sizeof(why));
	return fault;
}

/* --- queries --- */

struct answering {
	struct service_offers *offers;
	struct writer w;
	unsigned cnt;
};

/*
 * Whether an older program could have signed the announce that is found. No update changed it since,
 * and it has no terms that the older wire does not have.
 */
static bool is_as_signed(struct offers_legacy *legacy, const struct schema *schema,
			 const struct service_message *found,
			 const struct legacy_fapp_announce *announce,
			 const struct schema_record *record)
{
	struct writer p = writer_of(legacy->payload, sizeof(legacy->payload));
	struct writer w = writer_of(legacy->message, sizeof(legacy->message));

	if (found->is_full_cover || found->version != LEGACY_FAPP_VERSION)
		return false;
	offers_legacy_fapp_message(schema, announce, record, &p, &w);
	return !w.bad && writer_len(&p) == found->payload_len &&
	       memcmp(legacy->payload, found->payload, found->payload_len) == 0;
}

static void on_offer(void *arg, const struct found_offer *offer)
{
	struct answering *answering = arg;
	const struct offer_reading *reading = &answering->offers->reading;
	struct legacy_fapp_announce announce = {
		.id = reading->terms.offer_id,
		.key = offer->provider_key,
		.signature = reading->announce.signature,
		.sequence = offer->sequence,
		.timestamp_s = offer->published_s,
		.ttl_hours = reading->announce.ttl_hours,
	};
	struct writer w = answering->w;

	if (!is_as_signed(answering->offers->legacy, offer->schema, &reading->announce, &announce,
			  offer->record))
		announce.signature = NULL;
	offers_legacy_fapp_write(&w, offer->schema, &announce, offer->record);
	/* What finds no room is left out. */
	if (w.bad)
		return;
	answering->w = w;
	answering->cnt++;
}

static enum offers_legacy_verdict query_answer(struct service_offers *offers,
					       struct offers_legacy_ask *ask,
					       const struct schema *schema,
					       const struct cursor *map)
{
	struct offers_legacy *legacy = offers->legacy;
	struct answering answering = {.offers = offers,
				      .w = writer_of(legacy->found, sizeof(legacy->found))};
	struct writer words = writer_of(legacy->words, sizeof(legacy->words));
	const struct offer_wanted wanted = {.schema = schema, .query = &legacy->query};
	const struct offer_page_ask page = {.wanted = &wanted,
					    .wanted_cnt = 1,
					    .before = OFFER_NEWEST,
					    .page_max = offers_legacy_fapp_results(map),
					    .fn = on_offer,
					    .arg = &answering};
	struct offer_search_result result;
	struct schema_fault fault;

	if (request_quota_take_of(&legacy->quota, all_queries,
				  offers->params.config.spread.queries_per_min, ask->now_ns))
		return OFFERS_LEGACY_TOO_MANY;
	if (offers_legacy_fapp_query(schema, map, &legacy->query, &words, &fault) < 0)
		return fault_say(ask, &fault);
	if (offers_find(offers, &page, &result) < 0)
		return refuse(ask, "the offers cannot be read; see weft store check");
	writer_u8(ask->answer, LEGACY_FAPP_RESPONSE);
	cbor_write_array(ask->answer, answering.cnt);
	writer_bytes(ask->answer, legacy->found, writer_len(&answering.w));
	return OFFERS_LEGACY_ANSWERED;
}

/* --- messages --- */

static enum offers_legacy_verdict input(struct service_offers *offers,
					struct offers_legacy_ask *ask)
{
	const struct schema *schema = offers_schema_registry_named(offers->registry, SERVICE_NAME);
	struct cursor rest;

	switch (offers_legacy_fapp_tag(ask->bytes, ask->len, &rest)) {
	case LEGACY_FAPP_ANNOUNCE:
		if (schema)
			return announce_take(offers, ask, schema, &rest);
		break;
	case LEGACY_FAPP_RESPONSE:
		if (schema)
			return response_take(offers, ask, schema, &rest);
		break;
	case LEGACY_FAPP_QUERY:
		if (schema)
			return query_answer(offers, ask, schema, &rest);
		break;
	case LEGACY_FAPP_RESERVE:
	case LEGACY_FAPP_CONFIRM:
		return refuse(ask, "reservations of the older wire are not translated");
	default:
		snprintf(ask->why, sizeof(ask->why), "it is no tag of 1 to 5 with CBOR");
		return OFFERS_LEGACY_MALFORMED;
	}
	return refuse(ask, "this node has no schema " SERVICE_NAME);
}

enum offers_legacy_verdict offers_legacy_input(struct service_offers *offers,
					       struct offers_legacy_ask *ask)
{
	enum offers_legacy_verdict verdict;
	struct offers_legacy_stats *stats;

	ask->why[0] = '\0';
	if (!offers->legacy)
		return OFFERS_LEGACY_OFF;
	stats = &offers->legacy->stats;
	verdict = input(offers, ask);
	stats->taken_cnt += verdict == OFFERS_LEGACY_TAKEN;
	stats->asked_cnt += verdict == OFFERS_LEGACY_ANSWERED;
	stats->malformed_cnt += verdict == OFFERS_LEGACY_MALFORMED;
	stats->refused_cnt += verdict == OFFERS_LEGACY_REFUSED;
	stats->rate_cnt += verdict == OFFERS_LEGACY_TOO_MANY;
	return verdict;
}

void offers_legacy_stats(const struct service_offers *offers, uint64_t now_ns,
			 struct offers_legacy_stats *out_stats)
{
	const struct offers_legacy *legacy = offers->legacy;

	*out_stats = legacy ? legacy->stats : (struct offers_legacy_stats){0};
	for (unsigned i = 0; legacy && i < PEERS_MAX; i++)
		out_stats->peer_cnt += legacy->peers[i].heard_ns &&
				       now_ns - legacy->peers[i].heard_ns < PEER_LIFE_NS;
}

/* --- life --- */

int offers_legacy_open(struct service_offers *offers)
{
	struct offers_legacy *legacy;
	uint64_t secret[2];
	int err;

	if (!offers->params.config.has_legacy_fapp)
		return 0;
	legacy = calloc(1, sizeof(*legacy));
	if (!legacy)
		return -ENOMEM;
	random_fill(offers->params.random, secret, sizeof(secret));
	err = arena_open(&legacy->arena, ARENA_GROWS);
	if (err == 0)
		err = request_quota_init(&legacy->quota, &legacy->arena, QUOTA_CAP, 1, secret);
	arena_fit(&legacy->arena);
	offers->legacy = legacy;
	return err;
}

void offers_legacy_close(struct service_offers *offers)
{
	if (!offers->legacy)
		return;
	arena_close(&offers->legacy->arena);
	free(offers->legacy);
	offers->legacy = NULL;
}

size_t offers_legacy_footprint(void)
{
	return sizeof(struct offers_legacy);
}
