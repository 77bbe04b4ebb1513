/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_RECEIPTS_RECEIPT_MESSAGE_H
#define WEFT_RELAY_RECEIPTS_RECEIPT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "relay/receipts/receipt_record.h"
#include "weft/err.h"

/*
 * The payloads of 463. Asked: 1 claim | 2 the owner's newest receipt of that month?
 * Answered: 3 receipt, or 4 sent | 5 received, which are the relay's count where it does not agree.
 * What a parsed one points to lies in data; signed objects are not looked at.
 */
#define RELAY_CLAIM_MESSAGE_LEN_MAX   (RELAY_CLAIM_LEN_MAX + RELAY_RECEIPT_LEN_MAX + 16u)
#define RELAY_RECEIPT_MESSAGE_LEN_MAX (RELAY_RECEIPT_LEN_MAX + 16u)

struct relay_claim_message {
	const uint8_t *claim, *last;
	size_t claim_len, last_len; /* last_len 0: it has none */
};
struct relay_receipt_message {
	const uint8_t *receipt;
	size_t receipt_len; /* 0: the counts do not agree */
	struct relay_count counted;
};

/* relay_message_{claim,receipt}_{write,parse}. Parsing gives 0 or WEFT_EMALFORMED. */
void relay_message_claim_write(struct writer *w, const struct relay_claim_message *message);
WEFT_MUST_CHECK
int relay_message_claim_parse(const uint8_t *data, size_t len,
			      struct relay_claim_message *out_message);
void relay_message_receipt_write(struct writer *w, const struct relay_receipt_message *message);
WEFT_MUST_CHECK
int relay_message_receipt_parse(const uint8_t *data, size_t len,
				struct relay_receipt_message *out_message);

#endif
