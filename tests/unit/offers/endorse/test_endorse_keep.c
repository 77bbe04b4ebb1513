/* SPDX-License-Identifier: Apache-2.0 */
/* Endorsements on their way to the disk: batches, and a disk that does not take them. */
#include "endorse_rig.h"

#include <errno.h>

#include "support/fail_nth.h"

/* The disk is tried again so long after a failure. */
#define AGAIN_NS (2 * NS_PER_S)

#define LONG_S (30 * LIFE_S)

static uint64_t batch_cnt(void)
{
	struct store_stats stats;

	store_stats(rig.store, &stats);
	return stats.batch_cnt;
}

static void wait_ns(uint64_t ns)
{
	rig.now_ns += ns;
	(void)settle();
	store_flush(rig.store);
}

/* What is durable is what the next start has. */
static void crash_and_open(void)
{
	store_freeze(rig.store);
	offers_endorse_close(rig.book);
	store_crash(rig.store);
	book_open();
}

static void test_all_of_a_moment_are_one_batch(void)
{
	uint64_t before;

	rig_begin();
	save();
	before = batch_cnt();
	CHECK_EQ(trust_in(SERVICE, 1, 2), 0);
	for (unsigned n = 2; n < 42; n++)
		CHECK_EQ(PUT(.endorser = 1, .provider = n, .level = 2, .network = n), ENDORSE_KEPT);
	CHECK_EQ(batch_cnt(), before);
	CHECK_EQ(rig.done_cnt, 0);
	save();
	CHECK_EQ(batch_cnt(), before + 1);
	CHECK_EQ(rig.done_cnt, 41);
	/* Nothing new is no batch. */
	save();
	CHECK_EQ(batch_cnt(), before + 1);
	crash_and_open();
	for (unsigned n = 2; n < 42; n++)
		CHECK_EQ(level(n), 2);
	rig_end();
}

static void test_what_the_disk_did_not_take_counts_and_is_written_again(void)
{
	struct endorse_stats stats;

	rig_begin();
	CHECK_EQ(trust_in(SERVICE, 1, 2), 0);
	CHECK_EQ(trust_in(SERVICE, 9, 2), 0);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 2, .life_s = LONG_S), ENDORSE_KEPT);
	CHECK_EQ(PUT(.endorser = 1, .provider = 3, .level = 2, .life_s = 60), ENDORSE_KEPT);
	CHECK_EQ(PUT(.endorser = 1, .provider = 4, .level = 2, .life_s = LONG_S), ENDORSE_KEPT);
	save();
	CHECK_EQ(rig.done_cnt, 5);
	/* A new word, one that is withdrawn, one whose time is over, and trust that comes and goes. */
	fail_nth_arm_all(1, ENOSPC);
	rig.now_s += 1;
	CHECK_EQ(PUT(.endorser = 1, .provider = 5, .level = 1, .life_s = LONG_S), ENDORSE_KEPT);
	CHECK_EQ(PUT(.endorser = 1, .provider = 4, .level = 0, .life_s = LONG_S), ENDORSE_KEPT);
	CHECK_EQ(trust_in(OTHER, 6, 3), 0);
	CHECK_EQ(trust_in(SERVICE, 9, 0), 0);
	rig.now_s += 60 + ENDORSE_SHOWN_S;
	save();
	CHECK(fail_nth_disarm());
	CHECK_EQ(rig.done_cnt, 5);
	CHECK_EQ(rig.failed_cnt, 4);
	offers_endorse_stats(rig.book, &stats);
	CHECK_EQ(stats.failed_cnt, 1);
	CHECK_EQ(level(2), 2);
	CHECK_EQ(level(4), 0);
	CHECK_EQ(level(5), 1);
	CHECK_EQ(kept_of(3), 0);
	/* The owner is called again by then, and the rest is written. */
	CHECK(offers_endorse_next_ns(rig.book, rig.now_s, rig.now_ns) <= rig.now_ns + AGAIN_NS);
	wait_ns(AGAIN_NS);
	save();
	offers_endorse_stats(rig.book, &stats);
	CHECK_EQ(stats.failed_cnt, 1);
	crash_and_open();
	CHECK_EQ(level(2), 2);
	CHECK_EQ(level(4), 0);
	CHECK_EQ(level(5), 1);
	CHECK_EQ(kept_of(3), 0);
	CHECK_EQ(trust_in(SERVICE, 9, 0), WEFT_EABSENT);
	CHECK_EQ(trust_in(OTHER, 6, 0), 0);
	rig_end();
}

/*
 * Each write fails once. Behind some of them LMDB takes nothing until a start, and each caller hears
 * so. Behind all others the disk has everything.
 */
static void test_whichever_write_fails_the_disk_has_all_that_it_takes_afterwards(void)
{
	unsigned mended_cnt = 0;
	bool has_failed = true;

	for (unsigned n = 1; has_failed; n++) {
		unsigned done_cnt;

		rig_begin();
		CHECK_EQ(trust_in(SERVICE, 1, 2), 0);
		save();
		fail_nth_arm(n, EIO);
		CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 2), ENDORSE_KEPT);
		save();
		CHECK_EQ(PUT(.endorser = 1, .provider = 3, .level = 2), ENDORSE_KEPT);
		save();
		has_failed = fail_nth_disarm();
		wait_ns(AGAIN_NS);
		save();
		done_cnt = rig.done_cnt;
		CHECK_EQ(PUT(.endorser = 1, .provider = 4, .level = 2), ENDORSE_KEPT);
		save();
		CHECK_EQ(rig.done_cnt + rig.failed_cnt, 4);
		done_cnt = rig.done_cnt - done_cnt;
		mended_cnt += done_cnt && rig.failed_cnt;
		crash_and_open();
		for (unsigned provider = 2; done_cnt && provider <= 4; provider++)
			CHECK_EQ(level(provider), 2);
		rig_end();
		CHECK(n < 100);
	}
	CHECK(mended_cnt > 0);
}

/* Random changes while the disk fails at random: a start has what was there. */
static void test_random_changes_and_failures_end_in_what_memory_had(void)
{
	for (unsigned round = 0; round < 8; round++) {
		unsigned levels[12] = {0};
		bool is_failing = false;

		rig_begin();
		random_init_seeded(&rig.dice, seed_of_run(50 + round));
		for (unsigned step = 0; step < 200; step++) {
			unsigned n = 1 + (unsigned)random_below(&rig.dice, 11);
			unsigned what = (unsigned)random_below(&rig.dice, 8);

			rig.now_s++;
			if (what < 4)
				(void)PUT(.endorser = n, .provider = n % 11 + 1, .level = what,
					  .network = n);
			else if (what == 4)
				(void)trust_in(SERVICE, n,
					       1 + (unsigned)random_below(&rig.dice, 3));
			else if (what == 5)
				(void)trust_in(SERVICE, n, 0);
			else
				wait_ns(random_below(&rig.dice, AGAIN_NS));
			if (random_below(&rig.dice, 20) == 0) {
				if (is_failing)
					(void)fail_nth_disarm();
				else
					fail_nth_arm_all(1, ENOSPC);
				is_failing = !is_failing;
			}
		}
		(void)fail_nth_disarm();
		for (unsigned i = 0; i < 3; i++)
			wait_ns(AGAIN_NS);
		for (unsigned n = 1; n < 12; n++)
			levels[n] = level(n);
		crash_and_open();
		for (unsigned n = 1; n < 12; n++)
			CHECK_EQ(level(n), levels[n]);
		rig_end();
	}
}

static void test_a_disk_that_stands_still_refuses_changes_in_the_end(void)
{
	enum endorse_verdict verdict = ENDORSE_KEPT;
	unsigned cnt = 0;

	rig_begin();
	/* Nothing is submitted, as the owner does not come to it; the batch is bounded all the same. */
	while (verdict == ENDORSE_KEPT && cnt < 5000) {
		rig.now_s++;
		verdict = PUT(.endorser = 1, .provider = 2, .level = 1 + cnt % 3);
		cnt++;
	}
	CHECK_EQ(verdict, ENDORSE_LAGS);
	CHECK_EQ(trust_in(SERVICE, 1, 2), WEFT_EBUSY);
	CHECK_EQ(kept_of(2), 1);
	save();
	CHECK_EQ(rig.done_cnt, cnt - 1);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 1), ENDORSE_KEPT);
	rig_end();
}

int main(void)
{
	RUN(test_all_of_a_moment_are_one_batch);
	RUN(test_what_the_disk_did_not_take_counts_and_is_written_again);
	RUN(test_whichever_write_fails_the_disk_has_all_that_it_takes_afterwards);
	RUN(test_random_changes_and_failures_end_in_what_memory_had);
	RUN(test_a_disk_that_stands_still_refuses_changes_in_the_end);
	return check_done();
}
