/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "quic/engine.h"

static void test_megabyte_survives_loss(void)
{
	static const enum quic_congestion algorithms[] = {QUIC_CUBIC, QUIC_BBR};

	for (unsigned i = 0; i < 6; i++) {
		struct quic_config config;
		struct quic_net net;
		struct quic_node *a, *b;
		struct quic_test_conn *conn;

		quic_net_config(&config);
		config.congestion = algorithms[i % 2];
		quic_net_init(&net, 90 + i);
		a = quic_net_add(&net, 1, &config);
		b = quic_net_add(&net, 2, &config);
		net.loss_per_1000 = 50;
		conn = quic_net_connect(a, b);
		CHECK(conn && conn->is_ready);
		CHECK(quic_net_transfer(conn, 1 << 20, 120 * NS_PER_S));
		CHECK(!b->streams[0].is_damaged && b->streams[0].received_len == 1 << 20);
		quic_net_fini(&net);
	}
}

static bool reorder_some(struct quic_net *net, struct quic_net_dgram *dgram)
{
	if (random_below(&net->random, 10) == 0)
		dgram->at_ns += 7 * NS_PER_MS;
	return true;
}

static void test_reordering_does_not_damage_a_stream(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 96, NULL);
	p.net.tap = reorder_some;
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	CHECK(quic_net_transfer(conn, 3 << 20, 60 * NS_PER_S));
	CHECK(!p.b->streams[0].is_damaged);
	quic_pair_fini(&p);
}

static bool is_half_there(void *arg)
{
	struct quic_node *node = arg;

	return node->stream_cnt && node->streams[0].received_len > 1 << 20;
}

static bool is_stream_over(void *arg)
{
	return ((struct quic_test_stream *)arg)->is_closed;
}

/* The dialler's NAT gives it another port; it notices nothing. */
static void test_nat_rebinding_is_survived_by_either_sender(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct quic_test_stream *stream;
		struct quic_test_conn *conn;
		struct transport_conn_info info;
		struct quic_stats stats;
		struct quic_pair p;
		struct quic_node *receiver;

		quic_pair_init(&p, 100 + i, NULL);
		conn = quic_net_connect(p.a, p.b);
		CHECK(conn->is_ready);
		quic_net_settle(&p.net, NS_PER_S);
		receiver = i ? p.a : p.b;
		stream = quic_net_send(i ? &p.b->conns[0] : conn, 4 << 20);
		CHECK(stream);
		CHECK(quic_net_run(&p.net, 60 * NS_PER_S, is_half_there, receiver));
		p.a->outer.port = 1234;
		CHECK(quic_net_run(&p.net, 60 * NS_PER_S, is_stream_over, stream));
		CHECK_EQ(stream->reply, 4 << 20);
		CHECK(!receiver->streams[0].is_damaged);
		p.b->transport->ops->info(p.b->conns[0].conn, &info);
		CHECK_EQ(info.remote.port, 1234);
		quic_node_stats(p.b, &stats);
		CHECK(stats.migrated_cnt >= 1);
		quic_pair_fini(&p);
	}
}

static bool drop_to_new_port(struct quic_net *net, struct quic_net_dgram *dgram)
{
	(void)net;
	return dgram->to.port != 1234;
}

/* A peer that moves is elsewhere when it answered there: until then the address is not reported. */
static void test_a_path_that_is_not_validated_is_not_reported(void)
{
	struct quic_test_stream *stream;
	struct quic_test_conn *conn;
	struct transport_conn_info info;
	struct quic_pair p;
	uint16_t port;

	quic_pair_init(&p, 108, NULL);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	quic_net_settle(&p.net, NS_PER_S);
	port = p.a->outer.port;
	/* Its datagrams bear the address of a victim, which answers no challenge. */
	p.a->outer.port = 1234;
	p.net.tap = drop_to_new_port;
	stream = quic_net_send(conn, 4000);
	CHECK(stream);
	quic_net_settle(&p.net, NS_PER_S / 2);
	CHECK_EQ(p.b->streams[0].received_len, 4000);
	p.b->transport->ops->info(p.b->conns[0].conn, &info);
	CHECK_EQ(info.remote.port, port);
	p.net.tap = NULL;
	quic_net_settle(&p.net, 5 * NS_PER_S);
	p.b->transport->ops->info(p.b->conns[0].conn, &info);
	CHECK_EQ(info.remote.port, 1234);
	quic_pair_fini(&p);
}

struct copier {
	struct quic_node *victim;
	uint8_t data[1500];
	size_t len;
};

static bool copy_short(struct quic_net *net, struct quic_net_dgram *dgram)
{
	struct copier *copier = net->tap_arg;

	if (addr_equal(&dgram->to, &copier->victim->outer) && !(dgram->data[0] & 0x80) &&
	    dgram->len <= sizeof(copier->data)) {
		memcpy(copier->data, dgram->data, dgram->len);
		copier->len = dgram->len;
	}
	return true;
}

/* An observer of an id plays with it; b's peer stays where it is. */
static void test_junk_with_a_real_id_from_elsewhere_changes_nothing(void)
{
	struct addr elsewhere = {.ip = {192, 0, 2, 1}, .port = 9, .family = ADDR_IPV4};
	static struct copier copier;
	struct quic_test_conn *conn;
	uint8_t data[1500];
	struct quic_pair p;

	quic_pair_init(&p, 103, NULL);
	copier = (struct copier){.victim = p.b};
	p.net.tap = copy_short;
	p.net.tap_arg = &copier;
	conn = quic_net_connect(p.a, p.b);
	CHECK(quic_net_transfer(conn, 10000, 10 * NS_PER_S));
	quic_net_settle(&p.net, NS_PER_S);
	CHECK(copier.len > 30);
	/* A bit turned over, noise behind the id, and a copy: nothing to be used. */
	for (unsigned i = 0; i < 3; i++) {
		memcpy(data, copier.data, copier.len);
		if (i == 0)
			data[copier.len - 1] ^= 1;
		if (i == 1)
			memset(data + 1 + WEFT_CID_LEN, 0x5a, copier.len - 1 - WEFT_CID_LEN);
		quic_net_inject(p.b, &elsewhere, data, copier.len);
	}
	/* From its own path. */
	memset(data, 0x5a, sizeof(data));
	memcpy(data, copier.data, 1 + WEFT_CID_LEN);
	quic_net_inject(p.b, &p.a->outer, data, 100);
	/* Long headers to an open connection cost no decryption. */
	data[0] = 0xe3;
	memcpy(data + 1, "\0\0\0\1\x10", 5);
	memcpy(data + 6, copier.data + 1, WEFT_CID_LEN);
	quic_net_inject(p.b, &elsewhere, data, 1200);
	/* A peer that moves is heard. */
	p.a->outer.port = 4321;
	CHECK(quic_net_transfer(conn, 10000, 10 * NS_PER_S));
	quic_net_settle(&p.net, NS_PER_S);
	quic_pair_fini(&p);
}

static bool choose_inner(void *ctx, const struct addr *remote, const struct addr *local,
			 struct addr *out_local)
{
	const struct quic_node *side = ctx;

	(void)remote;
	*out_local = side->inner;
	return !addr_equal(local, out_local);
}

static void test_dialler_migrates_to_a_new_address(void)
{
	struct quic_test_stream *stream;
	struct quic_test_conn *conn;
	struct transport_conn_info info;
	struct quic_pair p;

	quic_pair_init(&p, 102, NULL);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	quic_net_settle(&p.net, NS_PER_S);
	stream = quic_net_send(conn, 4 << 20);
	CHECK(quic_net_run(&p.net, 60 * NS_PER_S, is_half_there, p.b));
	for (uint8_t host = 50; host < 53; host++) {
		p.a->inner.ip[3] = host;
		p.a->outer = p.a->inner;
		quic_engine_rebind(p.a->engine, choose_inner, p.a, p.net.now_ns);
		quic_net_settle(&p.net, 500 * NS_PER_MS);
		p.a->transport->ops->info(conn->conn, &info);
		CHECK_EQ(info.local.ip[3], host);
		p.b->transport->ops->info(p.b->conns[0].conn, &info);
		CHECK_EQ(info.remote.ip[3], host);
	}
	CHECK(quic_net_run(&p.net, 60 * NS_PER_S, is_stream_over, stream));
	CHECK_EQ(stream->reply, 4 << 20);
	CHECK(!p.b->streams[0].is_damaged);
	quic_pair_fini(&p);
}

static void test_dialler_learns_its_own_address(void)
{
	struct transport_conn_info info;
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 103, NULL);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	p.a->transport->ops->info(conn->conn, &info);
	CHECK(addr_equal(&info.local, &p.a->inner));
	CHECK(addr_equal(&info.remote, &p.b->outer));
	CHECK(info.rtt_ns >= 10 * NS_PER_MS);
	CHECK(info.sent_len > 1000 && info.received_len > 1000 && info.cwnd_len > 1000);
	quic_pair_fini(&p);
}

static void test_keys_change_and_nothing_is_lost(void)
{
	struct quic_test_conn *conn;
	struct quic_stats stats;
	struct quic_pair p;

	quic_pair_init(&p, 104, NULL);
	p.a->engine->key_update_after_cnt = 500;
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	/* A change waits for the last one to be confirmed: long enough for several round trips. */
	CHECK(quic_net_transfer(conn, 32 << 20, 120 * NS_PER_S));
	quic_node_stats(p.a, &stats);
	CHECK(stats.key_update_cnt >= 3);
	quic_node_stats(p.b, &stats);
	CHECK(stats.key_update_cnt >= 3);
	quic_pair_fini(&p);
}

static void test_path_mtu_is_found(void)
{
	static const struct {
		size_t mtu_len, want_len;
	} rows[] = {{1452, 1452}, {1400, 1392}, {1280, 1280},
		    {1200, 1200}, {4100, 4052}, {9000, 8952}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct transport_conn_info info;
		struct quic_test_conn *conn;
		struct quic_pair p;

		quic_pair_init(&p, 110 + i, NULL);
		p.net.mtu_len = rows[i].mtu_len;
		conn = quic_net_connect(p.a, p.b);
		CHECK(conn->is_ready);
		CHECK(quic_net_transfer(conn, 1 << 20, 60 * NS_PER_S));
		quic_net_settle(&p.net, 5 * NS_PER_S);
		p.a->transport->ops->info(conn->conn, &info);
		CHECK_EQ(info.pmtu_len, rows[i].want_len);
		quic_pair_fini(&p);
	}
}

static void test_pmtud_can_be_off(void)
{
	struct transport_conn_info info;
	struct quic_config config;
	struct quic_pair p;

	quic_net_config(&config);
	config.is_pmtud_on = false;
	quic_pair_init(&p, 117, &config);
	CHECK(quic_net_transfer(quic_net_connect(p.a, p.b), 100000, 60 * NS_PER_S));
	p.b->transport->ops->info(p.b->conns[0].conn, &info);
	CHECK_EQ(info.pmtu_len, 1200);
	quic_pair_fini(&p);
}

/* Far below one ACK per two packets, and no stall. */
static void test_acknowledgements_are_thin(void)
{
	struct quic_test_conn *conn;
	uint64_t from_a, from_b;
	struct quic_pair p;

	quic_pair_init(&p, 118, NULL);
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	from_a = p.a->sent_cnt;
	from_b = p.b->sent_cnt;
	CHECK(quic_net_transfer(conn, 8 << 20, 60 * NS_PER_S));
	CHECK((p.b->sent_cnt - from_b) * 6 < p.a->sent_cnt - from_a);
	quic_pair_fini(&p);
}

/* 40 ms and 32 MiB: the receiver's window must open far beyond its first megabyte. */
static void test_window_grows_to_the_bandwidth_delay_product(void)
{
	struct quic_test_conn *conn;
	struct quic_pair p;
	uint64_t from_ns;

	quic_pair_init(&p, 119, NULL);
	p.net.delay_ns = 20 * NS_PER_MS;
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	for (unsigned i = 0; i < 16; i++)
		CHECK(quic_net_send(conn, 4 << 20));
	from_ns = p.net.now_ns;
	CHECK(quic_net_run(&p.net, 60 * NS_PER_S, is_stream_over, &p.a->streams[15]));
	/* A fixed window of 1 MiB would take 64 round trips, 2.56 s. */
	CHECK(p.net.now_ns - from_ns < 1600 * NS_PER_MS);
	quic_pair_fini(&p);
}

static void test_ids_of_old_generations_stay_good(void)
{
	struct quic_cids *cids;
	struct quic_test_conn *conn;
	struct quic_pair p;
	unsigned rotated_cnt = 0;

	quic_pair_init(&p, 120, NULL);
	conn = quic_net_connect(p.a, p.b);
	quic_net_settle(&p.net, NS_PER_S);
	cids = &p.b->engine->cids;
	for (unsigned i = 0; i < 10; i++) {
		if (quic_cids_can_rotate(cids)) {
			quic_cids_rotate(cids);
			rotated_cnt++;
		}
		CHECK(quic_net_transfer(conn, 5000, 10 * NS_PER_S));
	}
	/* Three generations are free; the fourth would take the living ids' key. */
	CHECK_EQ(rotated_cnt, WEFT_CID_KEY_CNT - 1);
	p.a->transport->ops->close(conn->conn, 0, NULL);
	quic_net_settle(&p.net, 5 * NS_PER_S);
	CHECK(quic_cids_can_rotate(cids));
	quic_pair_fini(&p);
}

/* Keys after turn_cnt changes from epoch on. */
static struct weft_cid_keys keys_of(uint64_t secret, uint32_t epoch, unsigned turn_cnt)
{
	const struct quic_cids_params params = {
		.conn_cap = 4, .epoch = epoch, .secret = {secret, 2}, .map_secret = {3, 4}};
	struct quic_cids cids;
	struct arena arena;

	if (arena_open(&arena, ARENA_GROWS) < 0 || quic_cids_init(&cids, &arena, &params) < 0)
		abort();
	for (unsigned turn = 0; turn < turn_cnt; turn++)
		quic_cids_rotate(&cids);
	arena_close(&arena);
	return cids.keys;
}

static void test_keys_follow_from_the_secret_and_the_hours(void)
{
	struct weft_cid_keys keys = keys_of(1, 490000, 300); /* once round all generations */
	struct weft_cid_keys again = keys_of(1, 490300, 0), other = keys_of(5, 490300, 0);

	CHECK_MEM(&keys, &again, sizeof(keys));
	CHECK(memcmp(&keys, &other, sizeof(keys)) != 0);
}

static void test_ids_of_the_last_life_are_known_for_three_hours(void)
{
	const uint8_t noise[WEFT_CID_RANDOM_LEN] = {1};
	struct weft_cid_keys before = keys_of(1, 490000, 0), after;
	uint8_t cid[WEFT_CID_LEN];

	weft_cid_write(&before, 0, noise, cid);
	for (uint32_t hours = 0; hours < WEFT_CID_KEY_CNT; hours++) {
		after = keys_of(1, 490000 + hours, 0);
		CHECK(weft_cid_is_ours(&after, cid));
	}
	after = keys_of(1, 490000 + WEFT_CID_KEY_CNT, 0);
	CHECK(!weft_cid_is_ours(&after, cid));
}

static void test_full_sink_only_delays(void)
{
	struct quic_test_stream *stream;
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 121, NULL);
	conn = quic_net_connect(p.a, p.b);
	stream = quic_net_send(conn, 2 << 20);
	CHECK(quic_net_run(&p.net, 60 * NS_PER_S, is_half_there, p.b));
	p.a->is_sink_full = true;
	quic_net_settle(&p.net, 2 * NS_PER_S);
	p.a->is_sink_full = false;
	CHECK(quic_net_run(&p.net, 60 * NS_PER_S, is_stream_over, stream));
	CHECK(!p.b->streams[0].is_damaged);
	quic_pair_fini(&p);
}

struct burst {
	const struct quic_node *sender;
	uint64_t at_ns;
	uint64_t len, len_max; /* that left at one time, and the most that ever did */
};

static bool measure_burst(struct quic_net *net, struct quic_net_dgram *dgram)
{
	struct burst *burst = net->tap_arg;

	if (!addr_equal(&dgram->from, &burst->sender->outer))
		return true;
	if (net->now_ns != burst->at_ns)
		burst->len = 0;
	burst->at_ns = net->now_ns;
	burst->len += dgram->len;
	if (burst->len > burst->len_max)
		burst->len_max = burst->len;
	return true;
}

static void send_in_bursts(uint64_t delay_ns, uint64_t *out_len_max)
{
	struct quic_test_conn *conn;
	struct burst burst = {0};
	struct quic_pair p;

	quic_pair_init(&p, 55, NULL);
	p.net.delay_ns = delay_ns;
	conn = quic_net_connect(p.a, p.b);
	burst.sender = p.a;
	p.net.tap = measure_burst;
	p.net.tap_arg = &burst;
	CHECK(quic_net_transfer(conn, 8 << 20, 600 * NS_PER_S));
	quic_pair_fini(&p);
	*out_len_max = burst.len_max;
}

/* A batch at a time where that is much, as much as a millisecond carries where it is little. */
static void test_bursts_follow_the_rate(void)
{
	uint64_t slow_len = 0, fast_len = 0;

	send_in_bursts(100 * NS_PER_MS, &slow_len);
	send_in_bursts(NS_PER_MS / 4, &fast_len);
	printf("# %llu and %llu bytes at a time\n", (unsigned long long)slow_len,
	       (unsigned long long)fast_len);
	CHECK(slow_len <= 65487);
	CHECK(fast_len > 2 * 65487 && fast_len <= (256 << 10) + 65487);
}

/* An engine's reports of paths. */
struct told {
	struct addr last;
	unsigned cnt;
};

static void path_take(void *ctx, const struct addr *remote)
{
	struct told *told = ctx;

	told->last = *remote;
	told->cnt++;
}

static void test_paths_are_reported_when_dialled_validated_and_moved(void)
{
	struct told dialler = {0}, listener = {0};
	const struct quic_conn *at = NULL;
	const struct addr *remote;
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 95, NULL);
	p.a->engine->on_path = p.b->engine->on_path = path_take;
	p.a->engine->path_ctx = &dialler;
	p.b->engine->path_ctx = &listener;
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn->is_ready);
	quic_net_settle(&p.net, NS_PER_S);
	CHECK_EQ(dialler.cnt, 2);
	CHECK(addr_equal(&dialler.last, &p.b->outer));
	CHECK_EQ(listener.cnt, 1);
	CHECK(addr_equal(&listener.last, &p.a->outer));
	p.a->outer.port = 1234;
	CHECK(quic_net_transfer(conn, 3 << 20, 60 * NS_PER_S));
	CHECK(listener.cnt > 1);
	CHECK(addr_equal(&listener.last, &p.a->outer));
	remote = quic_engine_path_next(p.b->engine, &at);
	CHECK(remote);
	CHECK(addr_equal(remote, &p.a->outer));
	CHECK(!quic_engine_path_next(p.b->engine, &at));
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_megabyte_survives_loss);
	RUN(test_reordering_does_not_damage_a_stream);
	RUN(test_nat_rebinding_is_survived_by_either_sender);
	RUN(test_a_path_that_is_not_validated_is_not_reported);
	RUN(test_junk_with_a_real_id_from_elsewhere_changes_nothing);
	RUN(test_dialler_migrates_to_a_new_address);
	RUN(test_paths_are_reported_when_dialled_validated_and_moved);
	RUN(test_dialler_learns_its_own_address);
	RUN(test_keys_change_and_nothing_is_lost);
	RUN(test_path_mtu_is_found);
	RUN(test_pmtud_can_be_off);
	RUN(test_acknowledgements_are_thin);
	RUN(test_window_grows_to_the_bandwidth_delay_product);
	RUN(test_ids_of_old_generations_stay_good);
	RUN(test_keys_follow_from_the_secret_and_the_hours);
	RUN(test_ids_of_the_last_life_are_known_for_three_hours);
	RUN(test_full_sink_only_delays);
	RUN(test_bursts_follow_the_rate);
	return check_done();
}
