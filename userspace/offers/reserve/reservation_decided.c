/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people decide, and the answers of a provider. Its rows decide: what is confirmed counts at
 * once, and leaves this node when it is durable.
 */
#include <string.h>

#include "base/random.h"
#include "crypto/node_key.h"
#include "offers/message/service_message.h"
#include "reservations_state.h"

#define S_PER_HOUR 3600u

void offers_reservation_name(const struct reservation_record *record, struct offer_name *name)
{
	name->service = record->service;
	memcpy(name->provider, record->parties.provider, sizeof(name->provider));
	memcpy(name->offer_id, record->parties.offer_id, sizeof(name->offer_id));
}

/* --- answers --- */

size_t offers_reservation_answer_make(struct reservations *reservations,
				      const struct reservation_record *record, uint8_t type,
				      const struct reservation_change *change,
				      uint8_t bytes[static RESERVATION_MESSAGE_MAX])
{
	uint8_t payload[RESERVATION_LEN_MAX], nonce[AGREED_NONCE_LEN];
	struct writer p = writer_of(payload, sizeof(payload));
	struct writer w = writer_of(bytes, RESERVATION_MESSAGE_MAX);
	const struct reservation_draft draft = {
		.type = type,
		.is_providers = type == SERVICE_MESSAGE_CANCEL,
		.nonce = nonce,
		.content = {.text = change->text,
			    .text_len = change->text_len,
			    .units = record->units},
	};
	struct service_message message = {
		.service = record->service,
		.type = type,
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

struct answer {
	uint8_t state; /* of the reservation from then on */
	uint8_t type;
	enum reservation_event_kind kind;
};

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
	record.message_len =
		offers_reservation_answer_make(row->owner, &record, answer->type, change, message);
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
	offers_reservation_name(&row->record, &name);
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
