/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/blake3/blake3.h"

#include "base/byte_cursor.h"
#include "support/check.h"

#define INPUT_LEN  (5u * BLAKE3_CHUNK_LEN + 3 * BLAKE3_GROUP_LEN + 5)
#define CHUNKS_MAX 6u
#define PROOF_CAP  (BLAKE3_PROOF_GROUPS_MAX * BLAKE3_GROUP_LEN + 64 * 64)

static uint8_t input[INPUT_LEN];
static uint8_t proof[PROOF_CAP];
static uint8_t got[BLAKE3_PROOF_GROUPS_MAX * BLAKE3_GROUP_LEN];

static const size_t lens[] = {
	1,
	BLAKE3_GROUP_LEN,
	BLAKE3_GROUP_LEN + 1,
	3 * BLAKE3_GROUP_LEN - 7,
	BLAKE3_CHUNK_LEN,
	BLAKE3_CHUNK_LEN + 1,
	2 * BLAKE3_CHUNK_LEN + 9 * BLAKE3_GROUP_LEN,
	INPUT_LEN,
};

static void fill_pattern(void)
{
	for (size_t i = 0; i < INPUT_LEN; i++)
		input[i] = (uint8_t)(i % 251);
}

/* The proof of a range of the first file_len bytes of input; its length or 0. */
static size_t prove(const struct blake3_range *range, size_t cap)
{
	uint8_t cvs[CHUNKS_MAX][BLAKE3_HASH_LEN];
	size_t len = (size_t)range->file_len;
	size_t cnt = (len + BLAKE3_CHUNK_LEN - 1) / BLAKE3_CHUNK_LEN;
	size_t off = range->first_group * BLAKE3_GROUP_LEN / BLAKE3_CHUNK_LEN * BLAKE3_CHUNK_LEN;
	struct writer w = writer_of(proof, cap);

	for (size_t i = 0; i < cnt; i++) {
		size_t left = len - i * BLAKE3_CHUNK_LEN;

		blake3_subtree(input + i * BLAKE3_CHUNK_LEN,
			       left < BLAKE3_CHUNK_LEN ? left : BLAKE3_CHUNK_LEN, i * 256, cnt == 1,
			       cvs[i]);
	}
	if (blake3_proof_write(range, cnt == 1 ? NULL : cvs[0], input + off, &w) < 0)
		return 0;
	return writer_len(&w);
}

static int verify(const struct blake3_range *range, const void *bytes, size_t len)
{
	struct cursor c = cursor_of(bytes, len);
	uint8_t root[BLAKE3_HASH_LEN];

	blake3_hash(input, (size_t)range->file_len, root);
	return blake3_proof_verify(root, range, &c, got);
}

static void check_range(const struct blake3_range *range)
{
	size_t len = prove(range, PROOF_CAP);

	CHECK(len > 0);
	CHECK_EQ(verify(range, proof, len), 0);
	CHECK_MEM(got, input + range->first_group * BLAKE3_GROUP_LEN, blake3_range_len(range));
}

static void test_every_range_is_proved(void)
{
	for (size_t n = 0; n < sizeof(lens) / sizeof(lens[0]); n++) {
		struct blake3_range range = {.file_len = lens[n]};

		for (range.first_group = 0; range.first_group * BLAKE3_GROUP_LEN < lens[n];
		     range.first_group++)
			for (range.group_cnt = 1; blake3_range_is_valid(&range);
			     range.group_cnt += 1 + range.group_cnt / 2) {
				check_range(&range);
				if (check_failed) {
					printf("# length %zu, groups %" PRIu64 " + %" PRIu64 "\n",
					       lens[n], range.first_group, range.group_cnt);
					return;
				}
			}
	}
}

static void test_changed_byte_is_noticed(void)
{
	struct blake3_range range = {.file_len = INPUT_LEN, .first_group = 30, .group_cnt = 4};
	size_t len = prove(&range, PROOF_CAP);

	CHECK(len > 0);
	for (size_t i = 0; i < len; i += 97) {
		proof[i] ^= 0x10;
		CHECK_EQ(verify(&range, proof, len), WEFT_EDAMAGED);
		proof[i] ^= 0x10;
	}
	CHECK_EQ(verify(&range, proof, len), 0);
}

static void test_cut_or_long_proof_is_malformed(void)
{
	struct blake3_range range = {.file_len = INPUT_LEN, .first_group = 15, .group_cnt = 2};
	size_t len = prove(&range, PROOF_CAP);

	CHECK(len > 0);
	for (size_t cut = 0; cut < len; cut += cut < 1024 ? 1 : 251)
		CHECK_EQ(verify(&range, proof, cut), WEFT_EMALFORMED);
	CHECK_EQ(verify(&range, proof, len + 1), WEFT_EMALFORMED);
}

static void test_proof_of_another_range_or_length_is_refused(void)
{
	struct blake3_range range = {.file_len = INPUT_LEN, .first_group = 3, .group_cnt = 2};
	size_t len = prove(&range, PROOF_CAP);

	CHECK(len > 0);
	range.first_group = 4;
	CHECK(verify(&range, proof, len) < 0);
	range.first_group = 3;
	range.group_cnt = 1;
	CHECK(verify(&range, proof, len) < 0);
}

static void test_ranges_outside_the_file_are_not_valid(void)
{
	static const struct {
		struct blake3_range range;
		bool is_valid;
	} rows[] = {
		{{0, 0, 1}, false},
		{{1, 0, 0}, false},
		{{1, 0, 1}, true},
		{{1, 0, 2}, false},
		{{1, 1, 1}, false},
		{{BLAKE3_GROUP_LEN + 1, 1, 1}, true},
		{{1ull << 40, 7, BLAKE3_PROOF_GROUPS_MAX}, true},
		{{1ull << 40, 7, BLAKE3_PROOF_GROUPS_MAX + 1}, false},
		{{UINT64_MAX, UINT64_MAX, 1}, false},
		{{UINT64_MAX, 1, UINT64_MAX}, false},
	};
	struct cursor c = cursor_of(NULL, 0);
	uint8_t root[BLAKE3_HASH_LEN] = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(blake3_range_is_valid(&rows[i].range), rows[i].is_valid);
		CHECK_EQ(blake3_proof_verify(root, &rows[i].range, &c, got), WEFT_EMALFORMED);
	}
}

static void test_proof_needs_its_room(void)
{
	struct blake3_range range = {.file_len = INPUT_LEN, .first_group = 3, .group_cnt = 2};
	size_t len = prove(&range, PROOF_CAP);

	CHECK_EQ(prove(&range, len), len);
	CHECK_EQ(prove(&range, len - 1), 0);
}

int main(void)
{
	fill_pattern();
	RUN(test_every_range_is_proved);
	RUN(test_changed_byte_is_noticed);
	RUN(test_cut_or_long_proof_is_malformed);
	RUN(test_proof_of_another_range_or_length_is_refused);
	RUN(test_ranges_outside_the_file_are_not_valid);
	RUN(test_proof_needs_its_room);
	return check_done();
}
