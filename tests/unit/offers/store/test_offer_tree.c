/* SPDX-License-Identifier: Apache-2.0 */
/* The ordered pairs of an index, against a sorted array. */
#include "offers/store/offer_tree.h"

#include <stdlib.h>

#include "base/memory/arena.h"
#include "base/random.h"
#include "support/check.h"
#include "support/seed.h"

#define PAIR_CAP 12000u
#define OPS	 100000u

static struct arena arena;
static struct pool nodes;
static struct offer_tree tree;
static struct random dice;
static struct offer_pair model[PAIR_CAP];
static uint32_t model_cnt;

static void begin(uint64_t seed)
{
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    pool_init(&nodes, &arena, sizeof(struct offer_node),
		      offers_tree_node_cnt(PAIR_CAP, 1)) < 0 ||
	    offers_tree_init(&tree, &nodes) < 0)
		exit(1);
	random_init_seeded(&dice, seed_of_run(seed));
	model_cnt = 0;
}

static void end(void)
{
	offers_tree_fini(&tree);
	arena_close(&arena);
}

static bool pair_is_below(struct offer_pair a, struct offer_pair b)
{
	return a.key < b.key || (a.key == b.key && a.row < b.row);
}

/* Pairs of the model below pair. */
static uint32_t model_below(struct offer_pair pair)
{
	uint32_t low = 0, high = model_cnt;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (pair_is_below(model[mid], pair))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void both_put(struct offer_pair pair)
{
	uint32_t at = model_below(pair);

	if (at < model_cnt && !pair_is_below(pair, model[at]))
		return;
	if (model_cnt == PAIR_CAP)
		return;
	memmove(model + at + 1, model + at, (model_cnt - at) * sizeof(model[0]));
	model[at] = pair;
	model_cnt++;
	offers_tree_put(&tree, pair);
}

static void both_remove(uint32_t at)
{
	struct offer_pair pair = model[at];

	model_cnt--;
	memmove(model + at, model + at + 1, (model_cnt - at) * sizeof(model[0]));
	offers_tree_remove(&tree, pair);
}

static bool is_same(void)
{
	struct offer_place place = offers_tree_place(&tree, (struct offer_pair){0, 0});
	struct offer_pair pair;

	for (uint32_t i = 0; i < model_cnt; i++)
		if (!offers_tree_next(&place, &pair) || pair.key != model[i].key ||
		    pair.row != model[i].row)
			return false;
	if (offers_tree_next(&place, &pair))
		return false;
	for (uint32_t i = model_cnt; i-- > 0;)
		if (!offers_tree_prev(&place, &pair) || pair.key != model[i].key ||
		    pair.row != model[i].row)
			return false;
	return !offers_tree_prev(&place, &pair) && offers_tree_check(&tree);
}

static bool count_is_same(uint64_t first, uint64_t last)
{
	uint32_t want = 0;

	if (first <= last)
		want = model_below((struct offer_pair){last, UINT32_MAX}) -
		       model_below((struct offer_pair){first, 0});
	return offers_tree_count(&tree, first, last) == want;
}

/* Keys from a few values, of which each has many rows, or from all of 64 bits. */
static uint64_t any_key(bool is_narrow)
{
	if (is_narrow)
		return random_below(&dice, 7);
	switch (random_below(&dice, 16)) {
	case 0:
		return UINT64_MAX;
	case 1:
		return 0;
	default:
		return random_u64(&dice);
	}
}

/* put_percent of the changes put, the others remove. */
static void changes(uint32_t cnt, unsigned put_percent, bool is_narrow)
{
	for (uint32_t i = 0; i < cnt; i++) {
		struct offer_pair pair = {any_key(is_narrow),
					  (uint32_t)random_below(&dice, 1000000)};

		if (model_cnt == 0 || random_below(&dice, 100) < put_percent)
			both_put(pair);
		else
			both_remove((uint32_t)random_below(&dice, model_cnt));
	}
}

static void check_random(bool is_narrow)
{
	begin(is_narrow ? 5 : 6);
	for (unsigned round = 0; round < 10; round++) {
		changes(OPS / 10, round % 3 == 2 ? 25 : 65, is_narrow);
		CHECK(is_same());
		CHECK(nodes.used_cnt <= offers_tree_node_cnt(model_cnt, 1));
		for (unsigned i = 0; i < 200; i++)
			CHECK(count_is_same(any_key(is_narrow), any_key(is_narrow)));
	}
	while (model_cnt > 0)
		both_remove((uint32_t)random_below(&dice, model_cnt));
	CHECK(is_same());
	CHECK_EQ(nodes.used_cnt, 1);
	CHECK_EQ(tree.height, 1);
	end();
	CHECK_EQ(nodes.used_cnt, 0);
}

static void test_random_changes_agree_with_a_sorted_array(void)
{
	check_random(false);
}

static void test_many_rows_of_few_keys_agree_with_a_sorted_array(void)
{
	check_random(true);
}

static void test_rising_pairs_fill_their_nodes(void)
{
	begin(1);
	for (uint32_t i = 0; i < PAIR_CAP; i++)
		both_put((struct offer_pair){i, 1});
	CHECK(is_same());
	CHECK(nodes.used_cnt <= PAIR_CAP / (OFFER_LEAF_CAP - 1) * 33 / 31 + 3);
	end();
}

/* Every second leaf is emptied to one pair, then the others to a quarter, and so on. */
static void test_no_order_of_removals_leaves_nodes_thin(void)
{
	begin(2);
	for (uint32_t i = 0; i < PAIR_CAP; i++)
		both_put((struct offer_pair){i, 1});
	for (uint32_t keep = 2; keep <= 64; keep *= 2) {
		for (uint32_t i = model_cnt; i-- > 0;)
			if (model[i].key / 63 % 2 == 0 ? model[i].key % 63 : model[i].key % keep)
				both_remove(i);
		CHECK(nodes.used_cnt <= offers_tree_node_cnt(model_cnt, 1));
		CHECK(is_same());
	}
	end();
}

static void test_falling_pairs_and_removals_from_both_ends(void)
{
	begin(3);
	for (uint32_t i = PAIR_CAP; i-- > 0;)
		both_put((struct offer_pair){i / 100, i});
	CHECK(is_same());
	for (uint32_t i = 0; i < PAIR_CAP / 2 - 1; i++) {
		both_remove(0);
		both_remove(model_cnt - 1);
	}
	CHECK_EQ(model_cnt, 2);
	CHECK(is_same());
	end();
}

/* With the nodes that offers_tree_room asks for, a put never finds none. */
static void test_room_is_enough_for_the_worst_put(void)
{
	begin(4);
	while (offers_tree_room(&tree, 1) && model_cnt < PAIR_CAP)
		both_put((struct offer_pair){random_u64(&dice), 1});
	CHECK(is_same());
	nodes.cap_cnt = nodes.used_cnt + offers_tree_nodes_needed(&tree, 1) - 1;
	CHECK(!offers_tree_room(&tree, 1));
	nodes.cap_cnt++;
	CHECK(offers_tree_room(&tree, 1));
	end();
}

static void test_an_empty_tree_has_nothing(void)
{
	struct offer_place place;
	struct offer_pair pair;

	begin(0);
	place = offers_tree_place(&tree, (struct offer_pair){0, 0});
	CHECK(!offers_tree_next(&place, &pair));
	CHECK(!offers_tree_prev(&place, &pair));
	CHECK_EQ(offers_tree_count(&tree, 0, UINT64_MAX), 0);
	CHECK_EQ(offers_tree_count(&tree, 2, 1), 0);
	CHECK(offers_tree_check(&tree));
	end();
}

int main(void)
{
	RUN(test_an_empty_tree_has_nothing);
	RUN(test_random_changes_agree_with_a_sorted_array);
	RUN(test_many_rows_of_few_keys_agree_with_a_sorted_array);
	RUN(test_rising_pairs_fill_their_nodes);
	RUN(test_no_order_of_removals_leaves_nodes_thin);
	RUN(test_falling_pairs_and_removals_from_both_ends);
	RUN(test_room_is_enough_for_the_worst_put);
	return check_done();
}
