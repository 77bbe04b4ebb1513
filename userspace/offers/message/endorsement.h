/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_MESSAGE_ENDORSEMENT_H
#define WEFT_OFFERS_MESSAGE_ENDORSEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/node_key.h"
#include "offers/message/service_message.h"
#include "weft/err.h"

/*
 * An endorsement: what one node vouches for of a provider in one service
 * (docs/wire/offers.md). Of those with the same endorser, provider and service
 * the newest counts, and level 0 withdraws. There are two forms:
 *
 *	full cover  a signed object of tag "endorse": 0 provider 16 | 1 service | 2 time | 3 level
 *		    4 hash of a credential 32? | 5 reason? | 6 expires
 *	seed form   a map: 0 to 5 as above | 6 endorser's address 16 | 7 signature 64
 *		    8 endorser's key 32?; signed over provider, service and time alone
 *
 * A relay could raise the level of a seed form. So a reader takes it for 1 at
 * most, unless the endorser is a registry to that reader.
 *
 * Pure, and thread-safe.
 */
#define ENDORSEMENT_TAG		   "endorse"
#define ENDORSEMENT_LEN_MAX	   512u
#define ENDORSEMENT_CREDENTIAL_LEN 32u
#define ENDORSEMENT_REASON_LEN_MAX 200u
/* 1: a node that knows the provider; 2: a registry; 3: a credential that it checked. */
#define ENDORSEMENT_LEVEL_MAX  3u
#define ENDORSEMENT_LIFE_S_MAX (1827ull * 86400) /* five years */
/* The seed form does not say when it expires: as long as any message is kept. */
#define ENDORSEMENT_SEED_LIFE_S (SERVICE_MESSAGE_LIFE_H_MAX * 3600ull)

/* Pointers borrow the bytes that were parsed. */
struct endorsement {
	bool is_seed_form;
	const uint8_t *provider; /* SERVICE_MESSAGE_ADDRESS_LEN */
	uint32_t service;
	uint64_t made_s, expires_s; /* [made_s, expires_s) */
	uint8_t level;		    /* as it says: offers_endorsement_level */
	const uint8_t *credential;  /* ENDORSEMENT_CREDENTIAL_LEN, or NULL */
	const char *reason;	    /* for people; NULL, 0: none */
	size_t reason_len;
	uint8_t endorser_address[SERVICE_MESSAGE_ADDRESS_LEN];
	const uint8_t *endorser;  /* NODE_KEY_LEN; NULL in a seed form that does not say it */
	const uint8_t *signature; /* NODE_KEY_SIG_LEN */
	const uint8_t *body;	  /* of full cover, as it was signed */
	size_t body_len;
};

/*
 * offers_endorsement_parse reads either form. Returns 0, or:
 *   WEFT_EMALFORMED  neither form, a level above 3, a life that is none or too long, or an
 *		      endorser that vouches for itself
 *   WEFT_ETOOLARGE   more than ENDORSEMENT_LEN_MAX bytes
 *   WEFT_EWRONGKEY   the seed form's key is not that of its address
 */
WEFT_MUST_CHECK
int offers_endorsement_parse(const void *bytes, size_t len, struct endorsement *out_endorsement);
/*
 * offers_endorsement_verify checks the signature, which costs 50 us. key is
 * the endorser's; with full cover it is in the endorsement.
 * 0, WEFT_EWRONGKEY (another address) or WEFT_EDAMAGED.
 */
WEFT_MUST_CHECK
int offers_endorsement_verify(const struct endorsement *endorsement,
			      const uint8_t key[static NODE_KEY_LEN]);
/*
 * offers_endorsement_write signs with key, the endorser's, in the form that is_seed_form says.
 * Of endorsement it reads neither the endorser nor the signature. What no reader takes makes w bad.
 */
void offers_endorsement_write(struct writer *w, const struct endorsement *endorsement,
			      const struct node_key *key);

/* offers_endorsement_level: what the endorsement counts for, where its endorser is trusted. */
unsigned offers_endorsement_level(const struct endorsement *endorsement, bool is_registry);
enum service_message_time offers_endorsement_time(const struct endorsement *endorsement,
						  uint64_t now_s);

#endif
