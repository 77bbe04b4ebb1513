/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/serve/members.h"

#include "base/monotonic.h"
#include "support/check.h"

static struct arena arena;
static struct members members;
static struct message_holder told[HOLDERS_MAX];
static const uint8_t nobody[32];

static bool begin(void)
{
	static const uint64_t secret[2] = {1, 2};

	return arena_open(&arena, ARENA_GROWS) == 0 &&
	       blobs_members_init(&members, &arena, secret) == 0;
}

static void end(void)
{
	arena_close(&arena);
}

/* Node number i, of a network of its own on the Internet. */
static struct blobs_member member_of(uint8_t id, unsigned i)
{
	struct blobs_member member = {.id = {id}, .addr_cnt = 1};

	member.key[0] = (uint8_t)i;
	member.key[1] = (uint8_t)(i >> 8);
	member.from = (struct addr){
		.ip = {80, (uint8_t)(i >> 8), (uint8_t)i, 9}, .port = 7000, .family = ADDR_IPV4};
	member.addrs[0] = member.from;
	return member;
}

static void note(uint8_t id, unsigned i, uint64_t now_ns)
{
	struct blobs_member member = member_of(id, i);

	blobs_members_note(&members, &member, now_ns);
}

static unsigned list(uint8_t id, const uint8_t *but_key)
{
	const uint8_t wanted[32] = {id};

	return blobs_members_list(&members, wanted, but_key, told);
}

static unsigned cnt(uint8_t id)
{
	const uint8_t wanted[32] = {id};

	return blobs_members_cnt(&members, wanted);
}

static void test_a_serving_member_is_announced_to_others(void)
{
	struct blobs_member first = member_of(1, 1);

	CHECK(begin());
	note(1, 1, 10);
	note(1, 2, 20);
	note(2, 3, 30);
	CHECK_EQ(list(1, nobody), 2);
	CHECK_EQ(list(1, first.key), 1);
	CHECK_EQ(told[0].key[0], 2);
	CHECK_EQ(told[0].addr_cnt, 1);
	CHECK_EQ(list(3, nobody), 0);
	end();
}

static void test_a_returning_member_counts_once(void)
{
	CHECK(begin());
	for (unsigned i = 0; i < 5; i++)
		note(1, 1, i);
	CHECK_EQ(cnt(1), 1);
	end();
}

static void test_member_is_forgotten_after_ten_minutes(void)
{
	CHECK(begin());
	note(1, 1, 0);
	note(1, 2, 60 * NS_PER_S);
	blobs_members_expire(&members, 600 * NS_PER_S - 1);
	CHECK_EQ(cnt(1), 2);
	blobs_members_expire(&members, 600 * NS_PER_S);
	CHECK_EQ(cnt(1), 1);
	blobs_members_expire(&members, 660 * NS_PER_S);
	CHECK_EQ(cnt(1), 0);
	CHECK_EQ(members.ids.used_cnt, 0);
	end();
}

/* Sixty-four of an id; of more, the one heard of longest ago goes. */
static void test_one_too_many_of_an_id_drops_the_oldest(void)
{
	CHECK(begin());
	for (unsigned i = 0; i < MEMBERS_OF_ID_MAX; i++)
		note(1, i + 1, i);
	note(1, 1, 1000); /* heard of again: not the oldest any more */
	note(1, 500, 1001);
	CHECK_EQ(cnt(1), MEMBERS_OF_ID_MAX);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = list(1, nobody); i-- > 0;)
			CHECK(told[i].key[0] != 2 || told[i].key[1] != 0);
	end();
}

/* A thousand keys of one network are four places, and one honest node keeps its own. */
static void test_no_network_takes_all_places(void)
{
	bool is_seen = false;

	CHECK(begin());
	note(1, 7, 0);
	for (unsigned i = 0; i < 1000; i++) {
		struct blobs_member liar = member_of(1, 1000 + i);

		liar.from.ip[1] = liar.from.ip[2] = 200;
		blobs_members_note(&members, &liar, i + 1);
	}
	CHECK_EQ(cnt(1), 1 + MEMBERS_OF_NETWORK_MAX);
	for (unsigned i = list(1, nobody); i-- > 0;)
		is_seen |= told[i].key[0] == 7 && told[i].key[1] == 0;
	CHECK(is_seen);
	end();
}

/* A site's own network is where most of its nodes are. */
static void test_private_network_is_not_limited(void)
{
	CHECK(begin());
	for (unsigned i = 0; i < 20; i++) {
		struct blobs_member member = member_of(1, i);

		member.from.ip[0] = 10;
		member.from.ip[1] = member.from.ip[2] = 0;
		blobs_members_note(&members, &member, i);
	}
	CHECK_EQ(cnt(1), 20);
	end();
}

static void test_all_together_are_bounded(void)
{
	CHECK(begin());
	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		note((uint8_t)(i % 251), i, i);
	CHECK_EQ(members.pool.used_cnt, MEMBERS_MAX);
	CHECK_EQ(members.evicted_cnt, 0);
	note((uint8_t)(MEMBERS_MAX % 251), MEMBERS_MAX, MEMBERS_MAX);
	CHECK_EQ(members.pool.used_cnt, MEMBERS_MAX);
	CHECK_EQ(members.evicted_cnt, 1);
	/* The first of all gave way. */
	CHECK_EQ(cnt(0), (MEMBERS_MAX / 251 + 1) - 1);
	end();
}

/* A member that an answer had no room for is in the next. */
static void test_answers_take_turns(void)
{
	bool is_seen[MEMBERS_OF_ID_MAX + 1] = {false};

	CHECK(begin());
	for (unsigned i = 1; i <= MEMBERS_OF_ID_MAX; i++)
		note(1, i, i);
	for (unsigned round = 0; round < 2; round++) {
		CHECK_EQ(list(1, nobody), HOLDERS_MAX);
		for (unsigned i = 0; i < HOLDERS_MAX; i++)
			is_seen[told[i].key[0]] = true;
	}
	for (unsigned i = 1; i <= MEMBERS_OF_ID_MAX; i++)
		CHECK(is_seen[i]);
	end();
}

int main(void)
{
	RUN(test_a_serving_member_is_announced_to_others);
	RUN(test_a_returning_member_counts_once);
	RUN(test_member_is_forgotten_after_ten_minutes);
	RUN(test_one_too_many_of_an_id_drops_the_oldest);
	RUN(test_no_network_takes_all_places);
	RUN(test_private_network_is_not_limited);
	RUN(test_all_together_are_bounded);
	RUN(test_answers_take_turns);
	return check_done();
}
