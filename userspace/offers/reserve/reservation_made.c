/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reservations that this node makes. The keys of one are made of the node's key and its token. So
 * they are the same after a restart, none of them is stored, and no two of them can be linked.
 */
#include <stdio.h>
#include <string.h>

#include "base/container_of.h"
#include "base/random.h"
#include "codec/text/hex.h"
#include "crypto/node_key.h"
#include "offers/message/service_message.h"
#include "reservations_state.h"
#include "weft/bytes.h"

#define MADE_HOPS_MAX 16u
#define S_PER_HOUR    3600u
#define CANCEL_HOURS  24u /* of one Cancel; then it is made anew */

/* --- keys --- */

static void secret_of(const struct reservations *reservations, const char *purpose,
		      const uint8_t *token, uint8_t out[static NODE_KEY_DERIVED_LEN])
{
	char text[2 * RESERVATION_TOKEN_LEN + 1], label[96];

	hex_write(token, RESERVATION_TOKEN_LEN, text);
	snprintf(label, sizeof(label), "mesh/svc/%s/v1/%s", purpose, text);
	node_key_derive(reservations->params.key, label, out);
}

int offers_reservation_one_time(const struct reservations *reservations, const uint8_t *token,
				struct node_key **out_key)
{
	uint8_t seed[NODE_KEY_DERIVED_LEN];
	int err;

	secret_of(reservations, "consumer", token, seed);
	err = node_key_from_seed(seed, out_key);
	explicit_bzero(seed, sizeof(seed));
	return err;
}

int offers_reservation_seal_made(const struct reservations *reservations,
				 const struct reservation_record *record,
				 struct reservation_seal *seal)
{
	const struct reservation_parties *parties = &record->parties;
	uint8_t secret[NODE_KEY_DERIVED_LEN];
	int err;

	seal->service = record->service;
	memcpy(seal->provider, parties->provider, sizeof(seal->provider));
	memcpy(seal->token, parties->token, sizeof(seal->token));
	memcpy(seal->offer_id, parties->offer_id, sizeof(seal->offer_id));
	secret_of(reservations, "one-time", parties->token, secret);
	err = offers_reservation_begin(seal, parties->reserve_key, secret);
	explicit_bzero(secret, sizeof(secret));
	return err;
}

/* --- messages --- */

struct spoken {
	uint8_t type;
	const char *text;
	size_t text_len;
};

/*
 * A Reserve or a Cancel, into message; 0: it cannot be made. It starts with a hop count of 0 or
 * 1, at random: one that sees 1 does not learn whether it began here.
 */
static size_t message_make(const struct reservations *reservations,
			   const struct reservation_record *record, const struct spoken *spoken,
			   uint8_t *bytes)
{
	uint8_t payload[RESERVATION_LEN_MAX], nonce[AGREED_NONCE_LEN];
	struct writer p = writer_of(payload, sizeof(payload));
	struct writer w = writer_of(bytes, RESERVATION_MESSAGE_MAX);
	bool is_reserve = spoken->type == SERVICE_MESSAGE_RESERVE;
	uint64_t time_s = is_reserve ? record->made_s : offers_reservations_wall_s(reservations);
	uint16_t ttl_hours = is_reserve
				     ? (uint16_t)((record->expires_s - record->made_s) / S_PER_HOUR)
				     : CANCEL_HOURS;
	struct reservation_seal seal;
	const struct reservation_draft draft = {
		.type = spoken->type,
		.nonce = nonce,
		.content = {.consumer = is_reserve ? record->parties.consumer : NULL,
			    .store = is_reserve ? record->parties.store : NULL,
			    .text = spoken->text,
			    .text_len = spoken->text_len,
			    .units = record->units,
			    .time_s = time_s,
			    .ttl_hours = ttl_hours}};
	struct service_message message = {
		.service = record->service,
		.type = spoken->type,
		.version = record->version,
		.provider = record->parties.provider,
		.hop_cnt = (uint8_t)random_below(reservations->params.random, 2),
		.hop_max = MADE_HOPS_MAX,
		.ttl_hours = ttl_hours,
		.timestamp_s = time_s,
		.payload = payload,
	};

	if (offers_reservation_seal_made(reservations, record, &seal) < 0)
		return 0;
	random_fill(reservations->params.random, nonce, sizeof(nonce));
	offers_reservation_write(&p, &seal, &draft);
	explicit_bzero(&seal, sizeof(seal));
	message.payload_len = writer_len(&p);
	offers_message_write(&w, &message);
	return p.bad || w.bad ? 0 : writer_len(&w);
}

/* --- made --- */

/* Whole hours, so that its TTL says when it expires; at least one. */
static uint64_t life_s(const struct reservation_ask *ask, uint64_t wall_s)
{
	uint64_t hours = ask->hours ? ask->hours : RESERVATION_HOURS;
	uint64_t left_h = (ask->offer->expires_s - wall_s) / S_PER_HOUR;

	if (left_h == 0)
		left_h = 1;
	return (hours < left_h ? hours : left_h) * S_PER_HOUR;
}

static int record_begin(struct reservations *reservations, const struct reservation_ask *ask,
			struct reservation_record *record)
{
	struct reservation_parties *parties = &record->parties;
	struct reservation_seal seal;
	struct node_key *key;
	int err;

	record->service = ask->name->service;
	record->version = ask->offer->version;
	record->units = ask->units;
	record->made_s = record->changed_s = offers_reservations_wall_s(reservations);
	if (ask->offer->expires_s <= record->made_s)
		return WEFT_ESTALE;
	record->expires_s = record->made_s + life_s(ask, record->made_s);
	record->offer_expires_s = ask->offer->expires_s;
	record->slot_s = ask->offer->slot_s;
	record->text = ask->text;
	record->text_len = ask->text_len;
	memcpy(parties->provider, ask->name->provider, sizeof(parties->provider));
	memcpy(parties->provider_key, ask->offer->provider_key, sizeof(parties->provider_key));
	memcpy(parties->offer_id, ask->name->offer_id, sizeof(parties->offer_id));
	memcpy(parties->reserve_key, ask->offer->reserve_key, sizeof(parties->reserve_key));
	memcpy(parties->store, ask->store, sizeof(parties->store));
	random_fill(reservations->params.random, parties->token, sizeof(parties->token));
	err = offers_reservation_one_time(reservations, parties->token, &key);
	if (err < 0)
		return err;
	memcpy(parties->consumer, node_key_public(key), sizeof(parties->consumer));
	node_key_free(key);
	err = offers_reservation_seal_made(reservations, record, &seal);
	memcpy(parties->one_time, seal.one_time, sizeof(parties->one_time));
	explicit_bzero(&seal, sizeof(seal));
	return err;
}

/* The one that is over and makes room: a Cancel that may not have arrived is kept for longest. NULL: none. */
static struct reservation *made_over(struct reservations *reservations)
{
	for (struct list_node *at = reservations->over.next; at != &reservations->over;
	     at = at->next) {
		struct reservation *row = container_of(at, struct reservation, link);

		if (!reservation_is_untaken(row))
			return row;
	}
	return list_first(&reservations->over, struct reservation, link);
}

/* 0, or why no more may be made now. One that is over makes room. */
static int made_room(struct reservations *reservations, const struct reservation_ask *ask)
{
	uint8_t key[REQUEST_QUOTA_KEY_LEN] = {0};

	if (ask->text_len > RESERVATION_TEXT_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (ask->units > ask->offer->units)
		return WEFT_ETOOSMALL;
	if (reservations->made_cnt == RESERVATIONS_MADE_MAX && !made_over(reservations))
		return WEFT_EFULL;
	weft_store_le32(key, ask->name->service);
	if (request_quota_take_of(&reservations->quota, key,
				  ask->per_min ? ask->per_min : RESERVATIONS_MADE_PER_MIN,
				  ask->now_ns))
		return WEFT_EREFUSED;
	if (reservations->made_cnt == RESERVATIONS_MADE_MAX)
		offers_reservation_drop(made_over(reservations), true, ask->now_ns);
	return 0;
}

int offers_reservations_make(struct reservations *reservations, const struct reservation_ask *ask,
			     uint8_t out_id[static RESERVATION_ID_LEN])
{
	struct reservation_record record = {.is_made = true, .state = RESERVATION_ASKED};
	const struct spoken spoken = {SERVICE_MESSAGE_RESERVE, ask->text, ask->text_len};
	uint8_t message[RESERVATION_MESSAGE_MAX], id[RESERVATION_ID_LEN];
	struct reservation_waiter *waiter;
	struct reservation *row = NULL;
	int err = made_room(reservations, ask);

	if (err == 0)
		err = record_begin(reservations, ask, &record);
	if (err < 0)
		return err;
	record.message = message;
	record.message_len = message_make(reservations, &record, &spoken, message);
	if (record.message_len == 0)
		return WEFT_EMALFORMED;
	waiter = offers_reservation_keep_acquire(reservations);
	offers_reservation_id(&record, id);
	if (waiter)
		row = offers_reservation_add(reservations, id, &record);
	if (!row) {
		if (waiter)
			offers_reservation_keep_cancel(reservations, waiter);
		return WEFT_EBUSY;
	}
	waiter->done = ask->done;
	waiter->arg = ask->arg;
	reservations->stats.made_cnt++;
	offers_reservation_renew(row, ask->now_ns);
	offers_reservation_keep_put(row, waiter, ask->now_ns);
	memcpy(out_id, id, sizeof(id));
	return 0;
}

/* --- its answers --- */

static struct reservation *row_of_consumer(const struct reservations *reservations,
					   const uint8_t *consumer)
{
	struct reservation *row = NULL;

	while ((row = pool_next(&reservations->rows, row)))
		if (row->record.is_made &&
		    memcmp(row->record.parties.consumer, consumer, NODE_KEY_LEN) == 0)
			return row;
	return NULL;
}

/* The box of an answer that row's provider signed, opened into bytes. false: it is another's. */
static bool answer_open(const struct reservation *row, const struct service_message *message,
			uint8_t *bytes, struct reservation_content *content)
{
	const struct reservation_record *record = &row->record;
	struct reservation_message reservation;
	struct reservation_seal seal;
	bool is_opened;

	if ((message->type != SERVICE_MESSAGE_CONFIRM && message->type != SERVICE_MESSAGE_CANCEL) ||
	    offers_message_proof(message) != SERVICE_MESSAGE_PROOF_SIGNATURE ||
	    offers_message_verify(message, record->parties.provider_key) < 0 ||
	    offers_reservation_parse(message, &reservation) < 0 ||
	    offers_reservation_seal_made(row->owner, record, &seal) < 0)
		return false;
	is_opened = offers_reservation_open(&seal, message, &reservation, bytes, content) == 0 &&
		    content->units == record->units;
	explicit_bzero(&seal, sizeof(seal));
	return is_opened;
}

/* The provider has the Cancel of row, so it is sent no more. */
static enum reservation_verdict cancel_settle(struct reservation *row,
					      const struct reservation_heard *heard)
{
	const struct reservation_waiter change = {.is_boxed = true, .ticket = heard->ticket};
	struct reservation_record record = row->record;

	if (!reservation_is_untaken(row))
		return RESERVATION_KNOWN;
	record.is_settled = true;
	record.message = NULL;
	record.message_len = 0;
	if (offers_reservation_change(row, &record, &change, heard->now_ns) < 0)
		return RESERVATION_LAGS;
	row->owner->stats.answered_cnt++;
	offers_reservation_renew(row, heard->now_ns);
	return RESERVATION_TAKEN;
}

/* The event that an answer is in row's state; NONE: it changes nothing. */
static enum reservation_event_kind answer_means(const struct reservation *row, uint8_t type)
{
	const uint8_t state = row->record.state;

	if (type == SERVICE_MESSAGE_CONFIRM)
		return state == RESERVATION_ASKED || state == RESERVATION_EXPIRED
			       ? RESERVATION_EVENT_CONFIRMED
			       : RESERVATION_EVENT_NONE;
	if (state == RESERVATION_CONFIRMED)
		return RESERVATION_EVENT_CANCELLED;
	return state == RESERVATION_ASKED || state == RESERVATION_EXPIRED
		       ? RESERVATION_EVENT_REFUSED
		       : RESERVATION_EVENT_NONE;
}

static const uint8_t state_after[RESERVATION_EVENT_CNT] = {
	[RESERVATION_EVENT_CONFIRMED] = RESERVATION_CONFIRMED,
	[RESERVATION_EVENT_REFUSED] = RESERVATION_REFUSED,
	[RESERVATION_EVENT_CANCELLED] = RESERVATION_CANCELLED,
};

enum reservation_verdict offers_reservations_answer(struct reservations *reservations,
						    const uint8_t *recipient,
						    const struct reservation_heard *heard)
{
	struct reservation *row = row_of_consumer(reservations, recipient);
	struct reservation_waiter change = {.is_boxed = true, .ticket = heard->ticket};
	uint8_t bytes[RESERVATION_CONTENT_LEN_MAX];
	struct reservation_content content;
	struct reservation_record record;

	reservations->now_ns = heard->now_ns;
	if (!row || !answer_open(row, heard->message, bytes, &content)) {
		reservations->stats.stranger_cnt++;
		return RESERVATION_NOT_FOR;
	}
	if (row->record.state == RESERVATION_CANCELLED &&
	    heard->message->type == SERVICE_MESSAGE_CANCEL)
		return cancel_settle(row, heard);
	change.kind = answer_means(row, heard->message->type);
	if (change.kind == RESERVATION_EVENT_NONE) {
		/* It did not hear of the Cancel, so that goes once more, however often this comes. */
		if (row->record.state == RESERVATION_CANCELLED)
			offers_reservation_hurry(row, heard->now_ns);
		return RESERVATION_KNOWN;
	}
	record = row->record;
	record.state = state_after[change.kind];
	record.changed_s = offers_reservations_wall_s(reservations);
	record.answer = content.text;
	record.answer_len = content.text_len;
	if (record.state == RESERVATION_CANCELLED) {
		record.message = NULL; /* the Reserve: nothing is to be sent any more */
		record.message_len = 0;
		reservations->stats.cancelled_cnt++;
	}
	if (offers_reservation_change(row, &record, &change, heard->now_ns) < 0)
		return RESERVATION_LAGS;
	reservations->stats.answered_cnt++;
	offers_reservation_renew(row, heard->now_ns);
	return RESERVATION_TAKEN;
}

/* --- given up --- */

/* What its consumer sealed in a Cancel, which only the two sides can open: the text for people. */
static bool cancel_open(const struct reservation *row, struct service_message *message,
			uint8_t *bytes, struct reservation_content *content)
{
	const struct reservation_record *record = &row->record;
	struct reservation_message reservation;
	struct reservation_seal seal;
	bool is_opened;

	if (offers_message_parse(record->message, record->message_len, message) < 0 ||
	    offers_reservation_parse(message, &reservation) < 0 ||
	    offers_reservation_seal_made(row->owner, record, &seal) < 0)
		return false;
	is_opened = offers_reservation_open(&seal, message, &reservation, bytes, content) == 0;
	explicit_bzero(&seal, sizeof(seal));
	return is_opened;
}

size_t offers_reservation_cancel_renew(const struct reservation *row,
				       uint8_t out[static RESERVATION_MESSAGE_MAX])
{
	uint8_t bytes[RESERVATION_CONTENT_LEN_MAX];
	struct spoken spoken = {.type = SERVICE_MESSAGE_CANCEL};
	struct reservation_content content;
	struct service_message message;

	if (!cancel_open(row, &message, bytes, &content) ||
	    offers_reservations_wall_s(row->owner) <
		    message.timestamp_s + CANCEL_HOURS * S_PER_HOUR / 2)
		return 0;
	spoken.text = content.text;
	spoken.text_len = content.text_len;
	return message_make(row->owner, &row->record, &spoken, out);
}

int offers_reservation_cancel_made(struct reservation *row, const struct reservation_change *change)
{
	const struct reservation_waiter like = {
		.kind = RESERVATION_EVENT_CANCELLED, .done = change->done, .arg = change->arg};
	const struct spoken spoken = {SERVICE_MESSAGE_CANCEL, change->text, change->text_len};
	struct reservation_record record = row->record;
	uint8_t message[RESERVATION_MESSAGE_MAX];
	int err;

	if (!reservation_is_open(row))
		return WEFT_ESTALE;
	record.state = RESERVATION_CANCELLED;
	record.is_settled = false;
	record.changed_s = offers_reservations_wall_s(row->owner);
	record.message = message;
	record.message_len = message_make(row->owner, &record, &spoken, message);
	if (record.message_len == 0)
		return WEFT_ETOOLARGE;
	err = offers_reservation_change(row, &record, &like, change->now_ns);
	if (err < 0)
		return err;
	row->owner->stats.cancelled_cnt++;
	offers_reservation_renew(row, change->now_ns);
	return 0;
}
