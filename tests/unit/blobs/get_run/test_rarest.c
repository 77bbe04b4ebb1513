/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/get_run/rarest.h"

#include "support/check.h"

#define CHUNKS 163u

static struct rarest order;
static uint64_t first_held, last_held; /* what the source at hand has */
static uint64_t rare;

static uint64_t there(void *arg, uint64_t first)
{
	uint64_t bits = 0;

	(void)arg;
	for (uint64_t i = 0; i < 64; i++)
		bits |= (uint64_t)(first + i >= first_held && first + i <= last_held) << i;
	return bits;
}

static uint16_t rank_of(void *arg, uint64_t idx)
{
	(void)arg;
	return idx == rare ? 1 : 3;
}

static uint64_t pick(void)
{
	uint16_t rank;
	uint64_t idx = blobs_rarest_pick(&order, there, NULL, &rank);

	if (idx != RAREST_NONE)
		blobs_rarest_take(&order, idx);
	return idx;
}

static void begin(uint64_t seed)
{
	first_held = 0;
	last_held = CHUNKS - 1;
	(void)!blobs_rarest_begin(&order, CHUNKS, seed);
}

static void test_every_chunk_is_picked_once_in_order(void)
{
	unsigned jump_cnt = 0;
	uint64_t last;

	begin(CHUNKS + 48);
	last = pick();
	CHECK_EQ(last, 48);
	for (unsigned i = 1; i < CHUNKS; i++) {
		uint64_t idx = pick();

		CHECK(idx < CHUNKS);
		jump_cnt += idx != last + 1;
		last = idx;
	}
	CHECK_EQ(jump_cnt, 1); /* from the end to the beginning */
	CHECK_EQ(pick(), RAREST_NONE);
	blobs_rarest_fini(&order);
}

static void test_the_rarest_comes_first(void)
{
	begin(0);
	rare = 70;
	blobs_rarest_sort(&order, rank_of, NULL);
	CHECK_EQ(pick(), 70);
	CHECK_EQ(pick(), 71);
	blobs_rarest_fini(&order);
}

static void test_what_a_source_has_not_is_not_picked_for_it(void)
{
	begin(0);
	rare = 70;
	blobs_rarest_sort(&order, rank_of, NULL);
	first_held = 20;
	last_held = 21;
	CHECK_EQ(pick(), 20);
	CHECK_EQ(pick(), 21);
	CHECK_EQ(pick(), RAREST_NONE);
	last_held = CHUNKS - 1;
	CHECK_EQ(pick(), 70);
	blobs_rarest_fini(&order);
}

/* Runs of 64 and of 128 chunks: the bit of a run's last chunk, and the run behind it. */
static void test_a_long_run_ends_with_its_last_chunk(void)
{
	for (uint64_t run_len = 64; run_len <= 128; run_len *= 2) {
		uint16_t rank;

		CHECK_EQ(blobs_rarest_begin(&order, RAREST_RUNS_MAX * run_len, 0), 0);
		CHECK_EQ(1u << order.run_log2, run_len);
		rare = 0;
		blobs_rarest_sort(&order, rank_of, NULL);
		first_held = last_held = run_len - 1;
		CHECK_EQ(blobs_rarest_pick(&order, there, NULL, &rank), run_len - 1);
		CHECK_EQ(rank, 1);
		/* The first of the next run is there, of a rank of its own. */
		first_held = last_held = run_len;
		CHECK_EQ(blobs_rarest_pick(&order, there, NULL, &rank), run_len);
		CHECK_EQ(rank, 3);
		blobs_rarest_fini(&order);
	}
}

static void test_what_is_given_back_is_picked_again(void)
{
	begin(0);
	while (pick() != RAREST_NONE)
		;
	blobs_rarest_give_back(&order, 40);
	CHECK_EQ(pick(), 40);
	CHECK_EQ(pick(), RAREST_NONE);
	blobs_rarest_fini(&order);
}

static unsigned ask_cnt;
static uint64_t there_bits; /* of the last 64 of a long file; of others none */

static uint64_t always(void *arg, uint64_t first)
{
	(void)arg, (void)first;
	return ~0ull;
}

static void test_a_long_file_has_longer_runs_not_more(void)
{
	uint16_t rank;

	CHECK_EQ(blobs_rarest_begin(&order, RAREST_RUNS_MAX, 0), 0);
	CHECK_EQ(order.run_cnt, RAREST_RUNS_MAX);
	CHECK_EQ(blobs_rarest_begin(&order, RAREST_RUNS_MAX + 1, 5), 0);
	CHECK_EQ(order.run_cnt, RAREST_RUNS_MAX / 2 + 1);
	CHECK_EQ(blobs_rarest_pick(&order, always, NULL, &rank), 5 * 2);
	CHECK_EQ(blobs_rarest_begin(&order, 2, UINT64_MAX), 0);
	CHECK_EQ(blobs_rarest_pick(&order, always, NULL, &rank), 1);
	blobs_rarest_fini(&order);
}

#define MILLION (1u << 20)

static uint64_t at_the_end(void *arg, uint64_t first)
{
	(void)arg;
	ask_cnt++;
	return first == MILLION - 64 ? there_bits : 0;
}

/* All ranks differ, the least last: no run ends the search before the others are looked at. */
static uint16_t descending(void *arg, uint64_t idx)
{
	(void)arg;
	return (uint16_t)(MILLION / 64 - idx / 64);
}

/* Whatever a peer claims to have, of a million chunks each 64 are asked about once. */
static void test_a_pick_of_a_million_chunks_is_bounded(void)
{
	uint32_t version;
	uint16_t rank;

	CHECK_EQ(blobs_rarest_begin(&order, MILLION, 12345), 0);
	blobs_rarest_sort(&order, descending, NULL);
	there_bits = ask_cnt = 0;
	CHECK_EQ(blobs_rarest_pick(&order, at_the_end, NULL, &rank), RAREST_NONE);
	CHECK(ask_cnt <= MILLION / 64);
	for (unsigned i = 0; i < 64; i++) {
		there_bits = 1ull << i;
		ask_cnt = 0;
		CHECK_EQ(blobs_rarest_pick(&order, at_the_end, NULL, &rank), MILLION - 64 + i);
		CHECK(ask_cnt <= MILLION / 64);
		blobs_rarest_take(&order, MILLION - 64 + i);
	}
	/* What is not missing is not asked about. */
	ask_cnt = 0;
	CHECK_EQ(blobs_rarest_pick(&order, at_the_end, NULL, &rank), RAREST_NONE);
	CHECK_EQ(ask_cnt, MILLION / 64 - 1);
	version = order.version;
	blobs_rarest_give_back(&order, MILLION - 1);
	CHECK(order.version != version);
	CHECK_EQ(blobs_rarest_pick(&order, at_the_end, NULL, &rank), MILLION - 1);
	blobs_rarest_fini(&order);
}

/* Of a short one, whose runs are of one chunk, too. */
static void test_runs_of_one_chunk_are_asked_about_together(void)
{
	uint16_t rank;

	CHECK_EQ(blobs_rarest_begin(&order, RAREST_RUNS_MAX, 0), 0);
	there_bits = ask_cnt = 0;
	CHECK_EQ(blobs_rarest_pick(&order, at_the_end, NULL, &rank), RAREST_NONE);
	CHECK_EQ(ask_cnt, RAREST_RUNS_MAX / 64);
	blobs_rarest_fini(&order);
}

int main(void)
{
	RUN(test_every_chunk_is_picked_once_in_order);
	RUN(test_the_rarest_comes_first);
	RUN(test_what_a_source_has_not_is_not_picked_for_it);
	RUN(test_a_long_run_ends_with_its_last_chunk);
	RUN(test_what_is_given_back_is_picked_again);
	RUN(test_a_long_file_has_longer_runs_not_more);
	RUN(test_a_pick_of_a_million_chunks_is_bounded);
	RUN(test_runs_of_one_chunk_are_asked_about_together);
	return check_done();
}
