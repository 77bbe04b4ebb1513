/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/endorsement.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/signed.h"
#include "offers/message/service_query.h"

_Static_assert(SERVICE_RESPONSE_ENDORSEMENT_LEN_MAX == ENDORSEMENT_LEN_MAX,
	       "a Response has any endorsement");

/* Key 6 is the time of expiry, or in the seed form the endorser's address. */
static void end_read(struct cbor_reader *r, void *record)
{
	struct endorsement *endorsement = record;

	if (endorsement->is_seed_form)
		cbor_read_fixed(r, endorsement->endorser_address, SERVICE_MESSAGE_ADDRESS_LEN);
	else
		endorsement->expires_s = cbor_read_uint(r);
}

static void end_write(struct writer *w, const void *record)
{
	const struct endorsement *endorsement = record;

	if (endorsement->is_seed_form)
		cbor_write_bytes(w, endorsement->endorser_address, SERVICE_MESSAGE_ADDRESS_LEN);
	else
		cbor_write_uint(w, endorsement->expires_s);
}

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct endorsement, provider),
	 .max = SERVICE_MESSAGE_ADDRESS_LEN},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct endorsement, service)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct endorsement, made_s)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct endorsement, level),
	 .max = ENDORSEMENT_LEVEL_MAX},
	{4, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct endorsement, credential),
	 .max = ENDORSEMENT_CREDENTIAL_LEN},
	{5, CBOR_FIELD_SPAN, CBOR_OPTIONAL, CBOR_AT(struct endorsement, reason),
	 CBOR_LEN(struct endorsement, reason_len), .min = 1, .max = ENDORSEMENT_REASON_LEN_MAX},
	{6, CBOR_FIELD_CODED, CBOR_NEEDED, .read = end_read, .write = end_write},
	/* Of the seed form alone. */
	{7, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct endorsement, signature),
	 .max = NODE_KEY_SIG_LEN},
	{8, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct endorsement, endorser),
	 .max = NODE_KEY_LEN},
};
/* Another field may say less than this reader would take it for. */
static const struct cbor_table table = {CBOR_FIELDS(fields), .is_closed = true};

/* provider 16 | service u32le | time u64le: what the seed form's signature covers. */
#define SEED_COVER_LEN (SERVICE_MESSAGE_ADDRESS_LEN + 4u + 8u)

static void seed_cover_make(const struct endorsement *endorsement,
			    uint8_t cover[static SEED_COVER_LEN])
{
	uint8_t *at = cover + SERVICE_MESSAGE_ADDRESS_LEN;

	memcpy(cover, endorsement->provider, SERVICE_MESSAGE_ADDRESS_LEN);
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(endorsement->service >> 8 * i);
	for (unsigned i = 0; i < 8; i++)
		at[4 + i] = (uint8_t)(endorsement->made_s >> 8 * i);
}

/* --- reading --- */

/* The rules that both a reader and a writer keep. */
static bool is_sound(const struct endorsement *endorsement)
{
	return endorsement->level <= ENDORSEMENT_LEVEL_MAX &&
	       endorsement->reason_len <= ENDORSEMENT_REASON_LEN_MAX &&
	       endorsement->service != OFFERS_ANY_SERVICE &&
	       endorsement->service != OFFERS_RESERVED_SERVICE &&
	       endorsement->expires_s > endorsement->made_s &&
	       endorsement->expires_s - endorsement->made_s <= ENDORSEMENT_LIFE_S_MAX &&
	       memcmp(endorsement->provider, endorsement->endorser_address,
		      SERVICE_MESSAGE_ADDRESS_LEN) != 0;
}

static uint64_t seed_expires_s(uint64_t made_s)
{
	return made_s > UINT64_MAX - ENDORSEMENT_SEED_LIFE_S ? UINT64_MAX
							     : made_s + ENDORSEMENT_SEED_LIFE_S;
}

/* Key 1 is a signed object's signer, and a number in the seed form. */
static bool is_object(const void *bytes, size_t len)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, bytes, len);
	cbor_enter_map(&r);
	if (cbor_next_key(&r, &key))
		cbor_skip(&r);
	return cbor_next_key(&r, &key) && key == 1 && cbor_peek(&r) == CBOR_BYTES;
}

static int full_parse(const void *bytes, size_t len, struct endorsement *endorsement)
{
	struct signed_object object;
	int err = signed_parse(bytes, len, &object);

	if (err == 0)
		err = cbor_fields_parse(object.body, object.body_len, &table, endorsement);
	if (err < 0)
		return err;
	if (endorsement->signature || endorsement->endorser)
		return WEFT_EMALFORMED;
	offers_address(object.signer, endorsement->endorser_address);
	endorsement->endorser = object.signer;
	endorsement->signature = object.signature;
	endorsement->body = object.body;
	endorsement->body_len = object.body_len;
	return 0;
}

static int seed_parse(const void *bytes, size_t len, struct endorsement *endorsement)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];
	int err;

	endorsement->is_seed_form = true;
	err = cbor_fields_parse(bytes, len, &table, endorsement);
	if (err < 0)
		return err;
	if (!endorsement->signature)
		return WEFT_EMALFORMED;
	endorsement->expires_s = seed_expires_s(endorsement->made_s);
	if (!endorsement->endorser)
		return 0;
	offers_address(endorsement->endorser, address);
	return memcmp(address, endorsement->endorser_address, sizeof(address)) == 0
		       ? 0
		       : WEFT_EWRONGKEY;
}

int offers_endorsement_parse(const void *bytes, size_t len, struct endorsement *out_endorsement)
{
	struct endorsement endorsement = {.level = 0};
	int err;

	if (len > ENDORSEMENT_LEN_MAX)
		return WEFT_ETOOLARGE;
	err = is_object(bytes, len) ? full_parse(bytes, len, &endorsement)
				    : seed_parse(bytes, len, &endorsement);
	if (err == 0 && !is_sound(&endorsement))
		err = WEFT_EMALFORMED;
	if (err == 0)
		*out_endorsement = endorsement;
	return err;
}

int offers_endorsement_verify(const struct endorsement *endorsement,
			      const uint8_t key[static NODE_KEY_LEN])
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN], cover[SEED_COVER_LEN];
	const struct signed_object object = {.body = endorsement->body,
					     .body_len = endorsement->body_len,
					     .signer = key,
					     .signature = endorsement->signature};

	offers_address(key, address);
	if (memcmp(address, endorsement->endorser_address, sizeof(address)) != 0)
		return WEFT_EWRONGKEY;
	if (!endorsement->is_seed_form)
		return signed_verify(&object, ENDORSEMENT_TAG);
	seed_cover_make(endorsement, cover);
	return node_key_verify(key, cover, sizeof(cover), endorsement->signature);
}

/* --- writing --- */

static void full_write(struct writer *w, struct endorsement *own, const struct node_key *key)
{
	uint8_t body[ENDORSEMENT_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body));

	own->signature = NULL;
	own->endorser = NULL;
	cbor_fields_write(&b, &table, own);
	w->bad |= b.bad;
	signed_write(w, key, ENDORSEMENT_TAG, body, writer_len(&b));
}

static void seed_write(struct writer *w, struct endorsement *own, const struct node_key *key)
{
	uint8_t signature[NODE_KEY_SIG_LEN], cover[SEED_COVER_LEN];

	seed_cover_make(own, cover);
	node_key_sign(key, cover, sizeof(cover), signature);
	own->signature = signature;
	own->endorser = node_key_public(key);
	cbor_fields_write(w, &table, own);
}

void offers_endorsement_write(struct writer *w, const struct endorsement *endorsement,
			      const struct node_key *key)
{
	struct endorsement own = *endorsement;

	offers_address(node_key_public(key), own.endorser_address);
	if (own.is_seed_form)
		own.expires_s = seed_expires_s(own.made_s);
	if (!is_sound(&own))
		w->bad = true;
	else if (own.is_seed_form)
		seed_write(w, &own, key);
	else
		full_write(w, &own, key);
}

/* --- what it counts for --- */

unsigned offers_endorsement_level(const struct endorsement *endorsement, bool is_registry)
{
	return endorsement->is_seed_form && !is_registry && endorsement->level > 1
		       ? 1
		       : endorsement->level;
}

enum service_message_time offers_endorsement_time(const struct endorsement *endorsement,
						  uint64_t now_s)
{
	if (endorsement->made_s > now_s && endorsement->made_s - now_s > SERVICE_MESSAGE_SKEW_S)
		return SERVICE_MESSAGE_EARLY;
	return now_s >= endorsement->expires_s ? SERVICE_MESSAGE_EXPIRED : SERVICE_MESSAGE_TIMELY;
}
