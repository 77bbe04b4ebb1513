/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs of clients' keys, from both sides. Home. */
#include "relay/web/web_proof.h"

#include <string.h>

#include "codec/text/base64.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"

#define CHALLENGE_CONTEXT "iroh-relay handshake v1 challenge signature"
#define MESH_CONTEXT	  "mesh-relay-v1 challenge signature"
/* postcard: a key, a signature behind its length, a suffix. */
#define PROOF_LEN (RELAY_WEB_KEY_LEN + 1 + RELAY_WEB_SIGNATURE_LEN + 16)
/* base64url (RFC 4648, 5) without padding. */
#define PROOF_TEXT_LEN ((PROOF_LEN * 4 + 2) / 3)
#define SIGNED_LEN     16

_Static_assert(RELAY_WEB_PROOF_TEXT_CAP == PROOF_TEXT_LEN + 1, "the text and a NUL");
_Static_assert(PROOF_TEXT_LEN + 1 == BASE64_LEN(PROOF_LEN), "one letter of padding is left out");

/* The same bytes in the alphabet of base64, with the padding. False: a letter that is none. */
static bool text_to_base64(struct http_text text, char out[static PROOF_TEXT_LEN + 1])
{
	for (size_t i = 0; i < PROOF_TEXT_LEN; i++) {
		if (text.at[i] == '+' || text.at[i] == '/')
			return false;
		out[i] = text.at[i] == '-' ? '+' : text.at[i] == '_' ? '/' : text.at[i];
	}
	out[PROOF_TEXT_LEN] = '=';
	return true;
}

int relay_web_proof_parse(struct http_text text, struct relay_web_proof *out_proof)
{
	struct relay_web_proof proof;
	char letters[PROOF_TEXT_LEN + 1];
	uint8_t bytes[PROOF_LEN];
	struct cursor c;
	size_t len;

	if (text.len != PROOF_TEXT_LEN || !text_to_base64(text, letters) ||
	    base64_read(letters, sizeof(letters), bytes, sizeof(bytes), &len) < 0)
		return WEFT_EMALFORMED;
	c = cursor_of(bytes, len);
	cursor_copy(&c, proof.key, sizeof(proof.key));
	if (cursor_u8(&c) != RELAY_WEB_SIGNATURE_LEN)
		return WEFT_EMALFORMED;
	cursor_copy(&c, proof.signature, sizeof(proof.signature));
	cursor_copy(&c, proof.suffix, sizeof(proof.suffix));
	if (c.bad || cursor_left(&c))
		return WEFT_EMALFORMED;
	*out_proof = proof;
	return 0;
}

int relay_web_proof_verify(const struct relay_web_proof *proof,
			   const uint8_t exported[static RELAY_WEB_EXPORTED_LEN])
{
	if (memcmp(proof->suffix, exported + SIGNED_LEN, sizeof(proof->suffix)) != 0)
		return WEFT_ECLOSED;
	return node_key_verify(proof->key, exported, SIGNED_LEN, proof->signature);
}

void relay_web_proof_write(const struct node_key *key,
			   const uint8_t exported[static RELAY_WEB_EXPORTED_LEN],
			   char out_text[static RELAY_WEB_PROOF_TEXT_CAP])
{
	uint8_t bytes[PROOF_LEN], signature[RELAY_WEB_SIGNATURE_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));
	char text[BASE64_LEN(PROOF_LEN) + 1];

	node_key_sign(key, exported, SIGNED_LEN, signature);
	writer_bytes(&w, node_key_public(key), RELAY_WEB_KEY_LEN);
	writer_u8(&w, sizeof(signature));
	writer_bytes(&w, signature, sizeof(signature));
	writer_bytes(&w, exported + SIGNED_LEN, RELAY_WEB_EXPORTED_LEN - SIGNED_LEN);
	base64_write(bytes, sizeof(bytes), text);
	for (size_t i = 0; i < PROOF_TEXT_LEN; i++)
		out_text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
	out_text[PROOF_TEXT_LEN] = '\0';
}

static void challenge_derive(const struct relay_web_challenge *challenge,
			     uint8_t out[static BLAKE3_HASH_LEN])
{
	uint8_t material[RELAY_WEB_CHALLENGE_LEN + RELAY_WEB_KEY_LEN];
	struct writer w = writer_of(material, sizeof(material));
	bool is_mesh = challenge->version == RELAY_WEB_MESH_V1;

	writer_bytes(&w, challenge->bytes, RELAY_WEB_CHALLENGE_LEN);
	if (is_mesh)
		writer_bytes(&w, challenge->relay_key, RELAY_WEB_KEY_LEN);
	blake3_derive_key(is_mesh ? MESH_CONTEXT : CHALLENGE_CONTEXT, material, writer_len(&w), out,
			  BLAKE3_HASH_LEN);
}

int relay_web_challenge_verify(const struct relay_web_frame *frame,
			       const struct relay_web_challenge *challenge)
{
	uint8_t message[BLAKE3_HASH_LEN];

	challenge_derive(challenge, message);
	return node_key_verify(frame->key, message, sizeof(message), frame->data);
}

void relay_web_challenge_sign(const struct relay_web_challenge *challenge,
			      const struct node_key *key,
			      uint8_t out_signature[static RELAY_WEB_SIGNATURE_LEN])
{
	uint8_t message[BLAKE3_HASH_LEN];

	challenge_derive(challenge, message);
	node_key_sign(key, message, sizeof(message), out_signature);
}
