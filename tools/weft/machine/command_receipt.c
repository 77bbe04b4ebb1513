/* SPDX-License-Identifier: Apache-2.0 */
/* weft relay receipt-verify: what a receipt says, for a third party. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/text/zbase32.h"
#include "command/daemon_client.h"
#include "machine/grant_file.h"
#include "print/text.h"
#include "relay/receipts/receipt_record.h"
#include "varlink/printed.h"

/* The receipt that is the argument, or that the file of its name has. */
static int receipt_text(const struct invocation *inv, const char **out_text)
{
	const char *word = inv->args[0];
	char *text = NULL;
	int status;

	*out_text = word;
	if (strncmp(word, RELAY_RECEIPT_SCHEME, sizeof(RELAY_RECEIPT_SCHEME) - 1) == 0)
		return STATUS_OK;
	status = grant_file_read(inv, word, &text);
	if (status == STATUS_OK && !text)
		return client_say_error(STATUS_NOT_FOUND, word, "no receipt, and no file",
					"a receipt begins with " RELAY_RECEIPT_SCHEME);
	*out_text = text;
	return status;
}

static int receipt_verify(const char *text, uint8_t bytes[static RELAY_RECEIPT_LEN_MAX],
			  struct relay_receipt *out)
{
	size_t len;
	int err = relay_receipt_text_read(text, bytes, &len);

	if (err == 0)
		err = relay_receipt_parse(bytes, len, out);
	if (err < 0)
		return client_say_error(STATUS_NOT_VERIFIED, "the receipt",
					"it was cut, or is something else", NULL);
	if (relay_receipt_verify(bytes, len) < 0)
		return client_say_error(
			STATUS_NOT_VERIFIED, "the receipt",
			"a signature is wrong: it was forged or changed",
			"ask the relay or the owner for it again: weft relay receipt --json");
	return STATUS_OK;
}

static struct api_printed_receipt printed_of(struct varlink_blocks *blocks,
					     const struct relay_receipt *receipt)
{
	const struct relay_claim *claim = &receipt->claim;
	const struct relay_count total = relay_receipt_total(receipt);
	char relay[ZBASE32_KEY_TEXT_CAP], owner[ZBASE32_KEY_TEXT_CAP];
	char month[RELAY_MONTH_TEXT_CAP];

	return (struct api_printed_receipt){
		.month = varlink_text(blocks, relay_month_text_write(claim->month, month)),
		.relay = varlink_text(blocks, zbase32_write(receipt->relay, 32, relay)),
		.owner = varlink_text(blocks, zbase32_write(claim->owner, 32, owner)),
		.serial = claim->serial,
		.sent = (int64_t)total.sent,
		.received = (int64_t)total.received,
		.sent_by_relay = (int64_t)receipt->counted.sent,
		.received_by_relay = (int64_t)receipt->counted.received,
		.sent_by_owner = (int64_t)claim->counted.sent,
		.received_by_owner = (int64_t)claim->counted.received,
		.signed_s = (int64_t)receipt->made_s,
	};
}

static void receipt_line(const struct api_printed_receipt *receipt)
{
	printf("%s\t%s\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\n", receipt->month,
	       receipt->relay, receipt->owner, receipt->serial, receipt->sent, receipt->received,
	       receipt->signed_s);
}

int run_relay_receipt_verify(struct invocation *inv)
{
	uint8_t bytes[RELAY_RECEIPT_LEN_MAX];
	struct api_printed_receipt printed;
	struct relay_receipt receipt;
	const char *text;
	int status = receipt_text(inv, &text);
	json_t *json;

	if (status == STATUS_OK)
		status = receipt_verify(text, bytes, &receipt);
	if (status != STATUS_OK)
		return status;
	printed = printed_of(inv->blocks, &receipt);
	if (!inv->is_json) {
		receipt_line(&printed);
		return STATUS_OK;
	}
	json = api_printed_receipt_write(&printed);
	text_print_json(json);
	json_decref(json);
	return STATUS_OK;
}
