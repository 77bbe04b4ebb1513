/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/node_box.h"

#include <stdlib.h>
#include <string.h>

#include "support/check.h"

#define TEXT_LEN 40u

static struct node_key *reader, *other;
static uint8_t text[TEXT_LEN], sealed[TEXT_LEN + NODE_BOX_OVERHEAD], opened[TEXT_LEN];
static uint8_t fresh[NODE_BOX_RANDOM_LEN];
static struct node_box box = {.info = "test/box/v1", .bound = "place", .bound_len = 5};

static void seal(void)
{
	box.reader = node_key_public(reader);
	CHECK_EQ(node_box_seal(&box, fresh, text, sizeof(text), sealed), 0);
}

static void test_the_reader_alone_opens_a_box(void)
{
	seal();
	CHECK_EQ(node_box_open(&box, reader, sealed, sizeof(sealed), opened), 0);
	CHECK_MEM(opened, text, sizeof(text));
	box.reader = node_key_public(other);
	CHECK_EQ(node_box_open(&box, other, sealed, sizeof(sealed), opened), WEFT_EDAMAGED);
}

static void test_a_box_is_of_one_purpose_and_place(void)
{
	struct node_box foreign;

	seal();
	foreign = box;
	foreign.info = "test/box/v2";
	CHECK_EQ(node_box_open(&foreign, reader, sealed, sizeof(sealed), opened), WEFT_EDAMAGED);
	foreign = box;
	foreign.bound_len = 4;
	CHECK_EQ(node_box_open(&foreign, reader, sealed, sizeof(sealed), opened), WEFT_EDAMAGED);
}

static void test_each_flipped_bit_and_each_cut_is_noticed(void)
{
	seal();
	for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
		/* X25519 ignores the top bit of a public key; here it is under the salt, too. */
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK_EQ(node_box_open(&box, reader, sealed, sizeof(sealed), opened),
			 WEFT_EDAMAGED);
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len < sizeof(sealed); len++) {
		uint8_t *exact = malloc(len ? len : 1);

		memcpy(exact, sealed, len);
		CHECK_EQ(node_box_open(&box, reader, exact, len, opened), WEFT_EDAMAGED);
		free(exact);
	}
}

static void test_a_key_that_is_no_point_gets_no_box(void)
{
	static const uint8_t zeros[NODE_KEY_LEN];
	struct node_box to = box;

	to.reader = zeros;
	CHECK_EQ(node_box_seal(&to, fresh, text, sizeof(text), sealed), WEFT_EMALFORMED);
	/* Nor does a box of a key that agrees on zeros with every other one open. */
	seal();
	memset(sealed, 0, NODE_KEY_LEN);
	CHECK_EQ(node_box_open(&box, reader, sealed, sizeof(sealed), opened), WEFT_EDAMAGED);
}

int main(void)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {7}, seed_of_other[NODE_KEY_SEED_LEN] = {8};

	for (unsigned i = 0; i < TEXT_LEN; i++)
		text[i] = (uint8_t)i;
	for (unsigned i = 0; i < NODE_BOX_RANDOM_LEN; i++)
		fresh[i] = (uint8_t)(i + 1);
	if (node_key_from_seed(seed, &reader) < 0 || node_key_from_seed(seed_of_other, &other) < 0)
		return 1;
	RUN(test_the_reader_alone_opens_a_box);
	RUN(test_a_box_is_of_one_purpose_and_place);
	RUN(test_each_flipped_bit_and_each_cut_is_noticed);
	RUN(test_a_key_that_is_no_point_gets_no_box);
	node_key_free(reader);
	node_key_free(other);
	return check_done();
}
