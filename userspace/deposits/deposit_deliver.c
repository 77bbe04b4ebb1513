/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deposits for this node. One that opens goes to the part that has its kind. When the part has it on the
 * disk, a mark of its id is written, and then the STORE node gets its receipt. So a deposit is
 * acknowledged only when it can neither be lost nor come twice.
 */
#include "base/monotonic.h"
#include "deposits_state.h"

#define ACK_TIMEOUT_NS (20 * NS_PER_S)

static const struct mesh_ops *ops_of(const struct deposits *deposits)
{
	return deposits->params.mesh.ops;
}

/* --- ACKs --- */

static void acks_send(struct deposits *deposits, uint64_t now_ns);

/* What is lost comes again with the next pull, and then is acknowledged again. */
static void on_acked(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct deposit_ack_run *run = arg;

	(void)reply;
	run->request = NULL;
	acks_send(run->deposits, now_ns);
}

/* Takes the first ACK that waits, and those with the same recipient and STORE node. */
static void acks_gather(struct deposits *deposits, struct deposit_ack_message *message,
			uint8_t store[static DEPOSIT_KEY_LEN])
{
	const struct deposit_ack *first = list_first(&deposits->acks_due, struct deposit_ack, link);
	struct list_node *next;

	memcpy(message->recipient, first->recipient, DEPOSIT_KEY_LEN);
	memcpy(store, first->store, DEPOSIT_KEY_LEN);
	for (struct list_node *at = deposits->acks_due.next;
	     at != &deposits->acks_due && message->receipt_cnt < DEPOSIT_ACKS_MAX; at = next) {
		struct deposit_ack *ack = container_of(at, struct deposit_ack, link);

		next = at->next;
		if (memcmp(ack->store, store, DEPOSIT_KEY_LEN) != 0 ||
		    memcmp(ack->recipient, message->recipient, DEPOSIT_KEY_LEN) != 0)
			continue;
		memcpy(message->receipts[message->receipt_cnt++], ack->receipt,
		       DEPOSIT_RECEIPT_LEN);
		list_unlink(at);
		pool_release(&deposits->acks, ack);
	}
}

static void run_begin(struct deposits *deposits, struct deposit_ack_run *run, uint64_t now_ns)
{
	struct writer w = writer_of(deposits->message, sizeof(deposits->message));
	struct deposit_ack_message message = {.receipt_cnt = 0};
	struct mesh_ask ask = {
		.type = MESH_MAILBOX_ACK,
		.payload = deposits->message,
		.reply_buf = run->reply,
		.reply_cap = sizeof(run->reply),
		.timeout_ns = ACK_TIMEOUT_NS,
		.reply = on_acked,
		.arg = run,
	};

	acks_gather(deposits, &message, ask.peer.key);
	deposits_ack_write(&w, &message);
	ask.payload_len = writer_len(&w);
	run->deposits = deposits;
	if (ops_of(deposits)->ask(deposits->params.mesh.mesh, &ask, now_ns, &run->request) < 0)
		run->request = NULL;
}

static void acks_send(struct deposits *deposits, uint64_t now_ns)
{
	for (unsigned i = 0; i < DEPOSITS_ACKS_AT_ONCE; i++)
		if (!deposits->ack_runs[i].request && !list_is_empty(&deposits->acks_due))
			run_begin(deposits, &deposits->ack_runs[i], now_ns);
	if (!list_is_empty(&deposits->acks_due) && !timer_is_set(&deposits->ack_timer))
		timer_set(deposits->params.timers, &deposits->ack_timer,
			  now_ns + DEPOSITS_ACK_WINDOW_NS);
}

static void on_ack_due(struct timer *timer, uint64_t now_ns)
{
	acks_send(container_of(timer, struct deposits, ack_timer), now_ns);
}

static void ack_add(struct deposits *deposits, const struct deposit_ack *made)
{
	struct deposit_ack *ack;

	if (deposits_is_own_key(deposits, made->store))
		return;
	ack = pool_acquire(&deposits->acks);
	if (!ack)
		return;
	*ack = *made;
	list_init(&ack->link);
	list_push_back(&deposits->acks_due, &ack->link);
	if (!timer_is_set(&deposits->ack_timer))
		timer_set(deposits->params.timers, &deposits->ack_timer,
			  deposits->now_ns + DEPOSITS_ACK_WINDOW_NS);
}

static void ack_ticket(struct deposit_ticket *ticket)
{
	struct deposit_ack ack;

	memcpy(ack.recipient, ticket->recipient, sizeof(ack.recipient));
	memcpy(ack.store, ticket->store, sizeof(ack.store));
	memcpy(ack.receipt, ticket->receipt, sizeof(ack.receipt));
	ack_add(ticket->deposits, &ack);
}

/* --- what a part took --- */

/* The mark is on the disk, or is not. */
static void on_noted(void *arg, int err)
{
	struct deposit_ticket *ticket = arg;

	if (err == 0)
		ack_ticket(ticket);
	pool_release(&ticket->deposits->tickets, ticket);
}

/*
 * A mark is this node's own, though the deposit was kept here for a neighbour. In the room of others
 * it would give way to them, and the deposit could come again.
 */
static void mark_make(struct deposits *deposits, const struct deposit_record *record,
		      uint64_t now_ns)
{
	struct deposit_row *row = deposits_rows_lookup(deposits, record->recipient, record->id);

	if (row && !row->is_own) {
		deposits_row_drop(deposits, row, true, now_ns);
		row = NULL;
	}
	if (!row && deposits_row_keep(deposits, record, now_ns) < 0)
		deposits->stats.failed_cnt++;
	deposits_out_look(deposits, record->recipient, record->id, now_ns);
}

void deposits_settle(struct deposits *deposits, uint64_t ticket, int err, uint64_t now_ns)
{
	struct deposit_ticket *taken = pool_lookup(&deposits->tickets, ticket);
	const struct deposit_waiter waiter = {.done = on_noted, .arg = taken};
	struct deposit_record record;

	deposits->now_ns = now_ns;
	if (!taken || taken->is_settled || deposits->is_stopped)
		return;
	if (err < 0) {
		pool_release(&deposits->tickets, taken);
		return;
	}
	taken->is_settled = true;
	deposits->stats.delivered_cnt++;
	record = (struct deposit_record){.kind = DEPOSIT_RECORD_DELIVERED,
					 .is_own = true,
					 .class = FAIR_CHOSEN,
					 .expires_s = taken->expires_s,
					 .peer = taken->store,
					 .recipient = taken->recipient,
					 .id = taken->id,
					 .receipt = taken->receipt};
	mark_make(deposits, &record, now_ns);
	deposits_write_wait(deposits, &waiter, now_ns);
}

/* --- what comes --- */

static bool is_in_hand(const struct deposits *deposits, const uint8_t *recipient, const uint8_t *id)
{
	const struct deposit_ticket *ticket = NULL;

	while ((ticket = pool_next(&deposits->tickets, ticket)))
		if (memcmp(ticket->id, id, DEPOSIT_ID_LEN) == 0 &&
		    memcmp(ticket->recipient, recipient, DEPOSIT_KEY_LEN) == 0)
			return true;
	return false;
}

/*
 * Until when a deposit is known here: as long as it can be given. That is its depositor's word under the
 * seal, and not that of the STORE node, which could make it come twice.
 */
static uint64_t mark_end_s(const struct deposit_hearing *hearing, const struct deposit_plain *plain)
{
	uint64_t last_s = hearing->now_s + DEPOSITS_CHOSEN_LIFE_S;

	return plain->expires_s < last_s ? plain->expires_s : last_s;
}

static void ticket_fill(struct deposit_ticket *ticket, const struct deposit_hearing *hearing,
			const struct deposit_row_message *row, const struct deposit_plain *plain)
{
	memcpy(ticket->id, row->id, sizeof(ticket->id));
	memcpy(ticket->recipient, node_key_public(hearing->key), sizeof(ticket->recipient));
	memcpy(ticket->store, hearing->store, sizeof(ticket->store));
	memcpy(ticket->receipt, plain->receipt, sizeof(ticket->receipt));
	ticket->expires_s = mark_end_s(hearing, plain);
}

/* No part wants it: it goes without a mark, and would be unfit once more. */
static void erase(struct deposit_ticket *ticket, uint64_t now_ns)
{
	struct deposits *deposits = ticket->deposits;
	struct deposit_row *row = deposits_rows_lookup(deposits, ticket->recipient, ticket->id);

	if (row && row->kind == DEPOSIT_RECORD_KEPT)
		deposits_row_deliver(deposits, row, ticket->receipt, now_ns);
	ack_ticket(ticket);
}

/* Gives a deposit to its part. */
static bool give(struct deposits *deposits, const struct deposit_hearing *hearing,
		 const struct deposit_row_message *row, const struct deposit_plain *plain)
{
	const struct deposit_part *part =
		plain->kind <= DEPOSIT_KIND_MAX ? &deposits->parts[plain->kind] : NULL;
	struct deposit_ticket *ticket =
		part && part->deliver ? pool_acquire(&deposits->tickets) : NULL;
	const struct deposit deposit = {.kind = plain->kind,
					.id = row->id,
					.recipient = node_key_public(hearing->key),
					.store = hearing->store,
					.content = plain->content,
					.len = plain->len,
					.expires_s = plain->expires_s};

	if (!ticket)
		return false;
	ticket->deposits = deposits;
	ticket_fill(ticket, hearing, row, plain);
	switch (part->deliver(part->ctx, &deposit, pool_handle_of(&deposits->tickets, ticket),
			      hearing->now_ns)) {
	case DEPOSIT_TAKEN:
		return true;
	case DEPOSIT_UNFIT:
		deposits->stats.junk_cnt++;
		erase(ticket, hearing->now_ns);
		break;
	case DEPOSIT_LATER:
		break;
	}
	pool_release(&deposits->tickets, ticket);
	return false;
}

bool deposits_hear(struct deposits *deposits, const struct deposit_hearing *hearing,
		   const struct deposit_row_message *row, bool *out_is_junk)
{
	const uint8_t *recipient = node_key_public(hearing->key);
	struct deposit_plain plain;
	const struct deposit_row *known;

	deposits->now_ns = hearing->now_ns;
	*out_is_junk = false;
	if (is_in_hand(deposits, recipient, row->id))
		return false;
	/* One whose time is over has no mark any more, so it is given to no part. */
	*out_is_junk = deposits_unseal(hearing->key, row, &deposits->opened, &plain) < 0 ||
		       plain.expires_s <= hearing->now_s;
	deposits->stats.junk_cnt += *out_is_junk;
	if (*out_is_junk)
		return false;
	known = deposits_rows_lookup(deposits, recipient, row->id);
	if (known && known->kind == DEPOSIT_RECORD_DELIVERED) {
		struct deposit_ack ack;

		deposits->stats.repeated_cnt++;
		memcpy(ack.recipient, recipient, sizeof(ack.recipient));
		memcpy(ack.store, hearing->store, sizeof(ack.store));
		memcpy(ack.receipt, plain.receipt, sizeof(ack.receipt));
		ack_add(deposits, &ack);
		return false;
	}
	return give(deposits, hearing, row, &plain);
}

int deposits_register(struct deposits *deposits, enum deposit_kind kind,
		      const struct deposit_part *part)
{
	if (kind == 0 || kind > DEPOSIT_KIND_MAX)
		return WEFT_EMALFORMED;
	if (deposits->parts[kind].deliver)
		return WEFT_EEXISTS;
	deposits->parts[kind] = *part;
	deposits_pull_own(deposits, deposits->now_ns);
	return 0;
}

/* --- life --- */

int deposits_deliver_init(struct deposits *deposits)
{
	int err;

	list_init(&deposits->acks_due);
	timer_init(&deposits->ack_timer, on_ack_due);
	err = pool_init(&deposits->tickets, &deposits->arena, sizeof(struct deposit_ticket),
			DEPOSITS_TICKET_CAP);
	return err < 0 ? err
		       : pool_init(&deposits->acks, &deposits->arena, sizeof(struct deposit_ack),
				   DEPOSITS_ACK_CAP);
}

void deposits_deliver_stop(struct deposits *deposits)
{
	timer_cancel(deposits->params.timers, &deposits->ack_timer);
	for (unsigned i = 0; i < DEPOSITS_ACKS_AT_ONCE; i++)
		if (deposits->ack_runs[i].request)
			ops_of(deposits)->cancel(deposits->ack_runs[i].request);
}
