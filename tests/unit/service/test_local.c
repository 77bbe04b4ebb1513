/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and streams between programs of one node. */
#include "service/directory/service_id.h"
#include "service/service_registry.h"
#include "support/check.h"
#include "support/service_rig.h"

static void test_a_service_of_this_node_is_called_without_the_mesh(void)
{
	struct srig_provider echo = {.mode = SRIG_ECHO};
	struct srig_ask ask;
	struct srig rig;

	srig_init(&rig, 1, NULL);
	CHECK(srig_offer(&rig, &echo, SRIG_A, "echo"));
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_NODES, "echo", "hello", 5), 0);
	CHECK_EQ(echo.call_cnt + ask.cnt, 0); /* nothing happens inside the call */
	srig_run(&rig, PAIR_MS);
	CHECK_EQ(ask.cnt, 1);
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	CHECK_EQ(ask.answer.len, 5);
	CHECK_MEM(ask.payload, "hello", 5);
	CHECK_MEM(ask.answer.provider, rig.nodes[SRIG_A].key, MESH_KEY_LEN);
	CHECK(echo.caller.is_local);
	CHECK_MEM(echo.caller.key, rig.nodes[SRIG_A].key, MESH_KEY_LEN);
	CHECK_STR(echo.method, "Do");
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_local_callers_are_limited_as_peers_are(void)
{
	struct srig_provider echo = {.mode = SRIG_ECHO};
	struct srig rig;

	srig_init(&rig, 1, NULL);
	CHECK(srig_offer(&rig, &echo, SRIG_A, "echo"));
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_A, "echo", 1), SERVICE_OK);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_A, "echo", 1), SERVICE_RATE_LIMITED);
	CHECK_EQ(echo.call_cnt, 100);
	CHECK_EQ(rig.nodes[SRIG_A].violation_cnt, 0);
	srig_fini(&rig);
}

static void test_a_local_stream_carries_messages_both_ways(void)
{
	struct srig_stream taker = {.is_echo = true}, asker = {.len = 0};
	struct srig_provider echo = {.stream = &taker};
	struct service_piece piece = {.data = (const uint8_t *)"abc", .len = 3, .is_text = true};
	struct srig rig;

	srig_init(&rig, 1, NULL);
	CHECK(srig_offer(&rig, &echo, SRIG_A, "echo"));
	CHECK_EQ(srig_open(&rig, &asker, SRIG_A, SRIG_A, "echo", "head", 4), 0);
	srig_run(&rig, PAIR_MS);
	CHECK_EQ(asker.opened_cnt, 1);
	CHECK_EQ(echo.len, 4);
	CHECK_EQ(service_channel_send(asker.channel, &piece, NULL, NULL), 0);
	piece.is_last = true;
	CHECK_EQ(service_channel_send(asker.channel, &piece, NULL, NULL), 0);
	service_channel_finish(asker.channel);
	CHECK_EQ(service_channel_send(asker.channel, &piece, NULL, NULL), WEFT_ECLOSED);
	srig_run(&rig, PAIR_MS);
	CHECK_EQ(taker.message_cnt, 1);
	CHECK_EQ(taker.len, 6);
	CHECK_EQ(asker.message_cnt, 1);
	CHECK_EQ(asker.sum, taker.sum);
	CHECK(asker.is_text);
	CHECK_EQ(asker.finished_cnt, 1);
	CHECK_EQ(asker.ended_cnt, 1);
	CHECK_EQ(taker.ended_cnt, 1);
	CHECK_EQ(asker.status, SERVICE_OK);
	srig_fini(&rig);
}

static void test_a_withdrawn_service_answers_what_it_has_in_hand(void)
{
	struct srig_stream taker = {.len = 0}, asker = {.len = 0};
	struct srig_provider idempotent = {.mode = SRIG_KEEP, .stream = &taker};
	struct srig_ask ask;
	struct srig rig;

	srig_init(&rig, 1, NULL);
	CHECK(srig_offer(&rig, &idempotent, SRIG_A, "kept"));
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_A, "kept", "x", 1), 0);
	CHECK_EQ(srig_open(&rig, &asker, SRIG_A, SRIG_A, "kept", NULL, 0), 0);
	srig_run(&rig, PAIR_MS);
	CHECK_EQ(idempotent.kept_cnt, 1);
	CHECK_EQ(asker.opened_cnt, 1);
	service_withdraw(idempotent.offer, rig.net.now_ns);
	CHECK_EQ(ask.cnt, 0);
	srig_run(&rig, PAIR_MS);
	CHECK_EQ(ask.cnt, 1);
	CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(asker.ended_cnt, 1);
	CHECK_EQ(asker.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(idempotent.cancelled_cnt + taker.ended_cnt, 0); /* the withdrawer knows */
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_A, "kept", 1), SERVICE_NOT_FOUND);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_an_offer_is_checked_and_unique_by_name_and_major_version(void)
{
	struct srig_provider first = {.mode = SRIG_ECHO}, second = {.mode = SRIG_ECHO},
			     other = {.mode = SRIG_ECHO};
	struct service_offering offering = {.name = "echo", .version = "2.1.0"};
	struct service_target target = {.name = "echo", .method = "Do", .version = "^1"};
	struct srig_ask ask;
	struct srig rig;

	srig_init(&rig, 1, NULL);
	CHECK(srig_offer(&rig, &first, SRIG_A, "echo"));
	CHECK(srig_offer_with(&rig, &second, SRIG_A, &offering));
	offering.version = "2.2.0";
	CHECK(!srig_offer_with(&rig, &other, SRIG_A, &offering));
	offering.version = "three";
	CHECK(!srig_offer_with(&rig, &other, SRIG_A, &offering));
	offering = (struct service_offering){.name = "Echo", .version = "1.0.0"};
	CHECK(!srig_offer_with(&rig, &other, SRIG_A, &offering));
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_NODES, "echo", 1), SERVICE_OK);
	CHECK_EQ(second.call_cnt, 1); /* the highest */
	CHECK_EQ(srig_call_with(&rig, &ask, SRIG_A, &target, "", 0, NULL, 0), 0);
	srig_run(&rig, PAIR_MS);
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	CHECK_EQ(first.call_cnt, 1);
	srig_ask_fini(&ask);
	service_withdraw(second.offer, rig.net.now_ns);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_NODES, "echo", 1), SERVICE_OK);
	CHECK_EQ(first.call_cnt, 2);
	srig_fini(&rig);
}

/* A target names its service by a name, or by the id that name has. */
static void test_a_target_is_found_by_id_or_by_a_valid_name(void)
{
	static const struct {
		const char *name, *version;
		bool has_id;
		enum service_status status;
	} rows[] = {
		{"echo", NULL, false, SERVICE_OK},	  {"echo", "^1", false, SERVICE_OK},
		{"echo", "^3", false, SERVICE_NOT_FOUND}, {"none", NULL, false, SERVICE_NOT_FOUND},
		{"Echo", NULL, false, SERVICE_NOT_FOUND}, {NULL, NULL, false, SERVICE_NOT_FOUND},
		{NULL, NULL, true, SERVICE_OK},		  {NULL, "^3", true, SERVICE_NOT_FOUND},
	};
	struct srig_provider echo = {.mode = SRIG_ECHO}, other = {.mode = SRIG_ECHO};
	uint8_t id[SERVICE_ID_LEN];
	struct srig rig;

	srig_init(&rig, 1, NULL);
	CHECK(srig_offer(&rig, &echo, SRIG_A, "echo"));
	CHECK(srig_offer(&rig, &other, SRIG_A, "other"));
	service_id_of("echo", rig.nodes[SRIG_A].key, id);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service_target target = {.name = rows[i].name,
						.version = rows[i].version,
						.id = rows[i].has_id ? id : NULL,
						.method = "Do"};
		struct service_offer *offer;
		int err = service_registry_find(rig.nodes[SRIG_A].service, &target, &offer);

		CHECK_EQ(err == 0, rows[i].status == SERVICE_OK);
	}
	srig_fini(&rig);
}

static void test_offers_beyond_the_limit_are_refused(void)
{
	struct srig_provider providers[4] = {0};
	struct service_config config;
	char name[8];
	struct srig rig;

	service_config_defaults(&config);
	config.limits.offer_cnt = 3;
	srig_init(&rig, 1, &config);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "echo%u", i);
		CHECK_EQ(srig_offer(&rig, &providers[i], SRIG_A, name), i < 3);
	}
	service_withdraw(providers[0].offer, rig.net.now_ns);
	CHECK(srig_offer(&rig, &providers[3], SRIG_A, "echo3"));
	srig_fini(&rig);
}

static void test_an_offer_is_listed_with_what_is_in_force_and_its_counts(void)
{
	struct service_metadata metadata = {"kind", "http"};
	struct service_iter iter = {0};
	uint8_t allow[1][MESH_KEY_LEN] = {{1}};
	struct service_offering offering = {.name = "web",
					    .version = "3.1.4",
					    .metadata = &metadata,
					    .metadata_cnt = 1,
					    .payload_len_max = 2000,
					    .allow = (const void *)allow,
					    .allow_cnt = 1};
	struct srig_provider echo = {.mode = SRIG_ECHO};
	struct service_info info = {.name = NULL};
	struct srig rig;

	srig_init(&rig, 1, NULL);
	CHECK(srig_offer_with(&rig, &echo, SRIG_A, &offering));
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_A, "web", 2000), SERVICE_OK);
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_A, "web", 2001), SERVICE_PAYLOAD_TOO_LARGE);
	iter.service = rig.nodes[SRIG_A].service;
	CHECK(service_next(&iter, &info));
	CHECK_STR(info.name, "web");
	CHECK_STR(info.version, "3.1.4");
	CHECK_STR(info.metadata[0].value, "http");
	CHECK(info.name != offering.name); /* a copy */
	CHECK_EQ(info.payload_len_max, 2000);
	CHECK_EQ(info.calls_per_min, 100);
	CHECK_EQ(info.timeout_ns, 30 * PAIR_S);
	CHECK_EQ(info.allow_cnt, 1);
	CHECK(info.is_ready);
	CHECK_EQ(info.counts.status_cnt[SERVICE_OK], 1);
	CHECK_EQ(info.counts.latency_cnt[0] + info.counts.latency_cnt[1] +
			 info.counts.latency_cnt[2],
		 1);
	srig_fini(&rig);
}

static void test_a_local_call_ends_at_its_deadline_and_may_be_taken_back(void)
{
	struct srig_provider idempotent = {.mode = SRIG_KEEP};
	struct service_target target = {.name = "kept", .method = "Do"};
	struct srig_ask late, left;
	struct srig rig;

	srig_init(&rig, 1, NULL);
	CHECK(srig_offer(&rig, &idempotent, SRIG_A, "kept"));
	CHECK_EQ(srig_call_with(&rig, &late, SRIG_A, &target, "", 0, NULL, PAIR_S), 0);
	CHECK_EQ(srig_call_with(&rig, &left, SRIG_A, &target, "", 0, NULL, PAIR_S), 0);
	srig_run(&rig, PAIR_MS);
	CHECK_EQ(idempotent.kept_cnt, 2);
	service_call_cancel(left.ask);
	CHECK_EQ(idempotent.cancelled_cnt, 1);
	srig_run(&rig, 2 * PAIR_S);
	CHECK_EQ(idempotent.cancelled_cnt, 2);
	CHECK_EQ(late.answer.status, SERVICE_TIMEOUT);
	CHECK_EQ(left.cnt, 0);
	srig_ask_fini(&late);
	srig_fini(&rig);
}

int main(void)
{
	RUN(test_a_service_of_this_node_is_called_without_the_mesh);
	RUN(test_local_callers_are_limited_as_peers_are);
	RUN(test_a_local_stream_carries_messages_both_ways);
	RUN(test_a_withdrawn_service_answers_what_it_has_in_hand);
	RUN(test_an_offer_is_checked_and_unique_by_name_and_major_version);
	RUN(test_a_target_is_found_by_id_or_by_a_valid_name);
	RUN(test_offers_beyond_the_limit_are_refused);
	RUN(test_an_offer_is_listed_with_what_is_in_force_and_its_counts);
	RUN(test_a_local_call_ends_at_its_deadline_and_may_be_taken_back);
	return check_done();
}
