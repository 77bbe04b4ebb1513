/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay with FLOWS open flows and nothing else, for bench/relay. It is
 * behind a UDP socket alone, or with the XDP program in front of it, which
 * then forwards. All flows are of one grant, whose rate they do not reach.
 *
 *   relay_node DEVICE|- ADDRESS:PORT FLOWS END LABELS
 *
 * Flow i joins ports FIRST_PORT + i and SECOND_PORT + i of the address END.
 * The file LABELS gets the labels of all first legs, then those of all
 * second legs. At its end the program prints how datagrams left.
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
#include "relay/forward.h"
#include "relay/relay.h"
#include "support/fast_path.h"

#define FIRST_PORT  1024
#define SECOND_PORT 32768
#define FLOW_MAX    16384
#define MTU	    1400
#define RATE	    100000000000ull /* bytes a second: more than any machine's */
#define WAIT_MS	    10

struct node {
	struct fast_path path;
	struct ingress *ingress;
	struct relay_forward forward;
	struct relay *relay;
	struct node_key *key;
	struct random random;
	unsigned grant;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static void node_open(struct node *node, const char *device, const char *listen)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {7};
	const struct ingress_params ingress = {.secret = {1, 2}, .session_cap = 64};
	const struct relay_grant_terms terms = {.id = {1}, .per_s = RATE, .burst_len = RATE};
	struct relay_params params = {
		.random = &node->random, .now_ns = clock_monotonic_ns(), .wall_s = clock_wall_s()};
	int row;

	random_init_seeded(&node->random, 5);
	relay_config_defaults(&params.config);
	if (node_key_from_seed(seed, &node->key) < 0)
		fast_path_fail("node key", "cannot be made");
	params.key = node->key;
	if (relay_new(&params, &node->relay) < 0 ||
	    firewall_ingress_new(&ingress, &node->ingress) < 0)
		fast_path_fail("relay", "cannot be made");
	row = relay_grant_open(node->relay, &terms);
	if (row < 0)
		fast_path_fail("grant", weft_err_text(row));
	node->grant = (unsigned)row;
	fast_path_open_relay(&node->path, device, listen, relay_tables(node->relay));
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

static void flow_open(struct node *node, const struct addr ends[static 2], const struct addr *local,
		      struct weft_relay_label out_labels[static 2])
{
	static const uint8_t owner[RELAY_KEY_LEN] = {1};
	const struct relay_flow_terms terms = {
		.owner = owner, .addr = &ends[0], .grant = node->grant, .mtu = MTU};
	struct relay_flow_id id;
	int err = relay_flow_open(node->relay, &terms, &id);

	for (unsigned leg = 0; leg < 2 && err == 0; leg++) {
		err = relay_flow_set_leg(node->relay, id, leg, &ends[leg], local);
		if (err == 0)
			err = relay_flow_label(node->relay, id, leg, &out_labels[leg]);
	}
	if (err < 0)
		fast_path_fail("flow", weft_err_text(err));
}

static void flows_open(struct node *node, unsigned cnt, const char *listen, const char *end,
		       const char *labels_path)
{
	static struct weft_relay_label labels[2][FLOW_MAX];
	struct addr local, ends[2];
	char text[ADDR_TEXT_CAP];
	FILE *file = fopen(labels_path, "wb");

	snprintf(text, sizeof(text), "%s:0", end);
	if (addr_parse(listen, &local) < 0 || addr_parse(text, &ends[0]) < 0)
		fast_path_fail(end, "no address");
	ends[1] = ends[0];
	for (unsigned i = 0; i < cnt; i++) {
		struct weft_relay_label pair[2];

		ends[0].port = (uint16_t)(FIRST_PORT + i);
		ends[1].port = (uint16_t)(SECOND_PORT + i);
		flow_open(node, ends, &local, pair);
		labels[0][i] = pair[0];
		labels[1][i] = pair[1];
	}
	for (unsigned leg = 0; leg < 2; leg++)
		if (!file || fwrite(labels[leg], sizeof(labels[leg][0]), cnt, file) != cnt)
			fast_path_fail(labels_path, "cannot be written");
	if (fclose(file) != 0)
		fast_path_fail(labels_path, "cannot be written");
}

/* What a worker does with relayed datagrams of a receive side. */
static unsigned rx_turn(struct node *node, struct packet_rx *rx)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(rx, dgrams, PACKET_BURST_MAX);

	for (unsigned i = 0; i < cnt; i++) {
		(void)firewall_ingress_judge(node->ingress, &dgrams[i]);
		(void)relay_forward_input(&node->forward, &dgrams[i],
					  firewall_ingress_relay_way(node->ingress),
					  firewall_ingress_reason(node->ingress));
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
	int flow_cnt = argc == 6 ? atoi(argv[3]) : 0;

	if (flow_cnt < 1 || flow_cnt > FLOW_MAX)
		fast_path_fail("relay_node", "DEVICE|- ADDRESS:PORT FLOWS END LABELS");
	sigaction(SIGTERM, &action, NULL);
	node_open(&node, strcmp(argv[1], "-") == 0 ? NULL : argv[1], argv[2]);
	flows_open(&node, (unsigned)flow_cnt, argv[2], argv[4], argv[5]);
	printf("ready\n");
	fflush(stdout);
	serve(&node);
	print_counters(&node);
	node_close(&node);
	return 0;
}
