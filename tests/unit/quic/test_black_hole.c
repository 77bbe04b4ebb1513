/* SPDX-License-Identifier: Apache-2.0 */
/* A wire whose longest datagram becomes shorter while a connection uses it, in one direction or both. */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "quic/engine.h"

#define LEN_1280 1252 /* of UDP by IPv4 */
#define FILE_LEN (64ull << 20)

static struct quic_pair p;
static struct quic_test_conn *conn;

/* What the wire does beside its delay. */
static struct {
	size_t len_max[2];    /* of a's datagrams, and of b's */
	bool is_cut;	      /* it carries nothing */
	uint64_t bytes_per_s; /* 0: any number */
	uint64_t busy_ns[2];
	uint64_t long_lost_cnt; /* for their length */
	uint64_t long_lost_ns;	/* the last */
} wire;

static bool carry(struct quic_net *net, struct quic_net_dgram *dgram)
{
	bool is_b = addr_equal(&dgram->from, &p.b->outer);
	uint64_t *busy = &wire.busy_ns[is_b];

	if (dgram->len > wire.len_max[is_b]) {
		wire.long_lost_cnt++;
		wire.long_lost_ns = net->now_ns;
		return false;
	}
	if (wire.is_cut)
		return false;
	if (!wire.bytes_per_s)
		return true;
	if (*busy < net->now_ns)
		*busy = net->now_ns;
	if (*busy - net->now_ns > 20 * NS_PER_MS)
		return false;
	*busy += dgram->len * NS_PER_S / wire.bytes_per_s;
	dgram->at_ns += *busy - net->now_ns;
	return true;
}

static void begin(uint64_t seed, uint64_t delay_ns)
{
	memset(&wire, 0, sizeof(wire));
	wire.len_max[0] = wire.len_max[1] = SIZE_MAX;
	wire.bytes_per_s = 4000000;
	quic_pair_init(&p, seed, NULL);
	p.net.delay_ns = delay_ns;
	p.net.tap = carry;
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn && conn->is_ready);
	quic_net_settle(&p.net, 2 * NS_PER_S);
}

static struct transport_conn_info info_of(struct quic_node *node)
{
	struct transport_conn_info info = {0};

	if (node->conns[0].conn)
		node->transport->ops->info(node->conns[0].conn, &info);
	return info;
}

static uint64_t holes_of(struct quic_node *node)
{
	struct quic_stats stats;

	quic_node_stats(node, &stats);
	return stats.black_hole_cnt;
}

/* Bytes that came in, of all streams of node. */
static uint64_t received(const struct quic_node *node)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < node->stream_cnt; i++)
		len += node->streams[i].received_len;
	return len;
}

struct goal {
	const struct quic_node *node;
	uint64_t len;
};

static bool has_more(void *arg)
{
	const struct goal *goal = arg;

	return received(goal->node) >= goal->len;
}

/* Until so many bytes more came to node. */
static uint64_t wait_bytes(const struct quic_node *node, uint64_t len)
{
	struct goal goal = {node, received(node) + len};
	uint64_t from_ns = p.net.now_ns;

	if (!quic_net_run(&p.net, 60 * NS_PER_S, has_more, &goal))
		printf("# %u of %u bytes came\n", (unsigned)received(node), (unsigned)goal.len);
	return p.net.now_ns - from_ns;
}

static struct quic_test_stream *send_from(unsigned side, uint64_t len)
{
	return quic_net_send(side ? &p.b->conns[0] : conn, len);
}

/* Round trips of 0.2 and 80 ms; a and b send. */
static void test_a_transfer_goes_on_when_long_packets_are_lost(void)
{
	static const uint64_t delays_ns[] = {100 * NS_PER_US, 40 * NS_PER_MS};

	for (unsigned i = 0; i < 4; i++) {
		unsigned side = i % 2;
		struct quic_node *to;
		uint64_t gap_ns;

		begin(100 + i, delays_ns[i / 2]);
		to = side ? p.a : p.b;
		CHECK_EQ(info_of(p.a).pmtu_len, QUIC_DGRAM_LEN_ETH);
		CHECK_EQ(info_of(p.b).pmtu_len, QUIC_DGRAM_LEN_ETH);
		CHECK(send_from(side, FILE_LEN));
		wait_bytes(to, 4 << 20);
		wire.len_max[side] = LEN_1280;
		quic_net_settle(&p.net, delays_ns[i / 2] + 20 * NS_PER_MS); /* what is queued */
		gap_ns = wait_bytes(to, 1);
		printf("# round trip %u us: bytes came again after %u ms\n",
		       (unsigned)(2 * delays_ns[i / 2] / NS_PER_US),
		       (unsigned)(gap_ns / NS_PER_MS));
		CHECK(gap_ns < (i / 2 ? 1000 : 300) * NS_PER_MS);
		wait_bytes(to, 8 << 20);
		CHECK_EQ(holes_of(p.a) + holes_of(p.b), 1);
		CHECK(info_of(side ? p.b : p.a).has_black_hole);
		CHECK(info_of(side ? p.b : p.a).pmtu_len >= QUIC_SHORT_LEN);
		CHECK(info_of(side ? p.b : p.a).pmtu_len <= LEN_1280);
		CHECK_EQ(info_of(to).pmtu_len, QUIC_DGRAM_LEN_ETH);
		CHECK(!to->streams[0].is_damaged && !conn->is_closed);
		quic_pair_fini(&p);
	}
}

/* The way of the answers is what breaks. */
static void test_a_request_is_answered_when_its_answer_was_too_long(void)
{
	for (unsigned i = 0; i < 2; i++) {
		begin(110 + i, i ? 40 * NS_PER_MS : 100 * NS_PER_US);
		CHECK(quic_net_transfer(conn, 4 << 20, 10 * NS_PER_S));
		wire.len_max[0] = wire.len_max[1] = LEN_1280;
		p.b->more_len = 3000;
		CHECK(quic_net_transfer(conn, 3000, 3 * NS_PER_S));
		CHECK(!conn->is_closed);
		quic_pair_fini(&p);
	}
}

/* Short ones arrive all the time, so the path is never silent. */
static void test_short_packets_that_arrive_hide_no_black_hole(void)
{
	uint64_t before;

	begin(120, 5 * NS_PER_MS);
	CHECK(send_from(0, FILE_LEN));
	wait_bytes(p.b, 4 << 20);
	wire.len_max[0] = LEN_1280;
	for (unsigned i = 0; i < 200; i++) {
		CHECK(quic_net_send(conn, 20));
		quic_net_settle(&p.net, 5 * NS_PER_MS);
	}
	before = received(p.b);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(received(p.b) - before > 1 << 20);
	CHECK_EQ(holes_of(p.a), 1);
	quic_pair_fini(&p);
}

/* A node may have many peers that are gone. */
static void test_a_peer_that_is_gone_is_looked_at_once(void)
{
	const struct quic_conn *of;

	begin(125, 5 * NS_PER_MS);
	CHECK(quic_net_transfer(conn, 1 << 20, 10 * NS_PER_S));
	quic_net_settle(&p.net, NS_PER_S);
	of = (const struct quic_conn *)(const void *)conn->conn;
	wire.is_cut = true;
	CHECK(send_from(0, 1300));
	quic_net_settle(&p.net, NS_PER_MS);
	CHECK_EQ(of->black_hole.long_cnt, 1);
	CHECK_EQ(quic_black_hole_next_ns(of), UINT64_MAX);
	quic_net_settle(&p.net, 2 * NS_PER_S);
	CHECK_EQ(of->black_hole.cap, QUIC_SHORT_LEN);
	CHECK_EQ(quic_black_hole_next_ns(of), UINT64_MAX);
	CHECK_EQ(holes_of(p.a), 0);
	quic_pair_fini(&p);
}

static void test_an_outage_is_no_black_hole(void)
{
	begin(130, 5 * NS_PER_MS);
	CHECK(send_from(0, FILE_LEN));
	wait_bytes(p.b, 4 << 20);
	wire.is_cut = true;
	quic_net_settle(&p.net, NS_PER_S);
	wire.is_cut = false;
	wait_bytes(p.b, 8 << 20);
	CHECK_EQ(holes_of(p.a), 0);
	CHECK_EQ(info_of(p.a).pmtu_len, QUIC_DGRAM_LEN_ETH);
	quic_pair_fini(&p);
}

static void test_a_path_that_loses_many_packets_is_no_black_hole(void)
{
	for (unsigned i = 0; i < 5; i++) {
		begin(140 + i, 10 * NS_PER_MS);
		p.net.loss_per_1000 = 50 + 20 * i;
		wire.bytes_per_s = 0;
		CHECK(quic_net_transfer(conn, 4 << 20, 600 * NS_PER_S));
		p.net.loss_per_1000 = 0;
		CHECK(quic_net_transfer(conn, 4 << 20, 60 * NS_PER_S));
		quic_net_settle(&p.net, NS_PER_S);
		CHECK_EQ(holes_of(p.a), 0);
		CHECK_EQ(info_of(p.a).pmtu_len, QUIC_DGRAM_LEN_ETH);
		quic_pair_fini(&p);
	}
}

/* A tunnel of 1,440 bytes carries more than 1,200. */
static void test_the_longest_packets_that_pass_are_found_again(void)
{
	begin(150, 5 * NS_PER_MS);
	CHECK(send_from(0, FILE_LEN));
	wait_bytes(p.b, 4 << 20);
	wire.len_max[0] = 1400;
	wait_bytes(p.b, 8 << 20);
	CHECK_EQ(info_of(p.a).pmtu_len, 1392);
	CHECK(info_of(p.a).has_black_hole);
	quic_pair_fini(&p);
}

#define EACH_S 10

static void use_for(unsigned span_s)
{
	for (unsigned i = 0; i < span_s; i += EACH_S) {
		CHECK(quic_net_transfer(conn, 20000, NS_PER_S));
		quic_net_settle(&p.net, EACH_S * NS_PER_S);
	}
}

static void test_the_former_length_is_tried_with_growing_pauses_and_taken_up(void)
{
	static const unsigned pauses_s[] = {60, 120, 240, 480, 600, 600};
	uint64_t last_ns, cnt;

	begin(160, 5 * NS_PER_MS);
	wire.bytes_per_s = 0;
	CHECK(quic_net_transfer(conn, 4 << 20, 10 * NS_PER_S));
	wire.len_max[0] = LEN_1280;
	CHECK(quic_net_transfer(conn, 8 << 20, 10 * NS_PER_S));
	use_for(1);
	CHECK_EQ(holes_of(p.a), 1);
	for (unsigned i = 0; i < sizeof(pauses_s) / sizeof(pauses_s[0]); i++) {
		last_ns = wire.long_lost_ns;
		cnt = wire.long_lost_cnt;
		use_for(pauses_s[i] + EACH_S);
		CHECK_EQ(wire.long_lost_cnt, cnt + 1);
		CHECK(wire.long_lost_ns >= last_ns + pauses_s[i] * NS_PER_S);
		CHECK(wire.long_lost_ns < last_ns + (pauses_s[i] + 2 * EACH_S) * NS_PER_S);
	}
	wire.len_max[0] = SIZE_MAX;
	use_for(600 + 2 * EACH_S);
	CHECK_EQ(info_of(p.a).pmtu_len, QUIC_DGRAM_LEN_ETH);
	CHECK(!info_of(p.a).has_black_hole);
	CHECK_EQ(holes_of(p.a), 1);
	quic_pair_fini(&p);
}

/* What is lost with the trial is repeated in short packets, which arrive. */
static void test_a_trial_that_is_lost_beside_other_losses_does_not_pass(void)
{
	for (unsigned seed = 190; seed < 198; seed++) {
		begin(seed, 5 * NS_PER_MS);
		wire.bytes_per_s = 0;
		CHECK(quic_net_transfer(conn, 4 << 20, 10 * NS_PER_S));
		wire.len_max[0] = LEN_1280;
		p.net.loss_per_1000 = 150;
		for (unsigned i = 0; i < 400; i++) {
			CHECK(quic_net_transfer(conn, 1000 + 37 * i, 30 * NS_PER_S));
			CHECK(info_of(p.a).pmtu_len <= 1232 || !holes_of(p.a));
		}
		CHECK_EQ(holes_of(p.a), 1);
		quic_pair_fini(&p);
	}
}

static unsigned batch_cnt, packet_cnt;

static void (*commit_before)(struct dgram_sink *, const struct dgram_slot *, size_t,
			     const struct dgram_route *);

static void count_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			 const struct dgram_route *route)
{
	size_t segment_len = route->segment_len ? route->segment_len : len;

	batch_cnt++;
	packet_cnt += (unsigned)((len + segment_len - 1) / segment_len);
	commit_before(sink, slot, len, route);
}

static void test_short_packets_leave_in_batches(void)
{
	static struct dgram_sink_ops ops;

	begin(170, 5 * NS_PER_MS);
	wire.bytes_per_s = 0;
	wire.len_max[0] = LEN_1280;
	CHECK(send_from(0, FILE_LEN));
	wait_bytes(p.b, 4 << 20);
	ops = *p.a->sink.ops;
	commit_before = ops.commit;
	ops.commit = count_commit;
	p.a->sink.ops = &ops;
	batch_cnt = packet_cnt = 0;
	wait_bytes(p.b, 8 << 20);
	CHECK(packet_cnt > 4 * batch_cnt);
	quic_pair_fini(&p);
}

static void test_another_path_has_its_own_length(void)
{
	begin(180, 5 * NS_PER_MS);
	CHECK(send_from(0, FILE_LEN));
	wait_bytes(p.b, 4 << 20);
	wire.len_max[0] = LEN_1280;
	wait_bytes(p.b, 4 << 20);
	CHECK(info_of(p.a).has_black_hole);
	wire.len_max[0] = SIZE_MAX;
	CHECK(quic_engine_move(p.a->engine, &p.b->outer, &p.a->inner, &p.b->outer, p.net.now_ns));
	wait_bytes(p.b, 4 << 20);
	CHECK(!info_of(p.a).has_black_hole);
	CHECK_EQ(info_of(p.a).pmtu_len, QUIC_DGRAM_LEN_ETH);
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_a_transfer_goes_on_when_long_packets_are_lost);
	RUN(test_a_request_is_answered_when_its_answer_was_too_long);
	RUN(test_short_packets_that_arrive_hide_no_black_hole);
	RUN(test_a_peer_that_is_gone_is_looked_at_once);
	RUN(test_an_outage_is_no_black_hole);
	RUN(test_a_path_that_loses_many_packets_is_no_black_hole);
	RUN(test_the_longest_packets_that_pass_are_found_again);
	RUN(test_the_former_length_is_tried_with_growing_pauses_and_taken_up);
	RUN(test_a_trial_that_is_lost_beside_other_losses_does_not_pass);
	RUN(test_short_packets_leave_in_batches);
	RUN(test_another_path_has_its_own_length);
	return check_done();
}
