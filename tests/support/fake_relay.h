/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_FAKE_RELAY_H
#define WEFT_TESTS_FAKE_RELAY_H

#include "relay/flow_messages.h"
#include "support/sim.h"

/*
 * A relay as small as docs/wire/relay.md allows, beside a simulated node. It answers FLOW_OPEN over
 * the node's sessions and forwards labelled datagrams from the node's address. What it knows is gone
 * with fake_relay_attach, as after a restart.
 */
#define FAKE_RELAY_FLOWS 16

struct fake_flow {
	bool is_used, is_open;
	uint8_t keys[2][MESH_KEY_LEN]; /* opener, peer */
	struct addr addrs[2];
	uint8_t number;
	enum relay_class class;
};

struct fake_relay {
	struct sim_node *node;
	uint8_t life; /* in labels, so those of before are unknown */
	uint16_t mtu;
	bool slows;	     /* it says that the volume of its flows ended */
	bool refuses_grants; /* each, as a relay of another operator; else it honours any bytes */
	struct fake_flow flows[FAKE_RELAY_FLOWS];
	uint64_t opened_cnt, forwarded_cnt, unknown_cnt;
};

/* fake_relay_attach: node is up; call it after each start. It says in HELLO that it is a relay. */
void fake_relay_attach(struct fake_relay *relay, struct sim_node *node);

#endif
