/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New peers of a daemon at a steady rate, for bench/flood. Each handshake
 * is from another address, port and key than those before it, proves the
 * daemon's key and is closed at once.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "net/packet_io.h"
#include "quic/quic.h"
#include "support/quic_take.h"

#define PEER_CNT   1024		  /* how many may be dialling at a time */
#define PATIENCE   (3 * NS_PER_S) /* a lost first packet is sent again after one */
#define DIALS_MAX  100000
#define BUFFER_LEN (1u << 18)

/* A peer with a key; dials from a new socket each time. */
struct peer {
	struct quic_engine *engine;
	struct packet_rx *rx; /* NULL: not dialling */
	struct packet_tx *tx;
	struct transport_conn *conn;
	uint64_t dialled_ns;
	bool is_made;
};

static struct peer peers[PEER_CNT];
static struct pollfd fds[PEER_CNT];
static struct random source;
static struct addr daemon_addr, first_addr;
static uint8_t daemon_key[TRANSPORT_KEY_LEN];
static unsigned source_cnt, dialled_cnt, made_cnt;
static uint32_t took_us[DIALS_MAX];

static void die(const char *what, int err)
{
	fprintf(stderr, "flood_dialer: %s: %s\n", what, err ? weft_err_text(err) : "no such thing");
	exit(1);
}

static int conn_ready(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	struct peer *peer = ctx;

	(void)conn;
	peer->is_made = true;
	took_us[made_cnt++] = (uint32_t)((now_ns - peer->dialled_ns) / 1000);
	return 0;
}

static void conn_closed(void *ctx, struct transport_conn *conn, const struct transport_close *close,
			uint64_t now_ns)
{
	struct peer *peer = ctx;

	(void)close, (void)now_ns;
	if (peer->conn == conn)
		peer->conn = NULL;
}

static void conn_streams_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)now_ns;
}

static int stream_opened(void *ctx, struct transport_conn *conn, struct transport_stream *stream,
			 uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)stream, (void)now_ns;
	return WEFT_EREFUSED;
}

static const struct transport_events events = {
	.conn_ready = conn_ready,
	.conn_closed = conn_closed,
	.conn_streams_available = conn_streams_available,
	.stream_opened = stream_opened,
};

static void peer_make(struct peer *peer, struct dgram_sink *sink)
{
	struct quic_engine_params params = {.events = &events,
					    .ctx = peer,
					    .random = &source,
					    .sink = sink,
					    .now_ns = clock_monotonic_ns()};
	struct node_key *key;
	int err = node_key_generate(&key);

	quic_config_defaults(&params.config);
	params.config.conn_cap = 8;
	params.config.stream_cap = 8;
	params.config.heap_cap = 4u << 20;
	params.key = key;
	if (err == 0)
		err = quic_engine_new(&params, &peer->engine);
	if (err < 0)
		die("peer", err);
}

static void peer_dial(struct peer *peer, uint64_t now_ns)
{
	struct udp_config udp = {.listen = {first_addr},
				 .listen_cnt = 1,
				 .rx_buffer_len = BUFFER_LEN,
				 .tx_buffer_len = BUFFER_LEN,
				 .refuse_io_uring = true};
	struct transport_dial dial = {.remote = daemon_addr};
	unsigned failed_idx, number = dialled_cnt++ % source_cnt;
	struct transport *transport;
	int err;

	udp.listen[0].ip[1] = (uint8_t)(first_addr.ip[1] + number / 256);
	udp.listen[0].ip[2] = (uint8_t)(first_addr.ip[2] + number);
	err = net_udp_open(&udp, &peer->rx, &peer->tx, &failed_idx);
	if (err < 0)
		die("a source", err);
	if (!peer->engine)
		peer_make(peer, &peer->tx->sink);
	quic_engine_set_sink(peer->engine, &peer->tx->sink);
	transport = quic_engine_transport(peer->engine);
	memcpy(dial.peer_key, daemon_key, sizeof(dial.peer_key));
	peer->is_made = false;
	peer->dialled_ns = now_ns;
	err = transport->ops->dial(transport, &dial, now_ns, &peer->conn);
	if (err < 0)
		die("dial", err);
}

static void peer_hang_up(struct peer *peer, uint64_t now_ns)
{
	struct transport *transport = quic_engine_transport(peer->engine);

	if (peer->conn)
		transport->ops->close(peer->conn, 0, NULL);
	peer->conn = NULL;
	quic_engine_flush(peer->engine, now_ns);
	(void)packet_tx_flush(peer->tx);
	packet_rx_close(peer->rx);
	packet_tx_close(peer->tx);
	peer->rx = NULL;
}

static void peer_turn(struct peer *peer, uint64_t now_ns)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(peer->rx, dgrams, PACKET_BURST_MAX);

	for (unsigned i = 0; i < cnt; i++)
		quic_take(peer->engine, &dgrams[i], now_ns);
	quic_engine_expire(peer->engine, now_ns);
	quic_engine_flush(peer->engine, now_ns);
	(void)packet_tx_flush(peer->tx);
	if (peer->is_made || !peer->conn || now_ns > peer->dialled_ns + PATIENCE)
		peer_hang_up(peer, now_ns);
}

/* A free peer dials; when none is free, one dial more came to nothing. */
static void dial_one(uint64_t now_ns)
{
	static unsigned next;

	for (unsigned i = 0; i < PEER_CNT; i++) {
		struct peer *peer = &peers[next++ % PEER_CNT];

		if (!peer->rx) {
			peer_dial(peer, now_ns);
			return;
		}
	}
	dialled_cnt++;
}

static void turn(uint64_t until_ns)
{
	uint64_t now_ns = clock_monotonic_ns(), next_ns = until_ns;
	struct timespec wait = {0};

	for (unsigned i = 0; i < PEER_CNT; i++) {
		struct peer *peer = &peers[i];

		if (peer->rx && (fds[i].revents || quic_engine_next_ns(peer->engine) <= now_ns ||
				 now_ns > peer->dialled_ns + PATIENCE))
			peer_turn(peer, now_ns);
		fds[i] = (struct pollfd){.fd = peer->rx ? peer->rx->fd : -1, .events = POLLIN};
		if (peer->rx && quic_engine_next_ns(peer->engine) < next_ns)
			next_ns = quic_engine_next_ns(peer->engine);
	}
	now_ns = clock_monotonic_ns();
	if (next_ns > now_ns)
		wait.tv_nsec = (long)(next_ns - now_ns);
	ppoll(fds, PEER_CNT, &wait, NULL);
}

static int by_size(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static void print_result(uint64_t ns)
{
	qsort(took_us, made_cnt, sizeof(took_us[0]), by_size);
	printf("{\"dialled\": %u, \"made\": %u, \"ns\": %llu, \"p50_us\": %u, \"p99_us\": %u}\n",
	       dialled_cnt, made_cnt, (unsigned long long)ns, took_us[made_cnt / 2],
	       took_us[made_cnt * 99 / 100]);
}

int main(int argc, char **argv)
{
	uint64_t begin_ns, gap_ns, end_ns, next_ns;
	unsigned rate;

	if (argc != 7 || addr_parse(argv[1], &daemon_addr) < 0 ||
	    zbase32_parse(argv[2], strlen(argv[2]), daemon_key, sizeof(daemon_key)) < 0 ||
	    addr_parse(argv[3], &first_addr) < 0)
		die("ADDR:PORT NODE_ID FROM:0 SOURCES RATE SECONDS", 0);
	source_cnt = (unsigned)atoi(argv[4]);
	rate = (unsigned)atoi(argv[5]);
	if (source_cnt < 1 || rate < 1 || rate * atof(argv[6]) > DIALS_MAX)
		die("that many", 0);
	random_init_system(&source);
	gap_ns = NS_PER_S / rate;
	next_ns = begin_ns = clock_monotonic_ns();
	end_ns = begin_ns + (uint64_t)(atof(argv[6]) * 1e9);
	while (next_ns < end_ns) {
		for (; next_ns <= clock_monotonic_ns() && next_ns < end_ns; next_ns += gap_ns)
			dial_one(clock_monotonic_ns());
		turn(next_ns);
	}
	/* Those under way have as long as those before them. */
	while (clock_monotonic_ns() < end_ns + PATIENCE)
		turn(clock_monotonic_ns() + NS_PER_S / 100);
	print_result(end_ns - begin_ns);
	return 0;
}
