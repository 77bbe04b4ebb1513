/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_MESSAGE_OFFER_TERMS_H
#define WEFT_OFFERS_MESSAGE_OFFER_TERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

struct service_message;

/*
 * The terms of a service offer: what the payload of an Announce, an Update or
 * a Revoke says whatever the service is. The payload is one map. Its keys 1
 * to 239 are the schema's, and no part of this:
 *
 *	0 provider's key 32 | 240 sequence | 241 offer id 16 | 242 base sequence
 *	243 units | 244 X25519 key for reservations 32 | 245 name of the schema
 *
 * An offer is named by its service, its provider and its offer id. Of what a
 * provider says of it, the highest sequence counts, then the latest timestamp.
 * An Update is cumulative: it stands on the Announce whose sequence is its
 * base, and takes back every earlier Update. Null takes back one field.
 *
 * In the seed form the keys may all be text, the names of the schema's
 * fields. Such a map says no terms.
 *
 * Pure, and thread-safe.
 */
#define OFFER_ID_LEN		  16u
#define OFFER_KEY_LEN		  32u
#define OFFER_SCHEMA_NAME_LEN_MAX 64u
/* The schema's keys are in [OFFER_FIELD_KEY_FIRST, OFFER_FIELD_KEY_LAST]. */
#define OFFER_FIELD_KEY_FIRST 1u
#define OFFER_FIELD_KEY_LAST  239u

/* Pointers borrow the payload. */
struct offer_terms {
	const uint8_t *provider_key; /* OFFER_KEY_LEN; NULL where it is not said */
	bool has_sequence;
	uint64_t sequence;		/* without one: the timestamp */
	uint8_t offer_id[OFFER_ID_LEN]; /* without one: zeros */
	uint64_t base;			/* of an Update: below sequence */
	bool has_units;
	uint32_t units; /* without: 1 */
	bool has_reserve_key;
	const uint8_t
		*reserve_key; /* OFFER_KEY_LEN; NULL: the X25519 image of the provider's key */
	const char *schema;   /* of OFFERS_CUSTOM_SERVICE; NULL, 0 without */
	size_t schema_len;
};

/* Fields of the schema, as pairs of a key and a value, encoded, in the order of their keys. */
struct offer_fields {
	const uint8_t *bytes;
	size_t len;
	unsigned cnt;
};

/*
 * offer_terms_read reads the payload of msg, an Announce, an Update or a Revoke, and checks that
 * it is one map in deterministic CBOR. The signature is checked by offers_message_verify with the key
 * that was read. Returns 0, or:
 *   WEFT_EMALFORMED  no such map, or a term that is missing, of another form or not for the type
 *   WEFT_EWRONGKEY   the provider's key is not that of the address
 */
WEFT_MUST_CHECK
int offer_terms_read(const struct service_message *msg, struct offer_terms *out_terms);
/*
 * offer_terms_write writes a payload. type is the message's; fields may be
 * NULL. What has its value without being said is not written.
 */
void offer_terms_write(struct writer *w, uint8_t type, const struct offer_terms *terms,
		       const struct offer_fields *fields);
/*
 * offer_terms_update makes of an Announce's terms those that hold since update, whose base they
 * are. Pointers of both are borrowed on.
 */
void offer_terms_update(struct offer_terms *terms, const struct offer_terms *update);

#endif
