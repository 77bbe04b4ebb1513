/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that a program on a socket answers. */
#include "unit/provider/socket_rig.h"

static void test_an_object_is_asked_as_json_and_may_be_answered_so(void)
{
	static const char payload[] = "{\"a\": 1.50, \"b\":[\"\\u00e9\"]}";
	struct prig_call call = {.cnt = 0};
	char key[80];
	struct desk desk;
	json_t *request;
	int fd;

	desk_init(&desk);
	CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", payload, strlen(payload)), 0);
	fd = desk_take(&desk, &request);
	CHECK(strstr(desk.heard, payload)); /* byte for byte */
	CHECK_STR(json_string_value(json_object_get(request, "method")), "net.weft.Service.Call");
	CHECK_STR(param(request, "method"), "Do");
	CHECK_STR(param(request, "caller"),
		  zbase32_write(node_key_public(desk.rig.key), MESH_KEY_LEN, key));
	CHECK_EQ(strlen(param(request, "correlation")), 32);
	CHECK(json_integer_value(
		      json_object_get(json_object_get(request, "parameters"), "ms_left")) > 20000);
	CHECK(!param(request, "base64"));
	desk_reply(&desk, fd, "{\"parameters\":{\"json\":{\"z\":1,\"a\":[2.5,null]}}}");
	CHECK_EQ(call.cnt, 1);
	CHECK_EQ(call.status, SERVICE_OK);
	CHECK_STR(call.payload, "{\"z\":1,\"a\":[2.5,null]}");
	CHECK(program_is_left(fd));
	CHECK_EQ(memory_used(&desk), 0);
	json_decref(request);
	free(call.payload);
	close(fd);
	desk_fini(&desk);
}

static void test_other_payloads_travel_in_base64(void)
{
	static const struct {
		const char *payload;
		size_t len;
	} rows[] = {
		{"", 0},
		{"\0\xff{", 3},
		{"[1]", 3},
		{"{\"a\":1}x", 8},
		{"{\"a\":1,\"a\":2}", 13},
		{"{\"a\":\"\x01\"}", 9},
		{"text", 4},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prig_call call = {.cnt = 0};
		uint8_t bytes[64];
		char reply[128];
		const char *text;
		struct desk desk;
		json_t *request;
		size_t len = 0;
		int fd;

		desk_init(&desk);
		CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", rows[i].payload, rows[i].len),
			 0);
		fd = desk_take(&desk, &request);
		text = param(request, "base64");
		CHECK(!json_object_get(json_object_get(request, "parameters"), "json"));
		CHECK(rows[i].len == 0 || text);
		if (text)
			CHECK_EQ(base64_read(text, strlen(text), bytes, sizeof(bytes), &len), 0);
		CHECK_EQ(len, rows[i].len);
		CHECK_MEM(bytes, rows[i].payload, len);
		snprintf(reply, sizeof(reply), "{\"parameters\":{\"base64\":\"%s\"}}",
			 text ? text : "");
		desk_reply(&desk, fd, reply);
		CHECK_EQ(call.status, SERVICE_OK);
		CHECK_EQ(call.len, rows[i].len);
		CHECK_MEM(call.payload, rows[i].payload, call.len);
		json_decref(request);
		free(call.payload);
		close(fd);
		desk_fini(&desk);
	}
}

static void test_a_payload_of_a_mebibyte_goes_both_ways(void)
{
	size_t len = SERVICE_PAYLOAD_LEN_MAX;
	uint8_t *payload = malloc(len);
	char *reply = malloc(2 * len);
	struct prig_call call = {.cnt = 0};
	struct desk desk;
	json_t *request;
	size_t sent = 0, reply_len;
	int fd;

	for (size_t i = 0; i < len; i++)
		payload[i] = (uint8_t)(i * 31 % 251);
	desk_init(&desk);
	CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", payload, len), 0);
	fd = desk_take(&desk, &request);
	reply_len = (size_t)sprintf(reply, "{\"parameters\":{\"base64\":\"%s\"}}",
				    param(request, "base64")) +
		    1;
	while (sent < reply_len) {
		ssize_t n = send(fd, reply + sent, reply_len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		prig_turn(&desk.rig, 0);
	}
	CHECK_SOON(&desk.rig, call.cnt == 1);
	CHECK_EQ(call.status, SERVICE_OK);
	CHECK_EQ(call.len, len);
	CHECK_MEM(call.payload, payload, len);
	CHECK_EQ(memory_used(&desk), 0);
	json_decref(request);
	free(call.payload);
	free(payload);
	free(reply);
	close(fd);
	desk_fini(&desk);
}

static void test_replies_that_are_errors_or_none(void)
{
	static const struct {
		const char *reply;
		enum service_status want;
		const char *text; /* NULL: not looked at */
		unsigned failed_cnt;
	} rows[] = {
		{"{}", SERVICE_OK, "", 0},
		{"{\"parameters\":{}}", SERVICE_OK, "", 0},
		{"{\"parameters\":{\"json\":null,\"base64\":null}}", SERVICE_OK, "", 0},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":"
		 "{\"status\":2,\"text\":\"no\\nsuch thing\"}}",
		 SERVICE_NOT_FOUND, "no?such thing", 0},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":"
		 "{\"status\":4,\"text\":\"zu gro\u00df\"}}",
		 SERVICE_INVALID_PAYLOAD, "zu gro\u00df", 0},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":8}}",
		 SERVICE_FORBIDDEN, NULL, 0},
		{"{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{}}",
		 SERVICE_METHOD_NOT_FOUND, NULL, 0},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":"
		 "{\"status\":1,\"text\":\"/etc/secret\"}}",
		 SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":0}}",
		 SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":11}}",
		 SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"error\":\"net.weft.Service.Failed\"}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":8,\"text\":1}}",
		 SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"error\":\"net.weft.Service.Failed\",\"parameters\":{\"status\":\"8\"}}",
		 SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"parameters\":{\"a_field_of_later\":1}}", SERVICE_OK, "", 0},
		{"{\"error\":\"com.example.Oops\",\"parameters\":{}}", SERVICE_UNKNOWN_ERROR, NULL,
		 1},
		{"{\"error\":1}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"parameters\":{},\"continues\":true}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"parameters\":{\"json\":[1]}}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"parameters\":{\"json\":{},\"base64\":\"\"}}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"parameters\":{\"base64\":\"?\"}}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"{\"parameters\":{\"base64\":1}}", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"[]", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"rubbish", SERVICE_UNKNOWN_ERROR, NULL, 1},
		{"", SERVICE_UNKNOWN_ERROR, NULL, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prig_call call = {.cnt = 0};
		struct desk desk;
		json_t *request;
		int fd;

		desk_init(&desk);
		CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", "x", 1), 0);
		fd = desk_take(&desk, &request);
		desk_reply(&desk, fd, rows[i].reply);
		if (call.cnt != 1 || call.status != rows[i].want)
			printf("# %s\n", rows[i].reply);
		CHECK_EQ(call.cnt, 1);
		CHECK_EQ(call.status, rows[i].want);
		CHECK(!rows[i].text || strcmp(call.text, rows[i].text) == 0);
		CHECK(!strstr(call.text, "secret"));
		CHECK_EQ(desk.rig.event_cnts[PROVIDER_EVENT_FAILED], rows[i].failed_cnt);
		json_decref(request);
		free(call.payload);
		close(fd);
		desk_fini(&desk);
	}
}

static void test_a_reply_of_two_mebibytes_is_too_long(void)
{
	static char much[65536];
	struct prig_call call = {.cnt = 0};
	size_t said = 0;
	struct desk desk;
	json_t *request;
	int fd;

	memset(much, 'A', sizeof(much));
	desk_init(&desk);
	CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", "x", 1), 0);
	fd = desk_take(&desk, &request);
	while (said < 4u << 20 && call.cnt == 0) {
		ssize_t n = send(fd, much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL);

		said += n > 0 ? (size_t)n : 0;
		prig_turn(&desk.rig, 0);
	}
	CHECK_EQ(call.cnt, 1);
	CHECK_EQ(call.status, SERVICE_PAYLOAD_TOO_LARGE);
	CHECK_EQ(desk.rig.event_cnts[PROVIDER_EVENT_FAILED], 1);
	CHECK(program_is_left(fd));
	CHECK_EQ(memory_used(&desk), 0);
	json_decref(request);
	free(call.payload);
	close(fd);
	desk_fini(&desk);
}

static void test_a_reply_longer_than_the_offer_allows(void)
{
	struct provider_spec spec = desk_spec;

	spec.payload_len_max = 3;
	for (unsigned more = 0; more < 2; more++) {
		struct prig_call call = {.cnt = 0};
		struct desk desk;
		json_t *request;
		int fd;

		desk_init_with(&desk, spec);
		CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", "x", 1), 0);
		fd = desk_take(&desk, &request);
		desk_reply(&desk, fd,
			   more ? "{\"parameters\":{\"base64\":\"YWJjZA==\"}}"
				: "{\"parameters\":{\"base64\":\"YWJj\"}}");
		CHECK_EQ(call.status, more ? SERVICE_PAYLOAD_TOO_LARGE : SERVICE_OK);
		json_decref(request);
		free(call.payload);
		close(fd);
		desk_fini(&desk);
	}
}

static void test_a_program_that_is_late_or_leaves(void)
{
	struct prig_call late = {.cnt = 0}, left = {.cnt = 0};
	struct desk desk;
	json_t *request;
	int fd;

	desk_init(&desk);
	CHECK_EQ(prig_call(&desk.rig, &left, "desk", "Do", "x", 1), 0);
	fd = desk_take(&desk, &request);
	json_decref(request);
	close(fd);
	prig_run(&desk.rig);
	CHECK_EQ(left.status, SERVICE_UNKNOWN_ERROR);
	CHECK_EQ(desk.rig.event_cnts[PROVIDER_EVENT_FAILED], 1);
	CHECK_EQ(prig_call(&desk.rig, &late, "desk", "Do", "x", 1), 0);
	fd = desk_take(&desk, &request);
	prig_pass(&desk.rig, 31 * NS_PER_S);
	CHECK_EQ(late.cnt, 1);
	CHECK_EQ(late.status, SERVICE_TIMEOUT);
	CHECK(program_is_left(fd));
	/* Its reply after that is discarded. */
	CHECK(send(fd, "{}", 3, MSG_NOSIGNAL) < 0);
	CHECK_EQ(late.cnt, 1);
	CHECK_EQ(prig_view(&desk.rig).active_cnt, 0);
	json_decref(request);
	free(late.payload);
	free(left.payload);
	close(fd);
	desk_fini(&desk);
}

static void test_several_calls_are_under_way_and_one_more_waits(void)
{
	struct provider_spec spec = desk_spec;
	struct prig_call calls[4] = {{.cnt = 0}};
	struct provider_stats stats;
	json_t *requests[4];
	int fds[4];
	struct desk desk;

	spec.concurrency_max = 3;
	desk_init_with(&desk, spec);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(prig_call(&desk.rig, &calls[i], "desk", "Do", "x", 1), 0);
	for (unsigned i = 0; i < 3; i++)
		fds[i] = desk_take(&desk, &requests[i]);
	provider_stats(desk.rig.provider, &stats);
	CHECK_EQ(stats.active_cnt, 3);
	CHECK_EQ(stats.waiting_cnt, 1);
	desk_reply(&desk, fds[1], "{}");
	fds[3] = desk_take(&desk, &requests[3]);
	for (unsigned i = 0; i < 4; i++)
		if (i != 1)
			desk_reply(&desk, fds[i], "{}");
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(calls[i].cnt, 1);
		CHECK_EQ(calls[i].status, SERVICE_OK);
		free(calls[i].payload);
		json_decref(requests[i]);
		close(fds[i]);
	}
	provider_stats(desk.rig.provider, &stats);
	CHECK_EQ(stats.waiting_cnt, 0);
	desk_fini(&desk);
}

static void test_one_call_more_than_may_wait_learns_when_to_retry(void)
{
	static struct prig_call calls[34];
	struct provider_spec spec = desk_spec;
	struct provider_stats stats;
	unsigned refused_cnt = 0;
	struct desk desk;

	memset(calls, 0, sizeof(calls));
	spec.concurrency_max = 1;
	desk_init_with(&desk, spec);
	for (unsigned i = 0; i < 34; i++)
		CHECK_EQ(prig_call(&desk.rig, &calls[i], "desk", "Do", "x", 1), 0);
	prig_pass(&desk.rig, 100 * NS_PER_MS);
	/* One is under way, and 32 wait. */
	for (unsigned i = 0; i < 34; i++) {
		refused_cnt += calls[i].cnt;
		CHECK(!calls[i].cnt || (calls[i].status == SERVICE_UNAVAILABLE &&
					calls[i].wait_ns >= 500 * NS_PER_MS &&
					calls[i].wait_ns <= 1500 * NS_PER_MS));
	}
	CHECK_EQ(refused_cnt, 1);
	provider_stats(desk.rig.provider, &stats);
	CHECK_EQ(stats.waiting_cnt, 32);
	prig_pass(&desk.rig, 120 * NS_PER_S);
	for (unsigned i = 0; i < 34; i++) {
		CHECK_EQ(calls[i].cnt, 1);
		free(calls[i].payload);
	}
	desk_fini(&desk);
}

static void test_a_waiting_call_ends_with_its_deadline(void)
{
	struct provider_spec spec = desk_spec;
	struct prig_call calls[3] = {{.cnt = 0}};
	struct provider_stats stats;
	json_t *request;
	struct desk desk;
	int fd;

	spec.concurrency_max = 1;
	desk_init_with(&desk, spec);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(prig_call(&desk.rig, &calls[i], "desk", "Do", "x", 1), 0);
	fd = desk_take(&desk, &request);
	prig_pass(&desk.rig, 120 * NS_PER_S);
	CHECK_EQ(calls[0].cnt + calls[1].cnt, 2);
	CHECK_EQ(calls[1].status, SERVICE_TIMEOUT);
	provider_stats(desk.rig.provider, &stats);
	CHECK_EQ(stats.waiting_cnt, 0);
	json_decref(request);
	close(fd);
	for (unsigned i = 0; i < 2; i++)
		free(calls[i].payload);
	desk_fini(&desk);
}

static void test_a_program_that_is_not_there(void)
{
	struct prig_call call = {.cnt = 0};
	struct prig_stream stream = {.body = NULL};
	struct desk desk;

	desk_init(&desk);
	close(desk.program.listener);
	CHECK_EQ(prig_call(&desk.rig, &call, "desk", "Do", "x", 1), 0);
	prig_run(&desk.rig);
	CHECK_EQ(call.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_DOWN);
	CHECK_EQ(prig_open(&desk.rig, &stream, "desk", "Do", NULL, 0), 0);
	prig_run(&desk.rig);
	CHECK_EQ(stream.status, SERVICE_UNAVAILABLE);
	program_listen_unix(&desk.program, &desk.rig);
	prig_pass(&desk.rig, NS_PER_S);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_READY);
	free(call.payload);
	desk_fini(&desk);
}

/* The connections of checks, and of calls that are over. */
static void desk_drain(struct desk *desk)
{
	int fd;

	while ((fd = accept4(desk->program.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
}

/* A program that is stopped: the kernel accepts connections for it, and nothing answers. */
static void desk_leave_unanswered(struct desk *desk, struct prig_call *call, uint64_t timeout_ns)
{
	struct service_target target = {.name = "desk", .method = "Do"};
	unsigned cnt = call->cnt;

	desk_drain(desk);
	CHECK_EQ(service_call_start(desk->rig.service,
				    &(struct service_request){.target = target,
							      .payload = "x",
							      .len = 1,
							      .timeout_ns = timeout_ns,
							      .done = call_done,
							      .arg = call},
				    prig_now(&desk->rig), &call->ask),
		 0);
	prig_run(&desk->rig);
	prig_pass(&desk->rig, timeout_ns ? timeout_ns + NS_PER_S : 31 * NS_PER_S);
	CHECK_EQ(call->cnt, cnt + 1);
	CHECK_STR(call->text, "the service did not answer in time");
	CHECK_EQ(call->status, SERVICE_TIMEOUT);
}

static void test_a_stopped_program_is_set_down_for_pauses_that_double(void)
{
	struct prig_call call = {.cnt = 0};
	struct desk desk;

	desk_init(&desk);
	desk_leave_unanswered(&desk, &call, 0);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_READY);
	desk_leave_unanswered(&desk, &call, 0);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_DOWN);
	CHECK_STR(prig_view(&desk.rig).why, "it does not answer its calls");
	prig_pass(&desk.rig, 3 * NS_PER_S);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_DOWN);
	prig_pass(&desk.rig, 3 * NS_PER_S);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_READY);
	desk_leave_unanswered(&desk, &call, 0);
	desk_leave_unanswered(&desk, &call, 0);
	prig_pass(&desk.rig, 8 * NS_PER_S);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_DOWN);
	prig_pass(&desk.rig, 3 * NS_PER_S);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_READY);
	free(call.payload);
	desk_fini(&desk);
}

static void test_shorter_deadlines_of_callers_set_no_program_down(void)
{
	struct prig_call call = {.cnt = 0};
	struct desk desk;

	desk_init(&desk);
	for (unsigned i = 0; i < 4; i++)
		desk_leave_unanswered(&desk, &call, NS_PER_S);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_READY);
	free(call.payload);
	desk_fini(&desk);
}

static void test_an_answered_call_ends_the_pause(void)
{
	struct prig_call calls[3] = {{.cnt = 0}};
	json_t *request;
	struct desk desk;
	int fds[3];

	desk_init(&desk);
	for (unsigned i = 0; i < 3; i++) {
		desk_drain(&desk);
		CHECK_EQ(prig_call(&desk.rig, &calls[i], "desk", "Do", "x", 1), 0);
		fds[i] = desk_take(&desk, &request);
		json_decref(request);
		prig_pass(&desk.rig, (i < 2 ? 10 : 21) * NS_PER_S);
	}
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_DOWN);
	desk_reply(&desk, fds[2], "{\"parameters\":{}}");
	CHECK_EQ(calls[2].status, SERVICE_OK);
	CHECK_EQ(prig_view(&desk.rig).state, PROVIDER_READY);
	for (unsigned i = 0; i < 3; i++) {
		free(calls[i].payload);
		close(fds[i]);
	}
	desk_fini(&desk);
}

/* Streams. */

int main(void)
{
	RUN(test_an_object_is_asked_as_json_and_may_be_answered_so);
	RUN(test_other_payloads_travel_in_base64);
	RUN(test_a_payload_of_a_mebibyte_goes_both_ways);
	RUN(test_replies_that_are_errors_or_none);
	RUN(test_a_reply_of_two_mebibytes_is_too_long);
	RUN(test_a_reply_longer_than_the_offer_allows);
	RUN(test_a_program_that_is_late_or_leaves);
	RUN(test_several_calls_are_under_way_and_one_more_waits);
	RUN(test_one_call_more_than_may_wait_learns_when_to_retry);
	RUN(test_a_waiting_call_ends_with_its_deadline);
	RUN(test_a_program_that_is_not_there);
	RUN(test_a_stopped_program_is_set_down_for_pauses_that_double);
	RUN(test_shorter_deadlines_of_callers_set_no_program_down);
	RUN(test_an_answered_call_ends_the_pause);
	return check_done();
}
