/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory/arena.h"
#include "base/map.h"
#include "base/random.h"
#include "support/check.h"

#define CAP	100
#define KEY_LEN 5

static const uint64_t secret[2] = {1, 2};
static struct arena arena;

static void map_make(struct map *map, uint32_t cap_cnt)
{
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    map_init(map, &arena, KEY_LEN, cap_cnt, secret) < 0)
		abort();
}

static const uint8_t *key_of(unsigned number)
{
	static uint8_t key[KEY_LEN];

	memcpy(key, &number, sizeof(number));
	return key;
}

static void test_a_full_map_refuses_a_new_key_and_replaces_an_old_one(void)
{
	int values[CAP + 1];
	struct map map;
	size_t len;

	map_make(&map, CAP);
	len = arena.used_len;
	arena_close(&arena);
	CHECK_EQ(arena_open(&arena, len), 0);
	CHECK_EQ(map_init(&map, &arena, KEY_LEN, CAP, secret), 0);
	CHECK_EQ(arena.used_len, arena.cap);
	for (unsigned i = 0; i < CAP; i++)
		CHECK_EQ(map_put(&map, key_of(i), &values[i]), 0);
	CHECK_EQ(map_put(&map, key_of(CAP), &values[CAP]), WEFT_EFULL);
	CHECK(map_lookup(&map, key_of(CAP)) == NULL);
	CHECK_EQ(map_put(&map, key_of(7), &values[CAP]), 0);
	CHECK(map_lookup(&map, key_of(7)) == &values[CAP]);
	CHECK_EQ(map.used_cnt, CAP);
	CHECK(map_delete(&map, key_of(7)) == &values[CAP]);
	CHECK(map_delete(&map, key_of(7)) == NULL);
	CHECK_EQ(map_put(&map, key_of(CAP), &values[CAP]), 0);
	arena_close(&arena);
}

/* Keys from a range twice the capacity, so that runs wrap, merge and break. */
static void map_against_model(uint32_t cap_cnt, uint64_t seed)
{
	int values[2 * CAP];
	bool is_there[2 * CAP] = {false};
	struct random random;
	struct map map;
	uint32_t cnt = 0;

	map_make(&map, cap_cnt);
	random_init_seeded(&random, seed);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)random_below(&random, 2 * cap_cnt);

		if (random_below(&random, 2)) {
			int want = is_there[i] || cnt < cap_cnt ? 0 : WEFT_EFULL;

			CHECK_EQ(map_put(&map, key_of(i), &values[i]), want);
			cnt += want == 0 && !is_there[i];
			is_there[i] |= want == 0;
		} else {
			CHECK(map_delete(&map, key_of(i)) == (is_there[i] ? &values[i] : NULL));
			cnt -= is_there[i];
			is_there[i] = false;
		}
		CHECK_EQ(map.used_cnt, cnt);
		i = (unsigned)random_below(&random, 2 * cap_cnt);
		CHECK(map_lookup(&map, key_of(i)) == (is_there[i] ? &values[i] : NULL));
	}
	for (unsigned i = 0; i < 2 * cap_cnt; i++)
		CHECK(map_lookup(&map, key_of(i)) == (is_there[i] ? &values[i] : NULL));
	arena_close(&arena);
}

static void test_random_use_agrees_with_a_model(void)
{
	static const uint32_t caps[] = {1, 2, 3, 4, 12, CAP};

	for (unsigned i = 0; i < sizeof(caps) / sizeof(caps[0]) && !check_failed; i++)
		map_against_model(caps[i], i);
}

int main(void)
{
	RUN(test_a_full_map_refuses_a_new_key_and_replaces_an_old_one);
	RUN(test_random_use_agrees_with_a_model);
	return check_done();
}
