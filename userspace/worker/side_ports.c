/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Side ports of home. Outbound: QUIC -> relay/end -> sink_commit -> the socket of the local port, or the
 * node's own. Inbound: worker_turn takes a batch of each. A port that no connection leads to for
 * UNUSED_NS is closed.
 */
#include "side_ports.h"

#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "quic/quic.h"
#include "worker.h"

#define SWEEP_NS  (5 * NS_PER_S)
#define UNUSED_NS (30 * NS_PER_S)

/* --- out --- */

static struct side_ports *ports_of(struct dgram_sink *sink)
{
	return container_of(sink, struct side_ports, sink);
}

static struct side_port *port_of_route(struct side_ports *ports, const struct dgram_route *route)
{
	if (!ports->cnt || route->local.family != ADDR_IPV4)
		return NULL;
	for (unsigned i = 0; i < SIDE_PORT_CAP; i++)
		if (ports->rows[i].rx && ports->rows[i].bound.port == route->local.port)
			return &ports->rows[i];
	return NULL;
}

static bool sink_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct dgram_sink *inner = ports_of(sink)->inner;

	return inner->ops->reserve(inner, len, out_slot);
}

static void sink_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	struct dgram_sink *inner = ports_of(sink)->inner;

	inner->ops->cancel(inner, slot);
}

/* The route is known when the bytes are written, so those of a side port are copied. */
static bool port_send(struct side_port *port, const struct dgram_slot *slot, size_t len,
		      const struct dgram_route *route)
{
	struct dgram_sink *sink = &port->tx->sink;
	struct dgram_slot own;

	if (!len || !sink->ops->reserve(sink, len, &own))
		return false;
	memcpy(own.data, slot->data, len);
	sink->ops->commit(sink, &own, len, route);
	return true;
}

static void sink_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	struct side_ports *ports = ports_of(sink);
	struct side_port *port = port_of_route(ports, route);

	if (!port) {
		ports->inner->ops->commit(ports->inner, slot, len, route);
		return;
	}
	ports->lost_cnt += !port_send(port, slot, len, route);
	ports->inner->ops->cancel(ports->inner, slot);
}

static const struct dgram_sink_ops sink_ops = {
	.reserve = sink_reserve, .commit = sink_commit, .cancel = sink_cancel};

bool worker_ports_flush(struct side_ports *ports)
{
	bool is_done = true;

	for (unsigned i = 0; ports->cnt && i < SIDE_PORT_CAP; i++)
		if (ports->rows[i].rx && packet_tx_flush(ports->rows[i].tx) == WEFT_EBUSY)
			is_done = false;
	return is_done;
}

void worker_ports_hold(struct side_ports *ports, const struct udp_hold *hold)
{
	ports->hold = *hold;
	for (unsigned i = 0; i < SIDE_PORT_CAP; i++)
		if (ports->rows[i].rx)
			net_udp_tx_hold(ports->rows[i].tx, hold);
}

/* --- life --- */

static void port_close(struct worker *worker, struct side_port *port)
{
	if (port->watch.ready)
		poller_remove(worker->poller, &port->watch);
	packet_tx_close(port->tx);
	packet_rx_close(port->rx);
	*port = (struct side_port){.rx = NULL};
	worker->ports.cnt--;
}

static void ports_sweep(struct timer *timer, uint64_t now_ns)
{
	struct worker *worker = container_of(timer, struct worker, ports.timer);

	for (unsigned i = 0; i < SIDE_PORT_CAP; i++) {
		struct side_port *port = &worker->ports.rows[i];

		if (!port->rx)
			continue;
		if (quic_engine_leaves_by(worker->quic, port->bound.port))
			port->used_ns = now_ns;
		else if (now_ns >= port->used_ns + UNUSED_NS)
			port_close(worker, port);
	}
	if (worker->ports.cnt)
		timer_set(&worker->timers, timer, now_ns + SWEEP_NS);
}

void worker_ports_init(struct side_ports *ports, struct dgram_sink *inner)
{
	*ports = (struct side_ports){.sink.ops = &sink_ops};
	timer_init(&ports->timer, ports_sweep);
	(void)worker_ports_sink(ports, inner);
}

struct dgram_sink *worker_ports_sink(struct side_ports *ports, struct dgram_sink *inner)
{
	ports->inner = inner;
	ports->sink.batch_len_max = inner->batch_len_max;
	return &ports->sink;
}

void worker_ports_close(struct worker *worker)
{
	for (unsigned i = 0; i < SIDE_PORT_CAP; i++)
		if (worker->ports.rows[i].rx)
			port_close(worker, &worker->ports.rows[i]);
}

static unsigned left(unsigned max, unsigned cnt, unsigned room)
{
	unsigned own = cnt < max ? max - cnt : 0;

	return own < room ? own : room;
}

unsigned worker_port_room(const struct worker *worker, const struct side_port_owner *owner)
{
	unsigned room = SIDE_PORT_CAP - worker->ports.cnt;
	unsigned unknown_cnt = 0, network_cnt = 0, both_cnt = 0;

	for (unsigned i = 0; i < SIDE_PORT_CAP; i++) {
		const struct side_port *port = &worker->ports.rows[i];
		bool is_near = owner->network && port->owner.network == owner->network;

		unknown_cnt += port->rx && port->owner.is_unknown;
		network_cnt += port->rx && is_near;
		both_cnt += port->rx && port->owner.is_unknown && is_near;
	}
	room = left(SIDE_PORT_NETWORK_MAX, network_cnt, room);
	if (!owner->is_unknown)
		return room;
	room = left(SIDE_PORT_UNKNOWN_NETWORK_MAX, both_cnt, room);
	return left(SIDE_PORT_UNKNOWN_MAX, unknown_cnt, room);
}

int worker_add_port(struct worker *worker, const struct side_port *from, uint64_t now_ns)
{
	struct side_port *port = worker->ports.rows;
	int err;

	if (!worker_port_room(worker, &from->owner))
		return WEFT_EFULL;
	while (port->rx)
		port++;
	*port = *from;
	port->used_ns = now_ns;
	port->watch = (struct poller_watch){.fd = -1};
	if (worker->poller && (err = worker_watch(worker, &port->watch, from->rx->fd)) < 0) {
		*port = (struct side_port){.rx = NULL};
		return err;
	}
	/* Only a kernel socket is ever held back, so where nothing is this may be another kind. */
	if (worker->ports.hold.cnt)
		net_udp_tx_hold(port->tx, &worker->ports.hold);
	if (!worker->ports.cnt++)
		timer_set(&worker->timers, &worker->ports.timer, now_ns + SWEEP_NS);
	return 0;
}
