/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims, receipts and message 463, as they are and as bodies that are signed here, so that their
 * fields are reached. What parses is written again to the same bytes.
 */
#include <string.h>

#include "base/assert.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "relay/receipts/receipt_message.h"
#include "relay/receipts/receipt_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct node_key *key;
static uint8_t bytes[RELAY_RECEIPT_LEN_MAX + SIGNED_OVERHEAD_MAX];
static uint8_t again[sizeof(bytes)];

static void check_claim(const uint8_t *at, size_t len)
{
	struct writer w = writer_of(again, sizeof(again));
	struct relay_claim claim, back;

	if (relay_claim_parse(at, len, &claim) < 0)
		return;
	weft_assert(claim.serial > 0 && claim.month <= RELAY_RECEIPT_MONTH_MAX);
	relay_claim_write(&w, key, &claim);
	weft_assert(!w.bad && writer_len(&w) == len);
	/* A claim for its own signer is none. */
	if (memcmp(claim.relay, node_key_public(key), sizeof(claim.relay)) == 0)
		return;
	weft_assert(relay_claim_parse(again, len, &back) == 0);
	weft_assert(memcmp(&claim, &back, sizeof(claim)) == 0);
	weft_assert(relay_claim_verify(again, len) == 0);
}

static void check_receipt(const uint8_t *at, size_t len)
{
	struct relay_receipt receipt;
	struct relay_count total;

	if (relay_receipt_parse(at, len, &receipt) < 0)
		return;
	total = relay_receipt_total(&receipt);
	weft_assert(total.sent <= receipt.claim.counted.sent);
	weft_assert(total.sent <= receipt.counted.sent);
	weft_assert(total.sent <= RELAY_RECEIPT_BYTES_MAX);
	weft_assert(receipt.claim_bytes >= at &&
		    receipt.claim_bytes + receipt.claim_len <= at + len);
	weft_assert(relay_receipt_verify(at, len) <= 0);
}

static size_t sign(const char *tag, const uint8_t *data, size_t len)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	signed_write(&w, key, tag, data, len);
	return w.bad ? 0 : writer_len(&w);
}

static void check_messages(const uint8_t *data, size_t len)
{
	static uint8_t payload[RELAY_CLAIM_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct relay_claim_message asked;
	struct relay_receipt_message answered;

	if (relay_message_claim_parse(data, len, &asked) == 0) {
		relay_message_claim_write(&w, &asked);
		weft_assert(!w.bad);
		check_claim(asked.claim, asked.claim_len);
	}
	if (relay_message_receipt_parse(data, len, &answered) == 0) {
		w = writer_of(payload, sizeof(payload));
		relay_message_receipt_write(&w, &answered);
		weft_assert(!w.bad && writer_len(&w) <= RELAY_RECEIPT_MESSAGE_LEN_MAX);
		check_receipt(answered.receipt, answered.receipt_len);
	}
}

static void check_text(const uint8_t *data, size_t len)
{
	static char text[2 * RELAY_RECEIPT_TEXT_CAP];
	uint8_t read[RELAY_RECEIPT_LEN_MAX];
	size_t read_len;
	char month_text[RELAY_MONTH_TEXT_CAP];
	uint32_t month;

	if (len >= sizeof(text))
		return;
	memcpy(text, data, len);
	text[len] = '\0';
	if (relay_receipt_text_read(text, read, &read_len) == 0)
		check_receipt(read, read_len);
	if (relay_month_text_read(text, &month) == 0)
		weft_assert(strcmp(relay_month_text_write(month, month_text), text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};

	if (!key)
		weft_assert(node_key_from_seed(seed, &key) == 0);
	check_text(data, len);
	check_claim(data, len);
	check_claim(bytes, sign(RELAY_CLAIM_TAG, data, len));
	check_receipt(data, len);
	check_receipt(bytes, sign(RELAY_RECEIPT_TAG, data, len));
	check_messages(data, len);
	return 0;
}
