/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves a machine whose links come and go. */
#include "net/local/link_hold.h"

#include <string.h>

#include "net/packet_io.h"
#include "support/check.h"

static struct addr addr_of(const char *text)
{
	struct addr addr = {0};

	if (text && addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

struct device {
	const char *ip;
	bool is_lost, is_loopback;
};

/* out_hold for up to four addresses, with the kernel's own choice for IPv4 and IPv6. */
static void choose(const struct device devices[4], const char *way_v4, const char *way_v6,
		   struct udp_hold *out_hold)
{
	const struct addr ways[2] = {addr_of(way_v4), addr_of(way_v6)};
	struct link_addr addrs[4];
	size_t cnt = 0;

	for (; cnt < 4 && devices[cnt].ip; cnt++)
		addrs[cnt] = (struct link_addr){.ip = addr_of(devices[cnt].ip),
						.is_lost = devices[cnt].is_lost,
						.is_loopback = devices[cnt].is_loopback};
	net_link_hold_choose(addrs, cnt, ways, out_hold);
}

static bool holds(const struct udp_hold *hold, const char *local, const char *remote)
{
	struct dgram_route route = {.local = addr_of(local), .remote = addr_of(remote)};

	return net_udp_hold_has(hold, &route);
}

#define LO	  {"127.0.0.1:0", false, true}
#define WIRED	  "10.77.1.1:0"
#define RADIO	  "10.88.1.1:0"
#define PEER	  "192.0.2.9:7000"
#define FROM_LINE "10.77.1.1:7000"

static void test_nothing_leaves_by_a_link_that_is_down(void)
{
	static const struct {
		struct device devices[4];
		const char *way;
		bool is_held, is_unnamed_held;
		const char *why;
	} rows[] = {
		{{LO, {WIRED, false, false}}, WIRED, false, false, "its link is up"},
		{{LO, {WIRED, true, false}}, WIRED, true, true, "its route is still there"},
		{{LO, {WIRED, true, false}}, NULL, true, true, "its route is gone"},
		{{LO, {WIRED, true, false}, {RADIO, false, false}},
		 RADIO,
		 false,
		 false,
		 "another device leads out, and may with any address"},
		{{LO, {WIRED, true, false}, {RADIO, false, false}},
		 NULL,
		 true,
		 false,
		 "another device has neighbours of its own"},
		{{LO, {WIRED, true, false}, {RADIO, true, false}},
		 RADIO,
		 true,
		 true,
		 "both are down"},
		{{LO, {WIRED, true, false}, {WIRED, false, false}},
		 NULL,
		 false,
		 false,
		 "another device has the same address"},
		{{{WIRED, true, false}, {"198.51.100.1:0", false, true}},
		 "198.51.100.1:0",
		 false,
		 false,
		 "the address of the machine is none of a link's"},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct udp_hold hold;

		choose(rows[i].devices, rows[i].way, NULL, &hold);
		CHECK_EQ(holds(&hold, FROM_LINE, PEER), rows[i].is_held);
		CHECK_EQ(holds(&hold, NULL, PEER), rows[i].is_unnamed_held);
		CHECK(!holds(&hold, "127.0.0.1:7000", "127.0.0.1:7001"));
		CHECK(!holds(&hold, NULL, "[2001:db8::9]:7000"));
	}
}

static void test_families_are_held_apart(void)
{
	static const struct device devices[4] = {
		LO,
		{WIRED, true, false},
		{"[fe80::1%2]:0", true, false},
		{"[2001:db8::1]:0", true, false},
	};
	struct udp_hold hold;

	choose(devices, "10.77.1.1:0", "[2001:db8::1]:0", &hold);
	CHECK(holds(&hold, "[2001:db8::1]:7000", "[2001:db8::9]:7000"));
	CHECK(holds(&hold, "[fe80::1%2]:7000", "[fe80::2%2]:7000"));
	CHECK(holds(&hold, NULL, "[2001:db8::9]:7000"));
	CHECK(holds(&hold, FROM_LINE, PEER));
	choose(devices, "127.0.0.1:0", "[2001:db8::1]:0", &hold);
	CHECK(holds(&hold, "[2001:db8::1]:7000", "[2001:db8::9]:7000"));
	CHECK(!holds(&hold, FROM_LINE, PEER));
}

static void test_more_addresses_than_there_is_room_for_leave(void)
{
	struct link_addr addrs[UDP_HOLD_MAX + 1];
	const struct addr ways[2] = {{{0}, 0, 0, 0, 0}};
	struct udp_hold hold;

	for (unsigned i = 0; i <= UDP_HOLD_MAX; i++) {
		addrs[i] = (struct link_addr){.ip = addr_of(WIRED), .is_lost = true};
		addrs[i].ip.ip[3] = (uint8_t)(i + 1);
	}
	net_link_hold_choose(addrs, UDP_HOLD_MAX + 1, ways, &hold);
	CHECK_EQ(hold.cnt, UDP_HOLD_MAX);
	CHECK(holds(&hold, "10.77.1.32:7000", PEER));
	CHECK(!holds(&hold, "10.77.1.33:7000", PEER));
}

static void test_neighbours_are_called_from_subnets_with_room(void)
{
	static const struct {
		const char *ip, *to;
		uint8_t prefix_len;
	} rows[] = {
		{"10.77.1.1:0", "10.77.1.0:9", 24}, {"10.77.1.201:0", "10.77.1.200:9", 30},
		{"10.77.1.201:0", NULL, 31},	    {"10.77.1.201:0", NULL, 32},
		{"10.77.1.1:0", NULL, 0},	    {"[2001:db8::1]:0", NULL, 64},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct link_addr from = {.ip = addr_of(rows[i].ip),
					 .prefix_len = rows[i].prefix_len};
		struct addr to = net_link_hold_call(&from), want = addr_of(rows[i].to);

		CHECK(addr_equal(&to, &want));
		from.is_loopback = true;
		CHECK_EQ(net_link_hold_call(&from).family, ADDR_NONE);
	}
}

int main(void)
{
	RUN(test_nothing_leaves_by_a_link_that_is_down);
	RUN(test_families_are_held_apart);
	RUN(test_more_addresses_than_there_is_room_for_leave);
	RUN(test_neighbours_are_called_from_subnets_with_room);
	return check_done();
}
