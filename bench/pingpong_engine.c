/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of 64 bytes over one session, one in flight, each on a stream
 * of its own as mesh/ sends them: what bench/pingpong drives.
 *
 *   pingpong_engine answer DEVICE|- ADDRESS:PORT sleep|spin
 *   pingpong_engine ask DEVICE|- ADDRESS:PORT sleep|spin REMOTE:PORT COUNT
 *
 * With a device datagrams come by AF_XDP too, - is UDP alone. ask prints
 * the round trips in ns as JSON; answer goes on until SIGTERM.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "quic/quic.h"
#include "support/fast_path.h"
#include "support/quic_take.h"

#define REQUEST_LEN  64
#define WARM_UP_CNT  200
#define REQUESTS_MAX 1000000

struct bench {
	struct fast_path path;
	struct packet_rx *rxs[2];
	struct quic_engine *engine;
	struct transport *transport;
	struct transport_conn *conn; /* ask: once it is ready */
	bool is_asking, spins, is_over;
	uint64_t asked_ns;
	unsigned answered_cnt, wanted_cnt;
	uint32_t *trips_ns;
};

static const uint8_t seed_answer[NODE_KEY_SEED_LEN] = {1};
static const uint8_t seed_ask[NODE_KEY_SEED_LEN] = {2};
static const uint8_t request[REQUEST_LEN];

static void send_on(struct bench *bench, struct transport_stream *stream)
{
	if (bench->transport->ops->send_copy(stream, request, sizeof(request)) < 0)
		fast_path_fail("pingpong", "a stream takes nothing");
	bench->transport->ops->finish(stream);
}

static void ask(struct bench *bench)
{
	struct transport_stream *stream;

	if (bench->transport->ops->open(bench->conn, NULL, &stream) < 0)
		return; /* conn_streams_available follows */
	bench->asked_ns = clock_monotonic_ns();
	send_on(bench, stream);
}

static void answered(struct bench *bench)
{
	uint64_t trip_ns = clock_monotonic_ns() - bench->asked_ns;

	bench->asked_ns = 0;
	if (bench->answered_cnt >= WARM_UP_CNT)
		bench->trips_ns[bench->answered_cnt - WARM_UP_CNT] =
			trip_ns < UINT32_MAX ? (uint32_t)trip_ns : UINT32_MAX;
	bench->is_over = ++bench->answered_cnt == WARM_UP_CNT + bench->wanted_cnt;
}

static int conn_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct bench *bench = ctx;

	(void)now_ns;
	if (bench->is_asking)
		bench->conn = conn;
	return 0;
}

static void conn_closed(void *ctx, struct transport_conn *conn, const struct transport_close *close,
			uint64_t now_ns)
{
	struct bench *bench = ctx;

	(void)conn, (void)now_ns;
	if (bench->is_asking)
		fast_path_fail("pingpong", weft_err_text(close->err));
}

static void conn_streams_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)now_ns;
}

static int stream_opened(void *ctx, struct transport_conn *conn, struct transport_stream *stream,
			 uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)stream, (void)now_ns;
	return 0;
}

static void stream_data(void *ctx, struct transport_stream *stream,
			const struct transport_piece *piece, uint64_t now_ns)
{
	struct bench *bench = ctx;

	(void)now_ns;
	bench->transport->ops->consume(stream, piece->len);
	if (!piece->fin)
		return;
	if (bench->is_asking)
		answered(bench);
	else
		send_on(bench, stream);
}

static void stream_reset(void *ctx, struct transport_stream *stream, uint64_t code, uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)code, (void)now_ns;
}

static void stream_writable(void *ctx, struct transport_stream *stream, uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)now_ns;
}

static void stream_closed(void *ctx, struct transport_stream *stream, uint64_t code,
			  uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)code, (void)now_ns;
}

static const struct transport_events events = {
	.conn_ready = conn_ready,
	.conn_closed = conn_closed,
	.conn_streams_available = conn_streams_available,
	.stream_opened = stream_opened,
	.stream_data = stream_data,
	.stream_reset = stream_reset,
	.stream_writable = stream_writable,
	.stream_closed = stream_closed,
};

static void bench_open(struct bench *bench, const char *device, const char *listen)
{
	struct quic_engine_params params = {.events = &events, .ctx = bench};
	static struct random random;
	struct node_key *key;

	fast_path_open(&bench->path, strcmp(device, "-") == 0 ? NULL : device, listen,
		       XDP_SEND_AUTO);
	if (node_key_from_seed(bench->is_asking ? seed_ask : seed_answer, &key) < 0)
		fast_path_fail("pingpong", "node key");
	random_init_system(&random);
	quic_config_defaults(&params.config);
	params.key = key;
	params.random = &random;
	params.sink = &bench->path.udp_tx->sink;
	params.now_ns = clock_monotonic_ns();
	if (quic_engine_new(&params, &bench->engine) < 0)
		fast_path_fail("pingpong", "quic engine");
	bench->transport = quic_engine_transport(bench->engine);
	bench->rxs[0] = bench->path.udp_rx;
	if (bench->path.xdp) {
		bench->rxs[1] = net_xdp_queue_of(bench->path.xdp, bench->path.device, 0)->rx;
		bench->path.keys = *quic_engine_cid_keys(bench->engine);
		fast_path_apply(&bench->path);
	}
}

static unsigned take(struct bench *bench, struct packet_rx *rx, uint64_t now_ns)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = rx ? packet_rx_burst(rx, dgrams, PACKET_BURST_MAX) : 0;

	for (unsigned i = 0; i < cnt; i++)
		quic_take(bench->engine, &dgrams[i], now_ns);
	return cnt;
}

static void wait_for_more(struct bench *bench)
{
	struct pollfd fds[2] = {{.fd = bench->rxs[0]->fd, .events = POLLIN},
				{.fd = bench->rxs[1] ? bench->rxs[1]->fd : -1, .events = POLLIN}};
	uint64_t now_ns = clock_monotonic_ns(), next_ns = quic_engine_next_ns(bench->engine);
	uint64_t left_ns = next_ns > now_ns ? next_ns - now_ns : 0;
	struct timespec wait;

	if (left_ns > NS_PER_S)
		left_ns = NS_PER_S;
	wait = (struct timespec){.tv_sec = (time_t)(left_ns / NS_PER_S),
				 .tv_nsec = (long)(left_ns % NS_PER_S)};
	ppoll(fds, 2, &wait, NULL);
}

static void turn(struct bench *bench)
{
	uint64_t now_ns = clock_monotonic_ns();
	unsigned cnt = take(bench, bench->rxs[0], now_ns) + take(bench, bench->rxs[1], now_ns);

	quic_engine_expire(bench->engine, now_ns);
	if (bench->conn && !bench->asked_ns && !bench->is_over)
		ask(bench);
	quic_engine_flush(bench->engine, clock_monotonic_ns());
	(void)packet_tx_flush(bench->path.udp_tx);
	if (!cnt && !bench->spins && !bench->is_over)
		wait_for_more(bench);
}

static void dial(struct bench *bench, const char *remote)
{
	struct transport_dial to;
	struct transport_conn *conn;
	struct node_key *key;

	memset(&to, 0, sizeof(to));
	if (addr_parse(remote, &to.remote) < 0 || node_key_from_seed(seed_answer, &key) < 0)
		fast_path_fail(remote, "is no address");
	memcpy(to.peer_key, node_key_public(key), TRANSPORT_KEY_LEN);
	node_key_free(key);
	if (bench->transport->ops->dial(bench->transport, &to, clock_monotonic_ns(), &conn) < 0)
		fast_path_fail(remote, "cannot be dialled");
}

static void print_trips(const struct bench *bench)
{
	printf("{\"xdp\": %s, \"trips_ns\": [",
	       bench->rxs[1] && bench->rxs[1]->counters.dgram_cnt >= bench->wanted_cnt ? "true"
										       : "false");
	for (unsigned i = 0; i < bench->wanted_cnt; i++)
		printf("%s%u", i ? "," : "", bench->trips_ns[i]);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	static struct bench bench;
	int wanted_cnt;

	bench.is_asking = argc == 7 && strcmp(argv[1], "ask") == 0;
	if (!bench.is_asking && (argc != 5 || strcmp(argv[1], "answer") != 0))
		fast_path_fail("pingpong_engine", "answer|ask DEVICE ADDRESS:PORT sleep|spin ...");
	bench.spins = strcmp(argv[4], "spin") == 0;
	if (bench.is_asking) {
		wanted_cnt = atoi(argv[6]);
		if (wanted_cnt < 1 || wanted_cnt > REQUESTS_MAX)
			fast_path_fail(argv[6], "is no count");
		bench.wanted_cnt = (unsigned)wanted_cnt;
		bench.trips_ns = calloc(bench.wanted_cnt, sizeof(*bench.trips_ns));
		if (!bench.trips_ns)
			fast_path_fail(argv[6], "takes too much memory");
	}
	bench_open(&bench, argv[2], argv[3]);
	if (bench.is_asking)
		dial(&bench, argv[5]);
	while (!bench.is_over)
		turn(&bench);
	print_trips(&bench);
	free(bench.trips_ns);
	fast_path_close(&bench.path);
	return 0;
}
