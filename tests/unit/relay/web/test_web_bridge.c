/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of a relay over WebSocket and nodes that have a session with it. */
#include "weft/relay_tables.h"
#include "base/assert.h"
#include "web_pair.h"

static struct {
	unsigned cnt;
	size_t lens[4];
	uint8_t last[RELAY_WEB_DGRAM_MAX], ecn;
	int err;
} sent;

static int on_send(void *ctx, const struct relay_web_dgram *dgram)
{
	(void)ctx;
	weft_assert(memcmp(dgram->client, PK(0), RELAY_WEB_KEY_LEN) == 0);
	weft_assert(memcmp(dgram->peer, PK(2), RELAY_WEB_KEY_LEN) == 0);
	if (sent.err < 0)
		return sent.err;
	if (sent.cnt < 4)
		sent.lens[sent.cnt] = dgram->len;
	sent.cnt++;
	sent.ecn = dgram->ecn;
	memcpy(sent.last, dgram->data, dgram->len);
	return 0;
}

static void bridge_init(struct web_rig *rig, struct web_client *a, struct web_client *b)
{
	memset(&sent, 0, sizeof(sent));
	CHECK(pair_init(rig, NULL, a, b));
	rig->send = on_send;
}

static void test_datagrams_to_a_node_go_one_by_one(void)
{
	static uint8_t data[RELAY_WEB_DGRAM_MAX * 3];
	struct relay_web_frame frame = send_to(2, "hello", 5);
	struct web_client a, b;
	struct web_rig rig;

	bridge_init(&rig, &a, &b);
	web_client_frame(&a, &frame);
	CHECK_EQ(sent.cnt, 1);
	CHECK_EQ(sent.ecn, 2);
	CHECK_MEM(sent.last, "hello", 5);
	/* A batch longer than a block of memory. */
	sent.cnt = 0;
	data[2 * RELAY_WEB_DGRAM_MAX] = 'z';
	frame = send_to(2, data, 2 * RELAY_WEB_DGRAM_MAX + 7);
	frame.type = RELAY_WEB_SEND_BATCH;
	frame.segment_len = RELAY_WEB_DGRAM_MAX;
	web_client_frame(&a, &frame);
	CHECK_EQ(sent.cnt, 3);
	CHECK(sent.lens[0] == RELAY_WEB_DGRAM_MAX && sent.lens[2] == 7);
	CHECK_EQ(sent.last[0], 'z');
	CHECK_EQ(stats_of(&rig).bridged_cnt, 4);
	CHECK_EQ(stats_of(&rig).memory_used_len, 0);
	pair_fini(&rig, &a, &b);
}

static void test_a_datagram_too_long_for_a_flow_is_dropped(void)
{
	static uint8_t data[RELAY_WEB_DGRAM_MAX + 1];
	struct relay_web_frame frame = send_to(2, data, sizeof(data));
	struct web_client a, b;
	struct web_rig rig;

	bridge_init(&rig, &a, &b);
	web_client_frame(&a, &frame);
	CHECK_EQ(sent.cnt, 0);
	CHECK_EQ(stats_of(&rig).unbridged_cnt, 1);
	frame = send_to(2, data, sizeof(data) - 1);
	web_client_frame(&a, &frame);
	CHECK_EQ(sent.cnt, 1);
	/* Nor is a batch of what is too short for a packet of QUIC: it would be one send a byte. */
	frame.type = RELAY_WEB_SEND_BATCH;
	frame.segment_len = WEFT_RELAY_INNER_LEN_MIN - 1;
	web_client_frame(&a, &frame);
	CHECK_EQ(stats_of(&rig).unbridged_cnt, 2);
	CHECK_EQ(sent.cnt, 1);
	pair_fini(&rig, &a, &b);
}

static void test_a_node_without_a_session_is_gone(void)
{
	struct relay_web_frame frame = send_to(2, "hello", 5), got;
	struct web_client a, b;
	struct web_rig rig;

	bridge_init(&rig, &a, &b);
	sent.err = WEFT_EABSENT;
	web_client_frame(&a, &frame);
	CHECK(web_client_hear_frame(&a, V2, &got));
	CHECK_EQ(got.type, RELAY_WEB_GONE);
	CHECK_EQ(stats_of(&rig).absent_cnt, 1);
	relay_web_gone(rig.web, PK(1), PK(2));
	web_rig_flush(&rig);
	CHECK(web_client_hear_frame(&b, V2, &got));
	CHECK_EQ(got.type, RELAY_WEB_GONE);
	CHECK_MEM(got.key, PK(2), RELAY_WEB_KEY_LEN);
	relay_web_gone(rig.web, PK(3), PK(2));
	pair_fini(&rig, &a, &b);
}

static void test_a_node_answers_a_client_until_512_wait(void)
{
	struct relay_web_dgram dgram = {
		.client = PK(0), .peer = PK(2), .data = (const uint8_t *)"yes", .len = 3, .ecn = 2};
	struct web_client a, b;
	struct web_rig rig;
	struct addr remote;

	bridge_init(&rig, &a, &b);
	CHECK(relay_web_client(rig.web, PK(0), &remote));
	CHECK_EQ(remote.port, 5000);
	CHECK(!relay_web_client(rig.web, PK(2), &remote));
	for (unsigned i = 0; i < RELAY_WEB_QUEUE_MAX + 1; i++)
		relay_web_deliver(rig.web, &dgram, rig.now_ns);
	CHECK_EQ(stats_of(&rig).queue_full_cnt, 1);
	CHECK_EQ(stats_of(&rig).delivered_cnt, RELAY_WEB_QUEUE_MAX);
	web_rig_run(&rig, NS_PER_S);
	for (unsigned i = 0; i < RELAY_WEB_QUEUE_MAX; i++)
		CHECK(hears_packet(&a, 2, "yes", 3));
	CHECK_EQ(stats_of(&rig).memory_used_len, 0);
	dgram.client = PK(3);
	relay_web_deliver(rig.web, &dgram, rig.now_ns);
	CHECK_EQ(stats_of(&rig).absent_cnt, 1);
	pair_fini(&rig, &a, &b);
}

int main(void)
{
	keys_init();
	RUN(test_datagrams_to_a_node_go_one_by_one);
	RUN(test_a_datagram_too_long_for_a_flow_is_dropped);
	RUN(test_a_node_without_a_session_is_gone);
	RUN(test_a_node_answers_a_client_until_512_wait);
	keys_fini();
	return check_done();
}
