/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "dht/krpc/node_id.h"
#include "support/check.h"

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

/* Source: BEP-42, the example ids; of the third byte the upper five bits follow from the address. */
static const struct {
	const char *addr;
	uint8_t r;
	uint8_t head[3];
} vectors[] = {
	{"124.31.75.21:1", 1, {0x5f, 0xbf, 0xbf}},  {"21.75.31.124:1", 86, {0x5a, 0x3c, 0xe9}},
	{"65.23.51.170:1", 22, {0xa5, 0xd4, 0x32}}, {"84.124.73.14:1", 65, {0x1b, 0x03, 0x21}},
	{"43.213.53.83:1", 90, {0xe5, 0x6f, 0x6c}},
};

static struct kad_id vector_id(size_t i)
{
	struct kad_id id = {{0}};

	memcpy(id.bytes, vectors[i].head, 3);
	id.bytes[19] = vectors[i].r;
	return id;
}

static void test_published_ids_fit_their_addresses(void)
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct kad_id id = vector_id(i);
		struct addr addr = addr_of(vectors[i].addr);

		CHECK(dht_node_id_fits(&id, &addr));
	}
}

static void test_each_of_the_21_bits_counts_and_no_other(void)
{
	struct addr addr = addr_of(vectors[0].addr);

	for (unsigned bit = 0; bit < KAD_ID_BITS - 3; bit++) {
		struct kad_id id = vector_id(0);

		/* Bits of the last byte choose the checksum; here those that do not. */
		id.bytes[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
		CHECK_EQ(dht_node_id_fits(&id, &addr), bit >= 21);
	}
}

static void test_an_id_of_another_address_does_not_fit(void)
{
	struct kad_id id = vector_id(0);
	struct addr addr = addr_of(vectors[1].addr);

	CHECK(!dht_node_id_fits(&id, &addr));
}

static void test_made_ids_fit_where_they_were_made_for(void)
{
	static const char *const addrs[] = {"124.31.75.21:7000", "[2001:db8:4567::1]:7000",
					    "[2a00:1450:4001:81b::200e]:1"};
	struct random random;

	random_init_seeded(&random, 1);
	for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		struct addr addr = addr_of(addrs[i]);
		struct kad_id last = {{0}};

		for (unsigned turn = 0; turn < 100; turn++) {
			struct kad_id id;

			dht_node_id_make(&addr, &random, &id);
			CHECK(dht_node_id_fits(&id, &addr));
			CHECK(!kad_id_equal(&id, &last));
			last = id;
		}
	}
}

/* Only the upper 64 bits of an IPv6 address count, for a network's hosts choose the rest. */
static void test_ipv6_ids_follow_the_network(void)
{
	struct addr a = addr_of("[2001:db8:1:2::1]:1"), b = addr_of("[2001:db8:1:2:ffff::9]:2");
	struct addr c = addr_of("[2001:db9:1:3::1]:1");
	struct random random;
	struct kad_id id;

	random_init_seeded(&random, 2);
	dht_node_id_make(&a, &random, &id);
	CHECK(dht_node_id_fits(&id, &b));
	CHECK(!dht_node_id_fits(&id, &c));
}

static void test_private_addresses_fit_every_id(void)
{
	static const char *const addrs[] = {"10.0.0.1:1",    "172.16.0.1:1",  "172.31.255.1:1",
					    "192.168.9.9:1", "169.254.1.1:1", "127.0.0.1:1",
					    "[fe80::1]:1",   "[fd00::1]:1",   "[::1]:1"};
	const struct kad_id id = {{0xff}};

	for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		struct addr addr = addr_of(addrs[i]);

		CHECK(dht_node_id_fits(&id, &addr));
	}
	struct addr beside = addr_of("172.32.0.1:1");

	CHECK(!dht_node_id_fits(&id, &beside));
}

int main(void)
{
	RUN(test_published_ids_fit_their_addresses);
	RUN(test_each_of_the_21_bits_counts_and_no_other);
	RUN(test_an_id_of_another_address_does_not_fit);
	RUN(test_made_ids_fit_where_they_were_made_for);
	RUN(test_ipv6_ids_follow_the_network);
	RUN(test_private_addresses_fit_every_id);
	return check_done();
}
