/* SPDX-License-Identifier: Apache-2.0 */
/* ListRelayReceipts: what relays carried, as both signers say it. */
#include <stdio.h>
#include <string.h>

#include "api/methods.h"
#include "relay/receipts/relay_receipts.h"

static const char *why_text(struct varlink_blocks *blocks, const struct relay_receipts_row *row)
{
	char text[256];

	if (!row->has_counts)
		return "the relay refused the claim, or its answer did not verify";
	snprintf(text, sizeof(text),
		 "of the month this node counted %llu sent and %llu received, the other one %llu "
		 "and %llu",
		 (unsigned long long)row->refused_own.sent,
		 (unsigned long long)row->refused_own.received,
		 (unsigned long long)row->refused_other.sent,
		 (unsigned long long)row->refused_other.received);
	return varlink_text(blocks, text);
}

static struct api_relay_receipt_row row_of(struct varlink_blocks *blocks,
					   const struct relay_receipts_row *row)
{
	char month[RELAY_MONTH_TEXT_CAP], receipt[RELAY_RECEIPT_TEXT_CAP];
	struct api_relay_receipt_row out = {
		.month = varlink_text(blocks, relay_month_text_write(row->month, month)),
		.side = row->side == RELAY_SIDE_RELAY ? "relay" : "owner",
		.node_id = api_id(blocks, row->party),
		.serial = row->serial,
		.sent = api_uint(row->total.sent),
		.received = api_uint(row->total.received),
		.pending = api_uint(row->pending.sent + row->pending.received),
		.refused = row->refused_cnt,
	};

	if (row->receipt_len) {
		API_SET(&out, signed_s, api_uint(row->made_s));
		out.receipt = varlink_text(
			blocks, relay_receipt_text_write(row->receipt, row->receipt_len, receipt));
	}
	if (row->refused_cnt)
		out.why = why_text(blocks, row);
	return out;
}

void api_list_relay_receipts(struct api *api, struct control_call *call,
			     const struct api_list_relay_receipts_in *in, uint64_t now_ns)
{
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_relay_receipt_row_list receipts = {0};
	struct relay_receipts_row row;
	uint32_t month = 0, idx = 0;

	(void)now_ns;
	if (in->month && relay_month_text_read(in->month, &month) < 0) {
		control_fail(call, WEFT_EMALFORMED, in->month, "not a month",
			     "a month is written as 2026-11");
		return;
	}
	while (api->relay_receipts && relay_receipts_next(api->relay_receipts, &idx, &row))
		if (!in->month || row.month == month)
			varlink_push(blocks, &receipts, row_of(blocks, &row));
	api_reply(call, list_relay_receipts, .receipts = receipts);
}
