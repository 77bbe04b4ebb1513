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
	const struct relay_web_challenge iroh = {.version = RELAY_WEB_IROH_V1, .bytes = challenge};
	struct relay_web_frame frame = {.type = RELAY_WEB_AUTH,
					.key = (const uint8_t *)KEY,
					.data = answer,
					.len = sizeof(answer)};

	memset(challenge, 0x2a, sizeof(challenge));
	CHECK_EQ(relay_web_challenge_verify(&frame, &iroh), 0);
	challenge[15] ^= 1;
	CHECK_EQ(relay_web_challenge_verify(&frame, &iroh), WEFT_EDAMAGED);
}

/* Of b3sum and python3-nacl: the challenge, then the relay's key, which is 7 and zeros. */
static const uint8_t mesh_answer[RELAY_WEB_SIGNATURE_LEN] =
	"\xab\x85\x95\xa7\xf7\xc0\xfe\x9d\x97\xd0\xbf\xad\x05\x94\xa6\xf9"
	"\xdd\x61\x7b\xe8\xaa\xd1\x77\x48\xca\x21\xd1\xc4\xaa\xce\x01\xc8"
	"\xf0\x55\xec\xf6\x2e\xc8\xa0\xda\x54\x49\x29\x19\x0f\x2c\x2b\x16"
	"\xdd\xbc\xde\x5e\x56\x63\x1a\xca\xa6\x42\xb5\xbb\x9f\x8e\x17\x02";

static void test_the_answer_of_mesh_relay_v1_is_of_one_relay(void)
{
	uint8_t bytes[RELAY_WEB_CHALLENGE_LEN], relay_key[RELAY_WEB_KEY_LEN] = {7}, seed[32];
	uint8_t signature[RELAY_WEB_SIGNATURE_LEN];
	const struct relay_web_challenge challenge = {
		.version = RELAY_WEB_MESH_V1, .bytes = bytes, .relay_key = relay_key};
	struct relay_web_frame frame = {.type = RELAY_WEB_AUTH,
					.key = (const uint8_t *)KEY,
					.data = signature,
					.len = sizeof(signature)};
	struct node_key *key;

	memset(bytes, 0x2a, sizeof(bytes));
	memset(seed, 42, sizeof(seed));
	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	relay_web_challenge_sign(&challenge, key, signature);
	CHECK_MEM(signature, mesh_answer, sizeof(signature));
	CHECK_EQ(relay_web_challenge_verify(&frame, &challenge), 0);
	relay_key[31] ^= 1;
	CHECK_EQ(relay_web_challenge_verify(&frame, &challenge), WEFT_EDAMAGED);
	node_key_free(key);
}

static void test_what_is_written_is_the_vector(void)
{
	struct relay_web_challenge challenge = {.version = RELAY_WEB_IROH_V2};
	uint8_t exported[32], bytes[RELAY_WEB_CHALLENGE_LEN], seed[32];
	uint8_t signature[RELAY_WEB_SIGNATURE_LEN];
	char text[RELAY_WEB_PROOF_TEXT_CAP];
	struct node_key *key;

	exported_init(exported);
	memset(bytes, 0x2a, sizeof(bytes));
	memset(seed, 42, sizeof(seed));
	challenge.bytes = bytes;
	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	relay_web_proof_write(key, exported, text);
	CHECK_STR(text, field);
	relay_web_challenge_sign(&challenge, key, signature);
	CHECK_MEM(signature, answer, sizeof(signature));
	node_key_free(key);
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
	RUN(test_the_answer_of_mesh_relay_v1_is_of_one_relay);
	RUN(test_what_is_written_is_the_vector);
	RUN(test_the_field_is_the_vector);
	RUN(test_a_proof_of_another_connection_differs_from_a_wrong_one);
	RUN(test_a_field_that_is_not_whole_is_none);
	return check_done();
}
