/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_rig.h"

#define HOST "Host: x\r\n"
#define ASK  "GET /stream HTTP/1.1\r\n" HOST "\r\n"

static const struct gateway_reply counted = {.status = 200, .type = "text/plain", .body_len = 5};
static const struct gateway_reply unknown = {
	.status = 200, .type = "text/plain", .body_len = GATEWAY_LEN_UNKNOWN};

static bool ends(const char *text, const char *with)
{
	size_t len = strlen(text), with_len = strlen(with);

	return len >= with_len && strcmp(text + len - with_len, with) == 0;
}

static void more(const char *text)
{
	CHECK_EQ(gateway_reply_more(rig.waiting, text, strlen(text), rig.now_ns), 0);
}

static void test_a_reply_of_unknown_length_comes_in_chunks(void)
{
	rig_start();
	rig_say(ASK);
	gateway_reply_begin(rig.waiting, &unknown, rig.now_ns);
	CHECK(strstr(rig_hear(), "Transfer-Encoding: chunked\r\n"));
	more("abc");
	CHECK_STR(rig_hear(), "3\r\nabc\r\n");
	more("");
	CHECK_STR(rig_hear(), "");
	more("0123456789abcdef");
	gateway_reply_end(rig.waiting, rig.now_ns);
	CHECK_STR(rig_hear(), "10\r\n0123456789abcdef\r\n0\r\n\r\n");
	CHECK(gateway_conn_is_idle(&rig.conn));
	CHECK_EQ(rig.gone_cnt, 0);
	rig_say("GET /tree/next HTTP/1.1\r\n" HOST "\r\n");
	CHECK(ends(rig_hear(), "/tree/next"));
}

static void test_a_reply_of_known_length_has_just_it(void)
{
	static const struct {
		const char *body;
		bool is_kept;
	} rows[] = {{"abcde", true}, {"abcd", false}, {"abcdef", false}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rig_start();
		rig_say(ASK);
		gateway_reply_begin(rig.waiting, &counted, rig.now_ns);
		CHECK(strstr(rig_hear(), "Content-Length: 5\r\n"));
		more(rows[i].body);
		gateway_reply_end(rig.waiting, rig.now_ns);
		CHECK_EQ(gateway_conn_is_over(&rig.conn), !rows[i].is_kept);
	}
}

static void test_an_old_client_reads_to_the_end(void)
{
	rig_start();
	rig_say("GET /stream HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n");
	gateway_reply_begin(rig.waiting, &unknown, rig.now_ns);
	CHECK(strstr(rig.out, "") && strstr(rig_hear(), "Connection: close\r\n"));
	more("abc");
	gateway_reply_end(rig.waiting, rig.now_ns);
	CHECK_STR(rig_hear(), "abc");
	CHECK_EQ(rig.conn.state, CONN_DRAINING);
}

static void test_head_of_a_streamed_reply_has_no_body(void)
{
	const struct gateway_reply *replies[] = {&counted, &unknown};

	for (size_t i = 0; i < 2; i++) {
		rig_start();
		rig_say("HEAD /stream HTTP/1.1\r\n" HOST "\r\n");
		gateway_reply_begin(rig.waiting, replies[i], rig.now_ns);
		more("abcde");
		gateway_reply_end(rig.waiting, rig.now_ns);
		CHECK(ends(rig_hear(), "\r\n\r\n"));
		CHECK(gateway_conn_is_idle(&rig.conn));
	}
}

/* However the bytes are cut, the body is the same, and its end is told once. */
static void test_a_body_comes_in_pieces(void)
{
	static const char *const requests[] = {
		"POST /stream HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789",
		"POST /stream HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		"3\r\n012\r\n6;x=y\r\n345678\r\n1\r\n9\r\n0\r\nTrailer: x\r\n\r\n",
	};

	for (size_t i = 0; i < 2; i++)
		for (size_t step = 1; step < 64; step++) {
			rig_start();
			CHECK_EQ(rig_feed(requests[i], strlen(requests[i]), step),
				 strlen(requests[i]));
			CHECK_STR(rig.taken, "0123456789");
			CHECK_EQ(rig.handled_cnt, 1);
			CHECK_EQ(rig.finished_cnt, 1);
			gateway_reply_begin(rig.waiting, &unknown, rig.now_ns);
			gateway_reply_end(rig.waiting, rig.now_ns);
			rig_hear();
			CHECK(gateway_conn_is_idle(&rig.conn));
		}
}

static void test_the_handler_may_answer_before_the_body_is_there(void)
{
	rig_start();
	rig_say("POST /stream HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n01234");
	gateway_reply_begin(rig.waiting, &unknown, rig.now_ns);
	more("half");
	CHECK(ends(rig_hear(), "4\r\nhalf\r\n"));
	rig_say("56789");
	CHECK_STR(rig.taken, "0123456789");
	CHECK_EQ(rig.finished_cnt, 1);
	gateway_reply_end(rig.waiting, rig.now_ns);
	rig_hear();
	CHECK(gateway_conn_is_idle(&rig.conn));

	/* A handler that has answered does not want the rest. */
	rig_start();
	rig_say("POST /stream HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n01234");
	gateway_reply_text(rig.waiting, 409, "no", rig.now_ns);
	CHECK(strstr(rig_hear(), "Connection: close\r\n"));
	CHECK_EQ(rig.conn.state, CONN_DRAINING);
	rig_say("56789");
	CHECK_STR(rig.taken, "01234");
	CHECK_EQ(rig.finished_cnt + rig.gone_cnt, 0);
}

static bool piece_that_ends(void *arg, const struct gateway_piece *piece, uint64_t now_ns)
{
	rig_piece(arg, piece, now_ns);
	gateway_reply_text(rig.waiting, 409, "no", now_ns);
	return true;
}

static void test_the_handler_may_answer_within_a_piece(void)
{
	static const struct gateway_events events = {.piece = piece_that_ends};

	rig_start();
	rig_say("POST /stream HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
	gateway_watch(rig.waiting, &events, NULL);
	rig_say("1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
	CHECK_STR(rig.taken, "a");
	CHECK_EQ(rig.handled_cnt, 1);
	CHECK_EQ(rig.conn.state, CONN_DRAINING);
}

static void test_a_piece_that_is_held_comes_again(void)
{
	static char flood[4 * CONN_IN_CAP];
	size_t fed;

	rig_start();
	rig.holds = true;
	rig_say("POST /stream HTTP/1.1\r\n" HOST "Content-Length: 64000\r\n\r\n");
	memset(flood, 'f', sizeof(flood));
	fed = rig_feed(flood, 64000, SIZE_MAX);
	CHECK(fed >= CONN_IN_CAP && fed <= 2 * CONN_IN_CAP);
	CHECK_EQ(rig.taken_len, 0);
	CHECK_EQ(gateway_conn_deadline_ns(&rig.conn), UINT64_MAX); /* no test blames the client */
	rig_turn();
	CHECK_EQ(rig.taken_len, 0);
	rig.holds = false;
	rig_turn(); /* not before it is said */
	CHECK_EQ(rig.taken_len, 0);
	gateway_resume(rig.waiting);
	rig_turn();
	CHECK_EQ(rig.taken_len, fed);
	CHECK_EQ(rig_feed(flood + fed, 64000 - fed, SIZE_MAX), 64000 - fed);
	CHECK_EQ(rig.taken_len, 64000);
	CHECK_EQ(rig.finished_cnt, 1);
}

/* The body is over with the piece that is held: its end is still told, without more bytes. */
static void test_a_held_last_piece_and_then_the_end(void)
{
	rig_start();
	rig.holds = true;
	rig_say("POST /stream HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
	CHECK_EQ(rig.finished_cnt, 0);
	rig.holds = false;
	gateway_resume(rig.waiting);
	rig_turn();
	CHECK_STR(rig.taken, "abc");
	CHECK_EQ(rig.finished_cnt, 1);
}

static void test_a_chunked_body_is_exceeded_by_one(void)
{
	static char body[65536];

	memset(body, 'b', sizeof(body));
	for (int over = 0; over <= 1; over++) {
		rig_start();
		rig_say("POST /stream HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
		rig_say(over ? "10000\r\n" : "ffff\r\n");
		(void)rig_feed(body, 65535u + (unsigned)over, 7000);
		if (!over)
			rig_say("\r\n0\r\n\r\n");
		CHECK_EQ(rig.finished_cnt, !over);
		CHECK_EQ(rig.gone_cnt, over);
		CHECK_EQ(strncmp(rig_hear(), "HTTP/1.1 413 ", 13) == 0, over);
	}
}

static void test_bad_framing_behind_a_begun_reply_cuts_it_off(void)
{
	rig_start();
	rig_say("POST /stream HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
	gateway_reply_begin(rig.waiting, &unknown, rig.now_ns);
	rig_say("zz\r\n");
	CHECK_EQ(rig.gone_cnt, 1);
	CHECK(gateway_conn_is_over(&rig.conn));
}

static void test_a_client_is_asked_to_continue_when_no_handler_refused(void)
{
	rig_start();
	rig_say("POST /stream HTTP/1.1\r\n" HOST
		"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	CHECK_STR(rig_hear(), "HTTP/1.1 100 Continue\r\n\r\n");
	rig_say("ab");
	CHECK_EQ(rig.finished_cnt, 1);
	rig_start();
	rig.refuses = true;
	rig_say("POST /stream HTTP/1.1\r\n" HOST
		"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	CHECK(strncmp(rig_hear(), "HTTP/1.1 429 ", 13) == 0);
	CHECK_EQ(rig.conn.state, CONN_DRAINING);
}

static void test_a_body_that_trickles_is_ended_by_408(void)
{
	static char piece[CONN_PROGRESS_LEN];

	memset(piece, 'p', sizeof(piece));
	rig_start();
	rig_say("POST /stream HTTP/1.1\r\n" HOST "Content-Length: 65000\r\n\r\n");
	rig.now_ns += CONN_PROGRESS_NS - 1;
	(void)rig_feed(piece, sizeof(piece), SIZE_MAX);
	CHECK_EQ(gateway_conn_deadline_ns(&rig.conn), rig.now_ns + CONN_PROGRESS_NS);
	rig.now_ns += CONN_PROGRESS_NS - 1;
	(void)rig_feed(piece, sizeof(piece) - 1, SIZE_MAX);
	rig.now_ns++;
	gateway_conn_expire(&rig.conn, rig.now_ns);
	CHECK(strncmp(rig_hear(), "HTTP/1.1 408 ", 13) == 0);
	CHECK_EQ(rig.gone_cnt, 1);
	CHECK_EQ(rig.shared.stats.slow_cnt, 1);
}

static void test_a_client_that_stops_listening_ends_a_streamed_exchange(void)
{
	rig_start();
	rig_say(ASK);
	gateway_conn_eof(&rig.conn);
	CHECK(gateway_conn_is_over(&rig.conn));
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.gone_cnt, 1);
	CHECK_EQ(rig.shared.stats.gone_cnt, 1);
}

static void test_the_handler_hears_when_the_backlog_is_gone(void)
{
	static char piece[GATEWAY_BACKLOG_LOW];
	const char *data;

	rig_start();
	rig_say(ASK);
	gateway_reply_begin(rig.waiting, &unknown, rig.now_ns);
	rig_hear();
	CHECK_EQ(gateway_reply_more(rig.waiting, piece, sizeof(piece), rig.now_ns), 0);
	CHECK(gateway_backlog_len(rig.waiting) > GATEWAY_BACKLOG_LOW);
	while (gateway_backlog_len(rig.waiting) > GATEWAY_BACKLOG_LOW) {
		CHECK_EQ(rig.drained_cnt, 0);
		CHECK(gateway_conn_output(&rig.conn, &data) > 0);
		gateway_conn_sent(&rig.conn, 1, rig.now_ns);
	}
	CHECK_EQ(rig.drained_cnt, 1);
	rig_hear();
	CHECK_EQ(rig.drained_cnt, 1);
}

static void test_exhausted_memory_is_reported_and_comes_back(void)
{
	static char piece[RIG_MEMORY_CAP];
	struct heap_usage usage;

	rig_start();
	rig_say(ASK);
	gateway_reply_begin(rig.waiting, &counted, rig.now_ns);
	rig.conn.reply_left = 2 * sizeof(piece);
	CHECK_EQ(gateway_reply_more(rig.waiting, piece, sizeof(piece), rig.now_ns), 0);
	CHECK_EQ(gateway_reply_more(rig.waiting, piece, sizeof(piece), rig.now_ns), WEFT_EFULL);
	CHECK_EQ(rig.conn.reply_left, sizeof(piece)); /* nothing of it was taken */
	rig_hear();
	heap_usage(rig.heap, &usage);
	CHECK_EQ(usage.used_len, 0);
}

static void test_a_slower_reader_makes_room(void)
{
	static struct gateway_conn slower;
	static char piece[RIG_MEMORY_CAP - 65536];
	struct addr remote = {.family = ADDR_IPV4};
	struct gateway_exchange *exchange;
	char *room;

	rig_start();
	memset(&slower, 0, sizeof(slower));
	gateway_conn_init(&slower, &rig.shared, &remote, rig.now_ns);
	CHECK(gateway_conn_reserve(&slower, &room) >= strlen(ASK));
	memcpy(room, ASK, strlen(ASK));
	gateway_conn_commit(&slower, strlen(ASK), rig.now_ns);
	exchange = rig.waiting;
	gateway_reply_begin(exchange, &unknown, rig.now_ns);
	CHECK_EQ(gateway_reply_more(exchange, piece, sizeof(piece), rig.now_ns), 0);
	rig_say(ASK);
	gateway_reply_begin(rig.waiting, &unknown, rig.now_ns);
	rig.slower = &slower;
	CHECK_EQ(gateway_reply_more(rig.waiting, piece, sizeof(piece), rig.now_ns), 0);
	CHECK_EQ(rig.room_asked_cnt, 1);
	CHECK(gateway_conn_is_over(&slower));
	CHECK_EQ(rig.shared.stats.slow_cnt, 1);
	/* Its handler does not know yet, and may go on for a while. */
	CHECK_EQ(gateway_reply_more(exchange, piece, sizeof(piece), rig.now_ns), 0);
	CHECK_EQ(slower.output.len, 0);
	gateway_conn_fini(&slower);
	rig_drain(SIZE_MAX);
}

static void test_an_exchange_that_is_aborted_is_cut_and_hears_no_more(void)
{
	rig_start();
	rig_say(ASK);
	gateway_reply_begin(rig.waiting, &unknown, rig.now_ns);
	gateway_abort(rig.waiting, rig.now_ns);
	CHECK(gateway_conn_is_over(&rig.conn));
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.gone_cnt, 0);
}

int main(void)
{
	RUN(test_a_reply_of_unknown_length_comes_in_chunks);
	RUN(test_a_reply_of_known_length_has_just_it);
	RUN(test_an_old_client_reads_to_the_end);
	RUN(test_head_of_a_streamed_reply_has_no_body);
	RUN(test_a_body_comes_in_pieces);
	RUN(test_the_handler_may_answer_before_the_body_is_there);
	RUN(test_the_handler_may_answer_within_a_piece);
	RUN(test_a_piece_that_is_held_comes_again);
	RUN(test_a_held_last_piece_and_then_the_end);
	RUN(test_a_chunked_body_is_exceeded_by_one);
	RUN(test_bad_framing_behind_a_begun_reply_cuts_it_off);
	RUN(test_a_client_is_asked_to_continue_when_no_handler_refused);
	RUN(test_a_body_that_trickles_is_ended_by_408);
	RUN(test_a_client_that_stops_listening_ends_a_streamed_exchange);
	RUN(test_the_handler_hears_when_the_backlog_is_gone);
	RUN(test_exhausted_memory_is_reported_and_comes_back);
	RUN(test_a_slower_reader_makes_room);
	RUN(test_an_exchange_that_is_aborted_is_cut_and_hears_no_more);
	return check_done();
}
