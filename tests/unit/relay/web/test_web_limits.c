/* SPDX-License-Identifier: Apache-2.0 */
/* What a relay over WebSocket refuses, drops and cuts: sizes, rates, shares of a full pool, bans. */
#include "web_pair.h"

static void test_512_frames_wait_for_a_client_and_no_more(void)
{
	struct relay_web_config config;
	struct relay_web_frame frame = send_to(1, "x", 1);
	struct web_client a, b;
	unsigned cnt = 0;
	struct web_rig rig;

	relay_web_config_defaults(&config);
	CHECK(pair_init(&rig, &config, &a, &b));
	b.is_full = true;
	web_client_frame(&a, &frame); /* this one is taken, and nothing more */
	for (unsigned i = 0; i < RELAY_WEB_QUEUE_MAX; i++)
		web_client_frame(&a, &frame);
	CHECK_EQ(stats_of(&rig).queue_full_cnt, 0);
	CHECK_EQ(stats_of(&rig).queue_peak_cnt, RELAY_WEB_QUEUE_MAX);
	web_client_frame(&a, &frame);
	CHECK_EQ(stats_of(&rig).queue_full_cnt, 1);
	b.is_full = false;
	relay_web_events.writable(&b.channel, rig.now_ns);
	web_rig_flush(&rig);
	while (hears_packet(&b, 0, "x", 1))
		cnt++;
	CHECK_EQ(cnt, RELAY_WEB_QUEUE_MAX + 1);
	CHECK_EQ(stats_of(&rig).memory_used_len, 0);
	pair_fini(&rig, &a, &b);
}

static void test_a_client_that_reads_nothing_is_cut_after_2_s_and_delays_none(void)
{
	struct relay_web_frame to_b = send_to(1, "x", 1), to_a = send_to(0, "y", 1);
	struct web_client a, b, c;
	struct web_rig rig;

	CHECK(pair_init(&rig, NULL, &a, &b));
	CHECK(web_client_join(&c, &rig, "203.0.113.1:5000", keys[2]));
	b.is_full = true;
	web_client_frame(&a, &to_b);
	for (unsigned i = 0; i < 19; i++) {
		web_rig_run(&rig, 100 * NS_PER_MS);
		web_client_frame(&a, &to_b);
		web_client_frame(&c, &to_a);
		CHECK(hears_packet(&a, 2, "y", 1));
		CHECK(b.is_open);
	}
	web_rig_run(&rig, 100 * NS_PER_MS);
	CHECK(!b.is_open);
	CHECK_EQ(stats_of(&rig).slow_cnt, 1);
	CHECK_EQ(stats_of(&rig).memory_used_len, 0);
	web_client_fini(&c);
	pair_fini(&rig, &a, &b);
}

static void test_packets_have_65536_bytes_and_messages_1_mib_at_most(void)
{
	static uint8_t data[RELAY_WEB_MESSAGE_MAX + 1];
	struct relay_web_config config;
	struct relay_web_frame frame = send_to(1, data, RELAY_WEB_PACKET_MAX);
	struct web_client a, b;
	struct web_rig rig;

	relay_web_config_defaults(&config);
	config.rate_per_s = 0;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	CHECK(pair_init(&rig, &config, &a, &b));
	web_client_frame(&a, &frame);
	CHECK(hears_packet(&b, 0, data, RELAY_WEB_PACKET_MAX));
	frame.len++;
	web_client_frame(&a, &frame);
	CHECK_EQ(b.out_len, b.heard_len);
	CHECK_EQ(stats_of(&rig).too_large_cnt, 1);
	data[0] = RELAY_WEB_SEND;
	web_client_message(&a, WEBSOCKET_BINARY, true, data, RELAY_WEB_MESSAGE_MAX);
	CHECK_EQ(stats_of(&rig).too_large_cnt, 2);
	/* In pieces it is the same message. */
	web_client_message(&a, WEBSOCKET_BINARY, false, data, RELAY_WEB_MESSAGE_MAX - 5);
	web_client_message(&a, WEBSOCKET_CONTINUATION, true, data, 5);
	CHECK_EQ(stats_of(&rig).too_large_cnt, 3);
	CHECK_EQ(a.out_len, a.heard_len);
	web_client_message(&a, WEBSOCKET_BINARY, false, data, RELAY_WEB_MESSAGE_MAX - 5);
	web_client_message(&a, WEBSOCKET_CONTINUATION, true, data, 6);
	CHECK(web_client_hears_close(&a, 1009));
	CHECK_EQ(stats_of(&rig).memory_used_len, 0);
	pair_fini(&rig, &a, &b);
}

static void test_a_request_has_4096_bytes_at_most(void)
{
	for (unsigned more = 0; more < 2; more++) {
		static char request[RELAY_WEB_HEAD_LEN_MAX + 2];
		struct web_client client;
		struct web_rig rig;

		web_rig_init(&rig, NULL);
		CHECK(web_client_open(&client, &rig, "192.0.2.1:5000"));
		memset(request, 'a', sizeof(request));
		memcpy(request, "GET /ping HTTP/1.1\r\nA: ", 23);
		memcpy(request + RELAY_WEB_HEAD_LEN_MAX + more - 4, "\r\n\r\n", 4);
		web_client_say(&client, request, RELAY_WEB_HEAD_LEN_MAX + more);
		CHECK_MEM(client.out, more ? "HTTP/1.1 431" : "HTTP/1.1 200", 12);
		pair_fini(&rig, &client, &client);
	}
}

static void test_an_address_beyond_its_rate_gets_a_status_and_waits(void)
{
	static uint8_t data[10000];
	struct relay_web_config config;
	struct relay_web_frame frame = send_to(1, data, sizeof(data));
	struct web_client a, b, c;
	unsigned cnt = 0;
	struct web_rig rig;

	relay_web_config_defaults(&config);
	config.rate_per_s = 10000;
	config.burst_len = 50000;
	CHECK(pair_init(&rig, &config, &a, &b));
	while (a.is_reading && cnt < 20) {
		web_client_frame(&a, &frame);
		cnt++;
	}
	CHECK_EQ(cnt, 5);
	CHECK(hears_status(&a, RELAY_WEB_LIMITED));
	CHECK(b.is_reading);
	/* Another connection of the address may prove a key, and has the same rate. */
	CHECK(web_client_join(&c, &rig, "192.0.2.1:5001", keys[2]));
	frame.len = 1;
	web_client_frame(&c, &frame);
	CHECK(!c.is_reading);
	web_rig_run(&rig, 2600 * NS_PER_MS);
	CHECK(a.is_reading && c.is_reading);
	CHECK(hears_status(&a, RELAY_WEB_HEALTHY));
	CHECK_EQ(stats_of(&rig).limited_cnt, 2);
	web_client_fini(&c);
	pair_fini(&rig, &a, &b);
}

static void test_a_full_table_takes_from_the_address_that_has_most(void)
{
	struct web_client honest, crowd[9], last;
	struct relay_web_config config;
	unsigned open_cnt = 0;
	char addr[32];
	struct web_rig rig;

	relay_web_config_defaults(&config);
	config.client_cap = 10;
	web_rig_init(&rig, &config);
	CHECK(web_client_join(&honest, &rig, "198.51.100.1:5000", keys[0]));
	for (unsigned i = 0; i < 9; i++) {
		snprintf(addr, sizeof(addr), "192.0.2.1:%u", 5000 + i);
		CHECK(web_client_open(&crowd[i], &rig, addr));
	}
	/* One more of the same address gets none; one of another takes one. */
	CHECK(!web_client_open(&last, &rig, "192.0.2.1:6000"));
	CHECK(web_client_open(&last, &rig, "203.0.113.1:5000"));
	for (unsigned i = 0; i < 9; i++)
		open_cnt += crowd[i].is_open;
	CHECK_EQ(open_cnt, 8);
	CHECK(honest.is_open);
	CHECK_EQ(stats_of(&rig).refused_cnt, 1);
	CHECK_EQ(stats_of(&rig).evicted_cnt, 1);
	CHECK_EQ(stats_of(&rig).conn_cnt, 10);
	for (unsigned i = 0; i < 9; i++)
		web_client_fini(&crowd[i]);
	web_client_fini(&last);
	pair_fini(&rig, &honest, &honest);
}

/* Two receivers do not read; the one that holds most pays for the other's first frames. */
static void test_full_memory_drops_the_oldest_frame_of_the_largest_account(void)
{
	struct relay_web_config config;
	struct relay_web_frame to_b = send_to(1, "old", 3), to_c = send_to(2, "new", 3);
	struct fair_view memory;
	struct web_client a, b, c;
	unsigned cnt = 0;
	struct web_rig rig;

	relay_web_config_defaults(&config);
	config.memory_cap = 64 * 2048;
	CHECK(pair_init(&rig, &config, &a, &b));
	CHECK(web_client_join(&c, &rig, "203.0.113.1:5000", keys[2]));
	b.is_full = c.is_full = true;
	web_client_frame(&c, &(struct relay_web_frame){.type = RELAY_WEB_PING,
						       .data = (const uint8_t *)"12345678",
						       .len = 8});
	for (unsigned i = 0; i < 65; i++)
		web_client_frame(&a, &to_b); /* the first is written */
	relay_web_blocks(rig.web, &memory);
	CHECK_EQ(memory.held_cnt, 64);
	CHECK_EQ(stats_of(&rig).no_memory_cnt, 0);
	for (unsigned i = 0; i < 8; i++)
		web_client_frame(&a, &to_c);
	CHECK_EQ(stats_of(&rig).no_memory_cnt, 8);
	b.is_full = c.is_full = false;
	relay_web_events.writable(&b.channel, rig.now_ns);
	relay_web_events.writable(&c.channel, rig.now_ns);
	web_rig_flush(&rig);
	while (hears_packet(&b, 0, "old", 3))
		cnt++;
	CHECK_EQ(cnt, 65 - 8);
	CHECK(!hears_packet(&c, 0, "new", 3)); /* the pong */
	for (cnt = 0; hears_packet(&c, 0, "new", 3); cnt++)
		;
	CHECK_EQ(cnt, 8);
	CHECK_EQ(stats_of(&rig).memory_used_len, 0);
	web_client_fini(&c);
	pair_fini(&rig, &a, &b);
}

static void test_a_million_connections_leave_a_client_alone(void)
{
	struct relay_web_frame frame = send_to(1, "x", 1);
	struct relay_web_config config;
	struct web_client a, b, flood[64] = {0};
	struct byte_channel_events events = relay_web_events;
	unsigned idx = 0;
	struct web_rig rig;

	relay_web_config_defaults(&config);
	config.client_cap = 64;
	CHECK(pair_init(&rig, &config, &a, &b));
	for (unsigned i = 0; i < 1000000; i++) {
		struct web_client *one = NULL;

		/* The place of one that is gone; all of them are the channels' own business. */
		for (unsigned step = 0; step < 64 && !one; step++) {
			idx = (idx + 1) % 64;
			one = flood[idx].is_open ? NULL : &flood[idx];
		}
		CHECK(one);
		one->channel.ops = a.channel.ops;
		one->channel.remote = a.channel.remote;
		one->channel.remote.ip[1] = (uint8_t)(i % 50);
		one->channel.remote.ip[2] = (uint8_t)(i % 7);
		one->rig = &rig;
		one->is_open = events.opened(rig.web, &one->channel, rig.now_ns);
	}
	CHECK(a.is_open && b.is_open);
	CHECK_EQ(stats_of(&rig).conn_cnt, 64);
	web_client_frame(&a, &frame);
	CHECK(hears_packet(&b, 0, "x", 1));
	pair_fini(&rig, &a, &b);
}

static void test_a_banned_key_is_denied_at_its_proof_and_replaces_none(void)
{
	struct relay_web_frame frame;
	struct web_client a, b, tls;
	char field[256];
	struct web_rig rig;

	CHECK(pair_init(&rig, NULL, &a, &b));
	rig.banned_key = PK(0);
	CHECK(web_client_open(&tls, &rig, "203.0.113.1:5000"));
	web_client_proof(&tls, keys[0], field);
	CHECK(web_client_upgrade(&tls, "iroh-relay-v2", field));
	CHECK(web_client_hear_frame(&tls, V2, &frame));
	CHECK_EQ(frame.type, RELAY_WEB_DENIED);
	CHECK(web_client_hears_close(&tls, 1008));
	web_client_fini(&tls);
	CHECK(web_client_open(&tls, &rig, "203.0.113.1:5001"));
	CHECK(web_client_upgrade(&tls, "iroh-relay-v2", ""));
	CHECK(web_client_answer(&tls, keys[0]));
	CHECK(web_client_hear_frame(&tls, V2, &frame));
	CHECK_EQ(frame.type, RELAY_WEB_DENIED);
	CHECK_EQ(stats_of(&rig).banned_cnt, 2);
	CHECK_EQ(stats_of(&rig).denied_cnt, 0);
	CHECK_EQ(stats_of(&rig).replaced_cnt, 0);
	CHECK(a.is_open && !a.is_shut);
	web_client_fini(&tls);
	pair_fini(&rig, &a, &b);
}

static void test_a_ban_cuts_the_connection_of_its_key_at_once_and_no_other(void)
{
	struct relay_web_frame frame = send_to(1, "x", 1), got;
	struct web_client a, b;
	struct web_rig rig;

	CHECK(pair_init(&rig, NULL, &a, &b));
	b.is_full = true;
	web_client_frame(&a, &frame);
	web_client_frame(&a, &frame);
	rig.banned_key = PK(1);
	CHECK_EQ(relay_web_expel(rig.web, rig.now_ns), 1);
	CHECK(a.is_open && !b.is_open);
	CHECK_EQ(stats_of(&rig).client_cnt, 1);
	CHECK_EQ(stats_of(&rig).memory_used_len, 0);
	CHECK_EQ(stats_of(&rig).banned_cnt, 1);
	web_client_frame(&a, &frame);
	CHECK(web_client_hear_frame(&a, V2, &got));
	CHECK_EQ(got.type, RELAY_WEB_GONE);
	CHECK_EQ(relay_web_expel(rig.web, rig.now_ns), 0);
	pair_fini(&rig, &a, &b);
}

static void test_a_ban_of_an_address_cuts_it_in_every_state_and_keeps_it_out(void)
{
	struct web_client a, b, silent, proving, later;
	struct web_rig rig;

	CHECK(pair_init(&rig, NULL, &a, &b));
	CHECK(web_client_open(&silent, &rig, "192.0.2.1:5001"));
	CHECK(web_client_open(&proving, &rig, "192.0.2.1:5002"));
	CHECK(web_client_upgrade(&proving, "iroh-relay-v2", ""));
	rig.banned_addr = a.channel.remote;
	CHECK_EQ(relay_web_expel(rig.web, rig.now_ns), 3);
	CHECK(!a.is_open && !silent.is_open && !proving.is_open && b.is_open);
	CHECK(!web_client_open(&later, &rig, "192.0.2.1:5003"));
	CHECK_EQ(stats_of(&rig).banned_cnt, 4);
	CHECK_EQ(stats_of(&rig).conn_cnt, 1);
	rig.banned_addr.family = ADDR_NONE;
	web_client_fini(&later);
	CHECK(web_client_open(&later, &rig, "192.0.2.1:5004"));
	web_client_fini(&silent);
	web_client_fini(&proving);
	web_client_fini(&later);
	pair_fini(&rig, &a, &b);
}

int main(void)
{
	keys_init();
	RUN(test_512_frames_wait_for_a_client_and_no_more);
	RUN(test_a_client_that_reads_nothing_is_cut_after_2_s_and_delays_none);
	RUN(test_packets_have_65536_bytes_and_messages_1_mib_at_most);
	RUN(test_a_request_has_4096_bytes_at_most);
	RUN(test_an_address_beyond_its_rate_gets_a_status_and_waits);
	RUN(test_a_full_table_takes_from_the_address_that_has_most);
	RUN(test_full_memory_drops_the_oldest_frame_of_the_largest_account);
	RUN(test_a_banned_key_is_denied_at_its_proof_and_replaces_none);
	RUN(test_a_ban_cuts_the_connection_of_its_key_at_once_and_no_other);
	RUN(test_a_ban_of_an_address_cuts_it_in_every_state_and_keeps_it_out);
	RUN(test_a_million_connections_leave_a_client_alone);
	keys_fini();
	return check_done();
}
