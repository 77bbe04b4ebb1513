/* SPDX-License-Identifier: Apache-2.0 */
/* A relay that is slow, silent, or breaks the rules, and its limits. */
#include "support/check.h"
#include "support/relay_web_end_rig.h"

#include "base/monotonic.h"

static struct web_end_rig rig;

static void test_datagrams_that_are_too_long_are_dropped(void)
{
	static uint8_t bytes[RELAY_WEB_PACKET_MAX];
	const uint8_t key[RELAY_WEB_KEY_LEN] = {5};
	struct relay_web_frame frame = {
		.type = RELAY_WEB_RECV, .key = key, .data = bytes, .len = RELAY_WEB_DGRAM_MAX};

	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	web_end_rig_frame(&rig, &frame);
	CHECK_EQ(rig.input_cnt, 1);
	frame.len++;
	web_end_rig_frame(&rig, &frame);
	frame.len = sizeof(bytes);
	web_end_rig_frame(&rig, &frame);
	CHECK_EQ(web_end_rig_stats(&rig).too_large_cnt, 2);
	web_end_rig_send(&rig, 5, RELAY_WEB_DGRAM_MAX, 0);
	CHECK_EQ(web_end_rig_stats(&rig).queue_cnt, 1);
	web_end_rig_send(&rig, 5, RELAY_WEB_DGRAM_MAX + 1, 0);
	CHECK_EQ(web_end_rig_stats(&rig).too_large_cnt, 3);
	CHECK_EQ(rig.input_cnt, 1);
	CHECK(rig.is_open);
	web_end_rig_fini(&rig);
}

static void test_a_message_beyond_its_length_is_skipped_and_a_longer_one_ends_it(void)
{
	static uint8_t bytes[RELAY_WEB_MESSAGE_MAX + 1] = {RELAY_WEB_RECV};
	static const size_t lens[] = {RELAY_WEB_FRAME_MAX, RELAY_WEB_FRAME_MAX + 1,
				      RELAY_WEB_MESSAGE_MAX, RELAY_WEB_MESSAGE_MAX + 1};

	for (unsigned i = 0; i < 4; i++) {
		web_end_rig_init(&rig, NULL);
		web_end_rig_join(&rig);
		web_end_rig_message(&rig, WEBSOCKET_BINARY, false, bytes, lens[i] / 2);
		web_end_rig_message(&rig, WEBSOCKET_CONTINUATION, true, bytes,
				    lens[i] - lens[i] / 2);
		CHECK_EQ(rig.is_open, i < 3);
		CHECK_EQ(web_end_rig_stats(&rig).malformed_cnt, i == 3);
		CHECK_EQ(web_end_rig_stats(&rig).too_large_cnt, i < 3);
		web_end_rig_fini(&rig);
	}
}

static void test_a_relay_that_reads_nothing_is_left(void)
{
	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	rig.is_full = true;
	for (unsigned i = 0; i < 600; i++) {
		web_end_rig_send(&rig, 5, 1400, 0);
		web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_STATUS});
	}
	web_end_rig_run(&rig, RELAY_WEB_END_BLOCKED_NS - 20 * NS_PER_MS);
	CHECK(rig.is_open);
	web_end_rig_run(&rig, 30 * NS_PER_MS);
	CHECK_EQ(web_end_rig_stats(&rig).slow_cnt, 1);
	CHECK(web_end_rig_stats(&rig).queue_full_cnt > 0);
	CHECK_EQ(web_end_rig_stats(&rig).queue_cnt, 0);
	CHECK_EQ(rig.down_cnt, 1);
	web_end_rig_fini(&rig);
}

static void test_a_relay_that_does_not_answer_is_left_after_ten_seconds(void)
{
	for (unsigned stage = 0; stage < 3; stage++) {
		web_end_rig_init(&rig, NULL);
		if (stage == 1)
			web_end_rig_accept(&rig, NULL, 0);
		if (stage == 2)
			web_end_rig_upgrade(&rig, "iroh-relay-v2");
		web_end_rig_run(&rig, RELAY_WEB_PROVE_NS - 20 * NS_PER_MS);
		CHECK_EQ(rig.dial_cnt, 1);
		web_end_rig_run(&rig, 200 * NS_PER_MS);
		CHECK_EQ(rig.dial_cnt, 2);
		web_end_rig_fini(&rig);
	}
}

static void test_what_breaks_a_rule_ends_the_connection(void)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{"\x81\x01x", 3},		    /* text */
		{"\x82\x81\0\0\0\0\x09", 7},	    /* masked */
		{"\x80\x01x", 3},		    /* nothing to continue */
		{"\xc2\x01x", 3},		    /* a reserved bit */
		{"\x82\x00", 2},		    /* no frame */
		{"\x82\x01\x0e", 3},		    /* an unknown type */
		{"\x82\x01\x0b", 3},		    /* health, which v2 does not have */
		{"\x82\x01\x02", 3},		    /* confirmed again */
		{"\x82\x02\x0d\x03", 4},	    /* an unknown status */
		{"\x82\x01\x08", 3},		    /* gone without a key */
		{"\x82\x7f\0\0\0\0\0\x20\0\0", 10}, /* 2 MiB */
		{"\x89\x7e\0\x7e", 4},		    /* a long control frame */
		{"\x88\x00", 2},		    /* a close, which breaks none */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		web_end_rig_init(&rig, NULL);
		web_end_rig_join(&rig);
		rig.cut_len = i % 2;
		web_end_rig_say(&rig, rows[i].bytes, rows[i].len);
		CHECK_EQ(rig.down_cnt, 1);
		CHECK_EQ(web_end_rig_stats(&rig).malformed_cnt,
			 i + 1 < sizeof(rows) / sizeof(rows[0]));
		web_end_rig_fini(&rig);
	}
}

static void test_an_answer_that_is_not_the_right_one_ends_the_connection(void)
{
	static char endless[RELAY_WEB_HEAD_LEN_MAX + 1];
	static const char *const rows[] = {
		"HTTP/1.1 403 Forbidden\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"
		"Sec-WebSocket-Protocol: iroh-relay-v2\r\n\r\n",
		"SSH-2.0-OpenSSH\r\n\r\n",
		endless,
	};

	memset(endless, 'x', sizeof(endless) - 1);
	memcpy(endless, "HTTP/1.1 101 x\r\nA: ", 19);
	for (unsigned i = 0; i < 4; i++) {
		web_end_rig_init(&rig, NULL);
		web_end_rig_accept(&rig, NULL, 0);
		web_end_rig_say(&rig, rows[i], strlen(rows[i]));
		CHECK(!rig.is_open);
		CHECK_EQ(rig.up_cnt, 0);
		CHECK_EQ(web_end_rig_view(&rig).status, i == 0 ? 403 : 0);
		web_end_rig_fini(&rig);
	}
}

/* All the bytes of a relay, cut at each length and given one by one. */
static void test_bytes_cut_anywhere_say_the_same(void)
{
	for (size_t cut_len = 1; cut_len < 40; cut_len++) {
		const uint8_t key[RELAY_WEB_KEY_LEN] = {5};

		web_end_rig_init(&rig, NULL);
		rig.cut_len = cut_len;
		web_end_rig_join(&rig);
		CHECK_EQ(rig.up_cnt, 1);
		web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_RECV,
								  .key = key,
								  .data = (const uint8_t *)"hello",
								  .len = 5});
		CHECK_EQ(rig.input_cnt, 1);
		CHECK_MEM(rig.bytes, "hello", 5);
		web_end_rig_fini(&rig);
	}
}

static void test_no_prefix_of_a_frame_is_one(void)
{
	uint8_t bytes[2 + 1 + RELAY_WEB_KEY_LEN + 1 + 5] = {0x82, sizeof(bytes) - 2,
							    RELAY_WEB_RECV};

	for (size_t len = 0; len < sizeof(bytes); len++) {
		web_end_rig_init(&rig, NULL);
		web_end_rig_join(&rig);
		web_end_rig_say(&rig, bytes, len);
		CHECK_EQ(rig.input_cnt, 0);
		web_end_rig_lose(&rig);
		CHECK_EQ(rig.down_cnt, 1);
		web_end_rig_fini(&rig);
	}
}

int main(void)
{
	RUN(test_datagrams_that_are_too_long_are_dropped);
	RUN(test_a_message_beyond_its_length_is_skipped_and_a_longer_one_ends_it);
	RUN(test_a_relay_that_reads_nothing_is_left);
	RUN(test_a_relay_that_does_not_answer_is_left_after_ten_seconds);
	RUN(test_what_breaks_a_rule_ends_the_connection);
	RUN(test_an_answer_that_is_not_the_right_one_ends_the_connection);
	RUN(test_bytes_cut_anywhere_say_the_same);
	RUN(test_no_prefix_of_a_frame_is_one);
	return check_done();
}
