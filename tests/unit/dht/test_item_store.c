/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept for others, when it is more than there is room for. */
#include "base/memory/arena.h"
#include "base/random.h"
#include "dht/dht_state.h"
#include "dht/items/items.h"
#include "dht/items/swarms.h"
#include "support/check.h"
#include "support/dht_rig.h"
#include "support/resident.h"

#define CAP 1000

static struct arena arena;
static struct random rng;
static struct dht_items *items;
static struct dht_swarms *swarms;

static void items_up(uint32_t subnet_max)
{
	const struct dht_items_config config = {.item_cap = CAP, .subnet_max = subnet_max};
	const struct kad_id own_id = {{0}};

	random_init_seeded(&rng, 3);
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    dht_items_new(&arena, &config, &own_id, &rng, &items) < 0)
		abort();
}

static void swarms_up(uint32_t swarm_max, uint32_t subnet_max)
{
	const struct dht_swarms_config config = {
		.peer_cap = CAP,
		.swarm_max = swarm_max,
		.subnet_max = subnet_max,
	};
	const struct kad_id own_id = {{0}};

	random_init_seeded(&rng, 4);
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    dht_swarms_new(&arena, &config, &own_id, &rng, &swarms) < 0)
		abort();
}

static struct addr source_of(uint32_t i)
{
	struct addr addr = {.family = ADDR_IPV4, .port = 6881};

	addr.ip[0] = (uint8_t)(20 + (i >> 16));
	addr.ip[1] = (uint8_t)(i >> 8);
	addr.ip[2] = (uint8_t)i;
	addr.ip[3] = 1;
	return addr;
}

/* An immutable item that is the number i, from a subnet of its own. */
static enum dht_reason number_put(uint32_t i, const struct addr *source, uint64_t now_ns,
				  struct kad_id *out_target)
{
	char value[32];
	int len = snprintf(value, sizeof(value), "i%ue", i);
	const struct dht_item item = {.value = (const uint8_t *)value, .value_len = (size_t)len};
	const struct dht_items_put put = {.item = &item, .source = source};

	return dht_items_put(items, &put, now_ns, out_target);
}

static void test_a_million_foreign_puts_leave_no_more_than_the_cap(void)
{
	uint32_t stored_cnt = 0, refused_cnt = 0;
	size_t used_len;

	items_up(CAP);
	used_len = arena.used_len;
	for (uint32_t i = 0; i < 1000000; i++) {
		const struct addr source = source_of(i);
		struct kad_id target;
		struct dht_item item;

		switch (number_put(i, &source, i, &target)) {
		case DHT_STORED:
			stored_cnt++;
			CHECK(dht_items_get(items, &target, &item));
			break;
		case DHT_STORE_FULL:
			refused_cnt++;
			CHECK(!dht_items_get(items, &target, &item));
			break;
		default:
			CHECK(false);
		}
		CHECK(dht_items_cnt(items) <= CAP);
	}
	CHECK_EQ(dht_items_cnt(items), CAP);
	CHECK_EQ(arena.used_len, used_len);
	CHECK(stored_cnt >= CAP && refused_cnt > 900000);
	arena_close(&arena);
}

/* Our id is all zeros: what is left after the flood lies at targets that begin with zeros. */
static void test_a_flood_leaves_what_is_near_to_us(void)
{
	uint32_t near_cnt = 0, left_cnt = 0;

	items_up(CAP);
	for (uint32_t i = 0; i < 64 * CAP; i++) {
		const struct addr source = source_of(i);
		struct kad_id target;

		(void)number_put(i, &source, i, &target);
	}
	for (uint32_t i = 0; i < 64 * CAP; i++) {
		char value[32];
		const struct dht_item item = {
			.value = (const uint8_t *)value,
			.value_len = (size_t)snprintf(value, sizeof(value), "i%ue", i),
		};
		struct dht_item got;
		struct kad_id target;

		dht_item_target(&item, &target);
		if (!dht_items_get(items, &target, &got))
			continue;
		left_cnt++;
		near_cnt += target.bytes[0] < 16;
	}
	CHECK_EQ(left_cnt, CAP);
	/* One in 16 by chance; drawing keeps nine of ten there. */
	CHECK(near_cnt > CAP * 9 / 10);
	arena_close(&arena);
}

static void test_a_subnet_has_its_share_and_no_more(void)
{
	struct addr source = source_of(1);
	struct kad_id target;

	items_up(10);
	for (uint32_t i = 0; i < 10; i++) {
		source.ip[3] = (uint8_t)i;
		CHECK_EQ(number_put(i, &source, 0, &target), DHT_STORED);
	}
	CHECK_EQ(number_put(10, &source, 0, &target), DHT_SUBNET_FULL);
	/* The same again is a refresh, and costs nothing. */
	CHECK_EQ(number_put(9, &source, 0, &target), DHT_STORED);
	source = source_of(2);
	CHECK_EQ(number_put(10, &source, 0, &target), DHT_STORED);
	dht_items_expire(items, DHT_ITEM_LIFE_NS);
	CHECK_EQ(dht_items_cnt(items), 0);
	source = source_of(1);
	CHECK_EQ(number_put(11, &source, 0, &target), DHT_STORED);
	arena_close(&arena);
}

static void test_peers_are_capped_by_swarm_subnet_and_in_all(void)
{
	struct dht_swarms_counts counts;
	struct addr peers[32];
	struct kad_id hash = {{1}};

	swarms_up(20, 8);
	for (uint32_t i = 0; i < 9; i++) {
		struct addr peer = source_of(0);

		peer.port = (uint16_t)(1 + i);
		CHECK_EQ(dht_swarms_announce(swarms, &hash, &peer, 0),
			 i < 8 ? DHT_ANNOUNCED : DHT_SUBNET_FULL);
	}
	for (uint32_t i = 1; i < 100; i++) {
		struct addr peer = source_of(i);

		CHECK_EQ(dht_swarms_announce(swarms, &hash, &peer, i), DHT_ANNOUNCED);
	}
	dht_swarms_count(swarms, &counts);
	CHECK_EQ(counts.swarm_cnt, 1);
	CHECK_EQ(counts.peer_cnt, 20);
	CHECK_EQ(dht_swarms_sample(swarms, &hash, peers, 32), 20);
	for (uint32_t i = 0; i < 100000; i++) {
		struct addr peer = source_of(200 + i);

		for (unsigned j = 0; j < KAD_ID_LEN; j++)
			hash.bytes[j] = (uint8_t)random_u64(&rng);
		(void)dht_swarms_announce(swarms, &hash, &peer, 100 + i);
		dht_swarms_count(swarms, &counts);
		CHECK(counts.peer_cnt <= CAP);
	}
	CHECK_EQ(counts.peer_cnt, CAP);
	dht_swarms_expire(swarms, 200000 + DHT_PEER_LIFE_NS);
	dht_swarms_count(swarms, &counts);
	CHECK_EQ(counts.peer_cnt, 0);
	CHECK_EQ(counts.swarm_cnt, 0);
	arena_close(&arena);
}

static void test_an_address_has_its_number_in_a_swarm(void)
{
	struct dht_swarms_counts counts;
	struct addr peer = source_of(1), peers[DHT_SWARM_ADDR_MAX + 1];
	const struct kad_id hash = {{1}};
	unsigned cnt;

	swarms_up(500, 256);
	for (uint32_t i = 0; i <= DHT_SWARM_ADDR_MAX; i++) {
		peer.port = (uint16_t)(1 + i);
		CHECK_EQ(dht_swarms_announce(swarms, &hash, &peer, i), DHT_ANNOUNCED);
	}
	dht_swarms_count(swarms, &counts);
	CHECK_EQ(counts.peer_cnt, DHT_SWARM_ADDR_MAX);
	/* The one that announced itself longest ago gave way. */
	cnt = dht_swarms_sample(swarms, &hash, peers, DHT_SWARM_ADDR_MAX + 1);
	CHECK_EQ(cnt, DHT_SWARM_ADDR_MAX);
	for (unsigned i = 0; i < cnt; i++)
		CHECK(peers[i].port != 1);
	arena_close(&arena);
}

static void test_a_peer_that_announces_again_is_one_peer(void)
{
	struct dht_swarms_counts counts;
	const struct addr peer = source_of(1);
	const struct kad_id hash = {{1}};
	struct addr got[4];

	swarms_up(20, 8);
	for (uint32_t i = 0; i < 50; i++)
		CHECK_EQ(dht_swarms_announce(swarms, &hash, &peer, i), DHT_ANNOUNCED);
	dht_swarms_count(swarms, &counts);
	CHECK_EQ(counts.peer_cnt, 1);
	CHECK_EQ(dht_swarms_sample(swarms, &hash, got, 4), 1);
	CHECK(addr_equal(&got[0], &peer));
	/* It lives from its last word on. */
	dht_swarms_expire(swarms, 48 + DHT_PEER_LIFE_NS);
	CHECK_EQ(dht_swarms_sample(swarms, &hash, got, 4), 1);
	dht_swarms_expire(swarms, 49 + DHT_PEER_LIFE_NS);
	CHECK_EQ(dht_swarms_sample(swarms, &hash, got, 4), 0);
	arena_close(&arena);
}

static uint32_t table_fill(struct dht *dht, uint32_t cnt, uint64_t now_ns)
{
	uint32_t added_cnt = 0;

	for (uint32_t i = 0; i < cnt; i++) {
		struct kad_contact contact = {.addr = source_of(i), .is_proven = true};

		random_fill(&rng, contact.id.bytes, KAD_ID_LEN);
		added_cnt += kad_table_answered(dht->sides[DHT_NET_IPV4].table, &contact, 1000000,
						now_ns) == KAD_ADDED;
	}
	return added_cnt;
}

static void test_100000_items_and_10000_nodes_stay_within_the_plan(void)
{
	static struct dht_rig rig;
	static uint8_t value[1000] = "996:";
	const struct dht_item item = {.value = value, .value_len = sizeof(value)};
	size_t before_len = resident_len(), plan_len;
	struct dht_stats stats;

	dht_rig_init(&rig);
	rig.config.is_on[DHT_NET_IPV6] = false;
	rig.config.item_cap = 100000;
	rig.config.table.wide_cnt = KAD_WIDE_MAX;
	plan_len = dht_footprint(&rig.config);
	dht_rig_start(&rig);
	random_init_seeded(&rng, 5);
	CHECK(table_fill(rig.dht, 40000, rig.now_ns) >= 10000);
	for (uint32_t i = 0; i < 100000; i++) {
		const struct addr source = source_of(i);
		const struct dht_items_put put = {.item = &item, .source = &source};
		struct kad_id target;

		memcpy(value + 500, &i, sizeof(i));
		CHECK_EQ(dht_items_put(rig.dht->sides[DHT_NET_IPV4].items, &put, rig.now_ns,
				       &target),
			 DHT_STORED);
	}
	dht_stats(rig.dht, rig.now_ns, &stats);
	CHECK_EQ(stats.item_cnt, 100000);
	CHECK(stats.nodes[DHT_NET_IPV4].good >= 10000);
	printf("# %u items and %u nodes: %zu bytes planned, %zu resident\n", stats.item_cnt,
	       stats.nodes[DHT_NET_IPV4].good, plan_len, resident_len() - before_len);
	/* A sanitizer keeps a shadow beside it. */
#ifndef WEFT_HOT_ASSERTS
	CHECK(resident_len() - before_len <= plan_len + 65536);
#endif
	dht_rig_fini(&rig);
}

/* What docs/dht.md says that each takes; over a doubling, for hash tables grow in such steps. */
static void test_the_plan_grows_by_what_is_said(void)
{
	struct dht_config config, more;
	size_t item_len, peer_len;

	dht_config_defaults(&config);
	config.is_on[DHT_NET_IPV6] = false;
	more = config;
	more.item_cap *= 2;
	item_len = (dht_footprint(&more) - dht_footprint(&config)) / config.item_cap;
	more = config;
	more.peer_cap *= 2;
	peer_len = (dht_footprint(&more) - dht_footprint(&config)) / config.peer_cap;
	printf("# an item takes %zu bytes, a peer %zu\n", item_len, peer_len);
	CHECK(item_len > 1064 && item_len <= 2064);
	CHECK(peer_len > 46 && peer_len <= 872);
}

int main(void)
{
	RUN(test_a_million_foreign_puts_leave_no_more_than_the_cap);
	RUN(test_a_flood_leaves_what_is_near_to_us);
	RUN(test_a_subnet_has_its_share_and_no_more);
	RUN(test_peers_are_capped_by_swarm_subnet_and_in_all);
	RUN(test_an_address_has_its_number_in_a_swarm);
	RUN(test_a_peer_that_announces_again_is_one_peer);
	RUN(test_100000_items_and_10000_nodes_stay_within_the_plan);
	RUN(test_the_plan_grows_by_what_is_said);
	return check_done();
}
