/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two meshes over two QUIC engines on a lossy network in memory: what
 * transport_pair promises in their stead must hold for the real carrier.
 */
#include "over_quic_rig.h"

struct asked {
	struct mesh_request *request;
	unsigned reply_cnt;
	int err;
	bool is_right;
	uint8_t actual_key[MESH_KEY_LEN];
	uint8_t buf[CHUNK_LEN + 1024];
};
static struct asked asks[ASK_CNT];

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t at_ns)
{
	struct asked *asked = arg;

	(void)at_ns;
	asked->reply_cnt++;
	asked->err = reply->err;
	asked->is_right = !reply->err && reply->payload_len == 2 + CHUNK_LEN &&
			  memcmp(reply->payload, "hd", 2) == 0 &&
			  memcmp(reply->payload + 2, chunk, CHUNK_LEN) == 0;
	if (reply->actual_key)
		memcpy(asked->actual_key, reply->actual_key, MESH_KEY_LEN);
}

static int ask(struct asked *asked, unsigned from, unsigned to, const uint8_t *key)
{
	struct party *party = &parties[from];
	struct mesh_ask call = {.peer = {.addrs = &parties[to].addr, .addr_cnt = 1},
				.type = MESH_GET_CHUNK,
				.payload = "hd",
				.payload_len = 2,
				.reply_buf = asked->buf,
				.reply_cap = sizeof(asked->buf),
				.timeout_ns = 30 * S,
				.stall_ns = 10 * S,
				.reply = on_reply,
				.arg = asked};

	asked->reply_cnt = 0;
	memcpy(call.peer.key, key ? key : node_key_public(parties[to].key), MESH_KEY_LEN);
	return party->seam.ops->ask(party->mesh, &call, now_ns, &asked->request);
}

static void test_chunks_arrive_both_ways_under_loss(void)
{
	CHECK(both_start(&lossy));
	for (unsigned i = 0; i < ASK_CNT; i++)
		CHECK_EQ(ask(&asks[i], i % 2, 1 - i % 2, NULL), 0);
	run(60 * S);
	for (unsigned i = 0; i < ASK_CNT; i++) {
		CHECK_EQ(asks[i].reply_cnt, 1);
		CHECK_EQ(asks[i].err, 0);
		CHECK(asks[i].is_right);
	}
	CHECK_EQ(tail_done_cnt, ASK_CNT);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(stats_of(i).session_cnt, 1);
		CHECK_EQ(stats_of(i).request_cnt, 0);
		CHECK_EQ(stats_of(i).incoming_cnt, 0);
		CHECK_EQ(stats_of(i).malformed_cnt, 0);
	}
	both_stop();
}

static void test_cancelled_requests_leave_nothing(void)
{
	CHECK(both_start(&lossy));
	for (unsigned round = 0; round < 30; round++) {
		CHECK_EQ(ask(&asks[0], 0, 1, NULL), 0);
		run(round * 2 * MS);
		if (!asks[0].reply_cnt)
			parties[0].seam.ops->cancel(asks[0].request);
	}
	CHECK_EQ(ask(&asks[0], 0, 1, NULL), 0);
	run(30 * S);
	CHECK(asks[0].is_right);
	run(30 * S);
	CHECK_EQ(stats_of(0).request_cnt, 0);
	CHECK_EQ(stats_of(1).incoming_cnt, 0);
	both_stop();
}

static void test_another_key_is_named(void)
{
	uint8_t key[MESH_KEY_LEN];

	CHECK(both_start(&good));
	memcpy(key, node_key_public(parties[1].key), sizeof(key));
	key[0] ^= 1;
	CHECK_EQ(ask(&asks[0], 0, 1, key), 0);
	run(30 * S);
	CHECK_EQ(asks[0].reply_cnt, 1);
	CHECK_EQ(asks[0].err, WEFT_EWRONGKEY);
	CHECK_MEM(asks[0].actual_key, node_key_public(parties[1].key), MESH_KEY_LEN);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	run(30 * S);
	CHECK_EQ(stats_of(1).session_cnt, 0);
	both_stop();
}

static uint8_t met_key[MESH_KEY_LEN];
static unsigned met_cnt;

static void on_met(void *arg, const struct addr *addr, int err, const uint8_t *key, uint64_t at_ns)
{
	(void)arg;
	(void)addr;
	(void)at_ns;
	met_cnt += err == 0;
	if (key)
		memcpy(met_key, key, sizeof(met_key));
}

static void test_address_shows_the_key_of_its_owner(void)
{
	CHECK(both_start(&good));
	met_cnt = 0;
	CHECK_EQ(mesh_identify_addr(parties[0].mesh, &parties[1].addr, on_met, NULL, now_ns), 0);
	run(2 * S);
	CHECK_EQ(met_cnt, 1);
	CHECK_MEM(met_key, node_key_public(parties[1].key), sizeof(met_key));
	CHECK_EQ(stats_of(0).session_cnt + stats_of(1).session_cnt, 0);
	both_stop();
}

static void test_partition_fails_requests_and_heals(void)
{
	CHECK(both_start(&good));
	CHECK_EQ(ask(&asks[0], 0, 1, NULL), 0);
	run(2 * S);
	CHECK(asks[0].is_right);
	net_mem_net_set_group(net, &parties[1].addr, 1);
	CHECK_EQ(ask(&asks[0], 0, 1, NULL), 0);
	run(40 * S);
	CHECK_EQ(asks[0].reply_cnt, 1);
	CHECK(asks[0].err == WEFT_ETIMEOUT || asks[0].err == WEFT_ECLOSED);
	run(120 * S);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	CHECK_EQ(stats_of(1).session_cnt, 0);
	CHECK_EQ(ask(&asks[0], 0, 1, NULL), 0);
	run(40 * S);
	CHECK_EQ(asks[0].err, WEFT_EUNREACHABLE);
	net_mem_net_set_group(net, &parties[1].addr, 0);
	CHECK_EQ(ask(&asks[0], 0, 1, NULL), 0);
	run(5 * S);
	CHECK(asks[0].is_right);
	both_stop();
}

static void test_goodbye_reaches_the_peer(void)
{
	CHECK(both_start(&good));
	CHECK_EQ(ask(&asks[0], 0, 1, NULL), 0);
	run(2 * S);
	mesh_goodbye(parties[1].mesh, MESH_BYE_SHUTDOWN, 60000, now_ns);
	run(S);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	CHECK_EQ(stats_of(1).session_cnt, 0);
	CHECK_EQ(parties[0].down_cnt, 1);
	CHECK_EQ(ask(&asks[0], 0, 1, NULL), 0);
	run(S);
	CHECK_EQ(asks[0].err, WEFT_EREFUSED);
	both_stop();
}

static void test_session_id_comes_from_the_exporter(void)
{
	uint8_t ids[2][MESH_SESSION_ID_LEN];

	CHECK(both_start(&good));
	CHECK_EQ(ask(&asks[0], 0, 1, NULL), 0);
	run(2 * S);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(mesh_session_id(parties[i].mesh, node_key_public(parties[1 - i].key),
					 ids[i]),
			 0);
	CHECK_MEM(ids[0], ids[1], sizeof(ids[0]));
	both_stop();
}

static unsigned short_left_cnt;
static int ask_short(void);

static void on_short_reply(void *arg, const struct mesh_reply *reply, uint64_t at_ns)
{
	(void)arg;
	(void)at_ns;
	if (!reply->err && --short_left_cnt)
		(void)ask_short();
}

static int ask_short(void)
{
	struct mesh_request *request;
	struct mesh_ask call = {.peer = {.addrs = &parties[1].addr, .addr_cnt = 1},
				.type = MESH_GET_CHUNK_HASHES,
				.reply_buf = asks[0].buf,
				.reply_cap = sizeof(asks[0].buf),
				.timeout_ns = 30 * S,
				.reply = on_short_reply};

	memcpy(call.peer.key, node_key_public(parties[1].key), MESH_KEY_LEN);
	return parties[0].seam.ops->ask(parties[0].mesh, &call, now_ns, &request);
}

static void serve_short(void *ctx, const struct mesh_call *call, uint64_t at_ns)
{
	struct party *party = ctx;

	(void)at_ns;
	(void)party->seam.ops->answer(call->incoming, MESH_CHUNK_HASH_LIST, "short", 5, NULL);
}

/* Acknowledgements travel with what is to be said next. */
static void test_short_exchanges_take_a_datagram_each_way(void)
{
	static const struct mem_link near = {.delay_ns = MS / 10};
	uint64_t sent_cnts[2];

	CHECK(both_start(&near));
	CHECK_EQ(parties[1].seam.ops->handle(parties[1].mesh, MESH_GET_CHUNK_HASHES, serve_short,
					     &parties[1]),
		 0);
	short_left_cnt = 100;
	CHECK_EQ(ask_short(), 0);
	run(S);
	CHECK_EQ(short_left_cnt, 0);
	for (unsigned i = 0; i < 2; i++)
		sent_cnts[i] = parties[i].tx->counters.dgram_cnt;
	short_left_cnt = 1000;
	CHECK_EQ(ask_short(), 0);
	run(S);
	CHECK_EQ(short_left_cnt, 0);
	for (unsigned i = 0; i < 2; i++)
		CHECK(parties[i].tx->counters.dgram_cnt - sent_cnts[i] <= 1010);
	both_stop();
}

int main(void)
{
	RUN(test_chunks_arrive_both_ways_under_loss);
	RUN(test_cancelled_requests_leave_nothing);
	RUN(test_another_key_is_named);
	RUN(test_address_shows_the_key_of_its_owner);
	RUN(test_partition_fails_requests_and_heals);
	RUN(test_goodbye_reaches_the_peer);
	RUN(test_session_id_comes_from_the_exporter);
	RUN(test_short_exchanges_take_a_datagram_each_way);
	return check_done();
}
