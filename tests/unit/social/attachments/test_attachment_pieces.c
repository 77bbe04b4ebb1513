/* SPDX-License-Identifier: Apache-2.0 */
#include "social/attachments/attachment_pieces.h"

#include <string.h>

#include "support/check.h"

#define LEN (2u * PIECE_LEN_MAX + 777u)

static uint8_t file[LEN], list[3][BLAKE3_HASH_LEN], root[BLAKE3_HASH_LEN];

static struct attachment_pieces file_make(void)
{
	struct attachment_pieces pieces = {.is_public = true, .ids = root, .cnt = 3, .size = LEN};

	for (size_t i = 0; i < LEN; i++)
		file[i] = (uint8_t)(i * 7 + i / 251);
	for (uint32_t i = 0; i < 3; i++)
		blake3_subtree(file + (size_t)i * PIECE_LEN_MAX,
			       i < 2 ? PIECE_LEN_MAX : LEN % PIECE_LEN_MAX,
			       i * (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN), false, list[i]);
	blake3_hash(file, LEN, root);
	return pieces;
}

static void test_a_list_proves_itself_against_the_id_of_the_file(void)
{
	struct attachment_pieces pieces = file_make();
	uint8_t *bytes = (uint8_t *)list;

	CHECK(social_list_verify(&pieces, list[0], sizeof(list)));
	CHECK(!social_list_verify(&pieces, list[0], sizeof(list) - BLAKE3_HASH_LEN));
	for (size_t i = 0; i < sizeof(list); i += 13) {
		bytes[i] ^= 1;
		CHECK(!social_list_verify(&pieces, list[0], sizeof(list)));
		bytes[i] ^= 1;
	}
}

static void test_a_chunk_is_taken_at_its_own_place_and_length_alone(void)
{
	struct attachment_pieces pieces = file_make();

	CHECK(social_piece_verify(&pieces, list[0], 0, file, PIECE_LEN_MAX));
	CHECK(social_piece_verify(&pieces, list[0], 2, file + 2u * PIECE_LEN_MAX, 777));
	CHECK(!social_piece_verify(&pieces, list[0], 1, file, PIECE_LEN_MAX));
	CHECK(!social_piece_verify(&pieces, list[0], 0, file, PIECE_LEN_MAX - 1));
	CHECK(!social_piece_verify(&pieces, list[0], 2, file + 2u * PIECE_LEN_MAX, 776));
	file[5] ^= 1;
	CHECK(!social_piece_verify(&pieces, list[0], 0, file, PIECE_LEN_MAX));
}

static void test_a_unit_is_named_by_its_hash(void)
{
	uint8_t ids[2][BLAKE3_HASH_LEN];
	struct attachment_pieces pieces = {.ids = ids[0], .cnt = 2};

	(void)file_make();
	blake3_hash(file, 100, ids[0]);
	blake3_hash(file, 99, ids[1]);
	CHECK(social_piece_verify(&pieces, NULL, 0, file, 100));
	CHECK(social_piece_verify(&pieces, NULL, 1, file, 99));
	CHECK(!social_piece_verify(&pieces, NULL, 1, file, 100));
}

static void test_what_breaks_the_rules_has_no_pieces(void)
{
	static const uint8_t ids[2 * POST_ID_LEN];
	const struct {
		struct post_attachment attachment;
		bool is_public, want;
	} rows[] = {
		{{ids, POST_ID_LEN, "", 0, 0}, true, true},
		{{ids, POST_ID_LEN, "", 0, (uint64_t)PIECES_CNT_MAX * PIECE_LEN_MAX}, true, true},
		{{ids, POST_ID_LEN, "", 0, (uint64_t)PIECES_CNT_MAX * PIECE_LEN_MAX + 1},
		 true,
		 false},
		{{ids, 2 * POST_ID_LEN, "", 0, 5}, true, false},
		{{ids, 2 * POST_ID_LEN, "", 0, 0}, false, true},
		{{ids, 0, "", 0, 0}, false, false},
	};
	struct attachment_pieces pieces;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(social_pieces_of(&rows[i].attachment, rows[i].is_public, &pieces),
			 rows[i].want);
}

int main(void)
{
	RUN(test_a_list_proves_itself_against_the_id_of_the_file);
	RUN(test_a_chunk_is_taken_at_its_own_place_and_length_alone);
	RUN(test_a_unit_is_named_by_its_hash);
	RUN(test_what_breaks_the_rules_has_no_pieces);
	return check_done();
}
