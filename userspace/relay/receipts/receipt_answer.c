/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay's side of 463. A claim is answered from its row, in the turn that it came in. What costs
 * nothing is judged first: a claim of a key that was carried nothing costs no signature.
 */
#include <string.h>

#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "receipts_state.h"
#include "relay/messages/relay_messages.h"

struct verdict {
	enum mesh_code code;
	uint64_t wait_ms;
	const char *text;
};

static const struct verdict malformed = {MESH_CODE_MALFORMED, 0, "no claim of bytes carried"};
static const struct verdict of_others = {MESH_CODE_REFUSED, 0,
					 "the claim is another key's, or for another relay"};
static const struct verdict untimely = {MESH_CODE_REFUSED, 0,
					"the claim is a day old, or ahead of this relay's clock"};
static const struct verdict nothing = {MESH_CODE_ABSENT, 0,
				       "this relay knows of nothing that it carried for the key"};
static const struct verdict often = {MESH_CODE_BUSY, RELAY_ANSWER_GAP_NS / 1000000,
				     "claims are answered each 5 s"};
static const struct verdict forged = {MESH_CODE_REFUSED, 0, "the claim's signature is wrong"};
static const struct verdict unchained = {
	MESH_CODE_REFUSED, 0, "the claim does not follow from the newest receipt of the month"};
static const struct verdict mistaken = {MESH_CODE_INTERNAL, 0, "the receipt cannot be written"};

struct answering {
	struct relay_claim_message message;
	struct relay_claim claim;
	struct receipt_row *row;
	struct verdict early; /* says how long to wait */
};

/* --- judging --- */

static const struct verdict *claim_read(const struct relay_receipts *receipts,
					const struct mesh_call *call, struct answering *answering)
{
	const struct relay_claim *claim = &answering->claim;

	if (relay_message_claim_parse(call->payload, call->payload_len, &answering->message) < 0 ||
	    relay_claim_parse(answering->message.claim, answering->message.claim_len,
			      &answering->claim) < 0)
		return &malformed;
	if (memcmp(claim->owner, call->peer_key, MESH_KEY_LEN) != 0 ||
	    memcmp(claim->relay, node_key_public(receipts->params.key), MESH_KEY_LEN) != 0)
		return &of_others;
	if (claim->made_s > receipts->wall_s + RELAY_CLAIM_SKEW_S ||
	    claim->made_s + RELAY_CLAIM_LIFE_S < receipts->wall_s)
		return &untimely;
	return NULL;
}

/*
 * The row of the claim's month. Clocks differ, so what is counted may be in that of this relay's own
 * month: it is moved.
 */
static struct receipt_row *row_of_claim(struct relay_receipts *receipts,
					const struct relay_claim *claim)
{
	struct receipt_row *row =
		relay_receipts_row_find(receipts, RELAY_SIDE_RELAY, claim->owner, claim->month);
	struct receipt_row *own =
		relay_receipts_row_find(receipts, RELAY_SIDE_RELAY, claim->owner, receipts->month);
	struct relay_count pending, doubtful;

	if (!own || own == row || (!own->pending.sent && !own->pending.received))
		return row;
	pending = own->pending;
	doubtful = own->doubtful;
	if (!row)
		row = relay_receipts_row_make(receipts, RELAY_SIDE_RELAY, claim->owner,
					      claim->month);
	if (!row)
		return NULL;
	/* A row that made room may have been that one. */
	own = relay_receipts_row_find(receipts, RELAY_SIDE_RELAY, claim->owner, receipts->month);
	if (own)
		relay_receipts_row_uncount(own);
	relay_receipts_row_count(row, &pending);
	row->doubtful = relay_receipts_count_sum(&row->doubtful, &doubtful);
	return row;
}

/* This relay lost its newest receipt, and its owner shows it. */
static void last_adopt(const struct relay_receipts *receipts, const struct answering *answering)
{
	const struct relay_claim_message *message = &answering->message;
	const struct relay_claim *claim = &answering->claim;
	struct receipt_row *row = answering->row;
	struct relay_receipt last;

	if (!message->last_len ||
	    relay_receipt_parse(message->last, message->last_len, &last) < 0 ||
	    last.claim.serial <= row->serial || last.claim.month != claim->month ||
	    memcmp(last.claim.owner, claim->owner, MESH_KEY_LEN) != 0 ||
	    memcmp(last.relay, node_key_public(receipts->params.key), MESH_KEY_LEN) != 0 ||
	    relay_receipt_verify(message->last, message->last_len) < 0)
		return;
	relay_receipts_row_adopt(row, message->last, message->last_len, &last);
}

static const struct verdict *chain_judge(const struct relay_receipts *receipts,
					 const struct answering *answering)
{
	const struct relay_claim *claim = &answering->claim;
	const struct receipt_row *row = answering->row;

	if (claim->serial <= row->serial)
		return &unchained;
	if (relay_claim_verify(answering->message.claim, answering->message.claim_len) < 0)
		return &forged;
	last_adopt(receipts, answering);
	if (claim->serial != row->serial + 1 || claim->counted.sent < row->base_claimed.sent ||
	    claim->counted.received < row->base_claimed.received)
		return &unchained;
	return NULL;
}

/* --- answering --- */

static void answer(const struct relay_receipts *receipts, const struct mesh_call *call,
		   const struct relay_receipt_message *message)
{
	uint8_t payload[RELAY_RECEIPT_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	relay_message_receipt_write(&w, message);
	(void)receipts->params.mesh.ops->answer(call->incoming, MESH_RELAY_RECEIPT, payload,
						writer_len(&w), NULL);
}

static void answer_row(struct relay_receipts *receipts, const struct mesh_call *call,
		       const struct receipt_row *row)
{
	const struct relay_receipt_message message = {.receipt = row->bytes,
						      .receipt_len = row->len};

	answer(receipts, call, &message);
}

/* Both begin anew: what was counted until now is in no receipt. */
static void answer_counts(struct relay_receipts *receipts, const struct mesh_call *call,
			  struct answering *answering)
{
	struct receipt_row *row = answering->row;
	const struct relay_receipt_message message = {.counted = relay_receipts_row_counted(row)};

	receipts->stats.disagreed_cnt++;
	row->refused_cnt++;
	row->has_counts = true;
	row->refused_own = message.counted;
	row->refused_other = answering->claim.counted;
	relay_receipts_row_uncount(row);
	answer(receipts, call, &message);
}

static const struct verdict *receipt_sign(struct relay_receipts *receipts,
					  struct answering *answering)
{
	struct receipt_row *row = answering->row;
	struct relay_receipt receipt = {
		.claim = answering->claim,
		.claim_bytes = answering->message.claim,
		.claim_len = answering->message.claim_len,
		.counted = relay_receipts_row_counted(row),
		.made_s = receipts->wall_s,
	};
	uint8_t bytes[RELAY_RECEIPT_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	relay_receipt_write(&w, receipts->params.key, &receipt);
	if (w.bad)
		return &mistaken;
	relay_receipts_row_uncount(row);
	relay_receipts_row_set(row, bytes, writer_len(&w), &receipt);
	row->signed_ns = receipts->now_ns;
	receipts->stats.signed_cnt++;
	return NULL;
}

/* A receipt bears the counts of all before, so nothing waits for one but its date. */
static bool is_early(const struct relay_receipts *receipts, struct answering *answering)
{
	const struct receipt_row *row = answering->row;
	uint64_t at_ns = row->signed_ns + RELAY_CLAIM_GAP_NS;

	if (!row->signed_ns || receipts->now_ns >= at_ns ||
	    answering->claim.serial != row->serial + 1)
		return false;
	answering->early =
		(struct verdict){MESH_CODE_BUSY, (at_ns - receipts->now_ns) / NS_PER_MS + 1,
				 "a receipt of this month is signed each minute at most"};
	return true;
}

static const struct verdict *claim_answer(struct relay_receipts *receipts,
					  const struct mesh_call *call, struct answering *answering)
{
	const struct relay_receipts_params *params = &receipts->params;
	const struct verdict *verdict;
	struct relay_count counted;
	struct receipt_row *row;

	row = relay_receipts_row_find(receipts, RELAY_SIDE_RELAY, call->peer_key,
				      answering->claim.month);
	if (row && row->answered_ns && receipts->now_ns < row->answered_ns + RELAY_ANSWER_GAP_NS)
		return &often;
	if (params->settle)
		params->settle(params->ctx, call->peer_key);
	row = answering->row = row_of_claim(receipts, &answering->claim);
	if (!row)
		return &nothing;
	/* Nothing was carried since the newest one, so there is nothing to sign. */
	if (!row->pending.sent && !row->pending.received &&
	    answering->claim.serial == row->serial + 1)
		return &nothing;
	row->answered_ns = receipts->now_ns;
	if (is_early(receipts, answering))
		return &answering->early;
	verdict = chain_judge(receipts, answering);
	/* The owner lost that receipt, or holds another one: it goes on from this one. */
	if (verdict == &unchained && row->len && answering->claim.serial <= row->serial + 1) {
		receipts->stats.repeated_cnt++;
		answer_row(receipts, call, row);
		return NULL;
	}
	if (verdict)
		return verdict;
	counted = relay_receipts_row_counted(row);
	if (!relay_count_agrees(&counted, &answering->claim.counted)) {
		answer_counts(receipts, call, answering);
		return NULL;
	}
	verdict = receipt_sign(receipts, answering);
	if (!verdict)
		answer_row(receipts, call, row);
	return verdict;
}

void relay_receipts_on_claim(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct relay_receipts *receipts = ctx;
	struct answering answering = {.row = NULL};
	const struct verdict *verdict;

	if (now_ns > receipts->now_ns)
		receipts->now_ns = now_ns;
	if (!relay_messages_admit(receipts->params.messages, call, now_ns))
		return;
	receipts->stats.heard_cnt++;
	verdict = claim_read(receipts, call, &answering);
	if (!verdict)
		verdict = claim_answer(receipts, call, &answering);
	if (!list_is_empty(&receipts->dirty))
		receipts->next_ns = receipts->now_ns;
	if (!verdict)
		return;
	receipts->stats.refused_cnt++;
	if (answering.row && verdict->code == MESH_CODE_REFUSED) {
		answering.row->refused_cnt++;
		answering.row->has_counts = false;
	}
	receipts->params.mesh.ops->answer_error(call->incoming, verdict->code, verdict->text,
						verdict->wait_ms);
}
