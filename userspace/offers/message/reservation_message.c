/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/reservation_message.h"

#include <string.h>

#include "codec/cbor_fields.h"

static const struct cbor_field outer_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct reservation_message, token),
	 .max = RESERVATION_TOKEN_LEN},
	{1, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct reservation_message, offer_id),
	 .max = OFFER_ID_LEN},
	{2, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct reservation_message, one_time),
	 .max = AGREED_KEY_LEN},
	{3, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct reservation_message, nonce),
	 .max = AGREED_NONCE_LEN},
	{4, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct reservation_message, box),
	 CBOR_LEN(struct reservation_message, box_len), .min = AGREED_TAG_LEN + 1,
	 .max = RESERVATION_CONTENT_LEN_MAX + AGREED_TAG_LEN},
};
static const struct cbor_table outer_table = {CBOR_FIELDS(outer_fields)};

/* What a box says. */
struct box_text {
	struct reservation_content content;
	bool is_providers;
};

static const struct cbor_field inner_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct box_text, content.consumer),
	 .max = NODE_KEY_LEN},
	{1, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct box_text, content.store),
	 .max = NODE_KEY_LEN},
	{2, CBOR_FIELD_SPAN, CBOR_OPTIONAL, CBOR_AT(struct box_text, content.text),
	 CBOR_LEN(struct box_text, content.text_len), .min = 1, .max = RESERVATION_TEXT_LEN_MAX},
	{3, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct box_text, content.units)},
	{4, CBOR_FIELD_FLAG, CBOR_OPTIONAL, CBOR_AT(struct box_text, is_providers)},
	{5, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct box_text, content.time_s)},
	{6, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct box_text, content.ttl_hours)},
};
static const struct cbor_table inner_table = {CBOR_FIELDS(inner_fields)};

/* service 4 | provider 16 | offer id 16 | one-time key 32: what a box is bound to. */
#define BOUND_LEN (4u + SERVICE_MESSAGE_ADDRESS_LEN + OFFER_ID_LEN + AGREED_KEY_LEN)

/* --- the payload --- */

/* The key of a box is that of its type, so that none opens as another. */
static const char *purpose_of(uint8_t type)
{
	switch (type) {
	case SERVICE_MESSAGE_RESERVE:
		return "mesh/svc/reserve/v1";
	case SERVICE_MESSAGE_CONFIRM:
		return "mesh/svc/confirm/v1";
	case SERVICE_MESSAGE_CANCEL:
		return "mesh/svc/cancel/v1";
	default:
		return NULL;
	}
}

int offers_reservation_parse(const struct service_message *msg,
			     struct reservation_message *out_reservation)
{
	struct reservation_message reservation;

	if (!purpose_of(msg->type) || msg->payload_len > RESERVATION_LEN_MAX ||
	    cbor_fields_parse(msg->payload, msg->payload_len, &outer_table, &reservation) < 0)
		return WEFT_EMALFORMED;
	*out_reservation = reservation;
	return 0;
}

/* --- the seal --- */

int offers_reservation_begin(struct reservation_seal *seal, const uint8_t *reserve_key,
			     const uint8_t *secret)
{
	agreed_public(secret, seal->one_time);
	return agreed_with(secret, reserve_key, seal->shared);
}

int offers_reservation_meet(struct reservation_seal *seal, const struct service_message *msg,
			    const struct reservation_message *reservation,
			    const struct node_key *key, const uint8_t *secret)
{
	seal->service = msg->service;
	memcpy(seal->provider, msg->provider, sizeof(seal->provider));
	memcpy(seal->token, reservation->token, sizeof(seal->token));
	memcpy(seal->offer_id, reservation->offer_id, sizeof(seal->offer_id));
	memcpy(seal->one_time, reservation->one_time, sizeof(seal->one_time));
	return secret ? agreed_with(secret, reservation->one_time, seal->shared)
		      : agreed_with_node(key, reservation->one_time, seal->shared);
}

static void box_key(const struct reservation_seal *seal, uint8_t type,
		    uint8_t out_key[static AGREED_KEY_LEN])
{
	const struct agreed_purpose purpose = {
		.salt = seal->offer_id, .salt_len = OFFER_ID_LEN, .info = purpose_of(type)};

	agreed_key(seal->shared, &purpose, out_key);
}

static void bound_write(const struct reservation_seal *seal, uint8_t bound[static BOUND_LEN])
{
	struct writer w = writer_of(bound, BOUND_LEN);

	for (unsigned i = 0; i < 4; i++)
		writer_u8(&w, (uint8_t)(seal->service >> 8 * i));
	writer_bytes(&w, seal->provider, SERVICE_MESSAGE_ADDRESS_LEN);
	writer_bytes(&w, seal->offer_id, OFFER_ID_LEN);
	writer_bytes(&w, seal->one_time, AGREED_KEY_LEN);
}

/* --- the box --- */

/* A Reserve says where its answers go, and they do not. What has a signature needs no other date. */
static bool content_fits(const struct box_text *text, uint8_t type)
{
	const struct reservation_content *content = &text->content;
	bool is_reserve = type == SERVICE_MESSAGE_RESERVE;
	bool is_dated = content->time_s > 0;

	return content->units > 0 && (content->consumer != NULL) == is_reserve &&
	       (content->store != NULL) == is_reserve && is_dated == (content->ttl_hours > 0) &&
	       !(is_dated && (type == SERVICE_MESSAGE_CONFIRM || text->is_providers));
}

/* One unit is not written. Returns 0 where there is no room. */
static size_t content_write(const struct reservation_draft *draft,
			    uint8_t out[static RESERVATION_CONTENT_LEN_MAX])
{
	struct box_text text = {.content = draft->content, .is_providers = draft->is_providers};
	struct writer w = writer_of(out, RESERVATION_CONTENT_LEN_MAX);

	if (text.content.units == 1)
		text.content.units = 0;
	cbor_fields_write(&w, &inner_table, &text);
	return w.bad ? 0 : writer_len(&w);
}

void offers_reservation_write(struct writer *w, const struct reservation_seal *seal,
			      const struct reservation_draft *draft)
{
	uint8_t content[RESERVATION_CONTENT_LEN_MAX], key[AGREED_KEY_LEN], bound[BOUND_LEN];
	uint8_t sealed[RESERVATION_CONTENT_LEN_MAX + AGREED_TAG_LEN];
	const struct agreed_box box = {key, draft->nonce, bound, sizeof(bound)};
	struct reservation_message reservation = {.token = seal->token,
						  .offer_id = seal->offer_id,
						  .one_time = seal->one_time,
						  .nonce = draft->nonce,
						  .box = sealed};
	const struct box_text text = {.content = draft->content,
				      .is_providers = draft->is_providers};
	size_t len = 0;

	if (purpose_of(draft->type) && content_fits(&text, draft->type) &&
	    draft->content.text_len <= RESERVATION_TEXT_LEN_MAX &&
	    (!draft->is_providers || draft->type == SERVICE_MESSAGE_CANCEL))
		len = content_write(draft, content);
	if (len == 0) {
		w->bad = true;
		return;
	}
	box_key(seal, draft->type, key);
	bound_write(seal, bound);
	agreed_box_seal(&box, content, len, sealed);
	reservation.box_len = len + AGREED_TAG_LEN;
	cbor_fields_write(w, &outer_table, &reservation);
	explicit_bzero(key, sizeof(key));
}

/* The route token is under no proof: one that was altered on the way spoils nothing. */
static bool is_same_reservation(const struct reservation_seal *seal,
				const struct service_message *msg,
				const struct reservation_message *reservation)
{
	return purpose_of(msg->type) && msg->service == seal->service &&
	       memcmp(msg->provider, seal->provider, sizeof(seal->provider)) == 0 &&
	       memcmp(reservation->offer_id, seal->offer_id, sizeof(seal->offer_id)) == 0 &&
	       memcmp(reservation->one_time, seal->one_time, sizeof(seal->one_time)) == 0;
}

int offers_reservation_open(const struct reservation_seal *seal, const struct service_message *msg,
			    const struct reservation_message *reservation,
			    uint8_t bytes[static RESERVATION_CONTENT_LEN_MAX],
			    struct reservation_content *out_content)
{
	bool is_signed = offers_message_proof(msg) == SERVICE_MESSAGE_PROOF_SIGNATURE;
	uint8_t key[AGREED_KEY_LEN], bound[BOUND_LEN];
	const struct agreed_box box = {key, reservation->nonce, bound, sizeof(bound)};
	struct box_text text = {.content = {.units = 1}};
	int err;

	if (!is_same_reservation(seal, msg, reservation) ||
	    reservation->box_len > RESERVATION_CONTENT_LEN_MAX + AGREED_TAG_LEN)
		return WEFT_EDAMAGED;
	box_key(seal, msg->type, key);
	bound_write(seal, bound);
	err = agreed_box_open(&box, reservation->box, reservation->box_len, bytes);
	explicit_bzero(key, sizeof(key));
	if (err < 0)
		return err;
	if (cbor_fields_parse(bytes, reservation->box_len - AGREED_TAG_LEN, &inner_table, &text) <
		    0 ||
	    !content_fits(&text, msg->type))
		return WEFT_EMALFORMED;
	if (text.content.time_s &&
	    (text.content.time_s != msg->timestamp_s || text.content.ttl_hours != msg->ttl_hours))
		return WEFT_EDAMAGED;
	/* Else a provider's Cancel without its signature would be the consumer's. */
	if (text.is_providers != (is_signed && msg->type == SERVICE_MESSAGE_CANCEL))
		return WEFT_EDAMAGED;
	*out_content = text.content;
	return 0;
}
