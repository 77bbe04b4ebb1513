/* SPDX-License-Identifier: Apache-2.0 */
#include "social/seal/content_key.h"

#include "codec/text/hex.h"
#include "support/check.h"

static struct node_key *author, *reader, *stranger;
static uint8_t key[CONTENT_KEY_LEN], nonce[CONTENT_NONCE_LEN];

/* Bytes that count from first. */
static void count_up(uint8_t *out, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(first + i);
}

static struct content_wrap author_to_reader(void)
{
	return (struct content_wrap){node_key_public(author), node_key_public(reader), nonce};
}

/* Made with PyNaCl and the blake3 of b3sum, not by this program. */
static void test_the_vectors_of_another_implementation_are_met(void)
{
	static const uint8_t wrap_nonce[] = {100, 101, 102, 103, 104, 105,
					     106, 107, 108, 109, 110, 111};
	struct content_wrap wrap = author_to_reader();
	uint8_t wrapped[CONTENT_KEY_WRAPPED_LEN], opened[CONTENT_KEY_LEN];
	char content[128], text[32], hex[2 * sizeof(wrapped) + 1];
	struct writer w = writer_of(text, sizeof(text));

	memset(key, 7, sizeof(key));
	CHECK_EQ(social_key_wrap(&wrap, author, key, wrap_nonce, wrapped), 0);
	CHECK_EQ(strcmp(hex_write(wrapped, sizeof(wrapped), hex),
			"6465666768696a6b6c6d6e6f4b2edc97cf80f73a2011d69d8830b6d11de0d952fd4ae9a13f"
			"388c23"
			"2f143f45803fceae6ef0c83d9062e66e5bc298b3"),
		 0);
	CHECK_EQ(social_key_unwrap(&wrap, reader, wrapped, opened), 0);
	CHECK_MEM(opened, key, sizeof(key));
	CHECK_EQ(social_content_seal(key, nonce, "hello circle", 12, content), 0);
	CHECK_EQ(strcmp(content, "AAECAwQFBgcICQoLRBCdTwO7zEVlFW2vLTX1KYBmcUzerXIWYYVYWA=="), 0);
	CHECK_EQ(social_content_open(key, content, strlen(content), &w), 0);
	CHECK_EQ(writer_len(&w), 12);
	CHECK_MEM(text, "hello circle", 12);
}

static void test_a_wrap_opens_from_both_sides_and_for_no_other_key(void)
{
	struct content_wrap wrap = author_to_reader(), other = wrap;
	uint8_t wrapped[CONTENT_KEY_WRAPPED_LEN], opened[CONTENT_KEY_LEN];
	uint8_t other_nonce[CONTENT_NONCE_LEN] = {1};

	CHECK_EQ(social_key_wrap(&wrap, author, key, nonce, wrapped), 0);
	CHECK_EQ(social_key_unwrap(&wrap, author, wrapped, opened), 0);
	CHECK_MEM(opened, key, sizeof(key));
	CHECK_EQ(social_key_unwrap(&wrap, stranger, wrapped, opened), WEFT_EDAMAGED);
	other.reader = node_key_public(stranger);
	CHECK_EQ(social_key_unwrap(&other, stranger, wrapped, opened), WEFT_EDAMAGED);
	other = wrap;
	other.post_nonce = other_nonce;
	CHECK_EQ(social_key_unwrap(&other, reader, wrapped, opened), WEFT_EDAMAGED);
	for (size_t i = 0; i < sizeof(wrapped); i++) {
		wrapped[i] ^= 1;
		CHECK_EQ(social_key_unwrap(&wrap, reader, wrapped, opened), WEFT_EDAMAGED);
		wrapped[i] ^= 1;
	}
}

/* A point of small order would make a key that is public. */
static void test_no_key_is_wrapped_for_a_point_of_small_order(void)
{
	static const uint8_t small[NODE_KEY_LEN] = {1};
	struct content_wrap wrap = author_to_reader();
	uint8_t wrapped[CONTENT_KEY_WRAPPED_LEN];

	wrap.reader = small;
	CHECK_EQ(social_key_wrap(&wrap, author, key, nonce, wrapped), WEFT_EMALFORMED);
}

static void test_sealed_content_that_was_altered_or_cut_is_refused(void)
{
	char content[128], text[64];
	size_t len;

	CHECK_EQ(social_content_seal(key, nonce, "hello circle", 12, content), 0);
	len = strlen(content);
	for (size_t cut = 0; cut < len; cut++) {
		struct writer w = writer_of(text, sizeof(text));

		CHECK(social_content_open(key, content, cut, &w) < 0);
	}
	for (size_t i = 0; i + 2 < len; i++) {
		struct writer w = writer_of(text, sizeof(text));
		char was = content[i];

		content[i] = was == 'A' ? 'B' : 'A';
		CHECK(social_content_open(key, content, len, &w) < 0);
		content[i] = was;
	}
	CHECK_EQ(social_content_nonce(content, 15, nonce), WEFT_EMALFORMED);
	CHECK_EQ(social_content_nonce("?AECAwQFBgcICQoL", 16, nonce), WEFT_EMALFORMED);
	count_up(nonce, sizeof(nonce), 0);
}

static void test_a_text_that_has_no_room_is_reported(void)
{
	char content[128], text[11];
	struct writer w = writer_of(text, sizeof(text));

	CHECK_EQ(social_content_seal(key, nonce, "hello circle", 12, content), 0);
	CHECK_EQ(social_content_open(key, content, strlen(content), &w), WEFT_ETOOSMALL);
}

static void test_a_unit_opens_in_its_own_place_alone(void)
{
	static const struct content_unit places[] = {{0, 0}, {0, 1}, {1, 0}, {256, 0}};
	uint8_t sealed[4 + CONTENT_TAG_LEN], text[4];

	for (unsigned i = 0; i < 4; i++) {
		social_unit_seal(key, places[i], "unit", 4, sealed);
		for (unsigned k = 0; k < 4; k++)
			CHECK_EQ(social_unit_open(key, places[k], sealed, sizeof(sealed), text),
				 i == k ? 0 : WEFT_EDAMAGED);
		for (size_t cut = 0; cut < sizeof(sealed); cut++)
			CHECK_EQ(social_unit_open(key, places[i], sealed, cut, text),
				 WEFT_EDAMAGED);
	}
}

static struct node_key *key_of(uint8_t byte)
{
	uint8_t seed[NODE_KEY_SEED_LEN];
	struct node_key *made;

	memset(seed, byte, sizeof(seed));
	if (node_key_from_seed(seed, &made) < 0)
		exit(1);
	return made;
}

int main(void)
{
	author = key_of(0);
	reader = key_of(1);
	stranger = key_of(2);
	count_up(nonce, sizeof(nonce), 0);
	RUN(test_the_vectors_of_another_implementation_are_met);
	RUN(test_a_wrap_opens_from_both_sides_and_for_no_other_key);
	RUN(test_no_key_is_wrapped_for_a_point_of_small_order);
	RUN(test_sealed_content_that_was_altered_or_cut_is_refused);
	RUN(test_a_text_that_has_no_room_is_reported);
	RUN(test_a_unit_opens_in_its_own_place_alone);
	node_key_free(author);
	node_key_free(reader);
	node_key_free(stranger);
	return check_done();
}
