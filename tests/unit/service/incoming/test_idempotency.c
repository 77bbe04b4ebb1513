/* SPDX-License-Identifier: Apache-2.0 */
/* The table of answers that are kept for their idempotency keys. */
#include "base/memory/arena.h"
#include "base/memory/heap.h"
#include "service/body.h"
#include "service/call_head.h"
#include "service/incoming/idempotency.h"
#include "support/check.h"

#define CAP 16
#define S   1000000000ull
#define MEMORY_LEN                                                                                 \
	(16ull                                                                                     \
	 << 20) /* of the fabric: a quarter for kept answers, of it a quarter for one caller */

static struct arena arena;
static struct heap *heap;
static struct timer_wheel timers;
static struct service_idempotency table;

static bool table_open(void)
{
	static const uint64_t secret[2] = {1, 2};
	struct service_limits limits;

	service_limits_defaults(&limits);
	limits.idempotency_cnt = CAP;
	limits.memory_len = MEMORY_LEN;
	memset(&table, 0, sizeof(table));
	timer_wheel_init(&timers, 0);
	return arena_open(&arena, ARENA_GROWS) == 0 && heap_new(MEMORY_LEN, &heap) == 0 &&
	       service_idempotency_init(&table, &arena, &limits, &timers, secret) == 0;
}

static void table_close(void)
{
	service_idempotency_fini(&table);
	arena_close(&arena);
	heap_free(heap);
}

static struct service_idempotent_key key_of(uint8_t caller, uint8_t number)
{
	struct service_idempotent_key key;

	memset(&key, 0, sizeof(key));
	key.caller[0] = caller;
	key.key[0] = number;
	return key;
}

static struct service_idempotent *begin_at(uint8_t caller, uint8_t number, uint64_t began_ns)
{
	struct service_idempotent_key key = key_of(caller, number);

	return service_idempotency_begin(&table, &key, 7, (struct service_call *)&table, began_ns);
}

static struct service_idempotent *begin(uint8_t caller, uint8_t number)
{
	return begin_at(caller, number, 0);
}

/* Whether a call may be forgotten that comes now, was first sent ago_s ago, and has left_s left. */
static bool is_forgotten(uint64_t now_s, uint32_t ago_s, uint32_t left_s)
{
	struct service_call_head head = {
		.is_again = true, .sent_ms = ago_s * 1000, .left_ms = left_s * 1000};

	return service_idempotency_is_forgotten(&table, &head, now_s * S);
}

static bool keep(struct service_idempotent *idempotent, size_t len, uint64_t until_ns)
{
	struct service_answer answer = {.status = SERVICE_OK, .text = "", .len = len};
	struct service_body *body = len ? service_body_new(heap, len) : NULL;

	service_idempotency_keep(&table, idempotent, &answer, body, until_ns);
	service_body_put(body);
	return !len || body;
}

static bool is_kept(uint8_t caller, uint8_t number)
{
	struct service_idempotent_key key = key_of(caller, number);

	return service_idempotency_lookup(&table, &key) != NULL;
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

static void test_a_caller_beyond_its_share_loses_its_own_answers(void)
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
	struct service_idempotent *idempotent;

	CHECK(table_open());
	idempotent = begin(1, 1);
	service_idempotency_keep(&table, idempotent, &answer, NULL, 10 * S);
	CHECK(idempotent->is_lost);
	idempotent = begin(1, 2);
	answer.len = 0;
	service_idempotency_keep(&table, idempotent, &answer, NULL, 10 * S);
	CHECK(!idempotent->is_lost);
	table_close();
}

static void test_long_answers_take_a_part_of_the_memory_and_no_more(void)
{
	const size_t len = 100 * 1024;
	unsigned own_cnt = 0, all_cnt;
	struct service_idempotent *idempotent;
	struct heap_usage usage;

	CHECK(table_open());
	do {
		idempotent = begin(1, (uint8_t)own_cnt);
		CHECK(keep(idempotent, len, 10 * S));
	} while (!idempotent->is_lost && ++own_cnt < CAP);
	CHECK(own_cnt > 1 && own_cnt < CAP);
	heap_usage(heap, &usage);
	CHECK(usage.used_len <= MEMORY_LEN / 16);
	/* Others have their part, until all of them together have theirs. */
	all_cnt = own_cnt;
	for (uint8_t caller = 2; caller < 2 + CAP - 8; caller++) {
		idempotent = begin(caller, 1);
		CHECK(keep(idempotent, len, 10 * S));
		all_cnt += !idempotent->is_lost;
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
	digest = service_idempotency_digest(&table, &rows[0], bytes, 3);
	CHECK(digest == service_idempotency_digest(&table, &rows[0], (const uint8_t *)"Get", 3));
	CHECK(digest != service_idempotency_digest(&table, &rows[0], bytes, 2));
	CHECK(digest != service_idempotency_digest(&table, &rows[1], bytes, 3));
	CHECK(digest != service_idempotency_digest(&table, &rows[2], bytes, 3));
	table_close();
}

static void test_calls_from_before_the_start_may_be_forgotten(void)
{
	struct service_call_head first = {.left_ms = 30000};

	CHECK(table_open());
	table.since_ns = 100 * S;
	CHECK(!is_forgotten(110, 7, 3));
	CHECK(is_forgotten(110, 8, 3));
	CHECK(is_forgotten(110, 7, 4));
	CHECK(is_forgotten(110, 200, 0)); /* before this node's clock began */
	CHECK(!service_idempotency_is_forgotten(&table, &first, 100 * S));
	table_close();
}

static void test_what_made_room_or_was_too_old_may_be_forgotten(void)
{
	CHECK(table_open());
	for (uint8_t i = 0; i < CAP; i++)
		CHECK(keep(begin_at(i, 1, (10ull + i) * S), 0, 100 * S));
	CHECK(!is_forgotten(30, 25, 0));
	CHECK(begin_at(100, 1, 30 * S)); /* that of 10 s makes room */
	CHECK(!is_forgotten(30, 20, 0));
	CHECK(is_forgotten(30, 21, 0));
	timer_wheel_expire(&timers, 101 * S); /* that of 25 s is the youngest of those */
	CHECK(!is_forgotten(101, 76, 0));
	CHECK(is_forgotten(101, 77, 0));
	table_close();
}

int main(void)
{
	RUN(test_answers_are_kept_until_their_time_and_no_longer);
	RUN(test_of_a_full_table_the_oldest_answer_makes_room);
	RUN(test_a_caller_beyond_its_share_loses_its_own_answers);
	RUN(test_what_runs_never_makes_room);
	RUN(test_an_answer_without_room_is_known_to_be_lost);
	RUN(test_long_answers_take_a_part_of_the_memory_and_no_more);
	RUN(test_other_versions_methods_and_payloads_have_other_digests);
	RUN(test_calls_from_before_the_start_may_be_forgotten);
	RUN(test_what_made_room_or_was_too_old_may_be_forgotten);
	return check_done();
}
