/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many peers of one daemon in one process, for bench/memory. Each has a
 * key, a UDP socket, a QUIC engine and sessions of its own, but neither
 * store nor content. They dial, greet, and are idle.
 *
 *   memory_peers ADDR:PORT NODE_ID COUNT
 *
 * Prints "connected COUNT" when all sessions are there; ends with its
 * standard input.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "mesh/mesh.h"
#include "net/packet_io.h"
#include "quic/quic.h"
#include "support/quic_take.h"

#define PEER_CAP	1024
#define DIALLING_CAP	16 /* below what one address may have unproven */
#define CONNECT_TIMEOUT (20 * NS_PER_S)

struct peer {
	struct node_key *key;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct quic_engine *engine;
	struct mesh *mesh;
	struct timer_wheel timers;
};

static struct peer peers[PEER_CAP];
static struct pollfd fds[PEER_CAP + 1]; /* the last: standard input */
static struct random source;
static unsigned connected_cnt;

static void die(const char *what, int err)
{
	fprintf(stderr, "memory_peers: %s: %d\n", what, err);
	exit(1);
}

static void peer_open(struct peer *peer, const struct addr *daemon, uint64_t now_ns)
{
	struct udp_config udp = {.listen_cnt = 1,
				 .rx_buffer_len = 1u << 18,
				 .tx_buffer_len = 1u << 18,
				 .refuse_io_uring = true};
	struct quic_engine_params quic = {
		.events = &mesh_transport_events, .random = &source, .now_ns = now_ns};
	struct mesh_params mesh = {.timers = &peer->timers,
				   .random = &source,
				   .now_ns = now_ns,
				   .wall_s = (uint64_t)time(NULL)};
	unsigned failed_idx;
	int err;

	udp.listen[0] = *daemon; /* loopback: ours is the same, with another port */
	udp.listen[0].port = 0;
	timer_wheel_init(&peer->timers, now_ns);
	if ((err = node_key_generate(&peer->key)) < 0 ||
	    (err = net_udp_open(&udp, &peer->rx, &peer->tx, &failed_idx)) < 0)
		die("peer", err);
	mesh_config_defaults(&mesh.config);
	mesh.config.session_cap = mesh.config.peer_cap = 4;
	mesh.config.request_cap = mesh.config.incoming_cap = 16;
	mesh.own_key = node_key_public(peer->key);
	if ((err = mesh_new(&mesh, &peer->mesh)) < 0)
		die("mesh", err);
	quic_config_defaults(&quic.config);
	quic.config.conn_cap = 4;
	quic.config.stream_cap = 64;
	quic.config.heap_cap = 4u << 20;
	quic.key = peer->key;
	quic.ctx = peer->mesh;
	quic.sink = &peer->tx->sink;
	if ((err = quic_engine_new(&quic, &peer->engine)) < 0)
		die("engine", err);
	mesh_set_transport(peer->mesh, quic_engine_transport(peer->engine));
}

static void connected(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg, (void)actual_key;
	if (err < 0)
		die("connect", err);
	connected_cnt++;
}

/* peer_turn returns when the peer has to be turned again. */
static uint64_t peer_turn(struct peer *peer, uint64_t now_ns)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(peer->rx, dgrams, PACKET_BURST_MAX);
	uint64_t timers_ns, quic_ns;

	for (unsigned i = 0; i < cnt; i++)
		quic_take(peer->engine, &dgrams[i], now_ns);
	timer_wheel_expire(&peer->timers, now_ns);
	quic_engine_expire(peer->engine, now_ns);
	quic_engine_flush(peer->engine, now_ns);
	(void)packet_tx_flush(peer->tx);
	timers_ns = timer_wheel_next_ns(&peer->timers);
	quic_ns = quic_engine_next_ns(peer->engine);
	return timers_ns < quic_ns ? timers_ns : quic_ns;
}

/* Turns every peer that has something to do, then waits for the next. */
static void turn(unsigned cnt)
{
	uint64_t now_ns = clock_monotonic_ns(), next_ns = now_ns + NS_PER_S;
	struct timespec wait = {0};

	for (unsigned i = 0; i < cnt; i++) {
		uint64_t peer_ns = peer_turn(&peers[i], now_ns);

		next_ns = peer_ns < next_ns ? peer_ns : next_ns;
	}
	now_ns = clock_monotonic_ns();
	if (next_ns > now_ns)
		wait = (struct timespec){.tv_sec = (time_t)((next_ns - now_ns) / NS_PER_S),
					 .tv_nsec = (long)((next_ns - now_ns) % NS_PER_S)};
	ppoll(fds, PEER_CAP + 1, &wait, NULL);
}

int main(int argc, char **argv)
{
	struct addr daemon;
	struct mesh_peer target = {.addrs = &daemon, .addr_cnt = 1};
	unsigned cnt = argc == 4 ? (unsigned)atoi(argv[3]) : 0, dialled_cnt = 0;
	int err;

	if (!cnt || cnt > PEER_CAP || addr_parse(argv[1], &daemon) < 0 ||
	    zbase32_parse(argv[2], strlen(argv[2]), target.key, MESH_KEY_LEN) < 0) {
		fprintf(stderr, "usage: memory_peers ADDR:PORT NODE_ID COUNT (1 to %d)\n",
			PEER_CAP);
		return 2;
	}
	random_init_system(&source);
	for (unsigned i = 0; i < PEER_CAP; i++)
		fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	fds[PEER_CAP] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	while (connected_cnt < cnt) {
		for (; dialled_cnt < cnt && dialled_cnt < connected_cnt + DIALLING_CAP;
		     dialled_cnt++) {
			struct peer *peer = &peers[dialled_cnt];
			uint64_t now_ns = clock_monotonic_ns();

			peer_open(peer, &daemon, now_ns);
			fds[dialled_cnt].fd = peer->rx->fd;
			err = mesh_connect(peer->mesh,
					   &(struct mesh_connect){.peer = &target,
								  .timeout_ns = CONNECT_TIMEOUT,
								  .done = connected,
								  .arg = NULL},
					   now_ns);
			if (err < 0)
				die("dial", err);
		}
		turn(dialled_cnt);
	}
	printf("connected %u\n", cnt);
	fflush(stdout);
	while (!(fds[PEER_CAP].revents & (POLLIN | POLLHUP)))
		turn(cnt);
	return 0;
}
