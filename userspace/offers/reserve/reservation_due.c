/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a reservation does by itself. A Reserve is sent again while no answer is there, as its way may
 * have been closed, and so is a Cancel. An answer is handed to the outbox of boxes once. The consumer looks into its box,
 * less and less often. Its time ends it.
 */
#include <stdio.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/text/hex.h"
#include "crypto/node_key.h"
#include "reservations_state.h"

#define LOOK_AGAIN_NS  (600 * NS_PER_S) /* the wall clock may have been set */
#define PUT_AGAIN_NS   (5 * NS_PER_S)
#define PUT_AGAIN_MAX  7u /* doublings: ten minutes */
#define HURRY_NS       (300 * NS_PER_S)
#define PULL_FIRST_NS  (2 * NS_PER_S)
#define PULL_OFTEN_CNT 60u		       /* about an hour */
#define PULL_LATE_S    RESERVATION_OVER_LIFE_S /* an answer may have been in its box for so long */

/* --- when --- */

void offers_reservation_renew(struct reservation *row, uint64_t now_ns)
{
	row->try_cnt = row->pull_cnt = 0;
	row->try_ns = row->record.message_len ? now_ns : UINT64_MAX;
	row->pull_ns = row->record.is_made ? now_ns + PULL_FIRST_NS : UINT64_MAX;
}

void offers_reservation_hurry(struct reservation *row, uint64_t now_ns)
{
	const uint64_t soon_ns = now_ns + HURRY_NS;

	if (row->record.message_len && row->try_ns > soon_ns)
		row->try_ns = soon_ns;
}

/*
 * A Reserve is sent after 0 s, 20 s, 1 min, 5 min, then each half hour. A Cancel may go on for months,
 * so behind that it is sent after 2 and then each 6 hours.
 */
static uint64_t send_step_ns(const struct reservation *row)
{
	static const uint64_t steps[] = {20 * NS_PER_S,	  60 * NS_PER_S,   300 * NS_PER_S,
					 1800 * NS_PER_S, 7200 * NS_PER_S, 21600 * NS_PER_S};
	const unsigned last = row->record.state == RESERVATION_CANCELLED ? 5 : 3;

	return steps[row->try_cnt < last ? row->try_cnt : last];
}

static uint64_t pull_step_ns(const struct reservation *row)
{
	/* A confirmed one waits for nothing, but the provider may take it back. */
	bool waits = row->record.state == RESERVATION_ASKED || reservation_is_untaken(row);

	if (waits && row->pull_cnt < 5)
		return PULL_FIRST_NS << row->pull_cnt;
	if (row->pull_cnt < PULL_OFTEN_CNT)
		return 60 * NS_PER_S;
	return (waits ? 300 : 600) * NS_PER_S;
}

/* An answer may still come, or a Cancel of what was confirmed, or the answer to one. */
static bool is_awaited(const struct reservation *row, uint64_t wall_s)
{
	const struct reservation_record *record = &row->record;

	if (!record->is_made)
		return false;
	return reservation_is_open(row) || reservation_is_untaken(row) ||
	       (record->state == RESERVATION_EXPIRED && wall_s < record->expires_s + PULL_LATE_S);
}

/* --- boxes --- */

static struct reservation_call *call_begin(struct reservation *row)
{
	struct reservations *reservations = row->owner;
	struct reservation_call *call =
		reservations->params.boxes.put ? pool_acquire(&reservations->calls) : NULL;

	if (!call)
		return NULL;
	call->owner = reservations;
	call->row = pool_handle_of(&reservations->rows, row);
	call->state = row->record.state;
	return call;
}

/* The row, or NULL: it left meanwhile. */
static struct reservation *call_end(struct reservation_call *call)
{
	struct reservations *reservations = call->owner;
	struct reservation *row = pool_lookup(&reservations->rows, call->row);

	pool_release(&reservations->calls, call);
	return row;
}

static void put_later(struct reservation *row, uint64_t now_ns)
{
	unsigned doublings = row->try_cnt < PUT_AGAIN_MAX ? row->try_cnt : PUT_AGAIN_MAX;

	row->try_cnt++;
	row->try_ns = now_ns + (PUT_AGAIN_NS << doublings);
}

static void on_put(void *arg, int err)
{
	struct reservation_call *call = arg;
	const uint8_t state = call->state;
	struct reservation *row = call_end(call);
	const struct reservation_waiter quietly = {.kind = RESERVATION_EVENT_NONE};
	struct reservation_record record;
	struct reservations *reservations;

	if (!row)
		return;
	reservations = row->owner;
	row->is_putting = false;
	if (err == 0 && row->record.state == state) {
		reservations->stats.put_cnt++;
		record = row->record;
		record.is_settled = true;
		row->try_ns = UINT64_MAX;
		/* Else it is put again after a restart, and is the same deposit. */
		if (offers_reservation_change(row, &record, &quietly, reservations->now_ns) == 0)
			return;
	} else if (err < 0) {
		put_later(row, reservations->now_ns);
	}
	timer_set(reservations->params.timers, &row->timer, reservations->now_ns);
}

/* 16 bytes that only this node knows, the same ones for the same answer. */
static void receipt_of(const struct reservation *row, uint8_t out[static NODE_KEY_DERIVED_LEN])
{
	char id[2 * RESERVATION_ID_LEN + 1], label[80];

	hex_write(row->id, sizeof(row->id), id);
	snprintf(label, sizeof(label), "mesh/svc/receipt/v1/%s/%u", id,
		 (unsigned)row->record.state);
	node_key_derive(row->owner->params.key, label, out);
}

static void answer_put(struct reservation *row, uint64_t now_ns)
{
	const struct offers_boxes *boxes = &row->owner->params.boxes;
	const struct reservation_record *record = &row->record;
	struct reservation_call *call = call_begin(row);
	uint8_t receipt[NODE_KEY_DERIVED_LEN];
	const struct offers_deposit deposit = {
		.store = record->parties.store,
		.recipient = record->parties.consumer,
		.bytes = record->message,
		.len = record->message_len,
		.expires_s = record->changed_s + RESERVATION_OVER_LIFE_S,
		.receipt = receipt,
	};

	if (!call) {
		put_later(row, now_ns);
		return;
	}
	receipt_of(row, receipt);
	row->is_putting = true;
	if (boxes->put(boxes->ctx, &deposit, on_put, call, now_ns) == 0)
		return;
	(void)call_end(call);
	row->is_putting = false;
	put_later(row, now_ns);
}

static void on_pulled(void *arg, int err, unsigned cnt, uint64_t now_ns)
{
	struct reservation *row = call_end(arg);

	(void)err, (void)cnt; /* it is looked for again anyway */
	if (!row)
		return;
	row->owner->now_ns = now_ns;
	row->is_pulling = false;
	row->pull_ns = now_ns + pull_step_ns(row);
	row->pull_cnt++;
	timer_set(row->owner->params.timers, &row->timer, now_ns);
}

static void box_pull(struct reservation *row, uint64_t now_ns)
{
	struct reservations *reservations = row->owner;
	const struct offers_boxes *boxes = &reservations->params.boxes;
	struct reservation_call *call = call_begin(row);
	struct node_key *key = NULL;
	int err = WEFT_EFULL;

	row->pull_ns = now_ns + pull_step_ns(row);
	if (!call)
		return;
	row->is_pulling = true;
	if (offers_reservation_one_time(reservations, row->record.parties.token, &key) == 0)
		err = boxes->pull(boxes->ctx,
				  &(struct offers_pull){.store = row->record.parties.store,
							.key = key,
							.done = on_pulled,
							.arg = call},
				  now_ns);
	node_key_free(key);
	if (err == 0) {
		reservations->stats.pulled_cnt++;
		return;
	}
	(void)call_end(call);
	row->is_pulling = false;
}

/* --- what is due --- */

static void made_send(struct reservation *row, uint64_t now_ns)
{
	struct reservations *reservations = row->owner;
	const struct reservations_around *around = &reservations->params.around;
	const struct reservation_record *record = &row->record;
	struct reservation_sent sent = {.bytes = record->message,
					.len = record->message_len,
					.store = record->parties.store};
	uint8_t renewed[RESERVATION_MESSAGE_MAX];
	size_t len;

	if (record->state != RESERVATION_ASKED && !reservation_is_untaken(row)) {
		row->try_ns = UINT64_MAX;
		return;
	}
	if (record->state == RESERVATION_CANCELLED &&
	    (len = offers_reservation_cancel_renew(row, renewed)) > 0) {
		sent.bytes = renewed;
		sent.len = len;
	}
	row->is_unsent = !around->send(around->ctx, &sent, now_ns);
	reservations->stats.sent_cnt += !row->is_unsent;
	row->try_ns = now_ns + send_step_ns(row);
	row->try_cnt++;
}

static void row_expire(struct reservation *row, uint64_t wall_s, uint64_t now_ns)
{
	const struct reservation_waiter change = {.kind = RESERVATION_EVENT_EXPIRED};
	struct reservation_record record = row->record;

	record.state = RESERVATION_EXPIRED;
	record.changed_s = wall_s;
	if (offers_reservation_change(row, &record, &change, now_ns) == 0)
		row->owner->stats.expired_cnt++;
	else
		timer_set(row->owner->params.timers, &row->timer, now_ns + NS_PER_S);
}

/* The wall clock's end of what row is now. */
static uint64_t row_end_s(const struct reservation *row)
{
	const struct reservation_record *record = &row->record;

	if (record->state == RESERVATION_ASKED)
		return record->expires_s;
	if (record->state == RESERVATION_CONFIRMED)
		return record->offer_expires_s + RESERVATION_CONFIRMED_LIFE_S;
	/* The provider may hold the units until then. */
	if (reservation_is_untaken(row) &&
	    record->offer_expires_s > record->changed_s + RESERVATION_OVER_LIFE_S)
		return record->offer_expires_s;
	return record->changed_s + RESERVATION_OVER_LIFE_S;
}

/* When row's people are reminded of its end, or of its slot; UINT64_MAX: not, or they were. */
static uint64_t remind_s(const struct reservation *row)
{
	const struct reservation_record *record = &row->record;
	uint64_t at_s = UINT64_MAX, before_s = 0;

	if (record->state == RESERVATION_ASKED && !record->is_made && !row->is_reminded) {
		at_s = record->expires_s;
		before_s = RESERVATION_REMIND_S;
	} else if (record->state == RESERVATION_CONFIRMED && record->slot_s &&
		   !row->is_slot_reminded) {
		at_s = record->slot_s;
		before_s = RESERVATION_SLOT_SOON_S;
	}
	return at_s > before_s ? at_s - before_s : 0;
}

/* A slot that is over when the first word of it would come is none that is near. */
static void row_remind(struct reservation *row, uint64_t wall_s)
{
	const struct reservations_around *around = &row->owner->params.around;
	struct reservation_view view = reservation_view_of(row);
	bool is_slot = row->record.state == RESERVATION_CONFIRMED;

	if (wall_s < remind_s(row))
		return;
	*(is_slot ? &row->is_slot_reminded : &row->is_reminded) = true;
	if (is_slot && wall_s >= row->record.slot_s)
		return;
	around->happened(around->ctx,
			 is_slot ? RESERVATION_EVENT_SLOT_SOON : RESERVATION_EVENT_EXPIRES_SOON,
			 &view);
}

static uint64_t row_next_ns(const struct reservation *row, uint64_t wall_s, uint64_t now_ns)
{
	uint64_t next_ns = now_ns + LOOK_AGAIN_NS, end_s = row_end_s(row);

	if (remind_s(row) < end_s && remind_s(row) > wall_s)
		end_s = remind_s(row);
	if (end_s - wall_s < LOOK_AGAIN_NS / NS_PER_S)
		next_ns = now_ns + (end_s - wall_s) * NS_PER_S;
	if (!row->is_putting && row->try_ns < next_ns)
		next_ns = row->try_ns;
	if (!row->is_pulling && is_awaited(row, wall_s) && row->pull_ns < next_ns)
		next_ns = row->pull_ns;
	return next_ns > now_ns ? next_ns : now_ns + 1;
}

/* One that is over, and found no place among those. Its answer is put into its box before it goes. */
static bool row_is_homeless(const struct reservation *row)
{
	const struct reservation_record *record = &row->record;

	return !record->is_made && !fair_item_holds(&row->share) && !row->is_putting &&
	       (!record->message_len || record->is_settled || row->try_cnt > 0);
}

void offers_reservation_due(struct reservation *row, uint64_t now_ns)
{
	struct reservations *reservations = row->owner;
	uint64_t wall_s = offers_reservations_wall_s(reservations);

	reservations->now_ns = now_ns;
	if (row->is_pending)
		return; /* the timer is set again when it is durable */
	if (wall_s >= row_end_s(row)) {
		if (row->record.state == RESERVATION_ASKED)
			row_expire(row, wall_s, now_ns);
		else
			offers_reservation_drop(row, true, now_ns);
		return;
	}
	if (row_is_homeless(row)) {
		offers_reservation_drop(row, true, now_ns);
		return;
	}
	row_remind(row, wall_s);
	if (now_ns >= row->try_ns && row->record.is_made)
		made_send(row, now_ns);
	else if (!row->record.message_len || row->record.is_settled)
		row->try_ns = UINT64_MAX;
	else if (now_ns >= row->try_ns && !row->is_putting)
		answer_put(row, now_ns);
	if (now_ns >= row->pull_ns && !row->is_pulling && is_awaited(row, wall_s))
		box_pull(row, now_ns);
	timer_set(reservations->params.timers, &row->timer, row_next_ns(row, wall_s, now_ns));
}

void offers_reservations_session_up(struct reservations *reservations,
				    const uint8_t key[static NODE_KEY_LEN], uint64_t now_ns)
{
	struct reservation *row = NULL;

	reservations->now_ns = now_ns;
	while ((row = pool_next(&reservations->rows, row))) {
		bool has_box = row->record.is_made &&
			       memcmp(row->record.parties.store, key, NODE_KEY_LEN) == 0;

		if (has_box)
			row->pull_ns = now_ns;
		if (row->is_unsent)
			row->try_ns = now_ns;
		if ((has_box || row->is_unsent) && !row->is_pending)
			timer_set(reservations->params.timers, &row->timer, now_ns);
	}
}
