/* SPDX-License-Identifier: Apache-2.0 */
#include "web_mesh_rig.h"

static void test_what_is_not_allowed_is_refused_by_name(void)
{
	static const struct {
		const char *request, *status, *text;
	} rows[] = {
		{"GET /mesh/http/other/x" HEAD "\r\n", "403", "service_not_allowed"},
		{"GET /mesh/http/call/x" HEAD "\r\n", "403", "service_not_allowed"},
		{"GET /mesh/http/callsx/x" HEAD "\r\n", "403", "service_not_allowed"},
		{"GET /mesh/http/only/Bad" HEAD "\r\n", "403", "service_not_allowed"},
		{"GET /mesh/http/only/Good" HEAD "\r\n", "503", "service_unavailable"},
		{"GET /mesh/http/" HEAD "\r\n", "404", "not_found"},
		{"GET /mesh/http//x" HEAD "\r\n", "404", "not_found"},
		{"GET /mesh/http/calls" HEAD "\r\n", "404", "method_not_found"},
		{"GET /mesh/http/calls/"
		 "0123456789012345678901234567890123456789012345678901234567890123x" HEAD "\r\n",
		 "404", "method_not_found"},
		{"GET /mesh/http/nobody/x" HEAD "\r\n", "503", "service_unavailable"},
		{"PATCH /mesh/http/calls/x" HEAD "\r\n", "405", "method_not_allowed"},
		{"PUT /mesh/http/calls/x" HEAD "Content-Length: 0\r\n\r\n", "405",
		 "Allow: GET, HEAD, POST, OPTIONS\r\n"},
		{"DELETE /mesh/http/calls/x" HEAD "\r\n", "405", "method_not_allowed"},
		{"GET /mesh/http/ca%6Cls%2Fx" HEAD "\r\n", "403", "service_not_allowed"},
		{"GET /mesh/http/oth%65r@^1/x" HEAD "\r\n", "403", "service_not_allowed"},
		{"GET /mesh/http/calls@/x" HEAD "\r\n", "404", "not_found"},
		{"GET /mesh/http/@^1/x" HEAD "\r\n", "404", "not_found"},
		{"GET /mesh/http/calls%/x" HEAD "\r\n", "404", "not_found"},
		{"GET /mesh/http/calls%00/x" HEAD "\r\n", "404", "not_found"},
		{"GET /mesh/http/calls@^1@^2/x" HEAD "\r\n", "404", "not_found"},
		{"GET /mesh/http/calls@^9/x" HEAD "\r\n", "503", "service_unavailable"},
	};

	start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		printf("# %s\n", rows[i].request);
		CHECK(says(ask(rows[i].request), rows[i].status, rows[i].text));
		if (rows[i].status[0] == '5')
			CHECK(strstr(rig.out, "Retry-After: 1\r\n"));
	}
	rig.is_off = true;
	CHECK(says(ask("GET /mesh/http/calls/x" HEAD "\r\n"), "503", "service_unavailable"));
	stop();
}

/* The declared one is Get; a caller that acts as the node may call all. */
static void test_a_get_without_the_token_only_reads(void)
{
	static const struct {
		const char *request, *status, *text;
	} rows[] = {
		{"GET /mesh/http/reads/Get HTTP/1.1\r\nHost: h\r\n\r\n", "200", "no-store"},
		{"HEAD /mesh/http/reads/Get HTTP/1.1\r\nHost: h\r\n\r\n", "200", ""},
		{"GET /mesh/http/reads/Set HTTP/1.1\r\nHost: h\r\n\r\n", "401", "token_required"},
		{"HEAD /mesh/http/reads/Set HTTP/1.1\r\nHost: h\r\n\r\n", "401", ""},
		{"GET /mesh/http/calls/Do HTTP/1.1\r\nHost: h\r\n\r\n", "401", "token_required"},
		{"GET /mesh/http/reads/get HTTP/1.1\r\nHost: h\r\n\r\n", "401", "token_required"},
		{"GET /mesh/http/reads/Get HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\n\r\n",
		 "401", "token_required"},
		{"GET /mesh/http/reads/Get HTTP/1.1\r\nHost: h\r\nX-Weft-Token: x\r\n\r\n", "401",
		 "token_required"},
		{"GET /mesh/http/reads/Set" HEAD "\r\n", "200", "X-Mesh-Provider: "},
	};
	static const char *const names[] = {"Get"};
	struct service_offering offering = {.name = "reads",
					    .version = "1.0.0",
					    .read_only = names,
					    .read_only_cnt = 1,
					    .handler = &srig_handler};
	static struct srig_provider reads;

	start();
	memset(&reads, 0, sizeof(reads));
	CHECK(srig_offer_with(&rig.srig, &reads, SRIG_A, &offering));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		printf("# %s\n", rows[i].request);
		CHECK(says(ask(rows[i].request), rows[i].status, rows[i].text));
	}
	stop();
}

/* Of two providers of a name one is HTTP, and the other, whose reading is not safe, is reached. */
static void test_a_get_without_the_token_opens_no_stream_that_is_not_declared_safe(void)
{
	static const struct service_metadata http = {"kind", "http"};
	struct service_offering offering = {.name = "nobody",
					    .version = "1.0.0",
					    .metadata = &http,
					    .metadata_cnt = 1,
					    .handler = &stream_handler};
	static struct srig_provider unsafe;

	start();
	memset(&unsafe, 0, sizeof(unsafe));
	unsafe.stream = &rig.stream;
	CHECK(srig_offer_with(&rig.srig, &unsafe, SRIG_A, &offering));
	CHECK(says(ask("GET /mesh/http/nobody/x HTTP/1.1\r\nHost: h\r\n\r\n"), "401",
		   "token_required"));
	CHECK_EQ(rig.head_len, 0);
	ask("GET /mesh/http/nobody/x" HEAD "\r\n");
	CHECK(rig.head_len > 0);
	stop();
}

static void test_a_call_is_mapped_both_ways(void)
{
	static const struct {
		const char *request, *body;
	} rows[] = {
		{"GET /mesh/http/calls/Do?a=b&c=d%20e+f&g" HEAD "\r\n",
		 "\r\n\r\n{\"a\":\"b\",\"c\":\"d e f\",\"g\":\"\"}"},
		{"POST /mesh/http/calls/Do?mbid=1" HEAD "Content-Length: 0\r\n\r\n",
		 "\r\n\r\n{\"mbid\":\"1\"}"},
		{"POST /mesh/http/calls/Do" HEAD
		 "Transfer-Encoding: chunked\r\n\r\n3\r\n\"ab\r\n2\r\nc\"\r\n0\r\n\r\n",
		 "\r\n\r\n\"abc\""},
		{"POST /mesh/http/calls/Do" HEAD "Content-Length: 4\r\n\r\n\x01\x02\xff!",
		 "{\"payload\":\"AQL/IQ==\",\"encoding\":\"base64\"}"},
		{"GET /mesh/http/calls/Do" HEAD "\r\n", "Content-Length: 0\r\n"},
	};

	start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK(says(ask(rows[i].request), "200", rows[i].body));
		CHECK_STR(rig.calls.method, "Do");
		CHECK(rig.calls.caller.is_local);
	}
	CHECK(strlen(ask("HEAD /mesh/http/calls/Do?a=b" HEAD "\r\n")) > 0);
	CHECK_STR(rig.out + strlen(rig.out) - 4, "\r\n\r\n");
	CHECK(says(ask("GET /mesh/http/calls/Do?a=%ff" HEAD "\r\n"), "400", "invalid_query"));
	CHECK(says(ask("GET /mesh/http/calls/Do?a=%2" HEAD "\r\n"), "400", "invalid_query"));
	stop();
}

/*
 * Without @NODE the room is this node's; with another node's it is asked for there, and not here.
 */
static void test_a_rooms_node_is_asked_for_its_room(void)
{
	static struct srig_provider rooms;
	static const uint8_t other[MESH_KEY_LEN] = {7};
	char own_text[ZBASE32_KEY_TEXT_CAP], other_text[ZBASE32_KEY_TEXT_CAP], text[512];
	const struct {
		const char *service, *query, *node, *status, *body;
		unsigned call_cnt;
	} rows[] = {
		{"pod-chat", "pod=77", "", "200", "{\"pod\":\"77\"}", 1},
		{"pod-chat", "limit=2&pod=77@", own_text, "200", "{\"limit\":\"2\",\"pod\":\"77\"}",
		 2},
		{"pod-chat", "pod=77%40", own_text, "200", "{\"pod\":\"77\"}", 3},
		{"pod-chat", "pod=77@", other_text, "503", "", 3},
		{"pod-chat", "pod=77@", "node", "400", "ID@NODE", 3},
		{"pod-chat", "pod=77@", "", "400", "ID@NODE", 3},
		{"calls", "pod=77@", "node", "200", "{\"pod\":\"77@node\"}", 3},
	};

	start();
	rooms = (struct srig_provider){.mode = SRIG_ECHO};
	CHECK(srig_offer(&rig.srig, &rooms, SRIG_A, "pod-chat"));
	zbase32_write(rig.srig.nodes[SRIG_A].key, MESH_KEY_LEN, own_text);
	zbase32_write(other, sizeof(other), other_text);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "GET /mesh/http/%s/Do?%s%s" HEAD "\r\n",
			 rows[i].service, rows[i].query, rows[i].node);
		CHECK(says(ask(text), rows[i].status, rows[i].body));
		CHECK_EQ(rooms.call_cnt, rows[i].call_cnt);
	}
	snprintf(text, sizeof(text), "GET /mesh/http/pod-chat@%s/Do?pod=77@%s" HEAD "\r\n",
		 other_text, own_text);
	CHECK(says(ask(text), "400", "the same as the node"));
	stop();
}

static void test_a_call_belongs_to_the_trace_that_the_request_names(void)
{
	start();
	CHECK(says(
		ask("GET /mesh/http/calls/Do" HEAD
		    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n"),
		"200", ""));
	CHECK(rig.calls.caller.has_trace);
	CHECK_EQ(rig.calls.caller.trace.bytes[0], 0x4b);
	CHECK(says(ask("GET /mesh/http/calls/Do" HEAD "traceparent: 00-x\r\n\r\n"), "200", ""));
	CHECK(!rig.calls.caller.has_trace);
	stop();
}

/* A36, every row. */
static void test_a36_each_status_has_its_own(void)
{
	static const struct {
		enum service_status status;
		const char *http, *name;
	} rows[] = {
		{SERVICE_OK, "200", ""},
		{SERVICE_UNKNOWN_ERROR, "500", "unknown_error"},
		{SERVICE_NOT_FOUND, "404", "service_not_found"},
		{SERVICE_METHOD_NOT_FOUND, "404", "method_not_found"},
		{SERVICE_INVALID_PAYLOAD, "400", "invalid_payload"},
		{SERVICE_TIMEOUT, "504", "timeout"},
		{SERVICE_RATE_LIMITED, "429", "rate_limited"},
		{SERVICE_UNAUTHORIZED, "502", "unauthorized"},
		{SERVICE_FORBIDDEN, "502", "forbidden"},
		{SERVICE_PAYLOAD_TOO_LARGE, "413", "payload_too_large"},
		{SERVICE_UNAVAILABLE, "503", "service_unavailable"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start();
		rig.calls.mode = SRIG_STATUS;
		rig.calls.status = rows[i].status;
		CHECK(says(ask("GET /mesh/http/calls/Do" HEAD "\r\n"), rows[i].http, rows[i].name));
		CHECK_EQ(strstr(rig.out, "Retry-After: ") != NULL,
			 rows[i].status == SERVICE_RATE_LIMITED ||
				 rows[i].status == SERVICE_UNAVAILABLE);
		CHECK(!strstr(rig.out, SRIG_SECRET));
		stop();
	}
}

static void test_a36_a_client_that_left_is_counted_and_the_call_taken_back(void)
{
	start();
	rig.calls.mode = SRIG_KEEP;
	(void)ask("GET /mesh/http/calls/Do" HEAD "\r\n");
	CHECK_EQ(rig.calls.kept_cnt, 1);
	gateway_conn_eof(&rig.conn);
	CHECK(gateway_conn_is_over(&rig.conn));
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.shared.stats.gone_cnt, 1);
	srig_run(&rig.srig, 10 * NS_PER_MS);
	CHECK_EQ(rig.calls.cancelled_cnt, 1);
	stop();
}

static void test_a_call_that_takes_too_long_is_reported(void)
{
	start();
	rig.calls.mode = SRIG_KEEP;
	CHECK_STR(ask("GET /mesh/http/calls/Do" HEAD "\r\n"), "");
	run(5 * NS_PER_S);
	CHECK(says(rig.out, "504", "timeout"));
	stop();
}

static void test_a_calls_body_is_exceeded_by_one(void)
{
	static uint8_t body[(1 << 20) + 1];
	char head[256];

	memset(body, ' ', sizeof(body));
	memcpy(body, "{}", 2);
	for (unsigned over = 0; over <= 1; over++) {
		start();
		snprintf(head, sizeof(head),
			 "POST /mesh/http/calls/Do" HEAD "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
			 (1u << 20) + over);
		say(head);
		for (size_t said = 0; said < sizeof(body) - 1 + over;) {
			size_t step = say_bytes(body + said, sizeof(body) - 1 + over - said);

			said += step;
			run(NS_PER_MS);
			if (!step || rig.conn.state == CONN_DRAINING)
				break;
		}
		say("\r\n0\r\n\r\n");
		run(20 * NS_PER_MS);
		CHECK(says(rig.out, over ? "413" : "200", ""));
		CHECK_EQ(rig.calls.len, over ? 0 : 1 << 20);
		stop();
	}
}

static void test_the_host_says_which_service_is_meant(void)
{
	struct service_http_request request;

	start();
	strcpy(rig.guard.site_suffix, ".localhost");
	(void)ask("GET /a?b HTTP/1.1\r\nHost: web.localhost\r\nCookie: weft-1=x; a=b\r\n\r\n");
	CHECK_EQ(service_http_request_parse(rig.head, rig.head_len, &request), 0);
	CHECK_EQ(request.target_len, strlen("/a?b"));
	CHECK_EQ(service_http_header_lookup(&request.headers, "cookie")->value_len, 3);
	answer_head(200, 0);
	service_channel_finish(rig.stream.channel);
	run(20 * NS_PER_MS);
	CHECK(strstr(rig.out, "Set-Cookie: s=1; Path=/\r\n"));
	CHECK(!strstr(rig.out, "weft-"));
	stop();
	start();
	strcpy(rig.guard.site_suffix, ".localhost");
	CHECK(says(
		ask("GET /Do HTTP/1.1\r\nHost: calls.localhost\r\nX-Weft-Token: " TOKEN "\r\n\r\n"),
		"401", "token_required"));
	CHECK(says(ask("POST /Do HTTP/1.1\r\nHost: calls.localhost\r\nX-Weft-Token: " TOKEN
		       "\r\nOrigin: http://calls.localhost\r\nContent-Length: 0\r\n\r\n"),
		   "200", "X-Mesh-Provider: "));
	CHECK(says(ask("GET /x HTTP/1.1\r\nHost: other.localhost\r\n\r\n"), "403",
		   "service_not_allowed"));
	CHECK(says(ask("GET /x HTTP/1.1\r\nHost: calls.node.localhost\r\n\r\n"), "404",
		   "not_found"));
	stop();
}

static void test_what_may_be_called_is_listed(void)
{
	start();
	CHECK(says(
		ask("GET /mesh/http/services HTTP/1.1\r\nHost: h\r\n\r\n"), "200",
		"{\"name\":\"web\",\"known_providers\":0,\"kind\":\"http\",\"version\":\"1.2.0\","
		"\"is_local\":true}"));
	CHECK(strstr(rig.out, "{\"name\":\"only\",\"known_providers\":0,\"method\":\"Good\"}"));
	stop();
}

int main(void)
{
	RUN(test_what_is_not_allowed_is_refused_by_name);
	RUN(test_a_get_without_the_token_only_reads);
	RUN(test_a_get_without_the_token_opens_no_stream_that_is_not_declared_safe);
	RUN(test_the_host_says_which_service_is_meant);
	RUN(test_a_call_is_mapped_both_ways);
	RUN(test_a_rooms_node_is_asked_for_its_room);
	RUN(test_a_call_belongs_to_the_trace_that_the_request_names);
	RUN(test_a36_each_status_has_its_own);
	RUN(test_a36_a_client_that_left_is_counted_and_the_call_taken_back);
	RUN(test_a_call_that_takes_too_long_is_reported);
	RUN(test_a_calls_body_is_exceeded_by_one);
	RUN(test_what_may_be_called_is_listed);
	return check_done();
}
