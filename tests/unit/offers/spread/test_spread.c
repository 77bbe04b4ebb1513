/* SPDX-License-Identifier: Apache-2.0 */
/* Service messages from neighbour to neighbour: how far they go, how often, and how many a neighbour may send. */
#include "offers/spread/offer_spread.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "offers/message/service_query.h"
#include "support/check.h"
#include "support/spread_node.h"

#define NODES	  12u
#define LAPSE_NS  (2 * NS_PER_S)
#define SERVICE	  2u
#define TTL_HOURS 72u

struct place {
	struct spread_node at;
	uint8_t seen[64][16]; /* payloads of announces, in order */
	unsigned seen_cnt;    /* announces that were new here */
	unsigned handed_cnt;  /* announces that the handler got */
	unsigned asked_cnt, heard_cnt;
	bool answers;
};

static struct mesh_lab lab;
static struct random dice;
static struct place places[NODES];
static unsigned place_cnt;
static struct spread_config config;
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

/* --- messages --- */

struct bytes {
	uint8_t at[512];
	size_t len;
};

static const uint8_t signature[NODE_KEY_SIG_LEN] = {1};

static struct bytes message_of(struct service_message message, const void *payload, size_t len)
{
	struct bytes out;
	struct writer w = writer_of(out.at, sizeof(out.at));

	message.service = SERVICE;
	message.version = 1;
	message.ttl_hours = TTL_HOURS;
	if (!message.timestamp_s)
		message.timestamp_s = mesh_lab_wall_s(&lab);
	message.payload = payload;
	message.payload_len = len;
	offers_message_write(&w, &message);
	out.len = writer_len(&w);
	return out;
}

/* An announce whose payload is 16 bytes that name it. */
static struct bytes announce_of(uint8_t name, uint8_t hop_cnt, uint8_t hop_max)
{
	const uint8_t payload[16] = {name};
	const uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN] = {name, 1};

	return message_of((struct service_message){.type = SERVICE_MESSAGE_ANNOUNCE,
						   .provider = provider,
						   .signature = signature,
						   .hop_cnt = hop_cnt,
						   .hop_max = hop_max},
			  payload, sizeof(payload));
}

static struct bytes query_of(uint8_t name, uint8_t hop_max)
{
	static const uint8_t no_filter[] = {0xa0};
	const uint8_t token[SPREAD_TOKEN_LEN] = {name};
	const struct service_query query = {
		.token = token,
		.parts = {{.service = SERVICE, .filters = no_filter, .filters_len = 1}},
		.part_cnt = 1,
		.result_max = 20,
	};
	uint8_t payload[128];
	struct writer w = writer_of(payload, sizeof(payload));

	offers_query_write(&w, SERVICE, &query);
	return message_of(
		(struct service_message){.type = SERVICE_MESSAGE_QUERY, .hop_max = hop_max},
		payload, writer_len(&w));
}

static struct bytes response_of(const uint8_t *token)
{
	static struct service_response response;
	uint8_t payload[128];
	struct writer w = writer_of(payload, sizeof(payload));

	offers_response_init(&response, token);
	offers_response_write(&w, &response);
	return message_of((struct service_message){.type = SERVICE_MESSAGE_RESPONSE, .hop_max = 16},
			  payload, writer_len(&w));
}

/* --- nodes --- */

static enum spread_verdict on_keep(void *ctx, const struct spread_message *heard,
				   const char **out_why)
{
	const struct service_message *message = heard->parsed;
	struct place *place = ctx;

	place->handed_cnt++;
	if (message->payload_len != 16) {
		*out_why = "no payload of this test";
		return SPREAD_REFUSED;
	}
	for (unsigned i = 0; i < place->seen_cnt; i++)
		if (memcmp(place->seen[i], message->payload, 16) == 0)
			return SPREAD_KNOWN;
	if (place->seen_cnt == 64)
		abort();
	memcpy(place->seen[place->seen_cnt++], message->payload, 16);
	return SPREAD_NEW;
}

static void on_query(void *ctx, const struct spread_message *query, const uint8_t *token)
{
	struct place *place = ctx;
	struct bytes response;

	(void)query;
	place->asked_cnt++;
	if (!place->answers)
		return;
	response = response_of(token);
	CHECK(offers_spread_respond(place->at.spread, token, response.at, response.len,
				    lab.now_ns));
}

static void on_hear(void *ctx, const struct spread_message *message,
		    const struct service_response *response)
{
	struct place *place = ctx;

	if (message->parsed->type != SERVICE_MESSAGE_RESPONSE || response->token[1] != 0)
		abort();
	place->heard_cnt++;
}

static struct place *place_add(uint32_t caps)
{
	struct place *place = &places[place_cnt++];
	const struct spread_params params = {
		.config = config,
		.handler = {.keep = on_keep, .answer = on_query, .hear = on_hear, .ctx = place},
		.random = &dice,
	};

	*place = (struct place){.seen_cnt = 0};
	spread_node_add(&lab, &params, &place->at);
	place->at.node->caps = caps;
	return place;
}

static void begin(unsigned cnt)
{
	random_init_seeded(&dice, 7);
	mesh_lab_init(&lab, 4, NODES, &calm);
	lab.idle_ns = 1000000 * NS_PER_S;
	place_cnt = 0;
	offers_spread_config_defaults(&config);
	for (unsigned i = 0; i < cnt; i++)
		(void)place_add(MESH_CAP_SERVICE_RELAY);
}

static void end_all(void)
{
	for (unsigned i = 0; i < place_cnt; i++)
		spread_node_free(&places[i].at);
	mesh_lab_fini(&lab);
}

static struct spread_stats stats_of(const struct place *place)
{
	struct spread_stats stats;

	offers_spread_stats(place->at.spread, &stats);
	return stats;
}

/* What a neighbour says to a message; afterwards both have a session. */
static struct mesh_lab_ask asked;

static int tell(struct place *from, const struct place *to, const struct bytes *message)
{
	mesh_lab_ask(from->at.node, to->at.node, MESH_SERVICE_MESSAGE, message->at, message->len,
		     &asked);
	return asked.reply.err;
}

/* A message that has come too far, so that only the session remains of it. */
static void meet(struct place *from, const struct place *to)
{
	const struct bytes far = announce_of(0xff, 4, 4);

	CHECK_EQ(tell(from, to, &far), WEFT_EREFUSED);
}

/* Time passes. What the test made a node do outside of its turns is looked at first. */
static void settle(void)
{
	for (unsigned i = 0; i < place_cnt; i++)
		places[i].at.node->due_ns = 0;
	(void)mesh_lab_run(&lab, LAPSE_NS, NULL, NULL);
}

static void say(struct place *place, const struct bytes *message)
{
	(void)offers_spread_announce(place->at.spread, message->at, message->len, lab.now_ns);
	settle();
}

/* --- announces --- */

static void test_in_a_line_of_ten_a_message_of_four_hops_reaches_four_nodes(void)
{
	struct bytes announce;

	begin(10);
	for (unsigned i = 1; i < 10; i++)
		meet(&places[i - 1], &places[i]);
	announce = announce_of(1, 0, 4);
	say(&places[0], &announce);
	for (unsigned i = 1; i < 10; i++)
		CHECK_EQ(places[i].seen_cnt, i <= 4);
	/* The sender's own limit is above the policy of the nodes on the way. */
	announce = announce_of(2, 0, 255);
	say(&places[0], &announce);
	for (unsigned i = 1; i < 10; i++)
		CHECK_EQ(places[i].seen_cnt, i <= 4 ? 2 : 0);
	end_all();
}

static void test_in_a_ring_of_six_each_node_keeps_a_message_once(void)
{
	struct bytes announce;

	begin(6);
	for (unsigned i = 0; i < 6; i++)
		meet(&places[i], &places[(i + 1) % 6]);
	announce = announce_of(1, 0, 4);
	places[0].seen_cnt = 1; /* its own */
	memcpy(places[0].seen[0], announce.at + SERVICE_MESSAGE_HEAD_LEN, 16);
	say(&places[0], &announce);
	for (unsigned i = 0; i < 6; i++) {
		CHECK_EQ(places[i].seen_cnt, 1);
		CHECK(places[i].handed_cnt <= 2);
	}
	end_all();
}

static void test_a_message_goes_to_as_many_neighbours_as_the_fan_out(void)
{
	struct bytes announce;
	unsigned seen_cnt = 0;

	begin(0);
	config.fan_out = 3;
	for (unsigned i = 0; i < 11; i++)
		(void)place_add(MESH_CAP_SERVICE_RELAY);
	for (unsigned i = 1; i < 11; i++)
		meet(&places[0], &places[i]);
	announce = announce_of(1, 0, 1);
	CHECK_EQ(offers_spread_announce(places[0].at.spread, announce.at, announce.len, lab.now_ns),
		 3);
	settle();
	for (unsigned i = 1; i < 11; i++)
		seen_cnt += places[i].seen_cnt;
	CHECK_EQ(seen_cnt, 3);
	CHECK_EQ(stats_of(&places[0]).sent_cnt, 3);
	CHECK_EQ(stats_of(&places[0]).send_cnt, 0);
	end_all();
}

static void test_a_neighbour_that_is_no_service_relay_gets_nothing(void)
{
	struct bytes announce;

	begin(1);
	(void)place_add(MESH_CAP_CONTENT_SEED);
	meet(&places[0], &places[1]);
	announce = announce_of(1, 0, 4);
	CHECK_EQ(offers_spread_announce(places[0].at.spread, announce.at, announce.len, lab.now_ns),
		 0);
	settle();
	CHECK_EQ(places[1].seen_cnt, 0);
	end_all();
}

static void test_what_is_no_message_is_refused(void)
{
	struct bytes announce;

	begin(2);
	announce = announce_of(1, 0, 4);
	announce.len--;
	CHECK_EQ(tell(&places[0], &places[1], &announce), WEFT_EMALFORMED);
	CHECK_EQ(stats_of(&places[1]).malformed_cnt, 1);
	CHECK_EQ(places[1].handed_cnt, 0);
	end_all();
}

static void test_a_message_from_the_future_or_from_long_ago_is_refused(void)
{
	const uint8_t payload[16] = {1};
	const uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN] = {1};
	struct service_message message = {.type = SERVICE_MESSAGE_ANNOUNCE,
					  .provider = provider,
					  .signature = signature,
					  .hop_max = 4};
	struct bytes announce;

	begin(2);
	message.timestamp_s = mesh_lab_wall_s(&lab) + 302;
	announce = message_of(message, payload, sizeof(payload));
	CHECK_EQ(tell(&places[0], &places[1], &announce), WEFT_EREFUSED);
	message.timestamp_s = mesh_lab_wall_s(&lab) - TTL_HOURS * 3600 - 1;
	announce = message_of(message, payload, sizeof(payload));
	CHECK_EQ(tell(&places[0], &places[1], &announce), WEFT_EREFUSED);
	CHECK_EQ(stats_of(&places[1]).time_cnt, 2);
	CHECK_EQ(places[1].handed_cnt, 0);
	end_all();
}

static void test_what_the_handler_refuses_is_answered_with_its_reason_and_goes_nowhere(void)
{
	struct bytes announce;

	begin(3);
	meet(&places[0], &places[1]);
	meet(&places[1], &places[2]);
	announce = announce_of(1, 0, 4);
	announce.at[6]--; /* the length */
	announce.len--;
	CHECK_EQ(tell(&places[0], &places[1], &announce), WEFT_EREFUSED);
	settle();
	CHECK_EQ(stats_of(&places[1]).dropped_cnt, 1);
	CHECK_EQ(places[2].handed_cnt, 0);
	end_all();
}

static void test_a_neighbour_sends_its_number_of_announces_in_a_minute_and_not_one_more(void)
{
	struct bytes announce;

	begin(1);
	(void)place_add(0); /* no relay */
	for (unsigned i = 0; i < config.announces_per_min; i++) {
		announce = announce_of((uint8_t)i, 0, 4);
		CHECK_EQ(tell(&places[1], &places[0], &announce), 0);
	}
	announce = announce_of(99, 0, 4);
	CHECK_EQ(tell(&places[1], &places[0], &announce), WEFT_EREFUSED);
	CHECK_EQ(asked.reply.not_before_ns, 0); /* it would bar queries and answers, too */
	CHECK_EQ(stats_of(&places[0]).rate_cnt, 1);
	(void)mesh_lab_run(&lab, 70 * NS_PER_S, NULL, NULL);
	CHECK_EQ(tell(&places[1], &places[0], &announce), 0);
	end_all();
}

static void test_no_provider_has_more_announces_through_a_relay_than_by_itself(void)
{
	const uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN] = {5};
	struct bytes announce;

	begin(2);
	for (unsigned i = 0; i <= config.announces_per_min; i++) {
		const uint8_t payload[16] = {(uint8_t)i};

		announce = message_of((struct service_message){.type = SERVICE_MESSAGE_ANNOUNCE,
							       .provider = provider,
							       .signature = signature,
							       .hop_max = 4},
				      payload, sizeof(payload));
		CHECK_EQ(tell(&places[1], &places[0], &announce),
			 i < config.announces_per_min ? 0 : WEFT_EREFUSED);
	}
	/* That of another provider comes through. */
	announce = announce_of(77, 0, 4);
	CHECK_EQ(tell(&places[1], &places[0], &announce), 0);
	end_all();
}

static void test_a_neighbour_asks_its_number_of_queries_in_a_minute_and_not_one_more(void)
{
	struct bytes query;

	begin(1);
	(void)place_add(0);
	for (unsigned i = 0; i <= config.queries_per_min; i++) {
		query = query_of((uint8_t)(1 + i), 4);
		CHECK_EQ(tell(&places[1], &places[0], &query),
			 i < config.queries_per_min ? 0 : WEFT_EREFUSED);
	}
	CHECK_EQ(places[0].asked_cnt, config.queries_per_min);
	end_all();
}

/* Nothing says how such a message is proved. */
static void test_a_type_that_is_not_known_is_counted_and_goes_nowhere(void)
{
	const uint8_t payload[16] = {1};
	struct bytes bytes = message_of((struct service_message){.type = 9, .hop_max = 4}, payload,
					sizeof(payload));

	begin(2);
	(void)place_add(MESH_CAP_SERVICE_RELAY);
	for (unsigned i = 0; i <= config.relayed_per_min; i++)
		CHECK_EQ(tell(&places[0], &places[1], &bytes),
			 i < config.relayed_per_min ? 0 : WEFT_EREFUSED);
	settle();
	CHECK_EQ(stats_of(&places[1]).ignored_cnt, config.relayed_per_min);
	CHECK_EQ(places[1].handed_cnt, 0);
	CHECK_EQ(stats_of(&places[2]).received_cnt, 0);
	end_all();
}

/* --- queries --- */

static void test_a_response_walks_back_the_way_of_its_query(void)
{
	struct bytes query;

	begin(4);
	for (unsigned i = 1; i < 4; i++)
		meet(&places[i - 1], &places[i]);
	places[3].answers = true;
	query = query_of(9, 4);
	CHECK_EQ(offers_spread_query(places[0].at.spread, query.at, query.len, lab.now_ns), 1);
	settle();
	for (unsigned i = 1; i < 4; i++)
		CHECK_EQ(places[i].asked_cnt, 1);
	CHECK_EQ(places[0].heard_cnt, 1);
	CHECK_EQ(stats_of(&places[1]).returned_cnt, 1);
	CHECK_EQ(stats_of(&places[2]).returned_cnt, 1);
	CHECK_EQ(places[1].heard_cnt + places[2].heard_cnt, 0);
	end_all();
}

static void test_a_query_that_comes_round_is_asked_once(void)
{
	struct bytes query;

	begin(6);
	for (unsigned i = 0; i < 6; i++)
		meet(&places[i], &places[(i + 1) % 6]);
	for (unsigned i = 1; i < 6; i++)
		places[i].answers = true;
	query = query_of(9, 4);
	CHECK_EQ(offers_spread_query(places[0].at.spread, query.at, query.len, lab.now_ns), 2);
	settle();
	for (unsigned i = 1; i < 6; i++)
		CHECK_EQ(places[i].asked_cnt, 1);
	CHECK_EQ(places[0].asked_cnt, 0);
	CHECK_EQ(places[0].heard_cnt, 5);
	end_all();
}

static void test_a_response_to_a_token_of_another_node_is_lost(void)
{
	const uint8_t token[SPREAD_TOKEN_LEN] = {44};
	struct bytes response;

	begin(2);
	response = response_of(token);
	CHECK_EQ(tell(&places[1], &places[0], &response), 0);
	CHECK_EQ(stats_of(&places[0]).lost_cnt, 1);
	CHECK_EQ(places[0].heard_cnt, 0);
	end_all();
}

static void test_a_token_lives_for_a_minute_or_until_its_query_ends(void)
{
	const uint8_t token[SPREAD_TOKEN_LEN] = {9};
	struct bytes query, response;

	begin(2);
	meet(&places[0], &places[1]);
	query = query_of(9, 4);
	response = response_of(token);
	CHECK_EQ(offers_spread_query(places[0].at.spread, query.at, query.len, lab.now_ns), 1);
	(void)mesh_lab_run(&lab, SPREAD_TOKEN_LIFE_NS - NS_PER_S, NULL, NULL);
	CHECK_EQ(tell(&places[1], &places[0], &response), 0);
	CHECK_EQ(places[0].heard_cnt, 1);
	(void)mesh_lab_run(&lab, 2 * NS_PER_S, NULL, NULL);
	CHECK_EQ(tell(&places[1], &places[0], &response), 0);
	CHECK_EQ(places[0].heard_cnt, 1);
	CHECK_EQ(stats_of(&places[0]).token_cnt, 0);
	/* One that the asker ends lives no longer. */
	query = query_of(9, 4);
	CHECK_EQ(offers_spread_query(places[0].at.spread, query.at, query.len, lab.now_ns), 1);
	offers_spread_query_end(places[0].at.spread, token);
	response = response_of(token);
	CHECK_EQ(tell(&places[1], &places[0], &response), 0);
	CHECK_EQ(places[0].heard_cnt, 1);
	end_all();
}

static void test_one_query_of_this_node_more_than_there_are_places_is_refused(void)
{
	struct bytes query;

	begin(1);
	for (unsigned i = 0; i < 64; i++) {
		query = query_of((uint8_t)(1 + i), 4);
		CHECK_EQ(offers_spread_query(places[0].at.spread, query.at, query.len, lab.now_ns),
			 0);
	}
	query = query_of(100, 4);
	CHECK_EQ(offers_spread_query(places[0].at.spread, query.at, query.len, lab.now_ns),
		 WEFT_EFULL);
	end_all();
}

/* --- shares --- */

static void test_the_tokens_of_one_neighbour_leave_places_for_another(void)
{
	struct bytes query;

	begin(0);
	config.token_cap = 64;
	config.queries_per_min = 1000;
	for (unsigned i = 0; i < 3; i++)
		(void)place_add(0);
	for (unsigned i = 0; i < 100; i++) {
		query = query_of((uint8_t)(1 + i), 4);
		CHECK_EQ(tell(&places[1], &places[0], &query), 0);
	}
	CHECK_EQ(stats_of(&places[0]).token_cnt, 64);
	query = query_of(200, 4);
	CHECK_EQ(tell(&places[2], &places[0], &query), 0);
	/* Those that were too many made room for each other, and the last for the other neighbour. */
	CHECK_EQ(stats_of(&places[0]).evicted_cnt, 100 - 64 + 1);
	CHECK_EQ(stats_of(&places[0]).token_cnt, 64);
	end_all();
}

static void test_a_neighbour_that_is_slow_has_its_number_of_messages_on_their_way(void)
{
	struct bytes announce;

	begin(2);
	meet(&places[0], &places[1]);
	mesh_lab_down(places[1].at.node);
	for (unsigned i = 0; i <= SPREAD_SENDS_PER_PEER; i++) {
		announce = announce_of((uint8_t)i, 0, 4);
		CHECK_EQ(offers_spread_announce(places[0].at.spread, announce.at, announce.len,
						lab.now_ns),
			 i < SPREAD_SENDS_PER_PEER);
	}
	CHECK_EQ(stats_of(&places[0]).full_cnt, 1);
	CHECK_EQ(stats_of(&places[0]).send_cnt, SPREAD_SENDS_PER_PEER);
	settle();
	(void)mesh_lab_run(&lab, 11 * NS_PER_S, NULL, NULL);
	CHECK_EQ(stats_of(&places[0]).send_cnt, 0);
	CHECK_EQ(stats_of(&places[0]).unsent_cnt, SPREAD_SENDS_PER_PEER);
	end_all();
}

int main(void)
{
	RUN(test_in_a_line_of_ten_a_message_of_four_hops_reaches_four_nodes);
	RUN(test_in_a_ring_of_six_each_node_keeps_a_message_once);
	RUN(test_a_message_goes_to_as_many_neighbours_as_the_fan_out);
	RUN(test_a_neighbour_that_is_no_service_relay_gets_nothing);
	RUN(test_what_is_no_message_is_refused);
	RUN(test_a_message_from_the_future_or_from_long_ago_is_refused);
	RUN(test_what_the_handler_refuses_is_answered_with_its_reason_and_goes_nowhere);
	RUN(test_a_neighbour_sends_its_number_of_announces_in_a_minute_and_not_one_more);
	RUN(test_no_provider_has_more_announces_through_a_relay_than_by_itself);
	RUN(test_a_neighbour_asks_its_number_of_queries_in_a_minute_and_not_one_more);
	RUN(test_a_type_that_is_not_known_is_counted_and_goes_nowhere);
	RUN(test_a_response_walks_back_the_way_of_its_query);
	RUN(test_a_query_that_comes_round_is_asked_once);
	RUN(test_a_response_to_a_token_of_another_node_is_lost);
	RUN(test_a_token_lives_for_a_minute_or_until_its_query_ends);
	RUN(test_one_query_of_this_node_more_than_there_are_places_is_refused);
	RUN(test_the_tokens_of_one_neighbour_leave_places_for_another);
	RUN(test_a_neighbour_that_is_slow_has_its_number_of_messages_on_their_way);
	return check_done();
}
