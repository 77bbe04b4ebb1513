/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "relay/web/web_proof.h"

/*
 * Made by python3-nacl and b3sum for the seed 42 x 32 and the challenge 0x2a x 16. TLS exports the
 * bytes 0 to 31. docs/wire/relay_web.md shows them.
 */
#define KEY                                                                                        \
	"\x19\x7f\x6b\x23\xe1\x6c\x85\x32\xc6\xab\xc8\x38\xfa\xcd\x5e\xa7"                         \
	"\x89\xbe\x0c\x76\xb2\x92\x03\x34\x03\x9b\xfa\x8b\x3d\x36\x8d\x61"
static const uint8_t answer[RELAY_WEB_SIGNATURE_LEN] =
	"\xc8\x30\xb3\xa8\x00\x1d\xce\xf6\xfe\x3c\x91\x09\xed\x65\x2a\xf1"
	"\x7d\x52\xba\xba\xb4\x2a\x30\x41\x58\xf0\x4b\x81\xe3\x1a\xf7\xd3"
	"\xd6\x38\x99\x2a\x6b\xe6\xcf\x58\xed\xa6\xd7\xe8\x6d\xd0\xaf\xa3"
	"\x69\x57\xa1\xc3\x40\x9a\x1e\x78\x8b\xf6\x2f\xa0\x68\x54\xcd\x01";
static const char field[] =
	"GX9rI-FshTLGq8g4-s1ep4m-DHaykgM0A5v6iz02jWFAQb98VXtFUshaBKOJKabtiBrsmgnPjpFdRpJqAzcy9jOA"
	"Pc-kOvzLgXjeT9vCG8qx2yO7aDoF4n5vbE4kJbh2CBAREhMUFRYXGBkaGxwdHh8";

static int parse(const char *text, size_t len, struct relay_web_proof *out_proof)
{
	return relay_web_proof_parse((struct http_text){text, len}, out_proof);
}

static void exported_init(uint8_t out[static 32])
{
	for (unsigned i = 0; i < 32; i++)
		out[i] = (uint8_t)i;
}

static void test_the_answer_to_a_challenge_is_the_vector(void)
{
	uint8_t challenge[RELAY_WEB_CHALLENGE_LEN];
	struct relay_web_frame frame = {.type = RELAY_WEB_AUTH,
					.key = (const uint8_t *)KEY,
					.data = answer,
					.len = sizeof(answer)};

	memset(challenge, 0x2a, sizeof(challenge));
	CHECK_EQ(relay_web_challenge_verify(&frame, challenge), 0);
	challenge[15] ^= 1;
	CHECK_EQ(relay_web_challenge_verify(&frame, challenge), WEFT_EDAMAGED);
}

static void test_the_field_is_the_vector(void)
{
	struct relay_web_proof proof;
	uint8_t exported[32];

	exported_init(exported);
	CHECK_EQ(parse(field, strlen(field), &proof), 0);
	CHECK_MEM(proof.key, KEY, sizeof(proof.key));
	CHECK_EQ(relay_web_proof_verify(&proof, exported), 0);
}

static void test_a_proof_of_another_connection_differs_from_a_wrong_one(void)
{
	struct relay_web_proof proof;
	uint8_t exported[32];

	CHECK_EQ(parse(field, strlen(field), &proof), 0);
	exported_init(exported);
	exported[31] ^= 1;
	CHECK_EQ(relay_web_proof_verify(&proof, exported), WEFT_ECLOSED);
	exported_init(exported);
	exported[0] ^= 1;
	CHECK_EQ(relay_web_proof_verify(&proof, exported), WEFT_EDAMAGED);
	exported_init(exported);
	proof.signature[3] ^= 1;
	CHECK_EQ(relay_web_proof_verify(&proof, exported), WEFT_EDAMAGED);
}

static void test_a_field_that_is_not_whole_is_none(void)
{
	char text[sizeof(field) + 1];
	struct relay_web_proof proof;

	for (size_t len = 0; len < strlen(field); len++)
		CHECK_EQ(parse(field, len, &proof), WEFT_EMALFORMED);
	memcpy(text, field, sizeof(field));
	text[strlen(field)] = '=';
	CHECK_EQ(parse(text, strlen(field) + 1, &proof), WEFT_EMALFORMED);
	/* The other alphabet, a letter that is none, bits that mean nothing, another length byte. */
	for (unsigned i = 0; i < 4; i++) {
		static const size_t at[] = {5, 5, sizeof(field) - 2, 43};
		static const char letters[] = "+!9B";

		memcpy(text, field, sizeof(field));
		text[at[i]] = letters[i];
		CHECK_EQ(parse(text, strlen(field), &proof), WEFT_EMALFORMED);
	}
}

int main(void)
{
	RUN(test_the_answer_to_a_challenge_is_the_vector);
	RUN(test_the_field_is_the_vector);
	RUN(test_a_proof_of_another_connection_differs_from_a_wrong_one);
	RUN(test_a_field_that_is_not_whole_is_none);
	return check_done();
}
