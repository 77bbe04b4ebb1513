/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crowd of hostile peers of one daemon, for tests/system/test_crowd.py.
 *
 *   crowd ADDR:PORT NODE_ID BEHAVIOUR KEYS STREAMS [BLOBS_ID]
 *
 * BEHAVIOUR is one of support/hostile_peer.h: idle, head, store, manifest,
 * chunk, call or churn, of KEYS peers with STREAMS streams each. churn
 * goes through KEYS keys, a few at a time.
 *
 *   crowd ADDR:PORT NODE_ID forge RATE 0 ADDR
 *
 * RATE first Initials a second that pretend to be from ADDR (IPv4), each of
 * another port; it takes the right to open raw sockets.
 *
 * Prints "ready" when every key was answered once, or the first Initial is
 * forged. Ends with its standard input, and then prints {"made", "closed",
 * "reset"} of sessions and streams, or {"forged"}.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "codec/text/hex.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "support/hostile_peer.h"

#define PEER_CAP    1024
#define DIALLED_CAP 32 /* handshakes under way at a time */
#define FORGED_CAP  2048
#define TURN_NS	    (20 * NS_PER_MS)

static struct hostile_peer peers[PEER_CAP];
static struct pollfd fds[PEER_CAP + 1]; /* the last: standard input */
static struct random source;
static struct hostile_plan plan = {.random = &source};
static unsigned key_cnt, peer_cnt, gone_cnt;
static unsigned made_cnt, closed_cnt, reset_cnt; /* of those that are gone */

static void die(const char *what, int err)
{
	fprintf(stderr, "crowd: %s: %s\n", what, weft_err_text(err));
	exit(1);
}

static void peer_begin(struct hostile_peer *peer, uint64_t now_ns)
{
	struct addr from = plan.node_addr;
	int err;

	from.port = 0; /* on loopback the same address, another port */
	if ((err = hostile_peer_begin(peer, &plan, &from, now_ns)) < 0)
		die("a peer", err);
}

/* Its key has had its turn: the next one is another's. */
static void peer_end(struct hostile_peer *peer)
{
	made_cnt += peer->made_cnt;
	closed_cnt += peer->closed_cnt;
	reset_cnt += peer->reset_cnt;
	gone_cnt++;
	hostile_peer_close(peer);
}

/* Turns every peer that there is, then waits for what comes next. Returns how many were answered. */
static unsigned turn(void)
{
	uint64_t now_ns = clock_monotonic_ns(), next_ns = now_ns + TURN_NS;
	unsigned answered_cnt = 0, dialled_cnt = 0;
	struct timespec wait = {0};

	for (unsigned i = 0; i < peer_cnt; i++) {
		struct hostile_peer *peer = &peers[i];
		uint64_t peer_ns;

		if (plan.behaviour == HOSTILE_CHURN && peer->closed_cnt &&
		    gone_cnt + peer_cnt < key_cnt)
			peer_end(peer);
		if (!peer->engine && dialled_cnt < DIALLED_CAP)
			peer_begin(peer, now_ns);
		if (!peer->engine)
			continue;
		peer_ns = hostile_peer_turn(peer, now_ns);
		fds[i] = (struct pollfd){.fd = peer->rx->fd, .events = POLLIN};
		next_ns = peer_ns < next_ns ? peer_ns : next_ns;
		answered_cnt += hostile_peer_was_answered(peer);
		dialled_cnt += !hostile_peer_was_answered(peer);
	}
	now_ns = clock_monotonic_ns();
	if (next_ns > now_ns)
		wait.tv_nsec = (long)(next_ns - now_ns);
	ppoll(fds, PEER_CAP + 1, &wait, NULL);
	return answered_cnt;
}

static void say_ready(void)
{
	puts("ready");
	fflush(stdout);
}

static bool is_over(const struct pollfd *input)
{
	return input->revents & (POLLIN | POLLHUP);
}

static void crowd_run(void)
{
	struct pollfd *input = &fds[PEER_CAP];
	bool is_told = false;

	for (unsigned i = 0; i < PEER_CAP; i++)
		fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	*input = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	while (!is_over(input)) {
		unsigned answered_cnt = turn();

		if (!is_told && gone_cnt + answered_cnt >= key_cnt) {
			is_told = true;
			say_ready();
		}
	}
	for (unsigned i = 0; i < peer_cnt; i++)
		peer_end(&peers[i]);
	printf("{\"made\": %u, \"closed\": %u, \"reset\": %u}\n", made_cnt, closed_cnt, reset_cnt);
}

/* --- forged sources: a sink that writes the IP header itself --- */

struct forge {
	struct dgram_sink sink; /* first */
	int fd;
	struct sockaddr_in to;
	struct addr from;
	unsigned cnt;
	struct __attribute__((packed)) {
		struct iphdr ip;
		struct udphdr udp;
		uint8_t payload[FORGED_CAP];
	} packet;
};

static bool forge_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct forge *forge = (struct forge *)sink;

	*out_slot = (struct dgram_slot){.data = forge->packet.payload, .cap = FORGED_CAP};
	return len <= FORGED_CAP;
}

static void forge_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			 const struct dgram_route *route)
{
	struct forge *forge = (struct forge *)sink;
	size_t udp_len = sizeof(forge->packet.udp) + len;
	size_t packet_len = sizeof(forge->packet.ip) + udp_len;

	(void)slot, (void)route;
	forge->packet.ip = (struct iphdr){.version = 4,
					  .ihl = 5,
					  .ttl = 64,
					  .protocol = IPPROTO_UDP,
					  .tot_len = htons((uint16_t)packet_len),
					  .daddr = forge->to.sin_addr.s_addr};
	memcpy(&forge->packet.ip.saddr, forge->from.ip, sizeof(forge->packet.ip.saddr));
	/* IPv4 takes UDP without a checksum. */
	forge->packet.udp = (struct udphdr){.source = htons((uint16_t)(1024 + forge->cnt % 60000)),
					    .dest = htons(plan.node_addr.port),
					    .len = htons((uint16_t)udp_len)};
	if (sendto(forge->fd, &forge->packet, packet_len, 0, (const struct sockaddr *)&forge->to,
		   sizeof(forge->to)) > 0)
		forge->cnt++;
}

static void forge_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)sink, (void)slot;
}

static const struct dgram_sink_ops forge_ops = {forge_reserve, forge_commit, forge_cancel};

static void forge_run(const char *from, unsigned rate)
{
	static struct forge forge = {.sink = {.ops = &forge_ops, .batch_len_max = 1500}};
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	uint64_t began_ns = clock_monotonic_ns(), dialled_cnt = 0;
	struct node_key *key;
	int err = node_key_generate(&key);

	forge.fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	forge.to.sin_family = AF_INET;
	memcpy(&forge.to.sin_addr, plan.node_addr.ip, sizeof(forge.to.sin_addr));
	if (err < 0 || (err = addr_parse(from, &forge.from)) < 0 ||
	    (err = forge.fd < 0 ? -errno : 0) < 0)
		die("forge", err);
	while (!is_over(&input)) {
		uint64_t now_ns = clock_monotonic_ns();

		for (; dialled_cnt * NS_PER_S < (now_ns - began_ns) * rate; dialled_cnt++) {
			if ((err = hostile_forge(&plan, key, &forge.sink, now_ns)) < 0)
				die("forge", err);
			if (!dialled_cnt)
				say_ready();
		}
		poll(&input, 1, 5);
	}
	node_key_free(key);
	printf("{\"forged\": %u}\n", forge.cnt);
}

static bool arguments_read(int argc, char **argv)
{
	if (argc < 6 || addr_parse(argv[1], &plan.node_addr) < 0 ||
	    zbase32_parse(argv[2], strlen(argv[2]), plan.node_key, sizeof(plan.node_key)) < 0)
		return false;
	key_cnt = (unsigned)atoi(argv[4]);
	plan.stream_max = (unsigned)atoi(argv[5]);
	if (strcmp(argv[3], "forge") == 0)
		return key_cnt && argc == 7;
	while (plan.behaviour < HOSTILE_BEHAVIOUR_CNT &&
	       strcmp(hostile_behaviour_names[plan.behaviour], argv[3]) != 0)
		plan.behaviour++;
	peer_cnt = plan.behaviour == HOSTILE_CHURN && key_cnt > DIALLED_CAP ? DIALLED_CAP : key_cnt;
	return plan.behaviour < HOSTILE_BEHAVIOUR_CNT && key_cnt && peer_cnt <= PEER_CAP &&
	       (argc < 7 || hex_read(argv[6], plan.content_id, sizeof(plan.content_id)));
}

int main(int argc, char **argv)
{
	struct rlimit files = {4096, 4096};

	if (!arguments_read(argc, argv)) {
		fprintf(stderr, "usage: crowd ADDR:PORT NODE_ID BEHAVIOUR KEYS STREAMS [ID]\n"
				"       crowd ADDR:PORT NODE_ID forge RATE 0 ADDR\n");
		return 2;
	}
	(void)setrlimit(RLIMIT_NOFILE, &files);
	random_init_system(&source);
	plan.wall_s = (uint64_t)time(NULL);
	if (strcmp(argv[3], "forge") == 0)
		forge_run(argv[6], key_cnt);
	else
		crowd_run();
	return 0;
}
