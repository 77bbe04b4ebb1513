/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/rates/upload_parts.h"

#include "base/monotonic.h"
#include "support/check.h"

#define LIMIT 100000000ull

static struct upload_part parts[4];

static uint64_t sum(unsigned cnt)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < cnt; i++)
		all += parts[i].part;
	return all;
}

static void begin(void)
{
	memset(parts, 0, sizeof(parts));
}

static void test_idle_workers_share_evenly(void)
{
	begin();
	blobs_upload_parts_divide(parts, 4, LIMIT + 3, NS_PER_S);
	CHECK_EQ(sum(4), LIMIT + 3);
	for (unsigned i = 0; i < 4; i++)
		CHECK(parts[i].part >= LIMIT / 4 && parts[i].part <= LIMIT / 4 + 1);
}

/* The one where all getters are has nearly all of it. */
static void test_a_waiting_peer_gets_the_share_that_others_leave(void)
{
	begin();
	parts[2].is_waiting = true;
	blobs_upload_parts_divide(parts, 4, LIMIT, NS_PER_S);
	CHECK_EQ(sum(4), LIMIT);
	CHECK(parts[2].part > LIMIT * 98 / 100);
	CHECK(parts[0].part > 0);
}

/* One that sends a tenth keeps it, and the rest is for two that wait. */
static void test_content_worker_keeps_what_it_sends(void)
{
	begin();
	parts[0].charged_cnt = LIMIT / 40; /* in a quarter of a second */
	parts[0].part = LIMIT / 4;
	parts[1].is_waiting = parts[3].is_waiting = true;
	blobs_upload_parts_divide(parts, 4, LIMIT, NS_PER_S / 4);
	CHECK_EQ(sum(4), LIMIT);
	CHECK(parts[0].part >= LIMIT / 10 && parts[0].part < LIMIT / 7);
	CHECK_EQ(parts[1].part, parts[3].part);
	CHECK(parts[1].part > LIMIT * 4 / 10);
	/* It has stopped since. */
	blobs_upload_parts_divide(parts, 4, LIMIT, NS_PER_S / 4);
	CHECK(parts[0].part < LIMIT / 100);
}

static void test_all_that_wait_share_evenly(void)
{
	begin();
	for (unsigned i = 0; i < 4; i++) {
		parts[i].is_waiting = true;
		parts[i].charged_cnt = i * LIMIT;
	}
	blobs_upload_parts_divide(parts, 4, LIMIT, NS_PER_S);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(parts[i].part, LIMIT / 4);
}

static void test_a_peer_that_uses_its_whole_part_wants_more(void)
{
	begin();
	parts[1].part = LIMIT / 10;
	parts[1].charged_cnt = LIMIT / 10;
	blobs_upload_parts_divide(parts, 4, LIMIT, NS_PER_S);
	CHECK(parts[1].part > LIMIT * 9 / 10);
}

static void test_small_limits_are_not_lost(void)
{
	for (uint64_t limit = 0; limit < 100; limit++) {
		begin();
		parts[1].is_waiting = true;
		blobs_upload_parts_divide(parts, 3, limit, 0);
		CHECK_EQ(sum(3), limit);
	}
}

int main(void)
{
	RUN(test_idle_workers_share_evenly);
	RUN(test_a_waiting_peer_gets_the_share_that_others_leave);
	RUN(test_content_worker_keeps_what_it_sends);
	RUN(test_all_that_wait_share_evenly);
	RUN(test_a_peer_that_uses_its_whole_part_wants_more);
	RUN(test_small_limits_are_not_lost);
	return check_done();
}
