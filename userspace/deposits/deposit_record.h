/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DEPOSITS_DEPOSIT_RECORD_H
#define WEFT_DEPOSITS_DEPOSIT_RECORD_H

#include "base/addr.h"
#include "deposits/deposit_message.h"

/*
 * A deposit as it lies in the store, under the order in which it came (u64be):
 *
 *	layout u8 | kind u8 | flags u8 | part u8 | class u8 | family u8 | ip 16 | expires u64be
 *	peer 32 | recipient 32 | id 16 | receipt 16 | sealed
 */
enum deposit_record_kind {
	DEPOSIT_RECORD_KEPT,	  /* for its recipient; peer put it */
	DEPOSIT_RECORD_DELIVERED, /* it has gone, and does not come again; nothing is sealed */
	DEPOSIT_RECORD_OUT,	  /* of this node, for the STORE node peer */
	DEPOSIT_RECORD_KIND_CNT,
};
#define DEPOSIT_RECORD_KEY_LEN	8u
#define DEPOSIT_RECORD_HEAD_LEN 126u
#define DEPOSIT_RECORD_LEN_MAX	(DEPOSIT_RECORD_HEAD_LEN + DEPOSIT_SEALED_LEN_MAX)

/* Pointers borrow. */
struct deposit_record {
	enum deposit_record_kind kind;
	bool is_own;  /* it takes no room of others: of the outbox, or delivered to this node */
	uint8_t part; /* enum deposit_kind of one in the outbox */
	enum fair_class class;
	struct addr source; /* where peer was; of family ADDR_NONE: this node */
	uint64_t expires_s;
	const uint8_t *peer, *recipient; /* DEPOSIT_KEY_LEN */
	const uint8_t *id;
	const uint8_t *receipt; /* of one that was delivered; NULL: none is known */
	const uint8_t *sealed;
	size_t sealed_len;
};
void deposits_record_write(struct writer *w, const struct deposit_record *record);
/* deposits_record_parse: 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int deposits_record_parse(const void *bytes, size_t len, struct deposit_record *out_record);

#endif
