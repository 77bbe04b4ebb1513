/* SPDX-License-Identifier: Apache-2.0 */
/* The next of the waiting accounts. */
#include "base/fair/turns.h"

#include <string.h>

#include "base/memory/arena.h"
#include "support/check.h"

#define MS	 1000000ull
#define ITEM_CNT 256
#define CAP	 32
#define QUANTUM	 16384
#define CALL_LEN 4096

static struct arena arena;
static struct pool accounts;
static struct turns turns;
static struct turns_item items[ITEM_CNT], *victim;

static void turns_make_as(const struct turns_config *config, unsigned account_cap)
{
	memset(items, 0, sizeof(items));
	if (arena_open(&arena, 1 << 20) < 0 ||
	    pool_init(&accounts, &arena, sizeof(struct turns_account), account_cap) < 0)
		abort();
	turns_init(&turns, &accounts, config);
}

/* As before a program: one level, of callers. */
static void turns_make(void)
{
	static const struct turns_config config = {.cap_cnt = CAP,
						   .quantum_len = QUANTUM,
						   .standing_queue_ns = 100 * MS,
						   .level_cnt = 1};

	turns_make_as(&config, CAP + 1);
}

static int push_len(unsigned i, uint8_t caller, size_t len, uint64_t now_ns)
{
	struct turns_path path = {.ids = {caller}, .weight = 1};

	items[i].cost_len = CALL_LEN + len;
	return turns_push(&turns, &items[i], &path, now_ns, &victim);
}

static int push(unsigned i, uint8_t caller, uint64_t now_ns)
{
	return push_len(i, caller, 0, now_ns);
}

static int pop(uint64_t now_ns)
{
	struct turns_item *item = turns_pop(&turns, NULL, now_ns);

	return item ? (int)(item - items) : -1;
}

static void test_a_caller_that_floods_waits_for_itself_alone(void)
{
	unsigned place = 0;

	turns_make();
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(push(i, 1, 0), 0);
	CHECK_EQ(push(100, 2, 0), 0);
	/* A turn is of 4 empty calls: then it is the other one's. */
	while (pop(MS) != 100)
		place++;
	CHECK_EQ(place, QUANTUM / CALL_LEN);
	arena_close(&arena);
}

static void test_large_calls_cost_more_than_small_ones(void)
{
	unsigned large = 0, small = 0;

	turns_make();
	for (unsigned i = 0; i < 10; i++)
		CHECK_EQ(push_len(i, 1, 12 * 1024, 0), 0);
	for (unsigned i = 10; i < 30; i++)
		CHECK_EQ(push(i, 2, 0), 0);
	for (unsigned i = 0; i < 15; i++) {
		if (pop(MS) < 10)
			large++;
		else
			small++;
	}
	CHECK_EQ(large, 3);
	CHECK_EQ(small, 12);
	arena_close(&arena);
}

/* One of a megabyte is served after as many rounds as it has quanta, and not never. */
static void test_a_call_larger_than_a_turn_is_served(void)
{
	turns_make();
	CHECK_EQ(push_len(0, 1, 1 << 20, 0), 0);
	CHECK_EQ(push(1, 2, 0), 0);
	CHECK_EQ(pop(MS), 1);
	CHECK_EQ(pop(MS), 0);
	CHECK_EQ(pop(MS), -1);
	arena_close(&arena);
}

static void test_the_oldest_goes_first_until_the_queue_stands(void)
{
	turns_make();
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(push(i, 1, i * 10 * MS), 0);
	CHECK_EQ(pop(99 * MS), 0);
	CHECK_EQ(pop(109 * MS), 1);
	CHECK_EQ(pop(120 * MS), 3); /* the oldest waits since 20 ms: 100 ms */
	CHECK_EQ(pop(121 * MS), 2);
	arena_close(&arena);
}

static void test_a_full_queue_takes_from_the_caller_with_most(void)
{
	turns_make();
	for (unsigned i = 0; i < CAP; i++)
		CHECK_EQ(push(i, 1, i), 0);
	CHECK_EQ(push(100, 1, 50), WEFT_EFULL);
	CHECK(!items[100].account);
	CHECK_EQ(turns.refused_cnt, 1);
	CHECK_EQ(push(101, 2, 50), 0);
	CHECK(victim == &items[0]);
	CHECK(!items[0].account);
	CHECK_EQ(turns.cnt, CAP);
	CHECK_EQ(turns.evicted_cnt, 1);
	/* Down to an even share, and not below it. */
	for (unsigned i = 1; i < CAP / 2; i++)
		CHECK_EQ(push(101 + i, 2, 50), 0);
	CHECK_EQ(push(150, 2, 50), WEFT_EFULL);
	CHECK_EQ(push(151, 1, 50), WEFT_EFULL);
	CHECK_EQ(turns.evicted_cnt, CAP / 2);
	arena_close(&arena);
}

static void test_as_many_callers_as_places_wait(void)
{
	turns_make();
	for (unsigned i = 0; i < CAP; i++)
		CHECK_EQ(push(i, (uint8_t)(i + 1), 0), 0);
	CHECK_EQ(push(100, 99, 0), WEFT_EFULL);
	for (unsigned i = 0; i < CAP; i++)
		CHECK_EQ(pop(MS), i);
	CHECK_EQ(accounts.used_cnt, 0);
	arena_close(&arena);
}

static void test_a_call_that_is_taken_back_waits_no_more(void)
{
	unsigned cnt = 0;

	turns_make();
	CHECK_EQ(push(0, 1, 0), 0);
	CHECK_EQ(push(1, 1, 0), 0);
	CHECK_EQ(push(2, 2, 0), 0);
	for (struct turns_item *item = turns_next(&turns, NULL); item;
	     item = turns_next(&turns, item))
		cnt++;
	CHECK_EQ(cnt, 3);
	turns_remove(&turns, &items[0]);
	turns_remove(&turns, &items[0]);
	turns_remove(&turns, &items[2]);
	CHECK_EQ(accounts.used_cnt, 1);
	CHECK_EQ(pop(MS), 1);
	CHECK_EQ(pop(MS), -1);
	CHECK_EQ(accounts.used_cnt, 0);
	arena_close(&arena);
}

/* 100 calls a second of ten callers at a program of 20 a second, and one caller with 1,000 more. */
static void test_honest_callers_are_served_beside_a_flood(void)
{
	unsigned served[11] = {0}, asked[11] = {0};
	uint8_t caller_of[ITEM_CNT];
	unsigned next = 0;

	turns_make();
	for (uint64_t ms = 0; ms < 10000; ms++) {
		uint8_t caller = ms % 500 < 10 ? (uint8_t)(ms % 10 + 1) : 0;

		/* A place of items whose call was served, refused or evicted. */
		while (items[next % ITEM_CNT].account)
			next++;
		caller_of[next % ITEM_CNT] = caller;
		asked[caller]++;
		(void)push(next % ITEM_CNT, caller, ms * MS);
		next++;
		if (ms % 50 == 49) {
			int got = pop(ms * MS);

			if (got >= 0)
				served[caller_of[got]]++;
		}
	}
	for (unsigned i = 1; i <= 10; i++)
		CHECK(served[i] >= 8 && served[i] <= asked[i]);
	arena_close(&arena);
}

/* --- nested, as before buffers: class, network, key --- */

static const struct turns_config nested = {.quantum_len = 1, .level_cnt = 3};
static uint32_t held[ITEM_CNT], held_network[16];
static uint8_t network_of[ITEM_CNT];

static int push_nested(unsigned i, const uint8_t path[static 3], uint8_t weight)
{
	const struct turns_path at = {.ids = {path[0], path[1], path[2]}, .weight = weight};

	items[i].cost_len = 1;
	network_of[i] = path[1];
	return turns_push(&turns, &items[i], &at, 0, &victim);
}

static unsigned item_idx(const struct turns_item *item)
{
	return (unsigned)(item - items);
}

static void test_five_keys_of_a_network_have_one_networks_turns(void)
{
	unsigned served[3] = {0};

	turns_make_as(&nested, 3 * (ITEM_CNT + 1));
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(push_nested(i, (uint8_t[]){0, 1, (uint8_t)(i % 5)}, 1), 0);
	for (unsigned i = 200; i < 250; i++)
		CHECK_EQ(push_nested(i, (uint8_t[]){0, 2, 9}, 1), 0);
	for (unsigned i = 0; i < 80; i++)
		served[network_of[pop(0)]]++;
	CHECK_EQ(served[1], 40);
	CHECK_EQ(served[2], 40);
	CHECK_EQ(turns.account_cnts[0], 1);
	CHECK_EQ(turns.account_cnts[1], 2);
	CHECK_EQ(turns.account_cnts[2], 6);
	while (pop(0) >= 0)
		;
	CHECK_EQ(turns.cnt, 0);
	CHECK_EQ(accounts.used_cnt, 0);
	arena_close(&arena);
}

/* A family, its networks, their keys: as before a program. */
static void test_a_full_queue_takes_from_the_network_with_most(void)
{
	static const struct turns_config config = {
		.cap_cnt = CAP, .quantum_len = 1, .level_cnt = 3};

	turns_make_as(&config, 3 * (CAP + 1));
	/* As many keys as there are places, all of one network. */
	for (unsigned i = 0; i < CAP; i++)
		CHECK_EQ(push_nested(i, (uint8_t[]){0, 1, (uint8_t)i}, 1), 0);
	CHECK_EQ(push_nested(100, (uint8_t[]){0, 1, 200}, 1), WEFT_EFULL);
	for (unsigned i = 0; i < CAP / 2; i++) {
		CHECK_EQ(push_nested(101 + i, (uint8_t[]){0, 2, 7}, 1), 0);
		CHECK_EQ(network_of[item_idx(victim)], 1);
	}
	CHECK_EQ(push_nested(150, (uint8_t[]){0, 2, 7}, 1), WEFT_EFULL);
	/* Its neighbour has as good a right to the network's half. */
	CHECK_EQ(push_nested(151, (uint8_t[]){0, 2, 8}, 1), 0);
	CHECK(victim == &items[101]);
	CHECK_EQ(turns.cnt, CAP);
	while (pop(0) >= 0)
		;
	CHECK_EQ(accounts.used_cnt, 0);
	arena_close(&arena);
}

static void test_classes_are_served_by_their_weights(void)
{
	unsigned served[4] = {0};

	turns_make_as(&nested, 3 * (ITEM_CNT + 1));
	for (unsigned i = 0; i < 160; i++) {
		static const uint8_t weights[] = {4, 4, 2, 6};
		uint8_t class = (uint8_t)(i % 4);

		CHECK_EQ(push_nested(i, (uint8_t[]){class, 1, 1}, weights[class]), 0);
	}
	for (unsigned i = 0; i < 64; i++)
		served[pop(0) % 4]++;
	CHECK_EQ(served[0], 16);
	CHECK_EQ(served[1], 16);
	CHECK_EQ(served[2], 8);
	CHECK_EQ(served[3], 24);
	arena_close(&arena);
}

static uint32_t held_of(void *arg, const struct turns_item *item, unsigned level)
{
	(void)arg;
	if (level == 0)
		return 0;
	return level == 1 ? held_network[network_of[item_idx(item)]] : held[item_idx(item)];
}

/* A network whose items are held for good has no more of them than the other. */
static void test_an_account_that_holds_more_is_passed_over(void)
{
	const struct turns_pick pick = {.held = held_of};
	unsigned taken[3] = {0};

	turns_make_as(&nested, 3 * (ITEM_CNT + 1));
	memset(held, 0, sizeof(held));
	memset(held_network, 0, sizeof(held_network));
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(push_nested(i, (uint8_t[]){0, (uint8_t)(1 + i % 2), 1}, 1), 0);
	for (unsigned i = 0; i < 40; i++) {
		struct turns_item *item = turns_pop(&turns, &pick, 0);
		unsigned network = network_of[item_idx(item)];

		taken[network]++;
		/* The second gives back at once, the first never. */
		held_network[1] += network == 1;
	}
	CHECK_EQ(taken[1], 1);
	CHECK_EQ(taken[2], 39);
	arena_close(&arena);
}

static bool is_of_second(void *arg, const struct turns_item *item)
{
	(void)arg;
	return network_of[item_idx(item)] == 2;
}

static void test_items_that_may_not_go_wait_on(void)
{
	const struct turns_pick pick = {.may = is_of_second};

	turns_make_as(&nested, 3 * (ITEM_CNT + 1));
	CHECK_EQ(push_nested(0, (uint8_t[]){0, 1, 1}, 1), 0);
	CHECK_EQ(push_nested(1, (uint8_t[]){1, 2, 1}, 4), 0);
	CHECK_EQ(item_idx(turns_pop(&turns, &pick, 0)), 1);
	CHECK(!turns_pop(&turns, &pick, 0));
	CHECK_EQ(turns.cnt, 1);
	CHECK_EQ(pop(0), 0);
	arena_close(&arena);
}

static bool may_not(void *arg, const struct turns_item *item)
{
	(void)arg;
	(void)item;
	return false;
}

/* As an owner pops that gives away one place at a time, until there is none. */
static void test_a_pop_that_finds_nothing_earns_no_new_turn(void)
{
	const struct turns_pick pick = {.may = may_not};
	unsigned of_first_cnt = 0;

	turns_make();
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(push(i, 1, 0), 0);
	for (unsigned i = 8; i < 16; i++)
		CHECK_EQ(push(i, 2, 0), 0);
	for (unsigned i = 0; i < 8; i++) {
		of_first_cnt += pop(MS) < 8;
		CHECK(!turns_pop(&turns, &pick, MS));
	}
	CHECK_EQ(of_first_cnt, QUANTUM / CALL_LEN);
	arena_close(&arena);
}

static void test_nested_items_are_walked_and_removed(void)
{
	bool seen[12] = {false};
	unsigned cnt = 0;

	turns_make_as(&nested, 3 * 13);
	for (unsigned i = 0; i < 12; i++)
		CHECK_EQ(push_nested(i, (uint8_t[]){(uint8_t)(i % 2), (uint8_t)(i % 3), 1}, 1), 0);
	for (struct turns_item *item = turns_next(&turns, NULL); item;
	     item = turns_next(&turns, item)) {
		CHECK(!seen[item_idx(item)]);
		seen[item_idx(item)] = true;
		cnt++;
	}
	CHECK_EQ(cnt, 12);
	for (unsigned i = 0; i < 12; i++)
		turns_remove(&turns, &items[i]);
	CHECK(!turns_next(&turns, NULL));
	CHECK_EQ(accounts.used_cnt, 0);
	arena_close(&arena);
}

static void test_without_an_account_an_item_is_refused(void)
{
	turns_make_as(&nested, 4);
	CHECK_EQ(push_nested(0, (uint8_t[]){0, 1, 1}, 1), 0);
	CHECK_EQ(push_nested(1, (uint8_t[]){0, 1, 2}, 1), 0);
	CHECK_EQ(push_nested(2, (uint8_t[]){0, 2, 1}, 1), WEFT_EFULL);
	CHECK_EQ(accounts.used_cnt, 4);
	CHECK_EQ(turns.refused_cnt, 1);
	CHECK_EQ(turns.account_cnts[1], 1);
	arena_close(&arena);
}

int main(void)
{
	RUN(test_five_keys_of_a_network_have_one_networks_turns);
	RUN(test_a_full_queue_takes_from_the_network_with_most);
	RUN(test_classes_are_served_by_their_weights);
	RUN(test_an_account_that_holds_more_is_passed_over);
	RUN(test_items_that_may_not_go_wait_on);
	RUN(test_a_pop_that_finds_nothing_earns_no_new_turn);
	RUN(test_nested_items_are_walked_and_removed);
	RUN(test_without_an_account_an_item_is_refused);
	RUN(test_a_caller_that_floods_waits_for_itself_alone);
	RUN(test_large_calls_cost_more_than_small_ones);
	RUN(test_a_call_larger_than_a_turn_is_served);
	RUN(test_the_oldest_goes_first_until_the_queue_stands);
	RUN(test_a_full_queue_takes_from_the_caller_with_most);
	RUN(test_as_many_callers_as_places_wait);
	RUN(test_a_call_that_is_taken_back_waits_no_more);
	RUN(test_honest_callers_are_served_beside_a_flood);
	return check_done();
}
