/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_MADE_OFFERS_H
#define BENCH_MADE_OFFERS_H

#include <stdbool.h>
#include <stdint.h>

#include "offers/message/offer_terms.h"
#include "offers/message/service_message.h"
#include "offers/schema/schema.h"

struct node_key;

/*
 * Made-up homes to let, each of its number alone: a third of them by providers of one offer. Their
 * texts have the length that such offers have.
 */
#define MADE_NOON_S 1800000000ull
#define MADE_WORDS  12u
extern const char *const made_words[MADE_WORDS];

struct made_offer {
	unsigned provider, kind, size, rent, rooms, deposit, stay, word_mask;
	uint64_t from_s;
	char postcode[6];
	bool is_furnished, has_pets;
};
void made_offer(uint32_t number, struct made_offer *out);

/* Its Announce. The signature is none: a store is given what was verified. */
struct made_message {
	uint8_t bytes[4096], payload[4000], pairs[4000], key[OFFER_KEY_LEN];
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];
	size_t len;
	struct offer_fields fields; /* in pairs */
	struct service_message msg;
	struct offer_terms terms;
};
/* made_message: of schema housing. A bench that cannot ends. */
void made_message(const struct schema *schema, uint32_t number, const struct made_offer *made,
		  struct made_message *out);
/* made_message_sign: out is an offer of signer from now on, with its signature. */
void made_message_sign(struct made_message *out, const struct node_key *signer);

#endif
