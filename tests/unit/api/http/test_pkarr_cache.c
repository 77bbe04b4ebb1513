/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http/pkarr_cache.h"

#include "base/memory/arena.h"
#include "support/check.h"

#define CAP 4

static struct arena arena;
static struct pkarr_cache cache;
static const uint64_t secret[2] = {1, 2};

static bool start(void)
{
	return arena_open(&arena, ARENA_GROWS) == 0 &&
	       api_pkarr_cache_init(&cache, &arena, CAP, secret) == 0;
}

static struct pkarr_packet packet_of(uint8_t key, uint64_t seq)
{
	return (struct pkarr_packet){.key = {key}, .seq = seq, .value_len = 2, .value = "0:"};
}

static uint64_t seq_of(uint8_t key)
{
	uint8_t bytes[NODE_KEY_LEN] = {key};
	const struct pkarr_cache_entry *entry = api_pkarr_cache_lookup(&cache, bytes);

	return entry ? entry->packet.seq : 0;
}

static void put(uint8_t key, uint64_t seq)
{
	struct pkarr_packet packet = packet_of(key, seq);

	(void)api_pkarr_cache_put(&cache, &packet);
}

static void test_the_newest_packet_of_a_key_stays(void)
{
	CHECK(start());
	put(1, 10);
	put(1, 9);
	CHECK_EQ(seq_of(1), 10);
	put(1, 11);
	CHECK_EQ(seq_of(1), 11);
	CHECK_EQ(cache.entries.used_cnt, 1);
	arena_close(&arena);
}

static void test_a_new_packet_has_to_be_seen_to_be_fresh(void)
{
	struct pkarr_packet packet = packet_of(1, 10);

	CHECK(start());
	api_pkarr_cache_put(&cache, &packet)->fresh_until_ns = 5;
	CHECK_EQ(api_pkarr_cache_put(&cache, &packet)->fresh_until_ns, 5);
	packet.seq = 11;
	CHECK_EQ(api_pkarr_cache_put(&cache, &packet)->fresh_until_ns, 0);
	arena_close(&arena);
}

static void test_the_least_recently_asked_entry_makes_room(void)
{
	CHECK(start());
	for (uint8_t key = 1; key <= CAP; key++)
		put(key, 1);
	CHECK_EQ(seq_of(1), 1); /* so 2 is the oldest now */
	put(CAP + 1, 1);
	CHECK_EQ(cache.entries.used_cnt, CAP);
	CHECK_EQ(seq_of(2), 0);
	CHECK_EQ(seq_of(1), 1);
	CHECK_EQ(seq_of(CAP + 1), 1);
	for (unsigned key = 0; key < 256; key++)
		put((uint8_t)key, 2);
	CHECK_EQ(cache.entries.used_cnt, CAP);
	CHECK_EQ(seq_of(255), 2);
	CHECK_EQ(seq_of(252), 2);
	CHECK_EQ(seq_of(251), 0);
	arena_close(&arena);
}

int main(void)
{
	RUN(test_the_newest_packet_of_a_key_stays);
	RUN(test_a_new_packet_has_to_be_seen_to_be_fresh);
	RUN(test_the_least_recently_asked_entry_makes_room);
	return check_done();
}
