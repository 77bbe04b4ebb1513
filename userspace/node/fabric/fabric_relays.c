/* SPDX-License-Identifier: Apache-2.0 */
/* Finding relays, and this node among them while it is one that others can dial. */
#include <string.h>

#include "node/fabric/fabric_state.h"
#include "node/node_state.h"

_Static_assert(ADVERTISED_MAX <= PEER_ADDRS_MAX, "an announcement carries all that are advertised");

int node_fabric_open_relays(struct fabric *fabric)
{
	struct node *node = fabric->node;
	const struct relay_find_params params = {
		.config = node->config->fabric.relay_find,
		.key = node->key,
		.mesh = mesh_seam_of(node->home->mesh),
		.neighbours = &mesh_neighbour_ops,
		.overlay = overlay_seam_of(fabric->overlay),
		.random = node->random,
		.site = node->config->mesh.site,
		.messages = node->relay_messages,
		.rank = node_relay_rank,
		.ctx = node,
		.now_ns = node->home->now_ns,
		.wall_s = node_wall_us(node) / 1000000,
	};

	return relay_find_new(&params, &fabric->relay_find);
}

/* The overlay has found out whether others can dial this node. */
static bool is_offering(const struct fabric *fabric)
{
	return fabric->node->relay_role.is_relay && overlay_is_serving(fabric->overlay);
}

void node_fabric_offer_relay(struct fabric *fabric, uint64_t now_ns)
{
	const struct relay_config *config = &fabric->node->config->relay;
	const struct advertised *own = &fabric->node->machine->advertised;
	struct relay_offer offer = {
		.caps = MESH_CAP_RELAY,
		.capacity = {config->flow_cap, relay_rate_class_of(config->free_per_s), 0},
	};

	fabric->is_relay_offered = is_offering(fabric);
	if (fabric->is_relay_offered) {
		offer.addr_cnt = own->cnt;
		memcpy(offer.addrs, own->addrs, own->cnt * sizeof(own->addrs[0]));
	}
	relay_find_offer(fabric->relay_find, &offer, now_ns);
}

void node_fabric_turn_relays(struct fabric *fabric, uint64_t now_ns)
{
	if (is_offering(fabric) != fabric->is_relay_offered)
		node_fabric_offer_relay(fabric, now_ns);
	relay_find_turn(fabric->relay_find, now_ns);
}
