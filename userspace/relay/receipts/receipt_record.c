/* SPDX-License-Identifier: Apache-2.0 */
#include "receipt_record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "codec/cbor_fields.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "relay/scheme_text.h"

#define MONTHS_A_YEAR 12u
#define FIRST_YEAR    1970u

_Static_assert(sizeof(((struct relay_claim *)0)->owner) == NODE_KEY_LEN, "a node's key");

static const struct cbor_field claim_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct relay_claim, relay)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_claim, month),
	 .max = RELAY_RECEIPT_MONTH_MAX},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_claim, serial)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_claim, counted.sent),
	 .max = RELAY_RECEIPT_BYTES_MAX},
	{4, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_claim, counted.received),
	 .max = RELAY_RECEIPT_BYTES_MAX},
	{5, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_claim, made_s), .max = INT64_MAX},
};
static const struct cbor_table claim_table = {CBOR_FIELDS(claim_fields), .is_closed = true};

static const struct cbor_field receipt_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct relay_receipt, claim_bytes),
	 CBOR_LEN(struct relay_receipt, claim_len), .max = RELAY_CLAIM_LEN_MAX},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_receipt, counted.sent),
	 .max = RELAY_RECEIPT_BYTES_MAX},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_receipt, counted.received),
	 .max = RELAY_RECEIPT_BYTES_MAX},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_receipt, made_s), .max = INT64_MAX},
};
static const struct cbor_table receipt_table = {CBOR_FIELDS(receipt_fields), .is_closed = true};

uint32_t relay_month_of(uint64_t wall_s)
{
	time_t at = (time_t)wall_s;
	struct tm utc;

	if (!gmtime_r(&at, &utc) || utc.tm_year < (int)FIRST_YEAR - 1900)
		return 0;
	return ((uint32_t)utc.tm_year - (FIRST_YEAR - 1900)) * MONTHS_A_YEAR + (uint32_t)utc.tm_mon;
}

/* --- counts --- */

static bool is_near(uint64_t a, uint64_t b)
{
	uint64_t more = a > b ? a : b, less = a > b ? b : a;

	return more - less <= RELAY_RECEIPT_SLACK + more / RELAY_RECEIPT_SLACK_PART;
}

bool relay_count_agrees(const struct relay_count *a, const struct relay_count *b)
{
	return is_near(a->sent, b->sent) && is_near(a->received, b->received);
}

struct relay_count relay_count_smaller(const struct relay_count *a, const struct relay_count *b)
{
	return (struct relay_count){
		.sent = a->sent < b->sent ? a->sent : b->sent,
		.received = a->received < b->received ? a->received : b->received,
	};
}

struct relay_count relay_receipt_total(const struct relay_receipt *receipt)
{
	return relay_count_smaller(&receipt->claim.counted, &receipt->counted);
}

/* --- bytes --- */

static void object_write(struct writer *w, const struct node_key *key, const char *tag,
			 const struct cbor_table *table, const void *record)
{
	uint8_t body[RELAY_RECEIPT_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body));

	cbor_fields_write(&b, table, record);
	w->bad |= b.bad;
	signed_write(w, key, tag, body, writer_len(&b));
}

void relay_claim_write(struct writer *w, const struct node_key *key, struct relay_claim *claim)
{
	memcpy(claim->owner, node_key_public(key), sizeof(claim->owner));
	object_write(w, key, RELAY_CLAIM_TAG, &claim_table, claim);
}

void relay_receipt_write(struct writer *w, const struct node_key *key,
			 struct relay_receipt *receipt)
{
	memcpy(receipt->relay, node_key_public(key), sizeof(receipt->relay));
	object_write(w, key, RELAY_RECEIPT_TAG, &receipt_table, receipt);
}

static bool claim_is_sound(const struct relay_claim *claim)
{
	return claim->serial > 0 && claim->month == relay_month_of(claim->made_s) &&
	       memcmp(claim->owner, claim->relay, sizeof(claim->owner)) != 0;
}

int relay_claim_parse(const void *bytes, size_t len, struct relay_claim *out_claim)
{
	struct relay_claim claim = {.serial = 0};
	struct signed_object object;
	int err;

	if (len > RELAY_CLAIM_LEN_MAX)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0 ||
	    (err = cbor_fields_parse(object.body, object.body_len, &claim_table, &claim)) < 0)
		return err;
	memcpy(claim.owner, object.signer, sizeof(claim.owner));
	if (!claim_is_sound(&claim))
		return WEFT_EMALFORMED;
	*out_claim = claim;
	return 0;
}

static bool receipt_is_sound(const struct relay_receipt *receipt)
{
	const struct relay_claim *claim = &receipt->claim;

	return memcmp(claim->relay, receipt->relay, sizeof(claim->relay)) == 0 &&
	       receipt->made_s + RELAY_CLAIM_SKEW_S >= claim->made_s &&
	       receipt->made_s <= claim->made_s + RELAY_CLAIM_LIFE_S + RELAY_CLAIM_SKEW_S &&
	       relay_count_agrees(&claim->counted, &receipt->counted);
}

int relay_receipt_parse(const void *bytes, size_t len, struct relay_receipt *out_receipt)
{
	struct relay_receipt receipt = {.claim_len = 0};
	struct signed_object object;
	int err;

	if (len > RELAY_RECEIPT_LEN_MAX)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0 ||
	    (err = cbor_fields_parse(object.body, object.body_len, &receipt_table, &receipt)) < 0 ||
	    (err = relay_claim_parse(receipt.claim_bytes, receipt.claim_len, &receipt.claim)) < 0)
		return err;
	memcpy(receipt.relay, object.signer, sizeof(receipt.relay));
	if (!receipt_is_sound(&receipt))
		return WEFT_EMALFORMED;
	*out_receipt = receipt;
	return 0;
}

static int object_verify(const void *bytes, size_t len, const char *tag)
{
	struct signed_object object;
	int err = signed_parse(bytes, len, &object);

	return err < 0 ? err : signed_verify(&object, tag);
}

int relay_claim_verify(const void *bytes, size_t len)
{
	return object_verify(bytes, len, RELAY_CLAIM_TAG);
}

int relay_receipt_verify(const void *bytes, size_t len)
{
	struct relay_receipt receipt;
	int err = relay_receipt_parse(bytes, len, &receipt);

	if (err == 0)
		err = object_verify(bytes, len, RELAY_RECEIPT_TAG);
	if (err == 0)
		err = relay_claim_verify(receipt.claim_bytes, receipt.claim_len);
	return err;
}

/* --- text --- */

char *relay_receipt_text_write(const uint8_t *bytes, size_t len,
			       char text[static RELAY_RECEIPT_TEXT_CAP])
{
	return relay_scheme_text_write(RELAY_RECEIPT_SCHEME, bytes, len, text);
}

int relay_receipt_text_read(const char *text, uint8_t bytes[static RELAY_RECEIPT_LEN_MAX],
			    size_t *out_len)
{
	return relay_scheme_text_read(
		RELAY_RECEIPT_SCHEME, text,
		&(struct writer){bytes, bytes, bytes + RELAY_RECEIPT_LEN_MAX, 0}, out_len);
}

char *relay_month_text_write(uint32_t month, char text[static RELAY_MONTH_TEXT_CAP])
{
	snprintf(text, RELAY_MONTH_TEXT_CAP, "%04u-%02u",
		 FIRST_YEAR + month % (RELAY_RECEIPT_MONTH_MAX + 1) / MONTHS_A_YEAR,
		 month % MONTHS_A_YEAR + 1);
	return text;
}

int relay_month_text_read(const char *text, uint32_t *out_month)
{
	unsigned year = 0, month = 0;

	for (unsigned i = 0; i < 7; i++) {
		if (i == 4 ? text[i] != '-' : text[i] < '0' || text[i] > '9')
			return WEFT_EMALFORMED;
		if (i < 4)
			year = year * 10 + (unsigned)(text[i] - '0');
		else if (i > 4)
			month = month * 10 + (unsigned)(text[i] - '0');
	}
	if (text[7] || year < FIRST_YEAR || month < 1 || month > MONTHS_A_YEAR)
		return WEFT_EMALFORMED;
	month = (year - FIRST_YEAR) * MONTHS_A_YEAR + month - 1;
	if (month > RELAY_RECEIPT_MONTH_MAX)
		return WEFT_EMALFORMED;
	*out_month = month;
	return 0;
}
