/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the caller's side does by itself: wait its turn, give up, try another, spare a failing
 * provider.
 */
#include "base/memory/arena.h"
#include "service/incoming/routes.h"
#include "support/check.h"
#include "support/service_rig.h"

static void test_ten_calls_are_at_one_provider_and_the_others_wait_their_turn(void)
{
	struct srig_provider idempotent = {.mode = SRIG_KEEP};
	struct srig_ask asks[12], other;
	struct srig rig;

	srig_init(&rig, 3, NULL);
	CHECK(srig_offer(&rig, &idempotent, SRIG_B, "kept"));
	for (unsigned i = 0; i < 12; i++)
		CHECK_EQ(srig_call(&rig, &asks[i], SRIG_A, SRIG_B, "kept", &i, sizeof(i)), 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(idempotent.kept_cnt, 10);
	CHECK_EQ(srig_call(&rig, &other, SRIG_A, SRIG_C, "kept", "", 0), 0); /* has its own queue */
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(other.answer.status, SERVICE_NOT_FOUND);
	service_reply(idempotent.calls[4], &(struct service_outcome){.status = SERVICE_OK},
		      rig.net.now_ns);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(asks[4].cnt, 1);
	CHECK_EQ(idempotent.kept_cnt, 11);
	service_call_cancel(asks[5].ask);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(idempotent.kept_cnt, 12);
	CHECK_EQ(idempotent.cancelled_cnt, 1);
	for (unsigned i = 0; i < 12; i++)
		if (i != 4 && i != 5)
			service_reply(idempotent.calls[i],
				      &(struct service_outcome){.status = SERVICE_OK},
				      rig.net.now_ns);
	srig_run(&rig, 100 * PAIR_MS);
	for (unsigned i = 0; i < 12; i++)
		CHECK_EQ(asks[i].cnt, i == 5 ? 0 : 1);
	CHECK_EQ(rig.nodes[SRIG_A].end->dial_cnt, 2); /* one session each */
	for (unsigned i = 0; i < 12; i++)
		srig_ask_fini(&asks[i]);
	srig_ask_fini(&other);
	srig_fini(&rig);
}

/* A call of a local program to B's kept. */
static int program_call(struct srig *rig, struct srig_ask *ask, uint32_t user, int32_t program,
			const char *payload)
{
	const struct service_target target = {
		.name = "kept",
		.provider = rig->nodes[SRIG_B].key,
		.method = "Do",
		.asker = {.is_program = 1, .user = user, .program = program},
	};

	return srig_call_with(rig, ask, SRIG_A, &target, payload, strlen(payload), NULL, 0);
}

static void test_1000_calls_are_pending_and_the_next_is_refused_at_once(void)
{
	static struct srig_ask asks[1001];
	struct srig_provider idempotent = {.mode = SRIG_KEEP};
	struct service_config config;
	struct service_stats stats;
	struct srig rig;

	service_config_defaults(&config);
	config.limits.out_pending_cnt = 2000;
	srig_init(&rig, 2, &config);
	CHECK(srig_offer(&rig, &idempotent, SRIG_B, "kept"));
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "none", 0), SERVICE_NOT_FOUND); /* they met */
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(program_call(&rig, &asks[i], 0, 7, ""), 0);
	CHECK_EQ(program_call(&rig, &asks[1000], 0, 7, ""), WEFT_EFULL);
	CHECK(service_pending_wait_ms(rig.nodes[SRIG_A].service) > 0);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.pending_cnt, 1000);
	/* A caller that waited until its deadline gets an error, and did not reach the provider. */
	srig_run(&rig, 31 * PAIR_S);
	CHECK_EQ(idempotent.call_cnt, 10);
	for (unsigned i = 0; i < 1000; i++) {
		CHECK_EQ(asks[i].cnt, 1);
		CHECK_EQ(asks[i].answer.status, i < 10 ? SERVICE_TIMEOUT : asks[10].answer.status);
		srig_ask_fini(&asks[i]);
	}
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.pending_cnt, 0);
	srig_fini(&rig);
}

static void test_a_program_with_its_share_leaves_places_to_others(void)
{
	static struct srig_ask asks[2000];
	static const struct {
		uint32_t user;
		int32_t program;
		unsigned want_cnt;
	} rows[] = {
		{0, 7, 1000}, /* as many as it leaves free */
		{0, 8, 500},  /* another of the same user */
		{0, 9, 0},    /* the user has three times as many as are free */
		{1, 7, 250},  /* another user, whatever its program's number */
	};
	struct srig_provider idempotent = {.mode = SRIG_KEEP};
	struct service_config config;
	unsigned ask_cnt = 0;
	struct srig rig;

	service_config_defaults(&config);
	config.limits.out_pending_cnt = 2000;
	srig_init(&rig, 2, &config);
	CHECK(srig_offer(&rig, &idempotent, SRIG_B, "kept"));
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned cnt = 0;

		while (program_call(&rig, &asks[ask_cnt], rows[i].user, rows[i].program, "") == 0) {
			ask_cnt++;
			cnt++;
		}
		CHECK_EQ(cnt, rows[i].want_cnt);
	}
	/* What ended is there for the next. */
	service_call_cancel(asks[0].ask);
	CHECK_EQ(program_call(&rig, &asks[0], 1, 7, ""), 0);
	for (unsigned i = 0; i < ask_cnt; i++)
		service_call_cancel(asks[i].ask);
	CHECK_EQ(program_call(&rig, &asks[0], 0, 7, ""), 0);
	service_call_cancel(asks[0].ask);
	srig_fini(&rig);
}

static void test_a_call_does_not_wait_behind_all_of_another_program(void)
{
	static struct srig_ask asks[500], other, second;
	struct srig_provider idempotent = {.mode = SRIG_KEEP};
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer(&rig, &idempotent, SRIG_B, "kept"));
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "none", 0), SERVICE_NOT_FOUND); /* they met */
	for (unsigned i = 0; i < 500; i++)
		CHECK_EQ(program_call(&rig, &asks[i], 0, 7, "many"), 0);
	CHECK_EQ(program_call(&rig, &other, 0, 8, "operator"), 0);
	srig_run(&rig, 100 * PAIR_MS);
	/* Ten of the program with many, and one of the two last places for the other. */
	CHECK_EQ(idempotent.kept_cnt, 11);
	CHECK_EQ(idempotent.len, strlen("operator"));
	CHECK_EQ(program_call(&rig, &second, 0, 8, "operator"), 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(idempotent.kept_cnt, 11);
	/* Its next one is the first that goes, for its program has less there. */
	for (unsigned i = 0; i < 5; i++)
		service_reply(idempotent.calls[i], &(struct service_outcome){.status = SERVICE_OK},
			      rig.net.now_ns);
	idempotent.mode = SRIG_ECHO;
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(second.cnt, 1);
	CHECK_EQ(second.answer.status, SERVICE_OK);
	service_reply(idempotent.calls[10], &(struct service_outcome){.status = SERVICE_OK},
		      rig.net.now_ns);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(other.cnt, 1);
	srig_ask_fini(&second);
	srig_ask_fini(&other);
	for (unsigned i = 0; i < 500; i++) {
		if (!asks[i].cnt)
			service_call_cancel(asks[i].ask);
		srig_ask_fini(&asks[i]);
	}
	srig_fini(&rig);
}

static void test_a_call_waits_30_s_and_by_name_what_is_configured(void)
{
	static const struct {
		const char *name;
		uint64_t timeout_ns, want_ns;
	} rows[] = {
		{"kept", 0, 30 * PAIR_S},	  {"mesh-stats", 0, 5 * PAIR_S},
		{"pod-chat", 0, 10 * PAIR_S},	  {"shadow-index", 0, 60 * PAIR_S},
		{"kept", 2 * PAIR_S, 2 * PAIR_S}, {"mesh-stats", 7 * PAIR_S, 7 * PAIR_S},
	};
	struct srig_provider idempotent[4];
	struct srig rig;

	srig_init(&rig, 2, NULL);
	for (unsigned i = 0; i < 4; i++) {
		struct service_offering offering = {
			.name = rows[i].name, .version = "1.0.0", .timeout_ns = 100 * PAIR_S};

		idempotent[i] = (struct srig_provider){.mode = SRIG_KEEP};
		CHECK(srig_offer_with(&rig, &idempotent[i], SRIG_B, &offering));
	}
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "none", 0), SERVICE_NOT_FOUND); /* they met */
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service_target target = {
			.name = rows[i].name, .provider = rig.nodes[SRIG_B].key, .method = "Do"};
		uint64_t began_ns = rig.net.now_ns;
		struct srig_ask ask;

		CHECK_EQ(srig_call_with(&rig, &ask, SRIG_A, &target, "", 0, NULL,
					rows[i].timeout_ns),
			 0);
		srig_run(&rig, 61 * PAIR_S);
		CHECK_EQ(ask.cnt, 1);
		CHECK_EQ(ask.answer.status, SERVICE_TIMEOUT);
		CHECK_EQ(ask.at_ns - began_ns, rows[i].want_ns);
		srig_ask_fini(&ask);
	}
	CHECK_EQ(idempotent[0].cancelled_cnt, 2);
	srig_fini(&rig);
}

static void test_a_provider_has_the_callers_deadline_or_its_own_if_that_is_sooner(void)
{
	struct srig_provider idempotent = {.mode = SRIG_KEEP};
	struct service_offering offering = {
		.name = "kept", .version = "1.0.0", .timeout_ns = 2 * PAIR_S};
	struct srig_ask ask;
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer_with(&rig, &idempotent, SRIG_B, &offering));
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "kept", "", 0), 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK(idempotent.caller.deadline_ns > rig.net.now_ns);
	CHECK(idempotent.caller.deadline_ns <= rig.net.now_ns + 2 * PAIR_S);
	srig_run(&rig, 3 * PAIR_S);
	CHECK_EQ(ask.answer.status, SERVICE_TIMEOUT);
	CHECK_EQ(idempotent.cancelled_cnt, 1);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_an_answer_after_the_deadline_is_none(void)
{
	struct srig_provider idempotent = {.mode = SRIG_KEEP};
	struct service_stats stats;
	struct srig_ask ask;
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer(&rig, &idempotent, SRIG_B, "kept"));
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "kept", "", 0), 0);
	srig_run(&rig, 100 * PAIR_MS);
	/* The handler's turn takes longer than the time that was left. */
	service_reply(idempotent.calls[0],
		      &(struct service_outcome){.status = SERVICE_OK, .payload = "late", .len = 4},
		      rig.net.now_ns + 30 * PAIR_S);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(ask.answer.status, SERVICE_TIMEOUT);
	CHECK_EQ(ask.answer.len, 0);
	service_stats(rig.nodes[SRIG_B].service, &stats);
	CHECK_EQ(stats.late_cnt, 1);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_a_call_with_a_key_goes_on_after_its_deadline_and_is_heard_of(void)
{
	static const uint8_t key[SERVICE_KEY_LEN] = {1};

	for (unsigned to = SRIG_A; to <= SRIG_B; to++) {
		struct srig_provider idempotent = {.mode = SRIG_KEEP};
		struct service_target target = {.name = "kept", .method = "Do"};
		struct srig_ask first, again;
		struct srig rig;

		srig_init(&rig, 2, NULL);
		CHECK(srig_offer(&rig, &idempotent, to, "kept"));
		CHECK_EQ(srig_once(&rig, SRIG_A, to, "none", 0), SERVICE_NOT_FOUND);
		target.provider = rig.nodes[to].key;
		CHECK_EQ(srig_call_with(&rig, &first, SRIG_A, &target, "", 0, key, PAIR_S), 0);
		srig_run(&rig, 2 * PAIR_S);
		CHECK_EQ(first.answer.status, SERVICE_TIMEOUT);
		CHECK_EQ(idempotent.cancelled_cnt, 0);
		CHECK_EQ(srig_call_with(&rig, &again, SRIG_A, &target, "", 0, key, 5 * PAIR_S), 0);
		srig_run(&rig, PAIR_S);
		CHECK_EQ(again.cnt, 0);
		service_reply(idempotent.calls[0],
			      &(struct service_outcome){
				      .status = SERVICE_OK, .payload = "once", .len = 4},
			      rig.net.now_ns);
		srig_run(&rig, PAIR_S);
		CHECK_EQ(again.answer.status, SERVICE_OK);
		CHECK_MEM(again.payload, "once", 4);
		CHECK_EQ(idempotent.call_cnt, 1);
		srig_ask_fini(&first);
		srig_ask_fini(&again);
		srig_fini(&rig);
	}
}

static void test_after_5_failures_calls_are_not_even_sent_until_one_probes(void)
{
	struct srig_provider fails = {.mode = SRIG_FAIL};
	struct srig_ask ask;
	uint64_t began_ns;
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer(&rig, &fails, SRIG_B, "fails"));
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "fails", 1), SERVICE_UNKNOWN_ERROR);
	CHECK_EQ(rig.nodes[SRIG_A].event_cnt, 1);
	CHECK_EQ(rig.nodes[SRIG_A].event.kind, SERVICE_EVENT_CIRCUIT_AT_PEER);
	began_ns = rig.net.now_ns;
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "fails", "", 0), 0);
	srig_run(&rig, 5 * PAIR_MS);
	CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
	CHECK(ask.at_ns - began_ns < 5 * PAIR_MS);
	CHECK(ask.answer.not_before_ns > rig.net.now_ns + 290 * PAIR_S);
	srig_ask_fini(&ask);
	srig_run(&rig, 300 * PAIR_S);
	fails.mode = SRIG_ECHO;
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "fails", 1), SERVICE_OK);
	CHECK_EQ(fails.call_cnt, 6);
	srig_fini(&rig);
}

static void test_calls_that_wait_at_a_provider_that_fails_do_not_try_it(void)
{
	struct srig_provider idempotent = {.mode = SRIG_KEEP};
	struct srig_ask asks[20];
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer(&rig, &idempotent, SRIG_B, "kept"));
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(srig_call(&rig, &asks[i], SRIG_A, SRIG_B, "kept", "", 0), 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(idempotent.kept_cnt, 10);
	for (unsigned i = 0; i < 10; i++) {
		service_reply(idempotent.calls[i],
			      &(struct service_outcome){.status = SERVICE_UNKNOWN_ERROR},
			      rig.net.now_ns);
		srig_run(&rig, 100 * PAIR_MS);
	}
	CHECK(idempotent.call_cnt < 20);
	CHECK_EQ(asks[19].answer.status, SERVICE_UNAVAILABLE);
	for (unsigned i = 10; i < idempotent.kept_cnt; i++)
		service_reply(idempotent.calls[i], &(struct service_outcome){.status = SERVICE_OK},
			      rig.net.now_ns);
	srig_run(&rig, PAIR_S);
	for (unsigned i = 0; i < 20; i++) {
		CHECK_EQ(asks[i].cnt, 1);
		srig_ask_fini(&asks[i]);
	}
	srig_fini(&rig);
}

static void test_a_provider_that_is_nowhere_is_unavailable(void)
{
	struct service_target target = {.name = "echo", .method = "Do"};
	uint8_t unknown[MESH_KEY_LEN] = {1};
	struct srig_ask ask;
	struct srig rig;

	srig_init(&rig, 1, NULL);
	target.provider = unknown;
	CHECK_EQ(srig_call_with(&rig, &ask, SRIG_A, &target, "", 0, NULL, 0), 0);
	CHECK_EQ(ask.cnt, 0);
	srig_run(&rig, 31 * PAIR_S);
	CHECK_EQ(ask.cnt, 1);
	CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
	CHECK_STR(ask.text, "no address of the provider is known");
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_a_lost_session_fails_its_calls_and_cancels_them_there(void)
{
	struct srig_provider idempotent = {.mode = SRIG_KEEP};
	struct srig_ask ask;
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer(&rig, &idempotent, SRIG_B, "kept"));
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "kept", "", 0), 0);
	srig_run(&rig, 100 * PAIR_MS);
	pair_net_close_dialled(&rig.net, SRIG_A);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(idempotent.cancelled_cnt, 1);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_what_cannot_be_asked_is_said_at_once(void)
{
	static const struct service_target rows[] = {
		{.name = "echo"},
		{.name = "echo", .method = ""},
		{.name = "echo", .method = "a b"},
		{.name = "Echo", .method = "Do"},
		{.method = "Do"},
		{.name = "echo", .method = "Do", .version = "one"},
	};
	struct srig_ask ask;
	struct srig rig;

	srig_init(&rig, 1, NULL);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(srig_call_with(&rig, &ask, SRIG_A, &rows[i], "", 0, NULL, 0),
			 WEFT_EMALFORMED);
	srig_fini(&rig);
}

static void test_routes_make_room_and_show_which_providers_are_well(void)
{
	struct service_routes routes;
	struct service_limits limits;
	struct arena arena;
	uint8_t id[SERVICE_ID_LEN] = {1}, key[MESH_KEY_LEN] = {2};
	uint64_t secret[2] = {1, 2};
	struct service_route *good, *slow, *bad;

	service_limits_defaults(&limits);
	limits.peer_cnt = 3;
	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	memset(&routes, 0, sizeof(routes));
	CHECK_EQ(service_routes_init(&routes, &arena, &limits, secret), 0);
	good = service_routes_use(&routes, id, key);
	CHECK_EQ(service_route_health(good), 50);
	key[0]++;
	slow = service_routes_use(&routes, id, key);
	key[0]++;
	bad = service_routes_use(&routes, id, key);
	for (unsigned i = 0; i < 10; i++) {
		service_route_note(good, SERVICE_VERDICT_GOOD, 5 * PAIR_MS);
		service_route_note(slow, SERVICE_VERDICT_GOOD, PAIR_S);
		service_route_note(bad, i % 2 ? SERVICE_VERDICT_REFUSED : SERVICE_VERDICT_GOOD,
				   PAIR_MS);
	}
	CHECK(service_route_health(good) > 90);
	CHECK(service_route_health(slow) > 40 && service_route_health(slow) < 55);
	CHECK(service_route_health(bad) < 70);
	key[0] = 2;
	CHECK(service_routes_use(&routes, id, key) == good); /* the newest now */
	key[0] = 9;
	CHECK(service_routes_use(&routes, id, key) != NULL);
	key[0] = 3;
	CHECK(!service_routes_lookup(&routes, id, key)); /* the oldest made room */
	arena_close(&arena);
}

int main(void)
{
	RUN(test_ten_calls_are_at_one_provider_and_the_others_wait_their_turn);
	RUN(test_1000_calls_are_pending_and_the_next_is_refused_at_once);
	RUN(test_a_program_with_its_share_leaves_places_to_others);
	RUN(test_a_call_does_not_wait_behind_all_of_another_program);
	RUN(test_a_call_waits_30_s_and_by_name_what_is_configured);
	RUN(test_a_provider_has_the_callers_deadline_or_its_own_if_that_is_sooner);
	RUN(test_an_answer_after_the_deadline_is_none);
	RUN(test_a_call_with_a_key_goes_on_after_its_deadline_and_is_heard_of);
	RUN(test_after_5_failures_calls_are_not_even_sent_until_one_probes);
	RUN(test_calls_that_wait_at_a_provider_that_fails_do_not_try_it);
	RUN(test_a_provider_that_is_nowhere_is_unavailable);
	RUN(test_a_lost_session_fails_its_calls_and_cancels_them_there);
	RUN(test_what_cannot_be_asked_is_said_at_once);
	RUN(test_routes_make_room_and_show_which_providers_are_well);
	return check_done();
}
