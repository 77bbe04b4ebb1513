/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_WEB_WEB_PROOF_H
#define WEFT_RELAY_WEB_WEB_PROOF_H

#include "crypto/node_key.h"
#include "http/request_head.h"
#include "relay/web/web_frame.h"

/*
 * How a client proves its key (docs/wire/relay_web.md): by the TLS connection that it made, or by a
 * challenge. A proof by TLS is worth nothing on another connection. A challenge of an iroh version
 * may come from another relay, so its answer may be of use there. In that of mesh-relay-v1 the relay
 * is named.
 */
#define RELAY_WEB_EXPORTER_LABEL "iroh-relay handshake v1"
#define RELAY_WEB_AUTH_FIELD	 "x-iroh-relay-client-auth-v1"
#define RELAY_WEB_EXPORTED_LEN	 32

struct relay_web_proof {
	uint8_t key[RELAY_WEB_KEY_LEN];
	uint8_t signature[RELAY_WEB_SIGNATURE_LEN];
	uint8_t suffix[16]; /* of what TLS exports for key, whose first 16 bytes are signed */
};

/* relay_web_proof_parse reads the value of RELAY_WEB_AUTH_FIELD. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int relay_web_proof_parse(struct http_text text, struct relay_web_proof *out_proof);
/*
 * relay_web_proof_verify: 0, WEFT_ECLOSED: it belongs to another TLS connection; WEFT_EDAMAGED: the
 * signature is wrong.
 */
WEFT_MUST_CHECK
int relay_web_proof_verify(const struct relay_web_proof *proof,
			   const uint8_t exported[static RELAY_WEB_EXPORTED_LEN]);
/* relay_web_proof_write: the value by which key is proved where TLS exports the same. */
#define RELAY_WEB_PROOF_TEXT_CAP 152
void relay_web_proof_write(const struct node_key *key,
			   const uint8_t exported[static RELAY_WEB_EXPORTED_LEN],
			   char out_text[static RELAY_WEB_PROOF_TEXT_CAP]);

struct relay_web_challenge {
	enum relay_web_version version;
	const uint8_t *bytes;	  /* RELAY_WEB_CHALLENGE_LEN */
	const uint8_t *relay_key; /* of mesh-relay-v1 */
};
/* relay_web_challenge_verify: frame is AUTH. 0 or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int relay_web_challenge_verify(const struct relay_web_frame *frame,
			       const struct relay_web_challenge *challenge);
void relay_web_challenge_sign(const struct relay_web_challenge *challenge,
			      const struct node_key *key,
			      uint8_t out_signature[static RELAY_WEB_SIGNATURE_LEN]);

#endif
