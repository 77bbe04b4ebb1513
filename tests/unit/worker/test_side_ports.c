/* SPDX-License-Identifier: Apache-2.0 */
/* Side ports of home: what leaves by which socket, and how many there may be. */
#include <string.h>

#include "base/container_of.h"
#include "net/packet_io.h"
#include "support/check.h"
#include "worker/worker.h"

/* A send side that keeps the last datagram. */
struct last {
	struct packet_rx rx;
	struct packet_tx tx;
	uint8_t data[2000];
	size_t len;
	struct addr local;
	unsigned sent_cnt, cancel_cnt, flush_cnt, close_cnt;
	bool is_full;
};

static struct last own, others[SIDE_PORT_CAP + 1];
static struct worker worker;

static struct last *of_sink(struct dgram_sink *sink)
{
	return container_of(sink, struct last, tx.sink);
}

static bool last_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct last *last = of_sink(sink);

	*out_slot = (struct dgram_slot){.data = last->data, .cap = sizeof(last->data)};
	return !last->is_full && len <= sizeof(last->data);
}

static void last_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	struct last *last = of_sink(sink);

	CHECK(slot->data == last->data);
	last->len = len;
	last->local = route->local;
	last->sent_cnt++;
}

static void last_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)slot;
	of_sink(sink)->cancel_cnt++;
}

static int last_flush(struct packet_tx *tx)
{
	container_of(tx, struct last, tx)->flush_cnt++;
	return container_of(tx, struct last, tx)->is_full ? WEFT_EBUSY : 0;
}

static void tx_close(struct packet_tx *tx)
{
	container_of(tx, struct last, tx)->close_cnt++;
}

static void rx_close(struct packet_rx *rx)
{
	container_of(rx, struct last, rx)->close_cnt++;
}

static const struct dgram_sink_ops sink_ops = {
	.reserve = last_reserve, .commit = last_commit, .cancel = last_cancel};
static const struct packet_tx_ops tx_ops = {.flush = last_flush, .close = tx_close};
static const struct packet_rx_ops rx_ops = {.close = rx_close};

static void last_init(struct last *last)
{
	memset(last, 0, sizeof(*last));
	last->tx.sink.ops = &sink_ops;
	last->tx.sink.batch_len_max = sizeof(last->data);
	last->tx.ops = &tx_ops;
	last->rx.ops = &rx_ops;
	last->rx.fd = -1;
}

static struct addr port_addr(unsigned port)
{
	return (struct addr){.ip = {10, 0, 0, 1}, .port = (uint16_t)port, .family = ADDR_IPV4};
}

static int port_add_of(unsigned idx, struct side_port_owner owner)
{
	const struct side_port port = {.rx = &others[idx].rx,
				       .tx = &others[idx].tx,
				       .bound = port_addr(20000 + idx),
				       .owner = owner};

	return worker_add_port(&worker, &port, 1);
}

/* Each of a network of its own. */
static int port_add(unsigned idx, bool is_unknown)
{
	return port_add_of(
		idx, (struct side_port_owner){.is_unknown = is_unknown, .network = 1000 + idx});
}

static unsigned room(bool is_unknown, uint64_t network)
{
	const struct side_port_owner owner = {.is_unknown = is_unknown, .network = network};

	return worker_port_room(&worker, &owner);
}

static void begin(void)
{
	memset(&worker, 0, sizeof(worker));
	timer_wheel_init(&worker.timers, 1);
	last_init(&own);
	for (unsigned i = 0; i < SIDE_PORT_CAP + 1; i++)
		last_init(&others[i]);
	worker_ports_init(&worker.ports, &own.tx.sink);
}

static bool send_from(unsigned port)
{
	struct dgram_sink *sink = &worker.ports.sink;
	const struct dgram_route route = {
		.local = port_addr(port),
		.remote = {.ip = {203, 0, 113, 9}, .port = 9, .family = ADDR_IPV4}};
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, 100, &slot))
		return false;
	memset(slot.data, 7, 100);
	sink->ops->commit(sink, &slot, 100, &route);
	return true;
}

static void test_a_datagram_leaves_by_the_socket_of_its_local_port(void)
{
	begin();
	CHECK_EQ(worker.ports.sink.batch_len_max, own.tx.sink.batch_len_max);
	CHECK(send_from(20000));
	CHECK_EQ(own.sent_cnt, 1);
	CHECK_EQ(port_add(0, false), 0);
	CHECK_EQ(port_add(1, false), 0);
	CHECK(send_from(7000));
	CHECK_EQ(own.sent_cnt, 2);
	CHECK(send_from(20001));
	CHECK_EQ(own.sent_cnt, 2);
	CHECK_EQ(own.cancel_cnt, 1); /* the slot was given back */
	CHECK_EQ(others[0].sent_cnt, 0);
	CHECK_EQ(others[1].sent_cnt, 1);
	CHECK_EQ(others[1].len, 100);
	CHECK_EQ(others[1].data[99], 7);
	CHECK_EQ(others[1].local.port, 20001);
	worker_ports_close(&worker);
	CHECK_EQ(others[1].close_cnt, 2);
	CHECK(send_from(20001));
	CHECK_EQ(own.sent_cnt, 3);
}

static void test_a_full_socket_loses_and_waits(void)
{
	begin();
	CHECK_EQ(port_add(0, false), 0);
	CHECK(worker_ports_flush(&worker.ports));
	CHECK_EQ(others[0].flush_cnt, 1);
	others[0].is_full = true;
	CHECK(send_from(20000));
	CHECK_EQ(worker.ports.lost_cnt, 1);
	CHECK_EQ(own.cancel_cnt, 1);
	CHECK_EQ(own.sent_cnt, 0);
	CHECK(!worker_ports_flush(&worker.ports));
	worker_ports_close(&worker);
}

static void test_one_port_more_than_there_is_room_for_is_refused(void)
{
	begin();
	for (unsigned i = 0; i < SIDE_PORT_UNKNOWN_MAX; i++) {
		CHECK_EQ(room(true, 0),
			 i < SIDE_PORT_UNKNOWN_MAX - 2 ? 2 : SIDE_PORT_UNKNOWN_MAX - i);
		CHECK_EQ(port_add(i, true), 0);
	}
	CHECK_EQ(room(true, 0), 0);
	CHECK_EQ(port_add(SIDE_PORT_UNKNOWN_MAX, true), WEFT_EFULL);
	for (unsigned i = SIDE_PORT_UNKNOWN_MAX; i < SIDE_PORT_CAP; i++)
		CHECK_EQ(port_add(i, false), 0);
	CHECK_EQ(room(false, 0), 0);
	CHECK_EQ(port_add(SIDE_PORT_CAP, false), WEFT_EFULL);
	CHECK_EQ(others[SIDE_PORT_CAP].close_cnt, 0); /* the caller's still */
	worker_ports_close(&worker);
	CHECK_EQ(worker.ports.cnt, 0);
}

static void test_peers_of_one_network_leave_places_to_others(void)
{
	const struct side_port_owner unknown = {.is_unknown = true, .network = 7},
				     known = {.network = 7};
	unsigned idx = 0;

	begin();
	for (unsigned i = 0; i < SIDE_PORT_UNKNOWN_NETWORK_MAX; i++)
		CHECK_EQ(port_add_of(idx++, unknown), 0);
	CHECK_EQ(port_add_of(idx, unknown), WEFT_EFULL);
	CHECK_EQ(room(true, 8), SIDE_PORT_UNKNOWN_NETWORK_MAX);
	while (idx < SIDE_PORT_NETWORK_MAX)
		CHECK_EQ(port_add_of(idx++, known), 0);
	CHECK_EQ(port_add_of(idx, known), WEFT_EFULL);
	CHECK_EQ(room(false, 8), SIDE_PORT_NETWORK_MAX);
	CHECK_EQ(port_add(idx, true), 0);
	worker_ports_close(&worker);
}

static bool send_by(const struct side_port *port, const struct udp_hold *hold)
{
	const struct dgram_route route = {
		.local = {.ip = {127, 0, 0, 1}, .port = port->bound.port, .family = ADDR_IPV4},
		.remote = {.ip = {127, 0, 0, 1}, .port = 9, .family = ADDR_IPV4}};
	struct dgram_sink *sink = &worker.ports.sink;
	const uint64_t before = port->tx->counters.dropped_cnt;
	struct dgram_slot slot;

	if (hold)
		worker_ports_hold(&worker.ports, hold);
	if (!sink->ops->reserve(sink, 100, &slot))
		return false;
	memset(slot.data, 7, 100);
	sink->ops->commit(sink, &slot, 100, &route);
	return port->tx->counters.dropped_cnt == before;
}

/* A link is down when the port opens, and comes up later. */
static void test_a_port_that_opens_during_a_hold_is_held_back(void)
{
	const struct udp_hold none = {.cnt = 0},
			      hold = {.ips = {{.ip = {127, 0, 0, 1}, .family = ADDR_IPV4}},
				      .cnt = 1};
	struct side_port port = {.rx = NULL};

	begin();
	CHECK_EQ(net_udp_port_adopt(net_udp_port_open(), &port.rx, &port.tx, &port.bound), 0);
	worker_ports_hold(&worker.ports, &hold);
	CHECK_EQ(worker_add_port(&worker, &port, 1), 0);
	CHECK(!send_by(&port, NULL));
	CHECK(send_by(&port, &none));
	CHECK(!send_by(&port, &hold));
	worker_ports_close(&worker);
}

int main(void)
{
	RUN(test_a_datagram_leaves_by_the_socket_of_its_local_port);
	RUN(test_a_full_socket_loses_and_waits);
	RUN(test_peers_of_one_network_leave_places_to_others);
	RUN(test_a_port_that_opens_during_a_hold_is_held_back);
	RUN(test_one_port_more_than_there_is_room_for_is_refused);
	return check_done();
}
