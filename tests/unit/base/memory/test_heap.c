/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory/heap.h"
#include "base/random.h"
#include "support/check.h"

#define MIB ((size_t)1 << 20)

struct block {
	uint8_t *at;
	size_t len;
	uint8_t fill;
};

static bool block_is_intact(const struct block *block)
{
	for (size_t i = 0; i < block->len; i++)
		if (block->at[i] != block->fill)
			return false;
	return true;
}

static size_t random_len(struct random *random)
{
	return random_below(random, 1ull << random_below(random, 18));
}

/* Each block is filled with its own byte; any overlap shows as a foreign one. */
static void test_random_blocks_never_overlap_and_resize_keeps_bytes(void)
{
	struct block blocks[64] = {{NULL, 0, 0}};
	struct heap_usage usage;
	struct random random;
	struct heap *heap;

	CHECK_EQ(heap_new(16 * MIB, &heap), 0);
	random_init_seeded(&random, 5);
	for (unsigned step = 0; step < 20000; step++) {
		struct block *block = &blocks[random_below(&random, 64)];
		size_t len = random_len(&random), kept = len < block->len ? len : block->len;

		CHECK(block_is_intact(block));
		if (random_below(&random, 3) == 0) {
			heap_release(heap, block->at);
			*block = (struct block){NULL, 0, 0};
			continue;
		}
		block->at = heap_resize(heap, block->at, len);
		CHECK(block->at != NULL);
		CHECK_EQ((uintptr_t)block->at % 16, 0);
		block->len = kept;
		CHECK(block_is_intact(block));
		block->len = len;
		block->fill = (uint8_t)step;
		memset(block->at, block->fill, len);
	}
	for (unsigned i = 0; i < 64; i++) {
		CHECK(block_is_intact(&blocks[i]));
		heap_release(heap, blocks[i].at);
	}
	heap_usage(heap, &usage);
	CHECK_EQ(usage.used_len, 0);
	CHECK_EQ(usage.refused_cnt, 0);
	CHECK(usage.peak_len > 0 && usage.peak_len <= usage.cap);
	heap_free(heap);
}

static void test_a_full_heap_refuses_and_recovers(void)
{
	static const size_t lens[] = {1, 100, 4000, 32768, 32769, 200000};
	static void *blocks[300000];

	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct heap_usage usage;
		struct heap *heap;
		unsigned cnt = 0, again_cnt = 0;

		CHECK_EQ(heap_new(4 * MIB, &heap), 0);
		while ((blocks[cnt] = heap_alloc(heap, lens[i])))
			cnt++;
		heap_usage(heap, &usage);
		CHECK(usage.used_len <= usage.cap);
		CHECK(usage.used_len >= cnt * lens[i]);
		CHECK_EQ(usage.refused_cnt, 1);
		for (unsigned at = 0; at < cnt; at++)
			heap_release(heap, blocks[at]);
		while (heap_alloc(heap, lens[i]))
			again_cnt++;
		CHECK_EQ(again_cnt, cnt);
		heap_free(heap);
	}
}

static void test_what_does_not_fit_is_refused_and_leaves_the_rest(void)
{
	static const uint8_t zeros[1000];
	struct heap_usage usage;
	struct heap *heap;
	void *block;

	CHECK_EQ(heap_new(MIB, &heap), 0);
	block = heap_alloc(heap, sizeof(zeros));
	memset(block, 0xff, sizeof(zeros));
	heap_release(heap, block);
	CHECK(heap_alloc(heap, sizeof(zeros)) == block);
	memcpy(block, zeros, sizeof(zeros));
	CHECK(heap_alloc(heap, SIZE_MAX) == NULL);
	CHECK(heap_resize(heap, block, 2 * MIB) == NULL);
	CHECK_MEM(block, zeros, sizeof(zeros));
	heap_usage(heap, &usage);
	CHECK_EQ(usage.refused_cnt, 2);
	heap_free(heap);
}

int main(void)
{
	RUN(test_random_blocks_never_overlap_and_resize_keeps_bytes);
	RUN(test_a_full_heap_refuses_and_recovers);
	RUN(test_what_does_not_fit_is_refused_and_leaves_the_rest);
	return check_done();
}
