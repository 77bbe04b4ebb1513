/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to providers: Reserves go from neighbour to neighbour, and are kept where no session leads on. */
#include "spread_route_rig.h"

#define LAB_STEP_NS NS_PER_MS

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
		settle(2 * NS_PER_S); /* a provider has 50 in a minute */
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
