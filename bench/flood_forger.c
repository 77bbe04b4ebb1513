/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams that reach deeper than noise does, for bench/flood. Each
 * Initial is sealed under the keys of its own connection id (RFC 9001 5.2)
 * and carries a ClientHello that a handshake can begin with.
 *
 *   flood_forger ADDR:PORT NODE_ID FROM:0 initials|token DEVICE MAC RATE
 *   flood_forger ADDR:PORT NODE_ID FROM:0 replay
 *
 * initials: RATE a second as of FROM (IPv4), each of another port, sent as
 * frames to MAC. token: the same, each with one token of FROM's, which an
 * honest session brought first. replay: makes a session from FROM, prints a
 * 1-RTT datagram of it in hexadecimal, and keeps the session.
 *
 * Prints "ready" before the first frame; ends by a signal and then prints
 * {"frames", "ns"}, as pktgen does.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "base/monotonic.h"
#include "codec/text/hex.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "quic/quic.h"
#include "support/hostile_peer.h"
#include "support/quic_seal.h"

#define DGRAM_CAP   1500
#define POOL_CAP    32768 /* Initials of different ids; beyond, each comes again from another port */
#define POOL_S	    4
#define BATCH_CNT   64
#define TICK_NS	    NS_PER_MS
#define PATIENCE_NS (5 * NS_PER_S)
#define PORT_FIRST  1024
#define PORT_CNT    (65536 - PORT_FIRST)
#define IP_HEAD_LEN (sizeof(struct iphdr) + sizeof(struct udphdr))

/* A sink that keeps the last datagram; what it passes on goes to real. */
struct recorder {
	struct dgram_sink sink;	 /* first */
	struct dgram_sink *real; /* NULL: nothing is sent */
	uint8_t buffer[DGRAM_CAP];
	uint8_t bytes[DGRAM_CAP];
	size_t len;
};

struct frame {
	struct __attribute__((packed)) {
		struct ether_header eth;
		struct iphdr ip;
		struct udphdr udp;
		uint8_t payload[DGRAM_CAP];
	} bytes;
	size_t len;
};

static struct random source;
static struct hostile_plan plan = {.random = &source};
static struct addr from;
static volatile sig_atomic_t is_stopped;

static void on_signal(int number)
{
	(void)number;
	is_stopped = 1;
}

__attribute__((noreturn)) static void die(const char *what, int err)
{
	fprintf(stderr, "flood_forger: %s: %s\n", what, weft_err_text(err));
	exit(1);
}

/* --- what is recorded --- */

static bool recorder_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct recorder *recorder = (struct recorder *)sink;

	if (recorder->real)
		return recorder->real->ops->reserve(recorder->real, len, out_slot);
	*out_slot = (struct dgram_slot){.data = recorder->buffer, .cap = DGRAM_CAP};
	return len <= DGRAM_CAP;
}

static void recorder_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			    const struct dgram_route *route)
{
	struct recorder *recorder = (struct recorder *)sink;
	size_t first_len =
		route->segment_len && route->segment_len < len ? route->segment_len : len;

	/* Of several datagrams of one dial the first opens it. */
	if (first_len <= DGRAM_CAP && (recorder->real || !recorder->len)) {
		memcpy(recorder->bytes, slot->data, first_len);
		recorder->len = first_len;
	}
	if (recorder->real)
		recorder->real->ops->commit(recorder->real, slot, len, route);
}

static void recorder_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	struct recorder *recorder = (struct recorder *)sink;

	if (recorder->real)
		recorder->real->ops->cancel(recorder->real, slot);
}

static const struct dgram_sink_ops recorder_ops = {recorder_reserve, recorder_commit,
						   recorder_cancel};

/* --- an honest session, from which something is kept --- */

static void peer_begin(struct hostile_peer *peer, struct recorder *recorder)
{
	int err = hostile_peer_begin(peer, &plan, &from, clock_monotonic_ns());

	if (err < 0)
		die("a session", err);
	recorder->real = &peer->tx->sink;
	recorder->sink.batch_len_max = peer->tx->sink.batch_len_max;
	quic_engine_set_sink(peer->engine, &recorder->sink);
}

static void peer_wait(struct hostile_peer *peer)
{
	uint64_t now_ns = clock_monotonic_ns(), next_ns = hostile_peer_turn(peer, now_ns);
	struct pollfd readable = {.fd = peer->rx->fd, .events = POLLIN};
	uint64_t wait_ns = next_ns > now_ns ? next_ns - now_ns : 0;

	poll(&readable, 1, wait_ns > 20 * NS_PER_MS ? 20 : (int)(wait_ns / NS_PER_MS));
}

static void wait_for_token(struct hostile_peer *peer)
{
	uint64_t end_ns = clock_monotonic_ns() + PATIENCE_NS;

	while (!peer->token_len) {
		if (clock_monotonic_ns() > end_ns)
			die("the node gives no token", WEFT_ETIMEOUT);
		peer_wait(peer);
	}
}

static int replay_run(void)
{
	struct recorder recorder = {.sink = {.ops = &recorder_ops}};
	struct hostile_peer peer = {0};
	char text[2 * DGRAM_CAP + 1];

	peer_begin(&peer, &recorder);
	wait_for_token(&peer);
	while (recorder.bytes[0] & 0x80)
		peer_wait(&peer);
	puts(hex_write(recorder.bytes, recorder.len, text));
	fflush(stdout);
	while (!is_stopped)
		peer_wait(&peer);
	hostile_peer_close(&peer);
	return 0;
}

/* --- Initials under one address --- */

static void token_take(struct hostile_peer *peer)
{
	struct recorder recorder = {.sink = {.ops = &recorder_ops}};

	peer_begin(peer, &recorder);
	wait_for_token(peer);
	hostile_peer_close(peer);
	plan.token = peer->token;
	plan.token_len = peer->token_len;
}

/* The frames of a ClientHello and what its header needs; payload points into opened. */
static struct quic_packet hello_read(const struct recorder *recorder, uint8_t opened[DGRAM_CAP])
{
	struct quic_keys client, server;
	struct quic_packet packet;
	size_t len;

	if (!quic_next(recorder->bytes, recorder->len, 0, &packet, &len))
		die("the dial", WEFT_EMALFORMED);
	quic_keys_initial(&client, &server, packet.dcid, packet.dcid_len);
	if (!quic_open(&client, recorder->bytes, recorder->len, &packet, opened))
		die("the dial", WEFT_EMALFORMED);
	quic_keys_fini(&client);
	quic_keys_fini(&server);
	return packet;
}

static void frame_write(struct frame *frame, const struct quic_packet *hello, const uint8_t mac[6])
{
	struct quic_packet packet = *hello;
	struct quic_keys client, server;
	uint8_t dcid[QUIC_SEAL_CID_MAX];
	size_t len;

	random_fill(&source, dcid, packet.dcid_len);
	packet.dcid = dcid;
	quic_keys_initial(&client, &server, dcid, packet.dcid_len);
	len = quic_seal(&client, &packet, frame->bytes.payload);
	quic_keys_fini(&client);
	quic_keys_fini(&server);
	frame->len = sizeof(frame->bytes) - DGRAM_CAP + len;
	memcpy(frame->bytes.eth.ether_dhost, mac, 6);
	memcpy(frame->bytes.eth.ether_shost, (uint8_t[]){0x02, 0, 0, 0, 0, 0x99}, 6);
	frame->bytes.eth.ether_type = htons(ETHERTYPE_IP);
	frame->bytes.ip = (struct iphdr){.version = 4,
					 .ihl = 5,
					 .ttl = 64,
					 .protocol = IPPROTO_UDP,
					 .tot_len = htons((uint16_t)(IP_HEAD_LEN + len))};
	memcpy(&frame->bytes.ip.saddr, from.ip, 4);
	memcpy(&frame->bytes.ip.daddr, plan.node_addr.ip, 4);
	for (uint32_t i = 0, sum = 0; i < 10; i++) {
		sum += ((const uint16_t *)(const void *)&frame->bytes.ip)[i];
		if (i == 9)
			frame->bytes.ip.check = (uint16_t)~((sum & 0xffff) + (sum >> 16));
	}
	/* IPv4 takes UDP without a checksum. */
	frame->bytes.udp = (struct udphdr){.dest = htons(plan.node_addr.port),
					   .len = htons((uint16_t)(sizeof(struct udphdr) + len))};
}

static struct frame *pool_make(unsigned cnt, const uint8_t mac[6])
{
	struct recorder recorder = {.sink = {.ops = &recorder_ops, .batch_len_max = DGRAM_CAP}};
	struct frame *pool = calloc(cnt, sizeof(*pool));
	uint8_t opened[DGRAM_CAP];
	struct quic_packet hello;
	struct node_key *key;
	int err = node_key_generate(&key);

	if (!pool)
		die("frames", -ENOMEM);
	if (err < 0 || (err = hostile_forge(&plan, key, &recorder.sink, clock_monotonic_ns())) < 0)
		die("the dial", err);
	node_key_free(key);
	hello = hello_read(&recorder, opened);
	for (unsigned i = 0; i < cnt; i++)
		frame_write(&pool[i], &hello, mac);
	return pool;
}

static int device_open(const char *device)
{
	struct sockaddr_ll where = {.sll_family = AF_PACKET,
				    .sll_ifindex = (int)if_nametoindex(device)};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), yes = 1;

	if (fd < 0 || bind(fd, (const struct sockaddr *)&where, sizeof(where)) < 0)
		die(device, -errno);
	(void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes));
	return fd;
}

/* Returns how many of cnt frames, from number first on, the device took. */
static unsigned batch_send(int fd, struct frame *pool, unsigned pool_cnt, uint64_t first,
			   unsigned cnt)
{
	struct mmsghdr messages[BATCH_CNT] = {0};
	struct iovec parts[BATCH_CNT];
	int sent;

	for (unsigned i = 0; i < cnt; i++) {
		struct frame *frame = &pool[(first + i) % pool_cnt];

		frame->bytes.udp.source = htons((uint16_t)(PORT_FIRST + (first + i) % PORT_CNT));
		parts[i] = (struct iovec){.iov_base = &frame->bytes, .iov_len = frame->len};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	sent = sendmmsg(fd, messages, cnt, 0);
	return sent > 0 ? (unsigned)sent : 0;
}

static int initials_run(const char *device, const uint8_t mac[6], unsigned rate)
{
	unsigned pool_cnt = rate < POOL_CAP / POOL_S ? rate * POOL_S : POOL_CAP;
	struct frame *pool = pool_make(pool_cnt, mac);
	uint64_t begin_ns, due_cnt, cnt = 0, sent_cnt = 0;
	int fd = device_open(device);

	puts("ready");
	fflush(stdout);
	begin_ns = clock_monotonic_ns();
	while (!is_stopped) {
		due_cnt = (uint64_t)((double)(clock_monotonic_ns() - begin_ns) * rate / 1e9);
		while (cnt < due_cnt) {
			unsigned batch =
				due_cnt - cnt < BATCH_CNT ? (unsigned)(due_cnt - cnt) : BATCH_CNT;

			sent_cnt += batch_send(fd, pool, pool_cnt, cnt, batch);
			cnt += batch;
		}
		clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = TICK_NS}, NULL);
	}
	printf("{\"frames\": %llu, \"ns\": %llu}\n", (unsigned long long)sent_cnt,
	       (unsigned long long)(clock_monotonic_ns() - begin_ns));
	return 0;
}

static bool mac_read(const char *text, uint8_t mac[6])
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		      &mac[4], &mac[5]) == 6;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	static struct hostile_peer peer;
	uint8_t mac[6];
	unsigned rate;

	if (argc < 5 || addr_parse(argv[1], &plan.node_addr) < 0 ||
	    zbase32_parse(argv[2], strlen(argv[2]), plan.node_key, sizeof(plan.node_key)) < 0 ||
	    addr_parse(argv[3], &from) < 0 || from.family != ADDR_IPV4)
		die("ADDR:PORT NODE_ID FROM:0 WHAT", WEFT_EMALFORMED);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	random_init_system(&source);
	plan.wall_s = (uint64_t)time(NULL);
	if (strcmp(argv[4], "replay") == 0)
		return replay_run();
	if (argc != 8 || !mac_read(argv[6], mac) || !(rate = (unsigned)atoi(argv[7])))
		die("DEVICE MAC RATE", WEFT_EMALFORMED);
	if (strcmp(argv[4], "token") == 0)
		token_take(&peer);
	return initials_run(argv[5], mac, rate);
}
