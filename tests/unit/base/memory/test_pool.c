/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/random.h"
#include "support/check.h"

#define CAP 37

struct thing {
	uint64_t mark;
	char rest[13];
};

static struct arena arena;

static void pool_make(struct pool *pool)
{
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    pool_init(pool, &arena, sizeof(struct thing), CAP) < 0)
		abort();
}

static void test_the_footprint_is_exactly_what_init_takes(void)
{
	struct pool pool;
	size_t len;

	pool_make(&pool);
	len = arena.used_len;
	arena_close(&arena);
	if (arena_open(&arena, len) < 0)
		abort();
	CHECK_EQ(pool_init(&pool, &arena, sizeof(struct thing), CAP), 0);
	CHECK_EQ(arena.used_len, arena.cap);
	CHECK(arena_alloc(&arena, 1) == NULL);
	arena_close(&arena);
	if (arena_open(&arena, len - 1) < 0)
		abort();
	CHECK_EQ(pool_init(&pool, &arena, sizeof(struct thing), CAP), WEFT_EFULL);
	arena_close(&arena);
}

static void test_a_full_pool_refuses_and_counts(void)
{
	struct pool pool;
	void *first;

	pool_make(&pool);
	first = pool_acquire(&pool);
	for (unsigned i = 1; i < CAP; i++)
		CHECK(pool_acquire(&pool) != NULL);
	CHECK(pool_acquire(&pool) == NULL);
	CHECK_EQ(pool.refused_cnt, 1);
	CHECK_EQ(pool.used_cnt, CAP);
	CHECK_EQ(pool.peak_cnt, CAP);
	pool_release(&pool, first);
	CHECK(pool_acquire(&pool) == first);
	arena_close(&arena);
}

static void test_objects_are_zeroed_and_aligned(void)
{
	struct pool pool;
	struct thing *thing;

	pool_make(&pool);
	for (unsigned i = 0; i < 3 * CAP; i++) {
		thing = pool_acquire(&pool);
		CHECK_EQ(thing->mark, 0);
		CHECK_EQ((uintptr_t)thing % 16, 0);
		thing->mark = UINT64_MAX;
		pool_release(&pool, thing);
	}
	arena_close(&arena);
}

static void test_a_handle_dies_with_its_object(void)
{
	struct pool pool;
	pool_handle handle;
	void *object;

	pool_make(&pool);
	object = pool_acquire(&pool);
	handle = pool_handle_of(&pool, object);
	CHECK(handle != 0);
	CHECK(pool_lookup(&pool, handle) == object);
	pool_release(&pool, object);
	CHECK(pool_lookup(&pool, handle) == NULL);
	CHECK(pool_acquire(&pool) == object);
	CHECK(pool_lookup(&pool, handle) == NULL);
	CHECK(pool_lookup(&pool, 0) == NULL);
	CHECK(pool_lookup(&pool, UINT64_MAX) == NULL);
	arena_close(&arena);
}

/* The model: an array that says which objects are held, with marks in them. */
static void test_random_use_agrees_with_a_model(void)
{
	struct thing *held[CAP] = {NULL};
	struct random random;
	struct pool pool;
	unsigned held_cnt = 0;

	pool_make(&pool);
	random_init_seeded(&random, 3);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)random_below(&random, CAP);
		unsigned walked_cnt = 0;

		if (held[i]) {
			CHECK_EQ(held[i]->mark, i + 1);
			pool_release(&pool, held[i]);
			held[i] = NULL;
			held_cnt--;
		} else {
			held[i] = pool_acquire(&pool);
			CHECK(held[i] != NULL);
			held[i]->mark = i + 1;
			held_cnt++;
		}
		CHECK_EQ(pool.used_cnt, held_cnt);
		for (struct thing *at = pool_next(&pool, NULL); at; at = pool_next(&pool, at)) {
			CHECK(held[at->mark - 1] == at);
			walked_cnt++;
		}
		CHECK_EQ(walked_cnt, held_cnt);
	}
	arena_close(&arena);
}

int main(void)
{
	RUN(test_the_footprint_is_exactly_what_init_takes);
	RUN(test_a_full_pool_refuses_and_counts);
	RUN(test_objects_are_zeroed_and_aligned);
	RUN(test_a_handle_dies_with_its_object);
	RUN(test_random_use_agrees_with_a_model);
	return check_done();
}
