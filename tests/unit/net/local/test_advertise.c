/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses links and HELLO carry, and from which one a connection goes on. */
#include "net/local/advertise.h"

#include "net/local/address_watch.h"
#include "support/check.h"

static struct addr addr_of(const char *text)
{
	struct addr addr = {0};

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static bool has(const struct advertised *list, const char *text)
{
	struct addr addr = addr_of(text);

	for (unsigned i = 0; i < list->cnt; i++)
		if (addr_equal(&list->addrs[i], &addr))
			return true;
	return false;
}

static void test_given_addresses_are_carried_in_place_of_bound_ones(void)
{
	const struct addr given[] = {addr_of("198.51.100.7:443"), addr_of("198.51.100.7:443"),
				     addr_of("[2001:db8::7]:443")};
	const struct addr bound = addr_of("192.0.2.1:7000");
	struct advertised list;

	net_advertise(&list, given, 3, &bound, 1);
	CHECK_EQ(list.cnt, 2);
	CHECK(has(&list, "198.51.100.7:443"));
	CHECK(has(&list, "[2001:db8::7]:443"));
}

static void test_a_bound_address_is_carried_as_it_is(void)
{
	const struct addr bound[] = {addr_of("192.0.2.1:7000"), addr_of("127.0.0.1:7001")};
	struct advertised list;

	net_advertise(&list, NULL, 0, bound, 2);
	CHECK_EQ(list.cnt, 2);
	CHECK(has(&list, "192.0.2.1:7000"));
	CHECK(has(&list, "127.0.0.1:7001"));
}

static void test_a_wildcard_is_replaced_by_addresses_with_its_port(void)
{
	const struct addr bound = addr_of("0.0.0.0:7000");
	struct advertised list;

	net_advertise(&list, NULL, 0, &bound, 1);
	for (unsigned i = 0; i < list.cnt; i++) {
		CHECK(!addr_is_wildcard(&list.addrs[i]));
		CHECK_EQ(list.addrs[i].family, ADDR_IPV4);
		CHECK_EQ(list.addrs[i].port, 7000);
	}
}

static void test_no_more_are_carried_than_there_is_room_for(void)
{
	struct addr given[ADVERTISED_MAX + 3];
	struct advertised list;

	for (unsigned i = 0; i < ADVERTISED_MAX + 3; i++) {
		given[i] = addr_of("192.0.2.1:7000");
		given[i].port = (uint16_t)(7000 + i);
	}
	net_advertise(&list, given, ADVERTISED_MAX + 3, NULL, 0);
	CHECK_EQ(list.cnt, ADVERTISED_MAX);
	CHECK_EQ(list.addrs[ADVERTISED_MAX - 1].port, 7000 + ADVERTISED_MAX - 1);
}

/* No machine has an address of 192.0.2.0/24 (RFC 5737). */
static void test_a_connection_leaves_only_an_address_that_is_gone(void)
{
	const struct addr remote = addr_of("127.0.0.1:9"), here = addr_of("127.0.0.1:7000"),
			  gone = addr_of("192.0.2.77:7000");
	struct addr local;

	CHECK(!net_local_choose(NULL, &remote, &here, &local));
	CHECK(net_local_choose(NULL, &remote, &gone, &local));
	CHECK(addr_equal(&local, &here));
}

int main(void)
{
	RUN(test_given_addresses_are_carried_in_place_of_bound_ones);
	RUN(test_a_bound_address_is_carried_as_it_is);
	RUN(test_a_wildcard_is_replaced_by_addresses_with_its_port);
	RUN(test_no_more_are_carried_than_there_is_room_for);
	RUN(test_a_connection_leaves_only_an_address_that_is_gone);
	return check_done();
}
