/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http_mesh/web_mesh.h"

#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "gateway/http_conn_state.h"
#include "support/check.h"
#include "support/service_rig.h"

/*
 * A gateway's connection without sockets in front of a node's fabric without
 * a mesh: services are this node's own.
 */
#define TOKEN "0123456789abcdefghijklmnopqrstuv"
#define HEAD  " HTTP/1.1\r\nHost: h\r\nX-Weft-Token: " TOKEN "\r\n"

static struct {
	struct srig srig;
	struct srig_provider calls, web;
	struct srig_stream stream; /* of what web or calls took */
	struct web_mesh *mesh;
	struct gateway_route routes[WEB_MESH_ROUTE_CNT + 1];
	struct guard guard;
	struct conn_shared shared;
	struct gateway_conn conn;
	struct timer_wheel timers;
	char out[2 * 1024 * 1024];
	size_t out_len;
	bool is_off;
	uint8_t head[SERVICE_HTTP_HEAD_LEN_MAX]; /* that opened the last stream */
	size_t head_len;
} rig;

static uint64_t wall_s(void)
{
	return 1700000000;
}

static bool admits(struct conn_shared *shared, const struct gateway_conn *conn, uint64_t now_ns)
{
	(void)shared;
	(void)conn;
	(void)now_ns;
	return true;
}

static struct service *service_of(void *ctx)
{
	(void)ctx;
	return rig.is_off ? NULL : rig.srig.nodes[SRIG_A].service;
}

static struct service_directory *directory_of(void *ctx)
{
	(void)ctx;
	return NULL;
}

static void remember_stream(void *ctx, struct service_channel *channel,
			    const struct service_input *input, uint64_t now_ns)
{
	memcpy(rig.head, input->data, input->len);
	rig.head_len = input->len;
	srig_handler.stream(ctx, channel, input, now_ns);
}

static const struct service_handler stream_handler = {.stream = remember_stream};

static void conn_begin(void)
{
	struct addr remote = {.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 1};

	memset(&rig.conn, 0, sizeof(rig.conn));
	gateway_conn_init(&rig.conn, &rig.shared, &remote, rig.srig.net.now_ns);
	rig.out_len = 0;
}

static void start(void)
{
	static const struct service_metadata http = {"kind", "http"};
	static const char *const safe[] = {"GET", "HEAD"};
	struct service_offering offering = {.name = "web",
					    .version = "1.2.0",
					    .read_only = safe,
					    .read_only_cnt = 2,
					    .metadata = &http,
					    .metadata_cnt = 1,
					    .handler = &stream_handler};
	struct web_mesh_params params = {.services =
						 "calls, web, only/Good, nobody, reads, pod-chat",
					 .run_cap = 2,
					 .memory_cap = 16 << 20,
					 .body_len_max = 1 << 20,
					 .timeout_ns = 5 * NS_PER_S,
					 .timers = &rig.timers,
					 .service = service_of,
					 .directory = directory_of};

	memset(&rig, 0, sizeof(rig));
	srig_init(&rig.srig, 1, NULL);
	timer_wheel_init(&rig.timers, rig.srig.net.now_ns);
	CHECK(srig_offer(&rig.srig, &rig.calls, SRIG_A, "calls"));
	CHECK(srig_offer_with(&rig.srig, &rig.web, SRIG_A, &offering));
	rig.calls.stream = rig.web.stream = &rig.stream;
	CHECK_EQ(api_http_mesh_new(&params, &rig.mesh), 0);
	api_http_mesh_routes(rig.mesh, rig.routes);
	rig.guard = (struct guard){.hosts = {.names = {"h"}, .cnt = 1}, .token = TOKEN};
	rig.shared = (struct conn_shared){.routes = rig.routes,
					  .guard = &rig.guard,
					  .wall_s = wall_s,
					  .admits = admits,
					  .stats.socket_cap = 1};
	CHECK_EQ(heap_new(16 << 20, &rig.shared.heap), 0);
	conn_begin();
}

static void stop(void)
{
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.mesh->runs.used_cnt, 0);
	api_http_mesh_free(rig.mesh);
	heap_free(rig.shared.heap);
	srig_fini(&rig.srig);
}

static void drain(void)
{
	const char *data;
	size_t len;

	while ((len = gateway_conn_output(&rig.conn, &data)) != 0) {
		memcpy(rig.out + rig.out_len, data, len);
		rig.out_len += len;
		rig.out[rig.out_len] = '\0';
		gateway_conn_sent(&rig.conn, len, rig.srig.net.now_ns);
	}
}

/* run lets time pass, a millisecond at a time; what comes is read unless is_slow. */
static void run_slowly(uint64_t len_ns, bool is_slow)
{
	for (uint64_t end_ns = rig.srig.net.now_ns + len_ns; rig.srig.net.now_ns < end_ns;) {
		srig_run(&rig.srig, NS_PER_MS);
		timer_wheel_expire(&rig.timers, rig.srig.net.now_ns);
		gateway_conn_turn(&rig.conn, rig.srig.net.now_ns);
		if (!is_slow)
			drain();
	}
}

static void run(uint64_t len_ns)
{
	run_slowly(len_ns, false);
}

static size_t say_bytes(const void *data, size_t len)
{
	size_t said = 0;

	while (said < len) {
		char *room;
		size_t cap = gateway_conn_reserve(&rig.conn, &room);

		if (!cap)
			break;
		cap = cap < len - said ? cap : len - said;
		memcpy(room, (const char *)data + said, cap);
		gateway_conn_commit(&rig.conn, cap, rig.srig.net.now_ns);
		said += cap;
	}
	return said;
}

static void say(const char *text)
{
	(void)say_bytes(text, strlen(text));
}

/* ask says text, waits, and gives what was answered. */
static const char *ask(const char *text)
{
	rig.out_len = 0;
	rig.out[0] = '\0';
	say(text);
	run(20 * NS_PER_MS);
	return rig.out;
}

static bool says(const char *answer, const char *status, const char *text)
{
	if (strncmp(answer + 9, status, 3) == 0 && strstr(answer, text))
		return true;
	printf("# %.1200s\n", answer);
	return false;
}

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

static void answer_head(unsigned status, uint64_t body_len)
{
	struct service_http_answer answer = {.status = status, .body_len = body_len};
	uint8_t head[1024];
	struct writer w = writer_of(head, sizeof(head));
	struct service_piece piece = {.data = head, .is_last = true};

	answer.headers.cnt = 4;
	answer.headers.list[0] = (struct service_http_header){"X-Own", "yes", 5, 3};
	answer.headers.list[1] = (struct service_http_header){"X-Frame-Options", "ALLOW", 15, 5};
	answer.headers.list[2] = (struct service_http_header){
		"Set-Cookie", "s=1;  domain =localhost; Path=/", 10, 31};
	answer.headers.list[3] =
		(struct service_http_header){"Set-Cookie", " weft-5030=planted", 10, 18};
	CHECK_EQ(service_http_answer_write(&w, &answer), 0);
	piece.len = writer_len(&w);
	CHECK_EQ(service_channel_send(rig.stream.channel, &piece, NULL, NULL), 0);
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

static int answer_more(const void *data, size_t len)
{
	struct service_piece piece = {.data = data, .len = len, .is_last = true};

	return service_channel_send(rig.stream.channel, &piece, NULL, NULL);
}

static void test_http_goes_through_with_head_and_body(void)
{
	struct service_http_request request;

	start();
	CHECK_STR(ask("POST /mesh/http/web/a/b?c=d" HEAD
		      "X-Test: v\r\nContent-Length: 4\r\n\r\nbody"),
		  "");
	CHECK_STR(rig.web.method, SERVICE_HTTP_METHOD);
	CHECK_EQ(service_http_request_parse(rig.head, rig.head_len, &request), 0);
	CHECK_EQ(request.target_len, strlen("/a/b?c=d"));
	CHECK_MEM(request.target, "/a/b?c=d", request.target_len);
	CHECK_EQ(request.body_len, 4);
	CHECK(service_http_header_lookup(&request.headers, "x-test"));
	CHECK(!service_http_header_lookup(&request.headers, "x-weft-token"));
	CHECK_EQ(rig.stream.len, 4);
	CHECK_EQ(rig.stream.finished_cnt, 1);
	answer_head(201, 5);
	CHECK_EQ(answer_more("hel", 3), 0);
	CHECK_EQ(answer_more("lo", 2), 0);
	service_channel_finish(rig.stream.channel);
	run(20 * NS_PER_MS);
	CHECK(says(rig.out, "201", "\r\n\r\nhello"));
	CHECK(strstr(rig.out, "x-own: yes\r\n") || strstr(rig.out, "X-Own: yes\r\n"));
	CHECK(strstr(rig.out, "X-Mesh-Provider: "));
	CHECK(strstr(rig.out, "Content-Length: 5\r\n"));
	CHECK(!strstr(rig.out, "ALLOW"));
	CHECK_EQ(rig.stream.ended_cnt, 1);
	CHECK_EQ(rig.stream.status, SERVICE_OK);
	CHECK_EQ(rig.mesh->runs.used_cnt, 0);
	/* The connection stays. */
	(void)ask("GET /mesh/http/web" HEAD "\r\n");
	CHECK_EQ(service_http_request_parse(rig.head, rig.head_len, &request), 0);
	CHECK_EQ(request.target_len, 1);
	stop();
}

static void test_the_token_as_a_bearer_stays_here_and_another_goes_on(void)
{
	struct service_http_request request;

	start();
	(void)ask("GET /mesh/http/web/ HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " TOKEN
		  "\r\n\r\n");
	CHECK_EQ(service_http_request_parse(rig.head, rig.head_len, &request), 0);
	CHECK(!service_http_header_lookup(&request.headers, "authorization"));
	stop();
	start();
	(void)ask("GET /mesh/http/web/ HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "
		  "for-the-service\r\n\r\n");
	CHECK_EQ(service_http_request_parse(rig.head, rig.head_len, &request), 0);
	CHECK(service_http_header_lookup(&request.headers, "authorization"));
	stop();
}

static void test_an_answer_without_a_length_comes_in_chunks_and_ends(void)
{
	start();
	(void)ask("GET /mesh/http/web/" HEAD "\r\n");
	answer_head(200, SERVICE_HTTP_BODY_LEN_UNTOLD);
	CHECK_EQ(answer_more("part", 4), 0);
	run(20 * NS_PER_MS);
	CHECK(says(rig.out, "200", "\r\n\r\n4\r\npart\r\n"));
	service_channel_finish(rig.stream.channel);
	run(20 * NS_PER_MS);
	CHECK(says(rig.out, "200", "0\r\n\r\n"));
	CHECK(gateway_conn_is_idle(&rig.conn));
	stop();
}

static void test_a_provider_that_fails_is_reported_or_cut_off(void)
{
	start();
	rig.web.status = SERVICE_FORBIDDEN;
	CHECK(says(ask("GET /mesh/http/web/" HEAD "\r\n"), "502", "forbidden"));
	stop();

	start();
	(void)ask("GET /mesh/http/web/" HEAD "\r\n");
	CHECK_EQ(answer_more("no head", 7), 0);
	run(20 * NS_PER_MS);
	CHECK(says(rig.out, "502", "bad_gateway"));
	stop();

	start();
	(void)ask("GET /mesh/http/web/" HEAD "\r\n");
	service_channel_finish(rig.stream.channel);
	run(20 * NS_PER_MS);
	CHECK(says(rig.out, "502", "bad_gateway"));
	stop();

	start();
	(void)ask("GET /mesh/http/web/" HEAD "\r\n");
	answer_head(200, SERVICE_HTTP_BODY_LEN_UNTOLD);
	run(20 * NS_PER_MS);
	service_channel_end(rig.stream.channel, SERVICE_UNKNOWN_ERROR, "it crashed");
	run(20 * NS_PER_MS);
	CHECK(gateway_conn_is_over(&rig.conn)); /* without the last chunk */
	CHECK(!strstr(rig.out, "0\r\n\r\n"));
	stop();

	start();
	(void)ask("GET /mesh/http/web/" HEAD "\r\n");
	run(5 * NS_PER_S);
	CHECK(says(rig.out, "504", "timeout"));
	CHECK_EQ(rig.stream.ended_cnt, 1);
	stop();
}

static void test_a_client_that_left_ends_the_stream(void)
{
	start();
	(void)ask("GET /mesh/http/web/" HEAD "\r\n");
	answer_head(200, SERVICE_HTTP_BODY_LEN_UNTOLD);
	run(20 * NS_PER_MS);
	gateway_conn_eof(&rig.conn);
	gateway_conn_fini(&rig.conn);
	srig_run(&rig.srig, 20 * NS_PER_MS);
	CHECK_EQ(rig.stream.ended_cnt, 1);
	CHECK_EQ(rig.stream.status, SERVICE_UNAVAILABLE);
	stop();
}

/* What is not read is not consumed, so the provider is held back. */
static void test_a_slow_client_holds_the_provider_back(void)
{
	static char block[16000];
	unsigned sent = 0;

	start();
	(void)ask("GET /mesh/http/web/" HEAD "\r\n");
	answer_head(200, SERVICE_HTTP_BODY_LEN_UNTOLD);
	run(20 * NS_PER_MS);
	for (unsigned i = 0; i < 1000; i++) {
		sent += answer_more(block, sizeof(block)) == 0;
		run_slowly(NS_PER_MS, true);
	}
	CHECK(sent < 60);
	CHECK(rig.conn.output.len < 512 * 1024);
	drain();
	run(20 * NS_PER_MS);
	CHECK_EQ(answer_more(block, sizeof(block)), 0);
	stop();
}

static void test_an_upload_is_held_back_by_the_provider(void)
{
	static char block[16000];
	size_t said = 0;

	start();
	rig.stream.is_holding = true;
	say("POST /mesh/http/web/" HEAD "Content-Length: 1000000\r\n\r\n");
	run(20 * NS_PER_MS);
	for (unsigned i = 0; i < 60; i++) {
		said += say_bytes(block, sizeof(block));
		run(NS_PER_MS);
	}
	CHECK(said < 800000);
	CHECK_EQ(rig.stream.finished_cnt, 0);
	stop();
}

#define UPGRADE                                                                                    \
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"               \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static void say_frame(uint8_t first, const char *text)
{
	struct websocket_head head = {.opcode = first & 15,
				      .is_final = first & 0x80,
				      .is_masked = true,
				      .len = strlen(text)};
	uint8_t bytes[256];
	size_t len = http_websocket_head_write(&head, bytes);

	memcpy(bytes + len, text, head.len);
	(void)say_bytes(bytes, len + head.len);
	run(20 * NS_PER_MS);
}

static void open_socket(void)
{
	start();
	rig.stream.is_echo = true;
	CHECK(says(ask("GET /mesh/ws/calls/room?x=y" HEAD UPGRADE), "101", "websocket"));
	rig.out_len = 0;
}

static void test_a_socket_is_bridged_and_closed_by_the_client(void)
{
	open_socket();
	CHECK_STR(rig.calls.method, "room");
	say_frame(0x81, "text");
	CHECK(rig.stream.is_text);
	say_frame(0x02, "bin");
	say_frame(0x80, "ary");
	CHECK(!rig.stream.is_text);
	CHECK_EQ(rig.stream.message_cnt, 2);
	CHECK_EQ(rig.out_len, 6 + 5 + 5);
	CHECK_MEM(rig.out,
		  "\x81\x04text\x02\x03"
		  "bin\x80\x03"
		  "ary",
		  16);
	say_frame(0x88, "\x03\xe8");
	CHECK_EQ(rig.stream.ended_cnt, 1);
	CHECK_EQ(rig.stream.status, SERVICE_OK);
	CHECK_EQ(rig.mesh->runs.used_cnt, 0);
	stop();
}

static void test_a_socket_is_closed_by_the_service(void)
{
	open_socket();
	service_channel_finish(rig.stream.channel);
	run(20 * NS_PER_MS);
	CHECK_MEM(rig.out, "\x88\x02\x03\xe8", 4);
	CHECK_EQ(rig.mesh->runs.used_cnt, 0);
	stop();
	open_socket();
	service_channel_end(rig.stream.channel, SERVICE_UNAVAILABLE, "it stops");
	run(20 * NS_PER_MS);
	CHECK_MEM(rig.out, "\x88\x0a\x03\xf3it stops", 12);
	stop();
}

static void test_a_socket_that_is_not_to_be_had_is_answered_in_http(void)
{
	start();
	CHECK(says(ask("GET /mesh/ws/other/room" HEAD UPGRADE), "403", "service_not_allowed"));
	CHECK(says(ask("GET /mesh/ws/only/Bad" HEAD UPGRADE), "403", "service_not_allowed"));
	CHECK(says(ask("GET /mesh/ws/nobody/room" HEAD UPGRADE), "503", "service_unavailable"));
	CHECK(says(ask("GET /mesh/ws/calls" HEAD UPGRADE), "404", "not_found"));
	CHECK(says(ask("GET /mesh/ws/calls/" HEAD UPGRADE), "404", "not_found"));
	CHECK(says(ask("GET /mesh/ws/calls/room" HEAD "\r\n"), "400", "no_websocket"));
	rig.calls.status = SERVICE_RATE_LIMITED;
	CHECK(says(ask("GET /mesh/ws/calls/room" HEAD UPGRADE), "429", "rate_limited"));
	CHECK_EQ(rig.shared.stats.socket_cnt, 0);
	stop();
}

#define SITE_HEAD                                                                                  \
	" HTTP/1.1\r\nHost: web.localhost\r\nX-Weft-Token: " TOKEN                                 \
	"\r\nOrigin: http://web.localhost\r\n"

/* switch_say is a server's 101 with the proof that it gives of the handshake. */
static void switch_say(const char *accept)
{
	struct service_http_answer answer = {.status = SERVICE_HTTP_SWITCHED,
					     .body_len = SERVICE_HTTP_BODY_LEN_UNTOLD,
					     .headers.cnt = 2};
	struct service_piece piece = {.is_last = true};
	uint8_t head[256];
	struct writer w = writer_of(head, sizeof(head));

	answer.headers.list[0] =
		(struct service_http_header){"Sec-WebSocket-Accept", accept, 20, strlen(accept)};
	answer.headers.list[1] =
		(struct service_http_header){"Sec-WebSocket-Protocol", "chat", 22, 4};
	CHECK_EQ(service_http_switch_write(&w, &answer), 0);
	piece.data = head;
	piece.len = writer_len(&w);
	CHECK_EQ(service_channel_send(rig.stream.channel, &piece, NULL, NULL), 0);
	run(20 * NS_PER_MS);
}

static void open_tunnel(void)
{
	start();
	strcpy(rig.guard.site_suffix, ".localhost");
	CHECK_STR(ask("GET /room?x=y" SITE_HEAD UPGRADE), "");
	CHECK_STR(rig.web.method, SERVICE_HTTP_UPGRADE);
}

static void test_a_websocket_to_a_web_server_is_bytes_both_ways(void)
{
	struct service_http_request request;
	struct service_piece piece = {
		.data = (const uint8_t *)"\x88\x00", .len = 2, .is_last = true};

	open_tunnel();
	CHECK_EQ(service_http_request_parse(rig.head, rig.head_len, &request), 0);
	CHECK(service_http_wants_socket(&request));
	CHECK(!service_http_header_lookup(&request.headers, "x-weft-token"));
	CHECK_EQ(rig.stream.finished_cnt, 0);
	switch_say("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	CHECK(says(rig.out, "101", "Sec-WebSocket-Protocol: chat\r\n"));
	CHECK(strstr(rig.out, "Upgrade: websocket\r\n") && strstr(rig.out, "X-Mesh-Provider: "));
	CHECK_EQ(rig.shared.stats.socket_cnt, 1);
	/* No frame of any kind, and no complaint. */
	CHECK_STR(ask("\xff\xff\xff"), "");
	CHECK_EQ(rig.stream.len, 3);
	/* An hour of silence: no end is pinged, and nothing ends. */
	rig.srig.net.now_ns += 3600 * NS_PER_S;
	CHECK_EQ(gateway_conn_deadline_ns(&rig.conn), UINT64_MAX);
	gateway_conn_expire(&rig.conn, rig.srig.net.now_ns);
	CHECK(!gateway_conn_is_over(&rig.conn));
	/* The client ends first; the server still speaks. */
	gateway_conn_eof(&rig.conn);
	run(20 * NS_PER_MS);
	CHECK_EQ(rig.stream.finished_cnt, 1);
	CHECK(!gateway_conn_is_over(&rig.conn));
	CHECK_EQ(service_channel_send(rig.stream.channel, &piece, NULL, NULL), 0);
	service_channel_finish(rig.stream.channel);
	run(20 * NS_PER_MS);
	CHECK_EQ(rig.out_len, 2);
	CHECK_EQ(rig.stream.status, SERVICE_OK);
	CHECK_EQ(rig.mesh->runs.used_cnt, 0);
	CHECK(gateway_conn_is_over(&rig.conn));
	stop();
}

static void test_a_handshake_that_proves_nothing_is_none(void)
{
	open_tunnel();
	switch_say("s3pPLMBiTxaQ9kYGzzhZRbK+xOx=");
	CHECK(says(rig.out, "502", "bad_gateway"));
	CHECK_EQ(rig.shared.stats.socket_cnt, 0);
	stop();
}

static void test_a_server_refuses_a_websocket_by_its_own_status(void)
{
	open_tunnel();
	answer_head(403, 2);
	CHECK_EQ(answer_more("no", 2), 0);
	service_channel_finish(rig.stream.channel);
	run(20 * NS_PER_MS);
	CHECK(says(rig.out, "403", "\r\n\r\nno"));
	CHECK_EQ(rig.shared.stats.socket_cnt, 0);
	CHECK_EQ(rig.mesh->runs.used_cnt, 0);
	stop();
}

static void test_a_provider_that_is_older_is_reported_clearly(void)
{
	start();
	strcpy(rig.guard.site_suffix, ".localhost");
	rig.web.status = SERVICE_METHOD_NOT_FOUND;
	rig.web.stream = NULL;
	CHECK(says(ask("GET /room" SITE_HEAD UPGRADE), "501", "upgrade_not_supported"));
	CHECK_EQ(rig.shared.stats.socket_cnt, 0);
	stop();
}

static void test_a_websocket_to_a_service_of_calls_is_a_stream_of_it(void)
{
	start();
	strcpy(rig.guard.site_suffix, ".localhost");
	CHECK(says(ask("GET /room HTTP/1.1\r\nHost: calls.localhost\r\nX-Weft-Token: " TOKEN
		       "\r\nOrigin: http://calls.localhost\r\n" UPGRADE),
		   "101", "websocket"));
	CHECK_STR(rig.calls.method, "room");
	stop();
	start();
	strcpy(rig.guard.site_suffix, ".localhost");
	CHECK(says(ask("GET / HTTP/1.1\r\nHost: calls.localhost\r\nX-Weft-Token: " TOKEN
		       "\r\nOrigin: http://calls.localhost\r\n" UPGRADE),
		   "404", "not_found"));
	CHECK(says(ask("GET /Bad HTTP/1.1\r\nHost: only.localhost\r\nX-Weft-Token: " TOKEN
		       "\r\nOrigin: http://only.localhost\r\n" UPGRADE),
		   "403", "service_not_allowed"));
	stop();
}

static void test_one_more_than_there_is_room_for_is_refused(void)
{
	static struct gateway_conn others[2];
	struct addr remote = {.family = ADDR_IPV4};
	static const char request[] = "GET /mesh/http/calls/Do" HEAD "\r\n";

	start();
	rig.calls.mode = SRIG_KEEP;
	for (unsigned i = 0; i < 2; i++) {
		char *room;

		memset(&others[i], 0, sizeof(others[i]));
		gateway_conn_init(&others[i], &rig.shared, &remote, rig.srig.net.now_ns);
		CHECK(gateway_conn_reserve(&others[i], &room) >= sizeof(request));
		memcpy(room, request, sizeof(request) - 1);
		gateway_conn_commit(&others[i], sizeof(request) - 1, rig.srig.net.now_ns);
	}
	CHECK(says(ask(request), "503", "gateway_busy"));
	for (unsigned i = 0; i < 2; i++)
		gateway_conn_fini(&others[i]);
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
	RUN(test_http_goes_through_with_head_and_body);
	RUN(test_the_token_as_a_bearer_stays_here_and_another_goes_on);
	RUN(test_an_answer_without_a_length_comes_in_chunks_and_ends);
	RUN(test_a_provider_that_fails_is_reported_or_cut_off);
	RUN(test_a_client_that_left_ends_the_stream);
	RUN(test_a_slow_client_holds_the_provider_back);
	RUN(test_an_upload_is_held_back_by_the_provider);
	RUN(test_a_socket_is_bridged_and_closed_by_the_client);
	RUN(test_a_socket_is_closed_by_the_service);
	RUN(test_a_socket_that_is_not_to_be_had_is_answered_in_http);
	RUN(test_a_websocket_to_a_web_server_is_bytes_both_ways);
	RUN(test_a_handshake_that_proves_nothing_is_none);
	RUN(test_a_server_refuses_a_websocket_by_its_own_status);
	RUN(test_a_provider_that_is_older_is_reported_clearly);
	RUN(test_a_websocket_to_a_service_of_calls_is_a_stream_of_it);
	RUN(test_one_more_than_there_is_room_for_is_refused);
	RUN(test_what_may_be_called_is_listed);
	return check_done();
}
