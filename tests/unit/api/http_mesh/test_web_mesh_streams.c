/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP and WebSockets that go through to a service as streams. */
#include "web_mesh_rig.h"

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

int main(void)
{
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
	return check_done();
}
