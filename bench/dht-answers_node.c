/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node of the DHT that knows 300 others and limits no asker, for
 * bench/dht-answers. It is behind a UDP socket alone, or with the XDP
 * program in front of it, which then answers.
 *
 *   dht-answers_node DEVICE|- ADDRESS:PORT
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "net/ingress/ingress_verdict.h"
#include "net/ingress/tables.h"
#include "dht/dht_state.h"
#include "locate/driver_answers.h"
#include "support/fast_path.h"

#define NODE_CNT 300
#define WAIT_MS	 10

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

/* Nodes of /24s and /64s of their own, all of which have answered. */
static void know_nodes(struct dht *dht, struct random *random, uint64_t now_ns)
{
	for (unsigned i = 0; i < NODE_CNT; i++) {
		struct kad_contact contact = {.is_proven = true};
		char text[ADDR_TEXT_CAP];

		random_fill(random, contact.id.bytes, sizeof(contact.id.bytes));
		snprintf(text, sizeof(text), "%u.%u.3.4:%u", 11 + i / 200, i % 200, 1000 + i);
		if (addr_parse(text, &contact.addr) < 0)
			abort();
		(void)kad_table_answered(dht->sides[DHT_NET_IPV4].table, &contact, 1000000, now_ns);
	}
}

static struct dht *dht_of(struct fast_path *path, struct random *random, struct dht_config *config,
			  uint64_t now_ns)
{
	static const struct dht_events events;
	struct dht_params params = {
		.events = &events,
		.random = random,
		.sink = &path->udp_tx->sink,
		.now_ns = now_ns,
		.wall_us = clock_wall_s() * 1000000,
	};
	struct dht *dht;

	dht_config_defaults(config);
	config->unvalidated_bytes_per_s = UINT32_MAX;
	params.config = *config;
	if (dht_new(&params, &dht) < 0)
		fast_path_fail("dht", "no memory");
	know_nodes(dht, random, now_ns);
	dht_expire(dht, now_ns);
	return dht;
}

/* As the daemon does it: judged, then answered, a batch at a time. */
static void serve(struct fast_path *path, struct dht *dht, struct demux_judge *judge)
{
	struct pollfd wait = {.fd = path->udp_rx->fd, .events = POLLIN};
	struct dgram dgrams[PACKET_BURST_MAX];

	while (!stopped) {
		unsigned cnt = packet_rx_burst(path->udp_rx, dgrams, PACKET_BURST_MAX);
		uint64_t now_ns = clock_monotonic_ns();

		judge->tables->now_ns = now_ns;
		for (unsigned i = 0; i < cnt; i++)
			if (net_ingress_judge_dgram(judge, &dgrams[i]) == WEFT_REASON_KRPC)
				dht_input(dht, &dgrams[i], now_ns);
		if (now_ns >= dht_next_ns(dht))
			dht_expire(dht, now_ns);
		(void)packet_tx_flush(path->udp_tx);
		if (!cnt)
			(void)poll(&wait, 1, WAIT_MS);
	}
}

int main(int argc, char **argv)
{
	const struct demux_tables_params tables_params = {.ban_cap = 1, .session_cap = 16};
	struct sigaction action = {.sa_handler = on_signal};
	uint64_t now_ns = clock_monotonic_ns();
	struct driver_answers *answers;
	struct weft_tables tables;
	struct demux_judge judge = {.tables = &tables};
	struct dht_config config;
	struct fast_path path;
	struct random random;
	struct arena arena;
	struct dht *dht;

	if (argc != 3)
		fast_path_fail("dht-answers_node", "DEVICE|- ADDRESS:PORT");
	sigaction(SIGTERM, &action, NULL);
	fast_path_open(&path, strcmp(argv[1], "-") == 0 ? NULL : argv[1], argv[2], XDP_SEND_UDP);
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    net_ingress_tables_init(&tables, &arena, &tables_params) < 0)
		fast_path_fail("tables", "no memory");
	net_ingress_tables_set_config(&tables, &path.policy);
	random_init_seeded(&random, 1);
	dht = dht_of(&path, &random, &config, now_ns);
	if (locate_driver_answers_new(&config, now_ns, &answers) < 0)
		fast_path_fail("answers", "no memory");
	if (path.xdp)
		locate_driver_answers_turn(answers, dht, net_xdp_krpc_tables(path.xdp), now_ns);
	printf("ready\n");
	fflush(stdout);
	serve(&path, dht, &judge);
	locate_driver_answers_free(answers);
	dht_free(dht);
	arena_close(&arena);
	fast_path_close(&path);
	return 0;
}
