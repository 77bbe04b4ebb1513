/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/agreed_box.h"

#include "support/check.h"
#include "support/hex_digits.h"

/* Of the seeds 00 and 01, 32 times each, made by PyNaCl. */
#define IMAGE_0 "5bf55c73b82ebe22be80f3430667af570fae2556a6415e6b30d4065300aa947d"
#define IMAGE_1 "1b1b58dd50ea14b60da17b790cd02754d970c9bab864ebb3c0f3016fe51d3f57"
#define AGREED	"4d45c22f8007819cc953b7e9e3810bab50d585b74019ae65450ebed428906340"

static struct node_key *zero, *one;
static uint8_t want[AGREED_KEY_LEN], got[AGREED_KEY_LEN];
static const uint8_t secret[AGREED_KEY_LEN] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
					       2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2};

static void test_nodes_have_published_images_and_agree(void)
{
	uint8_t image[AGREED_KEY_LEN];

	hex_parse(IMAGE_0, want);
	CHECK_EQ(agreed_public_of_node(node_key_public(zero), got), 0);
	CHECK_MEM(got, want, sizeof(want));
	hex_parse(IMAGE_1, image);
	CHECK_EQ(agreed_public_of_node(node_key_public(one), got), 0);
	CHECK_MEM(got, image, sizeof(image));
	hex_parse(AGREED, want);
	CHECK_EQ(agreed_with_node(zero, image, got), 0);
	CHECK_MEM(got, want, sizeof(want));
	hex_parse(IMAGE_0, image);
	CHECK_EQ(agreed_with_node(one, image, got), 0);
	CHECK_MEM(got, want, sizeof(want));
}

static void test_a_box_is_the_published_one(void)
{
	uint8_t shared[AGREED_KEY_LEN], key[AGREED_KEY_LEN], salt[16], nonce[AGREED_NONCE_LEN];
	uint8_t bound[68], sealed[22], text[6];
	const struct agreed_purpose purpose = {salt, sizeof(salt), "mesh/svc/reserve/v1"};
	const struct agreed_box box = {key, nonce, bound, sizeof(bound)};

	for (unsigned i = 0; i < 16; i++)
		salt[i] = (uint8_t)i;
	for (unsigned i = 0; i < AGREED_NONCE_LEN; i++)
		nonce[i] = (uint8_t)(0x20 + i);
	hex_parse(IMAGE_0, got);
	CHECK_EQ(agreed_with(secret, got, shared), 0);
	agreed_key(shared, &purpose, key);
	hex_parse("13786868695b8188d913bb5ef93ec0a35a0affa6d04e90050018121eef6a7138", want);
	CHECK_MEM(key, want, sizeof(want));
	hex_parse("02000000139e3940e64b5491722088d9a0d74162000102030405060708090a0b0c0d0e0f"
		  "ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59",
		  bound);
	agreed_public(secret, got);
	CHECK_MEM(got, bound + 36, sizeof(got));
	agreed_box_seal(&box, "marker", 6, sealed);
	hex_parse("c1d7a02e6983c7ba888d0a18497a8e94b8714f26af15", want);
	CHECK_MEM(sealed, want, sizeof(sealed));
	CHECK_EQ(agreed_box_open(&box, sealed, sizeof(sealed), text), 0);
	CHECK_MEM(text, "marker", 6);
}

static void test_a_flipped_bit_or_a_cut_opens_nothing(void)
{
	uint8_t key[AGREED_KEY_LEN] = {1}, nonce[AGREED_NONCE_LEN] = {2}, bound[5] = {3};
	uint8_t sealed[30 + AGREED_TAG_LEN], text[30] = {4};
	const struct agreed_box box = {key, nonce, bound, sizeof(bound)};
	const struct {
		uint8_t *bytes;
		size_t len;
	} parts[] = {{key, sizeof(key)},
		     {nonce, sizeof(nonce)},
		     {bound, sizeof(bound)},
		     {sealed, sizeof(sealed)}};

	agreed_box_seal(&box, text, sizeof(text), sealed);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		for (size_t bit = 0; bit < 8 * parts[i].len; bit++) {
			parts[i].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			CHECK_EQ(agreed_box_open(&box, sealed, sizeof(sealed), text),
				 WEFT_EDAMAGED);
			parts[i].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	for (size_t len = 0; len < sizeof(sealed); len++)
		CHECK_EQ(agreed_box_open(&box, sealed, len, text), WEFT_EDAMAGED);
	CHECK_EQ(agreed_box_open(&box, sealed, sizeof(sealed), text), 0);
}

static void test_an_empty_text_has_a_box(void)
{
	uint8_t key[AGREED_KEY_LEN] = {1}, nonce[AGREED_NONCE_LEN] = {2}, sealed[AGREED_TAG_LEN];
	const struct agreed_box box = {key, nonce, NULL, 0};

	agreed_box_seal(&box, NULL, 0, sealed);
	CHECK_EQ(agreed_box_open(&box, sealed, sizeof(sealed), got), 0);
}

/* Zeros, one, and the two points of order 8 (RFC 7748 6.1, curve25519's own list). */
static void test_keys_of_small_order_agree_on_nothing(void)
{
	static const char *const keys[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	};
	static const uint8_t none[NODE_KEY_LEN];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		hex_parse(keys[i], want);
		CHECK_EQ(agreed_with(secret, want, got), WEFT_EMALFORMED);
		CHECK_EQ(agreed_with_node(one, want, got), WEFT_EMALFORMED);
	}
	CHECK_EQ(agreed_public_of_node(none, got), WEFT_EMALFORMED);
}

int main(void)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {0};

	if (node_key_from_seed(seed, &zero) < 0)
		return 1;
	memset(seed, 1, sizeof(seed));
	if (node_key_from_seed(seed, &one) < 0)
		return 1;
	RUN(test_nodes_have_published_images_and_agree);
	RUN(test_a_box_is_the_published_one);
	RUN(test_a_flipped_bit_or_a_cut_opens_nothing);
	RUN(test_an_empty_text_has_a_box);
	RUN(test_keys_of_small_order_agree_on_nothing);
	node_key_free(zero);
	node_key_free(one);
	return check_done();
}
