/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to providers: Reserves go from neighbour to neighbour, and are kept where no session leads on. */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "offers/message/service_query.h"
#include "offers/spread/offer_spread.h"
#include "support/check.h"
#include "support/spread_node.h"

#define NODES	    20u
#define LAPSE_NS    (2 * NS_PER_S)
#define LONG_NS	    (30 * NS_PER_S)
#define LAB_STEP_NS NS_PER_MS

struct place {
	struct spread_node at;
	unsigned kept_cnt, reserved_cnt, stranded_cnt;
	uint8_t stranded_from[MESH_KEY_LEN];
	uint64_t reserved_ns; /* when the last one came */
	bool refuses, keeps;
	enum spread_verdict kept;
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

static const uint8_t signature[NODE_KEY_SIG_LEN] = {1};

static struct bytes message_of(struct service_message message, const uint8_t *provider)
{
	static const uint8_t payload[16] = {1};
	struct bytes out;
	struct writer w = writer_of(out.at, sizeof(out.at));

	message.service = 2;
	message.version = 1;
	message.ttl_hours = 72;
	message.provider = provider;
	message.timestamp_s = mesh_lab_wall_s(&lab);
	message.payload = payload;
	message.payload_len = sizeof(payload);
	offers_message_write(&w, &message);
	out.len = writer_len(&w);
	return out;
}

static struct bytes announce_of(const struct place *place)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	offers_address(place->at.node->key, address);
	return message_of((struct service_message){.type = SERVICE_MESSAGE_ANNOUNCE,
						   .signature = signature,
						   .hop_max = 16},
			  address);
}

static struct bytes reserve_of(const struct place *provider, uint8_t hop_cnt)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	offers_address(provider->at.node->key, address);
	return message_of((struct service_message){.type = SERVICE_MESSAGE_RESERVE,
						   .hop_cnt = hop_cnt,
						   .hop_max = UINT8_MAX},
			  address);
}

static enum spread_verdict on_keep(void *ctx, const struct spread_message *heard,
				   const char **out_why)
{
	struct place *place = ctx;

	(void)heard, (void)out_why;
	return place->kept_cnt++ ? SPREAD_KNOWN : place->kept;
}

static void on_query(void *ctx, const struct spread_message *query, const uint8_t *token)
{
	(void)ctx, (void)query, (void)token;
}

static void on_hear(void *ctx, const struct spread_message *message,
		    const struct service_response *response)
{
	(void)ctx, (void)message, (void)response;
}

static enum spread_verdict on_reserve(void *ctx, const struct spread_message *message,
				      const char **out_why)
{
	struct place *place = ctx;

	(void)message;
	place->reserved_cnt++;
	place->reserved_ns = lab.now_ns;
	*out_why = "it is not wanted";
	return place->refuses ? SPREAD_REFUSED : SPREAD_NEW;
}

static enum spread_verdict on_strand(void *ctx, const struct spread_message *message,
				     const char **out_why)
{
	struct place *place = ctx;

	(void)out_why;
	place->stranded_cnt++;
	memcpy(place->stranded_from, message->peer, MESH_KEY_LEN);
	return place->keeps ? SPREAD_NEW : SPREAD_REFUSED;
}

static void place_add(void)
{
	struct place *place = &places[place_cnt++];
	const struct spread_params params = {
		.config = config,
		.handler = {.keep = on_keep,
			    .answer = on_query,
			    .hear = on_hear,
			    .reserve = on_reserve,
			    .strand = on_strand,
			    .ctx = place},
		.random = &dice,
	};

	*place = (struct place){.keeps = true, .kept = SPREAD_NEW};
	spread_node_add(&lab, &params, &place->at);
}

static struct mesh_lab_ask asked;

static int tell(const struct place *from, const struct place *to, const struct bytes *message)
{
	mesh_lab_ask(from->at.node, to->at.node, MESH_SERVICE_MESSAGE, message->at, message->len,
		     &asked);
	return asked.reply.err;
}

/* A session, by a message that is none. */
static void meet(const struct place *from, const struct place *to)
{
	static const struct bytes none = {.len = 1};

	CHECK_EQ(tell(from, to, &none), WEFT_EMALFORMED);
}

static void settle(uint64_t ns)
{
	for (unsigned i = 0; i < place_cnt; i++)
		places[i].at.node->due_ns = 0;
	(void)mesh_lab_run(&lab, ns, NULL, NULL);
}

/* A line of nodes, of which the first one announces an offer. */
static void begin(unsigned cnt)
{
	random_init_seeded(&dice, 7);
	mesh_lab_init(&lab, 4, NODES, &calm);
	lab.idle_ns = 1000000 * NS_PER_S;
	place_cnt = 0;
	offers_spread_config_defaults(&config);
	config.hops_max = 16;
	for (unsigned i = 0; i < cnt; i++)
		place_add();
	for (unsigned i = 1; i < cnt; i++)
		meet(&places[i], &places[i - 1]);
}

static void announce(struct place *place)
{
	const struct bytes bytes = announce_of(place);

	(void)offers_spread_announce(place->at.spread, bytes.at, bytes.len, lab.now_ns);
	settle(LAPSE_NS);
}

static bool reserve(struct place *consumer, const struct place *provider)
{
	const struct bytes bytes = reserve_of(provider, 1);
	bool is_sent = offers_spread_walk(consumer->at.spread, bytes.at, bytes.len, lab.now_ns);

	settle(LAPSE_NS);
	return is_sent;
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

static void test_a_reserve_goes_back_the_way_of_the_announce(void)
{
	begin(5);
	announce(&places[0]);
	CHECK_EQ(places[4].kept_cnt, 1);
	CHECK(reserve(&places[4], &places[0]));
	CHECK_EQ(places[0].reserved_cnt, 1);
	for (unsigned i = 1; i < 4; i++) {
		CHECK_EQ(places[i].reserved_cnt, 0);
		CHECK_EQ(stats_of(&places[i]).walked_cnt, 1);
	}
	end_all();
}

/* Links take 10 ms, always. What comes on top of two of them is the wait of the node between. */
static void test_a_reserve_waits_for_a_random_time_within_the_bound(void)
{
	uint64_t least_ns = UINT64_MAX, most_ns = 0;
	unsigned first_half_cnt = 0;

	begin(3);
	announce(&places[0]);
	for (unsigned i = 0; i < 200; i++) {
		const struct bytes bytes = reserve_of(&places[0], 1);
		uint64_t begin_ns = lab.now_ns, wait_ns;

		CHECK_EQ(tell(&places[2], &places[1], &bytes), 0);
		settle(NS_PER_S);
		CHECK_EQ(places[0].reserved_cnt, i + 1);
		wait_ns = places[0].reserved_ns - begin_ns - 2 * calm.delay_ns;
		CHECK(wait_ns <= SPREAD_JITTER_NS + 2 * LAB_STEP_NS);
		least_ns = wait_ns < least_ns ? wait_ns : least_ns;
		most_ns = wait_ns > most_ns ? wait_ns : most_ns;
		first_half_cnt += wait_ns < SPREAD_JITTER_NS / 2;
	}
	CHECK(least_ns < SPREAD_JITTER_NS / 10);
	CHECK(most_ns > SPREAD_JITTER_NS / 10 * 9);
	CHECK(first_half_cnt > 70 && first_half_cnt < 130);
	end_all();
}

static void test_where_the_next_node_is_gone_a_node_on_the_way_keeps_it(void)
{
	begin(4);
	announce(&places[0]);
	mesh_lab_down(places[0].at.node);
	CHECK(reserve(&places[3], &places[0]));
	settle(LONG_NS);
	/* The session seemed to be there, so it was sent and not taken. */
	CHECK_EQ(places[1].stranded_cnt, 1);
	CHECK_MEM(places[1].stranded_from, places[2].at.node->key, MESH_KEY_LEN);
	CHECK_EQ(stats_of(&places[1]).stranded_cnt, 1);
	CHECK_EQ(places[2].stranded_cnt, 0);
	end_all();
}

static void test_without_any_way_it_is_kept_at_once_or_its_sender_hears(void)
{
	struct bytes bytes;

	begin(3);
	bytes = reserve_of(&places[0], 1);
	CHECK_EQ(tell(&places[2], &places[1], &bytes), 0);
	CHECK_EQ(places[1].stranded_cnt, 1);
	places[1].keeps = false;
	CHECK_EQ(tell(&places[2], &places[1], &bytes), WEFT_EREFUSED);
	CHECK_EQ(stats_of(&places[1]).wayless_cnt, 1);
	end_all();
}

static void test_a_provider_that_refuses_is_asked_once(void)
{
	begin(3);
	announce(&places[0]);
	places[0].refuses = true;
	CHECK(reserve(&places[2], &places[0]));
	settle(LONG_NS);
	CHECK_EQ(places[0].reserved_cnt, 1);
	CHECK_EQ(places[1].stranded_cnt, 0);
	end_all();
}

static void test_a_provider_that_moved_is_found_by_its_later_announces(void)
{
	begin(4);
	announce(&places[0]);
	/* It comes back as a neighbour of the last one, and says its offer again. */
	mesh_lab_down(places[1].at.node);
	meet(&places[0], &places[3]);
	offers_spread_meet(places[3].at.spread, places[0].at.node->key, lab.now_ns);
	CHECK_MEM(offers_spread_next(places[3].at.spread,
				     reserve_of(&places[0], 1).at + SERVICE_MESSAGE_ADDRESS_AT,
				     NULL),
		  places[0].at.node->key, MESH_KEY_LEN);
	CHECK(reserve(&places[3], &places[0]));
	CHECK_EQ(places[0].reserved_cnt, 1);
	end_all();
}

static void test_sixteen_hops_are_the_most(void)
{
	struct bytes bytes;

	begin(3);
	announce(&places[0]);
	bytes = reserve_of(&places[0], SPREAD_WALK_HOPS_MAX - 2);
	CHECK_EQ(tell(&places[2], &places[1], &bytes), 0);
	settle(LAPSE_NS);
	CHECK_EQ(places[0].reserved_cnt, 1);
	bytes = reserve_of(&places[0], SPREAD_WALK_HOPS_MAX - 1);
	CHECK_EQ(tell(&places[2], &places[1], &bytes), 0);
	settle(LAPSE_NS);
	CHECK_EQ(places[0].reserved_cnt, 1);
	CHECK_EQ(places[1].stranded_cnt, 1);
	end_all();
}

static void test_a_neighbour_has_five_reserves_of_a_service_in_a_minute(void)
{
	struct bytes bytes;

	begin(2);
	places[1].at.node->caps = 0; /* no service relay */
	mesh_lab_down(places[1].at.node);
	mesh_lab_up(places[1].at.node);
	places[1].at.node->caps = 0;
	bytes = reserve_of(&places[0], 1);
	for (unsigned i = 0; i < config.reserves_per_min; i++)
		CHECK_EQ(tell(&places[1], &places[0], &bytes), 0);
	CHECK_EQ(tell(&places[1], &places[0], &bytes), WEFT_EREFUSED);
	CHECK_EQ(places[0].reserved_cnt, 5);
	CHECK_EQ(stats_of(&places[0]).rate_cnt, 1);
	end_all();
}

/* Announces of providers that there are not, by one neighbour. */
static void announces_bring(unsigned from, unsigned to, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		const uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN] = {(uint8_t)from, (uint8_t)i,
								      (uint8_t)(i >> 8), 1};
		struct bytes bytes =
			message_of((struct service_message){.type = SERVICE_MESSAGE_ANNOUNCE,
							    .signature = signature,
							    .hop_max = 1},
				   address);

		CHECK_EQ(tell(&places[from], &places[to], &bytes), 0);
	}
}

static void test_more_ways_than_there_is_room_for_take_none_of_another_neighbour(void)
{
	begin(0);
	config.route_cap = 64;
	config.relayed_per_min = 1000;
	for (unsigned i = 0; i < 4; i++)
		place_add();
	meet(&places[0], &places[1]);
	announce(&places[0]);
	announces_bring(2, 1, config.route_cap + 1);
	CHECK_EQ(stats_of(&places[1]).route_cnt, config.route_cap);
	announces_bring(3, 1, 5);
	CHECK_EQ(stats_of(&places[1]).route_evicted_cnt, 5);
	CHECK(offers_spread_next(places[1].at.spread,
				 reserve_of(&places[0], 1).at + SERVICE_MESSAGE_ADDRESS_AT,
				 NULL) != NULL);
	end_all();
}

static void test_a_confirm_in_message_310_is_ignored(void)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];
	struct bytes bytes;

	begin(2);
	offers_address(places[1].at.node->key, address);
	bytes = message_of((struct service_message){.type = SERVICE_MESSAGE_CONFIRM,
						    .signature = signature,
						    .hop_max = 4},
			   address);
	CHECK_EQ(tell(&places[1], &places[0], &bytes), 0);
	bytes = message_of((struct service_message){.type = SERVICE_MESSAGE_CANCEL,
						    .signature = signature,
						    .hop_max = 4},
			   address);
	CHECK_EQ(tell(&places[1], &places[0], &bytes), 0);
	CHECK_EQ(stats_of(&places[0]).ignored_cnt, 2);
	CHECK_EQ(places[0].reserved_cnt + places[0].stranded_cnt, 0);
	end_all();
}

int main(void)
{
	RUN(test_a_reserve_goes_back_the_way_of_the_announce);
	RUN(test_a_reserve_waits_for_a_random_time_within_the_bound);
	RUN(test_where_the_next_node_is_gone_a_node_on_the_way_keeps_it);
	RUN(test_without_any_way_it_is_kept_at_once_or_its_sender_hears);
	RUN(test_a_provider_that_refuses_is_asked_once);
	RUN(test_a_provider_that_moved_is_found_by_its_later_announces);
	RUN(test_sixteen_hops_are_the_most);
	RUN(test_a_neighbour_has_five_reserves_of_a_service_in_a_minute);
	RUN(test_more_ways_than_there_is_room_for_take_none_of_another_neighbour);
	RUN(test_a_confirm_in_message_310_is_ignored);
	return check_done();
}
