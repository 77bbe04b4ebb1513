/* SPDX-License-Identifier: Apache-2.0 */
#include "net/link_table.h"

#include "base/monotonic.h"
#include "support/check.h"

static const uint64_t secret[2] = {1, 2};

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

/* The header of a frame that host sent us. */
static void link_from(uint8_t link[static 14], uint8_t host)
{
	const uint8_t bytes[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 9, host, 8, 0};

	memcpy(link, bytes, sizeof(bytes));
}

static void learn(struct link_table *table, const char *remote, uint8_t host, uint8_t device)
{
	struct addr us = addr_of("192.0.2.1:7000"), peer = addr_of(remote);
	uint8_t link[14];

	link_from(link, host);
	net_link_table_learn(table, &(struct dgram){.local = us, .remote = peer}, link,
			     sizeof(link), device);
}

/* The host that a frame to remote would go to, or -1. */
static int host_of(struct link_table *table, const char *remote)
{
	struct addr us = addr_of("192.0.2.1:7000"), peer = addr_of(remote);
	const struct link_header *header;
	uint8_t device;

	header = net_link_table_lookup(table, &us, &peer, &device);
	return header ? header->bytes[5] : -1;
}

static void test_a_path_is_known_once_heard_by_any_port(void)
{
	struct link_table *table;

	CHECK_EQ(net_link_table_new(secret, &table), 0);
	CHECK_EQ(host_of(table, "192.0.2.9:4000"), -1);
	learn(table, "192.0.2.9:4000", 9, 0);
	CHECK_EQ(host_of(table, "192.0.2.9:4001"), 9);
	CHECK_EQ(host_of(table, "192.0.2.10:4000"), -1);
	CHECK_EQ(host_of(table, "[c000:209::]:4000"), -1);
	learn(table, "192.0.2.9:4000", 8, 0);
	CHECK_EQ(host_of(table, "192.0.2.9:4000"), 8);
	net_link_table_free(table);
}

static void test_silence_makes_a_path_unknown(void)
{
	struct link_table *table;

	CHECK_EQ(net_link_table_new(secret, &table), 0);
	learn(table, "192.0.2.9:4000", 9, 0);
	net_link_table_turn(table, NS_PER_S * LINK_AGE_MAX_S);
	CHECK_EQ(host_of(table, "192.0.2.9:4000"), 9);
	net_link_table_turn(table, NS_PER_S * (LINK_AGE_MAX_S + 1));
	CHECK_EQ(host_of(table, "192.0.2.9:4000"), -1);
	learn(table, "192.0.2.9:4000", 9, 0);
	CHECK_EQ(host_of(table, "192.0.2.9:4000"), 9);
	net_link_table_free(table);
}

static void test_a_device_that_is_gone_takes_its_paths(void)
{
	struct link_table *table;

	CHECK_EQ(net_link_table_new(secret, &table), 0);
	learn(table, "192.0.2.9:4000", 9, 0);
	learn(table, "192.0.2.10:4000", 10, 1);
	net_link_table_forget(table, 0);
	CHECK_EQ(host_of(table, "192.0.2.9:4000"), -1);
	CHECK_EQ(host_of(table, "192.0.2.10:4000"), 10);
	net_link_table_free(table);
}

static void test_a_million_paths_displace_the_silent_ones_only_within_bounds(void)
{
	struct addr us = addr_of("192.0.2.1:7000"), peer = addr_of("10.0.0.0:1");
	struct link_table *table;
	unsigned known_cnt = 0;
	uint8_t link[14], device;

	CHECK_EQ(net_link_table_new(secret, &table), 0);
	link_from(link, 3);
	for (uint32_t i = 0; i < 1000000; i++) {
		memcpy(peer.ip, &i, sizeof(i));
		net_link_table_learn(table, &(struct dgram){.local = us, .remote = peer}, link,
				     sizeof(link), 0);
		CHECK(net_link_table_lookup(table, &us, &peer, &device) != NULL);
	}
	for (uint32_t i = 0; i < 1000000; i++) {
		memcpy(peer.ip, &i, sizeof(i));
		known_cnt += net_link_table_lookup(table, &us, &peer, &device) != NULL;
	}
	CHECK_EQ(known_cnt, LINK_TABLE_CAP);
	net_link_table_free(table);
}

static void test_the_longest_silent_path_of_a_set_gives_way(void)
{
	struct addr us = addr_of("192.0.2.1:7000"), peer = addr_of("10.0.0.0:1");
	struct link_table *table;
	uint8_t link[14];

	CHECK_EQ(net_link_table_new(secret, &table), 0);
	learn(table, "192.0.2.9:4000", 9, 0);
	link_from(link, 3);
	/* Twenty times what the table holds, slowly enough that no set fills in one second. */
	for (uint32_t i = 0; i < 20 * LINK_TABLE_CAP; i++) {
		if (i % 200 == 0) {
			net_link_table_turn(table, NS_PER_S * (i / 200 + 1));
			CHECK_EQ(host_of(table, "192.0.2.9:4000"), 9);
			learn(table, "192.0.2.9:4000", 9, 0);
		}
		memcpy(peer.ip, &i, sizeof(i));
		net_link_table_learn(table, &(struct dgram){.local = us, .remote = peer}, link,
				     sizeof(link), 0);
	}
	net_link_table_free(table);
}

int main(void)
{
	RUN(test_a_path_is_known_once_heard_by_any_port);
	RUN(test_silence_makes_a_path_unknown);
	RUN(test_a_device_that_is_gone_takes_its_paths);
	RUN(test_a_million_paths_displace_the_silent_ones_only_within_bounds);
	RUN(test_the_longest_silent_path_of_a_set_gives_way);
	return check_done();
}
