/* SPDX-License-Identifier: Apache-2.0 */
/* Which nodes are listed, and when that is looked at again. */
#include "base/memory/arena.h"
#include "base/random.h"
#include "dht/bucket_blobs.h"
#include "dht/krpc/krpc_message.h"
#include "support/check.h"
#include "support/dht_rig.h"

#define SECOND 1000000000ull

static struct arena arena;
static struct random rng;
static struct kad_table *table;
static struct dht_blobs *blobs;
static struct kad_table_config config;
static uint64_t now_ns;

static void up(void)
{
	const struct kad_id own_id = {{0}};

	random_init_seeded(&rng, 9);
	now_ns = 3600 * SECOND;
	kad_table_defaults(&config);
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    kad_table_new(
		    &arena,
		    &(struct kad_table_params){
			    .config = &config, .own_id = &own_id, .random = &rng, .now_ns = now_ns},
		    &table) < 0 ||
	    dht_blobs_new(&arena, &blobs) < 0)
		abort();
}

static struct kad_id member_add(const char *addr, unsigned common_bits)
{
	const struct kad_contact contact = {
		.id = kad_id_random_in(kad_table_own_id(table), common_bits, &rng),
		.addr = dht_rig_addr(addr),
		.is_proven = true,
	};

	if (kad_table_answered(table, &contact, 1000000, now_ns) != KAD_ADDED)
		abort();
	return contact.id;
}

static unsigned told_cnt(unsigned bucket)
{
	return (unsigned)(dht_blobs_at(blobs, bucket).len / KRPC_NODE_LEN_IPV4);
}

static void test_the_first_look_makes_them_and_later_ones_wait_a_second(void)
{
	up();
	CHECK_EQ(dht_blobs_next_ns(blobs, table), 0);
	CHECK(!dht_blobs_refresh(blobs, table, now_ns)); /* none: nothing new */
	CHECK_EQ(dht_blobs_next_ns(blobs, table), now_ns + DHT_BLOBS_AGE_NS);
	CHECK(dht_blobs_at(blobs, 0).data != NULL);
	(void)member_add("20.1.1.1:1", 0);
	CHECK_EQ(dht_blobs_next_ns(blobs, table), now_ns + DHT_BLOBS_GAP_NS);
	CHECK(!dht_blobs_refresh(blobs, table, now_ns + DHT_BLOBS_GAP_NS - 1));
	CHECK_EQ(told_cnt(0), 0);
	CHECK(dht_blobs_refresh(blobs, table, now_ns + DHT_BLOBS_GAP_NS));
	CHECK_EQ(told_cnt(0), 1);
	arena_close(&arena);
}

/* A member that falls silent changes no generation, and is not listed a minute later. */
static void test_silent_members_are_left_out_when_they_are_questionable(void)
{
	up();
	(void)member_add("20.1.1.1:1", 0);
	(void)dht_blobs_refresh(blobs, table, now_ns);
	CHECK_EQ(told_cnt(0), 1);
	now_ns += config.good_ns;
	CHECK(dht_blobs_refresh(blobs, table, now_ns));
	CHECK_EQ(told_cnt(0), 0);
	arena_close(&arena);
}

static void test_private_neighbours_are_not_listed_beside_global_ones(void)
{
	up();
	(void)member_add("10.0.0.1:1", 0);
	(void)member_add("127.0.0.1:1", 1);
	(void)dht_blobs_refresh(blobs, table, now_ns);
	/* Of two reaches the wider one. */
	CHECK_EQ(told_cnt(0), 1);
	CHECK_EQ(told_cnt(1), 1);
	CHECK_MEM(dht_blobs_at(blobs, 1).data + KAD_ID_LEN, "\x0a\0\0\1\0\1", 6);
	(void)member_add("20.1.1.1:1", 2);
	now_ns += SECOND;
	CHECK(dht_blobs_refresh(blobs, table, now_ns));
	for (unsigned bucket = 0; bucket < WEFT_KRPC_BUCKET_CNT; bucket++) {
		CHECK_EQ(told_cnt(bucket), 1);
		CHECK_MEM(dht_blobs_at(blobs, bucket).data + KAD_ID_LEN, "\x14\1\1\1\0\1", 6);
	}
	arena_close(&arena);
}

static void test_each_bucket_lists_its_own_members_first(void)
{
	struct kad_id ids[4];

	up();
	for (unsigned i = 0; i < 40; i++) {
		char text[ADDR_TEXT_CAP];

		snprintf(text, sizeof(text), "20.1.%u.1:1", i);
		ids[i % 4] = member_add(text, i % 4);
	}
	(void)dht_blobs_refresh(blobs, table, now_ns);
	for (unsigned bucket = 0; bucket < 4; bucket++) {
		struct bencode_span span = dht_blobs_at(blobs, bucket);
		struct cursor c = cursor_of(span.data, span.len);
		unsigned cnt = 0;
		struct addr addr;
		struct kad_id id;

		while (dht_krpc_node_read(&c, ADDR_IPV4, &id, &addr)) {
			CHECK_EQ(kad_id_common_bits(kad_table_own_id(table), &id), bucket);
			cnt++;
		}
		CHECK_EQ(cnt, WEFT_KRPC_NODE_CNT_MAX);
		CHECK_EQ(kad_id_common_bits(kad_table_own_id(table), &ids[bucket]), bucket);
	}
	arena_close(&arena);
}

int main(void)
{
	RUN(test_the_first_look_makes_them_and_later_ones_wait_a_second);
	RUN(test_silent_members_are_left_out_when_they_are_questionable);
	RUN(test_private_neighbours_are_not_listed_beside_global_ones);
	RUN(test_each_bucket_lists_its_own_members_first);
	return check_done();
}
