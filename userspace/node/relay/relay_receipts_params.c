/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts and slots, of this node as a relay and at other relays. Home. */
#include <stdio.h>

#include "crypto/node_key.h"
#include "node/node_state.h"
#include "relay/broker/relay_broker.h"
#include "relay/receipts/relay_receipts.h"
#include "relay/slots/relay_slots.h"

static void on_settle(void *ctx, const uint8_t *owner)
{
	relay_broker_settle(((struct node *)ctx)->relay_broker, owner);
}

int node_open_relay_receipts(struct node *node, char *what)
{
	const struct relay_receipts_params receipts = {
		.config = relay_receipts_config_of(&node->config->relay_receipts, node->relay),
		.key = node->key,
		.store = node->store,
		.mesh = mesh_seam_of(node->home->mesh),
		.neighbours = &mesh_neighbour_ops,
		.random = node->random,
		.site = node->config->mesh.site,
		.class_of = node_peer_class,
		.settle = on_settle,
		.messages = node->relay_messages,
		.ctx = node,
		.now_ns = node->home->now_ns,
		.wall_s = node_wall_us(node) / 1000000,
	};

	snprintf(what, NODE_WHAT_CAP, "receipts of relays (relay.receipts)");
	return relay_receipts_new(&receipts, &node->relay_receipts);
}

void node_turn_relay_receipts(struct node *node, uint64_t now_ns)
{
	if (relay_receipts_next_ns(node->relay_receipts) <= now_ns)
		relay_receipts_turn(node->relay_receipts, now_ns, node_wall_us(node) / 1000000);
}

static unsigned on_slots_kept(void *ctx, struct peer_via out[static PEER_VIAS_MAX])
{
	const struct node *node = ctx;

	return node->relay_end ? relay_end_kept(node->relay_end, out) : 0;
}

int node_open_relay_slots(struct node *node, char *what)
{
	const struct relay_slots_params slots = {
		.config = node->config->relay_slots,
		.is_relay = node->relay != NULL,
		.key = node->key,
		.mesh = mesh_seam_of(node->home->mesh),
		.neighbours = &mesh_neighbour_ops,
		.random = node->random,
		.site = node->config->mesh.site,
		.messages = node->relay_messages,
		.class_of = node_peer_class,
		.refuses = node_refuses_key,
		.kept = on_slots_kept,
		.ctx = node,
		.now_ns = node->home->now_ns,
	};

	snprintf(what, NODE_WHAT_CAP, "slots of relays (relay.slots)");
	return relay_slots_new(&slots, &node->relay_slots);
}
