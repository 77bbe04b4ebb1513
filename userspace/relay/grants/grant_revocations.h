/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_GRANTS_GRANT_REVOCATIONS_H
#define WEFT_RELAY_GRANTS_GRANT_REVOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

struct node_key;

/*
 * The revocation list of an operator: serials of grants that no relay honours
 * any more. A signed object (crypto/signed.h) with the tag "relayrevoke" and
 * this body (docs/wire/relay.md):
 *
 *	0 serial of the list, from 1 | 1 made, seconds since 1970 | 2 below? | 3 [serial]
 *
 * Grants with a serial less than below are revoked, and those listed, which
 * ascend. Among an operator's lists that of the highest serial holds alone, so
 * each repeats what its predecessor revoked; below makes room. Unknown fields
 * are stepped over. Pure.
 */
#define RELAY_REVOKE_TAG	  "relayrevoke"
#define RELAY_REVOKE_SCHEME	  "mesh-relay-revoke:"
#define RELAY_REVOKED_MAX	  4096u
#define RELAY_REVOCATIONS_LEN_MAX 40960u
#define RELAY_REVOCATIONS_TEXT_CAP                                                                 \
	(sizeof(RELAY_REVOKE_SCHEME) + (RELAY_REVOCATIONS_LEN_MAX * 8 + 4) / 5)

struct relay_revocations {
	uint8_t issuer[32]; /* the operator; the signer */
	uint64_t serial, made_s;
	uint64_t below; /* 0: none by that */
	uint64_t serials[RELAY_REVOKED_MAX];
	uint32_t cnt;
};

/* relay_revocations_write signs list with key, the operator's. */
void relay_revocations_write(struct writer *w, const struct node_key *key,
			     struct relay_revocations *list);
/*
 * relay_revocations_parse checks form and signature: 0, WEFT_EMALFORMED,
 * WEFT_ETOOLARGE, WEFT_EDAMAGED (the signature). On failure out_list is unspecified.
 */
WEFT_MUST_CHECK
int relay_revocations_parse(const void *bytes, size_t len, struct relay_revocations *out_list);
bool relay_revocations_have(const struct relay_revocations *list, uint64_t serial);
/*
 * relay_revocations_add: serial in its place. 0; WEFT_EEXISTS: it is revoked
 * already; WEFT_EFULL: RELAY_REVOKED_MAX are. relay_revocations_raise revokes
 * all below a serial, and drops those from the array.
 */
WEFT_MUST_CHECK
int relay_revocations_add(struct relay_revocations *list, uint64_t serial);
void relay_revocations_raise(struct relay_revocations *list, uint64_t below);

/* relay_revocations_text_{write,read}: as those of a grant. */
char *relay_revocations_text_write(const uint8_t *bytes, size_t len,
				   char text[static RELAY_REVOCATIONS_TEXT_CAP]);
WEFT_MUST_CHECK
int relay_revocations_text_read(const char *text, uint8_t bytes[static RELAY_REVOCATIONS_LEN_MAX],
				size_t *out_len);

#endif
