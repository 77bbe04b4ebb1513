/* SPDX-License-Identifier: Apache-2.0 */
#include "reachability/stun_query.h"

#include "base/dgram.h"
#include "base/random.h"
#include "support/check.h"

#define MS 1000000ull

static struct {
	struct dgram_sink sink;
	uint8_t data[1500];
	size_t len;
	unsigned cnt;
	uint64_t at_ns[32];
	uint64_t now_ns;
} sent;
static struct dgram_sink *sink = &sent.sink;
static struct {
	unsigned cnt;
	bool is_told;
	struct addr mapped;
	uint64_t at_ns;
} answer;
static struct timer_wheel timers;
static struct random rng;
static struct stun_queries queries;
static struct addr server;

static bool sent_reserve(struct dgram_sink *to, size_t len, struct dgram_slot *out_slot)
{
	(void)to, (void)len;
	*out_slot = (struct dgram_slot){.data = sent.data, .cap = sizeof(sent.data)};
	return true;
}

static void sent_commit(struct dgram_sink *to, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	(void)to, (void)slot, (void)route;
	sent.len = len;
	sent.at_ns[sent.cnt++ % 32] = sent.now_ns;
}

static const struct dgram_sink_ops sent_ops = {.reserve = sent_reserve, .commit = sent_commit};

static void answered(void *ctx, const struct addr *from, const struct addr *mapped, uint64_t now_ns)
{
	(void)ctx, (void)from;
	answer.cnt++;
	answer.is_told = mapped != NULL;
	answer.at_ns = now_ns;
	if (mapped)
		answer.mapped = *mapped;
}

static void begin(void)
{
	sent.sink.ops = &sent_ops;
	sent.cnt = 0;
	sent.now_ns = 0;
	answer.cnt = 0;
	timer_wheel_init(&timers, 0);
	random_init_seeded(&rng, 7);
	queries = (struct stun_queries){
		.sink = &sink, .timers = &timers, .random = &rng, .answered = answered};
	if (addr_parse("198.51.100.7:3478", &server) < 0)
		abort();
}

static void run_until(uint64_t end_ns)
{
	for (; sent.now_ns <= end_ns; sent.now_ns += MS)
		timer_wheel_expire(&timers, sent.now_ns);
}

static bool input(const struct addr *from, const struct stun_message *message)
{
	struct dgram dgram = {.remote = *from};

	return reachability_stun_input(&queries, &dgram, message, sent.now_ns);
}

/* What is being asked, as a server would answer it. */
static struct stun_message success(void)
{
	struct stun_message message;

	if (stun_read(sent.data, sent.len, &message) < 0)
		abort();
	message.type = STUN_SUCCESS;
	if (addr_parse("203.0.113.5:7000", &message.mapped) < 0)
		abort();
	return message;
}

/* RFC 8489 6.2.1 */
static void test_seven_sends_at_doubled_distances(void)
{
	static const uint64_t want_ms[STUN_QUERY_SENDS] = {0, 500, 1500, 3500, 7500, 15500, 31500};

	begin();
	CHECK(reachability_stun_ask(&queries, &server, 0));
	run_until(60000 * MS);
	CHECK_EQ(sent.cnt, STUN_QUERY_SENDS);
	for (unsigned i = 0; i < STUN_QUERY_SENDS; i++)
		CHECK(sent.at_ns[i] >= want_ms[i] * MS && sent.at_ns[i] <= (want_ms[i] + 10) * MS);
	CHECK_EQ(answer.cnt, 1);
	CHECK(!answer.is_told);
	CHECK(answer.at_ns >= 39500 * MS && answer.at_ns <= 39520 * MS);
}

static unsigned checked_cnt;

static void checked(void *ctx, const struct addr *remote, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	checked_cnt += addr_equal(remote, &server);
}

static void test_a_check_is_one_request_and_its_answer_counts_once(void)
{
	struct stun_message message;
	struct addr other;

	begin();
	queries.checked = checked;
	checked_cnt = 0;
	CHECK_EQ(addr_parse("198.51.100.8:3478", &other), 0);
	reachability_stun_check(&queries, &server, 0);
	message = success();
	run_until(1000 * MS);
	CHECK_EQ(sent.cnt, 1);
	CHECK(!input(&other, &message));
	message.transaction[0] ^= 1;
	CHECK(!input(&server, &message));
	message.transaction[0] ^= 1;
	CHECK(input(&server, &message));
	CHECK(!input(&server, &message));
	CHECK_EQ(checked_cnt, 1);
	CHECK_EQ(answer.cnt, 0);
	/* Two seconds later, and of the oldest of one more than there is room for: nothing is known. */
	reachability_stun_check(&queries, &server, sent.now_ns);
	message = success();
	run_until(sent.now_ns + STUN_CHECK_LIFE_NS);
	CHECK(!input(&server, &message));
	reachability_stun_check(&queries, &server, sent.now_ns);
	message = success();
	for (unsigned i = 0; i < STUN_CHECK_CNT; i++)
		reachability_stun_check(&queries, &other, sent.now_ns);
	CHECK(!input(&server, &message));
	CHECK_EQ(checked_cnt, 1);
}

static void test_an_answer_ends_the_question(void)
{
	struct stun_message message;

	begin();
	CHECK(reachability_stun_ask(&queries, &server, 0));
	CHECK(!reachability_stun_ask(&queries, &server, 0));
	message = success();
	CHECK(input(&server, &message));
	CHECK_EQ(answer.cnt, 1);
	CHECK(answer.is_told);
	CHECK(addr_equal(&answer.mapped, &message.mapped));
	CHECK(!input(&server, &message));
	run_until(60000 * MS);
	CHECK_EQ(sent.cnt, 1);
	CHECK_EQ(answer.cnt, 1);
}

static void test_only_the_asked_server_is_heard(void)
{
	struct stun_message message;
	struct addr other;

	begin();
	CHECK(reachability_stun_ask(&queries, &server, 0));
	message = success();
	CHECK_EQ(addr_parse("198.51.100.7:3479", &other), 0);
	CHECK(!input(&other, &message));
	message.transaction[0]++;
	CHECK(!input(&server, &message));
	CHECK_EQ(answer.cnt, 0);
}

static void test_an_error_reports_no_address(void)
{
	struct stun_message message;

	begin();
	CHECK(reachability_stun_ask(&queries, &server, 0));
	message = success();
	message.type = STUN_ERROR;
	CHECK(input(&server, &message));
	CHECK(!answer.is_told);
	CHECK(reachability_stun_ask(&queries, &server, 0));
	message = success();
	message.mapped.family = ADDR_IPV6;
	CHECK(input(&server, &message));
	CHECK(!answer.is_told);
}

static void test_one_more_than_there_are_places_is_refused(void)
{
	begin();
	for (unsigned i = 0; i < STUN_QUERY_CNT; i++, server.port++)
		CHECK(reachability_stun_ask(&queries, &server, 0));
	CHECK(!reachability_stun_ask(&queries, &server, 0));
	reachability_stun_stop(&queries);
	CHECK(reachability_stun_ask(&queries, &server, 0));
	CHECK_EQ(answer.cnt, 0);
}

int main(void)
{
	RUN(test_seven_sends_at_doubled_distances);
	RUN(test_a_check_is_one_request_and_its_answer_counts_once);
	RUN(test_an_answer_ends_the_question);
	RUN(test_only_the_asked_server_is_heard);
	RUN(test_an_error_reports_no_address);
	RUN(test_one_more_than_there_are_places_is_refused);
	return check_done();
}
