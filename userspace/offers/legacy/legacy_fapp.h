/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_LEGACY_LEGACY_FAPP_H
#define WEFT_OFFERS_LEGACY_LEGACY_FAPP_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "offers/schema/schema.h"
#include "weft/err.h"

/*
 * The older wire of FAPP: a byte that says the type, and CBOR (docs/wire/legacy-fapp.md).
 *
 *	1 announce | 2 query | 3 response | 4 reserve | 5 confirm
 *
 * Nothing but that is known of it. What the CBOR holds is this program's choice: one map with text
 * keys. Those of the schema are the names of its fields and filters. Pure.
 */
#define LEGACY_FAPP_LEN_MAX	16384u
#define LEGACY_FAPP_RESULTS_MAX 50u /* announces of a response, read or written */
/* The version of the schema that announces are of. Their signature covers it. */
#define LEGACY_FAPP_VERSION 1u

enum legacy_fapp_tag {
	LEGACY_FAPP_ANNOUNCE = 1,
	LEGACY_FAPP_QUERY = 2,
	LEGACY_FAPP_RESPONSE = 3,
	LEGACY_FAPP_RESERVE = 4,
	LEGACY_FAPP_CONFIRM = 5,
};

/* Pointers borrow the map that was read. */
struct legacy_fapp_announce {
	const uint8_t *id;	  /* OFFER_ID_LEN */
	const uint8_t *key;	  /* OFFER_KEY_LEN, the therapist's */
	const uint8_t *signature; /* NODE_KEY_SIG_LEN; NULL: written without one */
	uint64_t sequence, timestamp_s;
	uint16_t ttl_hours;
};

/*
 * offers_legacy_fapp_tag: the type of a message whose rest is one map or array of deterministic CBOR;
 * *out_rest is that. 0: it is none.
 */
enum legacy_fapp_tag offers_legacy_fapp_tag(const uint8_t *bytes, size_t len,
					    struct cursor *out_rest);
/*
 * offers_legacy_fapp_announce reads the map of an announce; record is its fields by schema, which
 * point into it. 0 or WEFT_EMALFORMED with *fault.
 */
WEFT_MUST_CHECK
int offers_legacy_fapp_announce(const struct schema *schema, const struct cursor *map,
				struct legacy_fapp_announce *out, struct schema_record *record,
				struct schema_fault *fault);
/*
 * offers_legacy_fapp_message writes the service message that an announce means: an Announce in the
 * seed form, whose signature is the announce's. payload is room for its payload.
 */
void offers_legacy_fapp_message(const struct schema *schema,
				const struct legacy_fapp_announce *announce,
				const struct schema_record *record, struct writer *payload,
				struct writer *w);
/*
 * offers_legacy_fapp_query reads the map of a query into query; words, of LEGACY_FAPP_WORDS_CAP
 * bytes, are what that points into. 0 or WEFT_EMALFORMED with *fault.
 */
#define LEGACY_FAPP_WORDS_CAP 4096u
WEFT_MUST_CHECK
int offers_legacy_fapp_query(const struct schema *schema, const struct cursor *map,
			     struct schema_query *query, struct writer *words,
			     struct schema_fault *fault);
/* offers_legacy_fapp_results: max_results of a query, in [1, LEGACY_FAPP_RESULTS_MAX]. */
unsigned offers_legacy_fapp_results(const struct cursor *map);
/* offers_legacy_fapp_write writes the map of an announce. */
void offers_legacy_fapp_write(struct writer *w, const struct schema *schema,
			      const struct legacy_fapp_announce *announce,
			      const struct schema_record *record);

#endif
