/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_wrap.h"

#include <string.h>

#include "support/check.h"

static const uint8_t secret[KEY_WRAP_SECRET_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static struct node_key *key_of(uint8_t number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {number};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

static void test_a_box_opens_for_its_node_alone(void)
{
	struct node_key *key = key_of(1), *other = key_of(2);
	uint8_t box[KEY_WRAP_LEN], again[KEY_WRAP_LEN], opened[KEY_WRAP_SECRET_LEN];

	CHECK_EQ(key_wrap(node_key_public(key), secret, box), 0);
	CHECK_EQ(key_wrap(node_key_public(key), secret, again), 0);
	CHECK(memcmp(box, again, sizeof(box)) != 0);
	CHECK(!memmem(box, sizeof(box), secret, 8));
	CHECK_EQ(key_unwrap(key, box, opened), 0);
	CHECK_MEM(opened, secret, sizeof(secret));
	CHECK_EQ(key_unwrap(other, box, opened), WEFT_EDAMAGED);
	node_key_free(key);
	node_key_free(other);
}

static void test_every_changed_byte_is_refused(void)
{
	struct node_key *key = key_of(1);
	uint8_t box[KEY_WRAP_LEN], opened[KEY_WRAP_SECRET_LEN];

	CHECK_EQ(key_wrap(node_key_public(key), secret, box), 0);
	for (size_t i = 0; i < sizeof(box); i++) {
		box[i] ^= 1;
		CHECK_EQ(key_unwrap(key, box, opened), WEFT_EDAMAGED);
		box[i] ^= 1;
	}
	node_key_free(key);
}

static void test_a_key_of_small_order_gets_no_box(void)
{
	uint8_t node[NODE_KEY_LEN] = {1}, box[KEY_WRAP_LEN];

	CHECK_EQ(key_wrap(node, secret, box), WEFT_EMALFORMED);
	memset(node, 0, sizeof(node));
	CHECK_EQ(key_wrap(node, secret, box), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_a_box_opens_for_its_node_alone);
	RUN(test_every_changed_byte_is_refused);
	RUN(test_a_key_of_small_order_gets_no_box);
	return check_done();
}
