/* SPDX-License-Identifier: Apache-2.0 */
/* A relay over WebSocket: proofs, frames between clients, pings, and plain requests. */
#include "web_pair.h"

static void test_a_datagram_arrives_with_its_ecn_and_the_senders_key(void)
{
	/* Whole, and in pieces that end anywhere. */
	for (size_t cut = 0; cut < 40; cut += 13) {
		struct relay_web_frame frame = send_to(1, "hello", 5), got;
		struct web_client a, b;
		struct web_rig rig;

		web_rig_init(&rig, NULL);
		rig.cut_len = cut;
		CHECK(web_client_join(&a, &rig, "192.0.2.1:5000", keys[0]));
		CHECK(web_client_join(&b, &rig, "[2001:db8::1]:5000", keys[1]));
		web_client_frame(&a, &frame);
		CHECK(hears_packet(&b, 0, "hello", 5));
		frame.type = RELAY_WEB_SEND_BATCH;
		frame.segment_len = 2;
		frame.ecn = 3;
		web_client_frame(&a, &frame);
		CHECK(web_client_hear_frame(&b, V2, &got));
		CHECK_EQ(got.type, RELAY_WEB_RECV_BATCH);
		CHECK_EQ(got.ecn, 3);
		CHECK_EQ(got.segment_len, 2);
		CHECK_MEM(got.data, "hello", 5);
		CHECK_EQ(stats_of(&rig).forwarded_cnt, 2);
		CHECK_EQ(stats_of(&rig).memory_used_len, 0);
		pair_fini(&rig, &a, &b);
	}
}

static void test_each_version_is_spoken_and_the_newest_is_picked(void)
{
	static const struct {
		const char *offered, *picked;
	} rows[] = {
		{"iroh-relay-v1", "iroh-relay-v1"},
		{"iroh-relay-v1, iroh-relay-v2", "iroh-relay-v2"},
		{"iroh-relay-v1,mesh-relay-v1", NULL},
		{"iroh-relay-v3, iroh-relay-v2", "iroh-relay-v2"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct web_client client;
		struct web_rig rig;

		web_rig_init(&rig, NULL);
		CHECK(web_client_open(&client, &rig, "192.0.2.1:5000"));
		(void)web_client_upgrade(&client, rows[i].offered, "");
		client.out[client.out_len] = '\0';
		CHECK(strstr((char *)client.out,
			     rows[i].picked ? rows[i].picked : "mesh-relay-v1"));
		CHECK(web_client_answer(&client, keys[0]));
		pair_fini(&rig, &client, &client);
	}
}

static void test_a_client_proves_its_key_by_its_tls_connection(void)
{
	struct relay_web_frame frame;
	struct web_client client, thief;
	char field[256];
	struct web_rig rig;

	web_rig_init(&rig, NULL);
	CHECK(web_client_open(&client, &rig, "192.0.2.1:5000"));
	web_client_proof(&client, keys[0], field);
	CHECK(web_client_upgrade(&client, "iroh-relay-v2", field));
	CHECK(web_client_hear_frame(&client, V2, &frame));
	CHECK_EQ(frame.type, RELAY_WEB_CONFIRMED);
	CHECK_EQ(stats_of(&rig).proved_tls_cnt, 1);

	/* The same field on another connection proves nothing: there is a challenge. */
	CHECK(web_client_open(&thief, &rig, "192.0.2.1:5001"));
	CHECK(web_client_upgrade(&thief, "iroh-relay-v2", field));
	CHECK(web_client_hear_frame(&thief, V2, &frame));
	CHECK_EQ(frame.type, RELAY_WEB_CHALLENGE);
	CHECK_EQ(stats_of(&rig).foreign_proof_cnt, 1);
	CHECK_EQ(stats_of(&rig).client_cnt, 1);
	pair_fini(&rig, &client, &thief);
}

static void test_a_wrong_proof_by_tls_is_denied(void)
{
	struct relay_web_frame frame;
	struct web_client client;
	char field[256];
	struct web_rig rig;

	web_rig_init(&rig, NULL);
	CHECK(web_client_open(&client, &rig, "192.0.2.1:5000"));
	web_client_proof(&client, keys[0], field);
	field[strlen("x-iroh-relay-client-auth-v1: ") + 60] ^= 1; /* in the signature */
	CHECK(web_client_upgrade(&client, "iroh-relay-v2", field));
	CHECK(web_client_hear_frame(&client, V2, &frame));
	CHECK_EQ(frame.type, RELAY_WEB_DENIED);
	CHECK(web_client_hears_close(&client, 1008));
	CHECK(client.is_shut);
	pair_fini(&rig, &client, &client);
}

static void test_an_answer_to_another_challenge_is_denied(void)
{
	struct relay_web_frame frame, first = {0};
	struct web_client a, b;
	struct web_rig rig;
	const uint8_t *said;
	size_t said_len;

	web_rig_init(&rig, NULL);
	CHECK(web_client_open(&a, &rig, "192.0.2.1:5000"));
	CHECK(web_client_open(&b, &rig, "192.0.2.1:5001"));
	CHECK(web_client_upgrade(&a, "iroh-relay-v1", ""));
	CHECK(web_client_upgrade(&b, "iroh-relay-v1", ""));
	/* b answers the challenge that a got. */
	said = b.out + b.heard_len;
	said_len = b.out_len - b.heard_len;
	CHECK(said_len == a.out_len - a.heard_len);
	CHECK(memcmp(said, a.out + a.heard_len, said_len) != 0);
	memcpy(b.out + b.heard_len, a.out + a.heard_len, said_len);
	CHECK(web_client_answer(&b, keys[0]));
	CHECK(web_client_hear_frame(&b, V1, &frame));
	CHECK_EQ(frame.type, RELAY_WEB_DENIED);
	CHECK(web_client_hears_close(&b, 1008));
	CHECK(web_client_answer(&a, keys[0]));
	CHECK(web_client_hear_frame(&a, V1, &first));
	CHECK_EQ(first.type, RELAY_WEB_CONFIRMED);
	CHECK_EQ(stats_of(&rig).denied_cnt, 1);
	pair_fini(&rig, &a, &b);
}

static void test_no_frame_passes_before_a_proof(void)
{
	struct relay_web_frame frame = send_to(1, "x", 1), got;
	struct web_client a, b, c;
	struct web_rig rig;

	CHECK(pair_init(&rig, NULL, &a, &b));
	CHECK(web_client_open(&c, &rig, "203.0.113.1:5000"));
	CHECK(web_client_upgrade(&c, "iroh-relay-v2", ""));
	CHECK(web_client_hear_frame(&c, V2, &got));
	web_client_frame(&c, &frame);
	CHECK(web_client_hears_close(&c, 1002));
	CHECK_EQ(b.out_len, b.heard_len);
	web_client_fini(&c);
	pair_fini(&rig, &a, &b);
}

static void test_a_key_that_is_not_proved_in_10_s_is_cut(void)
{
	struct web_client silent, slow;
	struct web_rig rig;

	web_rig_init(&rig, NULL);
	CHECK(web_client_open(&silent, &rig, "192.0.2.1:5000"));
	CHECK(web_client_open(&slow, &rig, "192.0.2.1:5001"));
	CHECK(web_client_upgrade(&slow, "iroh-relay-v2", ""));
	web_rig_run(&rig, 9900 * NS_PER_MS);
	CHECK(silent.is_open && slow.is_open);
	web_rig_run(&rig, 200 * NS_PER_MS);
	CHECK(!silent.is_open && !slow.is_open);
	CHECK_EQ(stats_of(&rig).late_cnt, 2);
	pair_fini(&rig, &silent, &slow);
}

static void test_a_newer_connection_of_a_key_replaces_the_older(void)
{
	struct relay_web_frame frame = send_to(1, "new", 3), got;
	struct web_client a, b, old, newer;
	struct web_rig rig;

	CHECK(pair_init(&rig, NULL, &a, &old));
	CHECK(web_client_join(&b, &rig, "198.51.100.1:5001", keys[1]));
	CHECK(hears_status(&old, RELAY_WEB_SAME_KEY));
	CHECK(web_client_hears_close(&old, 1008));
	web_client_frame(&a, &frame);
	CHECK(hears_packet(&b, 0, "new", 3));
	/* v1 has no status, but a text. */
	web_client_end(&old);
	web_client_fini(&old);
	CHECK(web_client_open(&newer, &rig, "203.0.113.1:1"));
	CHECK(web_client_upgrade(&newer, "iroh-relay-v1", ""));
	CHECK(web_client_answer(&newer, keys[2]));
	CHECK(web_client_hear_frame(&newer, V1, &got));
	CHECK(web_client_open(&old, &rig, "203.0.113.1:2"));
	CHECK(web_client_upgrade(&old, "iroh-relay-v1", ""));
	CHECK(web_client_answer(&old, keys[2]));
	CHECK(web_client_hear_frame(&newer, V1, &got));
	CHECK_EQ(got.type, RELAY_WEB_HEALTH);
	CHECK(got.len > 0);
	CHECK_EQ(stats_of(&rig).replaced_cnt, 2);
	CHECK_EQ(stats_of(&rig).client_cnt, 3);
	/* The end of the replaced one leaves the key to the newer one. */
	web_client_end(&newer);
	CHECK_EQ(stats_of(&rig).client_cnt, 3);
	web_client_fini(&newer);
	web_client_fini(&b);
	pair_fini(&rig, &a, &old);
}

static void test_a_frame_for_an_absent_key_is_answered_by_gone(void)
{
	struct relay_web_frame frame = send_to(2, "x", 1), got;
	struct web_client a, b;
	struct web_rig rig;

	CHECK(pair_init(&rig, NULL, &a, &b));
	web_client_frame(&a, &frame);
	CHECK(web_client_hear_frame(&a, V2, &got));
	CHECK_EQ(got.type, RELAY_WEB_GONE);
	CHECK_MEM(got.key, PK(2), RELAY_WEB_KEY_LEN);
	CHECK_EQ(stats_of(&rig).absent_cnt, 1);
	pair_fini(&rig, &a, &b);
}

static void test_pings_of_both_layers_are_answered(void)
{
	struct relay_web_frame ping = {
		.type = RELAY_WEB_PING, .data = (const uint8_t *)"12345678", .len = 8};
	struct relay_web_frame got;
	struct web_client a, b;
	const uint8_t *data;
	unsigned opcode;
	size_t len;
	struct web_rig rig;

	CHECK(pair_init(&rig, NULL, &a, &b));
	web_client_frame(&a, &ping);
	CHECK(web_client_hear_frame(&a, V2, &got));
	CHECK_EQ(got.type, RELAY_WEB_PONG);
	CHECK_MEM(got.data, "12345678", 8);
	web_client_message(&a, WEBSOCKET_PING, true, "there?", 6);
	CHECK(web_client_hear(&a, &opcode, &data, &len));
	CHECK_EQ(opcode, WEBSOCKET_PONG);
	CHECK_EQ(len, 6);
	CHECK_MEM(data, "there?", 6);
	pair_fini(&rig, &a, &b);
}

static void test_a_silent_client_is_pinged_after_15_s_and_cut_after_30(void)
{
	struct relay_web_frame got,
		pong = {.type = RELAY_WEB_PONG, .data = (const uint8_t *)"12345678", .len = 8};
	struct web_client a, b;
	struct web_rig rig;

	CHECK(pair_init(&rig, NULL, &a, &b));
	web_rig_run(&rig, 14900 * NS_PER_MS);
	CHECK_EQ(a.out_len, a.heard_len);
	web_rig_run(&rig, 200 * NS_PER_MS);
	CHECK(web_client_hear_frame(&a, V2, &got));
	CHECK_EQ(got.type, RELAY_WEB_PING);
	web_client_frame(&a, &pong);
	web_rig_run(&rig, 14800 * NS_PER_MS);
	CHECK(b.is_open);
	web_rig_run(&rig, 200 * NS_PER_MS);
	CHECK(!b.is_open);
	CHECK(a.is_open);
	CHECK_EQ(stats_of(&rig).silent_cnt, 1);
	pair_fini(&rig, &a, &b);
}

static void test_a_message_in_pieces_is_one_frame(void)
{
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct relay_web_frame frame = send_to(1, "hello", 5);
	const uint8_t *data;
	struct web_client a, b;
	unsigned opcode;
	size_t len;
	struct web_rig rig;

	CHECK(pair_init(&rig, NULL, &a, &b));
	relay_web_frame_write(&w, &frame);
	web_client_message(&a, WEBSOCKET_BINARY, false, bytes, 7);
	web_client_message(&a, WEBSOCKET_CONTINUATION, false, NULL, 0);
	web_client_message(&a, WEBSOCKET_PING, true, NULL, 0);
	CHECK(web_client_hear(&a, &opcode, &data, &len));
	CHECK_EQ(opcode, WEBSOCKET_PONG);
	web_client_message(&a, WEBSOCKET_CONTINUATION, true, bytes + 7, writer_len(&w) - 7);
	CHECK(hears_packet(&b, 0, "hello", 5));
	pair_fini(&rig, &a, &b);
}

static void test_what_breaks_a_rule_ends_the_connection(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		unsigned code;
		const char *why;
	} rows[] = {
		{"\x82\x01\x02", 3, 1002, "a frame that is not masked"},
		{"\xc2\x81\0\0\0\0\x02", 7, 1002, "a reserved bit"},
		{"\x83\x80\0\0\0\0", 6, 1002, "a reserved opcode"},
		{"\x81\x81\0\0\0\0x", 7, 1003, "text"},
		{"\x80\x80\0\0\0\0", 6, 1002, "a continuation of nothing"},
		{"\x02\x80\0\0\0\0\x82\x80\0\0\0\0", 12, 1002, "a message in a message"},
		{"\x09\x80\0\0\0\0", 6, 1002, "half a ping"},
		{"\x82\x80\0\0\0\0", 6, 1002, "a message of nothing"},
		{"\x82\x81\0\0\0\0\x0e", 7, 1002, "an unknown frame"},
		{"\x82\x81\0\0\0\0\x02", 7, 1002, "a relay's frame"},
		{"\x82\xfe\0\x02\0\0\0\0\x09x", 10, 1002, "a length in too many bytes"},
		{"\x82\xff\0\0\0\0\0\x10\0\x01\0\0\0\0", 14, 1009,
		 "a message of 1 MiB and one byte"},
		{"\x88\x82\0\0\0\0\x03\xe8", 8, 1000, "a close"},
		{"\x88\x82\0\0\0\0\x03\xed", 8, 1002, "a close with a code that stands in none"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t cut = 0; cut < 2; cut++) {
			struct web_client a, b;
			struct web_rig rig;
			bool is_heard;

			CHECK(pair_init(&rig, NULL, &a, &b));
			rig.cut_len = cut;
			web_client_say(&a, rows[i].bytes, rows[i].len);
			is_heard = web_client_hears_close(&a, rows[i].code);
			if (!is_heard)
				printf("# %s\n", rows[i].why);
			CHECK(is_heard);
			CHECK(a.is_shut && a.is_open);
			/* What follows is thrown away, and the end does not wait for ever. */
			web_client_say(&a, "x", 1);
			web_rig_run(&rig, 2 * NS_PER_S);
			CHECK(!a.is_open);
			CHECK(b.is_open);
			pair_fini(&rig, &a, &b);
		}
}

static void test_requests_are_answered_by_http(void)
{
	static const struct {
		const char *request, *answer;
	} rows[] = {
		{"GET /ping HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n"},
		{"GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n"},
		{"GET /generate_204 HTTP/1.1\r\nX-Iroh-Challenge: a.b-1\r\n\r\n",
		 "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX-Iroh-Response: response "
		 "a.b-1\r\n"},
		{"GET /generate_204 HTTP/1.1\r\nX-Iroh-Challenge: a b\r\n\r\n",
		 "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "},
		{"POST /relay HTTP/1.1\r\n\r\n", "HTTP/1.1 405 "},
		{"GET /relay HTTP/1.1\r\n\r\n", "HTTP/1.1 426 "},
		{"GET /relay HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		 "HTTP/1.1 400 "},
		{"GET /ping HTTP/1.0\r\n\r\n", "HTTP/1.1 400 "},
		{"GET /ping HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 400 "},
		{"\x16\x03\x01 nothing\r\n\r\n", "HTTP/1.1 400 "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t cut = 0; cut < 2; cut++) {
			struct web_client client;
			struct web_rig rig;

			web_rig_init(&rig, NULL);
			rig.cut_len = cut;
			CHECK(web_client_open(&client, &rig, "192.0.2.1:5000"));
			web_client_say(&client, rows[i].request, strlen(rows[i].request));
			client.out[client.out_len] = '\0';
			if (strncmp((char *)client.out, rows[i].answer, strlen(rows[i].answer)) !=
			    0)
				printf("# %s# %s\n", rows[i].request, client.out);
			CHECK(strncmp((char *)client.out, rows[i].answer, strlen(rows[i].answer)) ==
			      0);
			CHECK(client.is_shut);
			pair_fini(&rig, &client, &client);
		}
}

static void test_a_restart_names_a_time_to_come_back(void)
{
	struct relay_web_frame got;
	struct web_client a, b;
	uint32_t first_ms;
	struct web_rig rig;

	CHECK(pair_init(&rig, NULL, &a, &b));
	relay_web_restart(rig.web, rig.now_ns);
	web_rig_flush(&rig);
	CHECK(web_client_hear_frame(&a, V2, &got));
	CHECK_EQ(got.type, RELAY_WEB_RESTARTING);
	CHECK(got.reconnect_ms >= RELAY_WEB_RESTART_MIN_MS &&
	      got.reconnect_ms < RELAY_WEB_RESTART_MAX_MS);
	CHECK_EQ(got.try_ms, RELAY_WEB_TRY_FOR_MS);
	first_ms = got.reconnect_ms;
	CHECK(web_client_hears_close(&a, 1001));
	CHECK(web_client_hear_frame(&b, V2, &got));
	CHECK(got.reconnect_ms != first_ms);
	web_client_end(&a);
	CHECK(!a.is_open);
	pair_fini(&rig, &a, &b);
}

int main(void)
{
	keys_init();
	RUN(test_a_datagram_arrives_with_its_ecn_and_the_senders_key);
	RUN(test_each_version_is_spoken_and_the_newest_is_picked);
	RUN(test_a_client_proves_its_key_by_its_tls_connection);
	RUN(test_a_wrong_proof_by_tls_is_denied);
	RUN(test_an_answer_to_another_challenge_is_denied);
	RUN(test_no_frame_passes_before_a_proof);
	RUN(test_a_key_that_is_not_proved_in_10_s_is_cut);
	RUN(test_a_newer_connection_of_a_key_replaces_the_older);
	RUN(test_a_frame_for_an_absent_key_is_answered_by_gone);
	RUN(test_pings_of_both_layers_are_answered);
	RUN(test_a_silent_client_is_pinged_after_15_s_and_cut_after_30);
	RUN(test_a_message_in_pieces_is_one_frame);
	RUN(test_what_breaks_a_rule_ends_the_connection);
	RUN(test_requests_are_answered_by_http);
	RUN(test_a_restart_names_a_time_to_come_back);
	keys_fini();
	return check_done();
}
