/* SPDX-License-Identifier: Apache-2.0 */
#include "descriptor_proof.h"

#include <string.h>

#include "base/assert.h"
#include "codec/cbor.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"

#define PROOF_TAG      "calls"
#define PROOF_LEN_MAX  256
#define SESSION_ID_LEN 16
#define OBJECT_LEN_MAX (PROOF_LEN_MAX + SIGNED_OVERHEAD_MAX)

/* Writes what is signed; returns its length. */
static size_t proof_write(const struct service_call_head *head, const struct service_proof *proof,
			  uint8_t out[static PROOF_LEN_MAX])
{
	struct writer w = writer_of(out, PROOF_LEN_MAX);
	uint8_t hash[BLAKE3_HASH_LEN];

	blake3_hash(proof->payload, proof->len, hash);
	cbor_write_map(&w, 6);
	cbor_field_bytes(&w, 0, head->service_id, sizeof(head->service_id));
	cbor_field_text(&w, 1, head->method, strlen(head->method));
	cbor_field_bytes(&w, 2, head->correlation, sizeof(head->correlation));
	cbor_field_uint(&w, 3, head->signed_ms);
	cbor_field_bytes(&w, 4, hash, sizeof(hash));
	cbor_field_bytes(&w, 5, proof->session_id, SESSION_ID_LEN);
	weft_assert(!w.bad);
	return writer_len(&w);
}

void service_proof_make(struct service_call_head *head, const struct service_proof *proof,
			const struct node_key *key, uint64_t wall_ms)
{
	uint8_t body[PROOF_LEN_MAX], bytes[OBJECT_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct signed_object object;
	size_t body_len;
	int err;

	head->has_signature = true;
	head->signed_ms = wall_ms;
	body_len = proof_write(head, proof, body);
	signed_write(&w, key, PROOF_TAG, body, body_len);
	err = signed_parse(bytes, writer_len(&w), &object);
	weft_assert(!err);
	memcpy(head->signature, object.signature, sizeof(head->signature));
}

int service_proof_check(const struct service_call_head *head, const struct service_proof *proof,
			const uint8_t signer[MESH_KEY_LEN], uint64_t wall_ms)
{
	uint8_t body[PROOF_LEN_MAX];
	struct signed_object object = {
		.body = body, .signer = signer, .signature = head->signature};
	uint64_t skew_ms =
		head->signed_ms > wall_ms ? head->signed_ms - wall_ms : wall_ms - head->signed_ms;

	if (skew_ms > SERVICE_PROOF_SKEW_MS)
		return WEFT_ESTALE;
	object.body_len = proof_write(head, proof, body);
	return signed_verify(&object, PROOF_TAG);
}
