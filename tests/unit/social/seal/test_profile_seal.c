/* SPDX-License-Identifier: Apache-2.0 */
#include "social/seal/profile_seal.h"

#include <stdlib.h>
#include <string.h>

#include "support/check.h"

static struct node_key *author, *reader, *other;
static uint8_t sealed[PROFILE_SEAL_LEN], opened[PROFILE_SEAL_TEXT_MAX];
static const uint8_t fresh[PROFILE_SEAL_RANDOM_LEN] = {7, 8, 9};

static struct node_key *key_of(uint8_t byte)
{
	uint8_t seed[NODE_KEY_SEED_LEN];
	struct node_key *made;

	memset(seed, byte, sizeof(seed));
	if (node_key_from_seed(seed, &made) < 0)
		exit(1);
	return made;
}

static struct profile_seal seal_of(const struct node_key *to)
{
	return (struct profile_seal){node_key_public(author), node_key_public(to), fresh};
}

static int seal(const void *text, size_t len)
{
	const struct profile_seal seal = seal_of(reader);

	return social_profile_seal(&seal, author, text, len, sealed);
}

static int unseal(const struct node_key *to, const struct node_key *own, size_t *out_len)
{
	const struct profile_seal seal = seal_of(to);

	return social_profile_unseal(&seal, own, sealed, opened, out_len);
}

static void test_reader_and_author_open_it_and_no_other(void)
{
	size_t len;

	CHECK_EQ(seal("hello", 5), 0);
	CHECK_EQ(unseal(reader, reader, &len), 0);
	CHECK_EQ(len, 5);
	CHECK_MEM(opened, "hello", 5);
	CHECK_EQ(unseal(reader, author, &len), 0);
	CHECK_EQ(unseal(other, other, &len), WEFT_EDAMAGED);
	CHECK_EQ(unseal(reader, other, &len), WEFT_EDAMAGED);
}

static void test_the_longest_text_and_none_have_one_length(void)
{
	static uint8_t text[PROFILE_SEAL_TEXT_MAX];
	size_t len;

	memset(text, 'x', sizeof(text));
	CHECK_EQ(seal(text, sizeof(text)), 0);
	CHECK_EQ(unseal(reader, reader, &len), 0);
	CHECK_EQ(len, sizeof(text));
	CHECK_MEM(opened, text, sizeof(text));
	CHECK_EQ(seal(text, 0), 0);
	CHECK_EQ(unseal(reader, reader, &len), 0);
	CHECK_EQ(len, 0);
}

static void test_each_altered_byte_is_noticed(void)
{
	size_t len;

	CHECK_EQ(seal("hello", 5), 0);
	for (size_t at = 0; at < sizeof(sealed); at++) {
		sealed[at] ^= 1;
		CHECK_EQ(unseal(reader, reader, &len), WEFT_EDAMAGED);
		sealed[at] ^= 1;
	}
	CHECK_EQ(unseal(reader, reader, &len), 0);
}

int main(void)
{
	author = key_of(1);
	reader = key_of(2);
	other = key_of(3);
	RUN(test_reader_and_author_open_it_and_no_other);
	RUN(test_the_longest_text_and_none_have_one_length);
	RUN(test_each_altered_byte_is_noticed);
	node_key_free(author);
	node_key_free(reader);
	node_key_free(other);
	return check_done();
}
