/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of HttpInvoke: their connections, their time, their end. */
#include "unit/provider/http_rig.h"

#include "codec/text/zbase32.h"

static void test_a_request_reaches_the_server_and_its_answer_the_caller(void)
{
	char text[4096], want[4096], key[80], body[64];
	struct prig_stream stream = {.body = body, .body_cap = sizeof(body)};
	struct service_http_request request = request_of("GET", "/a?b=c", 0);
	struct web web;
	int fd;

	web_init(&web);
	request.headers.list[0] = (struct service_http_header){"Range", "bytes=0-4", 5, 9};
	request.headers.list[1] = (struct service_http_header){"X-Mesh-Peer", "me", 11, 2};
	request.headers.cnt = 2;
	web_open_with(&web, &stream, &request);
	service_channel_finish(stream.channel);
	fd = program_accept(&web.rig, &web.server);
	CHECK(fd >= 0);
	program_hear(&web.rig, fd, text, sizeof(text), "\r\n\r\n");
	snprintf(want, sizeof(want), "GET /a?b=c HTTP/1.1\r\nHost: %s\r\nX-Mesh-Peer: %s\r\n",
		 web.server.target, zbase32_write(node_key_public(web.rig.key), MESH_KEY_LEN, key));
	CHECK_MEM(text, want, strlen(want));
	CHECK(strstr(text, "\r\nRange: bytes=0-4\r\n"));
	CHECK(!strstr(text, "me\r\n"));
	CHECK(!strstr(text, "Connection"));
	program_say(fd, "HTTP/1.1 206 Partial\r\nContent-Length: 5\r\nX-A: 1 \r\n\r\nhel", 55);
	prig_run(&web.rig);
	CHECK_EQ(status_of(&stream), 206);
	CHECK(header_is(&stream, "x-a", "1"));
	CHECK_EQ(stream.body_len, 3);
	program_say(fd, "lo", 2);
	prig_run(&web.rig);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_OK);
	CHECK_EQ(stream.finished_cnt, 1);
	CHECK_MEM(body, "hello", 5);
	close(fd);
	web_fini(&web);
}

static void test_a_server_receives_its_own_origin(void)
{
	struct service_http_request request = request_of("POST", "/form", 0);
	struct prig_stream stream = {.body = NULL};
	char text[4096], want[256];
	struct web web;
	int fd;

	web_init(&web);
	request.headers.list[0] =
		(struct service_http_header){"ORIGIN", "http://web.localhost:5030", 6, 25};
	request.headers.list[1] = (struct service_http_header){"origin", "http://evil.test", 6, 16};
	request.headers.cnt = 2;
	web_open_with(&web, &stream, &request);
	service_channel_finish(stream.channel);
	fd = program_accept(&web.rig, &web.server);
	program_hear(&web.rig, fd, text, sizeof(text), "\r\n\r\n");
	snprintf(want, sizeof(want), "\r\nOrigin: http://%s\r\n", web.server.target);
	CHECK(strstr(text, want));
	CHECK(!strstr(text, "web.localhost"));
	CHECK(!strstr(text, "evil"));
	close(fd);
	web_fini(&web);
}

static void test_a_connection_is_used_again_and_made_anew_when_it_closed(void)
{
	struct prig_stream stream = {.body = NULL};
	struct provider_stats stats;
	char text[4096];
	struct web web;
	int fd, again;

	web_init(&web);
	api_http_open(&web, &stream, "GET", "/1", 0);
	service_channel_finish(stream.channel);
	fd = serve(&web, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	CHECK_EQ(stream.ended_cnt, 1);
	provider_stats(web.rig.provider, &stats);
	CHECK_EQ(stats.idle_cnt, 1);
	api_http_open(&web, &stream, "GET", "/2", 0);
	service_channel_finish(stream.channel);
	program_hear(&web.rig, fd, text, sizeof(text), "\r\n\r\n");
	CHECK_MEM(text, "GET /2 ", 7);
	program_say(fd, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 43);
	prig_run(&web.rig);
	CHECK_EQ(status_of(&stream), 201);
	CHECK_EQ(stream.ended_cnt, 1);
	/* It reads the third request, and closes: the request is sent again. */
	api_http_open(&web, &stream, "GET", "/3", 0);
	service_channel_finish(stream.channel);
	program_hear(&web.rig, fd, text, sizeof(text), "\r\n\r\n");
	CHECK_MEM(text, "GET /3 ", 7);
	close(fd);
	prig_run(&web.rig);
	again = program_accept(&web.rig, &web.server);
	CHECK(again >= 0);
	program_hear(&web.rig, again, text, sizeof(text), "\r\n\r\n");
	CHECK_MEM(text, "GET /3 ", 7);
	program_say(again, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38);
	prig_run(&web.rig);
	CHECK_EQ(status_of(&stream), 200);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(web.rig.event_cnts[PROVIDER_EVENT_FAILED], 0);
	close(again);
	web_fini(&web);
}

static void test_an_idle_connection_that_closes_is_forgotten(void)
{
	struct prig_stream stream = {.body = NULL};
	struct provider_stats stats;
	struct web web;
	int fd;

	web_init(&web);
	api_http_open(&web, &stream, "GET", "/", 0);
	service_channel_finish(stream.channel);
	fd = serve(&web, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	close(fd);
	prig_run(&web.rig);
	provider_stats(web.rig.provider, &stats);
	CHECK_EQ(stats.idle_cnt, 0);
	web_fini(&web);
}

static void test_a_server_that_is_not_there(void)
{
	struct prig_stream stream = {.body = NULL};
	uint16_t port;
	struct web web;

	web_init(&web);
	port = (uint16_t)atoi(strchr(web.server.target, ':') + 1);
	close(web.server.listener);
	api_http_open(&web, &stream, "GET", "/", 0);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_DOWN);
	CHECK_STR(prig_view(&web.rig).why, "nobody listens there");
	CHECK_EQ(web.rig.event_cnts[PROVIDER_EVENT_DOWN], 1);
	/* It is back. */
	program_listen_tcp(&web.server, port);
	prig_pass(&web.rig, NS_PER_S);
	CHECK_SOON(&web.rig, prig_view(&web.rig).state == PROVIDER_READY);
	CHECK_EQ(web.rig.event_cnts[PROVIDER_EVENT_READY], 2);
	web_fini(&web);
}

static void test_a_server_that_does_not_answer(void)
{
	struct provider_spec spec = web_spec;
	struct prig_stream stream = {.body = NULL};
	struct web web;

	spec.timeout_ns = 7 * NS_PER_S;
	web_init_with(&web, spec);
	api_http_open(&web, &stream, "GET", "/", 0);
	service_channel_finish(stream.channel);
	prig_run(&web.rig);
	prig_pass(&web.rig, 6 * NS_PER_S);
	CHECK_EQ(stream.ended_cnt, 0);
	prig_pass(&web.rig, NS_PER_S);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_TIMEOUT);
	CHECK_EQ(web.rig.event_cnts[PROVIDER_EVENT_FAILED], 1);
	web_fini(&web);
}

/* The connections of checks, and of requests that are over. */
static void web_drain(struct web *web)
{
	int fd;

	while ((fd = program_accept(&web->rig, &web->server)) >= 0)
		close(fd);
}

/* A stopped server: the kernel accepts connections for it, and nothing answers. */
static void web_leave_unanswered(struct web *web, const char *verb, uint64_t wait_ns)
{
	struct prig_stream stream = {.body = NULL};

	web_drain(web);
	api_http_open(web, &stream, verb, "/", 0);
	service_channel_finish(stream.channel);
	prig_run(&web->rig);
	prig_pass(&web->rig, wait_ns);
	if (stream.ended_cnt == 0)
		service_channel_end(stream.channel, SERVICE_TIMEOUT, "it waits no longer");
	prig_run(&web->rig);
}

static void test_a_stopped_server_is_set_down_for_pauses_that_double(void)
{
	struct web web;

	web_init(&web);
	web_leave_unanswered(&web, "GET", 31 * NS_PER_S);
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_READY);
	web_leave_unanswered(&web, "POST", 31 * NS_PER_S);
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_DOWN);
	CHECK_STR(prig_view(&web.rig).why, "it does not answer its calls");
	prig_pass(&web.rig, 3 * NS_PER_S);
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_DOWN);
	prig_pass(&web.rig, 3 * NS_PER_S);
	CHECK_SOON(&web.rig, prig_view(&web.rig).state == PROVIDER_READY);
	web_leave_unanswered(&web, "GET", 31 * NS_PER_S);
	web_leave_unanswered(&web, "GET", 31 * NS_PER_S);
	prig_pass(&web.rig, 8 * NS_PER_S);
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_DOWN);
	prig_pass(&web.rig, 3 * NS_PER_S);
	CHECK_SOON(&web.rig, prig_view(&web.rig).state == PROVIDER_READY);
	web_fini(&web);
}

static void test_a_caller_s_shorter_patience_sets_no_server_down(void)
{
	struct web web;

	web_init(&web);
	for (unsigned i = 0; i < 4; i++)
		web_leave_unanswered(&web, "GET", 26 * NS_PER_S);
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_READY);
	/* The way here may take an eighth of the time. */
	for (unsigned i = 0; i < 2; i++)
		web_leave_unanswered(&web, "GET", 27 * NS_PER_S);
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_DOWN);
	web_fini(&web);
}

static void test_a_server_that_answers_others_is_not_set_down(void)
{
	struct prig_stream late = {.body = NULL}, other = {.body = NULL};
	struct web web;
	int fds[6];

	web_init(&web);
	for (unsigned i = 0; i < 3; i++) {
		web_drain(&web);
		api_http_open(&web, &late, "POST", "/late", 0);
		service_channel_finish(late.channel);
		prig_run(&web.rig);
		fds[2 * i] = program_accept(&web.rig, &web.server);
		prig_pass(&web.rig, 15 * NS_PER_S);
		web_drain(&web);
		api_http_open(&web, &other, "POST", "/other", 0);
		service_channel_finish(other.channel);
		fds[2 * i + 1] = serve(&web, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		CHECK_EQ(status_of(&other), 200);
		prig_pass(&web.rig, 16 * NS_PER_S);
		CHECK_EQ(late.status, SERVICE_TIMEOUT);
	}
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_READY);
	for (unsigned i = 0; i < 6; i++)
		close(fds[i]);
	web_fini(&web);
}

static void test_an_exchange_on_which_nothing_moves_ends(void)
{
	struct prig_stream stream = {.body = NULL};
	struct web web;
	int fd;

	web_init(&web);
	api_http_open(&web, &stream, "GET", "/", 0);
	service_channel_finish(stream.channel);
	fd = serve(&web, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
	prig_pass(&web.rig, 59 * NS_PER_S);
	CHECK_EQ(stream.ended_cnt, 0);
	prig_pass(&web.rig, NS_PER_S);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_TIMEOUT);
	CHECK(program_is_left(fd));
	close(fd);
	web_fini(&web);
}

static void test_a_caller_that_leaves_ends_the_connection(void)
{
	struct prig_stream stream = {.body = NULL};
	struct web web;
	int fd;

	web_init(&web);
	api_http_open(&web, &stream, "GET", "/", 0);
	fd = program_accept(&web.rig, &web.server);
	service_channel_end(stream.channel, SERVICE_OK, "");
	prig_run(&web.rig);
	CHECK_EQ(prig_view(&web.rig).active_cnt, 0);
	CHECK_EQ(web.rig.event_cnts[PROVIDER_EVENT_FAILED], 0);
	close(fd);
	web_fini(&web);
}

static void test_calls_and_other_methods_are_refused_with_a_hint(void)
{
	struct prig_stream stream = {.body = NULL};
	struct prig_call call = {.cnt = 0};
	struct web web;

	web_init(&web);
	CHECK_EQ(prig_call(&web.rig, &call, "web", "Get", "{}", 2), 0);
	CHECK_EQ(prig_open(&web.rig, &stream, "web", "Other", NULL, 0), 0);
	prig_run(&web.rig);
	CHECK_EQ(call.status, SERVICE_METHOD_NOT_FOUND);
	CHECK(strstr(call.text, "HttpInvoke"));
	CHECK_EQ(stream.status, SERVICE_METHOD_NOT_FOUND);
	CHECK(strstr(stream.text, "HttpInvoke"));
	stream.ended_cnt = 0;
	CHECK_EQ(prig_open(&web.rig, &stream, "web", SERVICE_HTTP_METHOD, "rubbish", 7), 0);
	prig_run(&web.rig);
	CHECK_EQ(stream.status, SERVICE_INVALID_PAYLOAD);
	free(call.payload);
	web_fini(&web);
}

static void test_one_request_too_many_is_refused(void)
{
	struct provider_spec spec = web_spec;
	struct prig_stream streams[3] = {{.body = NULL}};
	struct provider_stats stats;
	struct web web;

	spec.concurrency_max = 2;
	web_init_with(&web, spec);
	for (unsigned i = 0; i < 3; i++)
		api_http_open(&web, &streams[i], "GET", "/", 0);
	CHECK_EQ(streams[0].ended_cnt + streams[1].ended_cnt, 0);
	CHECK_EQ(streams[2].ended_cnt, 1);
	CHECK_EQ(streams[2].status, SERVICE_UNAVAILABLE);
	provider_stats(web.rig.provider, &stats);
	CHECK_EQ(stats.refused_cnt, 1);
	web_fini(&web);
}

static void test_a_withdrawn_service_ends_its_exchanges(void)
{
	struct prig_stream stream = {.body = NULL};
	struct web web;
	int fd;

	web_init(&web);
	api_http_open(&web, &stream, "GET", "/", 0);
	fd = program_accept(&web.rig, &web.server);
	CHECK_EQ(provider_withdraw(web.rig.provider, "web", 1,
				   &(struct provider_waiter){prig_done, &web.rig},
				   prig_now(&web.rig)),
		 0);
	prig_run(&web.rig);
	CHECK_EQ(web.rig.done_cnt, 2);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_UNAVAILABLE);
	CHECK(program_is_left(fd));
	close(fd);
	web_fini(&web);
}

static void test_a_health_path_decides(void)
{
	struct provider_spec spec = web_spec;
	char text[1024];
	struct web web;
	int fd;

	spec.health_path = "/health?x";
	prig_init(&web.rig);
	program_listen_tcp(&web.server, 0);
	spec.target = web.server.target;
	CHECK_EQ(prig_publish(&web.rig, &spec), 0);
	fd = program_accept(&web.rig, &web.server);
	program_hear(&web.rig, fd, text, sizeof(text), "\r\n\r\n");
	CHECK_MEM(text, "GET /health?x HTTP/1.1\r\n", 24);
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_CHECKING);
	program_say(fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
	prig_run(&web.rig);
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_READY);
	close(fd);
	/* One error is forgiven, two in a row are not. */
	prig_pass(&web.rig, 5 * NS_PER_S);
	close(serve(&web, "HTTP/1.1 503 No\r\n\r\n"));
	prig_run(&web.rig);
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_READY);
	prig_pass(&web.rig, NS_PER_S);
	close(serve(&web, "HTTP/1.1 503 No\r\n\r\n"));
	prig_run(&web.rig);
	CHECK_EQ(prig_view(&web.rig).state, PROVIDER_DOWN);
	CHECK_STR(prig_view(&web.rig).why, "its health path answers by an error");
	web_fini(&web);
}

int main(void)
{
	RUN(test_a_request_reaches_the_server_and_its_answer_the_caller);
	RUN(test_a_server_receives_its_own_origin);
	RUN(test_a_connection_is_used_again_and_made_anew_when_it_closed);
	RUN(test_an_idle_connection_that_closes_is_forgotten);
	RUN(test_a_server_that_is_not_there);
	RUN(test_a_server_that_does_not_answer);
	RUN(test_a_stopped_server_is_set_down_for_pauses_that_double);
	RUN(test_a_caller_s_shorter_patience_sets_no_server_down);
	RUN(test_a_server_that_answers_others_is_not_set_down);
	RUN(test_an_exchange_on_which_nothing_moves_ends);
	RUN(test_a_caller_that_leaves_ends_the_connection);
	RUN(test_calls_and_other_methods_are_refused_with_a_hint);
	RUN(test_one_request_too_many_is_refused);
	RUN(test_a_withdrawn_service_ends_its_exchanges);
	RUN(test_a_health_path_decides);
	return check_done();
}
