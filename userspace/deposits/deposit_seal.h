/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DEPOSITS_DEPOSIT_SEAL_H
#define WEFT_DEPOSITS_DEPOSIT_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "deposits/deposit_message.h"

/*
 * What only the recipient of a deposit opens (crypto/node_box.h), and how a deposit is named:
 *
 *	id	the first 16 bytes of BLAKE3 derive_key("mesh/deposit/id/v1", receipt)
 *	sealed	node_box of kind 1 | receipt 16 | expires s 8 | content, bound to recipient 32 | id 16
 *
 * expires is the depositor's word. A STORE node, which may keep the deposit for less, cannot alter it.
 *
 * Pure, and thread-safe.
 */
#define DEPOSIT_PLAIN_LEN_MAX (DEPOSIT_HEAD_LEN + DEPOSIT_CONTENT_LEN_MAX)

void deposits_id_of(const uint8_t receipt[static DEPOSIT_RECEIPT_LEN],
		    uint8_t out_id[static DEPOSIT_ID_LEN]);

/* What is sealed; content borrows scratch after deposits_unseal. */
struct deposit_plain {
	uint8_t kind;
	uint8_t receipt[DEPOSIT_RECEIPT_LEN];
	uint64_t expires_s;
	const uint8_t *content;
	size_t len;
};
/*
 * deposits_seal writes a deposit for recipient, DEPOSIT_SEALED_LEN_MIN + plain->len bytes, by way of scratch.
 * 0, or WEFT_EMALFORMED: recipient is no key that anything can be sealed to.
 */
struct deposit_scratch {
	uint8_t bytes[DEPOSIT_PLAIN_LEN_MAX];
};
WEFT_MUST_CHECK
int deposits_seal(const uint8_t recipient[static DEPOSIT_KEY_LEN],
		  const struct deposit_plain *plain,
		  const uint8_t fresh[static NODE_BOX_RANDOM_LEN], struct deposit_scratch *scratch,
		  uint8_t *out);
/*
 * deposits_unseal opens row with its recipient's key into scratch. 0, WEFT_EDAMAGED (not
 * for key, altered, or under another name), or WEFT_EMALFORMED (longer or shorter than any deposit).
 */
WEFT_MUST_CHECK
int deposits_unseal(const struct node_key *key, const struct deposit_row_message *row,
		    struct deposit_scratch *scratch, struct deposit_plain *out_plain);

#endif
