/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/serve/usage.h"

#include "base/monotonic.h"
#include "support/check.h"

static struct arena arena;
static struct usage usage;

static bool begin(void)
{
	static const uint64_t secret[2] = {1, 2};

	return arena_open(&arena, ARENA_GROWS) == 0 &&
	       blobs_usage_init(&usage, &arena, secret) == 0;
}

static void note(unsigned i, uint64_t len, uint64_t now_ns)
{
	uint8_t key[USAGE_KEY_LEN] = {(uint8_t)i, (uint8_t)(i >> 8)};

	blobs_usage_note(&usage, key, len, 1, now_ns);
}

static const struct usage_entry *find(unsigned i)
{
	const struct usage_entry *entry = NULL;

	while ((entry = blobs_usage_next(&usage, entry)))
		if (entry->key[0] == (uint8_t)i && entry->key[1] == (uint8_t)(i >> 8))
			return entry;
	return NULL;
}

static void test_bytes_add_up_by_key(void)
{
	CHECK(begin());
	note(1, 100, NS_PER_S);
	note(2, 7, NS_PER_S);
	note(1, 50, 2 * NS_PER_S);
	CHECK_EQ(find(1)->len, 150);
	CHECK_EQ(find(1)->cnt, 2);
	CHECK_EQ(find(2)->len, 7);
	CHECK(!find(3));
	arena_close(&arena);
}

/* A stream of keys that come once does not drive out those of which much goes. */
static void test_what_matters_stays(void)
{
	CHECK(begin());
	for (unsigned i = 0; i < 20 * USAGE_CAP; i++) {
		note(1, 262144, NS_PER_S + i);
		note(1000 + i, 1, NS_PER_S + i);
	}
	CHECK_EQ(usage.entries.used_cnt, USAGE_CAP);
	CHECK(find(1));
	CHECK_EQ(find(1)->cnt, 20 * USAGE_CAP);
	CHECK(find(1000 + 20 * USAGE_CAP - 1));
	CHECK(!find(1000));
	arena_close(&arena);
}

static void changes_add(uint64_t sums[static 2])
{
	struct usage_change_iter iter = {.usage = &usage};

	while (blobs_usage_change_next(&iter)) {
		sums[0] += iter.len;
		sums[1] += iter.cnt;
	}
}

static void test_changes_are_reported_once(void)
{
	uint64_t sums[2] = {0};

	CHECK(begin());
	note(1, 100, NS_PER_S);
	note(2, 10, NS_PER_S);
	changes_add(sums);
	CHECK(sums[0] == 110 && sums[1] == 2);
	changes_add(sums);
	CHECK(sums[0] == 110 && sums[1] == 2);
	note(2, 1, NS_PER_S);
	changes_add(sums);
	CHECK(sums[0] == 111 && sums[1] == 3);
	arena_close(&arena);
}

int main(void)
{
	RUN(test_bytes_add_up_by_key);
	RUN(test_what_matters_stays);
	RUN(test_changes_are_reported_once);
	return check_done();
}
