/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_MESSAGE_RESERVATION_MESSAGE_H
#define WEFT_OFFERS_MESSAGE_RESERVATION_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/agreed_box.h"
#include "offers/message/offer_terms.h"
#include "offers/message/service_message.h"
#include "weft/err.h"

/*
 * The payloads of a Reserve, a Confirm and a Cancel (docs/wire/offers.md): a
 * box between one consumer and one provider, which says nothing to others.
 *
 *	0 route token 16 | 1 offer id 16 | 2 one-time X25519 key 32 | 3 nonce 12 | 4 box
 *	box: 0 consumer's one-time Ed25519 key 32 | 1 STORE node 32 | 2 text? | 3 units?
 *	     4 true in a Cancel of the provider? | 5 time? | 6 TTL, hours?
 *
 * The consumer draws the one-time keys and the route token for this
 * reservation. A Confirm and a Cancel repeat the three fields before the
 * nonce. Keys 0 and 1 of the box are in a Reserve alone. Keys 5 and 6 are in messages of the
 * consumer, which have no signature. They are the header's time and TTL, which no relay can alter so.
 *
 * Pure, and thread-safe.
 */
#define RESERVATION_TOKEN_LEN	    16u
#define RESERVATION_TEXT_LEN_MAX    2000u
#define RESERVATION_CONTENT_LEN_MAX 2304u /* of a box that is open; a Reserve's has 2,097 at most */
#define RESERVATION_LEN_MAX	    2560u /* of the payload */

/* Pointers borrow the payload. */
struct reservation_message {
	const uint8_t *token;	 /* RESERVATION_TOKEN_LEN */
	const uint8_t *offer_id; /* OFFER_ID_LEN */
	const uint8_t *one_time; /* AGREED_KEY_LEN */
	const uint8_t *nonce;	 /* AGREED_NONCE_LEN */
	const uint8_t *box;
	size_t box_len;
};

/* Pointers borrow what the box was opened into. */
struct reservation_content {
	const uint8_t *consumer; /* NODE_KEY_LEN; NULL in a Confirm or a Cancel, as is store */
	const uint8_t *store;	 /* NODE_KEY_LEN: where answers are put for consumer */
	const char *text;	 /* for people; NULL, 0: none */
	size_t text_len;
	uint32_t units; /* 1 and more */
	/* Of a consumer's: the time and TTL of its message. 0: it does not say them under the seal. */
	uint64_t time_s;
	uint16_t ttl_hours;
};

/* What both sides of one reservation have, and no third. Secret: the caller wipes it. */
struct reservation_seal {
	uint32_t service;
	uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN];
	uint8_t token[RESERVATION_TOKEN_LEN];
	uint8_t offer_id[OFFER_ID_LEN];
	uint8_t one_time[AGREED_KEY_LEN];
	uint8_t shared[AGREED_KEY_LEN];
};

/* offers_reservation_parse: the payload of one of the three types. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int offers_reservation_parse(const struct service_message *msg,
			     struct reservation_message *out_reservation);

/*
 * offers_reservation_begin completes seal, whose service, provider, token and
 * offer_id are set, for a consumer. reserve_key is the offer's X25519 key, and
 * secret AGREED_KEY_LEN fresh random bytes. 0, or WEFT_EMALFORMED: no such key.
 */
WEFT_MUST_CHECK
int offers_reservation_begin(struct reservation_seal *seal, const uint8_t *reserve_key,
			     const uint8_t *secret);
/*
 * offers_reservation_meet makes the seal of a Reserve for its provider. secret
 * is that of the offer's X25519 key, or NULL for the image of key. 0, or
 * WEFT_EMALFORMED: the one-time key agrees on nothing.
 */
WEFT_MUST_CHECK
int offers_reservation_meet(struct reservation_seal *seal, const struct service_message *msg,
			    const struct reservation_message *reservation,
			    const struct node_key *key, const uint8_t *secret);

struct reservation_draft {
	uint8_t type; /* SERVICE_MESSAGE_RESERVE, SERVICE_MESSAGE_CONFIRM or SERVICE_MESSAGE_CANCEL */
	bool is_providers;    /* of a Cancel, which is signed then */
	const uint8_t *nonce; /* AGREED_NONCE_LEN fresh random bytes */
	struct reservation_content content;
};
/*
 * offers_reservation_write writes the payload of a message. Text that is too
 * long, no units, or fields that the type may not have make w bad.
 */
void offers_reservation_write(struct writer *w, const struct reservation_seal *seal,
			      const struct reservation_draft *draft);
/*
 * offers_reservation_open opens the box of msg into bytes. A Cancel is read as
 * the provider's where it has a signature, which is the caller's to verify,
 * and else as the consumer's.
 * Returns 0, or:
 *   WEFT_EDAMAGED    the box is of another reservation or type, or it or the date was altered
 *   WEFT_EMALFORMED  what is inside does not follow its format
 */
WEFT_MUST_CHECK
int offers_reservation_open(const struct reservation_seal *seal, const struct service_message *msg,
			    const struct reservation_message *reservation,
			    uint8_t bytes[static RESERVATION_CONTENT_LEN_MAX],
			    struct reservation_content *out_content);

#endif
