/* SPDX-License-Identifier: Apache-2.0 */
#include "dht/items/item.h"

#include "support/check.h"
#include "support/hex_digits.h"

#define HELLO "12:Hello World!"

/* BEP-44's test vectors. */
#define VECTOR_KEY "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548"
static const struct {
	const char *salt;
	const char *target;
	const char *sig;
} mutable_rows[] = {
	{"", "4a533d47ec9c7d95b1ad75f576cffc641853b750",
	 "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff"
	 "1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01"},
	{"foobar", "411eba73b6f087ca51a3795d9c8c938d365e32c1",
	 "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d"
	 "df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08"},
};

static uint8_t key[NODE_KEY_LEN], sig[NODE_KEY_SIG_LEN];

static struct dht_item vector_item(size_t row)
{
	hex_parse(VECTOR_KEY, key);
	hex_parse(mutable_rows[row].sig, sig);
	return (struct dht_item){
		.key = key,
		.sig = sig,
		.salt = (const uint8_t *)mutable_rows[row].salt,
		.salt_len = strlen(mutable_rows[row].salt),
		.value = (const uint8_t *)HELLO,
		.value_len = strlen(HELLO),
		.seq = 1,
	};
}

static void test_vectors_have_their_targets_and_verify(void)
{
	for (size_t i = 0; i < sizeof(mutable_rows) / sizeof(mutable_rows[0]); i++) {
		struct dht_item item = vector_item(i);
		struct kad_id target, want;

		hex_parse(mutable_rows[i].target, want.bytes);
		dht_item_target(&item, &target);
		CHECK_MEM(target.bytes, want.bytes, KAD_ID_LEN);
		dht_item_target_of_key(item.key, item.salt, item.salt_len, &target);
		CHECK_MEM(target.bytes, want.bytes, KAD_ID_LEN);
		CHECK_EQ(dht_item_verify(&item), 0);
	}
}

static void test_an_immutable_item_lies_at_the_hash_of_its_value(void)
{
	struct dht_item item = {.value = (const uint8_t *)HELLO, .value_len = strlen(HELLO)};
	struct kad_id target, want;

	hex_parse("e5f96f6f38320f0f33959cb4d3d656452117aadb", want.bytes);
	dht_item_target(&item, &target);
	CHECK_MEM(target.bytes, want.bytes, KAD_ID_LEN);
	CHECK_EQ(dht_item_verify(&item), 0);
}

/* Whatever is signed, altered by the least, is refused. */
static void test_nothing_signed_may_change(void)
{
	struct dht_item item = vector_item(1);

	item.seq = 2;
	CHECK_EQ(dht_item_verify(&item), WEFT_EDAMAGED);
	item = vector_item(1);
	item.salt = (const uint8_t *)"foobaz";
	CHECK_EQ(dht_item_verify(&item), WEFT_EDAMAGED);
	item = vector_item(1);
	item.salt_len = 0;
	CHECK_EQ(dht_item_verify(&item), WEFT_EDAMAGED);
	item = vector_item(1);
	item.value = (const uint8_t *)"12:Hello world!";
	CHECK_EQ(dht_item_verify(&item), WEFT_EDAMAGED);
	item = vector_item(1);
	key[0] ^= 1;
	CHECK_EQ(dht_item_verify(&item), WEFT_EDAMAGED);
	item = vector_item(1);
	for (size_t i = 0; i < sizeof(sig); i++) {
		sig[i] ^= 0x80;
		CHECK_EQ(dht_item_verify(&item), WEFT_EDAMAGED);
		sig[i] ^= 0x80;
	}
	CHECK_EQ(dht_item_verify(&item), 0);
}

/* S + L satisfies the equation as S does: two signatures of one item would be two items. */
static void test_a_signature_not_in_canonical_form_is_refused(void)
{
	struct dht_item item = vector_item(0);
	uint8_t order[32];
	unsigned carry = 0;

	hex_parse("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", order);
	for (size_t i = 0; i < 32; i++) {
		carry += sig[32 + i] + (unsigned)order[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	CHECK_EQ(dht_item_verify(&item), WEFT_EDAMAGED);
}

/*
 * Under a key of small order R = A, S = 0 verifies for one message in eight
 * or for all. Thus any sender could fill its slots. The points are all
 * those of order 1, 2, 4 and 8, and two of them with y not reduced.
 */
static void test_keys_of_small_order_are_refused(void)
{
	static const char *const points[] = {
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct dht_item item = vector_item(0);

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		hex_parse(points[i], key);
		for (size_t j = 0; j < sizeof(points) / sizeof(points[0]); j++) {
			hex_parse(points[j], sig);
			memset(sig + 32, 0, 32);
			CHECK_EQ(dht_item_verify(&item), WEFT_EDAMAGED);
		}
	}
}

static void test_limits_are_exceeded_by_one(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {7};
	uint8_t value[DHT_SIGNED_VALUE_LEN_MAX + 1] = "1000:", salt[DHT_SALT_LEN_MAX + 1] = {1};
	struct node_key *own;
	struct dht_item item;

	CHECK_EQ(node_key_from_seed(seed, &own), 0);
	item = (struct dht_item){
		.key = node_key_public(own),
		.sig = sig,
		.salt = salt,
		.salt_len = DHT_SALT_LEN_MAX,
		.value = value,
		.value_len = DHT_SIGNED_VALUE_LEN_MAX,
		.seq = INT64_MAX,
	};
	dht_item_sign(&item, own, sig);
	CHECK_EQ(dht_item_verify(&item), 0);
	item.value_len++;
	CHECK_EQ(dht_item_verify(&item), WEFT_ETOOLARGE);
	item.key = NULL;
	CHECK_EQ(dht_item_verify(&item), WEFT_ETOOLARGE);
	item.value_len--;
	CHECK_EQ(dht_item_verify(&item), 0);
	item.key = node_key_public(own);
	item.salt_len++;
	CHECK_EQ(dht_item_verify(&item), WEFT_ETOOLARGE);
	item.salt_len--;
	item.seq = -1;
	CHECK_EQ(dht_item_verify(&item), WEFT_EMALFORMED);
	node_key_free(own);
}

static void test_what_we_sign_verifies_with_and_without_salt(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {9};
	struct node_key *own;
	struct dht_item item;

	CHECK_EQ(node_key_from_seed(seed, &own), 0);
	for (size_t i = 0; i < 2; i++) {
		item = vector_item(i);
		item.key = node_key_public(own);
		item.seq = 0;
		dht_item_sign(&item, own, sig);
		CHECK_EQ(dht_item_verify(&item), 0);
	}
	node_key_free(own);
}

int main(void)
{
	RUN(test_vectors_have_their_targets_and_verify);
	RUN(test_an_immutable_item_lies_at_the_hash_of_its_value);
	RUN(test_nothing_signed_may_change);
	RUN(test_a_signature_not_in_canonical_form_is_refused);
	RUN(test_keys_of_small_order_are_refused);
	RUN(test_limits_are_exceeded_by_one);
	RUN(test_what_we_sign_verifies_with_and_without_salt);
	return check_done();
}
