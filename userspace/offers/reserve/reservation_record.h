/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_RESERVE_RESERVATION_RECORD_H
#define WEFT_OFFERS_RESERVE_RESERVATION_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/byte_cursor.h"
#include "base/fair/fair.h"
#include "crypto/agreed_box.h"
#include "offers/message/reservation_message.h"
#include "weft/err.h"

/*
 * A row of STORE_RESERVATIONS: one side's part in one reservation. Its key is the reservation's id,
 * 16 bytes. Its value:
 *
 *	u8 layout 1 | u8 flags: 1 made here, 2 settled | u8 state | u8 class | u8 family, 16 bytes of address
 *	u8 version of the schema
 *	u64be made, changed, expires, valid until, slot, end of the offer
 *	u32be service, units
 *	provider's address 16, its key 32 | offer id 16 | token 16 | X25519 key of the consumer 32, of
 *	the offer 32 | consumer's Ed25519 key 32 | STORE node 32 | neighbour 32
 *	u16be length, text of the consumer | u16be length, text of the provider | u16be length, message
 *
 * No secret is in it: the consumer's keys are made anew of its node's key and the token.
 *
 * A mark stands in the place of a row that a provider has no more, while its Reserve may still come:
 *
 *	u8 layout 2 | u8 flags: 1 a Cancel came before its Reserve | u8 class | u8 family, 16 bytes of address
 *	u64be valid until | neighbour 32 | offer id 16
 */
#define RESERVATION_ID_LEN	   16u
#define RESERVATION_MESSAGE_MAX	   (SERVICE_MESSAGE_HEAD_LEN + RESERVATION_LEN_MAX)
#define RESERVATION_RECORD_LEN_MAX 8192u /* more than any has */

enum reservation_state {
	RESERVATION_ASKED = 1,
	RESERVATION_CONFIRMED,
	RESERVATION_REFUSED,
	RESERVATION_CANCELLED,
	RESERVATION_EXPIRED,
	RESERVATION_STATE_CNT,
};

/* What names a reservation, and its two sides; bytes alone, as they lie in a record. */
struct reservation_parties {
	uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN], provider_key[NODE_KEY_LEN];
	uint8_t offer_id[OFFER_ID_LEN], token[RESERVATION_TOKEN_LEN];
	uint8_t one_time[AGREED_KEY_LEN]; /* X25519, the consumer's */
	uint8_t reserve_key
		[AGREED_KEY_LEN];	 /* X25519, the offer's, to which the Reserve is sealed */
	uint8_t consumer[NODE_KEY_LEN];	 /* Ed25519, one-time */
	uint8_t store[NODE_KEY_LEN];	 /* has the box for answers */
	uint8_t neighbour[NODE_KEY_LEN]; /* that a provider has it from; zeros: a box of its own */
};

/* Pointers borrow the bytes that were parsed. */
struct reservation_record {
	bool is_made; /* by this node, the consumer's; else it is the provider's */
	bool is_settled; /* message was taken: by its STORE node, or (a consumer's Cancel) the provider */
	uint8_t state, class, version;
	struct addr source; /* of the session that a provider has it by; no port */
	uint64_t made_s, changed_s, expires_s, offer_expires_s;
	uint64_t
		valid_s; /* of one that was received: no copy of its Reserve is taken from then on */
	uint64_t slot_s; /* the first time of its offer that was ahead when it was made; 0: none */
	uint32_t service, units;
	struct reservation_parties parties;
	const char *text; /* of the consumer; NULL, 0: none */
	size_t text_len;
	const char *answer; /* of the provider */
	size_t answer_len;
	const uint8_t *message; /* that this side sends: NULL, 0: none */
	size_t message_len;
};

/* What is left of a reservation that was received; bytes alone. */
struct reservation_mark_record {
	bool is_cancelled; /* by a Cancel that came before the Reserve */
	uint8_t class;
	struct addr source; /* of the session that brought it; no port */
	uint64_t until_s;
	uint8_t neighbour[NODE_KEY_LEN];
	uint8_t offer_id[OFFER_ID_LEN];
};
#define RESERVATION_MARK_LEN (20u + 8 + NODE_KEY_LEN + OFFER_ID_LEN)

void offers_reservation_record_write(struct writer *w, const struct reservation_record *record);
/* offers_reservation_record_parse does not look into the message. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int offers_reservation_record_parse(const void *data, size_t len,
				    struct reservation_record *out_record);
/* The same of a mark; RESERVATION_MARK_LEN bytes. */
void offers_reservation_mark_write(struct writer *w, const struct reservation_mark_record *mark);
WEFT_MUST_CHECK
int offers_reservation_mark_parse(const void *data, size_t len,
				  struct reservation_mark_record *out_mark);

#endif
