/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_rig.h"

#define HOST "Host: x\r\n"
#define AUTH "X-Weft-Token: " RIG_TOKEN "\r\n"

static bool begins(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) == 0)
		return true;
	printf("# %.60s\n", text);
	return false;
}

static bool ends(const char *text, const char *with)
{
	size_t len = strlen(text), with_len = strlen(with);

	return len >= with_len && strcmp(text + len - with_len, with) == 0;
}

static void test_a_request_reaches_its_route_and_is_answered(void)
{
	rig_start();
	rig_say("GET /tree/a/b?c=d HTTP/1.1\r\n" HOST
		"x-test:  v \r\nX-Test: second\r\nEmpty:\r\n\r\n");
	CHECK_STR(rig_hear(), "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
			      "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
			      "Referrer-Policy: no-referrer\r\n"
			      "Content-Security-Policy: default-src 'none'; "
			      "form-action 'none'; frame-ancestors 'none'\r\n"
			      "Cross-Origin-Resource-Policy: same-origin\r\n"
			      "Content-Type: text/plain\r\nContent-Length: 9\r\n"
			      "X-Reply: yes\r\n\r\n/tree/a/b");
	CHECK_STR(rig.path, "/tree/a/b");
	CHECK_STR(rig.query, "c=d");
	CHECK_STR(rig.header, "v");
	CHECK_EQ(rig.method, GATEWAY_GET);
	CHECK_EQ(rig.shared.stats.request_cnt, 1);
	CHECK(gateway_conn_is_idle(&rig.conn) && !gateway_conn_is_over(&rig.conn));
}

/* However the bytes are cut, the requests and the answers are the same. */
static void test_pieces_of_any_size_and_pipelining(void)
{
	static const char requests[] =
		"PUT /public HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
		"\r\nPUT /public HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		"2;ext=1\r\nab\r\n3\r\ncde\r\n0\r\nTrailer: x\r\n\r\n"
		"GET http://x/tree/ HTTP/1.1\r\n" HOST "\r\n"
		"GET /public HTTP/1.1\r\n" HOST "X-Test: last\r\n\r\n";
	char whole[4096];

	rig_start();
	rig_say(requests);
	CHECK_EQ(rig.handled_cnt, 4);
	CHECK_STR(rig.header, "last");
	snprintf(whole, sizeof(whole), "%s", rig_hear());
	CHECK(strstr(whole, "\r\n\r\nhelloHTTP/1.1 200 OK\r\n"));
	CHECK(strstr(whole, "\r\n\r\nabcdeHTTP/1.1 200 OK\r\n"));
	CHECK(strstr(whole, "\r\n\r\n/tree/HTTP/1.1 200 OK\r\n"));
	for (size_t step = 1; step < 40; step++) {
		rig_start();
		CHECK_EQ(rig_feed(requests, strlen(requests), step), strlen(requests));
		CHECK_EQ(rig.handled_cnt, 4);
		CHECK_STR(rig_hear(), whole);
	}
}

static void test_a_reply_may_come_later_and_the_next_request_waits(void)
{
	struct gateway_reply reply = {.status = 204};

	rig_start();
	rig_say("GET /wait HTTP/1.1\r\n" HOST "\r\nGET /tree/x HTTP/1.1\r\n" HOST "\r\n");
	CHECK_STR(rig_hear(), "");
	CHECK_EQ(rig.handled_cnt, 1);
	CHECK(rig.waiting);
	CHECK_EQ(gateway_conn_deadline_ns(&rig.conn), UINT64_MAX);
	gateway_reply(rig.waiting, &reply, rig.now_ns);
	CHECK(rig.woken_cnt >= 1);
	CHECK(ends(rig_hear(), "/tree/x"));
	CHECK_EQ(rig.handled_cnt, 2);
	CHECK_EQ(rig.gone_cnt, 0);
}

static void test_while_a_reply_is_owed_no_more_is_taken_than_the_buffer_holds(void)
{
	static char flood[3 * CONN_IN_CAP];

	rig_start();
	rig_say("GET /wait HTTP/1.1\r\n" HOST "\r\n");
	memset(flood, '\n', sizeof(flood));
	CHECK_EQ(rig_feed(flood, sizeof(flood), SIZE_MAX), CONN_IN_CAP);
}

static void test_a_client_that_leaves_is_reported_to_the_handler_once(void)
{
	rig_start();
	rig_say("GET /wait HTTP/1.1\r\n" HOST "\r\n");
	gateway_conn_eof(&rig.conn);
	CHECK(!gateway_conn_is_over(&rig.conn)); /* half closed: it still listens */
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.gone_cnt, 1);
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.gone_cnt, 1);
}

static void test_head_sends_no_body_and_says_its_length(void)
{
	rig_start();
	rig_say("HEAD /tree/abc HTTP/1.1\r\n" HOST "\r\n");
	CHECK_EQ(rig.method, GATEWAY_GET);
	CHECK(strstr(rig.out, "Content-Length: 9\r\n"));
	CHECK(ends(rig_hear(), "\r\n\r\n"));
	rig_say("HEAD /nowhere HTTP/1.1\r\n" HOST "\r\n");
	CHECK(ends(rig_hear(), "\r\n\r\n"));
	rig_say("GET /tree/abc HTTP/1.1\r\n" HOST "\r\n");
	CHECK(ends(rig_hear(), "/tree/abc"));
}

static void test_persistence_follows_version_and_connection(void)
{
	static const struct {
		const char *request;
		const char *says;
		bool is_kept;
	} rows[] = {
		{"GET /tree/ HTTP/1.1\r\n" HOST "\r\n", "Content-Length", true},
		{"GET /tree/ HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "Connection: close",
		 false},
		{"GET /tree/ HTTP/1.0\r\n\r\n", "Connection: close", false},
		{"GET /tree/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "Connection: keep-alive",
		 true},
		/* Offers of other protocols are declined by staying. */
		{"GET /tree/ HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
		 "200 OK", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rig_start();
		rig_say(rows[i].request);
		CHECK(strstr(rig.out, rows[i].says));
		CHECK_EQ(rig.conn.state == CONN_READING, rows[i].is_kept);
	}
}

static void test_a_fault_is_answered_by_its_status(void)
{
	static const struct {
		const char *request;
		const char *status;
		bool is_kept;
	} rows[] = {
		{"\x16\x03\x01\x02", "400", false},
		{"GET /tree/\r\n\r\n", "400", false},
		{"GET /tree/ HTTP/1.1\r\n\r\n", "400", false},
		{"GET /tree/ HTTP/1.1\r\n" HOST HOST "\r\n", "400", false},
		{"GET tree HTTP/1.1\r\n" HOST "\r\n", "400", false},
		{"GET http://host HTTP/1.1\r\n" HOST "\r\n", "400", false},
		{"CONNECT host:1 HTTP/1.1\r\n" HOST "\r\n", "400", false},
		{"GET /tree/ HTTP/1.1\r\n" HOST "A : b\r\n\r\n", "400", false},
		{"GET /tree/ HTTP/1.1\r\n" HOST "A: b\r\n folded\r\n\r\n", "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		 "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST
		 "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		 "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\n", "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400",
		 false},
		{"GET /nowhere HTTP/1.1\r\n" HOST "\r\n", "404", true},
		{"PUT /nowhere HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n", "404", false},
		{"GET /tree HTTP/1.1\r\n" HOST "\r\n", "404", true},
		{"GET /publicity HTTP/1.1\r\n" HOST "\r\n", "404", true},
		{"GET /only HTTP/1.1\r\n" HOST AUTH "\r\n", "405", true},
		{"HEAD /only HTTP/1.1\r\n" HOST AUTH "\r\n", "405", true},
		/* What a proxy in front might read otherwise. */
		{"PUT /public HTTP/1.1\r\n" HOST
		 "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
		 "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
		 "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\na", "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\na", "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\na", "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\na", "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST
		 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		 "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n", "400",
		 false},
		{"PUT /public HTTP/1.1\r\n" HOST
		 "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		 "501", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", "501",
		 false},
		{"PUT /public HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n", "400",
		 false},
		{"PUT /public HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
		 "chunked\r\n\r\n",
		 "400", false},
		{"PUT /public HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		 "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST
		 "Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
		 "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n",
		 "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n",
		 "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST
		 "Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\nx\r\n",
		 "400", false},
		{"PUT /public HTTP/1.1\r\n" HOST
		 "Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
		 "400", false},
		{"GET /tree/ HTTP/1.1\n" HOST "\r\n", "400", false},
		{"GET /tree/ HTTP/1.1\r\n" HOST "A: b\n\r\n", "400", false},
		{"GET /tree/ HTTP/1.1\r\n" HOST "A: b\rC: d\r\n\r\n", "400", false},
		{"GET /tree/ HTTP/1.1\r\n" HOST "A\r\n\r\n", "400", false},
		{"GET /tree/ HTTP/1.1\r\n" HOST " A: b\r\n\r\n", "400", false},
		{"GET /tree/\x01 HTTP/1.1\r\n" HOST "\r\n", "400", false},
		{"BREW /only HTTP/1.1\r\n" HOST AUTH "\r\n", "400", false},
		{"PATCH /only HTTP/1.1\r\n" HOST AUTH "\r\n", "405", true},
		{"DELETE /public HTTP/1.1\r\n" HOST "\r\n", "405", true},
		{"PUT /public HTTP/1.1\r\n" HOST "Content-Length: 33\r\n\r\n", "413", false},
		{"PUT /wait HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\n", "413", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n",
		 "400", false},
		{"PUT /wait HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		 "5\r\nabcde\r\n4\r\nfghi\r\n",
		 "413", false},
		{"PUT /public HTTP/1.1\r\n" HOST "Expect: cake\r\nContent-Length: 1\r\n\r\n", "417",
		 false},
		{"GET /tree/ HTTP/2.0\r\n" HOST "\r\n", "505", false},
		{"GET /long HTTP/1.1\r\n" HOST "\r\n", "503", true},
		{"GET /instead HTTP/1.1\r\n\r\n", "400", false},
		{"GET /instead HTTP/1.1\r\nHost: foreign\r\n\r\n", "404", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char want[16];

		rig_start();
		rig_say(rows[i].request);
		snprintf(want, sizeof(want), "HTTP/1.1 %s ", rows[i].status);
		if (!begins(rig.out, want))
			printf("# %s\n", rows[i].request);
		CHECK(begins(rig.out, want));
		CHECK_EQ(rig.conn.state == CONN_READING, rows[i].is_kept);
		if (!rows[i].is_kept) {
			CHECK(strstr(rig.out, "Connection: close\r\n"));
			CHECK_EQ(rig.shared.stats.malformed_cnt, 1);
		}
	}
}

static void test_lengths_are_exceeded_by_one(void)
{
	static char request[2 * CONN_HEAD_CAP];
	static char filler[2 * CONN_HEAD_CAP];

	memset(filler, 'a', sizeof(filler) - 1);
	for (int over = 0; over <= 1; over++) {
		rig_start();
		snprintf(request, sizeof(request), "GET /tree/%.*s HTTP/1.1\r\n" HOST "\r\n",
			 CONN_TARGET_MAX - 6 + over, filler);
		rig_say(request);
		CHECK(begins(rig.out, over ? "HTTP/1.1 414" : "HTTP/1.1 200"));

		/* "/tree/", "Host", "x", "A" and the long value, each with its NUL. */
		rig_start();
		snprintf(request, sizeof(request), "GET /tree/ HTTP/1.1\r\n" HOST "A: %.*s\r\n\r\n",
			 CONN_HEAD_CAP - 7 - 5 - 2 - 2 - 1 + over, filler);
		rig_say(request);
		CHECK(begins(rig.out, over ? "HTTP/1.1 431" : "HTTP/1.1 200"));

		/* The last NUL is that of an empty value. */
		rig_start();
		snprintf(request, sizeof(request),
			 "GET /tree/ HTTP/1.1\r\n" HOST "A: %.*s\r\nB:\r\n\r\n",
			 CONN_HEAD_CAP - 7 - 5 - 2 - 2 - 1 - 2 - 1 + over, filler);
		rig_say(request);
		CHECK(begins(rig.out, over ? "HTTP/1.1 431" : "HTTP/1.1 200"));

		rig_start();
		rig_say("GET /tree/ HTTP/1.1\r\n" HOST);
		for (int i = 1; i < CONN_HEADERS_MAX + over; i++)
			rig_say("A:\r\n");
		rig_say("\r\n");
		CHECK(begins(rig.out, over ? "HTTP/1.1 431" : "HTTP/1.1 200"));

		rig_start();
		snprintf(request, sizeof(request),
			 "PUT /public HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n%.*s",
			 RIG_BODY_CAP + over, RIG_BODY_CAP + over, filler);
		rig_say(request);
		CHECK(begins(rig.out, over ? "HTTP/1.1 413" : "HTTP/1.1 200"));
	}
}

static void test_framing_without_end_is_cut_off(void)
{
	static char extension[1024];

	memset(extension, 'e', sizeof(extension) - 1);
	rig_start();
	rig_say("PUT /public HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;");
	for (int i = 0; i < 64 && rig.conn.state == CONN_READING; i++)
		rig_say(extension);
	CHECK(begins(rig.out, "HTTP/1.1 400"));
	CHECK(rig.conn.raw_len <=
	      CONN_HEAD_CAP + CONN_FRAMING_MAX + 2 * RIG_BODY_CAP + CONN_IN_CAP);
}

static void test_chunk_extensions_and_trailers_are_bounded_together(void)
{
	char unread[CONN_UNREAD_MAX + 2], request[2 * CONN_UNREAD_MAX];

	for (size_t len = CONN_UNREAD_MAX; len <= CONN_UNREAD_MAX + 1; len++) {
		memset(unread, 'e', len);
		unread[len] = '\0';
		rig_start();
		/* Half of it in each of two chunks, of a body that may be much longer. */
		snprintf(request, sizeof(request),
			 "POST /stream HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
			 "1;%.*s\r\na\r\n1;%s\r\nb\r\n0\r\n\r\n",
			 CONN_UNREAD_MAX / 2, unread, unread + CONN_UNREAD_MAX / 2);
		rig_say(request);
		CHECK_EQ(rig.finished_cnt, len == CONN_UNREAD_MAX);
		CHECK_EQ(begins(rig_hear(), "HTTP/1.1 400"), len > CONN_UNREAD_MAX);
		rig_start();
		snprintf(request, sizeof(request),
			 "POST /stream HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
			 "1\r\na\r\n0\r\nT: %s\r\n\r\n",
			 unread + 1);
		rig_say(request);
		CHECK_EQ(rig.finished_cnt, len == CONN_UNREAD_MAX);
	}
}

static void test_a_client_is_asked_to_send_its_body(void)
{
	rig_start();
	rig_say("PUT /public HTTP/1.1\r\n" HOST
		"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	CHECK_STR(rig_hear(), "HTTP/1.1 100 Continue\r\n\r\n");
	rig_say("ab");
	CHECK_STR(rig.got, "ab");
	CHECK(ends(rig_hear(), "\r\n\r\nab"));
	rig_say("PUT /public HTTP/1.1\r\n" HOST
		"Expect: 100-continue\r\nContent-Length: 33\r\n\r\n");
	CHECK(begins(rig_hear(), "HTTP/1.1 413"));
}

static void test_other_origins_may_call_public_routes_alone(void)
{
	static const char *const requests[] = {
		"GET /public HTTP/1.1\r\n" HOST "\r\n",
		"DELETE /public HTTP/1.1\r\n" HOST "\r\n",
		"OPTIONS /public HTTP/1.1\r\n" HOST "Origin: http://o\r\n\r\n",
		"PUT /public HTTP/1.1\r\n" HOST "Content-Length: 33\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		rig_start();
		rig_say(requests[i]);
		CHECK(strstr(rig.out, "Access-Control-Allow-Origin: *\r\n"));
	}
	rig_start();
	rig_say(requests[2]);
	CHECK(begins(rig.out, "HTTP/1.1 204 No Content\r\n"));
	CHECK(strstr(rig.out, "Access-Control-Allow-Methods: GET, HEAD, PUT, OPTIONS\r\n"));
	CHECK(strstr(rig.out, "Allow: GET, HEAD, PUT, OPTIONS\r\n"));
	CHECK(!strstr(rig.out, "Content-Length"));
	CHECK_EQ(rig.handled_cnt, 0);
	rig_start();
	rig_say("OPTIONS /only HTTP/1.1\r\n" HOST AUTH "\r\n");
	CHECK(begins(rig.out, "HTTP/1.1 204"));
	CHECK(!strstr(rig.out, "Access-Control"));
}

static void test_a_client_that_asks_too_often_is_asked_to_wait(void)
{
	rig_start();
	rig.refuses = true;
	rig_say("GET /public HTTP/1.1\r\n" HOST "\r\n");
	CHECK(strstr(rig.out, "Retry-After: 1\r\n"));
	CHECK(begins(rig_hear(), "HTTP/1.1 429 "));
	CHECK_EQ(rig.shared.stats.limited_cnt, 1);
	CHECK_EQ(rig.handled_cnt, 0);
	rig.refuses = false;
	rig_say("GET /public HTTP/1.1\r\n" HOST "\r\n");
	CHECK(begins(rig_hear(), "HTTP/1.1 200 "));
}

static void expire_at(uint64_t now_ns)
{
	rig.now_ns = now_ns;
	gateway_conn_expire(&rig.conn, now_ns);
}

static void test_a_head_that_dribbles_is_answered_by_408_and_closed(void)
{
	rig_start();
	rig_say("GET /tree/ HT");
	CHECK_EQ(gateway_conn_deadline_ns(&rig.conn), rig.now_ns + CONN_HEAD_NS);
	/* A byte now and then does not help. */
	rig.now_ns += CONN_HEAD_NS - 1;
	rig_say("TP");
	expire_at(rig.now_ns);
	CHECK_EQ(rig.conn.state, CONN_READING);
	expire_at(rig.now_ns + 1);
	CHECK(begins(rig_hear(), "HTTP/1.1 408 "));
	CHECK_EQ(rig.shared.stats.slow_cnt, 1);
	CHECK_EQ(gateway_conn_deadline_ns(&rig.conn), rig.now_ns + CONN_DRAIN_NS);
	rig_say("what still comes is thrown away");
	CHECK(!gateway_conn_is_over(&rig.conn));
	expire_at(rig.now_ns + CONN_DRAIN_NS);
	CHECK(gateway_conn_is_over(&rig.conn));
}

static void test_a_slow_request_is_answered_by_408(void)
{
	uint64_t began_ns;

	rig_start();
	began_ns = rig.now_ns;
	rig_say("PUT /public HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n");
	CHECK_EQ(gateway_conn_deadline_ns(&rig.conn), began_ns + CONN_REQUEST_NS);
	rig.now_ns = began_ns + CONN_REQUEST_NS - 1;
	rig_say("b");
	expire_at(rig.now_ns);
	CHECK_EQ(rig.conn.state, CONN_READING);
	expire_at(began_ns + CONN_REQUEST_NS);
	CHECK(begins(rig_hear(), "HTTP/1.1 408 "));
}

static void test_an_idle_connection_is_closed_without_a_word(void)
{
	rig_start();
	expire_at(rig.now_ns + CONN_IDLE_NS - 1);
	CHECK(!gateway_conn_is_over(&rig.conn));
	expire_at(rig.now_ns + 1);
	CHECK(gateway_conn_is_over(&rig.conn));
	CHECK_STR(rig_hear(), "");
	CHECK_EQ(rig.shared.stats.slow_cnt, 0);
}

/* A byte now and then is no progress. */
static void test_a_client_that_does_not_read_is_dropped(void)
{
	static char body[3 * CONN_PROGRESS_LEN];
	struct gateway_reply reply = {.status = 200, .body = body, .body_len = sizeof(body)};

	rig_start();
	rig_say("GET /wait HTTP/1.1\r\n" HOST "\r\n");
	rig.now_ns += 10 * CONN_PROGRESS_NS;
	gateway_reply(rig.waiting, &reply, rig.now_ns);
	rig.now_ns += CONN_PROGRESS_NS - 1;
	expire_at(rig.now_ns);
	CHECK(!gateway_conn_is_over(&rig.conn));
	gateway_conn_sent(&rig.conn, CONN_PROGRESS_LEN, rig.now_ns);
	expire_at(rig.now_ns + CONN_PROGRESS_NS - 1);
	CHECK(!gateway_conn_is_over(&rig.conn));
	gateway_conn_sent(&rig.conn, CONN_PROGRESS_LEN - 1, rig.now_ns);
	expire_at(rig.now_ns + 1);
	CHECK(gateway_conn_is_over(&rig.conn));
	CHECK_EQ(rig.shared.stats.slow_cnt, 1);
}

static void test_the_end_of_the_input_ends_what_is_not_begun_or_owed(void)
{
	rig_start();
	gateway_conn_eof(&rig.conn);
	CHECK(gateway_conn_is_over(&rig.conn));
	rig_start();
	rig_say("GET /tree/ HTTP/1.1\r\n");
	gateway_conn_eof(&rig.conn);
	CHECK(gateway_conn_is_over(&rig.conn));
}

int main(void)
{
	RUN(test_a_request_reaches_its_route_and_is_answered);
	RUN(test_pieces_of_any_size_and_pipelining);
	RUN(test_a_reply_may_come_later_and_the_next_request_waits);
	RUN(test_while_a_reply_is_owed_no_more_is_taken_than_the_buffer_holds);
	RUN(test_a_client_that_leaves_is_reported_to_the_handler_once);
	RUN(test_head_sends_no_body_and_says_its_length);
	RUN(test_persistence_follows_version_and_connection);
	RUN(test_a_fault_is_answered_by_its_status);
	RUN(test_lengths_are_exceeded_by_one);
	RUN(test_framing_without_end_is_cut_off);
	RUN(test_chunk_extensions_and_trailers_are_bounded_together);
	RUN(test_a_client_is_asked_to_send_its_body);
	RUN(test_other_origins_may_call_public_routes_alone);
	RUN(test_a_client_that_asks_too_often_is_asked_to_wait);
	RUN(test_a_head_that_dribbles_is_answered_by_408_and_closed);
	RUN(test_a_slow_request_is_answered_by_408);
	RUN(test_an_idle_connection_is_closed_without_a_word);
	RUN(test_a_client_that_does_not_read_is_dropped);
	RUN(test_the_end_of_the_input_ends_what_is_not_begun_or_owed);
	return check_done();
}
