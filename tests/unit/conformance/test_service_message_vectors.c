/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service messages against tests/vectors/offers/, one file for each type. Their bytes were
 * made without this code. Each is read, and written again as the same bytes.
 * tests/conformance/test_service_messages.py proves them, and also runs this with random
 * ones in the folder WEFT_VECTORS.
 */
#include <jansson.h>

#include "crypto/node_key.h"
#include "offers/message/endorsement.h"
#include "offers/message/offer_terms.h"
#include "offers/message/reservation_message.h"
#include "offers/message/service_caps.h"
#include "offers/message/service_message.h"
#include "offers/message/service_query.h"
#include "support/check.h"
#include "support/hex_digits.h"

static const json_t *vector; /* the one at hand */

static uint8_t want[SERVICE_MESSAGE_LEN_MAX], payload[SERVICE_MESSAGE_PAYLOAD_MAX];
static struct service_message msg; /* parsed of want */

/* Runs check for each vector of a type's file; a failed one is printed. */
static void vectors_each(const char *type, void (*check)(void))
{
	const char *dir = getenv("WEFT_VECTORS");
	char path[512];
	json_t *file, *each;
	size_t at;

	snprintf(path, sizeof(path), "%s/%s.json", dir ? dir : "tests/vectors/offers", type);
	file = json_load_file(path, 0, NULL);
	CHECK(json_array_size(json_object_get(file, "vectors")) > 0);
	json_array_foreach(json_object_get(file, "vectors"), at, each)
	{
		vector = each;
		check();
		if (check_failed) {
			printf("# vector %zu of %s\n", at, path);
			break;
		}
	}
	json_decref(file);
}

static size_t bytes_of(const json_t *object, const char *name, uint8_t *out, size_t cap)
{
	const char *text = json_string_value(json_object_get(object, name));

	if (!text)
		return 0;
	if (strlen(text) / 2 > cap)
		abort();
	return hex_parse(text, out);
}

static uint64_t number_of(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static bool has(const json_t *object, const char *name)
{
	return json_object_get(object, name) != NULL;
}

/* --- the header --- */

/* The header that the vector says, by value, without what a key signs. */
static struct service_message vector_head(void)
{
	return (struct service_message){
		.service = (uint32_t)number_of(vector, "service"),
		.type = (uint8_t)number_of(vector, "type"),
		.version = (uint8_t)number_of(vector, "version"),
		.is_full_cover = json_is_true(json_object_get(vector, "full_cover")),
		.hop_cnt = (uint8_t)number_of(vector, "hop_cnt"),
		.hop_max = (uint8_t)number_of(vector, "hop_max"),
		.ttl_hours = (uint16_t)number_of(vector, "ttl_hours"),
		.timestamp_s = number_of(vector, "timestamp_s"),
	};
}

/* Signed by the vector's seed, or written with its address. */
static void head_write(struct writer *w, const struct service_message *head)
{
	uint8_t seed[NODE_KEY_SEED_LEN], address[SERVICE_MESSAGE_ADDRESS_LEN];
	struct service_message own = *head;
	struct node_key *key;

	if (bytes_of(vector, "seed", seed, sizeof(seed)) == 0) {
		own.provider =
			bytes_of(vector, "provider", address, sizeof(address)) ? address : NULL;
		offers_message_write(w, &own);
		return;
	}
	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	CHECK_EQ(offers_message_verify(&msg, node_key_public(key)), 0);
	offers_message_sign(w, head, key);
	node_key_free(key);
}

static void check_head(void)
{
	static uint8_t got[SERVICE_MESSAGE_LEN_MAX];
	uint8_t id[SERVICE_MESSAGE_ID_LEN], want_id[SERVICE_MESSAGE_ID_LEN];
	size_t len = bytes_of(vector, "hex", want, sizeof(want));
	struct service_message head = vector_head();
	struct writer w = writer_of(got, sizeof(got));

	head.payload_len = bytes_of(vector, "payload", payload, sizeof(payload));
	head.payload = payload;
	CHECK_EQ(offers_message_parse(want, len, &msg), 0);
	CHECK_EQ(msg.service, head.service);
	CHECK_EQ(msg.type, head.type);
	CHECK_EQ(msg.version, head.version);
	CHECK_EQ(msg.is_full_cover, head.is_full_cover);
	CHECK_EQ(msg.hop_cnt, head.hop_cnt);
	CHECK_EQ(msg.hop_max, head.hop_max);
	CHECK_EQ(msg.ttl_hours, head.ttl_hours);
	CHECK_EQ(msg.timestamp_s, head.timestamp_s);
	head_write(&w, &head);
	CHECK(!w.bad);
	CHECK_EQ(writer_len(&w), len);
	CHECK_MEM(got, want, len);
	offers_message_id(&msg, id);
	bytes_of(vector, "id", want_id, sizeof(want_id));
	CHECK_MEM(id, want_id, sizeof(id));
}

/* What was written again is the payload. */
static void check_payload(const struct writer *w)
{
	CHECK(!w->bad);
	CHECK_EQ(writer_len(w), msg.payload_len);
	CHECK_MEM(w->start, msg.payload, msg.payload_len);
}

/* --- the terms of an offer --- */

static void check_terms_read(const json_t *terms, const struct offer_terms *heard)
{
	uint8_t bytes[OFFER_KEY_LEN], id[OFFER_KEY_LEN] = {0};

	CHECK_EQ(heard->provider_key != NULL, has(terms, "provider_key"));
	if (bytes_of(terms, "provider_key", bytes, sizeof(bytes)))
		CHECK_MEM(heard->provider_key, bytes, OFFER_KEY_LEN);
	CHECK_EQ(heard->has_sequence, has(terms, "sequence"));
	CHECK_EQ(heard->sequence,
		 heard->has_sequence ? number_of(terms, "sequence") : msg.timestamp_s);
	bytes_of(terms, "offer_id", id, sizeof(id));
	CHECK_MEM(heard->offer_id, id, OFFER_ID_LEN);
	CHECK_EQ(heard->base, number_of(terms, "base"));
	CHECK_EQ(heard->units, has(terms, "units") ? number_of(terms, "units") : 1);
	CHECK_EQ(heard->has_reserve_key, has(terms, "reserve_key"));
	CHECK_EQ(heard->reserve_key != NULL,
		 bytes_of(terms, "reserve_key", bytes, sizeof(bytes)) > 0);
	if (heard->reserve_key)
		CHECK_MEM(heard->reserve_key, bytes, OFFER_KEY_LEN);
	CHECK_EQ(heard->schema_len, json_string_length(json_object_get(terms, "schema")));
}

static void check_offer(void)
{
	static uint8_t got[SERVICE_MESSAGE_PAYLOAD_MAX], pairs[SERVICE_MESSAGE_PAYLOAD_MAX];
	struct writer w = writer_of(got, sizeof(got));
	struct offer_fields fields = {.bytes = pairs,
				      .cnt = (unsigned)number_of(vector, "pair_cnt")};
	struct offer_terms heard;

	check_head();
	if (check_failed)
		return;
	CHECK_EQ(offer_terms_read(&msg, &heard), 0);
	check_terms_read(json_object_get(vector, "terms"), &heard);
	if (check_failed)
		return;
	fields.len = bytes_of(vector, "pairs", pairs, sizeof(pairs));
	offer_terms_write(&w, msg.type, &heard, &fields);
	check_payload(&w);
}

/* --- queries and their answers --- */

/* What a relay makes of a query for several services, against what Python made of it. */
static void check_expanded(const struct service_query *query, const json_t *expanded)
{
	static uint8_t part[SERVICE_QUERY_MESSAGE_LEN_MAX], made[SERVICE_QUERY_MESSAGE_LEN_MAX];

	CHECK_EQ(json_array_size(expanded),
		 msg.service == OFFERS_ANY_SERVICE ? query->part_cnt : 0);
	for (unsigned i = 0; i < json_array_size(expanded); i++) {
		size_t len = hex_parse(json_string_value(json_array_get(expanded, i)), made);

		CHECK_EQ(offers_query_part_write(&msg, query, i, part), len);
		CHECK_MEM(part, made, len);
	}
}

static void check_query(void)
{
	static uint8_t got[SERVICE_MESSAGE_PAYLOAD_MAX], filters[SERVICE_QUERY_LEN_MAX];
	struct writer w = writer_of(got, sizeof(got));
	const json_t *said = json_object_get(vector, "query"), *parts;
	struct service_query query;

	check_head();
	if (check_failed)
		return;
	CHECK_EQ(offers_query_parse(&msg, &query), 0);
	parts = json_object_get(said, "parts");
	CHECK_EQ(query.part_cnt, json_array_size(parts));
	CHECK_EQ(query.result_max, number_of(said, "results"));
	for (unsigned i = 0; i < query.part_cnt; i++) {
		const json_t *part = json_array_get(parts, i);
		size_t len = hex_parse(json_string_value(json_array_get(part, 1)), filters);

		CHECK_EQ(query.parts[i].service, json_integer_value(json_array_get(part, 0)));
		CHECK_EQ(query.parts[i].filters_len, len);
		CHECK_MEM(query.parts[i].filters, filters, len);
	}
	check_expanded(&query, json_object_get(said, "expanded"));
	offers_query_write(&w, msg.service, &query);
	check_payload(&w);
}

static void check_response(void)
{
	static uint8_t got[SERVICE_MESSAGE_PAYLOAD_MAX];
	static struct service_response response, again;
	struct writer w = writer_of(got, sizeof(got));
	const json_t *said = json_object_get(vector, "response"), *entries;

	check_head();
	if (check_failed)
		return;
	CHECK_EQ(offers_response_parse(&msg, &response), 0);
	entries = json_object_get(said, "entries");
	CHECK_EQ(response.entry_cnt, json_array_size(entries));
	CHECK_EQ(response.has_more, json_is_true(json_object_get(said, "more")));
	CHECK_EQ(response.endorsement_cnt, json_array_size(json_object_get(said, "endorsements")));
	offers_response_init(&again, response.token);
	again.has_more = response.has_more;
	for (unsigned i = 0; i < response.entry_cnt; i++) {
		CHECK_EQ(1 + (response.entries[i].update != NULL),
			 json_array_size(json_array_get(entries, i)));
		CHECK(offers_response_add_entry(&again, &response.entries[i]));
	}
	for (unsigned i = 0; i < response.endorsement_cnt; i++)
		CHECK(offers_response_add_endorsement(&again, response.endorsements[i].bytes,
						      response.endorsements[i].len));
	offers_response_write(&w, &again);
	check_payload(&w);
	CHECK(again.len >= msg.payload_len);
}

/* --- reservations --- */

struct reservation_said {
	uint8_t secret[AGREED_KEY_LEN], reserve_secret[AGREED_KEY_LEN], nonce[AGREED_NONCE_LEN];
	uint8_t consumer[NODE_KEY_LEN], store[NODE_KEY_LEN], provider_seed[NODE_KEY_SEED_LEN];
	bool has_reserve_secret;
	struct reservation_seal seal; /* the consumer's */
	struct reservation_draft draft;
};

static void said_read(const json_t *said, struct reservation_said *out)
{
	struct reservation_content *content = &out->draft.content;

	memset(out, 0, sizeof(*out));
	bytes_of(said, "secret", out->secret, AGREED_KEY_LEN);
	bytes_of(said, "nonce", out->nonce, AGREED_NONCE_LEN);
	bytes_of(said, "provider_seed", out->provider_seed, NODE_KEY_SEED_LEN);
	out->has_reserve_secret =
		bytes_of(said, "reserve_secret", out->reserve_secret, AGREED_KEY_LEN);
	bytes_of(said, "token", out->seal.token, RESERVATION_TOKEN_LEN);
	bytes_of(said, "offer_id", out->seal.offer_id, OFFER_ID_LEN);
	out->seal.service = msg.service;
	memcpy(out->seal.provider, msg.provider, sizeof(out->seal.provider));
	out->draft.type = msg.type;
	out->draft.nonce = out->nonce;
	out->draft.is_providers = msg.type == SERVICE_MESSAGE_CANCEL &&
				  json_is_true(json_object_get(said, "by_provider"));
	if (bytes_of(said, "consumer", out->consumer, NODE_KEY_LEN))
		content->consumer = out->consumer;
	if (bytes_of(said, "store", out->store, NODE_KEY_LEN))
		content->store = out->store;
	content->text = json_string_value(json_object_get(said, "text"));
	content->text_len = json_string_length(json_object_get(said, "text"));
	content->units = has(said, "units") ? (uint32_t)number_of(said, "units") : 1;
	content->time_s = has(said, "time_s") ? number_of(said, "time_s") : 0;
	content->ttl_hours = has(said, "ttl_hours") ? (uint16_t)number_of(said, "ttl_hours") : 0;
}

/* The provider opens what the consumer sealed, and the other way round. */
static void check_opened(struct reservation_said *said)
{
	const struct reservation_content *sealed = &said->draft.content;
	uint8_t bytes[RESERVATION_CONTENT_LEN_MAX];
	struct reservation_message reservation;
	struct reservation_content content;
	struct reservation_seal met;
	struct node_key *key;

	CHECK_EQ(node_key_from_seed(said->provider_seed, &key), 0);
	CHECK_EQ(offers_reservation_parse(&msg, &reservation), 0);
	CHECK_EQ(offers_reservation_meet(&met, &msg, &reservation, key,
					 said->has_reserve_secret ? said->reserve_secret : NULL),
		 0);
	node_key_free(key);
	CHECK_MEM(met.shared, said->seal.shared, AGREED_KEY_LEN);
	CHECK_EQ(offers_reservation_open(&met, &msg, &reservation, bytes, &content), 0);
	CHECK_EQ(content.units, sealed->units);
	CHECK_EQ(content.time_s, sealed->time_s);
	CHECK_EQ(content.text_len, sealed->text_len);
	if (sealed->text)
		CHECK_MEM(content.text, sealed->text, sealed->text_len);
	CHECK_EQ(content.consumer != NULL, sealed->consumer != NULL);
	if (sealed->consumer) {
		CHECK_MEM(content.consumer, sealed->consumer, NODE_KEY_LEN);
		CHECK_MEM(content.store, sealed->store, NODE_KEY_LEN);
	}
}

static void check_reservation(void)
{
	uint8_t got[RESERVATION_LEN_MAX], reserve_key[AGREED_KEY_LEN];
	struct writer w = writer_of(got, sizeof(got));
	struct reservation_said said;
	struct node_key *key;

	check_head();
	if (check_failed)
		return;
	said_read(json_object_get(vector, "reservation"), &said);
	CHECK_EQ(node_key_from_seed(said.provider_seed, &key), 0);
	CHECK_EQ(agreed_public_of_node(node_key_public(key), reserve_key), 0);
	node_key_free(key);
	if (said.has_reserve_secret)
		agreed_public(said.reserve_secret, reserve_key);
	CHECK_EQ(offers_reservation_begin(&said.seal, reserve_key, said.secret), 0);
	offers_reservation_write(&w, &said.seal, &said.draft);
	check_payload(&w);
	if (!check_failed)
		check_opened(&said);
}

/* --- endorsements and capabilities --- */

static struct node_key *vector_key(void)
{
	uint8_t seed[NODE_KEY_SEED_LEN];
	struct node_key *key;

	if (bytes_of(vector, "seed", seed, sizeof(seed)) == 0 || node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

/* What was written again is the object. */
static void check_object(const struct writer *w, size_t len)
{
	CHECK(!w->bad);
	CHECK_EQ(writer_len(w), len);
	CHECK_MEM(w->start, want, len);
}

static void check_endorsement(void)
{
	uint8_t got[ENDORSEMENT_LEN_MAX];
	size_t len = bytes_of(vector, "hex", want, sizeof(want));
	struct writer w = writer_of(got, sizeof(got));
	struct node_key *key = vector_key();
	struct endorsement heard;
	int err = offers_endorsement_parse(want, len, &heard);

	if (err == 0)
		err = offers_endorsement_verify(&heard, node_key_public(key));
	if (err == 0)
		offers_endorsement_write(&w, &heard, key);
	node_key_free(key);
	CHECK_EQ(err, 0);
	check_object(&w, len);
	CHECK_EQ(heard.is_seed_form, !has(vector, "expires_s"));
	CHECK_EQ(heard.service, number_of(vector, "service"));
	CHECK_EQ(heard.level, number_of(vector, "level"));
	CHECK_EQ(heard.made_s, number_of(vector, "made_s"));
	CHECK_EQ(heard.credential != NULL, has(vector, "credential"));
	CHECK_EQ(heard.reason_len, json_string_length(json_object_get(vector, "reason")));
}

static void check_caps(void)
{
	uint8_t got[SERVICE_CAPS_LEN_MAX];
	size_t len = bytes_of(vector, "hex", want, sizeof(want));
	struct writer w = writer_of(got, sizeof(got));
	const json_t *rows = json_object_get(vector, "rows");
	struct node_key *key = vector_key();
	struct service_caps heard;
	int err = offers_caps_parse(want, len, &heard);

	if (err == 0)
		offers_caps_write(&w, &heard, key);
	node_key_free(key);
	CHECK_EQ(err, 0);
	check_object(&w, len);
	CHECK_EQ(heard.row_cnt, json_array_size(rows));
	for (unsigned i = 0; i < heard.row_cnt; i++) {
		const json_t *row = json_array_get(rows, i);

		CHECK_EQ(heard.rows[i].service, json_integer_value(json_array_get(row, 0)));
		CHECK_EQ(heard.rows[i].roles, json_integer_value(json_array_get(row, 1)));
		CHECK_EQ(heard.rows[i].version, json_integer_value(json_array_get(row, 2)));
	}
}

static void test_announces_agree(void)
{
	vectors_each("announce", check_offer);
}

static void test_queries_agree(void)
{
	vectors_each("query", check_query);
}

static void test_responses_agree(void)
{
	vectors_each("response", check_response);
}

static void test_reserves_agree(void)
{
	vectors_each("reserve", check_reservation);
}

static void test_confirms_agree(void)
{
	vectors_each("confirm", check_reservation);
}

static void test_cancels_agree(void)
{
	vectors_each("cancel", check_reservation);
}

static void test_updates_agree(void)
{
	vectors_each("update", check_offer);
}

static void test_revokes_agree(void)
{
	vectors_each("revoke", check_offer);
}

static void test_endorsements_agree(void)
{
	vectors_each("endorsement", check_endorsement);
}

static void test_capabilities_agree(void)
{
	vectors_each("caps", check_caps);
}

int main(void)
{
	RUN(test_announces_agree);
	RUN(test_queries_agree);
	RUN(test_responses_agree);
	RUN(test_reserves_agree);
	RUN(test_confirms_agree);
	RUN(test_cancels_agree);
	RUN(test_updates_agree);
	RUN(test_revokes_agree);
	RUN(test_endorsements_agree);
	RUN(test_capabilities_agree);
	return check_done();
}
