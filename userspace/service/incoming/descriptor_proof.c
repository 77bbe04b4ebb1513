/* SPDX-License-Identifier: Apache-2.0 */
#include "descriptor_proof.h"

#include <string.h>

#include "base/assert.h"
#include "codec/cbor_fields.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"

#define PROOF_TAG      "calls"
#define PROOF_LEN_MAX  256
#define SESSION_ID_LEN 16
#define OBJECT_LEN_MAX (PROOF_LEN_MAX + SIGNED_OVERHEAD_MAX)

/* What is signed; nothing reads it, as both sides write it. */
struct statement {
	const uint8_t *service_id;
	const char *method;
	size_t method_len;
	const uint8_t *correlation;
	uint64_t signed_ms;
	uint8_t hash[BLAKE3_HASH_LEN]; /* of the payload */
	const uint8_t *session_id;
};

static const struct cbor_field statement_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct statement, service_id),
	 .max = SERVICE_ID_LEN},
	{1, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct statement, method),
	 CBOR_LEN(struct statement, method_len)},
	{2, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct statement, correlation),
	 .max = SERVICE_KEY_LEN},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct statement, signed_ms)},
	{4, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct statement, hash)},
	{5, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct statement, session_id),
	 .max = SESSION_ID_LEN},
};
static const struct cbor_table statement_table = {CBOR_FIELDS(statement_fields)};

/* Writes what is signed; returns its length. */
static size_t proof_write(const struct service_call_head *head, const struct service_proof *proof,
			  uint8_t out[static PROOF_LEN_MAX])
{
	struct writer w = writer_of(out, PROOF_LEN_MAX);
	struct statement statement = {.service_id = head->service_id,
				      .method = head->method,
				      .method_len = strlen(head->method),
				      .correlation = head->correlation,
				      .signed_ms = head->signed_ms,
				      .session_id = proof->session_id};

	blake3_hash(proof->payload, proof->len, statement.hash);
	cbor_fields_write(&w, &statement_table, &statement);
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
