/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of several units in one fair pool: whole, or not at all. */
#include "base/fair/fair_units.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/memory/arena.h"
#include "base/random.h"
#include "support/check.h"

#define UNIT_LEN    100u
#define UNIT_CNT    64u
#define OBJECTS_MAX 256u

struct object {
	struct fair_holding holding;
	unsigned account;
};

static struct arena arena;
static struct fair_units units;
static struct object objects[OBJECTS_MAX];
static unsigned object_cnt;
static uint64_t now_ns;

static void path_of(void *ctx, const struct fair_holding *holding, struct fair_path *out_path)
{
	const struct object *object = container_of(holding, const struct object, holding);

	(void)ctx;
	fair_path_start(FAIR_UNKNOWN, out_path);
	fair_path_add(&units.places.paths, out_path, &object->account, sizeof(object->account));
}

static void begin(void)
{
	const struct fair_units_config config = {
		.fair = {.name = "test",
			 .cap_cnt = UNIT_CNT,
			 .kind = FAIR_LASTING,
			 .level_cnt = 1,
			 .parts = FAIR_PEER_PARTS},
		.unit_len = UNIT_LEN,
		.path_of = path_of,
	};

	object_cnt = 0;
	now_ns = 1;
	if (arena_open(&arena, ARENA_GROWS) < 0 || fair_units_init(&units, &arena, &config) < 0)
		abort();
}

/* The object, whose holding may have nothing; out_gone_cnt: how many gave way. */
static struct object *take(unsigned account, uint64_t len, unsigned *out_gone_cnt)
{
	struct object *object = &objects[object_cnt++];
	struct list_node leaving;
	unsigned gone_cnt = 0;

	*object = (struct object){.account = account};
	fair_holding_init(&object->holding);
	list_init(&leaving);
	if (fair_units_take(&units, &object->holding, len, &leaving, now_ns++) !=
	    (object->holding.first != NULL))
		abort();
	for (struct fair_holding *gone; (gone = fair_units_leaving(&leaving)); gone_cnt++)
		if (gone->first || gone->len)
			abort();
	if (out_gone_cnt)
		*out_gone_cnt = gone_cnt;
	return object;
}

static uint64_t held_len(unsigned account)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < object_cnt; i++)
		len += objects[i].account == account ? objects[i].holding.len : 0;
	return len;
}

static void test_an_idle_pool_is_used_whole_and_a_unit_more_is_refused(void)
{
	unsigned gone_cnt;

	begin();
	CHECK(take(1, UNIT_CNT * UNIT_LEN, &gone_cnt)->holding.first);
	CHECK_EQ(units.places.fair.held_cnt, UNIT_CNT);
	CHECK(!take(1, 1, &gone_cnt)->holding.first);
	CHECK_EQ(gone_cnt, 0);
	CHECK_EQ(units.len, UNIT_CNT * UNIT_LEN);
	fair_units_release(&units, &objects[0].holding);
	CHECK_EQ(units.len, 0);
	CHECK_EQ(units.places.fair.held_cnt, 0);
	CHECK(!take(1, UNIT_CNT * UNIT_LEN + 1, &gone_cnt)->holding.first);
	arena_close(&arena);
}

static void test_the_account_with_most_pays_and_its_objects_go_whole(void)
{
	unsigned gone_cnt;

	begin();
	for (unsigned i = 0; i < 16; i++)
		CHECK(take(1, 4 * UNIT_LEN, NULL)->holding.first);
	CHECK(take(2, 3 * UNIT_LEN, &gone_cnt)->holding.first);
	CHECK_EQ(gone_cnt, 1);
	CHECK_EQ(held_len(1), 60 * UNIT_LEN);
	CHECK_EQ(held_len(2), 3 * UNIT_LEN);
	arena_close(&arena);
}

/* The newcomer wants more than its share, so what gave way has its own again. */
static void test_a_newcomer_that_does_not_get_all_takes_nothing_of_others(void)
{
	unsigned gone_cnt;

	begin();
	for (unsigned i = 0; i < 16; i++)
		CHECK(take(1, 4 * UNIT_LEN, NULL)->holding.first);
	CHECK(!take(2, 40 * UNIT_LEN, &gone_cnt)->holding.first);
	CHECK_EQ(gone_cnt, 0);
	CHECK_EQ(held_len(1), 64 * UNIT_LEN);
	CHECK_EQ(held_len(2), 0);
	CHECK_EQ(units.len, 64 * UNIT_LEN);
	for (unsigned i = 0; i < 16; i++)
		CHECK(objects[i].holding.first);
	arena_close(&arena);
}

static void test_a_limit_in_bytes_is_kept_as_the_units_are(void)
{
	unsigned gone_cnt;

	begin();
	units.len_max = 1000;
	for (unsigned i = 0; i < 10; i++)
		CHECK(take(1, 100, NULL)->holding.first);
	CHECK(!take(1, 1, &gone_cnt)->holding.first);
	CHECK(take(2, 100, &gone_cnt)->holding.first);
	CHECK_EQ(gone_cnt, 1);
	CHECK_EQ(units.len, 1000);
	CHECK(!take(3, 1001, &gone_cnt)->holding.first);
	CHECK(!fair_units_over(&units));
	units.len_max = 500;
	while (units.len > units.len_max) {
		struct fair_holding *over = fair_units_over(&units);

		CHECK(over != NULL);
		CHECK_EQ(container_of(over, struct object, holding)->account, 1);
		fair_units_release(&units, over);
	}
	CHECK_EQ(held_len(1), 400);
	CHECK_EQ(held_len(2), 100);
	arena_close(&arena);
}

static void test_whatever_comes_and_goes_the_sums_are_those_of_what_is_held(void)
{
	struct random dice;

	begin();
	random_init_seeded(&dice, 3);
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t len = 0;
		uint32_t unit_cnt = 0;

		units.len_max = 2000 + random_below(&dice, 5000);
		if (object_cnt == OBJECTS_MAX) {
			for (unsigned i = 0; i < OBJECTS_MAX; i++)
				fair_units_release(&units, &objects[i].holding);
			object_cnt = 0;
		}
		(void)take((unsigned)random_below(&dice, 5), 1 + random_below(&dice, 1500), NULL);
		if (random_below(&dice, 3) == 0)
			fair_units_release(&units,
					   &objects[random_below(&dice, object_cnt)].holding);
		for (unsigned i = 0; i < object_cnt; i++) {
			CHECK_EQ(objects[i].holding.first != NULL, objects[i].holding.len > 0);
			len += objects[i].holding.len;
			unit_cnt += (uint32_t)((objects[i].holding.len + UNIT_LEN - 1) / UNIT_LEN);
		}
		CHECK_EQ(units.len, len);
		CHECK_EQ(units.places.fair.held_cnt, unit_cnt);
	}
	arena_close(&arena);
}

int main(void)
{
	RUN(test_an_idle_pool_is_used_whole_and_a_unit_more_is_refused);
	RUN(test_the_account_with_most_pays_and_its_objects_go_whole);
	RUN(test_a_newcomer_that_does_not_get_all_takes_nothing_of_others);
	RUN(test_a_limit_in_bytes_is_kept_as_the_units_are);
	RUN(test_whatever_comes_and_goes_the_sums_are_those_of_what_is_held);
	return check_done();
}
