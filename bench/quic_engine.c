/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our engine as bench/quic and bench/handshake-rate measure it: quic/ over
 * net/ with the daemon's loop and defaults, no mesh above. The commands
 * and the line of JSON are those of quic_reference.c, the key of the
 * receiving side is fixed so that it can be pinned. With a device datagrams
 * come by AF_XDP, too:
 *
 *   quic_engine receive ADDRESS PORT CONNECTIONS [DEVICE]
 *   quic_engine send ADDRESS PORT CONNECTIONS SECONDS [DEVICE OWN_ADDRESS:PORT]
 *   quic_engine accept ADDRESS PORT
 *   quic_engine dial ADDRESS PORT SECONDS full|resumed
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "net/ingress/ingress_verdict.h"
#include "quic/quic.h"
#include "support/fast_path.h"

#define SPAN_LEN (256u * 1024) /* a chunk, as blobs/ lends it */

enum role { RECEIVE, SEND, ACCEPT, DIAL };

struct bench {
	enum role role;
	struct fast_path path;
	struct packet_rx *rxs[2]; /* the second by AF_XDP, or NULL */
	struct quic_engine *engine;
	struct transport *transport;
	struct addr remote;
	uint8_t peer_key[TRANSPORT_KEY_LEN];
	unsigned conn_cnt, ready_cnt, over_cnt;
	uint64_t bytes, first_ns, last_ns, stop_ns, handshakes, resumed;
	bool is_confirmed; /* DIAL: the connection under way is done */
	struct transport_conn *conns[64];
};

static const uint8_t seed_receiver[NODE_KEY_SEED_LEN] = {1};
static const uint8_t seed_sender[NODE_KEY_SEED_LEN] = {2};
static uint8_t payload[SPAN_LEN];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* What was acknowledged is lent again: the stream never runs dry. */
static void lend(struct transport_stream *stream, struct bench *bench)
{
	struct transport_span span = {.data = payload, .len = SPAN_LEN};

	while (bench->transport->ops->send(stream, &span) == 0)
		;
}

static int conn_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct bench *bench = ctx;
	struct transport_stream *stream;
	struct transport_conn_info info;

	(void)now_ns;
	bench->transport->ops->info(conn, &info);
	bench->handshakes++;
	bench->resumed += info.is_resumed;
	bench->is_confirmed = true;
	if (bench->role == SEND) {
		bench->conns[bench->ready_cnt++] = conn;
		if (bench->transport->ops->open(conn, NULL, &stream) < 0)
			die("open stream");
		lend(stream, bench);
	}
	return 0;
}

static void conn_closed(void *ctx, struct transport_conn *conn, const struct transport_close *close,
			uint64_t now_ns)
{
	struct bench *bench = ctx;

	(void)conn;
	(void)close;
	(void)now_ns;
	bench->over_cnt++;
}

static void conn_streams_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx;
	(void)conn;
	(void)now_ns;
}

static int stream_opened(void *ctx, struct transport_conn *conn, struct transport_stream *stream,
			 uint64_t now_ns)
{
	(void)ctx;
	(void)conn;
	(void)stream;
	(void)now_ns;
	return 0;
}

static void stream_data(void *ctx, struct transport_stream *stream,
			const struct transport_piece *piece, uint64_t now_ns)
{
	struct bench *bench = ctx;

	if (!bench->first_ns)
		bench->first_ns = now_ns;
	bench->last_ns = now_ns;
	bench->bytes += piece->len;
	bench->transport->ops->consume(stream, piece->len);
}

static void stream_reset(void *ctx, struct transport_stream *stream, uint64_t code, uint64_t now_ns)
{
	(void)ctx;
	(void)stream;
	(void)code;
	(void)now_ns;
}

static void stream_writable(void *ctx, struct transport_stream *stream, uint64_t now_ns)
{
	(void)now_ns;
	lend(stream, ctx);
}

static void stream_closed(void *ctx, struct transport_stream *stream, uint64_t code,
			  uint64_t now_ns)
{
	(void)ctx;
	(void)stream;
	(void)code;
	(void)now_ns;
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
	bool is_receiver = bench->role == RECEIVE || bench->role == ACCEPT;
	static struct random random;
	struct node_key *key;

	fast_path_open(&bench->path, device, listen, XDP_SEND_AUTO);
	if (node_key_from_seed(is_receiver ? seed_receiver : seed_sender, &key) < 0)
		die("node key");
	random_init_system(&random);
	quic_config_defaults(&params.config);
	/* A lost goodbye must not hold up the next round. */
	params.config.idle_timeout_ns = 3 * NS_PER_S;
	params.config.keepalive_ns = 0;
	params.key = key;
	params.random = &random;
	params.sink = &bench->path.udp_tx->sink;
	params.now_ns = clock_monotonic_ns();
	if (quic_engine_new(&params, &bench->engine) < 0)
		die("quic engine");
	bench->transport = quic_engine_transport(bench->engine);
	bench->rxs[0] = bench->path.udp_rx;
	if (device) {
		bench->rxs[1] = net_xdp_queue_of(bench->path.xdp, bench->path.device, 0)->rx;
		bench->path.keys = *quic_engine_cid_keys(bench->engine);
		fast_path_apply(&bench->path);
	}
}

/* Whether there may be more at once. */
static bool take(struct bench *bench, struct packet_rx *rx, uint64_t now_ns)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = rx ? packet_rx_burst(rx, dgrams, PACKET_BURST_MAX) : 0;

	for (unsigned i = 0; i < cnt; i++) {
		/* A ring's were judged already. */
		if (rx == bench->path.udp_rx)
			(void)net_ingress_classify(&dgrams[i]);
		net_ingress_find_owner(&dgrams[i], quic_engine_cid_keys(bench->engine));
		quic_engine_input(bench->engine, &dgrams[i], now_ns);
	}
	return cnt == PACKET_BURST_MAX;
}

/* One turn of the daemon's loop; waits when there is nothing to do. */
static void turn(struct bench *bench)
{
	uint64_t now_ns = clock_monotonic_ns(), next_ns;
	struct pollfd fds[2] = {{.fd = bench->rxs[0]->fd, .events = POLLIN},
				{.fd = bench->rxs[1] ? bench->rxs[1]->fd : -1, .events = POLLIN}};
	struct timespec wait = {0};
	bool has_more = take(bench, bench->rxs[0], now_ns);

	has_more |= take(bench, bench->rxs[1], now_ns);
	quic_engine_expire(bench->engine, now_ns);
	quic_engine_flush(bench->engine, now_ns);
	(void)packet_tx_flush(bench->path.udp_tx);
	if (has_more)
		return;
	next_ns = quic_engine_next_ns(bench->engine);
	if (bench->stop_ns && next_ns > bench->stop_ns)
		next_ns = bench->stop_ns;
	now_ns = clock_monotonic_ns();
	if (next_ns > now_ns) {
		uint64_t left_ns =
			next_ns - now_ns < 3600 * NS_PER_S ? next_ns - now_ns : 3600 * NS_PER_S;

		wait.tv_sec = (time_t)(left_ns / NS_PER_S);
		wait.tv_nsec = (long)(left_ns % NS_PER_S);
		ppoll(fds, 2, &wait, NULL);
	}
}

static void print_result(const struct bench *bench)
{
	const struct packet_rx *rx = bench->rxs[bench->rxs[1] != NULL];
	const struct packet_tx *tx = bench->path.udp_tx;

	printf("{\"bytes\":%llu,\"ns\":%llu,\"handshakes\":%llu,\"resumed\":%llu,\"rx\":\"%s\","
	       "\"rx_calls\":%llu,\"rx_dropped\":%llu,\"tx_calls\":%llu,\"tx_dgrams\":%llu}\n",
	       (unsigned long long)bench->bytes,
	       (unsigned long long)(bench->last_ns - bench->first_ns),
	       (unsigned long long)bench->handshakes, (unsigned long long)bench->resumed,
	       rx->backend, (unsigned long long)rx->counters.call_cnt,
	       (unsigned long long)rx->counters.dropped_cnt,
	       (unsigned long long)tx->counters.call_cnt,
	       (unsigned long long)tx->counters.dgram_cnt);
	fflush(stdout);
}

static void dial_one(struct bench *bench, struct transport_conn **out_conn)
{
	struct transport_dial dial = {.remote = bench->remote};

	memcpy(dial.peer_key, bench->peer_key, TRANSPORT_KEY_LEN);
	if (bench->transport->ops->dial(bench->transport, &dial, clock_monotonic_ns(), out_conn) <
	    0)
		die("dial");
}

static void close_one(struct bench *bench, struct transport_conn *conn)
{
	bench->transport->ops->close(conn, 0, NULL);
	quic_engine_flush(bench->engine, clock_monotonic_ns());
	(void)packet_tx_flush(bench->path.udp_tx);
}

static void fill(struct bench *bench, unsigned seconds)
{
	struct transport_conn *conn;

	for (unsigned i = 0; i < bench->conn_cnt; i++)
		dial_one(bench, &conn);
	while (!bench->stop_ns || clock_monotonic_ns() < bench->stop_ns) {
		turn(bench);
		if (bench->over_cnt)
			die("a connection closed early");
		if (!bench->stop_ns && bench->ready_cnt == bench->conn_cnt)
			bench->stop_ns = clock_monotonic_ns() + seconds * NS_PER_S;
	}
	for (unsigned i = 0; i < bench->ready_cnt; i++)
		close_one(bench, bench->conns[i]);
	print_result(bench);
}

static bool has_ticket(const struct bench *bench)
{
	struct quic_stats stats;

	quic_engine_stats(bench->engine, &stats);
	return stats.ticket_cnt > 0;
}

/* One handshake after the other; a connection closed at once has no ticket for the next. */
static void dial(struct bench *bench, unsigned seconds, bool is_resuming)
{
	struct transport_conn *conn;

	bench->first_ns = clock_monotonic_ns();
	while (clock_monotonic_ns() < bench->first_ns + seconds * NS_PER_S) {
		bench->is_confirmed = false;
		bench->over_cnt = 0;
		dial_one(bench, &conn);
		while (!bench->is_confirmed && !bench->over_cnt)
			turn(bench);
		if (!bench->is_confirmed)
			die("a connection closed early");
		while (is_resuming && !has_ticket(bench))
			turn(bench);
		close_one(bench, conn);
	}
	bench->last_ns = clock_monotonic_ns();
	print_result(bench);
}

static void serve(struct bench *bench)
{
	while (bench->role == ACCEPT || bench->over_cnt < bench->conn_cnt)
		turn(bench);
	print_result(bench);
}

static void learn_peer(struct bench *bench, const char *remote)
{
	struct node_key *key;

	if (addr_parse(remote, &bench->remote) < 0 || node_key_from_seed(seed_receiver, &key) < 0)
		die(remote);
	memcpy(bench->peer_key, node_key_public(key), TRANSPORT_KEY_LEN);
	node_key_free(key);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"receive", "send", "accept", "dial"};
	static struct bench bench;
	char addr[ADDR_TEXT_CAP];

	if (argc < 4)
		return 2;
	while (strcmp(argv[1], names[bench.role]) != 0)
		if (++bench.role > DIAL)
			return 2;
	snprintf(addr, sizeof(addr), "%s:%s", argv[2], argv[3]);
	bench.conn_cnt = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
	if (bench.role == RECEIVE || bench.role == ACCEPT) {
		bench_open(&bench, argc > 5 ? argv[5] : NULL, addr);
		serve(&bench);
		fast_path_close(&bench.path);
		return 0;
	}
	if (argc < 6)
		return 2;
	learn_peer(&bench, addr);
	bench_open(&bench, argc > 7 ? argv[6] : NULL, argc > 7 ? argv[7] : "0.0.0.0:0");
	if (bench.role == SEND)
		fill(&bench, (unsigned)atoi(argv[5]));
	else
		dial(&bench, (unsigned)atoi(argv[4]), strcmp(argv[5], "resumed") == 0);
	fast_path_close(&bench.path);
	return 0;
}
