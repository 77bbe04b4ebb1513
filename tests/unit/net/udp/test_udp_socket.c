/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a worker's sockets sends a datagram, and which datagrams are held back. */
#include <stdio.h>

#include "net/packet_io.h"
#include "net/udp/udp_socket.h"
#include "support/check.h"

static struct addr addr_of(const char *text)
{
	struct addr addr = {0};

	if (text && addr_parse(text, &addr) < 0)
		printf("# %s is no address\n", text);
	return addr;
}

static void bind_to(struct udp_sockets *sockets, const char *text)
{
	struct udp_socket *socket = &sockets->sockets[sockets->cnt++];

	socket->bound = addr_of(text);
	socket->is_wildcard = addr_is_wildcard(&socket->bound);
}

static void test_the_socket_is_chosen_by_the_local_address(void)
{
	static const struct {
		const char *why, *local, *remote;
		int want;
	} rows[] = {
		{"the kernel's choice: the first of the family", NULL, "192.0.2.9:1", 0},
		{"the kernel's choice, IPv6", NULL, "[2001:db8::9]:1", 2},
		{"the very address", "198.51.100.1:7000", "192.0.2.9:1", 1},
		{"an address of the wildcard's port", "203.0.113.5:8000", "192.0.2.9:1", 3},
		{"an address and port of no socket", "203.0.113.5:9", "192.0.2.9:1", 0},
		{"the remote's family decides", "198.51.100.1:7000", "[2001:db8::9]:1", 2},
	};
	struct udp_sockets sockets = {0};

	bind_to(&sockets, "192.0.2.1:7000");
	bind_to(&sockets, "198.51.100.1:7000");
	bind_to(&sockets, "[2001:db8::1]:7000");
	bind_to(&sockets, "0.0.0.0:8000");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr local = addr_of(rows[i].local), remote = addr_of(rows[i].remote);

		printf("# %s\n", rows[i].why);
		CHECK_EQ(net_udp_sockets_choose(&sockets, &local, &remote), rows[i].want);
	}
}

static void test_a_family_without_a_socket_has_none(void)
{
	struct addr local = {0}, remote = addr_of("[2001:db8::9]:1");
	struct udp_sockets sockets = {0};

	CHECK_EQ(net_udp_sockets_choose(&sockets, &local, &remote), -1);
	bind_to(&sockets, "0.0.0.0:7000");
	CHECK_EQ(net_udp_sockets_choose(&sockets, &local, &remote), -1);
}

static void test_a_hold_knows_addresses_and_no_ports(void)
{
	struct udp_hold hold = {.ips = {addr_of("192.0.2.1:1")}, .cnt = 1};
	struct dgram_route route = {.local = addr_of("192.0.2.1:7000"),
				    .remote = addr_of("198.51.100.1:9")};

	CHECK(net_udp_hold_has(&hold, &route));
	route.local = addr_of("192.0.2.2:7000");
	CHECK(!net_udp_hold_has(&hold, &route));
	/* The source is the kernel's choice: only a wildcard stands for it. */
	route.local = (struct addr){0};
	CHECK(!net_udp_hold_has(&hold, &route));
	hold.ips[hold.cnt++] = addr_of("0.0.0.0:0");
	CHECK(net_udp_hold_has(&hold, &route));
	route.remote = addr_of("[2001:db8::9]:9");
	CHECK(!net_udp_hold_has(&hold, &route));
}

int main(void)
{
	RUN(test_the_socket_is_chosen_by_the_local_address);
	RUN(test_a_family_without_a_socket_has_none);
	RUN(test_a_hold_knows_addresses_and_no_ports);
	return check_done();
}
