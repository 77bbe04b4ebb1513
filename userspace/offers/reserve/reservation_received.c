/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reservations that this node receives for its offers: Reserves, and Cancels of their consumers.
 */
#include <stdio.h>
#include <string.h>

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
	offers_reservation_name(record, &name);
	if (around->offer(around->ctx, &name, &offer) < 0 || !offer.is_own)
		return RESERVATION_NO_OFFER;
	memcpy(parties->provider_key, offer.provider_key, sizeof(parties->provider_key));
	memcpy(parties->reserve_key, offer.reserve_key, sizeof(parties->reserve_key));
	record->offer_expires_s = offer.expires_s;
	record->slot_s = offer.slot_s;
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

/*
 * When record ends without an answer, and until when a copy of its Reserve is taken. A date under the
 * seal is the consumer's. Another one may be a relay's. Then it holds no place for longer than one
 * may, and its copies come as long as the offer is there. false: its time is over.
 */
static bool record_date(const struct reservation_heard *heard,
			const struct reservation_content *content,
			struct reservation_record *record)
{
	uint64_t from_s = content->time_s ? content->time_s : record->changed_s;
	uint64_t end_s = from_s + RESERVATION_HOURS_MAX * S_PER_HOUR;

	record->expires_s = offers_message_expires_s(heard->message);
	if (record->expires_s > end_s)
		record->expires_s = end_s;
	if (record->expires_s > record->offer_expires_s)
		record->expires_s = record->offer_expires_s;
	record->valid_s = content->time_s ? record->expires_s : record->offer_expires_s;
	return record->expires_s > record->changed_s;
}

/* The session that heard came by. */
static void account_begin(const struct reservation_heard *heard, const uint8_t *offer_id,
			  struct reservation_mark_record *account)
{
	account->class = (uint8_t)heard->class;
	if (heard->neighbour)
		memcpy(account->neighbour, heard->neighbour, NODE_KEY_LEN);
	if (heard->source) {
		account->source.family = heard->source->family;
		memcpy(account->source.ip, heard->source->ip, sizeof(account->source.ip));
	}
	memcpy(account->offer_id, offer_id, sizeof(account->offer_id));
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
	if (record->state == RESERVATION_ASKED)
		waiter->kind = RESERVATION_EVENT_ASKED;
	waiter->is_boxed = !heard->neighbour;
	waiter->ticket = heard->ticket;
	offers_reservation_renew(row, heard->now_ns);
	offers_reservation_keep_put(row, waiter, heard->now_ns);
	return RESERVATION_TAKEN;
}

/* The Cancel of record was here before it: its consumer hears so, and no person is asked. */
static bool record_cancel(struct reservations *reservations, struct reservation_record *record,
			  uint8_t message[static RESERVATION_MESSAGE_MAX])
{
	static const struct reservation_change quietly = {.decision = RESERVATION_CANCEL};

	record->state = RESERVATION_CANCELLED;
	record->message = message;
	record->message_len = offers_reservation_answer_make(
		reservations, record, SERVICE_MESSAGE_CANCEL, &quietly, message);
	return record->message_len > 0;
}

/* What is known of a reservation without a row. TAKEN: nothing that speaks against it. */
static enum reservation_verdict mark_judge(const struct reservation_mark *mark,
					   const struct reservation_heard *heard)
{
	if (!mark)
		return RESERVATION_TAKEN;
	if (!heard->neighbour && mark->is_pending)
		return RESERVATION_LAGS;
	return mark->is_cancelled ? RESERVATION_TAKEN : RESERVATION_KNOWN;
}

static enum reservation_verdict on_reserve(struct reservations *reservations,
					   const struct reservation_heard *heard,
					   const struct reservation_message *reservation)
{
	struct reservation_record record = {.state = RESERVATION_ASKED,
					    .class = (uint8_t)heard->class};
	uint8_t id[RESERVATION_ID_LEN], message[RESERVATION_MESSAGE_MAX];
	const struct reservation_content *content;
	struct reservation_mark_record account = {0};
	const struct reservation_mark *mark;
	const struct reservation *row;
	struct opened opened;
	enum reservation_verdict verdict = record_begin(reservations, heard, reservation, &record);

	offers_reservation_id(&record, id);
	row = map_lookup(&reservations->by_id, id);
	/* A box keeps its copy until this one is durable. */
	if (row)
		return !heard->neighbour && row->is_pending ? RESERVATION_LAGS : RESERVATION_KNOWN;
	mark = offers_reservation_mark_lookup(reservations, id);
	if (verdict == RESERVATION_TAKEN)
		verdict = mark_judge(mark, heard);
	if (verdict != RESERVATION_TAKEN)
		return verdict;
	content = &opened.content;
	if (!box_open(reservations, heard, reservation, &record, &opened) ||
	    !node_key_is_sound(content->consumer) || !node_key_is_sound(content->store))
		return RESERVATION_NOT_FOR;
	record.changed_s = offers_reservations_wall_s(reservations);
	if (!record_date(heard, content, &record))
		return RESERVATION_NO_OFFER;
	record.units = content->units;
	record.text = content->text;
	record.text_len = content->text_len;
	memcpy(record.parties.consumer, content->consumer, NODE_KEY_LEN);
	memcpy(record.parties.store, content->store, NODE_KEY_LEN);
	account_begin(heard, reservation->offer_id, &account);
	memcpy(record.parties.neighbour, account.neighbour, NODE_KEY_LEN);
	record.source = account.source;
	if (mark && !record_cancel(reservations, &record, message))
		return RESERVATION_LAGS;
	return reserve_enter(reservations, heard, &record, id);
}

/*
 * A Cancel whose Reserve is not here: it may come yet. So its name is marked until that could not be
 * taken any more.
 */
static enum reservation_verdict cancel_early(struct reservations *reservations,
					     const struct reservation_heard *heard,
					     const struct reservation_message *reservation,
					     const uint8_t *id)
{
	struct reservation_record record = {.state = RESERVATION_CANCELLED};
	struct reservation_mark_record mark = {.is_cancelled = true};
	enum reservation_verdict verdict = record_begin(reservations, heard, reservation, &record);
	struct reservation_waiter *waiter;
	struct opened opened;

	if (verdict != RESERVATION_TAKEN)
		return verdict;
	if (!box_open(reservations, heard, reservation, &record, &opened))
		return RESERVATION_NOT_FOR;
	record.changed_s = offers_reservations_wall_s(reservations);
	mark.until_s = record.offer_expires_s;
	/* A dated Reserve was made before it, and lives for as long as one may. */
	if (opened.content.time_s &&
	    opened.content.time_s + RESERVATION_HOURS_MAX * S_PER_HOUR < mark.until_s)
		mark.until_s = opened.content.time_s + RESERVATION_HOURS_MAX * S_PER_HOUR;
	account_begin(heard, reservation->offer_id, &mark);
	waiter = offers_reservation_keep_acquire(reservations);
	if (!waiter)
		return RESERVATION_LAGS;
	waiter->is_boxed = !heard->neighbour;
	waiter->ticket = heard->ticket;
	if (!offers_reservation_mark_add(reservations, id, &mark, waiter, heard->now_ns)) {
		offers_reservation_keep_cancel(reservations, waiter);
		return RESERVATION_NO_ROOM;
	}
	reservations->stats.early_cnt++;
	return RESERVATION_TAKEN;
}

static enum reservation_verdict cancel_unknown(struct reservations *reservations,
					       const struct reservation_heard *heard,
					       const struct reservation_message *reservation,
					       const uint8_t *id)
{
	const struct reservation_mark *mark = offers_reservation_mark_lookup(reservations, id);

	if (!mark)
		return cancel_early(reservations, heard, reservation, id);
	return !heard->neighbour && mark->is_pending ? RESERVATION_LAGS : RESERVATION_KNOWN;
}

/*
 * The consumer gives its reservation up; the seal proves that it is its own. It is answered, so that it
 * is sent no more.
 */
static enum reservation_verdict on_cancel(struct reservations *reservations,
					  const struct reservation_heard *heard,
					  const struct reservation_message *reservation)
{
	struct reservation_waiter like = {.is_boxed = !heard->neighbour, .ticket = heard->ticket};
	struct reservation_record record = {.service = heard->message->service};
	uint8_t id[RESERVATION_ID_LEN], message[RESERVATION_MESSAGE_MAX];
	struct reservation *row;
	struct opened opened;

	memcpy(record.parties.provider, heard->message->provider, SERVICE_MESSAGE_ADDRESS_LEN);
	memcpy(record.parties.offer_id, reservation->offer_id, OFFER_ID_LEN);
	memcpy(record.parties.one_time, reservation->one_time, AGREED_KEY_LEN);
	offers_reservation_id(&record, id);
	row = map_lookup(&reservations->by_id, id);
	if (!row)
		return cancel_unknown(reservations, heard, reservation, id);
	if (row->record.is_made)
		return RESERVATION_NO_OFFER;
	if (!box_open(reservations, heard, reservation, &row->record, &opened))
		return RESERVATION_NOT_FOR;
	/* Refused or cancelled ones have an answer already. */
	if (!reservation_is_open(row) && row->record.state != RESERVATION_EXPIRED)
		return RESERVATION_KNOWN;
	if (reservation_is_open(row))
		like.kind = RESERVATION_EVENT_CANCELLED;
	record = row->record;
	record.changed_s = offers_reservations_wall_s(reservations);
	record.is_settled = false;
	if (opened.content.text_len) {
		record.text = opened.content.text;
		record.text_len = opened.content.text_len;
	}
	if (!record_cancel(reservations, &record, message) ||
	    offers_reservation_change(row, &record, &like, heard->now_ns) < 0)
		return RESERVATION_LAGS;
	offers_reservation_renew(row, heard->now_ns);
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
