/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls are made again, and where, when no answer came. */
#include "provider_choice_rig.h"

/* Loses the sessions of A while a call of A is in a handler's hands. */
static bool lose_call(struct srig_ask *ask, const uint8_t *key)
{
	struct service_target target = {.name = "echo", .method = "Do"};

	if (srig_call_with(&rig, ask, SRIG_A, &target, "abc", 3, key, 0) < 0)
		return false;
	for (unsigned i = 0; i < 10; i++)
		srig_run(&rig, PAIR_S / 10);
	if (at_b.kept_cnt + at_c.kept_cnt != 1)
		return false;
	at_b.mode = SRIG_ECHO;
	at_c.mode = SRIG_ECHO;
	pair_net_close_dialled(&rig.net, SRIG_A);
	for (unsigned i = 0; i < 30; i++)
		srig_run(&rig, PAIR_S / 10);
	return ask->cnt == 1;
}

static void test_a_call_that_a_handler_saw_is_not_made_again(void)
{
	struct srig_ask ask;

	CHECK(bench_init(SRIG_KEEP, SRIG_KEEP));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	CHECK(lose_call(&ask, NULL));
	CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(at_b.call_cnt + at_c.call_cnt, 1);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

/* The provider that has, or had, the call in hand. */
static struct srig_provider *holder(void)
{
	return at_b.kept_cnt ? &at_b : &at_c;
}

static void test_a_call_with_a_key_gets_its_answer_from_its_first_provider(void)
{
	static const uint8_t key[SERVICE_KEY_LEN] = {9};
	struct service_stats stats;
	struct srig_ask ask;

	CHECK(bench_init(SRIG_KEEP, SRIG_KEEP));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	CHECK(!lose_call(&ask, key)); /* asked again, it waits for the run that began */
	CHECK_EQ(ask.cnt, 0);
	service_reply(holder()->calls[0],
		      &(struct service_outcome){.status = SERVICE_OK, .payload = "abc", .len = 3},
		      rig.net.now_ns);
	srig_run(&rig, PAIR_S / 10);
	CHECK_EQ(ask.cnt, 1);
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	CHECK_MEM(ask.payload, "abc", 3);
	CHECK_EQ(at_b.call_cnt + at_c.call_cnt, 1);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.retried_cnt, 0);
	CHECK_EQ(stats.again_cnt, 1);
	CHECK_EQ(rig.nodes[SRIG_B].violation_cnt + rig.nodes[SRIG_C].violation_cnt, 0);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

/* A names B. What A says is lost, and then its session, before B heard of the call. */
static bool call_into_the_void(struct srig_ask *ask, const uint8_t *key, uint64_t timeout_ns)
{
	struct service_target target = {
		.name = "echo", .method = "Do", .provider = rig.nodes[SRIG_B].key};

	if (srig_once(&rig, SRIG_A, SRIG_B, "echo", 3) != SERVICE_OK)
		return false;
	rig.nodes[SRIG_B].end->is_dead = true;
	if (srig_call_with(&rig, ask, SRIG_A, &target, "abc", 3, key, timeout_ns) < 0)
		return false;
	srig_run(&rig, PAIR_S / 10);
	pair_net_close_dialled(&rig.net, SRIG_A);
	srig_run(&rig, PAIR_MS);
	rig.nodes[SRIG_B].end->is_dead = false;
	return true;
}

static void test_a_call_with_a_key_that_never_arrived_is_made_by_the_same_provider(void)
{
	static const uint8_t key[SERVICE_KEY_LEN] = {9};
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	srig_run(&rig, 60 * PAIR_S);
	CHECK(call_into_the_void(&ask, key, 20 * PAIR_S));
	srig_run(&rig, PAIR_S);
	CHECK_EQ(ask.cnt, 1);
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	CHECK_EQ(at_b.call_cnt, 2);
	CHECK_EQ(at_c.call_cnt, 0);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

/* A provider that began not long ago cannot tell: its answers of before are gone. */
static void test_a_call_with_a_key_that_may_be_forgotten_is_not_made(void)
{
	static const uint8_t key[SERVICE_KEY_LEN] = {9};
	struct service_stats stats;
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	CHECK(call_into_the_void(&ask, key, 20 * PAIR_S));
	srig_run(&rig, PAIR_S);
	CHECK_EQ(ask.cnt, 1);
	CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
	CHECK_STR(ask.text, "the provider may have forgotten this call: whether it ran is unknown");
	CHECK_EQ(at_b.call_cnt, 1);
	CHECK_EQ(at_c.call_cnt, 0);
	service_stats(rig.nodes[SRIG_B].service, &stats);
	CHECK_EQ(stats.refused_cnt[SERVICE_REFUSED_FORGOTTEN], 1);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_a_call_without_a_key_that_may_have_left_is_not_made_again(void)
{
	struct service_stats stats;
	struct srig_ask ask;

	CHECK(bench_init(SRIG_ECHO, SRIG_ECHO));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	srig_run(&rig, 60 * PAIR_S);
	CHECK(call_into_the_void(&ask, NULL, 20 * PAIR_S));
	CHECK_EQ(ask.cnt, 1);
	CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.again_cnt + stats.retried_cnt, 0);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

/* The provider that has a call in hand is killed, and its session is not closed. */
static bool lose_provider(struct srig_ask *ask, const uint8_t *key)
{
	struct service_target target = {.name = "echo", .method = "Do"};
	unsigned idx;

	if (!bench_init(SRIG_KEEP, SRIG_KEEP) || !srig_offer(&rig, &at_b, SRIG_B, "echo") ||
	    !srig_offer(&rig, &at_c, SRIG_C, "echo") ||
	    srig_call_with(&rig, ask, SRIG_A, &target, "abc", 3, key, 0) < 0)
		return false;
	for (unsigned i = 0; i < 10; i++)
		srig_run(&rig, PAIR_S / 10);
	if (at_b.kept_cnt + at_c.kept_cnt != 1)
		return false;
	idx = at_b.kept_cnt ? SRIG_B : SRIG_C;
	at_b.mode = SRIG_ECHO;
	at_c.mode = SRIG_ECHO;
	rig.nodes[idx].end->is_dead = true;
	pair_net_rule(&rig.net, pair_addr(idx + 1), PAIR_SILENT, 0);
	for (unsigned i = 0; i < 170; i++)
		srig_run(&rig, PAIR_S / 10);
	return ask->cnt == 1;
}

static void test_a_provider_that_dies_with_a_call_in_hand_is_noticed(void)
{
	struct srig_ask ask;

	CHECK(lose_provider(&ask, NULL));
	CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
	CHECK_STR(ask.text, "the connection to the provider was lost");
	CHECK_EQ(at_b.call_cnt + at_c.call_cnt, 1);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_its_call_with_a_key_waits_for_it_and_is_not_made_elsewhere(void)
{
	static const uint8_t key[SERVICE_KEY_LEN] = {9};
	struct srig_ask ask;

	CHECK(!lose_provider(&ask, key));
	CHECK_EQ(ask.cnt, 0);
	for (unsigned i = 0; i < 140 && !ask.cnt; i++)
		srig_run(&rig, PAIR_S / 10);
	CHECK_EQ(ask.cnt, 1);
	CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
	CHECK_STR(ask.text, "the provider cannot be reached");
	CHECK(ask.answer.took_ns >= 29 * PAIR_S); /* at its deadline */
	CHECK_EQ(at_b.call_cnt + at_c.call_cnt, 1);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

/* Publishes echo at node idx with the read-only method Do. */
static bool publish_read_only(unsigned idx)
{
	return srig_publish_read_only(&rig, idx, "echo", "Do");
}

static void test_a_read_only_call_is_made_elsewhere_when_its_provider_is_lost(void)
{
	struct service_stats stats;
	struct srig_ask ask;

	at_b = at_c = (struct srig_provider){.mode = SRIG_KEEP};
	srig_init(&rig, 3, NULL);
	CHECK(publish_read_only(SRIG_B) && publish_read_only(SRIG_C));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
	CHECK(lose_call(&ask, NULL));
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	CHECK_EQ(at_b.call_cnt, 1);
	CHECK_EQ(at_c.call_cnt, 1);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.retried_cnt + stats.hedged_cnt, 1); /* it is silent first */
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_a_read_only_call_is_made_again_at_the_one_provider_there_is(void)
{
	struct service_stats stats;
	struct srig_ask ask;

	at_b = at_c = (struct srig_provider){.mode = SRIG_KEEP};
	srig_init(&rig, 3, NULL);
	CHECK(publish_read_only(SRIG_B));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(lose_call(&ask, NULL));
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	CHECK_EQ(at_b.call_cnt, 2);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.again_cnt, 1);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_an_answer_of_a_handler_is_final(void)
{
	static const enum service_status rows[] = {SERVICE_UNKNOWN_ERROR, SERVICE_UNAVAILABLE,
						   SERVICE_RATE_LIMITED};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct srig_ask ask;

		CHECK(bench_init(SRIG_STATUS, SRIG_STATUS));
		at_b.status = rows[i];
		at_c.status = rows[i];
		CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
		CHECK(srig_offer(&rig, &at_c, SRIG_C, "echo"));
		CHECK(call_any(&ask, NULL));
		CHECK_EQ(ask.answer.status, rows[i]);
		CHECK_EQ(at_b.call_cnt + at_c.call_cnt, 1);
		srig_ask_fini(&ask);
		srig_fini(&rig);
	}
}

int main(void)
{
	RUN(test_a_call_that_a_handler_saw_is_not_made_again);
	RUN(test_a_call_with_a_key_gets_its_answer_from_its_first_provider);
	RUN(test_a_call_with_a_key_that_never_arrived_is_made_by_the_same_provider);
	RUN(test_a_call_with_a_key_that_may_be_forgotten_is_not_made);
	RUN(test_a_call_without_a_key_that_may_have_left_is_not_made_again);
	RUN(test_a_provider_that_dies_with_a_call_in_hand_is_noticed);
	RUN(test_its_call_with_a_key_waits_for_it_and_is_not_made_elsewhere);
	RUN(test_a_read_only_call_is_made_elsewhere_when_its_provider_is_lost);
	RUN(test_a_read_only_call_is_made_again_at_the_one_provider_there_is);
	RUN(test_an_answer_of_a_handler_is_final);
	return check_done();
}
