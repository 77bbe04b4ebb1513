/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two meshes over two QUIC engines on a lossy network in memory: what
 * transport_pair promises in their stead must hold for the real carrier.
 */
#include "support/check.h"
#include "support/quic_take.h"

#include "base/random.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "mesh/session/hello.h"
#include "mesh/peers/identify.h"
#include "mesh/mesh.h"
#include "net/mem.h"
#include "quic/quic.h"

#define MS 1000000ull
#define S  (1000 * MS)

#define CHUNK_LEN 262144
#define ASK_CNT	  40

struct party {
	struct node_key *key;
	struct addr addr;
	struct timer_wheel timers;
	struct random random;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct mesh *mesh;
	struct quic_engine *quic;
	struct mesh_seam seam;
	unsigned up_cnt, down_cnt;
};

static struct mem_net *net;
static struct random dice;
static struct party parties[2];
static uint64_t now_ns;
static uint8_t chunk[CHUNK_LEN];
static unsigned tail_done_cnt;

static void on_session(void *ctx, const struct mesh_peer_info *peer, bool is_up)
{
	struct party *party = ctx;

	(void)peer;
	if (is_up)
		party->up_cnt++;
	else
		party->down_cnt++;
}

static void tail_done(void *arg)
{
	(void)arg;
	tail_done_cnt++;
}

static void serve_chunk(void *ctx, const struct mesh_call *call, uint64_t at_ns)
{
	struct party *party = ctx;
	struct transport_span tail = {chunk, sizeof(chunk), tail_done, NULL};

	(void)at_ns;
	if (party->seam.ops->answer(call->incoming, MESH_CHUNK_DATA, call->payload,
				    call->payload_len, &tail) < 0)
		tail_done(NULL);
}

static bool party_start(struct party *party, uint8_t number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {number};
	struct quic_engine_params quic = {.events = &mesh_transport_events, .now_ns = now_ns};
	struct mesh_params mesh = {.now_ns = now_ns, .wall_s = 1700000000};

	memset(party, 0, sizeof(*party));
	party->addr = (struct addr){.ip = {10, 0, 0, number}, .port = 7000, .family = ADDR_IPV4};
	timer_wheel_init(&party->timers, now_ns);
	random_init_seeded(&party->random, number);
	if (node_key_from_seed(seed, &party->key) < 0 ||
	    net_mem_net_attach(net, &party->addr, &party->rx, &party->tx) < 0)
		return false;
	mesh_config_defaults(&mesh.config);
	mesh.own_key = node_key_public(party->key);
	mesh.timers = &party->timers;
	mesh.random = &party->random;
	mesh.on_session = on_session;
	mesh.ctx = party;
	if (mesh_new(&mesh, &party->mesh) < 0)
		return false;
	quic_config_defaults(&quic.config);
	quic.key = party->key;
	quic.ctx = party->mesh;
	quic.random = &party->random;
	quic.sink = &party->tx->sink;
	if (quic_engine_new(&quic, &party->quic) < 0)
		return false;
	mesh_set_transport(party->mesh, quic_engine_transport(party->quic));
	party->seam = mesh_seam_of(party->mesh);
	return party->seam.ops->handle(party->mesh, MESH_GET_CHUNK, serve_chunk, party) == 0;
}

static void party_stop(struct party *party)
{
	mesh_free(party->mesh);
	quic_engine_free(party->quic);
	packet_rx_close(party->rx);
	packet_tx_close(party->tx);
	node_key_free(party->key);
}

static bool both_start(const struct mem_link *link)
{
	now_ns = 1000 * S;
	tail_done_cnt = 0;
	random_init_seeded(&dice, 7);
	for (size_t i = 0; i < sizeof(chunk); i++)
		chunk[i] = (uint8_t)(i * 7 + i / 253);
	if (net_mem_net_new(2, 16384, &dice, &net) < 0)
		return false;
	net_mem_net_set_default_link(net, link);
	net_mem_net_advance(net, now_ns);
	return party_start(&parties[0], 1) && party_start(&parties[1], 2);
}

static void both_stop(void)
{
	party_stop(&parties[0]);
	party_stop(&parties[1]);
	net_mem_net_free(net);
}

static void party_turn(struct party *party)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(party->rx, dgrams, PACKET_BURST_MAX);

	for (unsigned i = 0; i < cnt; i++)
		quic_take(party->quic, &dgrams[i], now_ns);
	timer_wheel_expire(&party->timers, now_ns);
	quic_engine_expire(party->quic, now_ns);
	quic_engine_flush(party->quic, now_ns);
	(void)packet_tx_flush(party->tx);
}

static uint64_t party_next_ns(const struct party *party)
{
	uint64_t timers_ns = timer_wheel_next_ns(&party->timers);
	uint64_t quic_ns = quic_engine_next_ns(party->quic);

	return timers_ns < quic_ns ? timers_ns : quic_ns;
}

static void run(uint64_t len_ns)
{
	uint64_t until_ns = now_ns + len_ns;

	while (now_ns < until_ns) {
		uint64_t next_ns = net_mem_net_next_ns(net);

		for (unsigned i = 0; i < 2; i++)
			if (party_next_ns(&parties[i]) < next_ns)
				next_ns = party_next_ns(&parties[i]);
		/* A burst may have been left over: never stand still. */
		now_ns = next_ns <= now_ns ? now_ns + MS / 10 : next_ns;
		if (now_ns > until_ns)
			now_ns = until_ns;
		net_mem_net_advance(net, now_ns);
		for (unsigned i = 0; i < 2; i++)
			party_turn(&parties[i]);
	}
}

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

static struct mesh_stats stats_of(unsigned party)
{
	struct mesh_stats stats;

	mesh_stats(parties[party].mesh, &stats);
	return stats;
}

static const struct mem_link good = {.delay_ns = 5 * MS};
static const struct mem_link lossy = {.delay_ns = 5 * MS,
				      .jitter_ns = 2 * MS,
				      .loss_per_1000 = 50,
				      .duplicate_per_1000 = 10,
				      .reorder_per_1000 = 20};

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

/* A stream of frames of a chunk each, as fast as the reader lets it. */
struct flow {
	struct mesh_stream_seam seam;
	struct mesh_stream *stream;
	size_t left_len;	    /* to be sent */
	size_t got_len, unused_len; /* received */
	size_t unused_peak;
	bool is_reading, is_wrong, is_over;
	bool is_mute; /* finishes nothing */
	int err;
	uint64_t code;
};
static struct flow flows[2];

static void flow_send(struct flow *flow)
{
	const struct mesh_stream_ops *ops = flow->seam.ops;
	struct transport_span span = {.data = chunk, .done = tail_done};
	struct mesh_stream_frame frame = {.type = MESH_STREAM_DATA};
	int err = 0;

	while (flow->left_len && !err) {
		span.len = flow->left_len < CHUNK_LEN ? flow->left_len : CHUNK_LEN;
		frame.payload_len = span.len;
		err = ops->send(flow->stream, &frame, NULL, 0, &span);
		if (!err)
			flow->left_len -= span.len;
	}
	flow->is_wrong |= err && err != WEFT_EFULL;
	if (!flow->left_len)
		ops->finish(flow->stream);
}

static void flow_frame(void *arg, const struct mesh_stream_frame *frame, uint64_t at_ns)
{
	(void)arg;
	(void)frame;
	(void)at_ns;
}

static void flow_read(struct flow *flow)
{
	flow->seam.ops->consume(flow->stream, flow->unused_len);
	flow->unused_len = 0;
}

static void flow_data(void *arg, const uint8_t *data, size_t len, uint64_t at_ns)
{
	struct flow *flow = arg;

	(void)at_ns;
	flow->is_wrong |= memcmp(data, chunk + flow->got_len % CHUNK_LEN, len) != 0;
	flow->got_len += len;
	flow->unused_len += len;
	if (flow->unused_len > flow->unused_peak)
		flow->unused_peak = flow->unused_len;
	if (flow->is_reading)
		flow_read(flow);
}

static void flow_finished(void *arg, uint64_t at_ns)
{
	struct flow *flow = arg;

	(void)at_ns;
	if (!flow->is_mute)
		flow->seam.ops->finish(flow->stream);
}

static void flow_writable(void *arg, uint64_t at_ns)
{
	(void)at_ns;
	flow_send(arg);
}

static void flow_ended(void *arg, const struct mesh_stream_end *end, uint64_t at_ns)
{
	struct flow *flow = arg;

	(void)at_ns;
	flow->is_wrong |= flow->is_over;
	flow->is_over = true;
	flow->err = end->err;
	flow->code = end->code;
}

static const struct mesh_stream_events flow_events = {
	.frame = flow_frame,
	.data = flow_data,
	.finished = flow_finished,
	.writable = flow_writable,
	.ended = flow_ended,
};

static int flow_accept(void *ctx, struct mesh_stream *stream, unsigned type, uint64_t at_ns,
		       struct mesh_stream_user *out_user)
{
	struct flow *flow = ctx;

	(void)type;
	(void)at_ns;
	flow->stream = stream;
	*out_user = (struct mesh_stream_user){&flow_events, flow};
	return 0;
}

static bool flow_start(size_t len)
{
	struct mesh_stream_open open = {
		.peer = {.addrs = &parties[1].addr, .addr_cnt = 1},
		.timeout_ns = 30 * S,
		.events = &flow_events,
		.arg = &flows[0],
	};

	memset(flows, 0, sizeof(flows));
	for (unsigned i = 0; i < 2; i++)
		flows[i].seam = mesh_stream_seam_of(parties[i].mesh);
	flows[0].left_len = len;
	flows[1].is_reading = true;
	memcpy(open.peer.key, node_key_public(parties[1].key), MESH_KEY_LEN);
	if (flows[1].seam.ops->accept(parties[1].mesh, MESH_STREAM_DATA, flow_accept, &flows[1]) ||
	    flows[0].seam.ops->open(parties[0].mesh, &open, now_ns, &flows[0].stream) < 0)
		return false;
	flow_send(&flows[0]);
	return true;
}

static bool flow_is_whole(size_t len)
{
	return flows[1].got_len == len && flows[0].is_over && flows[1].is_over && !flows[0].err &&
	       !flows[1].err && !flows[0].is_wrong && !flows[1].is_wrong &&
	       !stats_of(0).stream_cnt && !stats_of(1).stream_cnt;
}

static void test_a_long_stream_passes_through(void)
{
	static const size_t lens[] = {1 << 20, 100 << 20};
	struct quic_stats stats;

	for (unsigned i = 0; i < 2; i++) {
		CHECK(both_start(&good));
		CHECK(flow_start(lens[i]));
		run(120 * S);
		CHECK(flow_is_whole(lens[i]));
		CHECK_EQ(tail_done_cnt, lens[i] / CHUNK_LEN);
		/* A frame's head each on one side; what holes of reordering keep on the other. */
		quic_engine_stats(parties[1].quic, &stats);
		CHECK(stats.heap_peak_len < 4 << 20);
		CHECK(flows[1].unused_peak <= 65536);
		both_stop();
	}
}

static void test_a_long_stream_survives_loss(void)
{
	CHECK(both_start(&lossy));
	CHECK(flow_start(4 << 20));
	run(300 * S);
	CHECK(flow_is_whole(4 << 20));
	both_stop();
}

static void test_a_reader_that_stops_stops_the_sender(void)
{
	CHECK(both_start(&good));
	CHECK(flow_start(16 << 20));
	flows[1].is_reading = false;
	run(20 * S);
	CHECK(flows[1].got_len > 0);
	CHECK(flows[1].unused_peak <= 1 << 20); /* the window at start */
	CHECK(flows[0].left_len > 8 << 20);
	/* The reader is the one that waits: nothing times out. */
	run(300 * S);
	CHECK(!flows[0].is_over && !flows[1].is_over);
	flows[1].is_reading = true;
	flow_read(&flows[1]);
	run(60 * S);
	CHECK(flow_is_whole(16 << 20));
	both_stop();
}

/* All that QUIC can still say about the reset is that the answer is not wanted. */
static void test_reset_after_finish_is_reported(void)
{
	CHECK(both_start(&good));
	CHECK(flow_start(100));
	flows[1].is_mute = true;
	run(S);
	CHECK_EQ(flows[1].got_len, 100);
	flows[0].seam.ops->reset(flows[0].stream, 77);
	run(S);
	CHECK_EQ(flows[1].err, WEFT_ECANCELLED);
	CHECK_EQ(flows[1].code, 77);
	CHECK(!flows[0].is_over);
	CHECK_EQ(stats_of(0).stream_cnt, 0);
	CHECK_EQ(stats_of(1).stream_cnt, 0);
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
	RUN(test_a_long_stream_passes_through);
	RUN(test_a_long_stream_survives_loss);
	RUN(test_a_reader_that_stops_stops_the_sender);
	RUN(test_reset_after_finish_is_reported);
	return check_done();
}
