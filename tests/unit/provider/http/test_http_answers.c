/* SPDX-License-Identifier: Apache-2.0 */
/* What a server answers, well and badly. */
#include "unit/provider/http_rig.h"

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
		api_http_open(&web, &stream, "GET", "/", 0);
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
		api_http_open(&web, &stream, rows[i].verb, "/", 0);
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

static void test_the_length_of_an_omitted_body_is_reported(void)
{
	struct prig_stream stream = {.body = NULL};
	struct service_http_answer answer;
	struct web web;
	int fd;

	web_init(&web);
	api_http_open(&web, &stream, "HEAD", "/", 0);
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
		api_http_open(&web, &stream, "GET", "/", 0);
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
	api_http_open(&web, &stream, "GET", "/", 0);
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
		api_http_open(&web, &stream, "GET", "/", 0);
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

static void test_a_location_at_the_server_is_passed_on_as_its_path(void)
{
	static const struct {
		const char *before, *behind; /* of the server's address */
		const char *want;	     /* NULL: as it is */
	} rows[] = {
		{"http://", "/login?x=1", "/login?x=1"},
		{"HTTP://", "", "/"},
		{"/login?of=", "", NULL},
		{"http://", "1/", NULL},
		{"http://", ".example/", NULL},
		{"https://", "/", NULL},
		{"http://example.org/", "", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prig_stream stream = {.body = NULL};
		char location[256], answer[512];
		struct web web;

		web_init(&web);
		api_http_open(&web, &stream, "GET", "/", 0);
		service_channel_finish(stream.channel);
		snprintf(location, sizeof(location), "%s%s%s", rows[i].before, web.server.target,
			 rows[i].behind);
		snprintf(answer, sizeof(answer),
			 "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
			 location);
		close(serve(&web, answer));
		CHECK(header_is(&stream, "location", rows[i].want ? rows[i].want : location));
		web_fini(&web);
	}
}

static void test_a_silent_stream_of_events_is_kept_by_comments(void)
{
	static const struct {
		const char *answer, *want;
		bool is_kept;
	} rows[] = {
		{"Content-Type: text/event-stream; charset=utf-8\r\n\r\ndata: 1\n\n",
		 "data: 1\n\n:\n:\n:\n:\n:\n:\n:\n:\n", true},
		{"Content-Type: text/event-stream\r\n\r\n", ":\n:\n:\n:\n:\n:\n:\n:\n", true},
		{"Content-Type: text/event-stream\r\n\r\ndata: 1", "data: 1", false},
		{"Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n", "", false},
		{"Content-Type: text/plain\r\n\r\nx\n", "x\n", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char body[64] = "", answer[256];
		struct prig_stream stream = {.body = body, .body_cap = sizeof(body)};
		struct web web;
		int fd;

		web_init(&web);
		api_http_open(&web, &stream, "GET", "/", 0);
		service_channel_finish(stream.channel);
		snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n%s", rows[i].answer);
		fd = serve(&web, answer);
		for (unsigned s = 0; s < 125; s++)
			prig_pass(&web.rig, NS_PER_S);
		CHECK_EQ(stream.ended_cnt, !rows[i].is_kept);
		CHECK_EQ(stream.body_len, strlen(rows[i].want));
		CHECK_MEM(body, rows[i].want, strlen(rows[i].want));
		close(fd);
		web_fini(&web);
	}
}

int main(void)
{
	RUN(test_a_location_at_the_server_is_passed_on_as_its_path);
	RUN(test_a_silent_stream_of_events_is_kept_by_comments);
	RUN(test_answers_that_do_not_keep_their_connection);
	RUN(test_bodies_of_every_framing);
	RUN(test_the_length_of_an_omitted_body_is_reported);
	RUN(test_rubbish_is_answered_by_502);
	RUN(test_64_header_fields_are_not_too_many);
	RUN(test_a_server_that_leaves);
	return check_done();
}
