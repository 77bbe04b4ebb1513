/* SPDX-License-Identifier: Apache-2.0 */
/* Each limit of a provider, exceeded by one, over the mesh. */
#include "support/check.h"
#include "support/service_rig.h"

static void test_exactly_100_of_130_calls_in_10_s_are_answered(void)
{
	struct srig_provider echo = {.mode = SRIG_ECHO};
	unsigned ok_cnt = 0, limited_cnt = 0;
	struct srig_ask ask;
	struct srig rig;

	srig_init(&rig, 3, NULL);
	CHECK(srig_offer(&rig, &echo, SRIG_B, "echo"));
	for (unsigned i = 0; i < 130; i++) {
		CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "echo", "", 0), 0);
		srig_run(&rig, 10 * PAIR_S / 130);
		CHECK_EQ(ask.cnt, 1);
		ok_cnt += ask.answer.status == SERVICE_OK;
		limited_cnt += ask.answer.status == SERVICE_RATE_LIMITED;
		if (ask.answer.status == SERVICE_RATE_LIMITED)
			CHECK(ask.answer.not_before_ns > rig.net.now_ns);
		srig_ask_fini(&ask);
	}
	CHECK_EQ(ok_cnt, 100);
	CHECK_EQ(limited_cnt, 30);
	CHECK_EQ(echo.call_cnt, 100);
	CHECK_EQ(srig_once(&rig, SRIG_C, SRIG_B, "echo", 1), SERVICE_OK); /* another peer */
	srig_run(&rig, 61 * PAIR_S);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "echo", 1), SERVICE_OK);
	srig_fini(&rig);
}

static void test_a_caller_that_retries_in_time_is_answered(void)
{
	struct srig_provider echo = {.mode = SRIG_ECHO};
	struct srig_ask ask;
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer(&rig, &echo, SRIG_B, "echo"));
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "echo", 1), SERVICE_OK);
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "echo", "", 0), 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(ask.answer.status, SERVICE_RATE_LIMITED);
	CHECK(ask.answer.not_before_ns > rig.net.now_ns);
	srig_run(&rig, ask.answer.not_before_ns - rig.net.now_ns);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "echo", 1), SERVICE_OK);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_a_service_may_have_a_rate_of_its_own(void)
{
	struct srig_provider few = {.mode = SRIG_ECHO}, echo = {.mode = SRIG_ECHO},
			     named = {.mode = SRIG_ECHO};
	struct service_offering offering = {.name = "few", .version = "1.0.0", .calls_per_min = 3};
	struct service_config config;
	struct srig rig;

	service_config_defaults(&config);
	strcpy(config.calls, "other:7 mesh-stats:3");
	srig_init(&rig, 2, &config);
	CHECK(srig_offer_with(&rig, &few, SRIG_B, &offering));
	CHECK(srig_offer(&rig, &echo, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &named, SRIG_B, "mesh-stats"));
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "few", 1), SERVICE_OK);
		CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "mesh-stats", 1), SERVICE_OK);
	}
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "few", 1), SERVICE_RATE_LIMITED);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "mesh-stats", 1), SERVICE_RATE_LIMITED);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "echo", 1), SERVICE_OK);
	srig_fini(&rig);
}

static void test_the_501st_call_of_a_minute_to_all_services_is_refused(void)
{
	struct srig_provider echo[6];
	struct service_stats stats;
	char name[8];
	struct srig rig;

	srig_init(&rig, 3, NULL);
	for (unsigned i = 0; i < 6; i++) {
		echo[i] = (struct srig_provider){.mode = SRIG_ECHO};
		snprintf(name, sizeof(name), "echo%u", i);
		CHECK(srig_offer(&rig, &echo[i], SRIG_B, name));
	}
	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "echo%u", i / 100);
		CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, name, 1), SERVICE_OK);
	}
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "echo5", 1), SERVICE_RATE_LIMITED);
	CHECK_EQ(echo[5].call_cnt, 0);
	service_stats(rig.nodes[SRIG_B].service, &stats);
	CHECK_EQ(stats.refused_cnt[SERVICE_REFUSED_PEER_CALLS], 1);
	CHECK_EQ(srig_once(&rig, SRIG_C, SRIG_B, "echo5", 1), SERVICE_OK);
	srig_fini(&rig);
}

static void test_a_caller_that_ignores_its_wait_breaks_a_rule_once(void)
{
	struct srig_provider echo = {.mode = SRIG_ECHO};
	struct service_config config;
	struct srig rig;

	service_config_defaults(&config);
	config.limits.peer_calls_per_min = 10;
	srig_init(&rig, 2, &config);
	CHECK(srig_offer(&rig, &echo, SRIG_B, "echo"));
	for (unsigned i = 0; i < 19; i++)
		(void)srig_once(&rig, SRIG_A, SRIG_B, "echo", 1);
	CHECK_EQ(rig.nodes[SRIG_B].violation_cnt, 0);
	(void)srig_once(&rig, SRIG_A, SRIG_B, "echo", 1);
	CHECK_EQ(rig.nodes[SRIG_B].violation_cnt, 1);
	for (unsigned i = 0; i < 9; i++)
		(void)srig_once(&rig, SRIG_A, SRIG_B, "echo", 1);
	CHECK_EQ(rig.nodes[SRIG_B].violation_cnt, 1);
	srig_fini(&rig);
}

/* Starts cnt calls of A to B's name, which keeps them. */
static bool keep_calls(struct srig *rig, struct srig_ask *asks, unsigned cnt, const char *name)
{
	for (unsigned i = 0; i < cnt; i++)
		if (srig_call(rig, &asks[i], SRIG_A, SRIG_B, name, "x", 1) < 0)
			return false;
	srig_run(rig, 100 * PAIR_MS);
	return true;
}

static void test_the_101st_call_at_once_is_refused_and_100_finish(void)
{
	static struct srig_provider sleeps = {.mode = SRIG_KEEP}, more = {.mode = SRIG_KEEP};
	static struct srig_ask asks[101];
	struct service_config config;
	struct srig rig;

	service_config_defaults(&config);
	config.limits.out_per_peer = 200; /* of the caller */
	srig_init(&rig, 3, &config);
	CHECK(srig_offer(&rig, &sleeps, SRIG_B, "sleep"));
	CHECK(srig_offer(&rig, &more, SRIG_B, "more"));
	CHECK(keep_calls(&rig, asks, 100, "sleep"));
	CHECK_EQ(sleeps.kept_cnt, 100);
	CHECK(keep_calls(&rig, asks + 100, 1, "more")); /* whatever it calls */
	CHECK_EQ(asks[100].answer.status, SERVICE_RATE_LIMITED);
	CHECK_EQ(more.call_cnt, 0);
	more.mode = SRIG_ECHO;
	CHECK_EQ(srig_once(&rig, SRIG_C, SRIG_B, "more", 1), SERVICE_OK);
	for (unsigned i = 0; i < 100; i++)
		service_reply(
			sleeps.calls[i],
			&(struct service_outcome){.status = SERVICE_OK, .payload = "y", .len = 1},
			rig.net.now_ns);
	srig_run(&rig, PAIR_S);
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQ(asks[i].answer.status, SERVICE_OK);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "more", 1), SERVICE_OK);
	for (unsigned i = 0; i < 101; i++)
		srig_ask_fini(&asks[i]);
	srig_fini(&rig);
}

static void test_a_call_is_cut_at_10_units_of_work_and_the_sixth_refused(void)
{
	struct srig_provider search = {.mode = SRIG_SPEND}, echo = {.mode = SRIG_ECHO};
	struct service_stats stats;
	struct srig rig;

	srig_init(&rig, 3, NULL);
	CHECK(srig_offer(&rig, &search, SRIG_B, "search"));
	CHECK(srig_offer(&rig, &echo, SRIG_B, "echo"));
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "search", 11), SERVICE_RATE_LIMITED);
	CHECK_EQ(search.spent_cnt, 10);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "search", 10), SERVICE_OK);
	CHECK_EQ(search.spent_cnt, 50);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "search", 1), SERVICE_RATE_LIMITED);
	CHECK_EQ(search.call_cnt, 5); /* it did not even hear of it */
	service_stats(rig.nodes[SRIG_B].service, &stats);
	CHECK_EQ(stats.refused_cnt[SERVICE_REFUSED_WORK], 1);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "echo", 1), SERVICE_OK); /* which costs none */
	CHECK_EQ(srig_once(&rig, SRIG_C, SRIG_B, "search", 10), SERVICE_OK);
	srig_run(&rig, 120 * PAIR_S);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "search", 10), SERVICE_OK);
	srig_fini(&rig);
}

static void test_after_5_failures_a_service_rests_for_its_caller_and_is_tried_once(void)
{
	struct srig_provider fails = {.mode = SRIG_FAIL};
	struct service_config config;
	struct srig_ask ask;
	struct srig rig;

	service_config_defaults(&config);
	srig_init(&rig, 3, &config);
	/* A caller without a circuit of its own, so that B's is what answers. */
	config.limits.circuit_failure_cnt = 1000;
	service_configure(rig.nodes[SRIG_A].service, &config);
	CHECK(srig_offer(&rig, &fails, SRIG_B, "fails"));
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "fails", 1), SERVICE_UNKNOWN_ERROR);
	CHECK_EQ(rig.nodes[SRIG_B].event_cnt, 1);
	CHECK_EQ(rig.nodes[SRIG_B].event.kind, SERVICE_EVENT_CIRCUIT_OPENED);
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "fails", "", 0), 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
	CHECK(ask.answer.not_before_ns > rig.net.now_ns + 298 * PAIR_S);
	CHECK_EQ(fails.call_cnt, 5);
	CHECK_EQ(srig_once(&rig, SRIG_C, SRIG_B, "fails", 1), SERVICE_UNKNOWN_ERROR);
	CHECK_EQ(fails.call_cnt, 6); /* it rests for A alone */
	srig_run(&rig, 300 * PAIR_S);
	fails.mode = SRIG_ECHO;
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "fails", 1), SERVICE_OK);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "fails", 1), SERVICE_OK);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_memory_that_is_full_refuses_and_is_there_again(void)
{
	const size_t len = SERVICE_PAYLOAD_LEN_MAX - 1024; /* sixteen of the heap's pieces */
	struct srig_provider idempotent = {.mode = SRIG_KEEP}, slow = {.mode = SRIG_KEEP};
	uint8_t *payload = calloc(1, len);
	struct service_config config;
	struct srig_ask asks[5], remote;
	struct srig rig;

	service_config_defaults(&config);
	config.limits.memory_len = 4 << 20;
	srig_init(&rig, 2, &config);
	CHECK(srig_offer(&rig, &idempotent, SRIG_B, "kept"));
	CHECK(srig_offer(&rig, &slow, SRIG_B, "slow"));
	CHECK_EQ(srig_call(&rig, &remote, SRIG_A, SRIG_B, "slow", "", 0), 0);
	srig_run(&rig, 100 * PAIR_MS);
	/* Programs of B fill its memory: what a call of theirs says is kept for another try. */
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(srig_call(&rig, &asks[i], SRIG_B, SRIG_B, "kept", payload, len),
			 i < 3 ? 0 : WEFT_EFULL);
	CHECK_EQ(srig_call(&rig, &asks[3], SRIG_B, SRIG_B, "kept", payload, len - (120 << 10)), 0);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "kept", len), SERVICE_UNAVAILABLE);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "none", 0), SERVICE_NOT_FOUND); /* it lives */
	CHECK_EQ(slow.kept_cnt, 1);
	service_reply(
		slow.calls[0],
		&(struct service_outcome){.status = SERVICE_OK, .payload = payload, .len = len},
		rig.net.now_ns);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(remote.answer.status, SERVICE_UNAVAILABLE);
	CHECK_STR(remote.text, "no memory for the answer");
	for (unsigned i = 0; i < 4; i++)
		service_reply(idempotent.calls[i], &(struct service_outcome){.status = SERVICE_OK},
			      rig.net.now_ns);
	srig_run(&rig, 100 * PAIR_MS);
	idempotent.mode = SRIG_ECHO;
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "kept", len), SERVICE_OK);
	for (unsigned i = 0; i < 4; i++)
		srig_ask_fini(&asks[i]);
	srig_ask_fini(&remote);
	srig_fini(&rig);
	free(payload);
}

static void test_callers_beyond_the_table_make_the_oldest_give_way(void)
{
	struct srig_provider echo = {.mode = SRIG_ECHO};
	struct service_config config;
	struct service_stats stats;
	struct srig rig;

	service_config_defaults(&config);
	config.limits.peer_cnt = 1;
	srig_init(&rig, 3, &config);
	CHECK(srig_offer(&rig, &echo, SRIG_B, "echo"));
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "echo", 1), SERVICE_OK);
		CHECK_EQ(srig_once(&rig, SRIG_C, SRIG_B, "echo", 1), SERVICE_OK);
	}
	service_stats(rig.nodes[SRIG_B].service, &stats);
	CHECK_EQ(stats.peer_cnt, 1);
	/* One that has a call in hand stays, and the next is refused. */
	echo.mode = SRIG_KEEP;
	struct srig_ask ask;

	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "echo", "", 0), 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(srig_once(&rig, SRIG_C, SRIG_B, "echo", 1), SERVICE_UNAVAILABLE);
	service_reply(echo.calls[0], &(struct service_outcome){.status = SERVICE_OK},
		      rig.net.now_ns);
	srig_run(&rig, 100 * PAIR_MS);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

struct fill {
	uint64_t used[SERVICE_LIMIT_CNT];
	bool has_fill[SERVICE_LIMIT_CNT];
	unsigned cnt;
};

static struct fill fill_of(const struct service *service, uint64_t now_ns)
{
	struct service_limit_iter iter = {.service = service, .now_ns = now_ns};
	struct service_limit_state state;
	struct fill fill = {.cnt = 0};

	while (service_limits_next(&iter, &state)) {
		fill.used[fill.cnt] = state.used;
		fill.has_fill[fill.cnt++] = state.has_fill;
	}
	return fill;
}

static void test_limits_are_listed_with_their_fill(void)
{
	struct srig_provider idempotent = {.mode = SRIG_KEEP};
	struct fill fill;
	struct srig_ask asks[3];
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer(&rig, &idempotent, SRIG_B, "kept"));
	CHECK(keep_calls(&rig, asks, 3, "kept"));
	fill = fill_of(rig.nodes[SRIG_B].service, rig.net.now_ns);
	CHECK_EQ(fill.cnt, SERVICE_LIMIT_CNT);
	CHECK_EQ(fill.used[SERVICE_LIMIT_calls_per_min], 3);
	CHECK_EQ(fill.used[SERVICE_LIMIT_peer_calls_per_min], 3);
	CHECK_EQ(fill.used[SERVICE_LIMIT_in_hand_per_peer], 3);
	CHECK_EQ(fill.used[SERVICE_LIMIT_in_hand_cnt], 3);
	CHECK_EQ(fill.used[SERVICE_LIMIT_offer_cnt], 1);
	CHECK(!fill.has_fill[SERVICE_LIMIT_payload_len]);
	fill = fill_of(rig.nodes[SRIG_A].service, rig.net.now_ns);
	CHECK_EQ(fill.used[SERVICE_LIMIT_out_pending_cnt], 3);
	CHECK_EQ(fill.used[SERVICE_LIMIT_out_per_peer], 3);
	for (unsigned i = 0; i < 3; i++)
		service_reply(idempotent.calls[i], &(struct service_outcome){.status = SERVICE_OK},
			      rig.net.now_ns);
	srig_run(&rig, 100 * PAIR_MS);
	for (unsigned i = 0; i < 3; i++)
		srig_ask_fini(&asks[i]);
	srig_fini(&rig);
}

static void test_lists_of_rates_by_name_are_checked(void)
{
	static const struct {
		const char *list;
		bool is_good;
	} rows[] = {
		{"", true},
		{"a:1", true},
		{"a:1 b-c:20", true},
		{"  a:1  b:2 ", true},
		{"a", false},
		{"a:", false},
		{":1", false},
		{"a:x", false},
		{"a:1,b:2", false},
		{"a:0", false},
		{"a:-1", false},
		{"a b:1", false},
		{"a:4294967296", false},
	};
	struct service_config config;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		service_config_defaults(&config);
		CHECK_EQ(service_config_check(&config), 0);
		strcpy(config.calls, rows[i].list);
		CHECK_EQ(service_config_check(&config), rows[i].is_good ? 0 : WEFT_EMALFORMED);
	}
}

static void test_a_caller_comes_with_the_path_of_its_places(void)
{
	struct srig_provider echo = {.mode = SRIG_ECHO};
	struct fair_path of_b, of_c, own;
	struct srig rig;

	srig_init(&rig, 3, NULL);
	CHECK(srig_offer(&rig, &echo, SRIG_A, "echo"));
	CHECK_EQ(srig_once(&rig, SRIG_B, SRIG_A, "echo", 1), SERVICE_OK);
	of_b = echo.caller.path;
	CHECK_EQ(srig_once(&rig, SRIG_C, SRIG_A, "echo", 1), SERVICE_OK);
	of_c = echo.caller.path;
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_A, "echo", 1), SERVICE_OK);
	own = echo.caller.path;
	/* Two nodes of one /24: a family and a network, and keys of their own. */
	CHECK_EQ(of_b.level_cnt, 4);
	CHECK(of_b.ids[0] == of_c.ids[0] && of_b.ids[1] == of_c.ids[1]);
	CHECK(of_b.ids[3] != of_c.ids[3]);
	CHECK_EQ(own.class, FAIR_CHOSEN);
	CHECK(own.class != of_b.class && own.ids[0] != of_b.ids[0]);
	srig_fini(&rig);
}

int main(void)
{
	RUN(test_exactly_100_of_130_calls_in_10_s_are_answered);
	RUN(test_a_caller_that_retries_in_time_is_answered);
	RUN(test_a_service_may_have_a_rate_of_its_own);
	RUN(test_the_501st_call_of_a_minute_to_all_services_is_refused);
	RUN(test_a_caller_that_ignores_its_wait_breaks_a_rule_once);
	RUN(test_the_101st_call_at_once_is_refused_and_100_finish);
	RUN(test_a_call_is_cut_at_10_units_of_work_and_the_sixth_refused);
	RUN(test_after_5_failures_a_service_rests_for_its_caller_and_is_tried_once);
	RUN(test_memory_that_is_full_refuses_and_is_there_again);
	RUN(test_callers_beyond_the_table_make_the_oldest_give_way);
	RUN(test_limits_are_listed_with_their_fill);
	RUN(test_lists_of_rates_by_name_are_checked);
	RUN(test_a_caller_comes_with_the_path_of_its_places);
	return check_done();
}
