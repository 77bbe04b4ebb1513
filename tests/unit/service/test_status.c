/* SPDX-License-Identifier: Apache-2.0 */
/* Each status of a call, provoked by one node at another and read back there. */
#include "support/check.h"
#include "support/service_rig.h"

static const struct service_handler no_calls = {.stream = NULL};

/* Services of B, by how they answer A. */
struct cast {
	struct srig_provider echo, fails, idempotent, others, down, mute, says[SERVICE_STATUS_CNT];
};

static bool cast_offer(struct srig *rig, struct cast *cast)
{
	static const uint8_t allow[1][MESH_KEY_LEN] = {{1, 2, 3}};
	struct service_offering others = {
		.name = "others", .version = "1.0.0", .allow = allow, .allow_cnt = 1};
	struct service_offering mute = {.name = "mute", .version = "1.0.0", .handler = &no_calls};
	char name[16];

	memset(cast, 0, sizeof(*cast));
	cast->fails.mode = SRIG_FAIL;
	cast->idempotent.mode = SRIG_KEEP;
	if (!srig_offer(rig, &cast->echo, SRIG_B, "echo") ||
	    !srig_offer(rig, &cast->fails, SRIG_B, "fails") ||
	    !srig_offer(rig, &cast->idempotent, SRIG_B, "kept") ||
	    !srig_offer(rig, &cast->down, SRIG_B, "down") ||
	    !srig_offer_with(rig, &cast->others, SRIG_B, &others) ||
	    !srig_offer_with(rig, &cast->mute, SRIG_B, &mute))
		return false;
	service_set_ready(cast->down.offer, false, rig->net.now_ns);
	for (unsigned i = 0; i < SERVICE_STATUS_CNT; i++) {
		cast->says[i].mode = SRIG_STATUS;
		cast->says[i].status = (enum service_status)i;
		snprintf(name, sizeof(name), "says-%u", i);
		if (!srig_offer(rig, &cast->says[i], SRIG_B, name))
			return false;
	}
	return true;
}

static void test_every_status_is_provoked_and_read_back(void)
{
	static const struct {
		const char *name;
		size_t len;
		enum service_status status;
		const char *text;
	} rows[] = {
		{"echo", 10, SERVICE_OK, ""},
		{"fails", 10, SERVICE_UNKNOWN_ERROR, "the service failed"},
		{"nobody", 10, SERVICE_NOT_FOUND, "no such service here"},
		{"mute", 10, SERVICE_METHOD_NOT_FOUND, "this service takes no calls"},
		{"says-4", 10, SERVICE_INVALID_PAYLOAD, "as told"},
		{"kept", 10, SERVICE_TIMEOUT, "the service did not answer in time"},
		{"says-6", 10, SERVICE_RATE_LIMITED, "as told"},
		{"says-7", 10, SERVICE_UNAUTHORIZED, "as told"},
		{"others", 10, SERVICE_FORBIDDEN, "this service is for others"},
		{"says-9", 10, SERVICE_PAYLOAD_TOO_LARGE, "as told"},
		{"down", 10, SERVICE_UNAVAILABLE,
		 "the program that provides this service does not answer"},
	};
	uint8_t payload[10] = {1, 2, 3};
	struct srig rig;
	struct cast cast;

	srig_init(&rig, 2, NULL);
	CHECK(cast_offer(&rig, &cast));
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct srig_ask ask;

		CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, rows[i].name, payload, rows[i].len),
			 0);
		srig_run(&rig, 31 * PAIR_S);
		CHECK_EQ(ask.cnt, 1);
		CHECK_EQ(ask.answer.status, rows[i].status);
		CHECK_STR(ask.text, rows[i].text);
		CHECK_MEM(ask.answer.provider, rig.nodes[SRIG_B].key, MESH_KEY_LEN);
		srig_ask_fini(&ask);
	}
	CHECK_EQ(cast.others.call_cnt + cast.down.call_cnt + cast.mute.call_cnt, 0);
	CHECK_EQ(cast.idempotent.cancelled_cnt, 1);
	CHECK_EQ(rig.net.span_out_cnt, 0);
	srig_fini(&rig);
}

static void test_what_a_handler_says_of_its_failure_stays_here(void)
{
	struct srig_ask ask;
	struct cast cast;
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(cast_offer(&rig, &cast));
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "fails", "", 0), 0);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(ask.answer.status, SERVICE_UNKNOWN_ERROR);
	CHECK(!strstr(ask.text, "secret"));
	CHECK_EQ(ask.answer.len, 0);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_an_answer_names_how_long_it_took_and_is_counted(void)
{
	struct service_stats stats;
	uint64_t memory_len;
	struct srig_ask ask;
	struct cast cast;
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(cast_offer(&rig, &cast));
	service_stats(rig.nodes[SRIG_B].service, &stats);
	memory_len = stats.memory_len;
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "echo", "abc", 3), 0);
	srig_run(&rig, PAIR_S);
	CHECK(ask.answer.took_ns >= 2 * rig.net.delay_ns);
	CHECK(ask.answer.took_ns < PAIR_S);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.out.status_cnt[SERVICE_OK], 1);
	CHECK_EQ(stats.pending_cnt, 0);
	service_stats(rig.nodes[SRIG_B].service, &stats);
	CHECK_EQ(stats.in.status_cnt[SERVICE_OK], 1);
	CHECK_EQ(stats.memory_len, memory_len);
	CHECK_EQ(stats.in_hand_cnt, 0);
	srig_ask_fini(&ask);
	srig_fini(&rig);
}

static void test_16_methods_have_counts_of_their_own_and_the_next_has_not(void)
{
	struct service_info info = {.name = ""};
	struct service_iter iter = {0};
	struct service_target target = {.name = "echo"};
	char method[16];
	struct cast cast;
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(cast_offer(&rig, &cast));
	/* The session. */
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "fails", 1), SERVICE_UNKNOWN_ERROR);
	target.provider = rig.nodes[SRIG_B].key;
	target.method = method;
	for (unsigned i = 0; i < 2 * (SERVICE_METHODS_MAX + 1); i++) {
		struct srig_ask ask;

		snprintf(method, sizeof(method), "M%u", i % (SERVICE_METHODS_MAX + 1));
		CHECK_EQ(srig_call_with(&rig, &ask, SRIG_A, &target, "x", 1, NULL, 0), 0);
		srig_run(&rig, PAIR_S);
		CHECK_EQ(ask.answer.status, SERVICE_OK);
		srig_ask_fini(&ask);
	}
	iter.service = rig.nodes[SRIG_B].service;
	while (strcmp(info.name, "echo") != 0 && service_next(&iter, &info))
		;
	CHECK_EQ(info.method_cnt, SERVICE_METHODS_MAX + 1);
	for (unsigned i = 0; i <= SERVICE_METHODS_MAX; i++)
		CHECK_EQ(info.methods[i].counts.status_cnt[SERVICE_OK], 2);
	CHECK_STR(info.methods[0].method, "");
	CHECK_STR(info.methods[SERVICE_METHODS_MAX].method, "M15");
	srig_fini(&rig);
}

static void test_a_payload_of_a_mebibyte_is_echoed_and_one_byte_more_refused(void)
{
	const size_t len = SERVICE_PAYLOAD_LEN_MAX;
	struct service_config config;
	uint8_t *payload = malloc(len + 1);
	struct srig_ask ask;
	struct cast cast;
	struct srig rig;

	for (size_t i = 0; i <= len; i++)
		payload[i] = (uint8_t)(i * 7 + i / 256);
	service_config_defaults(&config);
	srig_init(&rig, 2, &config);
	CHECK(cast_offer(&rig, &cast));
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "echo", payload, len), 0);
	srig_run(&rig, 5 * PAIR_S);
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	CHECK_EQ(ask.answer.len, len);
	CHECK(memcmp(ask.payload, payload, len) == 0);
	srig_ask_fini(&ask);
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "echo", payload, len + 1), WEFT_ETOOLARGE);
	srig_ask_fini(&ask);
	/* A caller without that limit of its own. */
	config.limits.payload_len = len + 1;
	service_configure(rig.nodes[SRIG_A].service, &config);
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "echo", payload, len + 1), 0);
	srig_run(&rig, 5 * PAIR_S);
	CHECK_EQ(ask.answer.status, SERVICE_PAYLOAD_TOO_LARGE);
	CHECK_EQ(cast.echo.call_cnt, 1);
	CHECK_EQ(rig.nodes[SRIG_B].violation_cnt, 1);
	CHECK_EQ(rig.net.span_out_cnt, 0);
	srig_ask_fini(&ask);
	srig_fini(&rig);
	free(payload);
}

static void test_an_answer_that_is_too_large_is_reported_as_such(void)
{
	struct srig_provider idempotent = {.mode = SRIG_KEEP};
	uint8_t *answer = calloc(2, SERVICE_PAYLOAD_LEN_MAX);
	struct srig_ask ask;
	struct srig rig;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer(&rig, &idempotent, SRIG_B, "kept"));
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "kept", "", 0), 0);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(idempotent.kept_cnt, 1);
	service_reply(idempotent.calls[0],
		      &(struct service_outcome){.status = SERVICE_OK,
						.payload = answer,
						.len = 2 * SERVICE_PAYLOAD_LEN_MAX},
		      rig.net.now_ns);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(ask.answer.status, SERVICE_PAYLOAD_TOO_LARGE);
	CHECK_EQ(ask.answer.len, 0);
	srig_ask_fini(&ask);
	/* And one that is more than the caller takes. */
	struct service_config config = rig.config;

	config.limits.payload_len = 1024;
	service_configure(rig.nodes[SRIG_A].service, &config);
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "kept", "", 0), 0);
	srig_run(&rig, 100 * PAIR_MS);
	service_reply(
		idempotent.calls[1],
		&(struct service_outcome){.status = SERVICE_OK, .payload = answer, .len = 1025},
		rig.net.now_ns);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(ask.cnt, 1);
	CHECK_EQ(ask.answer.status, SERVICE_PAYLOAD_TOO_LARGE);
	srig_ask_fini(&ask);
	srig_fini(&rig);
	free(answer);
}

static void test_calls_in_pieces_of_any_size_arrive_whole(void)
{
	static const size_t cuts[] = {1, 2, 7, 100, 239, 240, 241, 1000};
	uint8_t payload[3000];

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 13);
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct srig_ask ask;
		struct cast cast;
		struct srig rig;

		srig_init(&rig, 2, NULL);
		rig.net.cut_len = cuts[i];
		CHECK(cast_offer(&rig, &cast));
		for (size_t len = 0; len <= sizeof(payload); len += 300) {
			CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "echo", payload, len), 0);
			srig_run(&rig, PAIR_S);
			CHECK_EQ(ask.answer.status, SERVICE_OK);
			CHECK_EQ(ask.answer.len, len);
			CHECK(memcmp(ask.payload, payload, len) == 0);
			srig_ask_fini(&ask);
		}
		srig_fini(&rig);
	}
}

static void test_names_of_statuses_and_reasons_are_all_there(void)
{
	for (unsigned i = 0; i < SERVICE_STATUS_CNT; i++)
		CHECK(service_status_name((enum service_status)i)[0]);
	for (unsigned i = 0; i < SERVICE_REFUSED_CNT; i++)
		CHECK(service_refusal_name((enum service_refusal_reason)i)[0]);
}

int main(void)
{
	RUN(test_every_status_is_provoked_and_read_back);
	RUN(test_what_a_handler_says_of_its_failure_stays_here);
	RUN(test_an_answer_names_how_long_it_took_and_is_counted);
	RUN(test_16_methods_have_counts_of_their_own_and_the_next_has_not);
	RUN(test_a_payload_of_a_mebibyte_is_echoed_and_one_byte_more_refused);
	RUN(test_an_answer_that_is_too_large_is_reported_as_such);
	RUN(test_calls_in_pieces_of_any_size_arrive_whole);
	RUN(test_names_of_statuses_and_reasons_are_all_there);
	return check_done();
}
