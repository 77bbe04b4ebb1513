/* SPDX-License-Identifier: Apache-2.0 */
/* Which of several providers, found by the directory, a call goes to, and where it goes next. */
#include "provider_choice_rig.h"

static void test_a_call_finds_its_provider_and_the_next_finds_it_at_hand(void)
{
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	CHECK(call_any(&ask, NULL));
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	CHECK_MEM(ask.payload, "abc", 3);
	srig_ask_fini(&ask);
	CHECK(call_any(&ask, NULL));
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	CHECK_EQ(at_b.call_cnt + at_c.call_cnt, 2);
	CHECK_EQ(rig.overlay.get_cnt, 1);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_a_call_without_a_provider_says_so(void)
{
	struct service_target target = {.name = "other", .method = "Do"};
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK_EQ(srig_call_with(&rig, &ask, SRIG_A, &target, "", 0, NULL, 0), 0);
	CHECK_EQ(ask.cnt, 0);
	srig_run(&rig, PAIR_S);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(ask.answer.status, SERVICE_NOT_FOUND);
	CHECK_STR(ask.text, "nobody is known to provide this service");
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

/* Its descriptor says 1.0.0. Without one, no caller knows before it is asked. */
static void test_a_named_provider_is_not_asked_for_a_version_it_does_not_have(void)
{
	static const struct {
		const char *range;
		enum service_status status;
		unsigned call_cnt;
	} rows[] = {
		{"^2", SERVICE_NOT_FOUND, 0},
		{"=1.0.1", SERVICE_NOT_FOUND, 0},
		{"^1", SERVICE_OK, 1},
		{"", SERVICE_OK, 2},
	};
	struct service_target target = {.name = "echo", .method = "Do"};
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	target.provider = rig.nodes[SRIG_B].key;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		target.version = rows[i].range;
		CHECK_EQ(srig_call_with(&rig, &ask, SRIG_A, &target, "abc", 3, NULL, 0), 0);
		for (unsigned k = 0; k < 20; k++)
			srig_run(&rig, PAIR_S / 10);
		CHECK_EQ(ask.answer.status, rows[i].status);
		CHECK_EQ(at_b.call_cnt, rows[i].call_cnt);
		if (rows[i].status == SERVICE_NOT_FOUND)
			CHECK_STR(ask.text, SERVICE_OTHER_VERSIONS_TEXT);
		srig_ask_fini(&ask);
	}
	srig_fini(&rig);
}

static void test_a_provider_that_has_it_no_longer_is_passed_over(void)
{
	struct service_stats stats;
	struct srig_ask ask;

	for (unsigned idx = SRIG_B; idx <= SRIG_C; idx++) {
		CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
		CHECK(srig_offer(&rig, &at_b, idx, "echo")); /* the other's descriptor is old */
		for (unsigned i = 0; i < 3; i++) {
			CHECK(call_any(&ask, NULL));
			CHECK_EQ(ask.answer.status, SERVICE_OK);
			CHECK_MEM(ask.answer.provider, rig.nodes[idx].key, MESH_KEY_LEN);
			srig_ask_fini(&ask);
		}
		service_stats(rig.nodes[SRIG_A].service, &stats);
		CHECK_EQ(stats.out.status_cnt[SERVICE_OK], 3);
		srig_fini(&rig);
	}
}

static void test_a_provider_that_is_down_is_passed_over(void)
{
	for (unsigned idx = SRIG_B; idx <= SRIG_C; idx++) {
		struct srig_ask ask;

		CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
		CHECK(srig_offer(&rig, &at_b, idx, "echo"));
		pair_net_rule(&rig.net, pair_addr(idx == SRIG_B ? 3 : 2), PAIR_SILENT, 0);
		CHECK(call_any(&ask, NULL) || ask.cnt == 0);
		for (unsigned i = 0; i < 100; i++)
			srig_run(&rig, PAIR_S / 10);
		CHECK_EQ(ask.cnt, 1);
		CHECK_EQ(ask.answer.status, SERVICE_OK);
		CHECK_MEM(ask.answer.provider, rig.nodes[idx].key, MESH_KEY_LEN);
		srig_ask_fini(&ask);
		srig_fini(&rig);
	}
}

/* The signer of a descriptor may name a victim in it: that is dialled once, with few datagrams. */
static void test_an_address_of_a_descriptor_is_dialled_as_unverified(void)
{
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	pair_net_rule(&rig.net, pair_addr(2), PAIR_SILENT, 0);
	pair_net_rule(&rig.net, pair_addr(3), PAIR_SILENT, 0);
	for (unsigned k = 0; k < 3; k++) {
		(void)call_any(&ask, NULL);
		for (unsigned i = 0; i < 400 && !ask.cnt; i++)
			srig_run(&rig, PAIR_S / 10);
		CHECK_EQ(ask.cnt, 1);
		CHECK(ask.answer.status != SERVICE_OK);
		srig_ask_fini(&ask);
		CHECK_EQ(rig.nodes[SRIG_A].end->dial_cnt, 2);
		CHECK_EQ(rig.nodes[SRIG_A].end->unheard_max, MESH_UNVERIFIED_DGRAM_MAX);
	}
	srig_fini(&rig);
}

/* Only B is known, and is killed; what C publishes then is found by the next call. */
static void test_providers_are_looked_up_again_when_none_answers(void)
{
	struct service_target target = {.name = "echo", .method = "Do"};
	struct srig_ask ask;

	at_b = at_c = (struct srig_provider){.mode = SRIG_ECHO};
	srig_init(&rig, 3, NULL);
	CHECK(srig_publish(&rig, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	CHECK(call_any(&ask, NULL));
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	srig_ask_fini(&ask);
	rig.nodes[SRIG_B].end->is_dead = true;
	pair_net_rule(&rig.net, pair_addr(2), PAIR_SILENT, 0);
	CHECK(srig_publish(&rig, SRIG_C, "echo"));
	CHECK_EQ(srig_call_with(&rig, &ask, SRIG_A, &target, "abc", 3, NULL, 0), 0);
	for (unsigned i = 0; i < 140 && !ask.cnt; i++)
		srig_run(&rig, PAIR_S / 10);
	CHECK_EQ(ask.cnt, 1); /* long before its deadline */
	CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
	CHECK_STR(ask.text, "the connection to the provider was lost");
	srig_ask_fini(&ask);
	CHECK_EQ(srig_call_with(&rig, &ask, SRIG_A, &target, "abc", 3, NULL, 0), 0);
	for (unsigned i = 0; i < 140 && !ask.cnt; i++)
		srig_run(&rig, PAIR_S / 10);
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	CHECK_MEM(ask.answer.provider, rig.nodes[SRIG_C].key, MESH_KEY_LEN);
	CHECK_EQ(rig.overlay.get_cnt, 2);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_a_provider_that_fails_is_put_behind_the_other(void)
{
	struct srig_ask ask;

	CHECK(bench_init(SRIG_FAIL, SRIG_ECHO));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	for (unsigned i = 0; i < 20; i++) {
		CHECK(call_any(&ask, NULL));
		srig_ask_fini(&ask);
	}
	CHECK(at_b.call_cnt <= 5);
	CHECK(at_c.call_cnt >= 15);
	srig_fini(&rig);
}

static void test_a_provider_that_refuses_is_put_behind_the_other(void)
{
	struct service_stats stats;
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	service_set_ready(at_b.offer, false, rig.net.now_ns);
	for (unsigned i = 0; i < 20; i++) {
		CHECK(call_any(&ask, NULL));
		CHECK_EQ(ask.answer.status, SERVICE_OK);
		srig_ask_fini(&ask);
	}
	CHECK_EQ(at_c.call_cnt, 20);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	/* It is asked again after 1, 2, 4, ... s; the calls take 40 s. */
	CHECK(stats.retried_cnt <= 6);
	srig_fini(&rig);
}

static void test_equal_providers_share_calls_that_follow_each_other(void)
{
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	for (unsigned i = 0; i < 60; i++) {
		CHECK(call_any(&ask, NULL));
		CHECK_EQ(ask.answer.status, SERVICE_OK);
		srig_ask_fini(&ask);
	}
	/* Nothing is under way when the next one comes: it is a coin. */
	CHECK(at_b.call_cnt >= 15);
	CHECK(at_c.call_cnt >= 15);
	srig_fini(&rig);
}

static void test_concurrent_calls_go_to_the_least_loaded_provider(void)
{
	const struct service_target target = {.name = "echo", .method = "Do"};
	struct srig_ask asks[16], ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	CHECK(call_any(&ask, NULL)); /* both are known from now on */
	srig_ask_fini(&ask);
	at_b.mode = at_c.mode = SRIG_KEEP;
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(srig_call_with(&rig, &asks[i], SRIG_A, &target, "", 0, NULL, 0), 0);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(at_b.kept_cnt, 8);
	CHECK_EQ(at_c.kept_cnt, 8);
	for (unsigned i = 0; i < 16; i++) {
		service_call_cancel(asks[i].ask);
		srig_ask_fini(&asks[i]);
	}
	srig_fini(&rig);
}

static void test_a_provider_with_a_time_to_come_again_is_spared_until_then(void)
{
	static const struct service_offering scarce = {
		.name = "echo", .version = "1.0.0", .calls_per_min = 1};
	struct service_stats stats;
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK(srig_offer_with(&rig, &at_b, SRIG_B, &scarce));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	for (unsigned i = 0; i < 20; i++) { /* of two seconds each */
		CHECK(call_any(&ask, NULL));
		CHECK_EQ(ask.answer.status, SERVICE_OK);
		srig_ask_fini(&ask);
	}
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK(at_b.call_cnt >= 1);
	CHECK_EQ(at_b.call_cnt + at_c.call_cnt, 20);
	CHECK(stats.retried_cnt <= 2);
	srig_fini(&rig);
}

/* Both may be read from; B keeps all calls, C answers. */
static void hedge_init(const struct service_config *config)
{
	at_b = (struct srig_provider){.mode = SRIG_ECHO};
	at_c = (struct srig_provider){.mode = SRIG_ECHO};
	srig_init(&rig, 3, config);
	CHECK(srig_publish_read_only(&rig, SRIG_B, "echo", "Do"));
	CHECK(srig_publish_read_only(&rig, SRIG_C, "echo", "Do"));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	for (unsigned i = 0; i < 20; i++) {
		struct srig_ask ask;

		CHECK(call_any(&ask, NULL));
		srig_ask_fini(&ask);
	}
	CHECK(at_b.call_cnt > 0);
	at_b.mode = SRIG_KEEP;
}

/* Calls until B has kept cnt of them; the last one is left as it is. */
static void calls_until_kept(struct srig_ask *ask, unsigned cnt)
{
	const struct service_target target = {.name = "echo", .method = "Do"};

	for (unsigned i = 0; i < 200 && at_b.kept_cnt < cnt; i++) {
		CHECK_EQ(srig_call_with(&rig, ask, SRIG_A, &target, "", 0, NULL, 0), 0);
		srig_run(&rig, 2 * PAIR_S);
		if (at_b.kept_cnt < cnt)
			srig_ask_fini(ask);
	}
}

static void test_a_call_that_only_reads_goes_past_a_silent_provider(void)
{
	struct service_stats stats;
	struct srig_ask ask;

	hedge_init(NULL);
	calls_until_kept(&ask, 1);
	CHECK_EQ(ask.cnt, 1);
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	CHECK_MEM(ask.answer.provider, rig.nodes[SRIG_C].key, MESH_KEY_LEN);
	CHECK_EQ(at_b.cancelled_cnt, 1);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.hedged_cnt, 1);
	CHECK_EQ(stats.retried_cnt, 0);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_no_more_of_100_calls_go_on_than_may(void)
{
	struct service_config config;
	struct service_stats stats;
	struct srig_ask ask;

	service_config_defaults(&config);
	config.limits.hedges_per_100 = 2;
	hedge_init(&config);
	for (unsigned i = 1; i <= 3; i++) {
		calls_until_kept(&ask, i);
		CHECK_EQ(ask.cnt, i <= 2);
		if (ask.cnt)
			srig_ask_fini(&ask);
	}
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.hedged_cnt, 2);
	service_call_cancel(ask.ask);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_a_node_that_stops_ends_its_calls_and_takes_no_more(void)
{
	struct srig_ask first, ask;

	CHECK(bench_init(SRIG_KEEP, SRIG_ECHO));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	CHECK_EQ(srig_call(&rig, &first, SRIG_A, SRIG_B, "echo", "abc", 3), 0);
	srig_run(&rig, PAIR_S / 10);
	service_drain(rig.nodes[SRIG_B].service);
	CHECK(!service_is_drained(rig.nodes[SRIG_B].service));
	for (unsigned i = 0; i < 5; i++) {
		CHECK(call_any(&ask, NULL));
		CHECK_EQ(ask.answer.status, SERVICE_OK);
		CHECK_MEM(ask.answer.provider, rig.nodes[SRIG_C].key, MESH_KEY_LEN);
		srig_ask_fini(&ask);
	}
	CHECK_EQ(at_b.call_cnt, 1);
	service_reply(at_b.calls[0],
		      &(struct service_outcome){.status = SERVICE_OK, .payload = "abc", .len = 3},
		      rig.net.now_ns);
	CHECK(service_is_drained(rig.nodes[SRIG_B].service));
	srig_run(&rig, PAIR_S / 10);
	CHECK_EQ(first.answer.status, SERVICE_OK);
	srig_ask_fini(&first);
	srig_fini(&rig);
}

/* A provider that was not reached is asked after the other from then on. */
static void test_a_provider_that_is_down_costs_one_call_its_time(void)
{
	struct srig_ask ask;

	for (unsigned idx = SRIG_B; idx <= SRIG_C; idx++) {
		unsigned down = idx == SRIG_B ? SRIG_C : SRIG_B;
		unsigned slow_cnt = 0;

		CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
		CHECK(srig_offer(&rig, &at_b, idx, "echo"));
		pair_net_rule(&rig.net, pair_addr(down + 1), PAIR_SILENT, 0);
		for (unsigned i = 0; i < 20; i++) {
			CHECK(call_any(&ask, NULL));
			CHECK_EQ(ask.answer.status, SERVICE_OK);
			CHECK(ask.answer.took_ns < 700 * PAIR_MS);
			slow_cnt += ask.answer.took_ns > 400 * PAIR_MS;
			srig_ask_fini(&ask);
		}
		CHECK(slow_cnt <= 1);
		srig_fini(&rig);
	}
}

/* Its node is dead, and no more calls would look whether it is back. */
static void test_timeouts_at_a_dead_node_do_not_count_against_its_service(void)
{
	struct service_target target = {.name = "echo", .method = "Do"};
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "echo", 3), SERVICE_OK);
	target.provider = rig.nodes[SRIG_B].key;
	rig.nodes[SRIG_B].end->is_dead = true;
	for (unsigned i = 0; i < 8; i++) {
		CHECK_EQ(srig_call_with(&rig, &ask, SRIG_A, &target, "abc", 3, NULL, PAIR_S / 10),
			 0);
		srig_run(&rig, PAIR_S / 5);
		CHECK_EQ(ask.answer.status, SERVICE_TIMEOUT);
		srig_ask_fini(&ask);
	}
	rig.nodes[SRIG_B].end->is_dead = false;
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "echo", 3), SERVICE_OK);
	srig_fini(&rig);
}

static void test_an_ask_that_is_being_looked_up_may_be_taken_back_or_time_out(void)
{
	struct service_target target = {.name = "echo", .method = "Do"};
	struct srig_ask left, late;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK_EQ(srig_call_with(&rig, &left, SRIG_A, &target, "", 0, NULL, 0), 0);
	CHECK_EQ(srig_call_with(&rig, &late, SRIG_A, &target, "", 0, NULL, PAIR_S), 0);
	service_call_cancel(left.ask);
	pair_net_run(&rig.net, 2 * PAIR_S); /* the overlay says nothing */
	CHECK_EQ(left.cnt, 0);
	CHECK_EQ(late.answer.status, SERVICE_TIMEOUT);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(late.cnt, 1);
	srig_ask_fini(&late);
	srig_fini(&rig);
}

static void test_a_signed_call_waits_for_its_session_and_is_taken(void)
{
	struct service_offering offering = {
		.name = "echo", .version = "1.0.0", .needs_signature = true};
	struct service_target target = {.name = "echo", .method = "Do", .is_signed = true};
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK(srig_offer_with(&rig, &at_b, SRIG_B, &offering));
	CHECK(srig_offer_with(&rig, &at_c, SRIG_C, &offering));
	for (unsigned i = 0; i < 2; i++) { /* without a session, and over the one there is */
		CHECK_EQ(srig_call_with(&rig, &ask, SRIG_A, &target, "abc", 3, NULL, 0), 0);
		for (unsigned j = 0; j < 10; j++)
			srig_run(&rig, PAIR_S / 10);
		CHECK_EQ(ask.cnt, 1);
		CHECK_EQ(ask.answer.status, SERVICE_OK);
		srig_ask_fini(&ask);
	}
	CHECK(call_any(&ask, NULL));
	CHECK_EQ(ask.answer.status, SERVICE_UNAUTHORIZED);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

int main(void)
{
	RUN(test_a_call_finds_its_provider_and_the_next_finds_it_at_hand);
	RUN(test_a_call_without_a_provider_says_so);
	RUN(test_a_named_provider_is_not_asked_for_a_version_it_does_not_have);
	RUN(test_a_provider_that_has_it_no_longer_is_passed_over);
	RUN(test_a_provider_that_is_down_is_passed_over);
	RUN(test_an_address_of_a_descriptor_is_dialled_as_unverified);
	RUN(test_providers_are_looked_up_again_when_none_answers);
	RUN(test_a_provider_that_fails_is_put_behind_the_other);
	RUN(test_a_provider_that_refuses_is_put_behind_the_other);
	RUN(test_equal_providers_share_calls_that_follow_each_other);
	RUN(test_concurrent_calls_go_to_the_least_loaded_provider);
	RUN(test_a_provider_with_a_time_to_come_again_is_spared_until_then);
	RUN(test_a_call_that_only_reads_goes_past_a_silent_provider);
	RUN(test_no_more_of_100_calls_go_on_than_may);
	RUN(test_a_node_that_stops_ends_its_calls_and_takes_no_more);
	RUN(test_a_provider_that_is_down_costs_one_call_its_time);
	RUN(test_timeouts_at_a_dead_node_do_not_count_against_its_service);
	RUN(test_an_ask_that_is_being_looked_up_may_be_taken_back_or_time_out);
	RUN(test_a_signed_call_waits_for_its_session_and_is_taken);
	return check_done();
}
