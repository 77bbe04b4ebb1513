/* SPDX-License-Identifier: Apache-2.0 */
/* Credit, volume and labels of relay flows (weft/relay_tables.h): what program and workers both compute. */
#include <pthread.h>
#include <string.h>

#include "support/check.h"
#include "weft/relay_tables.h"

#define SECOND 1000000000ull

static void test_a_rate_costs_what_it_says(void)
{
	static const uint64_t rates[] = {100, 1000, 8000, 1000000, 125000000, 12500000000ull};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		const struct weft_relay_rate rate = weft_relay_rate(rates[i], 3 * rates[i]);
		uint64_t cost_ns = weft_relay_cost_ns(&rate, 1250);
		uint64_t exact_ns = 1250 * SECOND / rates[i];

		CHECK(cost_ns >= exact_ns);
		CHECK(cost_ns <= exact_ns + 1 + exact_ns / 1000);
		CHECK(rate.credit_max_ns == 3 * SECOND);
	}
}

static void test_the_longest_packet_at_the_lowest_rate_does_not_wrap(void)
{
	const struct weft_relay_rate rate = weft_relay_rate(100, ~0ull);

	CHECK(weft_relay_cost_ns(&rate, 65575) >= 655 * SECOND);
	CHECK_EQ(rate.credit_max_ns, 3600 * SECOND);
}

static void test_no_rate_is_no_limit(void)
{
	const struct weft_relay_rate rate = weft_relay_rate(0, 0);
	__u64 mark = 0;

	for (unsigned i = 0; i < 1000; i++)
		CHECK(weft_relay_take(&mark, &rate, 65535, 1));
	CHECK_EQ(mark, 0);
}

static void test_a_burst_admits_its_bytes(void)
{
	const struct weft_relay_rate rate = weft_relay_rate(8000, 32768);
	uint64_t now_ns = 100 * SECOND, bytes = 0;
	__u64 mark = 0;

	while (weft_relay_take(&mark, &rate, 1, now_ns))
		bytes++;
	CHECK_EQ(bytes, 32768);
	CHECK(!weft_relay_take(&mark, &rate, 8, now_ns + SECOND / 1000 - 1));
	CHECK(weft_relay_take(&mark, &rate, 8, now_ns + SECOND / 1000));
}

static void test_what_is_given_back_is_there_again(void)
{
	const struct weft_relay_rate rate = weft_relay_rate(8000, 1000);
	__u64 mark = 0;

	CHECK(weft_relay_take(&mark, &rate, 1000, 100 * SECOND));
	CHECK(!weft_relay_take(&mark, &rate, 1000, 100 * SECOND));
	weft_relay_give_back(&mark, &rate, 1000);
	CHECK(weft_relay_take(&mark, &rate, 1000, 100 * SECOND));
}

static void test_a_grant_ends_at_its_last_byte(void)
{
	__s64 left = 1000;

	CHECK(!weft_relay_spend(&left, 1001));
	CHECK_EQ(left, 1000);
	CHECK(weft_relay_spend(&left, 1000));
	CHECK(!weft_relay_spend(&left, 1));
	CHECK_EQ(left, 0);
}

#define THREAD_CNT 4
static __s64 shared_left;
static __u64 shared_spent;

static void *spender(void *arg)
{
	uint64_t spent = 0;

	(void)arg;
	for (unsigned i = 0; i < 200000; i++)
		spent += weft_relay_spend(&shared_left, 7) ? 7 : 0;
	__sync_fetch_and_add(&shared_spent, spent);
	return NULL;
}

static void test_threads_spend_no_byte_twice(void)
{
	pthread_t threads[THREAD_CNT];

	shared_left = 1000000;
	shared_spent = 0;
	for (unsigned i = 0; i < THREAD_CNT; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, spender, NULL), 0);
	for (unsigned i = 0; i < THREAD_CNT; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(shared_left + (__s64)shared_spent, 1000000);
	CHECK(shared_left >= 0);
}

static void test_a_label_is_laid_out_as_the_wire_has_it(void)
{
	struct weft_relay_keys keys = {
		.slots[3] = {.key = {1, 2}, .generation = 7, .is_set = 1},
	};
	/* docs/wire/relay.md */
	static const uint8_t want[WEFT_RELAY_LABEL_LEN] = {0x9e, 0x80, 0x85, 0x07, 0x34, 0x12,
							   0x78, 0x56, 0x0c, 0x5a, 0xf5, 0x72,
							   0xd2, 0xc0, 0x26, 0xde};
	struct weft_relay_label label;

	CHECK(weft_relay_label_make(&keys, 7, weft_relay_place(1, 5, 0x1234, 0x5678), &label));
	CHECK_MEM(&label, want, sizeof(want));
	CHECK_EQ(weft_relay_leg(label.head), 1);
	CHECK_EQ(weft_relay_index(label.head), 0x1234);
	CHECK_EQ(weft_relay_salt(label.head), 0x5678);
	CHECK(weft_relay_is_ours(&keys, &label));
	/* The tag is that of kind 0, whatever the kind. */
	label.head = weft_relay_head_of_kind(label.head, WEFT_RELAY_TOO_BIG);
	CHECK(weft_relay_is_ours(&keys, &label));
	CHECK(!weft_relay_label_make(&keys, 8, 0, &label));
}

static void test_a_writer_keeps_others_out(void)
{
	struct weft_relay_flow flow = {.version = 0};

	CHECK(weft_relay_begin_write(&flow));
	CHECK(!weft_relay_begin_write(&flow));
	weft_relay_end_write(&flow);
	CHECK_EQ(flow.version, 2);
	CHECK(weft_relay_begin_write(&flow));
}

int main(void)
{
	RUN(test_a_rate_costs_what_it_says);
	RUN(test_the_longest_packet_at_the_lowest_rate_does_not_wrap);
	RUN(test_no_rate_is_no_limit);
	RUN(test_a_burst_admits_its_bytes);
	RUN(test_what_is_given_back_is_there_again);
	RUN(test_a_grant_ends_at_its_last_byte);
	RUN(test_threads_spend_no_byte_twice);
	RUN(test_a_label_is_laid_out_as_the_wire_has_it);
	RUN(test_a_writer_keeps_others_out);
	return check_done();
}
