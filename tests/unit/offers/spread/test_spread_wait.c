/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to providers over restarts, what waits for one, and the shares of Reserves. */
#include "spread_route_rig.h"

/* --- restarts --- */

/* kill -9: what is not durable is gone, and so are its sessions. */
static void restart(struct place *place)
{
	if (place->store)
		store_freeze(place->store);
	spread_node_free(&place->at);
	mesh_lab_down(place->at.node);
	if (place->store) {
		store_crash(place->store);
		place->store = scratch_store(place->dir, true);
	}
	spread_node_again(&place->at, place->store);
}

/* A session that is there again, as the node says it to the spread of both. */
static void session_up(struct place *one, struct place *other)
{
	meet(one, other);
	offers_spread_meet(one->at.spread, other->at.node->key, lab.now_ns);
	offers_spread_meet(other->at.spread, one->at.node->key, lab.now_ns);
}

/* Time passes in steps, until what is reserved at place. Returns how long it took. */
static uint64_t until_reserved(const struct place *place, uint64_t most_ns)
{
	uint64_t from_ns = lab.now_ns;

	while (place->reserved_cnt == 0 && lab.now_ns < from_ns + most_ns)
		settle(10 * NS_PER_MS);
	return lab.now_ns - from_ns;
}

/* A line of four: the provider, two nodes on the way, of which the second one has a disk, the consumer. */
static void begin_with_disk(void)
{
	begin(4);
	scratch_make(places[2].dir);
	spread_node_free(&places[2].at);
	mesh_lab_down(places[2].at.node);
	places[2].store = scratch_store(places[2].dir, true);
	spread_node_again(&places[2].at, places[2].store);
	meet(&places[2], &places[1]);
	meet(&places[3], &places[2]);
	announce(&places[0]);
	(void)store_reap(places[2].store);
}

/* The bound of this file: so long after its session is there, what waits is at its provider. */
#define BACK_NS NS_PER_S

static void test_a_node_on_the_way_knows_it_after_a_restart(void)
{
	begin_with_disk();
	restart(&places[2]);
	session_up(&places[2], &places[1]);
	session_up(&places[3], &places[2]);
	CHECK(reserve(&places[3], &places[0]));
	CHECK_EQ(places[0].reserved_cnt, 1);
	CHECK_EQ(places[2].stranded_cnt, 0);
	end_all();
}

static void test_what_a_node_kept_goes_on_after_its_restart(void)
{
	begin_with_disk();
	/* The next node on the way is gone, so the one with the disk keeps it. */
	restart(&places[1]);
	mesh_lab_down(places[1].at.node);
	CHECK(reserve(&places[3], &places[0]));
	settle(LONG_NS);
	CHECK_EQ(places[2].stranded_cnt, 1);
	CHECK_EQ(stats_of(&places[2]).wait_cnt, 1);
	settle(LAPSE_NS);
	(void)store_reap(places[2].store);
	restart(&places[2]);
	CHECK_EQ(stats_of(&places[2]).wait_cnt, 1);
	/* The consumer is gone, too. */
	mesh_lab_down(places[3].at.node);
	restart(&places[1]);
	session_up(&places[1], &places[0]);
	CHECK_EQ(places[0].reserved_cnt, 0);
	session_up(&places[2], &places[1]);
	CHECK(until_reserved(&places[0], 10 * NS_PER_S) <= BACK_NS);
	CHECK_EQ(places[0].reserved_cnt, 1);
	CHECK_EQ(stats_of(&places[2]).wait_cnt, 0);
	CHECK_EQ(stats_of(&places[2]).resumed_cnt, 1);
	settle(LAPSE_NS);
	(void)store_reap(places[2].store);
	restart(&places[2]);
	CHECK_EQ(stats_of(&places[2]).wait_cnt, 0);
	end_all();
}

static void test_what_waits_goes_on_with_the_first_announce(void)
{
	struct bytes bytes;

	begin(3);
	bytes = reserve_of(&places[0], 1);
	CHECK_EQ(tell(&places[2], &places[1], &bytes), 0);
	CHECK_EQ(stats_of(&places[1]).wait_cnt, 1);
	/* The same one again waits once. */
	CHECK_EQ(tell(&places[2], &places[1], &bytes), 0);
	CHECK_EQ(stats_of(&places[1]).wait_cnt, 1);
	bytes = announce_of(&places[0]);
	CHECK_EQ(tell(&places[0], &places[1], &bytes), 0);
	CHECK(until_reserved(&places[0], 10 * NS_PER_S) <= BACK_NS);
	settle(LAPSE_NS);
	CHECK_EQ(stats_of(&places[1]).wait_cnt, 0);
	end_all();
}

static void test_what_waits_ends_with_its_day_and_with_a_refusal(void)
{
	struct bytes bytes;

	begin(3);
	bytes = reserve_of(&places[0], 1);
	CHECK_EQ(tell(&places[2], &places[1], &bytes), 0);
	settle((SPREAD_WAIT_LIFE_S + 7200) * NS_PER_S);
	CHECK_EQ(stats_of(&places[1]).wait_cnt, 0);
	bytes = reserve_of(&places[0], 1);
	CHECK_EQ(tell(&places[2], &places[1], &bytes), 0);
	places[0].refuses = true;
	bytes = announce_of(&places[0]);
	CHECK_EQ(tell(&places[0], &places[1], &bytes), 0);
	settle(LONG_NS);
	CHECK_EQ(places[0].reserved_cnt, 1);
	CHECK_EQ(stats_of(&places[1]).wait_cnt, 0);
	end_all();
}

/* Reserves for providers that there are not, by one neighbour. */
static void reserves_bring(unsigned from, unsigned to, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		const uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN] = {(uint8_t)from, (uint8_t)i,
								      (uint8_t)(i >> 8), 1};
		struct bytes bytes =
			message_of((struct service_message){.type = SERVICE_MESSAGE_RESERVE,
							    .hop_max = UINT8_MAX},
				   address);

		CHECK_EQ(tell(&places[from], &places[to], &bytes), 0);
	}
}

static void test_more_waits_than_there_is_room_for_take_none_of_another_neighbour(void)
{
	struct bytes bytes;

	begin(4);
	bytes = reserve_of(&places[0], 1);
	CHECK_EQ(tell(&places[3], &places[1], &bytes), 0);
	reserves_bring(2, 1, SPREAD_WAITS_MAX);
	CHECK_EQ(stats_of(&places[1]).wait_cnt, SPREAD_WAITS_MAX);
	bytes = announce_of(&places[0]);
	CHECK_EQ(tell(&places[0], &places[1], &bytes), 0);
	settle(LAPSE_NS);
	CHECK_EQ(places[0].reserved_cnt, 1);
	end_all();
}

/* --- which neighbour --- */

static void test_a_true_copy_takes_the_place_of_a_liar(void)
{
	const uint8_t *next;
	struct bytes bytes;

	begin(0);
	for (unsigned i = 0; i < 5; i++)
		place_add();
	bytes = announce_of(&places[0]);
	CHECK_EQ(tell(&places[1], &places[4], &bytes), 0); /* new, so it is proved */
	CHECK_EQ(tell(&places[2], &places[4], &bytes), 0); /* known, and says nothing true */
	places[4].has_copy = true;
	CHECK_EQ(tell(&places[3], &places[4], &bytes), 0);
	next = offers_spread_next(places[4].at.spread, bytes.at + SERVICE_MESSAGE_ADDRESS_AT,
				  places[1].at.node->key);
	CHECK(next != NULL);
	if (next)
		CHECK_MEM(next, places[3].at.node->key, MESH_KEY_LEN);
	end_all();
}

static void test_the_node_of_the_box_is_the_first_one_only_where_no_other_is(void)
{
	struct bytes bytes;

	begin(0);
	for (unsigned i = 0; i < 4; i++)
		place_add();
	meet(&places[0], &places[1]);
	meet(&places[0], &places[2]);
	meet(&places[1], &places[3]);
	announce(&places[0]);
	avoided = places[1].at.node->key;
	CHECK(reserve(&places[3], &places[0]));
	CHECK_EQ(places[0].reserved_cnt, 1);
	CHECK_EQ(stats_of(&places[1]).walked_cnt, 1);
	bytes = announce_of(&places[0]);
	CHECK_EQ(tell(&places[2], &places[3], &bytes), 0);
	CHECK(reserve(&places[3], &places[0]));
	CHECK_EQ(places[0].reserved_cnt, 2);
	CHECK_EQ(stats_of(&places[1]).walked_cnt, 1);
	CHECK_EQ(stats_of(&places[2]).walked_cnt, 1);
	avoided = NULL;
	end_all();
}

/* --- shares --- */

static void test_a_provider_has_fifty_reserves_of_a_relay_in_a_minute(void)
{
	const unsigned most = SPREAD_RELAY_RESERVES * 5;
	struct bytes bytes;

	begin(3);
	bytes = reserve_of(&places[0], 1);
	for (unsigned i = 0; i < most; i++)
		CHECK_EQ(tell(&places[1], &places[0], &bytes), 0);
	CHECK_EQ(tell(&places[1], &places[0], &bytes), WEFT_EREFUSED);
	CHECK_EQ(places[0].reserved_cnt, most);
	/* Another provider has its own. */
	bytes = reserve_of(&places[2], 1);
	CHECK_EQ(tell(&places[1], &places[0], &bytes), 0);
	end_all();
}

static void test_keys_of_one_network_have_three_times_as_many_as_one(void)
{
	struct bytes bytes;

	begin(0);
	for (unsigned i = 0; i < 7; i++)
		place_add();
	bytes = reserve_of(&places[0], 1);
	for (unsigned i = 1; i < 7; i++) {
		struct mesh *node = places[i].at.node;

		spread_node_free(&places[i].at);
		mesh_lab_down(node);
		if (i < 6) { /* five keys of one network, and one of another */
			memcpy(node->addr.ip, (const uint8_t[]){99, 9, 9, (uint8_t)i}, 4);
			node->addr.port = (uint16_t)(7000 + i);
		}
		spread_node_again(&places[i].at, NULL);
		node->caps = 0; /* no service relay */
	}
	for (unsigned i = 1; i < 6; i++)
		for (unsigned k = 0; k < 5; k++)
			CHECK_EQ(tell(&places[i], &places[0], &bytes), i < 4 ? 0 : WEFT_EREFUSED);
	CHECK_EQ(places[0].reserved_cnt, 15);
	CHECK_EQ(tell(&places[6], &places[0], &bytes), 0);
	end_all();
}

/* --- records --- */

static void test_a_record_that_is_cut_longer_or_of_another_form_is_none(void)
{
	static uint8_t at[4096];
	static struct spread_wait wait, read_wait;
	struct spread_route route = {.hops = {{true, true, {1}}, {true, false, {2}}},
				     .source = {.family = ADDR_IPV4, .ip = {10}},
				     .expires_s = 7},
			    read;
	struct writer w = writer_of(at, sizeof(at));
	struct bytes bytes;
	size_t len;

	begin(1);
	offers_spread_way_write(&w, &route);
	len = writer_len(&w);
	CHECK(offers_spread_way_parse(at, len, &read));
	CHECK(read.hops[0].is_proved && read.hops[1].is_set && !read.hops[1].is_proved);
	CHECK_EQ(read.expires_s, 7);
	for (size_t i = 0; i < len; i++)
		CHECK(!offers_spread_way_parse(at, i, &read));
	CHECK(!offers_spread_way_parse(at, len + 1, &read));
	at[1] = 8; /* proved, and not set */
	CHECK(!offers_spread_way_parse(at, len, &read));
	at[1] = 16;
	CHECK(!offers_spread_way_parse(at, len, &read));
	bytes = reserve_of(&places[0], 1);
	memcpy(wait.bytes, bytes.at, wait.len = bytes.len);
	w = writer_of(at, sizeof(at));
	offers_spread_wait_write(&w, &wait);
	len = writer_len(&w);
	CHECK(offers_spread_wait_parse(at, len, &read_wait));
	CHECK_MEM(read_wait.bytes, bytes.at, bytes.len);
	for (size_t i = 0; i < len; i++)
		CHECK(!offers_spread_wait_parse(at, i, &read_wait));
	CHECK(!offers_spread_wait_parse(at, sizeof(at), &read_wait));
	at[0] = 2;
	CHECK(!offers_spread_wait_parse(at, len, &read_wait));
	end_all();
}

int main(void)
{
	RUN(test_a_node_on_the_way_knows_it_after_a_restart);
	RUN(test_what_a_node_kept_goes_on_after_its_restart);
	RUN(test_what_waits_goes_on_with_the_first_announce);
	RUN(test_what_waits_ends_with_its_day_and_with_a_refusal);
	RUN(test_more_waits_than_there_is_room_for_take_none_of_another_neighbour);
	RUN(test_a_true_copy_takes_the_place_of_a_liar);
	RUN(test_the_node_of_the_box_is_the_first_one_only_where_no_other_is);
	RUN(test_a_provider_has_fifty_reserves_of_a_relay_in_a_minute);
	RUN(test_keys_of_one_network_have_three_times_as_many_as_one);
	RUN(test_a_record_that_is_cut_longer_or_of_another_form_is_none);
	return check_done();
}
