/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries for several services. The first relay makes one for each of them, with the one token. Each
 * is counted, answered and led back by itself.
 */
#include "offers/spread/offer_spread.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "offers/message/service_query.h"
#include "support/check.h"
#include "support/spread_node.h"

#define NODES	 6u
#define LAPSE_NS (2 * NS_PER_S)

struct place {
	struct spread_node at;
	uint32_t asked[64], heard[64]; /* services, in order */
	unsigned asked_cnt, heard_cnt;
	bool answers;
	const uint8_t *never; /* messages of service 4 do not go to this key */
};

static struct mesh_lab lab;
static struct random dice;
static struct place places[NODES];
static unsigned place_cnt;
static struct spread_config config;
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

struct bytes {
	uint8_t at[512];
	size_t len;
};

static struct bytes message_of(uint8_t type, uint32_t service, uint8_t hop_cnt,
			       const struct writer *payload)
{
	struct bytes out;
	struct writer w = writer_of(out.at, sizeof(out.at));
	const struct service_message message = {
		.service = service,
		.type = type,
		.hop_cnt = hop_cnt,
		.hop_max = 4,
		.ttl_hours = 1,
		.timestamp_s = mesh_lab_wall_s(&lab),
		.payload = payload->start,
		.payload_len = writer_len(payload),
	};

	offers_message_write(&w, &message);
	out.len = writer_len(&w);
	return out;
}

/* For the services first to first + cnt - 1, as one: of OFFERS_ANY_SERVICE where there are several. */
static struct bytes query_of(uint8_t name, uint32_t first, unsigned cnt, uint8_t hop_cnt)
{
	static const uint8_t no_filter[] = {0xa0};
	const uint8_t token[SPREAD_TOKEN_LEN] = {name};
	struct service_query query = {.token = token, .part_cnt = cnt, .result_max = 20};
	uint32_t service = cnt > 1 ? OFFERS_ANY_SERVICE : first;
	uint8_t payload[128];
	struct writer w = writer_of(payload, sizeof(payload));

	for (unsigned i = 0; i < cnt; i++)
		query.parts[i] = (struct service_query_part){first + i, no_filter, 1};
	offers_query_write(&w, service, &query);
	return message_of(SERVICE_MESSAGE_QUERY, service, hop_cnt, &w);
}

static struct bytes response_of(const uint8_t *token, uint32_t service)
{
	static struct service_response response;
	uint8_t payload[128];
	struct writer w = writer_of(payload, sizeof(payload));

	offers_response_init(&response, token);
	offers_response_write(&w, &response);
	return message_of(SERVICE_MESSAGE_RESPONSE, service, 0, &w);
}

/* --- nodes --- */

static void on_query(void *ctx, const struct spread_message *query, const uint8_t *token)
{
	struct place *place = ctx;
	struct bytes response;

	if (place->asked_cnt == 64)
		abort();
	place->asked[place->asked_cnt++] = query->parsed->service;
	if (!place->answers)
		return;
	response = response_of(token, query->parsed->service);
	CHECK(offers_spread_respond(place->at.spread, token, response.at, response.len,
				    lab.now_ns));
}

static void on_hear(void *ctx, const struct spread_message *message,
		    const struct service_response *response)
{
	struct place *place = ctx;

	if (place->heard_cnt == 64 || response->token[1] != 0)
		abort();
	place->heard[place->heard_cnt++] = message->parsed->service;
}

static enum spread_rank on_rank(void *ctx, uint32_t service, const uint8_t *peer)
{
	const struct place *place = ctx;

	return service == 4 && place->never && memcmp(peer, place->never, MESH_KEY_LEN) == 0
		       ? SPREAD_RANK_NEVER
		       : SPREAD_RANK_USUAL;
}

static struct place *place_add(uint32_t caps)
{
	struct place *place = &places[place_cnt++];
	const struct spread_params params = {
		.config = config,
		.handler = {.answer = on_query, .hear = on_hear, .rank = on_rank, .ctx = place},
		.random = &dice,
	};

	*place = (struct place){.asked_cnt = 0};
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

static int tell(struct place *from, const struct place *to, const struct bytes *message)
{
	static struct mesh_lab_ask asked;

	mesh_lab_ask(from->at.node, to->at.node, MESH_SERVICE_MESSAGE, message->at, message->len,
		     &asked);
	return asked.reply.err;
}

/* A message that has come too far, so that only the session remains of it. */
static void meet(struct place *from, const struct place *to)
{
	const struct bytes far = query_of(0xff, 9, 1, 4);

	CHECK_EQ(tell(from, to, &far), WEFT_EREFUSED);
}

static void line_begin(unsigned cnt)
{
	begin(cnt);
	for (unsigned i = 1; i < cnt; i++)
		meet(&places[i - 1], &places[i]);
}

static void settle(void)
{
	for (unsigned i = 0; i < place_cnt; i++)
		places[i].at.node->due_ns = 0;
	(void)mesh_lab_run(&lab, LAPSE_NS, NULL, NULL);
}

static int ask(struct place *place, const struct bytes *query)
{
	int cnt = offers_spread_query(place->at.spread, query->at, query->len, lab.now_ns);

	settle();
	return cnt;
}

static uint64_t sent_cnt(void)
{
	uint64_t cnt = 0;

	for (unsigned i = 0; i < place_cnt; i++)
		cnt += stats_of(&places[i]).sent_cnt;
	return cnt;
}

static bool has_services(const uint32_t *services, unsigned cnt, uint32_t first, unsigned want_cnt)
{
	uint32_t seen = 0;

	for (unsigned i = 0; i < cnt; i++)
		seen |= 1u << services[i];
	return cnt == want_cnt && seen == ((1u << want_cnt) - 1) << first;
}

/* --- one query --- */

static void test_the_first_relay_asks_for_each_service_and_answers_walk_back(void)
{
	static const struct {
		unsigned cnt;
		uint8_t hop_cnt;
		uint64_t sent_cnt; /* queries of either hop, then answers by one hop and by two */
	} rows[] = {
		{2, 0, 1 + 2 + 2 + 2 * 2},
		{4, 0, 1 + 4 + 4 + 2 * 4},
		/* The consumer sent it as if it came from a relay. */
		{2, 1, 2 + 2 + 2 + 2 * 2},
		{4, 1, 4 + 4 + 4 + 2 * 4},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bytes query;

		line_begin(3);
		places[1].answers = places[2].answers = true;
		query = query_of(9, 2, rows[i].cnt, rows[i].hop_cnt);
		CHECK_EQ(ask(&places[0], &query), 1);
		CHECK(has_services(places[1].asked, places[1].asked_cnt, 2, rows[i].cnt));
		CHECK(has_services(places[2].asked, places[2].asked_cnt, 2, rows[i].cnt));
		CHECK_EQ(places[0].heard_cnt, 2 * rows[i].cnt);
		CHECK_EQ(places[0].asked_cnt, 0);
		/* One more each was the meeting. No relay but the first had it as one message. */
		CHECK_EQ(stats_of(&places[1]).received_cnt,
			 1 + (rows[i].hop_cnt ? rows[i].cnt : 1) + rows[i].cnt);
		CHECK_EQ(stats_of(&places[2]).received_cnt, 1 + rows[i].cnt);
		CHECK_EQ(sent_cnt(), rows[i].sent_cnt);
		printf("# three nodes, a query for %u services with hop count %u: %llu messages\n",
		       rows[i].cnt, rows[i].hop_cnt, (unsigned long long)sent_cnt());
		end_all();
	}
}

static void test_in_a_ring_each_node_is_asked_once_for_each_service(void)
{
	struct bytes query;

	begin(6);
	for (unsigned i = 0; i < 6; i++)
		meet(&places[i], &places[(i + 1) % 6]);
	for (unsigned i = 1; i < 6; i++)
		places[i].answers = true;
	query = query_of(9, 2, 3, 0);
	CHECK_EQ(ask(&places[0], &query), 2);
	for (unsigned i = 1; i < 6; i++)
		CHECK(has_services(places[i].asked, places[i].asked_cnt, 2, 3));
	CHECK_EQ(places[0].heard_cnt, 5 * 3);
	end_all();
}

/* A query of one service came by one neighbour, and that of two with the same token by another. */
static void test_each_service_of_a_token_has_a_way_back_of_its_own(void)
{
	const uint8_t token[SPREAD_TOKEN_LEN] = {9};
	struct bytes query, response;

	begin(1);
	for (unsigned i = 0; i < 2; i++)
		(void)place_add(0);
	query = query_of(9, 2, 1, 1);
	CHECK_EQ(tell(&places[1], &places[0], &query), 0);
	query = query_of(9, 2, 2, 0);
	CHECK_EQ(tell(&places[2], &places[0], &query), 0);
	CHECK(has_services(places[0].asked, places[0].asked_cnt, 2, 2));
	CHECK_EQ(stats_of(&places[0]).token_cnt, 2);
	for (uint32_t service = 2; service <= 4; service++) {
		response = response_of(token, service);
		CHECK_EQ(offers_spread_respond(places[0].at.spread, token, response.at,
					       response.len, lab.now_ns),
			 service < 4);
	}
	settle();
	/* Neither has asked itself, so each counts what came as lost. */
	CHECK_EQ(stats_of(&places[1]).lost_cnt, 1);
	CHECK_EQ(stats_of(&places[2]).lost_cnt, 1);
	end_all();
}

static void test_an_answer_of_a_service_that_was_not_asked_for_is_lost(void)
{
	const uint8_t token[SPREAD_TOKEN_LEN] = {9};
	struct bytes query, response;

	line_begin(2);
	query = query_of(9, 2, 2, 0);
	CHECK_EQ(ask(&places[0], &query), 1);
	for (uint32_t service = 1; service <= 4; service++) {
		response = response_of(token, service);
		CHECK_EQ(tell(&places[1], &places[0], &response), 0);
	}
	CHECK(has_services(places[0].heard, places[0].heard_cnt, 2, 2));
	CHECK_EQ(stats_of(&places[0]).lost_cnt, 2);
	/* No message of all services is an answer. */
	response = response_of(token, OFFERS_ANY_SERVICE);
	CHECK_EQ(tell(&places[1], &places[0], &response), WEFT_EMALFORMED);
	end_all();
}

static void test_a_neighbour_that_is_wrong_for_a_service_does_not_get_the_whole(void)
{
	struct bytes query;

	line_begin(2);
	places[0].never = places[1].at.node->key;
	query = query_of(9, 3, 2, 0);
	CHECK_EQ(ask(&places[0], &query), 1);
	CHECK(has_services(places[1].asked, places[1].asked_cnt, 3, 1));
	end_all();
}

/* --- bad input --- */

static void test_malformed_queries_for_several_services_are_refused_and_ask_nothing(void)
{
	static const struct {
		unsigned at;
		uint8_t byte;
		const char *why;
	} rows[] = {
		/* a3 00 50 token 01 82 82 02 a0 82 03 a0 02 14, behind the head */
		{25, 0x02, "a service twice"},
		{25, 0x01, "services that descend"},
		{21, 0x85, "five services, of which three are missing"},
		{20, 0x80, "none"},
		{23, 0x80, "filters that are no map"},
	};
	struct bytes query;

	begin(1);
	(void)place_add(0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		query = query_of((uint8_t)(1 + i), 2, 2, 0);
		query.at[SERVICE_MESSAGE_HEAD_LEN + rows[i].at] = rows[i].byte;
		if (tell(&places[1], &places[0], &query) != WEFT_EMALFORMED)
			printf("# %s\n", rows[i].why);
		CHECK_EQ(stats_of(&places[0]).malformed_cnt, i + 1);
	}
	CHECK_EQ(places[0].asked_cnt, 0);
	CHECK_EQ(stats_of(&places[0]).token_cnt, 0);
	query = query_of(99, 2, 2, 0);
	CHECK_EQ(tell(&places[1], &places[0], &query), 0);
	CHECK_EQ(places[0].asked_cnt, 2);
	end_all();
}

/* --- limits --- */

static void test_each_service_of_a_query_counts(void)
{
	struct bytes query;

	begin(0);
	config.queries_per_min = 5;
	(void)place_add(MESH_CAP_SERVICE_RELAY);
	(void)place_add(0);
	for (unsigned i = 0; i < config.queries_per_min; i++) {
		query = query_of((uint8_t)(1 + i), 2, 1, 0);
		CHECK_EQ(tell(&places[1], &places[0], &query), 0);
	}
	/* Service 2 has its number, 3 has not: that one is asked. */
	for (unsigned i = 0; i < config.queries_per_min; i++) {
		query = query_of((uint8_t)(20 + i), 2, 2, 0);
		CHECK_EQ(tell(&places[1], &places[0], &query), 0);
		CHECK_EQ(places[0].asked_cnt, config.queries_per_min + i + 1);
		CHECK_EQ(places[0].asked[places[0].asked_cnt - 1], 3);
	}
	query = query_of(40, 2, 2, 0);
	CHECK_EQ(tell(&places[1], &places[0], &query), WEFT_EREFUSED);
	CHECK_EQ(places[0].asked_cnt, 2 * config.queries_per_min);
	CHECK_EQ(stats_of(&places[0]).rate_cnt, config.queries_per_min + 2);
	end_all();
}

static void test_a_relay_has_its_number_for_the_services_of_all_its_queries(void)
{
	struct bytes query;

	begin(0);
	config.relayed_per_min = 8;
	for (unsigned i = 0; i < 2; i++)
		(void)place_add(MESH_CAP_SERVICE_RELAY);
	for (unsigned i = 0; i < 2; i++) {
		query = query_of((uint8_t)(1 + i), 2, 4, 0);
		CHECK_EQ(tell(&places[1], &places[0], &query), 0);
	}
	query = query_of(3, 2, 4, 0);
	CHECK_EQ(tell(&places[1], &places[0], &query), WEFT_EREFUSED);
	CHECK_EQ(places[0].asked_cnt, 8);
	end_all();
}

static void test_queries_of_this_node_take_a_place_for_each_service(void)
{
	const uint8_t token[SPREAD_TOKEN_LEN] = {5};
	struct bytes query;

	begin(1);
	for (unsigned i = 0; i < 15; i++) {
		query = query_of((uint8_t)(1 + i), 2, 4, 0);
		CHECK_EQ(ask(&places[0], &query), 0);
	}
	query = query_of(50, 2, 1, 0);
	CHECK_EQ(ask(&places[0], &query), 0);
	/* Three places are left, which is one too few, and stay so. */
	query = query_of(51, 2, 4, 0);
	CHECK_EQ(ask(&places[0], &query), WEFT_EFULL);
	CHECK_EQ(stats_of(&places[0]).token_cnt, 61);
	query = query_of(52, 2, 3, 0);
	CHECK_EQ(ask(&places[0], &query), 0);
	query = query_of(53, 2, 1, 0);
	CHECK_EQ(ask(&places[0], &query), WEFT_EFULL);
	offers_spread_query_end(places[0].at.spread, token);
	CHECK_EQ(stats_of(&places[0]).token_cnt, 60);
	/* A token that is there is no new query. */
	query = query_of(6, 5, 2, 0);
	CHECK_EQ(ask(&places[0], &query), WEFT_EMALFORMED);
	CHECK_EQ(stats_of(&places[0]).token_cnt, 60);
	end_all();
}

int main(void)
{
	RUN(test_the_first_relay_asks_for_each_service_and_answers_walk_back);
	RUN(test_in_a_ring_each_node_is_asked_once_for_each_service);
	RUN(test_each_service_of_a_token_has_a_way_back_of_its_own);
	RUN(test_an_answer_of_a_service_that_was_not_asked_for_is_lost);
	RUN(test_a_neighbour_that_is_wrong_for_a_service_does_not_get_the_whole);
	RUN(test_malformed_queries_for_several_services_are_refused_and_ask_nothing);
	RUN(test_each_service_of_a_query_counts);
	RUN(test_a_relay_has_its_number_for_the_services_of_all_its_queries);
	RUN(test_queries_of_this_node_take_a_place_for_each_service);
	return check_done();
}
