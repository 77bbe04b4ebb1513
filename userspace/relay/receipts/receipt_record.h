/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_RECEIPTS_RECEIPT_RECORD_H
#define WEFT_RELAY_RECEIPTS_RECEIPT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

struct node_key;

/*
 * A receipt says how many bytes a relay carried for an owner of flows, as each of them counted it.
 * Both sign it (docs/wire/relay.md). The owner signs a claim with its count; the relay
 * signs a receipt around the claim, with its own count. Both are signed objects (crypto/signed.h).
 * Pure.
 *
 * Both counts are of the month so far, so the newest receipt stands for the month. The tolerance is one
 * of the month as well, however many receipts there are. What counts is the
 * smaller count, in each direction by itself. So neither signer gains by a count that is too high.
 *
 * A claim has the tag "relayclaim" and this body; another field makes it malformed:
 *
 *	0 relay 32 | 1 month, since 1970, of UTC | 2 serial in the month, from 1 | 3 sent | 4 received
 *	5 when, seconds since 1970
 *
 * A receipt has the tag "relayreceipt": 0 claim | 1 sent | 2 received | 3 when. Sent is what the
 * owner sent to its peers. Bytes are those of QUIC packets, without the label and what is before it.
 */
#define RELAY_CLAIM_TAG		"relayclaim"
#define RELAY_RECEIPT_TAG	"relayreceipt"
#define RELAY_RECEIPT_SCHEME	"mesh-relay-receipt:"
#define RELAY_CLAIM_LEN_MAX	256u
#define RELAY_RECEIPT_LEN_MAX	448u
#define RELAY_RECEIPT_TEXT_CAP	(sizeof(RELAY_RECEIPT_SCHEME) + (RELAY_RECEIPT_LEN_MAX * 8 + 4) / 5)
#define RELAY_RECEIPT_BYTES_MAX (1ull << 60) /* of each count */
#define RELAY_RECEIPT_MONTH_MAX 0xffffu	     /* the year 7431 */

/*
 * Two counts of a month agree if they differ by no more than this and a part of the larger one.
 * Packets that are lost before the relay, or that it drops for a rate, are in one count alone.
 */
#define RELAY_RECEIPT_SLACK	 (256u << 10)
#define RELAY_RECEIPT_SLACK_PART 4u
/* A claim may be made again for so long, and clocks may differ by so much. */
#define RELAY_CLAIM_LIFE_S 86400u
#define RELAY_CLAIM_SKEW_S 300u

struct relay_count {
	uint64_t sent, received;
};

struct relay_claim {
	uint8_t owner[32]; /* the signer */
	uint8_t relay[32];
	uint32_t month;
	uint32_t serial;
	struct relay_count counted; /* of the month so far */
	uint64_t made_s;
};

/* Its pointer borrows the bytes that were parsed. */
struct relay_receipt {
	uint8_t relay[32]; /* the signer */
	struct relay_claim claim;
	const uint8_t *claim_bytes;
	size_t claim_len;
	struct relay_count counted; /* of the month so far */
	uint64_t made_s;
};

/* relay_month_of: months since 1970, of UTC, at wall_s. */
uint32_t relay_month_of(uint64_t wall_s);

/* relay_count_agrees: within the tolerance above, in both directions. */
bool relay_count_agrees(const struct relay_count *a, const struct relay_count *b);
/* relay_count_smaller: the smaller one in each direction. */
struct relay_count relay_count_smaller(const struct relay_count *a, const struct relay_count *b);
/* relay_receipt_total: what both signers agree on, of the month up to this receipt. */
struct relay_count relay_receipt_total(const struct relay_receipt *receipt);

/* relay_claim_write signs claim with the owner's key, relay_receipt_write receipt with the relay's. */
void relay_claim_write(struct writer *w, const struct node_key *key, struct relay_claim *claim);
void relay_receipt_write(struct writer *w, const struct node_key *key,
			 struct relay_receipt *receipt);
/*
 * relay_claim_parse, relay_receipt_parse check form and numbers: 0, WEFT_EMALFORMED or
 * WEFT_ETOOLARGE. A receipt is malformed that no relay signs. It has another relay's claim, counts
 * that do not agree, or a time that does not follow the claim's.
 */
WEFT_MUST_CHECK
int relay_claim_parse(const void *bytes, size_t len, struct relay_claim *out_claim);
WEFT_MUST_CHECK
int relay_receipt_parse(const void *bytes, size_t len, struct relay_receipt *out_receipt);
/* relay_claim_verify, relay_receipt_verify: the signatures of parsed bytes. 0 or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int relay_claim_verify(const void *bytes, size_t len);
WEFT_MUST_CHECK
int relay_receipt_verify(const void *bytes, size_t len);

/* relay_receipt_text_write: at most RELAY_RECEIPT_LEN_MAX bytes; returns text. */
char *relay_receipt_text_write(const uint8_t *bytes, size_t len,
			       char text[static RELAY_RECEIPT_TEXT_CAP]);
/* relay_receipt_text_read: white space around is left out. 0, WEFT_EMALFORMED or WEFT_ETOOLARGE. */
WEFT_MUST_CHECK
int relay_receipt_text_read(const char *text, uint8_t bytes[static RELAY_RECEIPT_LEN_MAX],
			    size_t *out_len);

/* relay_month_text_write: "2026-11"; returns text. relay_month_text_read: 0 or WEFT_EMALFORMED. */
#define RELAY_MONTH_TEXT_CAP 16u
char *relay_month_text_write(uint32_t month, char text[static RELAY_MONTH_TEXT_CAP]);
WEFT_MUST_CHECK
int relay_month_text_read(const char *text, uint32_t *out_month);

#endif
