/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>

#include "base/addr.h"
#include "support/check.h"
#include "weft/endpoint.h"

static const struct {
	const char *text;
	const char *want; /* as addr_format says it; NULL: refused */
} rows[] = {
	{"192.0.2.1:7000", "192.0.2.1:7000"},
	{"0.0.0.0:0", "0.0.0.0:0"},
	{"[2001:db8::1]:7000", "[2001:db8::1]:7000"},
	{"[2001:DB8:0:0:0:0:0:1]:65535", "[2001:db8::1]:65535"},
	{"[fe80::1%3]:7000", "[fe80::1%3]:7000"},
	{"tcp:", NULL},
	{"tcp:tcp:192.0.2.1:7001", NULL},
	{"udp:192.0.2.1:7001", NULL},
	{"[fe80::1%4294967295]:1", "[fe80::1%4294967295]:1"},
	{"[::ffff:192.0.2.1]:7000", "192.0.2.1:7000"},
	{"[::]:1", "[::]:1"},
	{"", NULL},
	{":", NULL},
	{":7000", NULL},
	{"[", NULL},
	{"[]:1", NULL},
	{"[:1", NULL},
	{"]:1", NULL},
	{"192.0.2.1", NULL},
	{"192.0.2.1:", NULL},
	{"192.0.2.1:65536", NULL},
	{"192.0.2.1:070", NULL},
	{"192.0.2.1: 70", NULL},
	{"192.0.2.1:-1", NULL},
	{"192.0.2.1:18446744073709551617", NULL},
	{"192.0.2:70", NULL},
	{"[192.0.2.1]:70", NULL},
	{"2001:db8::1:7000", NULL},
	{"[2001:db8::1]7000", NULL},
	{"[2001:db8::1%3]:7000", NULL}, /* only link-local addresses have a scope */
	{"[fe80::1%0]:7000", NULL},
	{"[fe80::1%4294967296]:7000", NULL},
	{"[fe80::1%eth0]:7000", NULL},
	{"example.org:7000", NULL},
	{"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
	 NULL},
};

static void test_text_is_parsed_to_one_spelling_or_refused(void)
{
	char text[ADDR_TEXT_CAP];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr addr = {.port = 9}, again;

		if (addr_parse(rows[i].text, &addr) < 0) {
			CHECK_EQ(addr.port, 9);
			CHECK_STR(rows[i].want ? rows[i].text : "", "");
			continue;
		}
		CHECK_STR(addr_format(&addr, text), rows[i].want ? rows[i].want : "refused");
		CHECK_EQ(addr_parse(text, &again), 0);
		CHECK(addr_equal(&addr, &again));
	}
}

static void test_sockaddr_round_trip_keeps_every_accepted_address(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sockaddr_storage sa;
		struct addr addr, again;

		if (addr_parse(rows[i].text, &addr) < 0)
			continue;
		CHECK(addr_to_sockaddr(&addr, &sa) > 0);
		CHECK_EQ(addr_from_sockaddr((struct sockaddr *)&sa, &again), 0);
		CHECK(addr_equal(&addr, &again));
	}
}

static void test_foreign_families_are_refused(void)
{
	struct sockaddr sa = {.sa_family = AF_UNIX};
	struct addr addr;

	CHECK_EQ(addr_from_sockaddr(&sa, &addr), WEFT_EMALFORMED);
}

static void test_kinds_of_addresses_are_distinguished(void)
{
	static const struct {
		const char *text;
		bool loopback, wildcard, link_local;
	} kinds[] = {
		{"127.9.9.9:1", true, false, false},   {"128.0.0.1:1", false, false, false},
		{"[::1]:1", true, false, false},       {"[::2]:1", false, false, false},
		{"0.0.0.0:1", false, true, false},     {"[::]:1", false, true, false},
		{"169.254.1.1:1", false, false, true}, {"[febf::1]:1", false, false, true},
		{"[fec0::1]:1", false, false, false},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct addr addr;

		CHECK_EQ(addr_parse(kinds[i].text, &addr), 0);
		CHECK_EQ(addr_is_loopback(&addr), kinds[i].loopback);
		CHECK_EQ(addr_is_wildcard(&addr), kinds[i].wildcard);
		CHECK_EQ(addr_is_link_local(&addr), kinds[i].link_local);
	}
}

static void test_ranges_of_nowhere_in_particular_are_not_global(void)
{
	static const struct {
		const char *text;
		bool is_global, is_unicast;
	} ranges[] = {
		/* The last before, the first, the last and the first behind, where that tells. */
		{"0.0.0.0:1", false, false},
		{"0.255.255.255:1", false, false},
		{"1.0.0.0:1", true, true},
		{"9.255.255.255:1", true, true},
		{"10.0.0.0:1", false, true},
		{"10.255.255.255:1", false, true},
		{"11.0.0.0:1", true, true},
		{"100.63.255.255:1", true, true},
		{"100.64.0.0:1", false, true},
		{"100.127.255.255:1", false, true},
		{"100.128.0.0:1", true, true},
		{"126.255.255.255:1", true, true},
		{"127.0.0.1:1", false, true},
		{"128.0.0.0:1", true, true},
		{"169.253.255.255:1", true, true},
		{"169.254.0.1:1", false, true},
		{"169.255.0.0:1", true, true},
		{"172.15.255.255:1", true, true},
		{"172.16.0.0:1", false, true},
		{"172.31.255.255:1", false, true},
		{"172.32.0.0:1", true, true},
		{"192.0.0.8:1", false, true},
		{"192.0.1.0:1", true, true},
		{"192.0.2.1:1", true, true},
		{"192.88.99.1:1", false, true},
		{"192.167.255.255:1", true, true},
		{"192.168.0.0:1", false, true},
		{"192.169.0.0:1", true, true},
		{"198.17.255.255:1", true, true},
		{"198.18.0.0:1", false, true},
		{"198.19.255.255:1", false, true},
		{"198.20.0.0:1", true, true},
		{"223.255.255.255:1", true, true},
		{"224.0.0.1:1", false, false},
		{"240.0.0.1:1", false, false},
		{"255.255.255.255:1", false, false},
		{"[::]:1", false, false},
		{"[::1]:1", false, true},
		{"[64:ff9b::102:304]:1", false, true},
		{"[1fff:ffff::1]:1", false, true},
		{"[2001::1]:1", false, true},
		{"[2001:1::1]:1", true, true},
		{"[2001:db8::1]:1", true, true},
		{"[2002:a00:1::1]:1", false, true},
		{"[2003::1]:1", true, true},
		{"[3fff:ffff::1]:1", true, true},
		{"[4000::1]:1", false, true},
		{"[fd00::1]:1", false, true},
		{"[fe80::1%2]:1", false, true},
		{"[ff02::1]:1", false, false},
	};
	struct addr addr = {.family = ADDR_NONE};

	CHECK(!addr_is_global(&addr) && !addr_is_unicast(&addr));
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		CHECK_EQ(addr_parse(ranges[i].text, &addr), 0);
		if (addr_is_global(&addr) != ranges[i].is_global ||
		    addr_is_unicast(&addr) != ranges[i].is_unicast)
			printf("# %s\n", ranges[i].text);
		CHECK_EQ(addr_is_global(&addr), ranges[i].is_global);
		CHECK_EQ(addr_is_unicast(&addr), ranges[i].is_unicast);
	}
}

static void test_a_prefix_key_keeps_the_prefix_alone(void)
{
	static const struct {
		const char *text;
		unsigned prefix_len;
		const char *want;
	} keys[] = {
		{"192.0.2.255:7000", 24, "192.0.2.0:0"},
		{"192.0.2.255:7000", 25, "192.0.2.128:0"},
		{"192.0.2.255:7000", 32, "192.0.2.255:0"},
		{"192.0.2.255:7000", 0, "0.0.0.0:0"},
		{"[2001:db8:ffff:ffff:ffff::1]:9", 64, "[2001:db8:ffff:ffff::]:0"},
		{"[2001:db8:ffff:ffff:ffff::1]:9", 47, "[2001:db8:fffe::]:0"},
		{"[fe80::1%3]:9", 128, "[fe80::1]:0"},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char text[ADDR_TEXT_CAP];
		struct addr addr, key;

		CHECK_EQ(addr_parse(keys[i].text, &addr), 0);
		key = addr_prefix_key(&addr, keys[i].prefix_len);
		CHECK_STR(addr_format(&key, text), keys[i].want);
	}
}

static void test_an_address_says_its_transport(void)
{
	static const char *const texts[] = {"tcp:192.0.2.1:7001", "tcp:[fe80::1%3]:7001"};
	char buf[ADDR_TEXT_CAP];
	struct addr tcp, udp;

	for (size_t i = 0; i < 2; i++) {
		CHECK_EQ(addr_parse(texts[i], &tcp), 0);
		CHECK_EQ(tcp.transport, ADDR_TCP);
		CHECK(strcmp(addr_format(&tcp, buf), texts[i]) == 0);
		CHECK_EQ(addr_parse(texts[i] + 4, &udp), 0);
		CHECK(!addr_equal(&tcp, &udp));
		udp.transport = ADDR_TCP;
		CHECK(addr_equal(&tcp, &udp));
	}
}

static void test_a_label_is_no_address_of_a_host(void)
{
	struct addr label = {.family = ADDR_IPV6,
			     .ip = {0xfd, 0x6d, 0x65, 0x73, 0x00, 0x68, 1, 2},
			     .port = ADDR_RELAY_CONTROL_PORT,
			     .transport = ADDR_RELAY};
	struct addr host = label, parsed;
	char text[ADDR_TEXT_CAP];

	host.transport = ADDR_UDP;
	CHECK(addr_is_relayed(&label) && !addr_is_relayed(&host));
	CHECK(addr_has_relay_prefix(&label) && addr_has_relay_prefix(&host));
	CHECK(addr_is_relayed_control(&label));
	label.port = ADDR_RELAY_CONTENT_PORT;
	CHECK(!addr_is_relayed_control(&label));
	/* It counts as the Internet, and no text of it is read. */
	CHECK(addr_is_global(&label) && !addr_is_global(&host));
	CHECK(!addr_is_unicast(&label) && addr_is_unicast(&host));
	CHECK_STR(addr_format(&label, text), "relay:[fd6d:6573:68:102::]:2");
	CHECK_EQ(addr_parse(text, &parsed), WEFT_EMALFORMED);
	host.ip[5] = 0x69;
	CHECK(!addr_has_relay_prefix(&host));
}

static void test_a_leg_is_the_same_behind_the_tables_of_a_relay(void)
{
	const uint8_t key[32] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0xff};
	struct addr leg = addr_of_leg(key, 127), back, host;
	struct weft_endpoint endpoint = addr_endpoint(&leg);

	back = addr_of_endpoint(&endpoint);
	CHECK(addr_equal(&leg, &back));
	CHECK(addr_is_leg(&back) && !addr_is_relayed(&back) && addr_has_relay_prefix(&back));
	CHECK_EQ(addr_leg_worker(&back), 127);
	CHECK_MEM(addr_leg_name(&back), key, ADDR_LEG_NAME_LEN);
	CHECK_EQ(endpoint.port_be, 0);
	/* A host's endpoint is of UDP. */
	host = leg;
	host.port = 7000;
	host.transport = ADDR_UDP;
	endpoint = addr_endpoint(&host);
	back = addr_of_endpoint(&endpoint);
	CHECK(addr_equal(&host, &back));
	CHECK_EQ(addr_parse("192.0.2.1:7000", &host), 0);
	endpoint = addr_endpoint(&host);
	back = addr_of_endpoint(&endpoint);
	CHECK(addr_equal(&host, &back));
}

int main(void)
{
	RUN(test_text_is_parsed_to_one_spelling_or_refused);
	RUN(test_sockaddr_round_trip_keeps_every_accepted_address);
	RUN(test_foreign_families_are_refused);
	RUN(test_kinds_of_addresses_are_distinguished);
	RUN(test_ranges_of_nowhere_in_particular_are_not_global);
	RUN(test_a_prefix_key_keeps_the_prefix_alone);
	RUN(test_an_address_says_its_transport);
	RUN(test_a_label_is_no_address_of_a_host);
	RUN(test_a_leg_is_the_same_behind_the_tables_of_a_relay);
	return check_done();
}
