/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_ports.h"

#include <stdlib.h>
#include <string.h>

#include "node/node_state.h"
#include "support/sim.h"

#define PORT_FIRST 20000u

static int port_open(void *ctx)
{
	struct sim_ports *ports = ctx;
	struct sim_port *port = &ports->rows[ports->cnt];
	struct sim_node *node = ports->node;

	if (ports->cnt == PUNCH_SEARCH_SOCKETS_MAX)
		return WEFT_EFULL;
	*port = (struct sim_port){.addr = node->addr};
	port->addr.port = (uint16_t)(PORT_FIRST + ports->next_port++);
	if (net_mem_net_attach(node->sim->net, &port->addr, &port->rx, &port->tx) < 0)
		return WEFT_EFULL;
	net_mem_net_set_group(node->sim->net, &port->addr, node->group);
	return (int)ports->cnt++;
}

static void port_send(void *ctx, unsigned idx, const struct addr *to, const uint8_t *data,
		      size_t len)
{
	struct sim_ports *ports = ctx;
	struct packet_tx *tx = ports->rows[idx].tx;
	const struct dgram_route route = {.remote = *to};
	struct dgram_slot slot;

	if (!ports->rows[idx].rx || !tx->sink.ops->reserve(&tx->sink, len, &slot))
		return;
	memcpy(slot.data, data, len);
	tx->sink.ops->commit(&tx->sink, &slot, len, &route);
	(void)packet_tx_flush(tx);
}

static struct side_port_owner owner_of(const struct punch_port_owner *from)
{
	return (struct side_port_owner){.is_unknown = from->is_unknown, .network = from->network};
}

static bool port_keep(void *ctx, unsigned idx, const struct punch_port_owner *owner,
		      uint64_t now_ns)
{
	struct sim_ports *ports = ctx;
	struct sim_port *port = &ports->rows[idx];
	const struct side_port side = {
		.rx = port->rx, .tx = port->tx, .bound = port->addr, .owner = owner_of(owner)};

	if (ports->kept_cnt == sizeof(ports->kept) / sizeof(ports->kept[0]) ||
	    worker_add_port(ports->node->node->home, &side, now_ns) < 0)
		return false;
	ports->kept[ports->kept_cnt++] = port->rx;
	port->rx = NULL;
	return true;
}

static void ports_close(void *ctx)
{
	struct sim_ports *ports = ctx;

	for (unsigned i = 0; i < ports->cnt; i++) {
		if (!ports->rows[i].rx)
			continue;
		packet_tx_close(ports->rows[i].tx);
		packet_rx_close(ports->rows[i].rx);
	}
	ports->cnt = 0;
}

static unsigned ports_room(void *ctx, const struct punch_port_owner *owner)
{
	const struct side_port_owner of = owner_of(owner);

	return worker_port_room(((struct sim_ports *)ctx)->node->node->home, &of);
}

static const struct punch_ports_ops ports_ops = {
	.open = port_open,
	.send = port_send,
	.keep = port_keep,
	.close = ports_close,
	.room = ports_room,
};

void sim_ports_begin(struct sim_ports *ports, struct sim_node *node, struct node_params *params)
{
	ports->node = node;
	ports->cnt = ports->kept_cnt = 0;
	params->ports = &ports_ops;
	params->ports_ctx = ports;
}

/* The node may have let it go, so home's own rows are asked. */
static bool is_open(const struct sim_ports *ports, const struct packet_rx *rx)
{
	const struct side_ports *side = &ports->node->node->home->ports;

	for (unsigned i = 0; i < SIDE_PORT_CAP; i++)
		if (side->rows[i].rx == rx)
			return true;
	return false;
}

bool sim_ports_are_waiting(const struct sim_ports *ports)
{
	for (unsigned i = 0; ports && i < ports->cnt; i++)
		if (ports->rows[i].rx && net_mem_rx_is_waiting(ports->rows[i].rx))
			return true;
	for (unsigned i = 0; ports && i < ports->kept_cnt; i++)
		if (is_open(ports, ports->kept[i]) && net_mem_rx_is_waiting(ports->kept[i]))
			return true;
	return false;
}

void sim_ports_turn(struct sim_ports *ports, uint64_t now_ns)
{
	struct dgram dgrams[PACKET_BURST_MAX];

	for (unsigned i = 0; ports && i < ports->cnt; i++) {
		unsigned cnt = ports->rows[i].rx ? packet_rx_burst(ports->rows[i].rx, dgrams,
								   PACKET_BURST_MAX)
						 : 0;

		for (unsigned k = 0; k < cnt && i < ports->cnt && ports->rows[i].rx; k++)
			punch_port_input(ports->node->node->punch, i, &dgrams[k], now_ns);
	}
}
