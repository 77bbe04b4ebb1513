/* SPDX-License-Identifier: Apache-2.0 */
#include "social/keep/post_index.h"

#include "base/memory/arena.h"
#include "base/random.h"
#include "support/check.h"

#define ROWS 3000u

static struct arena arena;
static struct post_index posts;
static struct random random_state;

static void up(uint32_t row_cap)
{
	if (arena_open(&arena, ARENA_GROWS) < 0 || social_index_init(&posts, &arena, row_cap) < 0)
		exit(1);
	random_init_seeded(&random_state, 5);
}

/* Rows of few times, so that ids decide; n tells them apart. */
static struct post_row row_of(uint32_t n)
{
	struct post_row row = {.time_ms = n * 7919u % 31, .author = n};
	uint32_t mixed = n * 2654435761u;

	memcpy(row.id, &mixed, sizeof(mixed));
	return row;
}

static int compare(const struct post_row *a, const struct post_row *b)
{
	if (a->time_ms != b->time_ms)
		return a->time_ms < b->time_ms ? -1 : 1;
	return memcmp(a->id, b->id, POST_ID_LEN);
}

/* All rows that are there ascend, both ways, and are those of is_in. */
static void check_order(const bool *is_in)
{
	struct post_place place = {0}, back = social_index_end(&posts);
	const struct post_row *row;
	struct post_row last = {0};
	uint32_t cnt = 0, back_cnt = 0, want = 0;

	for (uint32_t n = 0; n < ROWS; n++)
		want += is_in[n];
	for (; (row = social_index_next(&posts, &place)); last = *row, cnt++) {
		CHECK(cnt == 0 || compare(&last, row) < 0);
		CHECK(is_in[row->author]);
	}
	while (social_index_prev(&posts, &back))
		back_cnt++;
	CHECK_EQ(cnt, want);
	CHECK_EQ(back_cnt, want);
	CHECK_EQ(posts.row_cnt, want);
}

static void test_rows_are_in_order_whatever_comes_and_goes(void)
{
	static bool is_in[ROWS];

	up(ROWS);
	for (unsigned step = 0; step < 60000; step++) {
		uint32_t n = (uint32_t)random_below(&random_state, ROWS);
		struct post_row row = row_of(n);
		/* Waves, so that it fills up and empties. */
		bool adds = random_below(&random_state, 10) < (step / 10000 % 2 ? 2 : 8);

		CHECK_EQ(social_index_find(&posts, row.time_ms, row.id) != NULL, is_in[n]);
		if (adds && !is_in[n])
			CHECK(social_index_put(&posts, &row));
		if (!adds)
			CHECK_EQ(social_index_remove(&posts, row.time_ms, row.id), is_in[n]);
		is_in[n] = adds;
		if (step % 1000 == 0)
			check_order(is_in);
	}
	check_order(is_in);
	arena_close(&arena);
}

static void test_a_place_is_before_the_first_row_not_below(void)
{
	uint8_t id[POST_ID_LEN] = {0};
	struct post_place place;

	up(1000);
	place = social_index_place(&posts, 5, id);
	CHECK(!social_index_next(&posts, &place));
	CHECK(!social_index_find(&posts, 5, id));
	for (uint64_t time_ms = 2; time_ms <= 2000; time_ms += 2)
		CHECK(social_index_put(&posts, &(struct post_row){.time_ms = time_ms}));
	for (uint64_t time_ms = 1; time_ms <= 2000; time_ms++) {
		place = social_index_place(&posts, time_ms, id);
		CHECK_EQ(social_index_next(&posts, &place)->time_ms, (time_ms + 1) / 2 * 2);
	}
	place = social_index_place(&posts, 2001, id);
	CHECK(!social_index_next(&posts, &place));
	CHECK_EQ(social_index_prev(&posts, &place)->time_ms, 2000);
	arena_close(&arena);
}

static void test_one_row_more_than_the_bound_is_refused(void)
{
	up(1000);
	for (uint64_t time_ms = 0; time_ms < 1000; time_ms++)
		CHECK(social_index_put(&posts, &(struct post_row){.time_ms = time_ms}));
	CHECK(!social_index_put(&posts, &(struct post_row){.time_ms = 1000}));
	CHECK(social_index_remove(&posts, 500, (const uint8_t[POST_ID_LEN]){0}));
	CHECK(social_index_put(&posts, &(struct post_row){.time_ms = 1000}));
	arena_close(&arena);
}

/* The worst order for blocks: all are split, then thinned out. */
static void test_any_number_of_rows_fits_after_any_order_of_changes(void)
{
	const uint32_t cap = 64 * 300;

	up(cap);
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < cap; i++)
			CHECK(social_index_put(
				&posts, &(struct post_row){.time_ms = i * 7919 % cap * 4 + round}));
		for (uint64_t i = 0; i < cap; i++)
			if (i % 64 != round)
				CHECK(social_index_remove(&posts, i * 4 + round,
							  (const uint8_t[POST_ID_LEN]){0}));
		for (uint64_t i = round; i < cap; i += 64)
			CHECK(social_index_remove(&posts, i * 4 + round,
						  (const uint8_t[POST_ID_LEN]){0}));
		CHECK_EQ(posts.row_cnt, 0);
		CHECK_EQ(posts.pool.used_cnt, posts.block_cnt);
	}
	arena_close(&arena);
}

int main(void)
{
	RUN(test_rows_are_in_order_whatever_comes_and_goes);
	RUN(test_a_place_is_before_the_first_row_not_below);
	RUN(test_one_row_more_than_the_bound_is_refused);
	RUN(test_any_number_of_rows_fits_after_any_order_of_changes);
	return check_done();
}
