/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server of the test's behind a service, asked by streams of HttpInvoke. */
#include "rig.h"

#include "codec/zbase32.h"

struct web {
	struct prig rig;
	struct prig_program server;
};

static const struct provider_spec web_spec = {
	.name = "web",
	.version = "1.0.0",
	.kind = PROVIDER_HTTP,
};

static void web_publish(struct web *web, struct provider_spec spec)
{
	spec.target = web->server.target;
	weft_assert(prig_publish(&web->rig, &spec) == 0);
	/* The connection of the check. */
	close(program_accept(&web->rig, &web->server));
	prig_run(&web->rig);
	weft_assert(prig_view(&web->rig).state == PROVIDER_READY);
}

static void web_init_with(struct web *web, struct provider_spec spec)
{
	prig_init(&web->rig);
	program_listen_tcp(&web->server, 0);
	web_publish(web, spec);
}

static void web_init(struct web *web)
{
	web_init_with(web, web_spec);
}

static void web_fini(struct web *web)
{
	close(web->server.listener);
	prig_fini(&web->rig);
}

static struct service_http_request request_of(const char *verb, const char *target,
					      uint64_t body_len)
{
	return (struct service_http_request){
		.verb = verb,
		.verb_len = strlen(verb),
		.target = target,
		.target_len = strlen(target),
		.body_len = body_len,
	};
}

static void web_open_with(struct web *web, struct prig_stream *stream,
			  const struct service_http_request *request)
{
	uint8_t head[SERVICE_HTTP_HEAD_LEN_MAX];
	struct writer w = writer_of(head, sizeof(head));

	memset(stream, 0, offsetof(struct prig_stream, body));
	stream->is_http = true;
	stream->body_len = stream->message_cnt = stream->finished_cnt = stream->ended_cnt = 0;
	weft_assert(service_http_request_write(&w, request) == 0);
	weft_assert(prig_open(&web->rig, stream, "web", SERVICE_HTTP_METHOD, head,
			      writer_len(&w)) == 0);
	prig_run(&web->rig);
}

static void web_open(struct web *web, struct prig_stream *stream, const char *verb,
		     const char *target, uint64_t body_len)
{
	struct service_http_request request = request_of(verb, target, body_len);

	web_open_with(web, stream, &request);
}

/* The server takes a request, gives an answer, and goes on as the test says. */
static int serve(struct web *web, const char *answer)
{
	int fd = program_accept(&web->rig, &web->server);
	char text[20000];

	weft_assert(fd >= 0);
	program_hear(&web->rig, fd, text, sizeof(text), "\r\n\r\n");
	program_say(fd, answer, strlen(answer));
	prig_run(&web->rig);
	return fd;
}

static unsigned status_of(const struct prig_stream *stream)
{
	struct service_http_answer answer;

	if (!stream->has_head ||
	    service_http_answer_parse(stream->head, stream->head_len, &answer) < 0)
		return 0;
	return answer.status;
}

static bool header_is(const struct prig_stream *stream, const char *name, const char *want)
{
	const struct service_http_header *header;
	struct service_http_answer answer;

	if (service_http_answer_parse(stream->head, stream->head_len, &answer) < 0)
		return false;
	header = service_http_header_lookup(&answer.headers, name);
	if (!header || !want)
		return !header && !want;
	return header->value_len == strlen(want) &&
	       memcmp(header->value, want, header->value_len) == 0;
}

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

static void test_a_connection_is_used_again_and_made_anew_when_it_closed(void)
{
	struct prig_stream stream = {.body = NULL};
	struct provider_stats stats;
	char text[4096];
	struct web web;
	int fd, again;

	web_init(&web);
	web_open(&web, &stream, "GET", "/1", 0);
	service_channel_finish(stream.channel);
	fd = serve(&web, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	CHECK_EQ(stream.ended_cnt, 1);
	provider_stats(web.rig.provider, &stats);
	CHECK_EQ(stats.idle_cnt, 1);
	web_open(&web, &stream, "GET", "/2", 0);
	service_channel_finish(stream.channel);
	program_hear(&web.rig, fd, text, sizeof(text), "\r\n\r\n");
	CHECK_MEM(text, "GET /2 ", 7);
	program_say(fd, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 43);
	prig_run(&web.rig);
	CHECK_EQ(status_of(&stream), 201);
	CHECK_EQ(stream.ended_cnt, 1);
	/* It reads the third request, and closes: the request is sent again. */
	web_open(&web, &stream, "GET", "/3", 0);
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
	web_open(&web, &stream, "GET", "/", 0);
	service_channel_finish(stream.channel);
	fd = serve(&web, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	close(fd);
	prig_run(&web.rig);
	provider_stats(web.rig.provider, &stats);
	CHECK_EQ(stats.idle_cnt, 0);
	web_fini(&web);
}

static void test_answers_that_do_not_keep_their_connection(void)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
		"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
		/* A body that must not be may come behind it, and be taken for the next answer. */
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct prig_stream stream = {.body = NULL};
		struct provider_stats stats;
		struct web web;
		int fd;

		web_init(&web);
		web_open(&web, &stream, "GET", "/", 0);
		service_channel_finish(stream.channel);
		fd = serve(&web, answers[i]);
		provider_stats(web.rig.provider, &stats);
		CHECK_EQ(stats.idle_cnt, 0);
		CHECK_EQ(stream.body_len, strstr(answers[i], "ok") ? 2 : 0);
		CHECK_EQ(stream.ended_cnt, 1);
		CHECK_EQ(stream.status, SERVICE_OK);
		CHECK(program_is_left(fd));
		close(fd);
		web_fini(&web);
	}
}

static void test_bodies_of_every_framing(void)
{
	static const struct {
		const char *verb, *answer;
		bool closes;
		unsigned status;
		const char *body;
	} rows[] = {
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello"},
		{"GET",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n",
		 false, 200, "hello"},
		{"GET", "HTTP/1.0 200 OK\r\n\r\nhello", true, 200, "hello"},
		{"GET", "HTTP/1.1 200\r\n\r\n", true, 200, ""},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, 200, ""},
		{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 200, ""},
		{"GET", "HTTP/1.1 204 No Content\r\n\r\n", false, 204, ""},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, 304, ""},
		{"GET",
		 "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
		 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx",
		 false, 404, "x"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char body[16];
		struct prig_stream stream = {.body = body, .body_cap = sizeof(body)};
		struct web web;
		int fd;

		web_init(&web);
		web_open(&web, &stream, rows[i].verb, "/", 0);
		service_channel_finish(stream.channel);
		fd = serve(&web, rows[i].answer);
		if (rows[i].closes)
			close(fd);
		prig_run(&web.rig);
		if (stream.ended_cnt != 1)
			printf("# %s\n", rows[i].answer);
		CHECK_EQ(stream.ended_cnt, 1);
		CHECK_EQ(stream.status, SERVICE_OK);
		CHECK_EQ(status_of(&stream), rows[i].status);
		CHECK_EQ(stream.body_len, strlen(rows[i].body));
		CHECK_MEM(body, rows[i].body, strlen(rows[i].body));
		CHECK(header_is(&stream, "link", NULL));
		if (!rows[i].closes)
			close(fd);
		web_fini(&web);
	}
}

static void test_the_length_of_a_body_that_is_left_away_is_told(void)
{
	struct prig_stream stream = {.body = NULL};
	struct service_http_answer answer;
	struct web web;
	int fd;

	web_init(&web);
	web_open(&web, &stream, "HEAD", "/", 0);
	service_channel_finish(stream.channel);
	fd = serve(&web, "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n");
	CHECK_EQ(service_http_answer_parse(stream.head, stream.head_len, &answer), 0);
	CHECK_EQ(answer.body_len, 12345);
	close(fd);
	web_fini(&web);
}

static void test_rubbish_is_answered_by_502(void)
{
	static char long_head[20000], many_heads[4000];
	const char *const answers[] = {
		"SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"HTTP/1.1 999 What\r\n\r\n",
		"HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
		"HTTP/1.1 200 OK\r\na: \x01\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/0.9 200 OK\r\n\r\n",
		long_head,
		many_heads,
	};
	size_t len = (size_t)snprintf(long_head, sizeof(long_head), "HTTP/1.1 200 OK\r\nA: ");

	memset(long_head + len, 'a', 17000);
	snprintf(long_head + len + 17000, 8, "\r\n\r\n");
	len = (size_t)snprintf(many_heads, sizeof(many_heads), "HTTP/1.1 200 OK\r\n");
	for (unsigned i = 0; i < SERVICE_HTTP_HEADERS_MAX + 1; i++)
		len += (size_t)snprintf(many_heads + len, sizeof(many_heads) - len, "a: b\r\n");
	snprintf(many_heads + len, sizeof(many_heads) - len, "\r\n");
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct prig_stream stream = {.body = NULL};
		struct web web;
		int fd;

		web_init(&web);
		web_open(&web, &stream, "GET", "/", 0);
		service_channel_finish(stream.channel);
		fd = serve(&web, answers[i]);
		if (status_of(&stream) != 502)
			printf("# %.60s\n", answers[i]);
		CHECK_EQ(status_of(&stream), 502);
		CHECK_EQ(stream.ended_cnt, 1);
		CHECK_EQ(stream.status, SERVICE_OK);
		CHECK(stream.body_len > 20);
		CHECK_EQ(web.rig.event_cnts[PROVIDER_EVENT_FAILED], 1);
		CHECK(program_is_left(fd));
		close(fd);
		web_fini(&web);
	}
}

static void test_64_header_fields_are_not_too_many(void)
{
	char text[4000];
	struct prig_stream stream = {.body = NULL};
	struct web web;
	size_t len = (size_t)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n");
	int fd;

	for (unsigned i = 0; i < SERVICE_HTTP_HEADERS_MAX - 1; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "a: b\r\n");
	snprintf(text + len, sizeof(text) - len, "Content-Length: 0\r\n\r\n");
	web_init(&web);
	web_open(&web, &stream, "GET", "/", 0);
	service_channel_finish(stream.channel);
	fd = serve(&web, text);
	CHECK_EQ(status_of(&stream), 200);
	close(fd);
	web_fini(&web);
}

/* A caller hears of rubbish by the head, unless that is out: then by the end of the stream. */
static void test_a_server_that_leaves(void)
{
	static const struct {
		const char *answer;
		unsigned want_http;
		enum service_status want;
	} rows[] = {
		{"", 502, SERVICE_OK},
		{"HTTP/1.1 200 OK\r\nContent-Le", 502, SERVICE_OK},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 200, SERVICE_UNKNOWN_ERROR},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 200,
		 SERVICE_UNKNOWN_ERROR},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n", 502,
		 SERVICE_OK},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prig_stream stream = {.body = NULL};
		struct web web;
		int fd;

		web_init(&web);
		web_open(&web, &stream, "GET", "/", 0);
		service_channel_finish(stream.channel);
		fd = serve(&web, rows[i].answer);
		close(fd);
		prig_run(&web.rig);
		CHECK_EQ(stream.ended_cnt, 1);
		CHECK_EQ(stream.status, rows[i].want);
		CHECK_EQ(status_of(&stream), rows[i].want_http);
		CHECK_EQ(web.rig.event_cnts[PROVIDER_EVENT_FAILED], 1);
		web_fini(&web);
	}
}

static void test_a_body_of_known_length_is_sent_as_such(void)
{
	struct prig_stream stream = {.body = NULL};
	char text[4096];
	struct web web;
	int fd;

	web_init(&web);
	web_open(&web, &stream, "POST", "/", 5);
	stream_say(&stream, "he", 2, false);
	stream_say(&stream, "", 0, false);
	stream_say(&stream, "llo", 3, false);
	service_channel_finish(stream.channel);
	fd = program_accept(&web.rig, &web.server);
	program_hear(&web.rig, fd, text, sizeof(text), "hello");
	CHECK(strstr(text, "\r\nContent-Length: 5\r\n"));
	CHECK(strstr(text, "\r\nConnection: close\r\n"));
	CHECK_STR(strstr(text, "\r\n\r\n"), "\r\n\r\nhello");
	program_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38);
	prig_run(&web.rig);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK(program_is_left(fd));
	close(fd);
	web_fini(&web);
}

static void test_a_body_of_unknown_length_is_sent_in_chunks(void)
{
	struct prig_stream stream = {.body = NULL};
	char text[4096];
	struct web web;
	int fd;

	web_init(&web);
	web_open(&web, &stream, "PUT", "/", SERVICE_HTTP_BODY_LEN_UNTOLD);
	stream_say(&stream, "hello world, hel", 16, false);
	stream_say(&stream, "", 0, false);
	stream_say(&stream, "lo", 2, false);
	service_channel_finish(stream.channel);
	fd = program_accept(&web.rig, &web.server);
	program_hear(&web.rig, fd, text, sizeof(text), "0\r\n\r\n");
	CHECK(strstr(text, "\r\nTransfer-Encoding: chunked\r\n"));
	CHECK(!strstr(text, "Content-Length"));
	CHECK_STR(strstr(text, "\r\n\r\n"),
		  "\r\n\r\n10\r\nhello world, hel\r\n2\r\nlo\r\n0\r\n\r\n");
	close(fd);
	web_fini(&web);
}

static void test_a_body_is_as_long_as_its_head_says(void)
{
	static const struct {
		uint64_t told;
		const char *said;
		const char *why;
	} rows[] = {
		{0, "x", "longer"},
		{4, "hello", "longer"},
		{6, "hello", "shorter"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prig_stream stream = {.body = NULL};
		struct web web;

		web_init(&web);
		web_open(&web, &stream, "POST", "/", rows[i].told);
		stream_say(&stream, rows[i].said, strlen(rows[i].said), false);
		service_channel_finish(stream.channel);
		prig_run(&web.rig);
		CHECK_EQ(stream.ended_cnt, 1);
		CHECK_EQ(stream.status, SERVICE_INVALID_PAYLOAD);
		CHECK(strstr(stream.text, rows[i].why));
		web_fini(&web);
	}
}

static void test_an_answer_may_come_before_the_end_of_the_request(void)
{
	struct prig_stream stream = {.body = NULL};
	static char much[16000];
	struct web web;
	int fd;

	web_init(&web);
	web_open(&web, &stream, "POST", "/", 1000000);
	stream_say(&stream, "x", 1, false);
	fd = serve(&web, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	CHECK_EQ(status_of(&stream), 413);
	CHECK_EQ(stream.finished_cnt, 1);
	CHECK(program_is_left(fd));
	close(fd);
	/* What the caller still sends is thrown away. */
	for (unsigned i = 0; i < 40; i++) {
		stream_say(&stream, much, sizeof(much), false);
		prig_run(&web.rig);
	}
	service_channel_finish(stream.channel);
	prig_run(&web.rig);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_OK);
	web_fini(&web);
}

#define BIG_LEN (24u * 1024 * 1024)

static size_t push_until_full(int fd, size_t left)
{
	static char zeros[65536];
	size_t pushed = 0;

	while (left) {
		size_t len = left < sizeof(zeros) ? left : sizeof(zeros);
		ssize_t n = send(fd, zeros, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			break;
		pushed += (size_t)n;
		left -= (size_t)n;
	}
	return pushed;
}

static void test_a_slow_caller_stops_the_server_and_memory_stays_flat(void)
{
	struct prig_stream stream = {.body = NULL};
	struct provider_stats stats;
	size_t pushed = 0, stuck;
	char head[128];
	struct web web;
	int fd;

	web_init(&web);
	web_open(&web, &stream, "GET", "/big", 0);
	service_channel_finish(stream.channel);
	stream.is_holding = true;
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", BIG_LEN);
	fd = serve(&web, head);
	for (unsigned i = 0; i < 200; i++) {
		pushed += push_until_full(fd, BIG_LEN - pushed);
		prig_run(&web.rig);
	}
	provider_stats(web.rig.provider, &stats);
	CHECK(pushed < BIG_LEN);
	CHECK(stats.memory_peak_len <= 18 * 65536);
	/* It reads: everything comes. */
	stuck = pushed;
	stream.is_holding = false;
	service_channel_consume(stream.channel, stream.held_len);
	for (unsigned i = 0; i < 100000 && !stream.ended_cnt; i++) {
		pushed += push_until_full(fd, BIG_LEN - pushed);
		prig_turn(&web.rig, 0);
	}
	CHECK(pushed > stuck);
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_OK);
	CHECK_EQ(stream.body_len, BIG_LEN);
	provider_stats(web.rig.provider, &stats);
	CHECK(stats.memory_peak_len <= 18 * 65536);
	CHECK_EQ(stats.memory_used_len, 0);
	close(fd);
	web_fini(&web);
}

static void test_a_slow_server_stops_the_caller(void)
{
	static char much[16000], sink[65536];
	struct prig_stream stream = {.body = NULL};
	struct service_piece piece = {
		.data = (uint8_t *)much, .len = sizeof(much), .is_last = true};
	struct provider_stats stats;
	size_t said = 0, heard = 0;
	struct web web;
	int fd;

	web_init(&web);
	web_open(&web, &stream, "POST", "/", SERVICE_HTTP_BODY_LEN_UNTOLD);
	fd = program_accept(&web.rig, &web.server);
	for (unsigned i = 0; i < 3000; i++) {
		if (service_channel_send(stream.channel, &piece, NULL, NULL) == 0)
			said += sizeof(much);
		prig_turn(&web.rig, 0);
	}
	CHECK(said < 20u * 1024 * 1024);
	provider_stats(web.rig.provider, &stats);
	CHECK(stats.memory_peak_len < 1024 * 1024);
	for (unsigned i = 0; i < 100000 && heard < said; i++) {
		ssize_t n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);

		if (n > 0)
			heard += (size_t)n;
		else
			prig_turn(&web.rig, NS_PER_MS);
	}
	CHECK(heard >= said);
	close(fd);
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
	web_open(&web, &stream, "GET", "/", 0);
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
	web_open(&web, &stream, "GET", "/", 0);
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

static void test_an_exchange_on_which_nothing_moves_ends(void)
{
	struct prig_stream stream = {.body = NULL};
	struct web web;
	int fd;

	web_init(&web);
	web_open(&web, &stream, "GET", "/", 0);
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

static void test_a_caller_who_leaves_ends_the_connection(void)
{
	struct prig_stream stream = {.body = NULL};
	struct web web;
	int fd;

	web_init(&web);
	web_open(&web, &stream, "GET", "/", 0);
	fd = program_accept(&web.rig, &web.server);
	service_channel_end(stream.channel, SERVICE_OK, "");
	prig_run(&web.rig);
	CHECK_EQ(prig_view(&web.rig).active_cnt, 0);
	CHECK_EQ(web.rig.event_cnts[PROVIDER_EVENT_FAILED], 0);
	close(fd);
	web_fini(&web);
}

static void test_calls_and_other_methods_are_told_how(void)
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
		web_open(&web, &streams[i], "GET", "/", 0);
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
	web_open(&web, &stream, "GET", "/", 0);
	fd = program_accept(&web.rig, &web.server);
	CHECK_EQ(provider_withdraw(web.rig.provider, "web", 1, prig_done, &web.rig,
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

/* A provider with room for two slabs: one of heads, and one block of a body. */
static void small_init(struct web *web)
{
	prig_init(&web->rig);
	prig_stop(&web->rig, false);
	web->rig.config.memory_len = 2 * 65536;
	prig_start(&web->rig);
	program_listen_tcp(&web->server, 0);
	web_publish(web, web_spec);
}

static void test_an_exchange_waits_for_memory_and_goes_on(void)
{
	struct prig_stream greedy = {.body = NULL}, modest = {.body = NULL};
	struct provider_stats stats;
	struct web web;
	int fds[2];

	small_init(&web);
	web_open(&web, &greedy, "GET", "/big", 0);
	service_channel_finish(greedy.channel);
	greedy.is_holding = true;
	fds[0] = serve(&web, "HTTP/1.1 200 OK\r\n\r\n");
	for (unsigned i = 0; i < 100; i++) {
		push_until_full(fds[0], BIG_LEN);
		prig_run(&web.rig);
	}
	provider_stats(web.rig.provider, &stats);
	CHECK_EQ(stats.memory_used_len, 65536); /* the block; the slab of heads stays theirs */
	web_open(&web, &modest, "GET", "/", 0);
	service_channel_finish(modest.channel);
	fds[1] = serve(&web, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	prig_run(&web.rig);
	CHECK_EQ(modest.ended_cnt, 0);
	CHECK_EQ(status_of(&modest), 0);
	service_channel_end(greedy.channel, SERVICE_OK, "");
	prig_run(&web.rig);
	prig_pass(&web.rig, 10 * NS_PER_MS);
	CHECK_EQ(status_of(&modest), 200);
	CHECK_EQ(modest.ended_cnt, 1);
	CHECK_EQ(modest.status, SERVICE_OK);
	close(fds[0]);
	close(fds[1]);
	web_fini(&web);
}

static void test_a_body_that_finds_no_memory_ends(void)
{
	static char much[16000];
	struct service_piece piece = {
		.data = (uint8_t *)much, .len = sizeof(much), .is_last = true};
	struct prig_stream stream = {.body = NULL};
	struct provider_stats stats;
	struct web web;
	int fd;

	small_init(&web);
	web_open(&web, &stream, "POST", "/", SERVICE_HTTP_BODY_LEN_UNTOLD);
	fd = program_accept(&web.rig, &web.server);
	for (unsigned i = 0; i < 5000 && !stream.ended_cnt; i++) {
		(void)!service_channel_send(stream.channel, &piece, NULL, NULL);
		prig_turn(&web.rig, 0);
	}
	CHECK_EQ(stream.ended_cnt, 1);
	CHECK_EQ(stream.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(web.rig.event_cnts[PROVIDER_EVENT_FAILED], 0);
	provider_stats(web.rig.provider, &stats);
	CHECK_EQ(stats.memory_used_len, 0);
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
	RUN(test_a_connection_is_used_again_and_made_anew_when_it_closed);
	RUN(test_an_idle_connection_that_closes_is_forgotten);
	RUN(test_answers_that_do_not_keep_their_connection);
	RUN(test_bodies_of_every_framing);
	RUN(test_the_length_of_a_body_that_is_left_away_is_told);
	RUN(test_rubbish_is_answered_by_502);
	RUN(test_64_header_fields_are_not_too_many);
	RUN(test_a_server_that_leaves);
	RUN(test_a_body_of_known_length_is_sent_as_such);
	RUN(test_a_body_of_unknown_length_is_sent_in_chunks);
	RUN(test_a_body_is_as_long_as_its_head_says);
	RUN(test_an_answer_may_come_before_the_end_of_the_request);
	RUN(test_a_slow_caller_stops_the_server_and_memory_stays_flat);
	RUN(test_a_slow_server_stops_the_caller);
	RUN(test_a_server_that_is_not_there);
	RUN(test_a_server_that_does_not_answer);
	RUN(test_an_exchange_on_which_nothing_moves_ends);
	RUN(test_a_caller_who_leaves_ends_the_connection);
	RUN(test_calls_and_other_methods_are_told_how);
	RUN(test_one_request_too_many_is_refused);
	RUN(test_a_withdrawn_service_ends_its_exchanges);
	RUN(test_an_exchange_waits_for_memory_and_goes_on);
	RUN(test_a_body_that_finds_no_memory_ends);
	RUN(test_a_health_path_decides);
	return check_done();
}
