/* SPDX-License-Identifier: Apache-2.0 */
/* Long streams of two meshes over QUIC: loss, a reader that stops, a reset. */
#include "over_quic_rig.h"

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
	RUN(test_a_long_stream_passes_through);
	RUN(test_a_long_stream_survives_loss);
	RUN(test_a_reader_that_stops_stops_the_sender);
	RUN(test_reset_after_finish_is_reported);
	return check_done();
}
