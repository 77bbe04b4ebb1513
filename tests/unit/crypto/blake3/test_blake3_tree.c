/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/blake3/blake3.h"

#include "support/check.h"

#define INPUT_LEN (9u * BLAKE3_CHUNK_LEN)

static uint8_t input[INPUT_LEN];

static const size_t lens[] = {
	1,
	BLAKE3_LEAF_LEN,
	BLAKE3_GROUP_LEN - 1,
	BLAKE3_GROUP_LEN + 1,
	BLAKE3_CHUNK_LEN - 1,
	BLAKE3_CHUNK_LEN,
	BLAKE3_CHUNK_LEN + 1,
	2 * BLAKE3_CHUNK_LEN,
	2 * BLAKE3_CHUNK_LEN + 1,
	3 * BLAKE3_CHUNK_LEN - 1,
	5 * BLAKE3_CHUNK_LEN + 17 * BLAKE3_LEAF_LEN + 3,
	8 * BLAKE3_CHUNK_LEN,
	9 * BLAKE3_CHUNK_LEN,
};

#define LEN_CNT (sizeof(lens) / sizeof(lens[0]))

static void fill_pattern(void)
{
	for (size_t i = 0; i < INPUT_LEN; i++)
		input[i] = (uint8_t)(i % 251);
}

static size_t chunk_len_at(size_t len, size_t idx)
{
	size_t left = len - idx * BLAKE3_CHUNK_LEN;

	return left < BLAKE3_CHUNK_LEN ? left : BLAKE3_CHUNK_LEN;
}

static size_t chunk_list(size_t len, uint8_t (*out_cvs)[BLAKE3_HASH_LEN])
{
	size_t cnt = (len + BLAKE3_CHUNK_LEN - 1) / BLAKE3_CHUNK_LEN;

	for (size_t i = 0; i < cnt; i++)
		blake3_subtree(input + i * BLAKE3_CHUNK_LEN, chunk_len_at(len, i), i * 256,
			       cnt == 1, out_cvs[i]);
	return cnt;
}

static void test_chunk_list_folds_to_the_hash(void)
{
	for (size_t n = 0; n < LEN_CNT; n++) {
		uint8_t cvs[9][BLAKE3_HASH_LEN], hash[BLAKE3_HASH_LEN], got[BLAKE3_HASH_LEN];
		size_t cnt = chunk_list(lens[n], cvs);
		struct blake3_chunk_tree tree;

		blake3_hash(input, lens[n], hash);
		blake3_chunk_tree_init(&tree);
		for (size_t i = 0; i < cnt; i++)
			blake3_chunk_tree_push(&tree, cvs[i]);
		blake3_chunk_tree_finish(&tree, got);
		CHECK_MEM(got, hash, sizeof(got));
		blake3_cvs_combine(cvs[0], cnt, true, got);
		CHECK_MEM(got, hash, sizeof(got));
	}
}

static void test_subtree_wider_than_a_chunk_is_its_chunks_combined(void)
{
	uint8_t cvs[9][BLAKE3_HASH_LEN], want[BLAKE3_HASH_LEN], got[BLAKE3_HASH_LEN];

	(void)chunk_list(INPUT_LEN, cvs);
	blake3_cvs_combine(cvs[4], 4, false, want);
	blake3_subtree(input + 4 * BLAKE3_CHUNK_LEN, 4 * BLAKE3_CHUNK_LEN, 4 * 256, false, got);
	CHECK_MEM(got, want, sizeof(got));
}

/* 262,160 bytes of i mod 251: one chunk and 16 bytes. */
static void test_chunk_vector_of_two_chunks(void)
{
	static const uint8_t hash_start[] = {0x54, 0x3f, 0xfc, 0x51};
	uint8_t cvs[2][BLAKE3_HASH_LEN], hash[BLAKE3_HASH_LEN], got[BLAKE3_HASH_LEN];

	CHECK_EQ(chunk_list(262160, cvs), 2);
	blake3_hash(input, 262160, hash);
	CHECK_MEM(hash, hash_start, sizeof(hash_start));
	blake3_parent(cvs[0], cvs[1], true, got);
	CHECK_MEM(got, hash, sizeof(got));
}

/*
 * The same vector cut into two files. The hash of a chunk that is a whole
 * file is its root, which is not its value inside a larger file.
 */
static void test_chunk_alone_has_its_own_root(void)
{
	static const uint8_t starts[2][4] = {{0xd5, 0x7d, 0xc9, 0x06}, {0x16, 0xc7, 0x3b, 0x1f}};
	uint8_t cvs[2][BLAKE3_HASH_LEN], hash[BLAKE3_HASH_LEN];

	(void)chunk_list(262160, cvs);
	for (size_t i = 0; i < 2; i++) {
		blake3_subtree(input + i * BLAKE3_CHUNK_LEN, chunk_len_at(262160, i), 0, true,
			       hash);
		CHECK_MEM(hash, starts[i], sizeof(starts[i]));
		CHECK(memcmp(hash, cvs[i], sizeof(hash)) != 0);
	}
}

static void test_groups_of_a_chunk_combine_to_it(void)
{
	for (size_t n = 0; n < LEN_CNT; n++) {
		size_t last = (lens[n] - 1) / BLAKE3_CHUNK_LEN;
		size_t len = chunk_len_at(lens[n], last);
		const uint8_t *data = input + last * BLAKE3_CHUNK_LEN;
		uint8_t groups[16 * BLAKE3_HASH_LEN], want[BLAKE3_HASH_LEN], got[BLAKE3_HASH_LEN];
		unsigned cnt = blake3_chunk_groups(data, len, last, groups);

		CHECK_EQ(cnt, (len + BLAKE3_GROUP_LEN - 1) / BLAKE3_GROUP_LEN);
		blake3_subtree(data, len, last * 256, false, want);
		blake3_cvs_combine(groups, cnt, false, got);
		CHECK_MEM(got, want, sizeof(got));
		for (unsigned i = 0; i < cnt; i++) {
			size_t left = len - i * BLAKE3_GROUP_LEN;

			blake3_subtree(data + i * BLAKE3_GROUP_LEN,
				       left < BLAKE3_GROUP_LEN ? left : BLAKE3_GROUP_LEN,
				       last * 256 + i * 16, false, got);
			CHECK_MEM(groups + i * BLAKE3_HASH_LEN, got, sizeof(got));
		}
	}
}

int main(void)
{
	fill_pattern();
	RUN(test_chunk_list_folds_to_the_hash);
	RUN(test_subtree_wider_than_a_chunk_is_its_chunks_combined);
	RUN(test_chunk_vector_of_two_chunks);
	RUN(test_chunk_alone_has_its_own_root);
	RUN(test_groups_of_a_chunk_combine_to_it);
	return check_done();
}
