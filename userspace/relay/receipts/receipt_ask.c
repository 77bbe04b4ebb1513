/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's side of 463: when a claim is due, and what becomes of the answer. A claim without an
 * answer is sent again as it was, so a receipt that was lost on its way is not signed twice.
 */
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "receipts_state.h"

#define ASK_TIMEOUT_NS (10 * NS_PER_S)
/* The relay hears that a flow is over before it is asked what that carried. */
#define OVER_NS NS_PER_S
/* Without an answer: doubled up to an hour, and given up after so many. */
#define RETRY_NS      (60 * NS_PER_S)
#define RETRY_DOUBLES 6u
#define FAIL_MAX      8u
/* A claim belongs to the month in which it is made, so that of a month is made shortly before its end. */
#define MONTH_END_S 60u

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool has_pending(const struct receipt_row *row)
{
	return row->pending.sent || row->pending.received;
}

/* UINT64_MAX: never, as things are. */
static uint64_t due_ns(const struct receipt_row *row)
{
	const struct relay_receipts *receipts = row->receipts;
	uint64_t at_ns;

	if (row->request)
		return UINT64_MAX;
	if (row->claim_len)
		return row->retry_ns;
	if (!has_pending(row) || row->name.month != receipts->month)
		return UINT64_MAX;
	at_ns = row->since_ns + (row->len ? RELAY_CLAIM_NS : RELAY_CLAIM_FIRST_NS);
	if (row->is_over && row->since_ns + OVER_NS < at_ns)
		at_ns = row->since_ns + OVER_NS;
	if (row->pending.sent + row->pending.received >= RELAY_CLAIM_BYTES ||
	    relay_month_of(receipts->wall_s + MONTH_END_S) != receipts->month)
		at_ns = row->since_ns;
	if (row->asked_ns)
		at_ns = later(at_ns, row->asked_ns + RELAY_CLAIM_GAP_NS);
	return later(at_ns, row->retry_ns);
}

/* --- the answer --- */

/* The claim is over; what it counted is counted. */
static void claim_end(struct receipt_row *row)
{
	relay_receipts_count_subtract(&row->pending, &row->claimed);
	row->doubtful = (struct relay_count){.sent = 0};
	row->claim_len = 0;
	row->fail_cnt = 0;
	row->since_ns = has_pending(row) ? row->receipts->now_ns : 0;
	relay_receipts_row_changed(row, RELAY_COUNT_SAVE_LEN);
}

/* It was not answered. The relay may have signed it all the same, and what it counted is pending. */
static void claim_drop(struct receipt_row *row)
{
	row->doubtful = row->claimed;
	row->claim_len = 0;
	row->fail_cnt = 0;
}

static void claim_failed(struct receipt_row *row, const struct mesh_reply *reply)
{
	struct relay_receipts *receipts = row->receipts;
	unsigned doubles = row->fail_cnt < RETRY_DOUBLES ? row->fail_cnt : RETRY_DOUBLES;

	receipts->stats.failed_cnt++;
	row->retry_ns = receipts->now_ns + (RETRY_NS << doubles);
	if (reply && reply->not_before_ns)
		row->retry_ns = reply->not_before_ns;
	/* What it counted goes into the next one. */
	if (++row->fail_cnt >= FAIL_MAX)
		claim_drop(row);
}

static void claim_refused(struct receipt_row *row, const struct relay_receipt_message *message)
{
	row->receipts->stats.denied_cnt++;
	row->refused_cnt++;
	row->has_counts = message != NULL;
	if (message) {
		row->refused_own = relay_receipts_count_sum(&row->base, &row->claimed);
		row->refused_other = message->counted;
	}
	claim_end(row);
}

/* Both have signed it: it is of this node, that relay and this month. */
static bool receipt_is_own(const struct receipt_row *row, const struct relay_receipt *receipt)
{
	const uint8_t *own = node_key_public(row->receipts->params.key);

	return memcmp(receipt->relay, row->name.party, MESH_KEY_LEN) == 0 &&
	       memcmp(receipt->claim.owner, own, MESH_KEY_LEN) == 0 &&
	       receipt->claim.month == row->name.month && receipt->claim.serial >= row->serial;
}

static void receipt_take(struct receipt_row *row, const struct relay_receipt_message *message)
{
	struct relay_receipts *receipts = row->receipts;
	struct relay_receipt receipt;
	bool is_answer, is_known;

	if (relay_receipt_parse(message->receipt, message->receipt_len, &receipt) < 0 ||
	    !receipt_is_own(row, &receipt) ||
	    relay_receipt_verify(message->receipt, message->receipt_len) < 0) {
		claim_refused(row, NULL);
		return;
	}
	is_known = message->receipt_len == row->len &&
		   memcmp(message->receipt, row->bytes, row->len) == 0;
	is_answer = receipt.claim_len == row->claim_len &&
		    memcmp(receipt.claim_bytes, row->claim, row->claim_len) == 0;
	receipts->stats.got_cnt++;
	if (is_answer) {
		relay_receipts_row_set(row, message->receipt, message->receipt_len, &receipt);
		claim_end(row);
		return;
	}
	if (is_known) {
		claim_failed(row, NULL);
		return;
	}
	/* This node lost that receipt: what it counted since is in none, and follows from it. */
	relay_receipts_row_adopt(row, message->receipt, message->receipt_len, &receipt);
	row->claim_len = 0;
	row->fail_cnt = 0;
	row->retry_ns = receipts->now_ns + RELAY_ANSWER_GAP_NS;
	row->asked_ns = 0;
	row->is_over = true;
}

static bool is_final(const struct mesh_reply *reply)
{
	/* One that says when to come back is of the rate of messages, not of the claim. */
	return !reply->not_before_ns &&
	       (reply->code == MESH_CODE_REFUSED || reply->code == MESH_CODE_MALFORMED ||
		reply->code == MESH_CODE_UNKNOWN || reply->code == MESH_CODE_ABSENT);
}

static void on_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct receipt_row *row = arg;
	struct relay_receipts *receipts = row->receipts;
	struct relay_receipt_message message;

	row->request = NULL;
	receipts->now_ns = later(receipts->now_ns, now_ns);
	receipts->next_ns = receipts->now_ns;
	if (reply->err < 0 && !is_final(reply))
		claim_failed(row, reply);
	else if (reply->err < 0 ||
		 relay_message_receipt_parse(reply->payload, reply->payload_len, &message) < 0)
		claim_refused(row, NULL);
	else if (!message.receipt_len)
		claim_refused(row, &message);
	else
		receipt_take(row, &message);
	relay_receipts_row_hand_over(receipts, row);
}

/* --- asking --- */

static bool claim_make(struct receipt_row *row)
{
	const struct relay_receipts *receipts = row->receipts;
	struct relay_claim claim = {
		.month = row->name.month,
		.serial = row->serial + 1,
		.counted = relay_receipts_row_counted(row),
		.made_s = receipts->wall_s,
	};
	struct writer w = writer_of(row->claim, sizeof(row->claim));

	memcpy(claim.relay, row->name.party, sizeof(claim.relay));
	relay_claim_write(&w, receipts->params.key, &claim);
	if (w.bad)
		return false;
	row->claim_len = (uint16_t)writer_len(&w);
	row->claimed = row->pending;
	row->asked_ns = receipts->now_ns;
	row->is_over = false;
	return true;
}

static void claim_send(struct receipt_row *row, const struct addr *remote)
{
	struct relay_receipts *receipts = row->receipts;
	const struct relay_claim_message message = {.claim = row->claim,
						    .claim_len = row->claim_len,
						    .last = row->bytes,
						    .last_len = row->len};
	uint8_t payload[RELAY_CLAIM_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	/* A session of another worker is dialled where it is, and lives on home from then on. */
	struct mesh_ask ask = {
		.peer = {.addrs = remote, .addr_cnt = addr_is_relayed(remote) ? 0 : 1},
		.type = MESH_RELAY_RECEIPT,
		.payload = payload,
		.reply_buf = row->reply,
		.reply_cap = sizeof(row->reply),
		.timeout_ns = ASK_TIMEOUT_NS,
		.reply = on_answer,
		.arg = row,
	};

	memcpy(ask.peer.key, row->name.party, MESH_KEY_LEN);
	relay_message_claim_write(&w, &message);
	ask.payload_len = writer_len(&w);
	receipts->stats.asked_cnt++;
	if (receipts->params.mesh.ops->ask(receipts->params.mesh.mesh, &ask, receipts->now_ns,
					   &row->request) == 0)
		return;
	row->request = NULL;
	claim_failed(row, NULL);
}

/* No relay is dialled for a receipt: relay_receipts_session says when it is there again. */
static void row_ask(struct receipt_row *row)
{
	struct relay_receipts *receipts = row->receipts;
	struct mesh_path path;

	if (!receipts->params.neighbours->path(receipts->params.mesh.mesh, row->name.party,
					       &path)) {
		row->retry_ns = receipts->now_ns + RETRY_NS;
		return;
	}
	/* A relay takes none that is older; its count goes into the next. */
	if (row->claim_len && receipts->now_ns - row->asked_ns >= RELAY_CLAIM_LIFE_S * NS_PER_S)
		claim_drop(row);
	if (row->claim_len || claim_make(row))
		claim_send(row, &path.remote);
}

void relay_receipts_ask_turn(struct relay_receipts *receipts)
{
	const struct list_node *head = &receipts->sides[RELAY_SIDE_OWNER];

	receipts->next_ns = UINT64_MAX;
	for (const struct list_node *at = head->next; at != head; at = at->next) {
		struct receipt_row *row = container_of(at, struct receipt_row, link);
		uint64_t at_ns;

		if (!row->since_ns && has_pending(row))
			row->since_ns = receipts->now_ns;
		at_ns = due_ns(row);
		if (at_ns <= receipts->now_ns) {
			row_ask(row);
			at_ns = due_ns(row);
		}
		if (at_ns < receipts->next_ns)
			receipts->next_ns = at_ns;
	}
}
