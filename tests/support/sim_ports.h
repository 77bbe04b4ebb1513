/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SIM_PORTS_H
#define WEFT_TESTS_SIM_PORTS_H

#include "net/packet_io.h"
#include "punch/punch.h"

/*
 * The sockets by which a simulated node searches ports: addresses of its host on the network in memory,
 * with ports from 20000 on. A test gives one of these to sim_node.ports before sim_start.
 */
struct node_params;
struct sim_node;

struct sim_port {
	struct packet_rx *rx; /* NULL: closed */
	struct packet_tx *tx;
	struct addr addr;
	bool is_kept; /* the node closes it */
};

struct sim_ports {
	struct sim_node *node;
	struct sim_port rows[PUNCH_SEARCH_SOCKETS_MAX];
	unsigned cnt;
	struct packet_rx *kept[16]; /* of the node, which may have closed them */
	unsigned kept_cnt;
	uint16_t next_port;
};

void sim_ports_begin(struct sim_ports *ports, struct sim_node *node, struct node_params *params);
/* Both take NULL. turn gives the node what came to sockets that are not kept. */
bool sim_ports_are_waiting(const struct sim_ports *ports);
void sim_ports_turn(struct sim_ports *ports, uint64_t now_ns);

#endif
