/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/statement.h"

#include <errno.h>

#include "crypto/signed.h"
#include "support/check.h"
#include "support/fail_alloc.h"

static struct node_key *key;
static uint8_t body[STATEMENT_BODY_LEN_MAX], signature[NODE_KEY_SIG_LEN];

static struct statement statement_of(size_t head_len, size_t len)
{
	return (struct statement){.tag = "svcmsg",
				  .head = body,
				  .head_len = head_len,
				  .rest = body + head_len,
				  .rest_len = len - head_len};
}

static void test_a_body_in_two_parts_is_signed_as_in_one(void)
{
	struct statement whole = statement_of(300, 300);

	CHECK_EQ(statement_sign(&whole, key, signature), 0);
	for (size_t head_len = 0; head_len <= 300; head_len++) {
		struct statement parts = statement_of(head_len, 300);

		CHECK_EQ(statement_verify(&parts, node_key_public(key), signature), 0);
	}
	whole.rest_len = 1;
	CHECK_EQ(statement_verify(&whole, node_key_public(key), signature), WEFT_EDAMAGED);
}

/* "MESHSIG1" | 3 | "tag" | 0 0 0 2 | "ab" */
static void test_the_text_is_the_one_that_is_stated(void)
{
	static const char text[] = "MESHSIG1\003tag\0\0\0\002ab";
	const struct statement statement = {
		.tag = "tag", .head = "a", .head_len = 1, .rest = "b", .rest_len = 1};

	CHECK_EQ(statement_sign(&statement, key, signature), 0);
	CHECK_EQ(node_key_verify(node_key_public(key), text, sizeof(text) - 1, signature), 0);
}

static void test_a_signed_object_is_such_a_statement(void)
{
	static const uint8_t zero[1];
	const struct statement statement = {.tag = "tag", .head = zero, .head_len = 1};
	uint8_t bytes[SIGNED_OVERHEAD_MAX + 1];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct signed_object object;

	signed_write(&w, key, "tag", zero, sizeof(zero));
	CHECK_EQ(signed_parse(bytes, writer_len(&w), &object), 0);
	CHECK_EQ(statement_verify(&statement, object.signer, object.signature), 0);
}

static void test_only_a_long_body_needs_memory(void)
{
	struct statement fits = statement_of(64, STATEMENT_BODY_LEN_ON_STACK);
	struct statement too_long = statement_of(64, STATEMENT_BODY_LEN_ON_STACK + 1);

	fail_alloc_arm(1, 1000);
	CHECK_EQ(statement_sign(&fits, key, signature), 0);
	CHECK_EQ(statement_verify(&fits, node_key_public(key), signature), 0);
	CHECK_EQ(statement_sign(&too_long, key, signature), -ENOMEM);
	CHECK_EQ(statement_verify(&too_long, node_key_public(key), signature), -ENOMEM);
	CHECK(fail_alloc_disarm());
	CHECK_EQ(statement_sign(&too_long, key, signature), 0);
	CHECK_EQ(statement_verify(&too_long, node_key_public(key), signature), 0);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};

	if (node_key_from_seed(seed, &key) < 0)
		return 1;
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 7 + i / 251);
	RUN(test_a_body_in_two_parts_is_signed_as_in_one);
	RUN(test_the_text_is_the_one_that_is_stated);
	RUN(test_a_signed_object_is_such_a_statement);
	RUN(test_only_a_long_body_needs_memory);
	node_key_free(key);
	return check_done();
}
