/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching over loopback: a thread answers one connection with the bytes of
 * a row and closes. TLS is tested by test_gateway.py with a real server.
 */
#include "http/http_get.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "support/check.h"

#define ANSWER_CAP 16
#define LONG_LEN   40000

static struct {
	int fd;
	uint16_t port;
	const char *answer;
	size_t answer_len;
	bool is_silent; /* takes the request and says nothing until the client is gone */
	int stop_fd;	/* written when the request is there; -1: no pipe */
	char request[2048];
} server;

static bool server_listen(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);

	memset(&server, 0, sizeof(server));
	server.stop_fd = -1;
	server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server.fd, (struct sockaddr *)&sin, len) < 0 || listen(server.fd, 1) < 0 ||
	    getsockname(server.fd, (struct sockaddr *)&sin, &len) < 0)
		return false;
	server.port = ntohs(sin.sin_port);
	return true;
}

static void *server_run(void *arg)
{
	int fd = accept(server.fd, NULL, NULL);
	size_t len = 0, sent = 0;
	ssize_t n = 1;
	char rest[64];

	(void)arg;
	while (n > 0 && len < sizeof(server.request) - 1 && !strstr(server.request, "\r\n\r\n")) {
		n = recv(fd, server.request + len, sizeof(server.request) - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	for (n = 1; n > 0 && sent < server.answer_len; sent += n > 0 ? (size_t)n : 0)
		n = send(fd, server.answer + sent, server.answer_len - sent, MSG_NOSIGNAL);
	if (server.stop_fd >= 0)
		eventfd_write(server.stop_fd, 1);
	while (server.is_silent && recv(fd, rest, sizeof(rest), 0) > 0)
		;
	close(fd);
	return NULL;
}

static int fetch_once(struct http_get *fetch, uint8_t *answer)
{
	char url[64];
	pthread_t thread;
	int err;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/a?b", server.port);
	fetch->url = url;
	fetch->stop_fd = server.stop_fd;
	fetch->method = fetch->method ? fetch->method : "GET";
	fetch->timeout_ns = fetch->timeout_ns ? fetch->timeout_ns : 20 * NS_PER_S;
	fetch->answer = answer;
	fetch->answer_cap = ANSWER_CAP;
	if (pthread_create(&thread, NULL, server_run, NULL) != 0)
		return -EAGAIN;
	err = http_get_run(fetch);
	pthread_join(thread, NULL);
	close(server.fd);
	return err;
}

static void test_answers_are_read_in_every_framing(void)
{
	static const struct {
		const char *answer;
		int err;
		unsigned status;
		const char *body;
	} rows[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 0, 200, "hi"},
		{"HTTP/1.1 200 OK\r\n\r\nuntil the end", 0, 200, "until the end"},
		{"HTTP/1.0 200 OK\r\n\r\nold", 0, 200, "old"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
		 0, 200, "abc"},
		{"HTTP/1.1 204 No Content\r\n\r\n", 0, 204, ""},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 0,
		 200, "x"},
		{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 0, 404, ""},
		/* Told, not followed. */
		{"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
		 0, 302, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n0123456789abcdef", 0, 200,
		 "0123456789abcdef"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n0123456789abcdefg", WEFT_ETOOLARGE,
		 0, NULL},
		{"HTTP/1.1 200 OK\r\n\r\n0123456789abcdefg", WEFT_ETOOLARGE, 0, NULL},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", WEFT_EUNREACHABLE, 0, NULL},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
		 WEFT_EUNREACHABLE, 0, NULL},
		{"", WEFT_EUNREACHABLE, 0, NULL},
		{"HTTP/1.1 200", WEFT_EUNREACHABLE, 0, NULL},
		{"SSH-2.0-OpenSSH_10\r\n", WEFT_EMALFORMED, 0, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_get fetch = {.url = NULL};
		uint8_t answer[ANSWER_CAP];
		int err;

		CHECK(server_listen());
		server.answer = rows[i].answer;
		server.answer_len = strlen(rows[i].answer);
		err = fetch_once(&fetch, answer);
		if (err != rows[i].err || fetch.status != rows[i].status)
			printf("# %.60s\n", rows[i].answer);
		CHECK_EQ(err, rows[i].err);
		CHECK_EQ(fetch.status, rows[i].status);
		if (rows[i].body) {
			CHECK_EQ(fetch.answer_len, strlen(rows[i].body));
			CHECK_MEM(answer, rows[i].body, fetch.answer_len);
		}
	}
}

static void test_the_request_is_as_http_wants_it(void)
{
	struct http_get fetch = {
		.method = "PUT", .body = "body", .body_len = 4, .body_type = "text/plain"};
	uint8_t answer[ANSWER_CAP];
	char want[256];

	CHECK(server_listen());
	server.answer = "HTTP/1.1 204 No Content\r\n\r\n";
	server.answer_len = strlen(server.answer);
	CHECK_EQ(fetch_once(&fetch, answer), 0);
	snprintf(want, sizeof(want),
		 "PUT /a?b HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: weft\r\nAccept: */*\r\n"
		 "Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n",
		 server.port);
	CHECK(strncmp(server.request, want, strlen(want)) == 0);
}

/* A caller that puts something wants the status alone, however long the answer is. */
static void test_an_unwanted_body_is_discarded(void)
{
	static char answer_text[LONG_LEN / 4];
	struct http_get fetch = {.url = NULL};

	memset(answer_text, 'a', sizeof(answer_text));
	memcpy(answer_text, "HTTP/1.1 500 X\r\n\r\n", 18);
	CHECK(server_listen());
	server.answer = answer_text;
	server.answer_len = sizeof(answer_text);
	CHECK_EQ(fetch_once(&fetch, NULL), 0);
	CHECK_EQ(fetch.status, 500);
	CHECK_EQ(fetch.answer_len, 0);
}

static void test_a_header_without_end_is_cut_off(void)
{
	static char answer_text[LONG_LEN];
	struct http_get fetch = {.url = NULL};
	uint8_t answer[ANSWER_CAP];

	memset(answer_text, 'a', sizeof(answer_text));
	memcpy(answer_text, "HTTP/1.1 200 OK\r\nA: ", 20);
	CHECK(server_listen());
	server.answer = answer_text;
	server.answer_len = sizeof(answer_text);
	CHECK_EQ(fetch_once(&fetch, answer), WEFT_ETOOLARGE);
}

static void test_silence_ends_at_the_time_limit(void)
{
	struct http_get fetch = {.timeout_ns = 50 * NS_PER_MS};
	uint8_t answer[ANSWER_CAP];

	CHECK(server_listen());
	server.is_silent = true;
	CHECK_EQ(fetch_once(&fetch, answer), WEFT_ETIMEOUT);
}

static void test_it_stops_as_soon_as_it_is_cancelled(void)
{
	struct http_get fetch = {.timeout_ns = 600 * NS_PER_S};
	uint8_t answer[ANSWER_CAP];

	CHECK(server_listen());
	server.is_silent = true;
	server.stop_fd = eventfd(0, EFD_CLOEXEC);
	CHECK_EQ(fetch_once(&fetch, answer), WEFT_ECANCELLED);
	close(server.stop_fd);
}

static void test_an_unbound_port_is_unreachable(void)
{
	struct http_get fetch = {.method = "GET", .timeout_ns = 20 * NS_PER_S, .stop_fd = -1};
	char url[64];

	CHECK(server_listen());
	close(server.fd);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", server.port);
	fetch.url = url;
	CHECK_EQ(http_get_run(&fetch), WEFT_EUNREACHABLE);
	fetch.url = "gopher://127.0.0.1/";
	CHECK_EQ(http_get_run(&fetch), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_answers_are_read_in_every_framing);
	RUN(test_the_request_is_as_http_wants_it);
	RUN(test_an_unwanted_body_is_discarded);
	RUN(test_a_header_without_end_is_cut_off);
	RUN(test_silence_ends_at_the_time_limit);
	RUN(test_it_stops_as_soon_as_it_is_cancelled);
	RUN(test_an_unbound_port_is_unreachable);
	return check_done();
}
