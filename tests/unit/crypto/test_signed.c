/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signed.h"

#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "support/check.h"
#include "support/hex_digits.h"

#define OBJECT_CAP (SIGNED_BODY_LEN_MAX + SIGNED_OVERHEAD_MAX)

static struct node_key *key;
static uint8_t object_bytes[OBJECT_CAP + 1];
static uint8_t body[SIGNED_BODY_LEN_MAX + 1];

/* A byte string that fills len bytes, 4 <= len, with its head. */
static void body_make(size_t len)
{
	struct writer w = writer_of(body, sizeof(body));

	cbor_write_bytes_head(&w, len - (len < 260 ? 2 : len < 65539 ? 3 : 5));
	memset(w.pos, 7, sizeof(body) - writer_len(&w));
}

static size_t object_make(size_t body_len)
{
	struct writer w = writer_of(object_bytes, sizeof(object_bytes));

	body_make(body_len);
	signed_write(&w, key, "svcdesc", body, body_len);
	return w.bad ? 0 : writer_len(&w);
}

static int object_check(const uint8_t *bytes, size_t len, const char *tag)
{
	struct signed_object object;
	int err = signed_parse(bytes, len, &object);

	return err < 0 ? err : signed_verify(&object, tag);
}

static void test_what_was_signed_is_verified(void)
{
	struct signed_object object;
	size_t len = object_make(100);

	CHECK_EQ(signed_parse(object_bytes, len, &object), 0);
	CHECK_EQ(object.body_len, 100);
	CHECK_MEM(object.body, body, 100);
	CHECK_MEM(object.signer, node_key_public(key), NODE_KEY_LEN);
	CHECK_EQ(signed_verify(&object, "svcdesc"), 0);
}

static void test_another_kind_is_refused(void)
{
	size_t len = object_make(100);

	CHECK_EQ(object_check(object_bytes, len, "svcdes"), WEFT_EDAMAGED);
	CHECK_EQ(object_check(object_bytes, len, "endorse"), WEFT_EDAMAGED);
}

static void test_longest_body_fits_and_one_more_byte_does_not(void)
{
	struct writer w = writer_of(object_bytes, sizeof(object_bytes));
	size_t len = object_make(SIGNED_BODY_LEN_MAX);

	CHECK_EQ(len, SIGNED_BODY_LEN_MAX + SIGNED_OVERHEAD_MAX);
	CHECK_EQ(object_check(object_bytes, len, "svcdesc"), 0);
	CHECK_EQ(object_make(SIGNED_BODY_LEN_MAX + 1), 0);

	/* One that a forger made of it all the same. */
	cbor_write_map(&w, 3);
	cbor_write_uint(&w, 0);
	cbor_write_bytes(&w, body, sizeof(body));
	cbor_write_uint(&w, 1);
	cbor_write_bytes(&w, node_key_public(key), NODE_KEY_LEN);
	cbor_write_uint(&w, 2);
	cbor_write_bytes(&w, body, NODE_KEY_SIG_LEN);
	CHECK(!w.bad);
	CHECK_EQ(object_check(object_bytes, writer_len(&w), "svcdesc"), WEFT_ETOOLARGE);
}

static void test_every_prefix_is_refused(void)
{
	size_t len = object_make(100);

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut + 1); /* so that a sanitizer sees a read beyond it */

		memcpy(exact, object_bytes, cut);
		CHECK_EQ(object_check(exact, cut, "svcdesc"), WEFT_EMALFORMED);
		free(exact);
	}
}

static void test_every_flipped_bit_is_refused(void)
{
	size_t len = object_make(100);

	for (size_t bit = 0; bit < 8 * len; bit++) {
		object_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK(object_check(object_bytes, len, "svcdesc") < 0);
		object_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CHECK_EQ(object_check(object_bytes, len, "svcdesc"), 0);
}

/* Signed all right, but there is another encoding of the same. */
static void test_a_body_that_is_not_deterministic_is_refused(void)
{
	static const char *const bodies[] = {
		"1800",	      /* 0 in two bytes */
		"a201000000", /* keys descend */
		"a200000001", /* a key twice */
		"9f00ff",     /* an array without length */
		"f97e00",     /* a float */
		"c000",	      /* a tag */
		"0000",	      /* two items */
		"",	      /* none */
	};
	uint8_t bytes[16];

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct writer w = writer_of(object_bytes, sizeof(object_bytes));

		signed_write(&w, key, "svcdesc", bytes, hex_parse(bodies[i], bytes));
		CHECK_EQ(object_check(object_bytes, writer_len(&w), "svcdesc"), WEFT_EMALFORMED);
	}
}

static void test_a_field_too_many_is_refused(void)
{
	size_t len = object_make(100);

	object_bytes[0]++; /* map of four */
	object_bytes[len] = 3;
	object_bytes[len + 1] = 0;
	CHECK_EQ(object_check(object_bytes, len + 2, "svcdesc"), WEFT_EMALFORMED);
}

static void test_a_buffer_too_small_is_reported(void)
{
	size_t len = object_make(100);

	for (size_t cap = 0; cap < len; cap++) {
		struct writer w = writer_of(object_bytes, cap);

		signed_write(&w, key, "svcdesc", body, 100);
		CHECK(w.bad);
	}
}

/* RFC 8032, 5.1: the order of the base point, little endian. */
static const uint8_t group_order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,	      0xd6,
					0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};

/* S + L satisfies the same equation: a second signature, made without the key. */
static void test_a_malleated_signature_is_refused(void)
{
	struct signed_object object;
	uint8_t signature[NODE_KEY_SIG_LEN];
	size_t len = object_make(100);
	unsigned carry = 0;

	CHECK_EQ(signed_parse(object_bytes, len, &object), 0);
	memcpy(signature, object.signature, sizeof(signature));
	for (unsigned i = 0; i < 32; i++) {
		carry += (unsigned)signature[32 + i] + group_order[i];
		signature[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	CHECK_EQ(carry, 0);
	object.signature = signature;
	CHECK_EQ(signed_verify(&object, "svcdesc"), WEFT_EDAMAGED);
}

/* Points of small order and encodings that are not canonical: under them R = A, S = 0 may hold for any text. */
static void test_keys_of_small_order_are_refused(void)
{
	static const char *const keys[] = {
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0100000000000000000000000000000000000000000000000000000000000080",
	};
	size_t len = object_make(100);
	struct signed_object object;
	uint8_t signer[NODE_KEY_LEN], signature[NODE_KEY_SIG_LEN] = {0};

	CHECK_EQ(signed_parse(object_bytes, len, &object), 0);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		hex_parse(keys[i], signer);
		memcpy(signature, signer, sizeof(signer));
		object.signer = signer;
		object.signature = signature;
		CHECK_EQ(signed_verify(&object, "svcdesc"), WEFT_EDAMAGED);
	}
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};

	if (node_key_from_seed(seed, &key) < 0)
		return 1;
	RUN(test_what_was_signed_is_verified);
	RUN(test_another_kind_is_refused);
	RUN(test_longest_body_fits_and_one_more_byte_does_not);
	RUN(test_every_prefix_is_refused);
	RUN(test_every_flipped_bit_is_refused);
	RUN(test_a_body_that_is_not_deterministic_is_refused);
	RUN(test_a_field_too_many_is_refused);
	RUN(test_a_buffer_too_small_is_reported);
	RUN(test_a_malleated_signature_is_refused);
	RUN(test_keys_of_small_order_are_refused);
	node_key_free(key);
	return check_done();
}
