/* SPDX-License-Identifier: Apache-2.0 */
/* Side ports over loopback: before one is adopted and after, and what counts as a complaint. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/packet_io.h"
#include "support/check.h"

static struct addr addr_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr addr = {.family = ADDR_NONE};

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    addr_from_sockaddr((struct sockaddr *)&sa, &addr) < 0)
		abort();
	memcpy(addr.ip, (const uint8_t[]){127, 0, 0, 1}, 4);
	return addr;
}

static short wait_for(int fd)
{
	struct pollfd at = {.fd = fd, .events = POLLIN};

	return poll(&at, 1, 2000) == 1 ? at.revents : 0;
}

static void test_a_datagram_comes_with_both_addresses(void)
{
	int a = net_udp_port_open(), b = net_udp_port_open();
	struct addr at_a = addr_of(a), at_b = addr_of(b);
	uint8_t data[64];
	struct dgram dgram;

	CHECK(a >= 0 && b >= 0);
	CHECK(!net_udp_port_receive(b, data, sizeof(data), &dgram));
	net_udp_port_send(a, &at_b, (const uint8_t *)"hello", 5);
	CHECK(wait_for(b));
	CHECK(net_udp_port_receive(b, data, sizeof(data), &dgram));
	CHECK_EQ(dgram.len, 5);
	CHECK_MEM(dgram.data, "hello", 5);
	CHECK(addr_equal(&dgram.remote, &at_a));
	CHECK(addr_equal(&dgram.local, &at_b));
	CHECK(!net_udp_port_receive(b, data, sizeof(data), &dgram));
	/* One that does not fit is none. */
	net_udp_port_send(a, &at_b, data, sizeof(data));
	CHECK(wait_for(b));
	CHECK(!net_udp_port_receive(b, data, sizeof(data) - 1, &dgram));
	close(a);
	close(b);
}

static void test_an_adopted_port_has_both_sides(void)
{
	int a = net_udp_port_open(), b = net_udp_port_open();
	struct addr at_a = addr_of(a), bound;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct dgram_slot slot;
	struct dgram_route route = {.remote = at_a};
	struct dgram dgram;
	uint8_t data[64];

	CHECK_EQ(net_udp_port_adopt(b, &rx, &tx, &bound), 0);
	CHECK_EQ(bound.port, addr_of(b).port);
	net_udp_port_send(
		a, &(struct addr){.ip = {127, 0, 0, 1}, .port = bound.port, .family = ADDR_IPV4},
		(const uint8_t *)"in", 2);
	CHECK(wait_for(rx->fd));
	CHECK_EQ(packet_rx_burst(rx, &dgram, 1), 1);
	CHECK_EQ(dgram.len, 2);
	CHECK_EQ(dgram.local.port, bound.port);
	route.local = dgram.local;
	CHECK(tx->sink.ops->reserve(&tx->sink, 3, &slot));
	memcpy(slot.data, "out", 3);
	tx->sink.ops->commit(&tx->sink, &slot, 3, &route);
	CHECK_EQ(packet_tx_flush(tx), 0);
	CHECK(wait_for(a));
	CHECK(net_udp_port_receive(a, data, sizeof(data), &dgram));
	CHECK_EQ(dgram.remote.port, bound.port);
	packet_tx_close(tx);
	packet_rx_close(rx);
	close(a);
}

/* The peer's router may say so of each port that it maps to nothing. */
static void test_a_port_without_a_listener_is_no_complaint(void)
{
	int a = net_udp_port_open(), b = net_udp_port_open(), c = net_udp_port_open();
	struct addr gone = addr_of(b), at_c = addr_of(c);
	uint8_t data[64];
	struct dgram dgram;

	close(b);
	net_udp_port_send(a, &gone, (const uint8_t *)"x", 1);
	CHECK(wait_for(a) & POLLERR);
	CHECK(!net_udp_port_complains(a));
	/* What is sent next is not lost for it. */
	net_udp_port_send(a, &gone, (const uint8_t *)"x", 1);
	CHECK(wait_for(a) & POLLERR);
	net_udp_port_send(a, &at_c, (const uint8_t *)"y", 1);
	CHECK(wait_for(c) & POLLIN);
	CHECK(net_udp_port_receive(c, data, sizeof(data), &dgram));
	close(a);
	close(c);
}

static void test_a_descriptor_that_is_no_socket_stays_the_callers(void)
{
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct addr bound;
	int fds[2];

	CHECK_EQ(pipe(fds), 0);
	CHECK(net_udp_port_adopt(fds[0], &rx, &tx, &bound) < 0);
	CHECK_EQ(close(fds[0]), 0);
	close(fds[1]);
}

int main(void)
{
	RUN(test_a_datagram_comes_with_both_addresses);
	RUN(test_an_adopted_port_has_both_sides);
	RUN(test_a_port_without_a_listener_is_no_complaint);
	RUN(test_a_descriptor_that_is_no_socket_stays_the_callers);
	return check_done();
}
