/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/gateway/gateway_rig.h"

#define HOST	"Host: x\r\n"
#define KEY	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define OPENING "GET /socket HTTP/1.1\r\n" HOST UPGRADE KEY VERSION "\r\n"

static void open_socket(void)
{
	rig_start();
	rig_say(OPENING);
	CHECK_STR(rig_hear(), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			      "Connection: Upgrade\r\n"
			      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
	CHECK_EQ(rig.shared.stats.socket_cnt, 1);
}

/* frame writes a client's frame of first byte (FIN, opcode) to out; its length. */
static size_t frame(uint8_t first, const void *payload, size_t len, uint8_t *out)
{
	struct websocket_head head = {.opcode = first & 15,
				      .is_final = first & 0x80,
				      .is_masked = true,
				      .mask = {0x37, 0xfa, 0x21, 0x3d},
				      .len = len};
	size_t at = http_websocket_head_write(&head, out);

	if (len)
		memcpy(out + at, payload, len);
	http_websocket_mask(out + at, len, head.mask, 0);
	return at + len;
}

static void send_frame(uint8_t first, const void *payload, size_t len)
{
	static uint8_t bytes[70000];

	(void)rig_feed((char *)bytes, frame(first, payload, len, bytes), SIZE_MAX);
}

static void send_text(uint8_t first, const char *text)
{
	send_frame(first, text, strlen(text));
}

/* closes_with: the server sent a close of code and ended. */
static bool closes_with(unsigned code)
{
	const uint8_t *heard = (const uint8_t *)rig.out;
	bool good = rig.out_len >= 4 && heard[0] == 0x88 &&
		    (unsigned)(heard[2] << 8 | heard[3]) == code;

	if (!good)
		printf("# %zu bytes, %02x, %u\n", rig.out_len, heard[0],
		       (unsigned)(heard[2] << 8 | heard[3]));
	return good && rig.conn.state == CONN_DRAINING && rig.gone_cnt == 1;
}

static void test_handshakes_that_are_none_are_refused(void)
{
	static const struct {
		const char *request;
		const char *status;
	} rows[] = {
		{"GET /socket HTTP/1.1\r\n" HOST "\r\n", "400"},
		{"GET /socket HTTP/1.1\r\n" HOST UPGRADE VERSION "\r\n", "400"},
		{"GET /socket HTTP/1.1\r\n" HOST UPGRADE KEY "\r\n", "426"},
		{"GET /socket HTTP/1.1\r\n" HOST UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n",
		 "426"},
		{"GET /socket HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n" KEY VERSION "\r\n",
		 "400"},
		{"GET /socket HTTP/1.1\r\n" HOST "Connection: Upgrade\r\n" KEY VERSION "\r\n",
		 "400"},
		{"GET /socket HTTP/1.1\r\n" HOST UPGRADE "Sec-WebSocket-Key: short\r\n" VERSION
		 "\r\n",
		 "400"},
		{"HEAD /socket HTTP/1.1\r\n" HOST UPGRADE KEY VERSION "\r\n", "400"},
		{"GET /socket HTTP/1.0\r\n" HOST UPGRADE KEY VERSION "\r\n", "400"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rig_start();
		rig_say(rows[i].request);
		CHECK_EQ(strncmp(rig.out + strlen("HTTP/1.1 "), rows[i].status, 3), 0);
		CHECK_EQ(rig.handled_cnt, 0);
	}
}

/* other_is_refused: one more connection asks for a WebSocket, and there is no place. */
static bool other_is_refused(void)
{
	struct addr remote = {.family = ADDR_IPV4, .ip = {192, 0, 2, 2}, .port = 1};
	static struct gateway_conn other;
	bool is_refused;
	const char *out;
	char *room;

	other = (struct gateway_conn){.shared = NULL};
	gateway_conn_init(&other, &rig.shared, &remote, rig.now_ns);
	if (gateway_conn_reserve(&other, &room) < strlen(OPENING))
		return false;
	memcpy(room, OPENING, strlen(OPENING));
	gateway_conn_commit(&other, strlen(OPENING), rig.now_ns);
	is_refused =
		gateway_conn_output(&other, &out) > 13 && memcmp(out, "HTTP/1.1 503 ", 13) == 0;
	gateway_conn_fini(&other);
	return is_refused;
}

static void test_one_socket_more_than_the_limit_is_refused(void)
{
	open_socket();
	CHECK(other_is_refused());
	CHECK_EQ(rig.shared.stats.socket_cnt, 1);
}

/* What is behind a WebSocket may be reached only later; its place is taken when it is asked for. */
static void test_a_socket_that_is_not_accepted_yet_counts(void)
{
	rig_start();
	rig.accepts_later = true;
	rig_say(OPENING);
	CHECK_STR(rig_hear(), "");
	CHECK_EQ(rig.shared.stats.socket_cnt, 1);
	CHECK(other_is_refused());
	gateway_socket_accept(rig.waiting, rig.now_ns);
	CHECK(strncmp(rig_hear(), "HTTP/1.1 101 ", 13) == 0);
	CHECK_EQ(rig.shared.stats.socket_cnt, 1);
	CHECK_EQ(rig.shared.stats.socket_peak_cnt, 1);
}

static void test_a_socket_that_is_refused_after_all_leaves_its_place(void)
{
	rig_start();
	rig.accepts_later = true;
	for (unsigned i = 0; i < 2; i++) {
		rig_say(OPENING);
		CHECK_EQ(rig.shared.stats.socket_cnt, 1);
		gateway_reply_error(rig.waiting, &rig_instead, rig.now_ns);
		CHECK(strncmp(rig_hear(), "HTTP/1.1 404 ", 13) == 0);
		CHECK_EQ(rig.shared.stats.socket_cnt, 0);
	}
	/* Or its client goes away first. */
	rig_say(OPENING);
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.shared.stats.socket_cnt, 0);
}

/* However the bytes are cut, messages are the same. */
static void test_messages_come_in_frames_and_pieces(void)
{
	static uint8_t bytes[1024];
	size_t len = 0;

	len += frame(0x01, "ab", 2, bytes + len);
	len += frame(0x89, "now", 3, bytes + len); /* between the pieces of a message */
	len += frame(0x00, "", 0, bytes + len);
	len += frame(0x80, "cd", 2, bytes + len);
	for (size_t step = 1; step < 24; step++) {
		open_socket();
		CHECK_EQ(rig_feed((char *)bytes, len, step), len);
		CHECK_STR(rig.taken, "abcd");
		CHECK(rig.is_text && rig.is_last);
		CHECK_EQ(rig.out_len, 5);
		CHECK_MEM(rig.out, "\x8a\x03now", 5);
	}
	open_socket();
	send_text(0x82, "binary");
	CHECK_STR(rig.taken, "binary");
	CHECK(!rig.is_text && rig.is_last);
	send_text(0x02, "more");
	CHECK(!rig.is_last);
	send_text(0x80, "");
	CHECK(rig.is_last);
}

static void test_frames_that_break_the_rules_end_it(void)
{
	static const struct {
		const char *why;
		uint8_t bytes[16];
		size_t len;
		unsigned code;
	} rows[] = {
		{"not masked", {0x82, 1, 'a'}, 3, 1002},
		{"reserved bits", {0xc2, 0x80, 0, 0, 0, 0}, 6, 1002},
		{"opcode 3", {0x83, 0x80, 0, 0, 0, 0}, 6, 1002},
		{"a long ping", {0x89, 0xfe, 0, 126, 0, 0, 0, 0}, 8, 1002},
		{"a ping in pieces", {0x09, 0x80, 0, 0, 0, 0}, 6, 1002},
		{"a continuation of nothing", {0x80, 0x80, 0, 0, 0, 0}, 6, 1002},
		{"a message in a message",
		 {0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0},
		 12,
		 1002},
		{"1,001 bytes", {0x82, 0xfe, 3, 233, 0, 0, 0, 0}, 8, 1009},
		{"2^63 - 1 bytes",
		 {0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0},
		 14,
		 1009},
		{"no UTF-8", {0x81, 0x81, 0, 0, 0, 0, 0xff}, 7, 1007},
		{"half a character", {0x81, 0x81, 0, 0, 0, 0, 0xc3}, 7, 1007},
		{"a surrogate", {0x01, 0x82, 0, 0, 0, 0, 0xed, 0xa0}, 8, 1007},
		{"a close of one byte", {0x88, 0x81, 0, 0, 0, 0, 3}, 7, 1002},
		{"a close of code 1005", {0x88, 0x82, 0, 0, 0, 0, 3, 237}, 8, 1002},
		{"a close of code 999", {0x88, 0x82, 0, 0, 0, 0, 3, 231}, 8, 1002},
		{"a close of code 5000", {0x88, 0x82, 0, 0, 0, 0, 0x13, 0x88}, 8, 1002},
		{"a close that says no UTF-8", {0x88, 0x83, 0, 0, 0, 0, 3, 232, 0xff}, 9, 1007},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 16; step += 14) {
			printf("# %s\n", rows[i].why);
			open_socket();
			(void)rig_feed((const char *)rows[i].bytes, rows[i].len, step);
			CHECK(closes_with(rows[i].code));
		}
}

static void test_a_message_is_exceeded_by_one_over_its_frames(void)
{
	static char text[1001];

	memset(text, 't', sizeof(text));
	for (unsigned over = 0; over <= 1; over++) {
		open_socket();
		send_frame(0x01, text, 600);
		send_frame(0x80, text, 400 + over);
		CHECK_EQ(rig.taken_len, over ? 600 : 1000);
		CHECK_EQ(rig.gone_cnt, over);
		if (!over)
			send_frame(0x81, text, 1000); /* the next message has it all again */
		CHECK_EQ(rig.taken_len, over ? 600 : 2000);
	}
}

static void test_a_character_may_be_cut_by_frames(void)
{
	open_socket();
	send_frame(0x01, "\xe2\x82", 2);
	send_frame(0x80, "\xac", 1);
	CHECK_STR(rig.taken, "\xe2\x82\xac");
	CHECK_EQ(rig.gone_cnt, 0);
}

static void test_the_client_closes_and_is_answered_alike(void)
{
	open_socket();
	send_frame(0x88,
		   "\x0f\xa0"
		   "bye",
		   5);
	CHECK(closes_with(4000));
	CHECK_EQ(rig.out_len, 4);
	send_text(0x81, "nobody listens any more");
	CHECK_EQ(rig.taken_len, 0);
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.gone_cnt, 1);
	CHECK_EQ(rig.shared.stats.socket_cnt, 0);
	open_socket();
	send_frame(0x88, "", 0);
	CHECK_EQ(rig.out_len, 2);
	CHECK_MEM(rig.out, "\x88\x00", 2);
	CHECK_EQ(rig.gone_cnt, 1);
}

static void test_the_handler_closes_and_waits_for_the_client(void)
{
	open_socket();
	gateway_socket_close(rig.waiting, 1000, "over", rig.now_ns);
	CHECK_MEM(rig_hear(), "\x88\x06\x03\xe8over", 8);
	CHECK_EQ(rig.conn.state, CONN_CLOSING);
	send_text(0x81, "crossed the close");
	send_text(0x89, "so did this");
	CHECK_EQ(rig.taken_len + rig.out_len, 0);
	CHECK_EQ(gateway_conn_deadline_ns(&rig.conn), rig.now_ns + CONN_CLOSE_NS);
	send_frame(0x88, "\x03\xe8", 2);
	CHECK_EQ(rig.out_len, 0); /* one close each */
	CHECK_EQ(rig.conn.state, CONN_DRAINING);
	CHECK_EQ(rig.gone_cnt, 0);
}

static void test_a_client_that_does_not_close_is_cut(void)
{
	open_socket();
	gateway_socket_close(rig.waiting, 1000, "", rig.now_ns);
	rig_hear();
	gateway_conn_expire(&rig.conn, rig.now_ns + CONN_CLOSE_NS - 1);
	CHECK(!gateway_conn_is_over(&rig.conn));
	gateway_conn_expire(&rig.conn, rig.now_ns + CONN_CLOSE_NS);
	CHECK(gateway_conn_is_over(&rig.conn));
}

static void test_a_reason_is_cut_to_what_a_frame_holds(void)
{
	static char reason[200];

	memset(reason, 'r', sizeof(reason) - 1);
	open_socket();
	gateway_socket_close(rig.waiting, 1000, reason, rig.now_ns);
	rig_drain(SIZE_MAX);
	CHECK_EQ(rig.out_len, 2 + 125);
}

static void test_messages_go_out_in_pieces(void)
{
	static char big[70000];
	struct gateway_piece piece = {.data = (const uint8_t *)"ab", .len = 2, .is_text = true};

	open_socket();
	CHECK_EQ(gateway_socket_send(rig.waiting, &piece, rig.now_ns), 0);
	CHECK_EQ(gateway_socket_send(rig.waiting, &piece, rig.now_ns), 0);
	piece.is_last = true;
	piece.len = 0;
	CHECK_EQ(gateway_socket_send(rig.waiting, &piece, rig.now_ns), 0);
	piece = (struct gateway_piece){.data = (uint8_t *)big, .len = sizeof(big), .is_last = true};
	CHECK_EQ(gateway_socket_send(rig.waiting, &piece, rig.now_ns), 0);
	rig_drain(SIZE_MAX);
	CHECK_MEM(rig.out,
		  "\x01\x02"
		  "ab"
		  "\x00\x02"
		  "ab"
		  "\x80\x00"
		  "\x82\x7f\0\0\0\0\0\x01\x11\x70",
		  20);
	CHECK_EQ(rig.out_len, 20 + sizeof(big));
}

static void test_a_silent_client_is_pinged_and_then_cut(void)
{
	open_socket();
	CHECK_EQ(gateway_conn_deadline_ns(&rig.conn), rig.now_ns + CONN_PING_NS);
	rig.now_ns += CONN_PING_NS;
	gateway_conn_expire(&rig.conn, rig.now_ns);
	CHECK_MEM(rig_hear(), "\x89\x00", 3);
	rig.now_ns += CONN_PING_NS - 1;
	send_text(0x8a, "");
	CHECK_EQ(gateway_conn_deadline_ns(&rig.conn), rig.now_ns + CONN_PING_NS);
	rig.now_ns += CONN_PING_NS;
	gateway_conn_expire(&rig.conn, rig.now_ns);
	rig_hear();
	rig.now_ns += CONN_PING_NS;
	gateway_conn_expire(&rig.conn, rig.now_ns);
	CHECK(gateway_conn_is_over(&rig.conn));
	CHECK_EQ(rig.shared.stats.slow_cnt, 1);
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.gone_cnt, 1);
}

static void test_a_piece_that_is_held_comes_again(void)
{
	open_socket();
	rig.holds = true;
	send_text(0x81, "first");
	send_text(0x81, "second");
	CHECK_EQ(rig.piece_cnt, 0);
	rig.holds = false;
	gateway_resume(rig.waiting);
	rig_turn();
	CHECK_STR(rig.taken, "firstsecond");
	CHECK_EQ(rig.piece_cnt, 2);
}

/* A client that pings and does not read is not answered without bound. */
static void test_a_flood_of_pings_is_held_back(void)
{
	static const uint8_t payload[125];
	static uint8_t flood[64 * 1024];
	size_t len = 0, fed = 0;

	open_socket();
	while (len + 200 < sizeof(flood))
		len += frame(0x89, payload, sizeof(payload), flood + len);
	while (fed < len) {
		char *room;
		size_t cap = gateway_conn_reserve(&rig.conn, &room);

		if (!cap)
			break;
		cap = cap < len - fed ? cap : len - fed;
		memcpy(room, flood + fed, cap);
		gateway_conn_commit(&rig.conn, cap, rig.now_ns);
		fed += cap;
	}
	CHECK(fed < len);
	CHECK(rig.conn.output.len <= CONN_BACKLOG_MAX + 127);
	rig_drain(SIZE_MAX);
	CHECK(rig.conn.state == CONN_SOCKET);
}

static void test_frames_behind_the_handshake_are_not_lost(void)
{
	uint8_t bytes[1024];
	size_t len = strlen(OPENING);

	memcpy(bytes, OPENING, len);
	len += frame(0x81, "early", 5, bytes + len);
	rig_start();
	(void)rig_feed((char *)bytes, len, SIZE_MAX);
	rig_turn();
	CHECK_STR(rig.taken, "early");
}

static void test_a_connection_that_breaks_off_is_reported(void)
{
	open_socket();
	send_frame(0x01, "half a message", 14);
	gateway_conn_eof(&rig.conn);
	CHECK(gateway_conn_is_over(&rig.conn));
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.gone_cnt, 1);
}

int main(void)
{
	RUN(test_handshakes_that_are_none_are_refused);
	RUN(test_one_socket_more_than_the_limit_is_refused);
	RUN(test_a_socket_that_is_not_accepted_yet_counts);
	RUN(test_a_socket_that_is_refused_after_all_leaves_its_place);
	RUN(test_messages_come_in_frames_and_pieces);
	RUN(test_frames_that_break_the_rules_end_it);
	RUN(test_a_message_is_exceeded_by_one_over_its_frames);
	RUN(test_a_character_may_be_cut_by_frames);
	RUN(test_the_client_closes_and_is_answered_alike);
	RUN(test_the_handler_closes_and_waits_for_the_client);
	RUN(test_a_client_that_does_not_close_is_cut);
	RUN(test_a_reason_is_cut_to_what_a_frame_holds);
	RUN(test_messages_go_out_in_pieces);
	RUN(test_a_silent_client_is_pinged_and_then_cut);
	RUN(test_a_piece_that_is_held_comes_again);
	RUN(test_a_flood_of_pings_is_held_back);
	RUN(test_frames_behind_the_handshake_are_not_lost);
	RUN(test_a_connection_that_breaks_off_is_reported);
	return check_done();
}
