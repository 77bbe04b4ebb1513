/* SPDX-License-Identifier: Apache-2.0 */
/* Claims and receipts as they are signed, and message 463. */
#include "relay/receipts/receipt_record.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/node_key.h"
#include "relay/receipts/receipt_message.h"
#include "support/check.h"

#define TIME_S 1795000000ull /* in November 2026 */

static struct node_key *relay_key, *owner_key;
static uint8_t claim_bytes[RELAY_CLAIM_LEN_MAX], receipt_bytes[RELAY_RECEIPT_LEN_MAX];

static struct node_key *key_of(uint8_t number)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {number, 7};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

static struct relay_claim claim_base(void)
{
	struct relay_claim claim = {
		.month = relay_month_of(TIME_S),
		.serial = 3,
		.counted = {1000000, 2000000},
		.made_s = TIME_S,
	};

	memcpy(claim.relay, node_key_public(relay_key), sizeof(claim.relay));
	return claim;
}

/* Signs a receipt around claim; its length. */
static size_t receipt_sign(struct relay_claim claim, struct relay_count counted, uint64_t made_s)
{
	struct writer c = writer_of(claim_bytes, sizeof(claim_bytes));
	struct writer r = writer_of(receipt_bytes, sizeof(receipt_bytes));
	struct relay_receipt receipt = {
		.claim_bytes = claim_bytes, .counted = counted, .made_s = made_s};

	relay_claim_write(&c, owner_key, &claim);
	receipt.claim_len = writer_len(&c);
	relay_receipt_write(&r, relay_key, &receipt);
	if (c.bad || r.bad)
		abort();
	return writer_len(&r);
}

static void test_a_receipt_says_what_both_counted(void)
{
	const struct relay_count counted = {900000, 2100000};
	size_t len = receipt_sign(claim_base(), counted, TIME_S + 1);
	struct relay_receipt receipt;
	struct relay_count total;

	CHECK_EQ(relay_receipt_parse(receipt_bytes, len, &receipt), 0);
	CHECK_EQ(relay_receipt_verify(receipt_bytes, len), 0);
	CHECK_MEM(receipt.relay, node_key_public(relay_key), 32);
	CHECK_MEM(receipt.claim.owner, node_key_public(owner_key), 32);
	CHECK_EQ(receipt.claim.serial, 3);
	CHECK_EQ(receipt.claim.counted.sent, 1000000);
	CHECK_EQ(receipt.counted.received, 2100000);
	total = relay_receipt_total(&receipt);
	CHECK_EQ(total.sent, 900000); /* the smaller one */
	CHECK_EQ(total.received, 2000000);
}

static void test_the_longest_ones_fit(void)
{
	struct relay_claim claim = claim_base();
	const struct relay_count most = {RELAY_RECEIPT_BYTES_MAX, RELAY_RECEIPT_BYTES_MAX};
	struct relay_receipt receipt;
	size_t len;

	claim.serial = UINT32_MAX;
	claim.counted = most;
	len = receipt_sign(claim, most, TIME_S);
	CHECK_EQ(relay_receipt_parse(receipt_bytes, len, &receipt), 0);
	CHECK_EQ(relay_receipt_total(&receipt).sent, RELAY_RECEIPT_BYTES_MAX);
}

static void test_counts_agree_up_to_the_tolerance(void)
{
	struct relay_count own = {1 << 20, 4 << 20}, other = own;

	CHECK(relay_count_agrees(&own, &other));
	other.sent = own.sent - own.sent / RELAY_RECEIPT_SLACK_PART - RELAY_RECEIPT_SLACK;
	CHECK(relay_count_agrees(&own, &other));
	CHECK(relay_count_agrees(&other, &own));
	other.sent--;
	CHECK(!relay_count_agrees(&own, &other));
	CHECK(!relay_count_agrees(&other, &own));
	other = own;
	other.received = 0;
	CHECK(!relay_count_agrees(&own, &other));
	own = (struct relay_count){RELAY_RECEIPT_SLACK, 0};
	other = (struct relay_count){0, 0};
	CHECK(relay_count_agrees(&own, &other));
}

static int parsed(size_t len)
{
	struct relay_receipt receipt;

	return relay_receipt_parse(receipt_bytes, len, &receipt);
}

static void test_what_no_relay_signs_is_malformed(void)
{
	const struct relay_count counted = claim_base().counted;
	struct relay_claim claim = claim_base();

	CHECK_EQ(parsed(receipt_sign(claim, counted, TIME_S)), 0);
	CHECK_EQ(parsed(receipt_sign(claim, (struct relay_count){1000000, 500000}, TIME_S)),
		 WEFT_EMALFORMED);
	CHECK_EQ(parsed(receipt_sign(claim, counted, TIME_S - RELAY_CLAIM_SKEW_S)), 0);
	CHECK_EQ(parsed(receipt_sign(claim, counted, TIME_S - RELAY_CLAIM_SKEW_S - 1)),
		 WEFT_EMALFORMED);
	CHECK_EQ(parsed(receipt_sign(claim, counted,
				     TIME_S + RELAY_CLAIM_LIFE_S + RELAY_CLAIM_SKEW_S)),
		 0);
	CHECK_EQ(parsed(receipt_sign(claim, counted,
				     TIME_S + RELAY_CLAIM_LIFE_S + RELAY_CLAIM_SKEW_S + 1)),
		 WEFT_EMALFORMED);
	claim.serial = 0;
	CHECK_EQ(parsed(receipt_sign(claim, counted, TIME_S)), WEFT_EMALFORMED);
	claim = claim_base();
	claim.month++;
	CHECK_EQ(parsed(receipt_sign(claim, counted, TIME_S)), WEFT_EMALFORMED);
	claim = claim_base();
	claim.relay[0] ^= 1;
	CHECK_EQ(parsed(receipt_sign(claim, counted, TIME_S)), WEFT_EMALFORMED);
	claim = claim_base();
	memcpy(claim.relay, node_key_public(owner_key), sizeof(claim.relay));
	CHECK_EQ(parsed(receipt_sign(claim, counted, TIME_S)), WEFT_EMALFORMED);
}

static void test_a_changed_byte_is_no_receipt(void)
{
	size_t len = receipt_sign(claim_base(), claim_base().counted, TIME_S);

	for (size_t i = 0; i < len; i++) {
		receipt_bytes[i] ^= 1;
		CHECK(relay_receipt_verify(receipt_bytes, len) < 0);
		receipt_bytes[i] ^= 1;
	}
	CHECK_EQ(relay_receipt_verify(receipt_bytes, len), 0);
}

static void test_truncated_ones_are_refused(void)
{
	size_t len = receipt_sign(claim_base(), claim_base().counted, TIME_S);
	const struct relay_claim_message ask = {claim_bytes, receipt_bytes, 100, len};
	const struct relay_receipt_message answer = {.receipt = receipt_bytes, .receipt_len = len};
	uint8_t payload[RELAY_CLAIM_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct relay_receipt_message answered;
	struct relay_claim_message asked;
	struct relay_claim claim;

	for (size_t cut = 0; cut < len; cut++)
		CHECK(parsed(cut) < 0);
	CHECK(relay_claim_parse(claim_bytes, 100, &claim) < 0);
	relay_message_claim_write(&w, &ask);
	for (size_t cut = 0; cut < writer_len(&w); cut++)
		CHECK(relay_message_claim_parse(payload, cut, &asked) < 0);
	CHECK_EQ(relay_message_claim_parse(payload, writer_len(&w), &asked), 0);
	CHECK_EQ(asked.last_len, len);
	w = writer_of(payload, sizeof(payload));
	relay_message_receipt_write(&w, &answer);
	for (size_t cut = 0; cut < writer_len(&w); cut++)
		CHECK(relay_message_receipt_parse(payload, cut, &answered) < 0);
	CHECK_EQ(relay_message_receipt_parse(payload, writer_len(&w), &answered), 0);
	CHECK_MEM(answered.receipt, receipt_bytes, len);
}

static void test_what_is_longer_by_one_is_refused(void)
{
	static const uint8_t zeros[RELAY_RECEIPT_LEN_MAX + 1];
	uint8_t payload[2 * RELAY_CLAIM_MESSAGE_LEN_MAX];
	struct relay_claim_message asked,
		ask = {zeros, zeros, RELAY_CLAIM_LEN_MAX, RELAY_RECEIPT_LEN_MAX};
	struct writer w = writer_of(payload, sizeof(payload));
	struct relay_receipt receipt;
	struct relay_claim claim;

	relay_message_claim_write(&w, &ask);
	CHECK(writer_len(&w) <= RELAY_CLAIM_MESSAGE_LEN_MAX);
	CHECK_EQ(relay_message_claim_parse(payload, writer_len(&w), &asked), 0);
	ask.claim_len++;
	w = writer_of(payload, sizeof(payload));
	relay_message_claim_write(&w, &ask);
	CHECK_EQ(relay_message_claim_parse(payload, writer_len(&w), &asked), WEFT_EMALFORMED);
	ask.claim_len--;
	ask.last_len++;
	w = writer_of(payload, sizeof(payload));
	relay_message_claim_write(&w, &ask);
	CHECK_EQ(relay_message_claim_parse(payload, writer_len(&w), &asked), WEFT_EMALFORMED);
	CHECK_EQ(relay_claim_parse(zeros, RELAY_CLAIM_LEN_MAX + 1, &claim), WEFT_ETOOLARGE);
	CHECK_EQ(relay_receipt_parse(zeros, RELAY_RECEIPT_LEN_MAX + 1, &receipt), WEFT_ETOOLARGE);
}

static void test_text_is_read_back(void)
{
	size_t len = receipt_sign(claim_base(), claim_base().counted, TIME_S), read_len;
	char text[RELAY_RECEIPT_TEXT_CAP];
	uint8_t read[RELAY_RECEIPT_LEN_MAX];

	relay_receipt_text_write(receipt_bytes, len, text);
	CHECK_EQ(strncmp(text, RELAY_RECEIPT_SCHEME, strlen(RELAY_RECEIPT_SCHEME)), 0);
	CHECK_EQ(relay_receipt_text_read(text, read, &read_len), 0);
	CHECK_EQ(read_len, len);
	CHECK_MEM(read, receipt_bytes, len);
	CHECK(relay_receipt_text_read("mesh-relay-grant:y", read, &read_len) < 0);
}

static void test_months_are_read_and_written(void)
{
	static const struct {
		const char *text;
		uint32_t month;
		int err;
	} rows[] = {
		{"1970-01", 0, 0},
		{"2026-11", 56 * 12 + 10, 0},
		{"2026-00", 0, WEFT_EMALFORMED},
		{"2026-13", 0, WEFT_EMALFORMED},
		{"1969-12", 0, WEFT_EMALFORMED},
		{"9999-01", 0, WEFT_EMALFORMED},
		{"2026-1", 0, WEFT_EMALFORMED},
		{"2026-111", 0, WEFT_EMALFORMED},
		{"2026/11", 0, WEFT_EMALFORMED},
		{"", 0, WEFT_EMALFORMED},
	};
	char text[RELAY_MONTH_TEXT_CAP];
	uint32_t month;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(relay_month_text_read(rows[i].text, &month), rows[i].err);
		if (rows[i].err)
			continue;
		CHECK_EQ(month, rows[i].month);
		CHECK_STR(relay_month_text_write(month, text), rows[i].text);
	}
	CHECK_STR(relay_month_text_write(relay_month_of(TIME_S), text), "2026-11");
	CHECK_EQ(relay_month_of(1796083199), relay_month_of(TIME_S));
	CHECK_EQ(relay_month_of(1796083200), relay_month_of(TIME_S) + 1);
}

int main(void)
{
	relay_key = key_of(1);
	owner_key = key_of(2);
	RUN(test_a_receipt_says_what_both_counted);
	RUN(test_the_longest_ones_fit);
	RUN(test_counts_agree_up_to_the_tolerance);
	RUN(test_what_no_relay_signs_is_malformed);
	RUN(test_a_changed_byte_is_no_receipt);
	RUN(test_truncated_ones_are_refused);
	RUN(test_what_is_longer_by_one_is_refused);
	RUN(test_text_is_read_back);
	RUN(test_months_are_read_and_written);
	node_key_free(relay_key);
	node_key_free(owner_key);
	return check_done();
}
