/* SPDX-License-Identifier: Apache-2.0 */
/* Caps of a month hold what is sent, over restarts and clocks that are set. */
#include <errno.h>

#include "blobs/blobs_state.h"
#include "serve_rig.h"

#define NOV_1_S	 1793491200ull /* 2026-11-01 00:00 UTC */
#define MONTH_S	 (30 * 86400ull)
#define CAP	 (64 * (uint64_t)BLAKE3_CHUNK_LEN)
#define WALL(at) duo.nodes[DUO_A].wall_s = (at)

static struct blobs *seeder(void)
{
	return duo.nodes[DUO_A].content;
}

static void time_pass(uint64_t span_ns)
{
	uint64_t until_ns = duo.now_ns + span_ns;

	while (duo.now_ns < until_ns) {
		(void)duo_turn(&duo);
		duo.now_ns += 50 * NS_PER_MS;
	}
}

/* Of both zones, so that it does not matter where the asker is. */
static void caps_set(uint64_t cap)
{
	for (unsigned z = 0; z < BLOBS_ZONE_CNT; z++)
		CHECK_EQ(blobs_limit_set(seeder(),
					 blobs_month_limit(BLOBS_UPLOADS, (enum blobs_zone)z), cap,
					 NULL, NULL),
			 0);
	time_pass(NS_PER_S);
}

static uint64_t used(void)
{
	uint64_t sum = 0;

	for (unsigned z = 0; z < BLOBS_ZONE_CNT; z++)
		sum += seeder()->credits[BLOBS_UPLOADS][z].taken;
	return sum;
}

static struct blobs_month_view month(void)
{
	enum blobs_zone zone =
		seeder()->credits[BLOBS_UPLOADS][BLOBS_LAN].taken ? BLOBS_LAN : BLOBS_INTERNET;
	struct blobs_month_view view;

	blobs_month_show(seeder(), BLOBS_UPLOADS, zone, &view);
	return view;
}

/* As many of cnt chunks as are sent before one is told to come back or time is over. */
static unsigned chunks_sent(unsigned cnt, uint64_t span_ns)
{
	static struct question question;
	uint64_t until_ns = duo.now_ns + span_ns;
	unsigned sent_cnt = 0;

	while (sent_cnt < cnt && duo.now_ns < until_ns) {
		ask(&question, MESH_GET_CHUNK, big_id, 0, 0);
		if (!answered(&question))
			return sent_cnt;
		if (question.err == 0)
			sent_cnt++;
		else
			time_pass(NS_PER_S);
	}
	return sent_cnt;
}

static void test_a_cap_is_never_passed_and_a_new_month_begins_at_0(void)
{
	unsigned sent_cnt;

	CHECK(duo_begin());
	WALL(NOV_1_S);
	seeder()->params.config.month_glide_percent = 100;
	caps_set(CAP);
	sent_cnt = chunks_sent(100, 60 * NS_PER_S);
	CHECK(sent_cnt <= 64);
	CHECK(sent_cnt >= 62); /* the last has to fit, with the hashes of a proof */
	CHECK(month().used <= CAP);
	CHECK(used() <= CAP);
	CHECK_EQ(month().end_s, NOV_1_S + MONTH_S);
	CHECK_EQ(chunks_sent(1, 10 * NS_PER_S), 0);
	WALL(NOV_1_S + MONTH_S);
	time_pass(NS_PER_S);
	CHECK(chunks_sent(10, 10 * NS_PER_S) == 10);
	CHECK(month().used < CAP);
	duo_fini(&duo);
}

/* Nothing is written when a node ends, so a clean end and kill -9 are the same here. */
static void test_a_restart_counts_at_most_a_lease_more(void)
{
	uint64_t went, leased = 0;

	CHECK(duo_begin());
	WALL(NOV_1_S);
	seeder()->params.config.month_glide_percent = 100;
	caps_set(4 * CAP);
	CHECK_EQ(chunks_sent(20, 60 * NS_PER_S), 20);
	went = used();
	CHECK_EQ(went, 20 * BLAKE3_CHUNK_LEN);
	CHECK(month().used >= went);
	/* An unused zone is granted what may be saved up, and no more. */
	CHECK(seeder()->months.quotas[BLOBS_UPLOADS][BLOBS_LAN].spent == QUOTA_BURST_LEN ||
	      seeder()->months.quotas[BLOBS_UPLOADS][BLOBS_INTERNET].spent == QUOTA_BURST_LEN);
	for (unsigned z = 0; z < BLOBS_ZONE_CNT; z++)
		if (seeder()->credits[BLOBS_UPLOADS][z].taken)
			leased = seeder()->months.quotas[BLOBS_UPLOADS][z].leased;
	CHECK(leased >= went);
	duo_node_close(&duo, DUO_A);
	duo_node_open(&duo, DUO_A);
	seeder()->params.config.month_glide_percent = 100;
	WALL(NOV_1_S + 3600);
	caps_set(4 * CAP);
	time_pass(NS_PER_S);
	CHECK_EQ(chunks_sent(1, 10 * NS_PER_S), 1);
	CHECK(month().used >= went + BLAKE3_CHUNK_LEN);
	CHECK(month().used <= leased + 2 * QUOTA_BURST_LEN);
	duo_fini(&duo);
}

/* From half of the cap on: what is left of it over what is left of the month. */
static void test_the_glide_spreads_the_rest(void)
{
	uint64_t began_ns;

	CHECK(duo_begin());
	seeder()->params.config.month_glide_percent = 50;
	WALL(NOV_1_S + MONTH_S - 128);
	caps_set(CAP);
	began_ns = duo.now_ns;
	CHECK(chunks_sent(30, 10 * NS_PER_S) >= 28);
	CHECK(duo.now_ns - began_ns < 10 * NS_PER_S);
	CHECK(month().glide_per_s > 0);
	CHECK(month().glide_per_s <= CAP / 2 / 128);
	/* 64 KiB a second at first; four chunks take sixteen seconds or more, but for what was saved up. */
	(void)chunks_sent(3, 60 * NS_PER_S);
	began_ns = duo.now_ns;
	CHECK_EQ(chunks_sent(4, 60 * NS_PER_S), 4);
	CHECK(duo.now_ns - began_ns >= 14 * NS_PER_S);
	CHECK(duo.now_ns - began_ns <= 40 * NS_PER_S);
	duo_fini(&duo);
}

static void test_without_a_cap_nothing_is_held(void)
{
	CHECK(duo_begin());
	WALL(NOV_1_S);
	seeder()->params.config.month_glide_percent = 100;
	caps_set(1);
	CHECK_EQ(chunks_sent(1, 5 * NS_PER_S), 0);
	caps_set(0);
	CHECK_EQ(chunks_sent(40, NS_PER_S), 40);
	/* A cap that comes back counts what it had counted, not what went without. */
	caps_set(CAP);
	CHECK(month().used <= QUOTA_LEASE_MIN);
	CHECK_EQ(chunks_sent(4, 10 * NS_PER_S), 4);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_a_cap_is_never_passed_and_a_new_month_begins_at_0);
	RUN(test_a_restart_counts_at_most_a_lease_more);
	RUN(test_the_glide_spreads_the_rest);
	RUN(test_without_a_cap_nothing_is_held);
	return check_done();
}
