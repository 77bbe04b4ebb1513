/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reservations that this node receives for its offers, and what it answers. The rows here decide:
 * what is confirmed counts at once, and leaves this node when it is durable.
 */
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "codec/text/hex.h"
#include "crypto/node_key.h"
#include "offers/message/service_message.h"
#include "reservations_state.h"

#define S_PER_HOUR 3600u

/* --- keys --- */

void offers_reserve_secret(const struct node_key *key, uint32_t service,
			   const uint8_t offer_id[static OFFER_ID_LEN],
			   uint8_t out_secret[static AGREED_KEY_LEN])
{
	char text[2 * OFFER_ID_LEN + 1], label[80];

	hex_write(offer_id, OFFER_ID_LEN, text);
	snprintf(label, sizeof(label), "mesh/svc/reserve-key/v1/%u/%s", (unsigned)service, text);
	node_key_derive(key, label, out_secret);
}

/* An offer without a key of its own has the image of its provider's. */
int offers_reservation_seal_received(const struct reservations *reservations,
				     const struct reservation_record *record,
				     struct reservation_seal *seal)
{
	const struct reservation_parties *parties = &record->parties;
	const struct service_message message = {.service = record->service,
						.provider = parties->provider};
	const struct reservation_message reservation = {.token = parties->token,
							.offer_id = parties->offer_id,
							.one_time = parties->one_time};
	uint8_t secret[AGREED_KEY_LEN], public[AGREED_KEY_LEN];
	bool is_own_key;
	int err;

	offers_reserve_secret(reservations->params.key, record->service, parties->offer_id, secret);
	agreed_public(secret, public);
	is_own_key = memcmp(public, parties->reserve_key, sizeof(public)) == 0;
	err = offers_reservation_meet(seal, &message, &reservation, reservations->params.key,
				      is_own_key ? secret : NULL);
	explicit_bzero(secret, sizeof(secret));
	return err;
}

/* --- heard --- */

static void name_of(const struct reservation_record *record, struct offer_name *name)
{
	name->service = record->service;
	memcpy(name->provider, record->parties.provider, sizeof(name->provider));
	memcpy(name->offer_id, record->parties.offer_id, sizeof(name->offer_id));
}

/* What the outside of a message says of its reservation, and what is known of its offer. */
static enum reservation_verdict record_begin(struct reservations *reservations,
					     const struct reservation_heard *heard,
					     const struct reservation_message *reservation,
					     struct reservation_record *record)
{
	const struct reservations_around *around = &reservations->params.around;
	const struct service_message *message = heard->message;
	struct reservation_parties *parties = &record->parties;
	struct reservation_offer offer;
	struct offer_name name;

	record->service = message->service;
	record->version = message->version;
	record->made_s = message->timestamp_s;
	memcpy(parties->provider, message->provider, sizeof(parties->provider));
	memcpy(parties->offer_id, reservation->offer_id, sizeof(parties->offer_id));
	memcpy(parties->token, reservation->token, sizeof(parties->token));
	memcpy(parties->one_time, reservation->one_time, sizeof(parties->one_time));
	name_of(record, &name);
	if (around->offer(around->ctx, &name, &offer) < 0 || !offer.is_own)
		return RESERVATION_NO_OFFER;
	memcpy(parties->provider_key, offer.provider_key, sizeof(parties->provider_key));
	memcpy(parties->reserve_key, offer.reserve_key, sizeof(parties->reserve_key));
	record->offer_expires_s = offer.expires_s;
	return RESERVATION_TAKEN;
}

/* An open box, and where its texts lie. */
struct opened {
	uint8_t bytes[RESERVATION_CONTENT_LEN_MAX];
	struct reservation_content content;
};

static bool box_open(struct reservations *reservations, const struct reservation_heard *heard,
		     const struct reservation_message *reservation,
		     const struct reservation_record *record, struct opened *opened)
{
	struct reservation_seal seal;
	bool is_opened = offers_reservation_seal_received(reservations, record, &seal) == 0 &&
			 offers_reservation_open(&seal, heard->message, reservation, opened->bytes,
						 &opened->content) == 0;

	explicit_bzero(&seal, sizeof(seal));
	return is_opened;
}

static enum reservation_verdict reserve_enter(struct reservations *reservations,
					      const struct reservation_heard *heard,
					      const struct reservation_record *record,
					      const uint8_t *id)
{
	struct reservation_waiter *waiter = offers_reservation_keep_acquire(reservations);
	struct reservation *row = NULL;

	if (waiter)
		row = offers_reservation_add(reservations, id, record);
	if (!row) {
		if (waiter)
			offers_reservation_keep_cancel(reservations, waiter);
		return RESERVATION_LAGS;
	}
	if (!offers_reservation_share(row, heard->now_ns)) {
		offers_reservation_drop(row, false, heard->now_ns);
		offers_reservation_keep_cancel(reservations, waiter);
		return RESERVATION_NO_ROOM;
	}
	waiter->kind = RESERVATION_EVENT_ASKED;
	waiter->is_boxed = !heard->neighbour;
	waiter->ticket = heard->ticket;
	offers_reservation_renew(row, heard->now_ns);
	offers_reservation_keep_put(row, waiter, heard->now_ns);
	return RESERVATION_TAKEN;
}

static enum reservation_verdict on_reserve(struct reservations *reservations,
					   const struct reservation_heard *heard,
					   const struct reservation_message *reservation)
{
	struct reservation_record record = {.state = RESERVATION_ASKED,
					    .class = (uint8_t)heard->class};
	const struct reservation *row;
	const struct reservation_content *content;
	uint8_t id[RESERVATION_ID_LEN];
	struct opened opened;
	enum reservation_verdict verdict = record_begin(reservations, heard, reservation, &record);

	offers_reservation_id(&record, id);
	row = map_lookup(&reservations->by_id, id);
	/* A box keeps its copy until this one is durable. */
	if (row)
		return !heard->neighbour && row->pending_cnt > 0 ? RESERVATION_LAGS
								 : RESERVATION_KNOWN;
	if (verdict != RESERVATION_TAKEN)
		return verdict;
	content = &opened.content;
	if (!box_open(reservations, heard, reservation, &record, &opened) ||
	    !node_key_is_sound(content->consumer) || !node_key_is_sound(content->store))
		return RESERVATION_NOT_FOR;
	record.changed_s = offers_reservations_wall_s(reservations);
	record.expires_s = offers_message_expires_s(heard->message);
	/* No proof covers the time of a Reserve, so it holds no place for longer than one may. */
	if (record.expires_s > record.changed_s + RESERVATION_HOURS_MAX * S_PER_HOUR)
		record.expires_s = record.changed_s + RESERVATION_HOURS_MAX * S_PER_HOUR;
	if (record.expires_s > record.offer_expires_s)
		record.expires_s = record.offer_expires_s;
	record.units = content->units;
	record.text = content->text;
	record.text_len = content->text_len;
	memcpy(record.parties.consumer, content->consumer, NODE_KEY_LEN);
	memcpy(record.parties.store, content->store, NODE_KEY_LEN);
	if (heard->neighbour)
		memcpy(record.parties.neighbour, heard->neighbour, NODE_KEY_LEN);
	if (heard->source) {
		record.source.family = heard->source->family;
		memcpy(record.source.ip, heard->source->ip, sizeof(record.source.ip));
	}
	return reserve_enter(reservations, heard, &record, id);
}

/* The consumer gives its reservation up; the seal proves that it is its own. */
static enum reservation_verdict on_cancel(struct reservations *reservations,
					  const struct reservation_heard *heard,
					  const struct reservation_message *reservation)
{
	const struct reservation_waiter like = {.kind = RESERVATION_EVENT_CANCELLED,
						.is_boxed = !heard->neighbour,
						.ticket = heard->ticket};
	struct reservation_record record = {.service = heard->message->service};
	uint8_t id[RESERVATION_ID_LEN];
	struct reservation *row;
	struct opened opened;

	memcpy(record.parties.provider, heard->message->provider, SERVICE_MESSAGE_ADDRESS_LEN);
	memcpy(record.parties.offer_id, reservation->offer_id, OFFER_ID_LEN);
	memcpy(record.parties.one_time, reservation->one_time, AGREED_KEY_LEN);
	offers_reservation_id(&record, id);
	row = map_lookup(&reservations->by_id, id);
	if (!row || row->record.is_made)
		return RESERVATION_NO_OFFER;
	if (!box_open(reservations, heard, reservation, &row->record, &opened))
		return RESERVATION_NOT_FOR;
	if (!reservation_is_open(row))
		return RESERVATION_KNOWN;
	record = row->record;
	record.state = RESERVATION_CANCELLED;
	record.changed_s = offers_reservations_wall_s(reservations);
	record.is_settled = true; /* the consumer knows */
	record.message = NULL;
	record.message_len = 0;
	if (opened.content.text_len) {
		record.text = opened.content.text;
		record.text_len = opened.content.text_len;
	}
	if (offers_reservation_change(row, &record, &like, heard->now_ns) < 0)
		return RESERVATION_LAGS;
	reservations->stats.cancelled_cnt++;
	return RESERVATION_TAKEN;
}

static void verdict_count(struct reservations_stats *stats, enum reservation_verdict verdict,
			  bool is_reserve)
{
	stats->heard_cnt++;
	stats->asked_cnt += verdict == RESERVATION_TAKEN && is_reserve;
	stats->known_cnt += verdict == RESERVATION_KNOWN;
	stats->unfit_cnt += verdict == RESERVATION_NOT_FOR;
	stats->stale_cnt += verdict == RESERVATION_NO_OFFER;
	stats->full_cnt += verdict == RESERVATION_NO_ROOM;
}

enum reservation_verdict offers_reservations_hear(struct reservations *reservations,
						  const struct reservation_heard *heard)
{
	bool is_reserve = heard->message->type == SERVICE_MESSAGE_RESERVE;
	enum reservation_verdict verdict = RESERVATION_NOT_FOR;
	struct reservation_message reservation;

	reservations->now_ns = heard->now_ns;
	if (offers_message_proof(heard->message) == SERVICE_MESSAGE_PROOF_SEAL &&
	    offers_reservation_parse(heard->message, &reservation) == 0)
		verdict = is_reserve ? on_reserve(reservations, heard, &reservation)
				     : on_cancel(reservations, heard, &reservation);
	verdict_count(&reservations->stats, verdict, is_reserve);
	return verdict;
}

/* --- answered --- */

struct answer {
	uint8_t state; /* of the reservation from then on */
	uint8_t type;
	enum reservation_event_kind kind;
};

/* A signed and sealed answer, into bytes; 0: it cannot be made. */
static size_t answer_make(const struct reservation *row, const struct answer *answer,
			  const struct reservation_change *change, uint8_t *bytes)
{
	struct reservations *reservations = row->owner;
	const struct reservation_record *record = &row->record;
	uint8_t payload[RESERVATION_LEN_MAX], nonce[AGREED_NONCE_LEN];
	struct writer p = writer_of(payload, sizeof(payload));
	struct writer w = writer_of(bytes, RESERVATION_MESSAGE_MAX);
	const struct reservation_draft draft = {
		.type = answer->type,
		.is_providers = answer->type == SERVICE_MESSAGE_CANCEL,
		.nonce = nonce,
		.content = {.text = change->text,
			    .text_len = change->text_len,
			    .units = record->units},
	};
	struct service_message message = {
		.service = record->service,
		.type = answer->type,
		.version = record->version,
		.is_full_cover = true,
		.hop_max = 1,
		.ttl_hours = RESERVATION_OVER_LIFE_S / S_PER_HOUR,
		.timestamp_s = offers_reservations_wall_s(reservations),
		.payload = payload,
	};
	struct reservation_seal seal;

	if (offers_reservation_seal_received(reservations, record, &seal) < 0)
		return 0;
	random_fill(reservations->params.random, nonce, sizeof(nonce));
	offers_reservation_write(&p, &seal, &draft);
	explicit_bzero(&seal, sizeof(seal));
	message.payload_len = writer_len(&p);
	offers_message_sign(&w, &message, reservations->params.key);
	return p.bad || w.bad ? 0 : writer_len(&w);
}

static int answer_give(struct reservation *row, const struct answer *answer,
		       const struct reservation_change *change)
{
	const struct reservation_waiter like = {
		.kind = answer->kind, .done = change->done, .arg = change->arg};
	struct reservation_record record = row->record;
	uint8_t message[RESERVATION_MESSAGE_MAX];
	int err;

	record.state = answer->state;
	record.changed_s = offers_reservations_wall_s(row->owner);
	record.is_settled = false;
	record.answer = change->text;
	record.answer_len = change->text_len;
	record.message = message;
	record.message_len = answer_make(row, answer, change, message);
	if (record.message_len == 0)
		return WEFT_ETOOLARGE;
	err = offers_reservation_change(row, &record, &like, change->now_ns);
	if (err == 0)
		offers_reservation_renew(row, change->now_ns);
	return err;
}

/* 0, or why row cannot be confirmed. */
static int confirm_check(const struct reservation *row)
{
	const struct reservations *reservations = row->owner;
	const struct reservations_around *around = &reservations->params.around;
	struct reservation_offer offer;
	struct offer_name name;
	struct fair_view places;

	if (row->record.state != RESERVATION_ASKED ||
	    offers_reservations_wall_s(reservations) >= row->record.expires_s)
		return WEFT_ESTALE;
	name_of(&row->record, &name);
	if (around->offer(around->ctx, &name, &offer) < 0)
		return WEFT_ESTALE;
	if (offers_reservations_confirmed(reservations, &name) + row->record.units > offer.units)
		return WEFT_EFULL;
	/* Beyond the part that is reserved for them, others could take their places. */
	fair_read(&reservations->places.fair, &places);
	return places.held_cnts[FAIR_CHOSEN] >= places.floor_cnts[FAIR_CHOSEN] ? WEFT_ETOOSMALL : 0;
}

static int decide(struct reservation *row, const struct reservation_change *change)
{
	static const struct answer confirm = {RESERVATION_CONFIRMED, SERVICE_MESSAGE_CONFIRM,
					      RESERVATION_EVENT_CONFIRMED};
	static const struct answer refuse = {RESERVATION_REFUSED, SERVICE_MESSAGE_CANCEL,
					     RESERVATION_EVENT_REFUSED};
	static const struct answer cancel = {RESERVATION_CANCELLED, SERVICE_MESSAGE_CANCEL,
					     RESERVATION_EVENT_CANCELLED};
	int err;

	if (row->record.is_made)
		return change->decision == RESERVATION_CANCEL
			       ? offers_reservation_cancel_made(row, change)
			       : WEFT_EWRONGKEY;
	switch (change->decision) {
	case RESERVATION_CONFIRM:
		err = confirm_check(row);
		return err < 0 ? err : answer_give(row, &confirm, change);
	case RESERVATION_REFUSE:
		return row->record.state == RESERVATION_ASKED ? answer_give(row, &refuse, change)
							      : WEFT_ESTALE;
	case RESERVATION_CANCEL:
		break;
	}
	return row->record.state == RESERVATION_CONFIRMED ? answer_give(row, &cancel, change)
							  : WEFT_ESTALE;
}

int offers_reservations_decide(struct reservations *reservations,
			       const struct reservation_change *change,
			       uint8_t out_id[static RESERVATION_ID_LEN])
{
	struct reservations_stats *stats = &reservations->stats;
	struct reservation *row;
	int err;

	reservations->now_ns = change->now_ns;
	row = offers_reservation_named(reservations, change->name, &err);
	if (!row)
		return err;
	if (change->text_len > RESERVATION_TEXT_LEN_MAX)
		return WEFT_ETOOLARGE;
	/* Looked at before an answer is signed: what was signed is kept. */
	if (offers_reservation_keep_is_full(reservations))
		return WEFT_EBUSY;
	memcpy(out_id, row->id, sizeof(row->id));
	err = decide(row, change);
	if (err < 0 || row->record.is_made)
		return err;
	stats->confirmed_cnt += change->decision == RESERVATION_CONFIRM;
	stats->refused_cnt += change->decision == RESERVATION_REFUSE;
	stats->cancelled_cnt += change->decision == RESERVATION_CANCEL;
	return 0;
}
