/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/assert.h"
#include "base/monotonic.h"
#include "quic/engine.h"

#define DOWN_NS	 (5 * NS_PER_S)
#define FILE_LEN (64u << 20)
#define IDLE_NS	 (60 * NS_PER_S)

/* A wire that is cut, and what each end says meanwhile. */
struct wire {
	bool is_cut, is_deaf;	/* is_deaf: nothing of b arrives */
	uint64_t dgram_cnt[2];	/* of a, of b */
	uint64_t slice_cnt_max; /* of a, at one moment */
	uint64_t slice_cnt, at_ns;
};

static bool cut(struct quic_net *net, struct quic_net_dgram *dgram)
{
	struct wire *wire = net->tap_arg;
	unsigned from = addr_equal(&dgram->from, &net->nodes[0]->outer) ? 0 : 1;

	wire->dgram_cnt[from]++;
	if (from == 0) {
		wire->slice_cnt = wire->at_ns == net->now_ns ? wire->slice_cnt + 1 : 1;
		wire->at_ns = net->now_ns;
		if (wire->slice_cnt > wire->slice_cnt_max)
			wire->slice_cnt_max = wire->slice_cnt;
	}
	return !wire->is_cut && !(wire->is_deaf && from == 1);
}

struct goal {
	const struct quic_test_stream *stream;
	uint64_t len;
};

static bool has_more(void *arg)
{
	const struct goal *goal = arg;

	return goal->stream->received_len > goal->len;
}

/* Time until the next bytes of stream come. */
static uint64_t wait_bytes(struct quic_net *net, const struct quic_test_stream *stream)
{
	struct goal goal = {stream, stream->received_len};
	uint64_t from_ns = net->now_ns;

	weft_assert(quic_net_run(net, 60 * NS_PER_S, has_more, &goal));
	return net->now_ns - from_ns;
}

struct duo {
	struct quic_pair p;
	struct wire wire;
	struct quic_test_conn *conn;
};

/* a dials b. */
static void duo_init(struct duo *duo, uint64_t seed)
{
	struct quic_config config;

	*duo = (struct duo){0};
	quic_net_config(&config);
	config.idle_timeout_ns = IDLE_NS;
	quic_net_init(&duo->p.net, seed);
	duo->p.a = quic_net_add(&duo->p.net, 1, &config);
	duo->p.b = quic_net_add(&duo->p.net, 2, &config);
	duo->p.net.tap = cut;
	duo->p.net.tap_arg = &duo->wire;
	duo->conn = quic_net_connect(duo->p.a, duo->p.b);
	CHECK(duo->conn->is_ready);
	quic_net_settle(&duo->p.net, NS_PER_S);
}

/* Asks the other end for a file; returns the asker's stream, with a part of the answer. */
static struct quic_test_stream *ask_for_file(struct duo *duo, bool is_dialler_asking)
{
	struct quic_test_conn *conn = is_dialler_asking ? duo->conn : &duo->p.b->conns[0];
	struct quic_test_stream *stream;

	(is_dialler_asking ? duo->p.b : duo->p.a)->more_len = FILE_LEN;
	stream = quic_net_send(conn, 100);
	weft_assert(stream);
	for (unsigned i = 0; i < 200; i++)
		(void)wait_bytes(&duo->p.net, stream);
	return stream;
}

static uint64_t flow_after_cut(uint64_t seed, bool is_dialler_asking, bool is_told_a,
			       bool is_told_b)
{
	struct quic_test_stream *stream;
	struct transport_conn_info info;
	uint64_t took_ns;
	struct duo duo;

	duo_init(&duo, seed);
	stream = ask_for_file(&duo, is_dialler_asking);
	duo.wire.is_cut = true;
	quic_net_settle(&duo.p.net, DOWN_NS);
	duo.wire.is_cut = false;
	if (is_told_a)
		weft_assert(quic_engine_wake(duo.p.a->engine, duo.p.net.now_ns));
	if (is_told_b)
		weft_assert(quic_engine_wake(duo.p.b->engine, duo.p.net.now_ns));
	took_ns = wait_bytes(&duo.p.net, stream);
	/* What was acknowledged late makes no round trip of seconds. */
	quic_net_settle(&duo.p.net, 200 * NS_PER_MS);
	duo.p.a->transport->ops->info(duo.conn->conn, &info);
	weft_assert(info.rtt_ns < 400 * NS_PER_MS);
	duo.p.b->transport->ops->info(duo.p.b->conns[0].conn, &info);
	weft_assert(info.rtt_ns < 400 * NS_PER_MS);
	weft_assert(!duo.conn->is_closed && !duo.p.b->conns[0].is_closed);
	quic_net_fini(&duo.p.net);
	return took_ns;
}

static void test_bytes_flow_at_once_when_a_link_is_back(void)
{
	for (unsigned row = 0; row < 6; row++) {
		bool is_told_a = row % 3 != 1, is_told_b = row % 3 != 0;
		uint64_t took_ns = flow_after_cut(300 + row, row < 3, is_told_a, is_told_b);

		printf("# dialler asks %d, told %d %d: %u ms\n", row < 3, is_told_a, is_told_b,
		       (unsigned)(took_ns / NS_PER_MS));
		CHECK(took_ns < 100 * NS_PER_MS);
	}
}

static void test_a_first_packet_that_is_lost_costs_a_round(void)
{
	struct quic_test_stream *stream;
	struct duo duo;

	duo_init(&duo, 310);
	stream = ask_for_file(&duo, true);
	duo.wire.is_cut = true;
	quic_net_settle(&duo.p.net, DOWN_NS);
	CHECK(quic_engine_wake(duo.p.b->engine, duo.p.net.now_ns));
	quic_net_settle(&duo.p.net, 120 * NS_PER_MS);
	duo.wire.is_cut = false;
	CHECK(wait_bytes(&duo.p.net, stream) < 130 * NS_PER_MS);
	quic_net_fini(&duo.p.net);
}

/* A peer that acknowledges in time is probed once; a silent one, in each round. */
static void test_idle_connections_are_asked_until_they_answer(void)
{
	struct quic_stats stats;
	struct duo duo;

	for (unsigned is_cut = 0; is_cut < 2; is_cut++) {
		duo_init(&duo, 320 + is_cut);
		quic_net_settle(&duo.p.net, 5 * NS_PER_S);
		duo.wire = (struct wire){.is_cut = is_cut};
		CHECK(quic_engine_wake(duo.p.a->engine, duo.p.net.now_ns));
		quic_net_settle(&duo.p.net, 600 * NS_PER_MS);
		quic_node_stats(duo.p.a, &stats);
		CHECK_EQ(stats.probe_cnt, is_cut ? 4 : 1);
		CHECK(duo.wire.dgram_cnt[0] >= stats.probe_cnt);
		CHECK(duo.wire.dgram_cnt[0] < 12);
		/* And the keep-alive time is what it was. */
		duo.wire.dgram_cnt[0] = 0;
		duo.wire.is_cut = false;
		quic_net_settle(&duo.p.net, 2 * NS_PER_S);
		CHECK(duo.wire.dgram_cnt[0] < 10);
		quic_net_fini(&duo.p.net);
	}
}

static void test_rounds_are_spread_over_connections(void)
{
	struct quic_config config;
	struct quic_stats stats;
	struct wire wire = {0};
	struct quic_pair p;
	unsigned cnt = 200;

	quic_net_config(&config);
	config.conn_cap = 512;
	config.conn_per_key_cap = 512;
	config.keepalive_ns = 0;
	quic_net_init(&p.net, 330);
	p.a = quic_net_add(&p.net, 1, &config);
	p.b = quic_net_add(&p.net, 2, &config);
	for (unsigned i = 0; i < cnt; i++)
		CHECK(quic_net_connect(p.a, p.b)->is_ready);
	quic_net_settle(&p.net, 8 * NS_PER_S);
	p.net.tap = cut;
	p.net.tap_arg = &wire;
	CHECK(quic_engine_wake(p.a->engine, p.net.now_ns));
	quic_net_settle(&p.net, 300 * NS_PER_MS);
	quic_node_stats(p.a, &stats);
	CHECK_EQ(stats.probe_cnt, cnt);
	CHECK(wire.slice_cnt_max <= 16);
	quic_net_fini(&p.net);
}

static void test_changes_without_end_are_not_followed(void)
{
	struct quic_stats stats;
	struct duo duo;

	duo_init(&duo, 340);
	duo.wire.is_cut = true;
	for (unsigned i = 0; i < 8; i++)
		CHECK(quic_engine_wake(duo.p.a->engine, duo.p.net.now_ns));
	CHECK(!quic_engine_wake(duo.p.a->engine, duo.p.net.now_ns));
	quic_net_settle(&duo.p.net, 4 * NS_PER_S);
	CHECK(quic_engine_wake(duo.p.a->engine, duo.p.net.now_ns));
	CHECK(!quic_engine_wake(duo.p.a->engine, duo.p.net.now_ns));
	quic_net_settle(&duo.p.net, NS_PER_S);
	quic_node_stats(duo.p.a, &stats);
	CHECK_EQ(stats.wake_cnt, 9);
	CHECK_EQ(stats.wake_refused_cnt, 2);
	/* Eight at one moment are one schedule. */
	CHECK_EQ(stats.probe_cnt, 8);
	quic_net_fini(&duo.p.net);
}

/* The NAT of the asker gives it another port. It has nothing to say but acknowledgements. */
static void test_a_rebinding_is_noticed_by_an_end_that_only_acknowledges(void)
{
	static const uint64_t delays_ns[] = {NS_PER_MS, 10 * NS_PER_MS, 100 * NS_PER_MS};

	for (unsigned i = 0; i < sizeof(delays_ns) / sizeof(delays_ns[0]); i++) {
		struct quic_test_stream *stream;
		uint64_t took_ns, rtt_ns = 2 * delays_ns[i];
		struct duo duo;

		duo_init(&duo, 350 + i);
		duo.p.net.delay_ns = delays_ns[i];
		stream = ask_for_file(&duo, true);
		duo.p.a->outer.port = 1234;
		/* What is on its way to the old port is lost. */
		quic_net_settle(&duo.p.net, delays_ns[i]);
		took_ns = wait_bytes(&duo.p.net, stream);
		printf("# round trip %u ms: silent for %u ms\n", (unsigned)(rtt_ns / NS_PER_MS),
		       (unsigned)(took_ns / NS_PER_MS));
		CHECK(took_ns < 3 * rtt_ns + 200 * NS_PER_MS);
		quic_net_fini(&duo.p.net);
	}
}

/* Asks something that the other end thinks about for think_ns. */
static struct quic_test_stream *ask_thinker(struct duo *duo, uint64_t think_ns)
{
	struct quic_test_stream *stream;

	duo->p.b->is_thinking = true;
	stream = quic_net_send(duo->conn, 100);
	weft_assert(stream);
	quic_net_settle(&duo->p.net, think_ns);
	weft_assert(!stream->received_len);
	return stream;
}

/* The answer goes to a port that the NAT of the asker has given up. */
static void test_a_rebinding_is_noticed_by_an_end_that_waits_for_an_answer(void)
{
	static const struct {
		uint64_t delay_ns, think_ns, within_ns;
	} rows[] = {
		{NS_PER_MS, 300 * NS_PER_MS, 200 * NS_PER_MS},
		{NS_PER_MS, 1500 * NS_PER_MS, 210 * NS_PER_MS},
		{10 * NS_PER_MS, 800 * NS_PER_MS, 200 * NS_PER_MS},
		{100 * NS_PER_MS, NS_PER_S, 200 * NS_PER_MS},
		/* An eighth of what it waited. */
		{10 * NS_PER_MS, 8 * NS_PER_S, 1100 * NS_PER_MS},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t took_ns, rtt_ns = 2 * rows[i].delay_ns;
		struct quic_test_stream *stream;
		struct duo duo;

		duo_init(&duo, 380 + i);
		duo.p.net.delay_ns = rows[i].delay_ns;
		stream = ask_thinker(&duo, rows[i].think_ns);
		duo.p.a->outer.port = 1234;
		quic_net_answer(duo.p.b);
		took_ns = wait_bytes(&duo.p.net, stream);
		printf("# round trip %u ms, waited %u ms: silent for %u ms\n",
		       (unsigned)(rtt_ns / NS_PER_MS), (unsigned)(rows[i].think_ns / NS_PER_MS),
		       (unsigned)(took_ns / NS_PER_MS));
		CHECK(took_ns < 3 * rtt_ns + rows[i].within_ns);
		quic_net_fini(&duo.p.net);
	}
}

/* A peer that is not heard at all is left to others: some 14 probes in the first 2 s. */
static void test_a_silent_peer_is_probed_no_more_after_two_seconds(void)
{
	struct quic_stats before, after;
	struct quic_test_stream *stream;
	struct duo duo;

	duo_init(&duo, 390);
	stream = ask_thinker(&duo, 50 * NS_PER_MS);
	quic_node_stats(duo.p.a, &before);
	duo.wire.is_cut = true;
	quic_net_settle(&duo.p.net, 2500 * NS_PER_MS);
	quic_node_stats(duo.p.a, &after);
	CHECK(after.probe_cnt - before.probe_cnt >= 8);
	CHECK(after.probe_cnt - before.probe_cnt <= 18);
	before = after;
	quic_net_settle(&duo.p.net, 2500 * NS_PER_MS);
	quic_node_stats(duo.p.a, &after);
	CHECK_EQ(after.probe_cnt, before.probe_cnt);
	/* Heard again, it is asked again. */
	duo.wire.is_cut = false;
	duo.p.a->transport->ops->probe(duo.conn->conn);
	quic_net_settle(&duo.p.net, 2 * NS_PER_S);
	quic_node_stats(duo.p.a, &after);
	CHECK(after.probe_cnt > before.probe_cnt + 1);
	CHECK(!stream->received_len);
	quic_net_fini(&duo.p.net);
}

/*
 * The requested bytes fill most of a window. Waiters also ask by themselves
 * (mesh/session/redial.c).
 */
static void test_what_is_asked_in_an_outage_leaves_room_for_the_way_back(void)
{
	struct quic_test_stream *stream;
	struct duo duo;

	duo_init(&duo, 395);
	stream = ask_for_file(&duo, true);
	duo.p.b->more_len = 0;
	for (unsigned i = 0; i < 8; i++) {
		uint64_t took_ns;

		duo.wire.is_cut = true;
		for (unsigned more = 0; more < 14; more++)
			CHECK(quic_net_send(duo.conn, 1000));
		for (uint64_t at_ns = 0; at_ns < DOWN_NS; at_ns += 250 * NS_PER_MS) {
			quic_net_settle(&duo.p.net, 250 * NS_PER_MS);
			duo.p.a->transport->ops->probe(duo.conn->conn);
		}
		duo.wire.is_cut = false;
		CHECK(quic_engine_wake(duo.p.a->engine, duo.p.net.now_ns));
		took_ns = wait_bytes(&duo.p.net, stream);
		CHECK(took_ns < 300 * NS_PER_MS);
		for (unsigned more = 0; more < 50; more++)
			(void)wait_bytes(&duo.p.net, stream);
		CHECK(!stream->has_fin);
	}
	quic_net_fini(&duo.p.net);
}

/* A peer that thinks for long is asked ever less often, and after ten seconds no more. */
static void test_a_slow_peer_is_probed_up_to_a_limit(void)
{
	struct quic_stats before, after;
	struct quic_test_stream *stream;
	struct duo duo;

	duo_init(&duo, 400);
	quic_node_stats(duo.p.a, &before);
	stream = ask_thinker(&duo, 2 * NS_PER_S);
	quic_node_stats(duo.p.a, &after);
	CHECK(after.probe_cnt - before.probe_cnt >= 8);
	CHECK(after.probe_cnt - before.probe_cnt <= 18);
	quic_net_settle(&duo.p.net, 9 * NS_PER_S);
	quic_node_stats(duo.p.a, &after);
	CHECK(after.probe_cnt - before.probe_cnt <= 32);
	/* The last heartbeat of a connection in use (heartbeat.c). */
	quic_net_settle(&duo.p.net, 5 * NS_PER_S);
	quic_node_stats(duo.p.a, &before);
	CHECK(before.probe_cnt <= after.probe_cnt + 1);
	quic_net_settle(&duo.p.net, 30 * NS_PER_S);
	quic_node_stats(duo.p.a, &after);
	CHECK_EQ(after.probe_cnt, before.probe_cnt);
	quic_net_answer(duo.p.b);
	(void)wait_bytes(&duo.p.net, stream);
	/* And no peer that waits for nothing. */
	quic_net_settle(&duo.p.net, 2 * NS_PER_S);
	quic_node_stats(duo.p.a, &after);
	CHECK_EQ(after.probe_cnt, before.probe_cnt);
	quic_net_fini(&duo.p.net);
}

/* Its clock is ahead of the engine's by then, and must not end it before its time. */
static void test_an_idle_timeout_is_not_earlier_for_probes(void)
{
	struct duo duo;

	duo_init(&duo, 370);
	(void)ask_for_file(&duo, true);
	duo.wire.is_cut = true;
	for (uint64_t at_ns = 0; at_ns < IDLE_NS / 4; at_ns += NS_PER_S) {
		(void)quic_engine_wake(duo.p.b->engine, duo.p.net.now_ns);
		quic_net_settle(&duo.p.net, NS_PER_S);
		CHECK(!duo.p.b->conns[0].is_closed);
	}
	quic_net_fini(&duo.p.net);
}

/* Lets a be heard every 150 ms, unless nothing arrives. */
static void speak(struct duo *duo, uint64_t for_ns)
{
	for (uint64_t at_ns = 0; at_ns < for_ns; at_ns += 150 * NS_PER_MS) {
		duo->p.a->transport->ops->probe(duo->conn->conn);
		quic_net_settle(&duo->p.net, 150 * NS_PER_MS);
	}
}

/*
 * The asker is heard again, but datagrams to it are lost for a while longer. Two probes are lost at
 * once, and then one goes each half second. One of them reaches the path that is back.
 */
static void test_probes_that_are_lost_are_sent_again_after_a_pause(void)
{
	struct quic_stats before, after;
	struct quic_test_stream *stream;
	struct goal goal;
	uint64_t took_ns;
	struct duo duo;

	duo_init(&duo, 410);
	stream = ask_for_file(&duo, true);
	goal.stream = stream;
	duo.wire.is_cut = true;
	quic_net_settle(&duo.p.net, DOWN_NS);
	duo.wire.is_cut = false;
	duo.wire.is_deaf = true;
	quic_node_stats(duo.p.b, &before);
	speak(&duo, 450 * NS_PER_MS);
	quic_node_stats(duo.p.b, &after);
	CHECK_EQ(after.probe_cnt - before.probe_cnt, 2);
	before = after;
	speak(&duo, 3000 * NS_PER_MS);
	quic_node_stats(duo.p.b, &after);
	printf("# %u more\n", (unsigned)(after.probe_cnt - before.probe_cnt));
	CHECK(after.probe_cnt - before.probe_cnt >= 4);
	CHECK(after.probe_cnt - before.probe_cnt <= 7);
	duo.wire.is_deaf = false;
	took_ns = duo.p.net.now_ns;
	goal.len = stream->received_len;
	for (unsigned i = 0; i < 20 && !has_more(&goal); i++)
		speak(&duo, 150 * NS_PER_MS);
	took_ns = duo.p.net.now_ns - took_ns;
	printf("# bytes after %u ms\n", (unsigned)(took_ns / NS_PER_MS));
	CHECK(took_ns <= 750 * NS_PER_MS);
	quic_net_fini(&duo.p.net);
}

/*
 * Keep-alives of both ends cross, now and then one is lost. A stale packet that is left out is
 * no sign that the clock may move on to the idle timeout.
 */
static void test_idle_connections_survive_keep_alives_that_are_lost(void)
{
	enum { CNT = 200 };
	struct quic_config config;
	struct quic_stats stats;
	struct quic_pair p;

	quic_net_config(&config);
	config.conn_cap = 512;
	config.conn_per_key_cap = 512;
	config.keepalive_ns = 20 * NS_PER_S;
	config.idle_timeout_ns = 60 * NS_PER_S;
	for (unsigned seed = 420; seed < 423; seed++) {
		quic_net_init(&p.net, seed);
		p.net.delay_ns = 20 * NS_PER_MS;
		p.net.loss_per_1000 = 10;
		p.a = quic_net_add(&p.net, 1, &config);
		p.b = quic_net_add(&p.net, 2, &config);
		for (unsigned i = 0; i < CNT; i++)
			CHECK(quic_net_connect(p.a, p.b)->is_ready);
		quic_net_settle(&p.net, 90 * NS_PER_S);
		quic_node_stats(p.a, &stats);
		CHECK_EQ(stats.idle_timeout_cnt, 0);
		quic_node_stats(p.b, &stats);
		CHECK_EQ(stats.idle_timeout_cnt, 0);
		CHECK_EQ(stats.conn_cnt, CNT);
		quic_net_fini(&p.net);
	}
}

int main(void)
{
	RUN(test_bytes_flow_at_once_when_a_link_is_back);
	RUN(test_a_first_packet_that_is_lost_costs_a_round);
	RUN(test_idle_connections_are_asked_until_they_answer);
	RUN(test_rounds_are_spread_over_connections);
	RUN(test_changes_without_end_are_not_followed);
	RUN(test_a_rebinding_is_noticed_by_an_end_that_only_acknowledges);
	RUN(test_a_rebinding_is_noticed_by_an_end_that_waits_for_an_answer);
	RUN(test_a_silent_peer_is_probed_no_more_after_two_seconds);
	RUN(test_what_is_asked_in_an_outage_leaves_room_for_the_way_back);
	RUN(test_a_slow_peer_is_probed_up_to_a_limit);
	RUN(test_probes_that_are_lost_are_sent_again_after_a_pause);
	RUN(test_idle_connections_survive_keep_alives_that_are_lost);
	RUN(test_an_idle_timeout_is_not_earlier_for_probes);
	return check_done();
}
