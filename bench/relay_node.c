/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay with FLOWS open flows and nothing else, for bench/relay. It is
 * behind a UDP socket alone, or with the XDP program in front of it, which
 * then forwards. All flows are of one grant, whose rate they do not reach. Or
 * each has RATE bytes a second.
 *
 *   relay_node DEVICE|- FIRST SECOND FLOWS FIRST_END SECOND_END LABELS [RATE]
 *
 * Flow i joins port FIRST_PORT + i of the address FIRST_END and port
 * SECOND_PORT + i of SECOND_END. These write to FIRST and SECOND, each
 * ADDRESS:PORT. The file LABELS gets the labels of all first legs, then those of
 * all second legs. At its end the program prints how datagrams left.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "firewall/ingress.h"
#include "net/ingress/ingress_verdict.h"
#include "relay/forward.h"
#include "relay/relay.h"
#include "support/fast_path.h"

#define FIRST_PORT  1024
#define SECOND_PORT 32768
#define FLOW_MAX    16384
#define MTU	    1400
#define RATE	    100000000000ull /* bytes a second: more than any machine's */
#define WAIT_MS	    10
#define BURST_PARTS 20 /* a flow's burst is its rate for 50 ms */

struct node {
	struct fast_path path;
	struct ingress *ingress;
	struct relay_forward forward;
	struct relay *relay;
	struct node_key *key;
	struct random random;
	unsigned grant, grant_cnt;
};

/* What the command line says. */
struct asked {
	const char *device;	/* NULL: the socket alone */
	const char *listens[2]; /* by leg */
	const char *ends[2];	/* their addresses */
	unsigned flow_cnt;
	uint64_t per_s; /* of each flow; 0: they have a grant together */
	const char *labels;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static void node_open(struct node *node, const struct asked *asked)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {7};
	const struct ingress_params ingress = {.secret = {1, 2}, .session_cap = 64};
	struct relay_params params = {
		.random = &node->random, .now_ns = clock_monotonic_ns(), .wall_s = clock_wall_s()};

	random_init_seeded(&node->random, 5);
	relay_config_defaults(&params.config);
	if (node_key_from_seed(seed, &node->key) < 0)
		fast_path_fail("node key", "cannot be made");
	params.key = node->key;
	if (relay_new(&params, &node->relay) < 0 ||
	    firewall_ingress_new(&ingress, &node->ingress) < 0)
		fast_path_fail("relay", "cannot be made");
	fast_path_open_relay(&node->path, asked->device, asked->listens, relay_tables(node->relay));
	firewall_ingress_set_relay(node->ingress, relay_tables(node->relay));
	firewall_ingress_configure(node->ingress, &node->path.policy);
	relay_forward_init(&node->forward, &node->path.udp_tx->sink);
}

static void node_close(struct node *node)
{
	fast_path_close(&node->path);
	relay_free(node->relay);
	firewall_ingress_free(node->ingress);
	node_key_free(node->key);
}

/* Of all flows, or with per_s of the next one alone. */
static void grant_open(struct node *node, uint64_t per_s)
{
	struct relay_grant_terms terms = {.per_s = RATE, .burst_len = RATE};
	int row;

	if (per_s) {
		terms.per_s = per_s;
		terms.burst_len = per_s / BURST_PARTS;
	}
	node->grant_cnt++;
	memcpy(terms.id, &node->grant_cnt, sizeof(node->grant_cnt));
	row = relay_grant_open(node->relay, &terms);
	if (row < 0)
		fast_path_fail("grant", weft_err_text(row));
	node->grant = (unsigned)row;
}

static void flow_open(struct node *node, const struct addr ends[static 2],
		      const struct addr locals[static 2],
		      struct weft_relay_label out_labels[static 2])
{
	static const uint8_t owner[RELAY_KEY_LEN] = {1};
	const struct relay_flow_terms terms = {
		.owner = owner, .addr = &ends[0], .grant = node->grant, .mtu = MTU};
	struct relay_flow_id id;
	int err = relay_flow_open(node->relay, &terms, &id);

	for (unsigned leg = 0; leg < 2 && err == 0; leg++) {
		err = relay_flow_set_leg(node->relay, id, leg, &ends[leg], &locals[leg]);
		if (err == 0)
			err = relay_flow_label(node->relay, id, leg, &out_labels[leg]);
	}
	if (err < 0)
		fast_path_fail("flow", weft_err_text(err));
}

/* Of the legs: where they are, and where they write to; ports of the first flow. */
static void legs_read(const struct asked *asked, struct addr ends[static 2],
		      struct addr locals[static 2])
{
	for (unsigned leg = 0; leg < 2; leg++) {
		char text[ADDR_TEXT_CAP];

		snprintf(text, sizeof(text), strchr(asked->ends[leg], ':') ? "[%s]:%u" : "%s:%u",
			 asked->ends[leg], leg ? SECOND_PORT : FIRST_PORT);
		if (addr_parse(text, &ends[leg]) < 0)
			fast_path_fail(text, "no address");
		if (addr_parse(asked->listens[leg], &locals[leg]) < 0)
			fast_path_fail(asked->listens[leg], "no address");
	}
}

static void flows_open(struct node *node, const struct asked *asked)
{
	static struct weft_relay_label labels[2][FLOW_MAX];
	struct addr locals[2], ends[2];
	FILE *file = fopen(asked->labels, "wb");
	unsigned cnt = asked->flow_cnt;

	legs_read(asked, ends, locals);
	for (unsigned i = 0; i < cnt; i++) {
		struct weft_relay_label pair[2];

		if (i == 0 || asked->per_s)
			grant_open(node, asked->per_s);
		flow_open(node, ends, locals, pair);
		labels[0][i] = pair[0];
		labels[1][i] = pair[1];
		ends[0].port++;
		ends[1].port++;
	}
	for (unsigned leg = 0; leg < 2; leg++)
		if (!file || fwrite(labels[leg], sizeof(labels[leg][0]), cnt, file) != cnt)
			fast_path_fail(asked->labels, "cannot be written");
	if (fclose(file) != 0)
		fast_path_fail(asked->labels, "cannot be written");
}

/* What a worker does with relayed datagrams of a receive side. */
static unsigned rx_turn(struct node *node, struct packet_rx *rx)
{
	struct demux_judge *judge = firewall_ingress_judge(node->ingress);
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(rx, dgrams, PACKET_BURST_MAX);

	for (unsigned i = 0; i < cnt; i++) {
		enum weft_reason reason = net_ingress_judge_dgram(judge, &dgrams[i]);

		(void)relay_forward_input(&node->forward, &dgrams[i], &judge->tables->relay_way,
					  reason);
	}
	relay_forward_flush(&node->forward);
	(void)packet_tx_flush(node->path.udp_tx);
	return cnt;
}

static void serve(struct node *node)
{
	struct packet_rx *rxs[2] = {node->path.udp_rx, NULL};
	struct pollfd fds[2] = {{.fd = rxs[0]->fd, .events = POLLIN}, {.fd = -1}};

	if (node->path.xdp) {
		rxs[1] = net_xdp_queue_of(node->path.xdp, node->path.device, 0)->rx;
		fds[1] = (struct pollfd){.fd = rxs[1]->fd, .events = POLLIN};
	}
	while (!stopped) {
		uint64_t now_ns = clock_monotonic_ns();
		unsigned cnt;

		firewall_ingress_turn(node->ingress, now_ns);
		cnt = rx_turn(node, rxs[0]);
		if (rxs[1])
			cnt += rx_turn(node, rxs[1]);
		if (now_ns >= relay_next_ns(node->relay))
			relay_turn(node->relay, now_ns, clock_wall_s());
		if (!cnt)
			(void)poll(fds, 2, WAIT_MS);
	}
}

static void print_counters(struct node *node)
{
	struct weft_counter counters[WEFT_REASON_CNT] = {0};

	if (node->path.xdp)
		net_xdp_counters(node->path.xdp, counters);
	printf("{\"by_driver\": %llu, \"by_userspace\": %llu, \"runs\": %llu, \"full\": %llu}\n",
	       (unsigned long long)counters[WEFT_REASON_RELAYED].packet_cnt,
	       (unsigned long long)node->forward.forwarded_cnt,
	       (unsigned long long)node->forward.run_cnt,
	       (unsigned long long)node->forward.full_cnt);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	static struct node node;
	int flow_cnt = argc == 8 || argc == 9 ? atoi(argv[4]) : 0;
	struct asked asked;

	if (flow_cnt < 1 || flow_cnt > FLOW_MAX)
		fast_path_fail("relay_node", "DEVICE|- FIRST SECOND FLOWS FIRST_END SECOND_END "
					     "LABELS [RATE]");
	asked = (struct asked){.device = strcmp(argv[1], "-") == 0 ? NULL : argv[1],
			       .listens = {argv[2], argv[3]},
			       .flow_cnt = (unsigned)flow_cnt,
			       .ends = {argv[5], argv[6]},
			       .labels = argv[7],
			       .per_s = argc == 9 ? strtoull(argv[8], NULL, 10) : 0};
	sigaction(SIGTERM, &action, NULL);
	node_open(&node, &asked);
	flows_open(&node, &asked);
	printf("ready\n");
	fflush(stdout);
	serve(&node);
	print_counters(&node);
	node_close(&node);
	return 0;
}
