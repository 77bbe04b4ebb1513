/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_seal.h"

#include <string.h>

#include "support/check.h"

static const uint8_t secret[NODE_KEY_SEED_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

/* The seal of the node whose key is made of number. */
static struct key_seal *seal_of(uint8_t number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {number};
	struct key_seal *seal;
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0 || key_seal_new(key, &seal) < 0)
		abort();
	node_key_free(key);
	return seal;
}

static void test_a_sealed_seed_is_opened_by_the_same_node_key_alone(void)
{
	struct key_seal *seal = seal_of(1), *again = seal_of(1), *other = seal_of(2);
	uint8_t box[KEY_SEAL_LEN_MAX], second[KEY_SEAL_LEN_MAX], opened[NODE_KEY_SEED_LEN];

	CHECK_EQ(key_seal_write(seal, secret, box), KEY_SEAL_LEN_MAX);
	CHECK(!memmem(box, sizeof(box), secret, 8));
	CHECK_EQ(key_seal_open(again, box, sizeof(box), opened), 0);
	CHECK_MEM(opened, secret, sizeof(secret));
	CHECK_EQ(key_seal_open(other, box, sizeof(box), opened), WEFT_ESEALED);
	CHECK_EQ(key_seal_open(NULL, box, sizeof(box), opened), WEFT_ESEALED);
	/* No two are the same. */
	CHECK_EQ(key_seal_write(seal, secret, second), KEY_SEAL_LEN_MAX);
	CHECK(memcmp(box, second, sizeof(box)) != 0);
	key_seal_free(seal);
	key_seal_free(again);
	key_seal_free(other);
}

static void test_what_is_altered_or_cut_is_refused(void)
{
	struct key_seal *seal = seal_of(1);
	uint8_t box[KEY_SEAL_LEN_MAX + 1], opened[NODE_KEY_SEED_LEN];

	(void)key_seal_write(seal, secret, box);
	for (size_t i = 0; i < KEY_SEAL_LEN_MAX; i++) {
		box[i] ^= 1;
		CHECK_EQ(key_seal_open(seal, box, KEY_SEAL_LEN_MAX, opened), WEFT_ESEALED);
		box[i] ^= 1;
	}
	for (size_t len = 0; len <= KEY_SEAL_LEN_MAX + 1; len++)
		if (len != NODE_KEY_SEED_LEN && len != KEY_SEAL_LEN_MAX)
			CHECK_EQ(key_seal_open(seal, box, len, opened), WEFT_EDAMAGED);
	key_seal_free(seal);
}

static void test_a_seed_of_an_earlier_version_is_read_and_due(void)
{
	struct key_seal *seal = seal_of(1);
	uint8_t bytes[KEY_SEAL_LEN_MAX], opened[NODE_KEY_SEED_LEN];

	CHECK_EQ(key_seal_write(NULL, secret, bytes), NODE_KEY_SEED_LEN);
	CHECK_MEM(bytes, secret, sizeof(secret));
	CHECK_EQ(key_seal_open(seal, bytes, NODE_KEY_SEED_LEN, opened), 0);
	CHECK_MEM(opened, secret, sizeof(secret));
	CHECK(key_seal_is_due(seal, NODE_KEY_SEED_LEN));
	CHECK(!key_seal_is_due(seal, KEY_SEAL_LEN_MAX));
	CHECK(!key_seal_is_due(NULL, NODE_KEY_SEED_LEN));
	key_seal_free(seal);
	key_seal_free(NULL);
}

int main(void)
{
	RUN(test_a_sealed_seed_is_opened_by_the_same_node_key_alone);
	RUN(test_what_is_altered_or_cut_is_refused);
	RUN(test_a_seed_of_an_earlier_version_is_read_and_due);
	return check_done();
}
