/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/service_query.h"

#include "codec/cbor.h"
#include "offers/message/service_message.h"
#include "support/check.h"
#include "support/hex_digits.h"

#define TOKEN_HEX "101112131415161718191a1b1c1d1e1f"
#define TOKEN	  "0050" TOKEN_HEX

static uint8_t token[SERVICE_QUERY_TOKEN_LEN];
static uint8_t bytes[SERVICE_MESSAGE_PAYLOAD_MAX], announce[SERVICE_MESSAGE_LEN_MAX], update[300];
static struct service_response response, heard;
static struct node_key *key, *other;

static struct service_message msg_of(uint8_t type, uint32_t service, size_t len)
{
	return (struct service_message){
		.service = service, .type = type, .payload = bytes, .payload_len = len};
}

/* --- queries --- */

static int query_of(uint32_t service, const char *hex, struct service_query *out)
{
	struct service_message msg = msg_of(SERVICE_MESSAGE_QUERY, service, hex_parse(hex, bytes));

	return offers_query_parse(&msg, out);
}

static void test_a_query_has_one_map_of_filters(void)
{
	struct service_query query;

	CHECK_EQ(query_of(2, "a3" TOKEN "01a1021903840214", &query), 0);
	CHECK_MEM(query.token, token, sizeof(token));
	CHECK_EQ(query.part_cnt, 1);
	CHECK_EQ(query.parts[0].service, 2);
	CHECK_EQ(query.parts[0].filters_len, 5);
	CHECK_MEM(query.parts[0].filters, "\xa1\x02\x19\x03\x84", 5);
	CHECK_EQ(query.result_max, 20);
	CHECK_EQ(query_of(2, "a2" TOKEN "01a0", &query), 0);
	CHECK_EQ(query.result_max, SERVICE_QUERY_RESULTS_USUAL);
}

/* Of others the service says it. */
static void test_a_query_of_an_experiment_names_its_schema(void)
{
	struct service_query query;
	uint8_t again[64];
	struct writer w = writer_of(again, sizeof(again));

	CHECK_EQ(query_of(OFFERS_CUSTOM_SERVICE, "a4" TOKEN "01a0021418f5656c616d7073", &query), 0);
	CHECK_EQ(query.schema_len, 5);
	CHECK_MEM(query.schema, "lamps", 5);
	offers_query_write(&w, OFFERS_CUSTOM_SERVICE, &query);
	CHECK_EQ(writer_len(&w), 1 + 18 + 2 + 2 + 8);
	CHECK_EQ(query_of(OFFERS_CUSTOM_SERVICE, "a3" TOKEN "01a00214", &query), 0);
	CHECK(!query.schema);
	CHECK_EQ(query_of(2, "a4" TOKEN "01a0021418f5656c616d7073", &query), WEFT_EMALFORMED);
	CHECK_EQ(query_of(OFFERS_CUSTOM_SERVICE, "a4" TOKEN "01a0021418f560", &query),
		 WEFT_EMALFORMED);
	/* 33 letters */
	CHECK_EQ(query_of(OFFERS_CUSTOM_SERVICE,
			  "a4" TOKEN "01a0021418f57821"
			  "6161616161616161616161616161616161"
			  "61616161616161616161616161616161",
			  &query),
		 WEFT_EMALFORMED);
}

static void test_a_query_of_several_services_has_a_map_for_each(void)
{
	struct service_query query;

	CHECK_EQ(query_of(OFFERS_ANY_SERVICE, "a2" TOKEN "01828201a08202a10105", &query), 0);
	CHECK_EQ(query.part_cnt, 2);
	CHECK_EQ(query.parts[1].service, 2);
	CHECK_EQ(query.parts[1].filters_len, 3);
}

/* The message for service of a query for several, as bytes of its payload. */
static void part_make(const char *hex, unsigned part, uint8_t *out, size_t *out_len)
{
	struct service_message msg =
		msg_of(SERVICE_MESSAGE_QUERY, OFFERS_ANY_SERVICE, hex_parse(hex, bytes));
	struct service_query query;

	msg.hop_cnt = 1;
	msg.hop_max = 4;
	msg.ttl_hours = 9;
	msg.timestamp_s = 1800000000;
	CHECK_EQ(offers_query_parse(&msg, &query), 0);
	*out_len = offers_query_part_write(&msg, &query, part, out);
}

static void test_a_query_of_several_services_becomes_one_of_each(void)
{
	static const char *const wanted[] = {"a3" TOKEN "01a00214", "a3" TOKEN "01a101050214"};
	uint8_t out[SERVICE_QUERY_MESSAGE_LEN_MAX], want[64];
	struct service_message msg;
	struct service_query query;

	for (unsigned i = 0; i < 2; i++) {
		/* What is said of no use to a relay, under 9, is left out. */
		size_t len = 0;

		part_make("a3" TOKEN "01828201a08218f0a101050900", i, out, &len);
		CHECK_EQ(offers_message_parse(out, len, &msg), 0);
		CHECK_EQ(msg.service, i ? 0xf0 : 1);
		CHECK_EQ(msg.hop_cnt, 1);
		CHECK_EQ(msg.hop_max, 4);
		CHECK_EQ(msg.ttl_hours, 9);
		CHECK_EQ(msg.timestamp_s, 1800000000);
		CHECK_EQ(msg.payload_len, hex_parse(wanted[i], want));
		CHECK_MEM(msg.payload, want, msg.payload_len);
		CHECK_EQ(offers_query_parse(&msg, &query), 0);
	}
}

static void test_the_largest_query_of_several_services_has_room_as_one(void)
{
	struct service_message msg =
		msg_of(SERVICE_MESSAGE_QUERY, OFFERS_ANY_SERVICE, SERVICE_QUERY_LEN_MAX);
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint8_t out[SERVICE_QUERY_MESSAGE_LEN_MAX];
	struct service_query query;

	cbor_write_map(&w, 2);
	cbor_field_bytes(&w, 0, token, sizeof(token));
	cbor_write_uint(&w, 1);
	cbor_write_array(&w, 1);
	cbor_write_array(&w, 2);
	cbor_write_uint(&w, 1);
	cbor_write_map(&w, 1);
	cbor_write_uint(&w, 1);
	cbor_write_bytes_head(&w, SERVICE_QUERY_LEN_MAX - writer_len(&w) - 3);
	CHECK_EQ(offers_query_parse(&msg, &query), 0);
	/* Two arrays and a service fewer, and the number of results, which was not said. */
	CHECK_EQ(offers_query_part_write(&msg, &query, 0, out),
		 SERVICE_MESSAGE_HEAD_LEN + SERVICE_QUERY_LEN_MAX - 1);
}

static void test_malformed_queries_are_refused(void)
{
	static const struct {
		uint32_t service;
		const char *hex, *why;
	} rows[] = {
		{2, "a101a0", "no token"},
		{2, "a1" TOKEN, "no filters"},
		{2, "a2004f101112131415161718191a1b1c1d1e01a0", "a short token"},
		{2, "a2" TOKEN "0180", "an array"},
		{2, "a2" TOKEN "01a2020101f6", "filters that descend"},
		{2, "a2" TOKEN "01a20101", "filters that end"},
		{2, "a3" TOKEN "01a00200", "no results"},
		{2, "a3" TOKEN "01a00220", "less than none"},
		{2, "a2" TOKEN "01a000", "a byte behind the map"},
		{2, "a2" TOKEN "01828201a08202a0", "services of a query for one"},
		{OFFERS_ANY_SERVICE, "a2" TOKEN "01a0", "no services"},
		{OFFERS_ANY_SERVICE, "a2" TOKEN "0180", "none"},
		{OFFERS_ANY_SERVICE, "a2" TOKEN "01828202a08201a0", "services that descend"},
		{OFFERS_ANY_SERVICE, "a2" TOKEN "01828202a08202a0", "a service twice"},
		{OFFERS_ANY_SERVICE, "a2" TOKEN "01818102", "no filters of one"},
		{OFFERS_ANY_SERVICE, "a2" TOKEN "01818302a0a0", "filters twice"},
		{OFFERS_ANY_SERVICE, "a2" TOKEN "0181821afffffffea0", "several of several"},
		{OFFERS_ANY_SERVICE, "a2" TOKEN "0181821a4853454da0", "the reserved service"},
		{OFFERS_ANY_SERVICE, "a2" TOKEN "0181821b0000000100000000a0", "a number too large"},
		{OFFERS_ANY_SERVICE, "a2" TOKEN "01858201a08202a08203a08204a08205a0",
		 "five services"},
	};
	struct service_query query = {.part_cnt = 77};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int got = query_of(rows[i].service, rows[i].hex, &query);

		if (got != WEFT_EMALFORMED)
			printf("# %s\n", rows[i].why);
		CHECK_EQ(got, WEFT_EMALFORMED);
	}
	CHECK_EQ(query.part_cnt, 77);
	CHECK_EQ(query_of(OFFERS_ANY_SERVICE, "a2" TOKEN "01848201a08202a08203a08204a0", &query),
		 0);
}

static void test_a_query_for_more_than_100_is_one_for_100(void)
{
	static const struct {
		const char *hex;
		unsigned want;
	} rows[] = {
		{"a3" TOKEN "01a0021864", 100},
		{"a3" TOKEN "01a0021865", 100},
		{"a3" TOKEN "01a0021bffffffffffffffff", 100},
		{"a3" TOKEN "01a00201", 1},
	};
	struct service_query query;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(query_of(2, rows[i].hex, &query), 0);
		CHECK_EQ(query.result_max, rows[i].want);
	}
}

static void test_a_query_has_at_most_4096_bytes(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_message msg = msg_of(SERVICE_MESSAGE_QUERY, 2, SERVICE_QUERY_LEN_MAX);
	struct service_query query;

	cbor_write_map(&w, 2);
	cbor_field_bytes(&w, 0, token, sizeof(token));
	cbor_write_uint(&w, 1);
	cbor_write_map(&w, 1);
	cbor_write_uint(&w, 1);
	cbor_write_bytes_head(&w, SERVICE_QUERY_LEN_MAX - writer_len(&w) - 3);
	CHECK_EQ(offers_query_parse(&msg, &query), 0);
	msg.payload_len++;
	CHECK_EQ(offers_query_parse(&msg, &query), WEFT_ETOOLARGE);
}

static void test_every_cut_of_a_query_is_refused(void)
{
	size_t len = hex_parse("a3" TOKEN "01828201a08202a10105"
			       "0214",
			       bytes);
	struct service_query query;

	for (size_t cut = 0; cut < len; cut++) {
		struct service_message msg = msg_of(SERVICE_MESSAGE_QUERY, OFFERS_ANY_SERVICE, cut);
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		msg.payload = exact;
		CHECK_EQ(offers_query_parse(&msg, &query), WEFT_EMALFORMED);
		free(exact);
	}
}

/* --- responses --- */

/* A signed message of type; its payload is of zeros, which is not read here. */
static size_t message_make(uint8_t *out, size_t cap, uint8_t type, size_t payload_len)
{
	static const uint8_t payload[SERVICE_MESSAGE_PAYLOAD_MAX];
	struct service_message msg = {.service = 2,
				      .type = type,
				      .is_full_cover = true,
				      .payload = payload,
				      .payload_len = payload_len};
	struct writer w = writer_of(out, cap);

	offers_message_sign(&w, &msg, key);
	return w.bad ? 0 : writer_len(&w);
}

static struct service_response_entry entry_make(size_t announce_len)
{
	struct service_response_entry entry = {.announce = announce, .update = update};

	entry.announce_len = message_make(announce, sizeof(announce), SERVICE_MESSAGE_ANNOUNCE,
					  announce_len - SERVICE_MESSAGE_HEAD_LEN);
	entry.update_len = message_make(update, sizeof(update), SERVICE_MESSAGE_UPDATE, 10);
	return entry;
}

static int response_pass(uint32_t service)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_message msg = msg_of(SERVICE_MESSAGE_RESPONSE, service, 0);

	offers_response_write(&w, &response);
	msg.payload_len = w.bad ? 0 : writer_len(&w);
	return offers_response_parse(&msg, &heard);
}

static void test_an_answer_is_read_as_written(void)
{
	struct service_response_entry entry = entry_make(120), alone = entry;

	alone.update = NULL;
	alone.update_len = 0;
	offers_response_init(&response, token);
	CHECK(offers_response_add_entry(&response, &entry));
	CHECK(offers_response_add_entry(&response, &alone));
	CHECK(offers_response_add_endorsement(&response, token, 3));
	response.has_more = true;
	CHECK_EQ(response_pass(2), 0);
	CHECK_MEM(heard.token, token, sizeof(token));
	CHECK_EQ(heard.entry_cnt, 2);
	CHECK_EQ(heard.entries[0].announce_len, entry.announce_len);
	CHECK_MEM(heard.entries[0].announce, announce, entry.announce_len);
	CHECK_MEM(heard.entries[0].update, update, entry.update_len);
	CHECK(!heard.entries[1].update);
	CHECK(heard.has_more);
	CHECK_EQ(heard.endorsement_cnt, 1);
	CHECK_MEM(heard.endorsements[0].bytes, token, 3);
	CHECK_EQ(response_pass(OFFERS_ANY_SERVICE), WEFT_EMALFORMED);
	CHECK_EQ(response_pass(3), WEFT_EMALFORMED);
}

static void test_an_answer_has_room_for_100_offers_and_64_endorsements(void)
{
	struct service_response_entry entry = entry_make(120);

	offers_response_init(&response, token);
	for (unsigned i = 0; i < SERVICE_QUERY_RESULTS_MAX; i++)
		CHECK(offers_response_add_entry(&response, &entry));
	CHECK(!offers_response_add_entry(&response, &entry));
	for (unsigned i = 0; i < SERVICE_RESPONSE_ENDORSEMENTS_MAX; i++)
		CHECK(offers_response_add_endorsement(&response, token, 1));
	CHECK(!offers_response_add_endorsement(&response, token, 1));
	CHECK_EQ(response_pass(2), 0);
	CHECK_EQ(heard.entry_cnt, SERVICE_QUERY_RESULTS_MAX);
	CHECK(heard.len > response.len);
	/* One more than there may be, by another hand: 101 entries or 65 endorsements. */
	for (unsigned more = 0; more < 2; more++) {
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct service_message msg = msg_of(SERVICE_MESSAGE_RESPONSE, 2, 0);

		cbor_write_map(&w, 3);
		cbor_field_bytes(&w, 0, token, sizeof(token));
		cbor_write_uint(&w, 1);
		cbor_write_array(&w, SERVICE_QUERY_RESULTS_MAX + !more);
		for (unsigned i = 0; i < SERVICE_QUERY_RESULTS_MAX + !more; i++) {
			cbor_write_array(&w, 1);
			cbor_write_bytes(&w, announce, entry.announce_len);
		}
		cbor_write_uint(&w, 3);
		cbor_write_array(&w, SERVICE_RESPONSE_ENDORSEMENTS_MAX + more);
		for (unsigned i = 0; i < SERVICE_RESPONSE_ENDORSEMENTS_MAX + more; i++)
			cbor_write_bytes(&w, token, 1);
		CHECK(!w.bad);
		msg.payload_len = writer_len(&w);
		CHECK_EQ(offers_response_parse(&msg, &heard), WEFT_EMALFORMED);
	}
}

static void test_an_answer_never_outgrows_a_message(void)
{
	struct service_response_entry entry = entry_make(SERVICE_RESPONSE_ENTRY_LEN_MAX);
	unsigned cnt = 0;

	entry.update = NULL;
	offers_response_init(&response, token);
	CHECK(offers_response_add_entry(&response, &entry));
	CHECK_EQ(response_pass(2), 0);
	CHECK(!offers_response_add_entry(&response, &entry));
	entry = entry_make(SERVICE_MESSAGE_LEN_MAX);
	entry.update = NULL;
	offers_response_init(&response, token);
	CHECK(!offers_response_add_entry(&response, &entry));
	/* The last byte, of an entry and of an endorsement: 27 of the map, 1 and 3 of the entry. */
	for (unsigned over = 0; over < 2; over++) {
		entry = entry_make(SERVICE_MESSAGE_PAYLOAD_MAX - 27 - 4 + over);
		entry.update = NULL;
		offers_response_init(&response, token);
		CHECK_EQ(offers_response_add_entry(&response, &entry), !over);
		entry = entry_make(SERVICE_MESSAGE_PAYLOAD_MAX - 27 - 4 - 11);
		entry.update = NULL;
		offers_response_init(&response, token);
		CHECK(offers_response_add_entry(&response, &entry));
		CHECK_EQ(offers_response_add_endorsement(&response, token, 10 + over), !over);
	}
	/* Small ones until it is full, of each length. */
	for (size_t len = 700; len < 800; len++) {
		entry = entry_make(len);
		offers_response_init(&response, token);
		while (offers_response_add_entry(&response, &entry))
			cnt++;
		while (offers_response_add_endorsement(&response, announce, len % 255 + 1))
			cnt++;
		CHECK_EQ(response_pass(2), 0);
	}
	CHECK(cnt > 100 * 60);
}

static void test_an_endorsement_has_at_most_512_bytes(void)
{
	(void)entry_make(2000);
	offers_response_init(&response, token);
	CHECK(!offers_response_add_endorsement(&response, announce, 0));
	CHECK(offers_response_add_endorsement(&response, announce, 512));
	CHECK(!offers_response_add_endorsement(&response, announce, 513));
	CHECK_EQ(response_pass(2), 0);
	response.endorsements[0].len = 513;
	CHECK_EQ(response_pass(2), WEFT_EMALFORMED);
	response.endorsements[0].len = 0;
	CHECK_EQ(response_pass(2), WEFT_EMALFORMED);
}

/* What may not stand for an Announce or an Update of an entry. */
static void test_an_entry_is_an_announce_and_an_update_of_its_provider(void)
{
	struct service_response_entry entry = entry_make(120), wrong;
	struct node_key *own = key;

	offers_response_init(&response, token);
	CHECK(offers_response_add_entry(&response, &entry));
	wrong = entry;
	wrong.announce = update;
	wrong.announce_len = entry.update_len;
	response.entries[0] = wrong;
	CHECK_EQ(response_pass(2), WEFT_EMALFORMED);
	wrong = entry;
	wrong.update = announce;
	wrong.update_len = entry.announce_len;
	response.entries[0] = wrong;
	CHECK_EQ(response_pass(2), WEFT_EMALFORMED);
	wrong = entry;
	wrong.announce_len--;
	response.entries[0] = wrong;
	CHECK_EQ(response_pass(2), WEFT_EMALFORMED);
	response.entries[0] = entry;
	update[0] = 3; /* another service */
	CHECK_EQ(response_pass(2), WEFT_EMALFORMED);
	CHECK_EQ(response_pass(OFFERS_ANY_SERVICE), WEFT_EMALFORMED);
	key = other;
	message_make(update, sizeof(update), SERVICE_MESSAGE_UPDATE, 10);
	key = own;
	CHECK_EQ(response_pass(2), WEFT_EMALFORMED);
}

static void test_malformed_answers_are_refused(void)
{
	static const struct {
		const char *hex, *why;
	} rows[] = {
		{"a10180", "no token"},
		{"a1" TOKEN, "no entries"},
		{"a2" TOKEN "01a0", "a map"},
		{"a2" TOKEN "018180", "an empty entry"},
		{"a2" TOKEN "018140", "an entry without its array"},
		{"a2" TOKEN "01818140", "an Announce of no bytes"},
		{"a3" TOKEN "018002f4", "more, which is not so"},
		{"a3" TOKEN "01800201", "more, which is a number"},
		{"a3" TOKEN "01800340", "endorsements without an array"},
		{"a2" TOKEN "018000", "a byte behind the map"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service_message msg =
			msg_of(SERVICE_MESSAGE_RESPONSE, 2, hex_parse(rows[i].hex, bytes));
		int got = offers_response_parse(&msg, &heard);

		if (got != WEFT_EMALFORMED)
			printf("# %s\n", rows[i].why);
		CHECK_EQ(got, WEFT_EMALFORMED);
	}
}

static void test_every_cut_of_an_answer_is_refused(void)
{
	struct service_response_entry entry = entry_make(120);
	struct writer w = writer_of(bytes, sizeof(bytes));

	offers_response_init(&response, token);
	CHECK(offers_response_add_entry(&response, &entry));
	CHECK(offers_response_add_endorsement(&response, token, 3));
	offers_response_write(&w, &response);
	for (size_t cut = 0; cut < writer_len(&w); cut++) {
		struct service_message msg = msg_of(SERVICE_MESSAGE_RESPONSE, 2, cut);
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		msg.payload = exact;
		CHECK_EQ(offers_response_parse(&msg, &heard), WEFT_EMALFORMED);
		free(exact);
	}
}

static void test_payloads_are_read_of_their_type_alone(void)
{
	struct service_query query;

	for (unsigned type = 0; type < 256; type++) {
		struct service_message msg =
			msg_of((uint8_t)type, 2, hex_parse("a2" TOKEN "01a0", bytes));

		CHECK_EQ(offers_query_parse(&msg, &query),
			 type == SERVICE_MESSAGE_QUERY ? 0 : WEFT_EMALFORMED);
		msg.payload_len = hex_parse("a2" TOKEN "0180", bytes);
		CHECK_EQ(offers_response_parse(&msg, &heard),
			 type == SERVICE_MESSAGE_RESPONSE ? 0 : WEFT_EMALFORMED);
	}
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other_seed[NODE_KEY_SEED_LEN] = {2};

	if (node_key_from_seed(seed, &key) < 0 || node_key_from_seed(other_seed, &other) < 0)
		return 1;
	hex_parse(TOKEN_HEX, token);
	RUN(test_a_query_has_one_map_of_filters);
	RUN(test_a_query_of_an_experiment_names_its_schema);
	RUN(test_a_query_of_several_services_has_a_map_for_each);
	RUN(test_a_query_of_several_services_becomes_one_of_each);
	RUN(test_the_largest_query_of_several_services_has_room_as_one);
	RUN(test_malformed_queries_are_refused);
	RUN(test_a_query_for_more_than_100_is_one_for_100);
	RUN(test_a_query_has_at_most_4096_bytes);
	RUN(test_every_cut_of_a_query_is_refused);
	RUN(test_an_answer_is_read_as_written);
	RUN(test_an_answer_has_room_for_100_offers_and_64_endorsements);
	RUN(test_an_answer_never_outgrows_a_message);
	RUN(test_an_endorsement_has_at_most_512_bytes);
	RUN(test_an_entry_is_an_announce_and_an_update_of_its_provider);
	RUN(test_malformed_answers_are_refused);
	RUN(test_every_cut_of_an_answer_is_refused);
	RUN(test_payloads_are_read_of_their_type_alone);
	node_key_free(key);
	node_key_free(other);
	return check_done();
}
