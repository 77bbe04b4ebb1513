/* SPDX-License-Identifier: Apache-2.0 */
/* The table of answers that are kept for their idempotency keys. */
#include "base/arena.h"
#include "base/heap.h"
#include "service/body.h"
#include "service/call.h"
#include "service/kept.h"
#include "support/check.h"

#define CAP 16
#define S   1000000000ull
#define MEMORY_LEN                                                                                 \
	(16ull                                                                                     \
	 << 20) /* of the fabric: a quarter for kept answers, of it a quarter for one caller */

static struct arena arena;
static struct heap *heap;
static struct timer_wheel timers;
static struct service_kept_table table;

static bool table_open(void)
{
	static const uint64_t secret[2] = {1, 2};
	struct service_limits limits;

	service_limits_defaults(&limits);
	limits.kept_answer_cnt = CAP;
	limits.memory_len = MEMORY_LEN;
	memset(&table, 0, sizeof(table));
	timer_wheel_init(&timers, 0);
	return arena_open(&arena, service_kept_table_footprint(&limits)) == 0 &&
	       heap_new(MEMORY_LEN, &heap) == 0 &&
	       service_kept_table_init(&table, &arena, &limits, &timers, secret) == 0;
}

static void table_close(void)
{
	service_kept_table_fini(&table);
	arena_close(&arena);
	heap_free(heap);
}

static struct service_kept_key key_of(uint8_t caller, uint8_t number)
{
	struct service_kept_key key;

	memset(&key, 0, sizeof(key));
	key.caller[0] = caller;
	key.key[0] = number;
	return key;
}

static struct service_kept *begin(uint8_t caller, uint8_t number)
{
	struct service_kept_key key = key_of(caller, number);

	return service_kept_begin(&table, &key, 7, (struct service_call *)&table);
}

static bool keep(struct service_kept *kept, size_t len, uint64_t until_ns)
{
	struct service_answer answer = {.status = SERVICE_OK, .text = "", .len = len};
	struct service_body *body = len ? service_body_new(heap, len) : NULL;

	service_kept_keep(&table, kept, &answer, body, until_ns);
	service_body_put(body);
	return !len || body;
}

static bool is_kept(uint8_t caller, uint8_t number)
{
	struct service_kept_key key = key_of(caller, number);

	return service_kept_lookup(&table, &key) != NULL;
}

static void test_answers_are_kept_until_their_time_and_no_longer(void)
{
	struct heap_usage usage;

	CHECK(table_open());
	CHECK(keep(begin(1, 1), 1000, 10 * S));
	CHECK(keep(begin(1, 2), 1000, 20 * S));
	timer_wheel_expire(&timers, 9 * S);
	CHECK(is_kept(1, 1) && is_kept(1, 2));
	timer_wheel_expire(&timers, 11 * S);
	CHECK(!is_kept(1, 1) && is_kept(1, 2));
	timer_wheel_expire(&timers, 21 * S);
	CHECK(!is_kept(1, 2));
	heap_usage(heap, &usage);
	CHECK_EQ(usage.used_len, 0);
	table_close();
}

static void test_of_a_full_table_the_oldest_answer_makes_room(void)
{
	CHECK(table_open());
	for (uint8_t i = 0; i < CAP; i++)
		CHECK(keep(begin(i, 1), 0, 10 * S));
	CHECK(begin(100, 1));
	CHECK(!is_kept(0, 1));
	CHECK(is_kept(1, 1));
	table_close();
}

static void test_who_has_more_than_its_share_loses_its_own(void)
{
	CHECK(table_open());
	CHECK(keep(begin(1, 1), 0, 10 * S)); /* the oldest is another's */
	for (uint8_t i = 0; i < CAP - 1; i++)
		CHECK(keep(begin(2, i), 0, 10 * S));
	CHECK(begin(2, 100));
	CHECK(is_kept(1, 1));
	CHECK(!is_kept(2, 0));
	table_close();
}

static void test_what_runs_never_makes_room(void)
{
	CHECK(table_open());
	for (uint8_t i = 0; i < CAP; i++)
		CHECK(begin(1, i));
	CHECK(!begin(1, CAP));
	table_close();
}

static void test_an_answer_without_room_is_known_to_be_lost(void)
{
	struct service_answer answer = {.status = SERVICE_OK, .text = "", .len = 5};
	struct service_kept *kept;

	CHECK(table_open());
	kept = begin(1, 1);
	service_kept_keep(&table, kept, &answer, NULL, 10 * S);
	CHECK(kept->is_lost);
	kept = begin(1, 2);
	answer.len = 0;
	service_kept_keep(&table, kept, &answer, NULL, 10 * S);
	CHECK(!kept->is_lost);
	table_close();
}

static void test_long_answers_take_a_part_of_the_memory_and_no_more(void)
{
	const size_t len = 100 * 1024;
	unsigned own_cnt = 0, all_cnt;
	struct service_kept *kept;
	struct heap_usage usage;

	CHECK(table_open());
	do {
		kept = begin(1, (uint8_t)own_cnt);
		CHECK(keep(kept, len, 10 * S));
	} while (!kept->is_lost && ++own_cnt < CAP);
	CHECK(own_cnt > 1 && own_cnt < CAP);
	heap_usage(heap, &usage);
	CHECK(usage.used_len <= MEMORY_LEN / 16);
	/* Others have their part, until all of them together have theirs. */
	all_cnt = own_cnt;
	for (uint8_t caller = 2; caller < 2 + CAP - 8; caller++) {
		kept = begin(caller, 1);
		CHECK(keep(kept, len, 10 * S));
		all_cnt += !kept->is_lost;
	}
	CHECK(all_cnt > own_cnt);
	heap_usage(heap, &usage);
	CHECK(usage.used_len <= MEMORY_LEN / 4);
	timer_wheel_expire(&timers, 11 * S);
	CHECK_EQ(table.held_len, 0);
	table_close();
}

static void test_other_versions_methods_and_payloads_have_other_digests(void)
{
	static const struct service_call_head rows[] = {
		{.method = "Get"}, {.method = "Put"}, {.method = "Get", .major = 1}};
	const uint8_t bytes[] = "Get";
	uint64_t digest;

	CHECK(table_open());
	digest = service_kept_digest(&table, &rows[0], bytes, 3);
	CHECK(digest == service_kept_digest(&table, &rows[0], (const uint8_t *)"Get", 3));
	CHECK(digest != service_kept_digest(&table, &rows[0], bytes, 2));
	CHECK(digest != service_kept_digest(&table, &rows[1], bytes, 3));
	CHECK(digest != service_kept_digest(&table, &rows[2], bytes, 3));
	table_close();
}

int main(void)
{
	RUN(test_answers_are_kept_until_their_time_and_no_longer);
	RUN(test_of_a_full_table_the_oldest_answer_makes_room);
	RUN(test_who_has_more_than_its_share_loses_its_own);
	RUN(test_what_runs_never_makes_room);
	RUN(test_an_answer_without_room_is_known_to_be_lost);
	RUN(test_long_answers_take_a_part_of_the_memory_and_no_more);
	RUN(test_other_versions_methods_and_payloads_have_other_digests);
	return check_done();
}
