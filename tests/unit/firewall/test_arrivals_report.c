/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's report of arrivals at its sockets, to the record that may not look there. */
#include "firewall/arrivals_report.h"

#include "base/dgram.h"
#include "firewall/arrivals.h"
#include "worker/fastpath/fastpath.h"
#include "firewall/ingress.h"
#include "net/ingress/ingress_verdict.h"
#include "firewall/sketch.h"
#include "support/check.h"

#define NOW_NS (5000 * 1000000000ull)
#define SECOND 1000000000ull

static struct sketch sketch;

struct bench {
	struct weft_config policy;
	struct ingress *ingress;
	struct arrivals_report report;
	struct arrivals arrivals; /* of the reader */
	uint64_t now_ns;
	unsigned portion_cnt, change_cnt;
	bool is_lost; /* on the way */
};

static bool bench_open(struct bench *bench)
{
	const struct ingress_params params = {.secret = {1, 2}, .session_cap = 4};

	memset(bench, 0, sizeof(*bench));
	memset(&sketch, 0, sizeof(sketch));
	firewall_policy_defaults(&bench->policy);
	bench->now_ns = NOW_NS;
	if (firewall_arrivals_open(&bench->arrivals, 2, &sketch) < 0 ||
	    firewall_ingress_new(&params, &bench->ingress) < 0)
		return false;
	firewall_ingress_configure(bench->ingress, &bench->policy);
	firewall_ingress_turn(bench->ingress, NOW_NS);
	return true;
}

static void bench_close(struct bench *bench)
{
	firewall_ingress_free(bench->ingress);
	firewall_arrivals_close(&bench->arrivals);
}

/* 192.0.2.1, 192.0.2.2 and so on: each its own /32, 256 of them a /24. */
static void send_initial(struct bench *bench, unsigned source)
{
	uint8_t initial[1200] = {0xc3, 0, 0, 0, 1, 8};
	struct dgram dgram = {.data = initial, .len = sizeof(initial)};
	char from[40];

	snprintf(from, sizeof(from), "192.0.%u.%u:9", 2 + source / 256, source % 256);
	CHECK_EQ(addr_parse(from, &dgram.remote), 0);
	(void)net_ingress_judge_dgram(firewall_ingress_judge(bench->ingress), &dgram);
}

static void take(void *ctx, const struct arrivals_changes *changes)
{
	struct bench *bench = ctx;

	CHECK(changes->cnt > 0 && changes->cnt <= ARRIVALS_CHANGES_MAX);
	bench->portion_cnt++;
	bench->change_cnt += changes->cnt;
	for (unsigned i = 0; i < changes->cnt && !bench->is_lost; i++) {
		const struct arrivals_block block = {
			.table = 1,
			.level = changes->level,
			.class = changes->class,
			.first = changes->changes[i].idx,
			.cnt = 1,
			.places = &changes->changes[i].place,
			.rate = bench->policy.rates[changes->class][changes->level],
		};

		firewall_arrivals_read(&bench->arrivals, &block, bench->now_ns);
	}
}

static void report(struct bench *bench)
{
	bench->portion_cnt = bench->change_cnt = 0;
	firewall_arrivals_report_each(&bench->report, bench->ingress, bench->now_ns, take, bench);
	bench->now_ns += SECOND;
	firewall_ingress_turn(bench->ingress, bench->now_ns);
}

static uint64_t offered_cnt(const struct bench *bench, unsigned level)
{
	return bench->arrivals.limits[WEFT_CLASS_INITIAL][level].offered_cnt;
}

static void test_the_reader_counts_what_the_ingress_counted(void)
{
	struct bench bench;
	uint64_t refused_cnt;

	CHECK(bench_open(&bench));
	for (unsigned i = 0; i < 30000; i++)
		send_initial(&bench, i % 3);
	report(&bench);
	refused_cnt = firewall_ingress_counters(bench.ingress)[WEFT_REASON_RETRY_SENT].packet_cnt +
		      firewall_ingress_counters(bench.ingress)[WEFT_REASON_ANSWER_LIMIT].packet_cnt;
	CHECK_EQ(offered_cnt(&bench, 0), 30000);
	CHECK(refused_cnt > 0);
	CHECK_EQ(bench.arrivals.limits[WEFT_CLASS_INITIAL][0].refused_cnt +
			 bench.arrivals.limits[WEFT_CLASS_INITIAL][1].refused_cnt,
		 refused_cnt);
	CHECK_EQ(bench.change_cnt, 4); /* three addresses of one network */
	bench_close(&bench);
}

static void test_only_rows_used_since_are_reported(void)
{
	struct bench bench;

	CHECK(bench_open(&bench));
	report(&bench);
	CHECK_EQ(bench.portion_cnt, 0);
	for (unsigned i = 0; i < 5; i++)
		send_initial(&bench, i);
	report(&bench);
	CHECK_EQ(bench.change_cnt, 6);
	report(&bench);
	CHECK_EQ(bench.portion_cnt, 0);
	send_initial(&bench, 4);
	report(&bench);
	CHECK_EQ(bench.change_cnt, 2);
	CHECK_EQ(offered_cnt(&bench, 0), 6);
	bench_close(&bench);
}

static void test_what_was_lost_comes_with_the_next_of_the_place(void)
{
	struct bench bench;

	CHECK(bench_open(&bench));
	send_initial(&bench, 1);
	bench.is_lost = true;
	report(&bench);
	CHECK_EQ(offered_cnt(&bench, 0), 0);
	bench.is_lost = false;
	send_initial(&bench, 1);
	report(&bench);
	CHECK_EQ(offered_cnt(&bench, 0), 2);
	CHECK_EQ(offered_cnt(&bench, 1), 2);
	bench_close(&bench);
}

static unsigned used_cnt(const struct ingress *ingress, unsigned level)
{
	const struct weft_place *places =
		firewall_ingress_places(ingress, WEFT_CLASS_INITIAL, level);
	unsigned cnt = 0;

	for (unsigned i = 0; i < WEFT_PLACE_CNT; i++)
		cnt += places[i].offered_cnt > 0;
	return cnt;
}

static void test_one_change_more_than_a_portion_holds_goes_with_the_next(void)
{
	struct bench bench;
	unsigned source = 0;

	CHECK(bench_open(&bench));
	for (; used_cnt(bench.ingress, 0) < ARRIVALS_CHANGES_MAX; source++)
		send_initial(&bench, source);
	report(&bench);
	CHECK_EQ(bench.portion_cnt, 2); /* the addresses, and their networks */
	bench_close(&bench);
	CHECK(bench_open(&bench));
	for (source = 0; used_cnt(bench.ingress, 0) < ARRIVALS_CHANGES_MAX + 1; source++)
		send_initial(&bench, source);
	report(&bench);
	CHECK_EQ(bench.portion_cnt, 3);
	CHECK_EQ(bench.change_cnt, used_cnt(bench.ingress, 0) + used_cnt(bench.ingress, 1));
	bench_close(&bench);
}

static void test_the_emptiest_bucket_is_known_for_two_seconds(void)
{
	const struct arrivals_limit *limit;
	struct bench bench;

	CHECK(bench_open(&bench));
	limit = &bench.arrivals.limits[WEFT_CLASS_INITIAL][0];
	for (unsigned i = 0; i < 30000; i++)
		send_initial(&bench, 1);
	report(&bench);
	CHECK(firewall_arrivals_credit(limit).left_ns <
	      firewall_arrivals_credit(limit).max_ns / 10);
	firewall_arrivals_begin(&bench.arrivals);
	CHECK(firewall_arrivals_credit(limit).left_ns <
	      firewall_arrivals_credit(limit).max_ns / 10);
	send_initial(&bench, 2);
	report(&bench);
	CHECK(firewall_arrivals_credit(limit).left_ns <
	      firewall_arrivals_credit(limit).max_ns / 10);
	firewall_arrivals_begin(&bench.arrivals);
	CHECK(firewall_arrivals_credit(limit).left_ns > firewall_arrivals_credit(limit).max_ns / 2);
	firewall_arrivals_begin(&bench.arrivals);
	CHECK_EQ(firewall_arrivals_credit(limit).max_ns, 0);
	bench_close(&bench);
}

int main(void)
{
	RUN(test_the_reader_counts_what_the_ingress_counted);
	RUN(test_only_rows_used_since_are_reported);
	RUN(test_what_was_lost_comes_with_the_next_of_the_place);
	RUN(test_one_change_more_than_a_portion_holds_goes_with_the_next);
	RUN(test_the_emptiest_bucket_is_known_for_two_seconds);
	return check_done();
}
