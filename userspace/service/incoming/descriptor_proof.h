/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_INCOMING_DESCRIPTOR_PROOF_H
#define WEFT_SERVICE_INCOMING_DESCRIPTOR_PROOF_H

#include "service/call_head.h"

struct node_key;

/*
 * The signature of a call, of kind "calls". It covers the service, method, correlation id, time,
 * BLAKE3 of the payload, and the id of the session that the call travels on. So it says nothing
 * on another session.
 */
#define SERVICE_PROOF_SKEW_MS 300000u /* of the two clocks */

/* The signed data beside the call's head. Borrowed. */
struct service_proof {
	const uint8_t *session_id; /* 16 bytes */
	const uint8_t *payload;
	size_t len;
};

/*
 * service_proof_make fills signature and signed_ms, now, of a head that is otherwise filled.
 * service_proof_check: 0, WEFT_ESTALE (its time) or WEFT_EDAMAGED.
 */
void service_proof_make(struct service_call_head *head, const struct service_proof *proof,
			const struct node_key *key, uint64_t wall_ms);
WEFT_MUST_CHECK
int service_proof_check(const struct service_call_head *head, const struct service_proof *proof,
			const uint8_t signer[MESH_KEY_LEN], uint64_t wall_ms);

#endif
