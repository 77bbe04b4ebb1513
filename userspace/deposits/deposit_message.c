/* SPDX-License-Identifier: Apache-2.0 */
#include "deposit_message.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/signed.h"

#define MAILPULL_TAG "mailpull"

/* --- PUT --- */

static const struct cbor_field put_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct deposit_put_message, recipient)},
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct deposit_put_message, id)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct deposit_put_message, expires_s)},
	{3, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct deposit_put_message, sealed),
	 CBOR_LEN(struct deposit_put_message, sealed_len), .min = DEPOSIT_SEALED_LEN_MIN,
	 .max = DEPOSIT_SEALED_LEN_MAX},
};
static const struct cbor_table put_table = {CBOR_FIELDS(put_fields)};

static const struct cbor_field answer_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct deposit_put_answer, state),
	 .max = DEPOSIT_STATE_DELIVERED},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct deposit_put_answer, expires_s)},
	{2, CBOR_FIELD_FIXED, CBOR_HAS(struct deposit_put_answer, has_receipt),
	 CBOR_AT(struct deposit_put_answer, receipt)},
};
static const struct cbor_table answer_table = {CBOR_FIELDS(answer_fields)};

void deposits_put_write(struct writer *w, const struct deposit_put_message *message)
{
	cbor_fields_write(w, &put_table, message);
}

int deposits_put_parse(const void *bytes, size_t len, struct deposit_put_message *out_message)
{
	struct deposit_put_message message = {0};

	if (cbor_fields_parse(bytes, len, &put_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void deposits_put_answer_write(struct writer *w, const struct deposit_put_answer *answer)
{
	cbor_fields_write(w, &answer_table, answer);
}

int deposits_put_answer_parse(const void *bytes, size_t len, struct deposit_put_answer *out_answer)
{
	struct deposit_put_answer answer = {0};

	if (cbor_fields_parse(bytes, len, &answer_table, &answer) < 0 || answer.state == 0 ||
	    (answer.has_receipt && answer.state != DEPOSIT_STATE_DELIVERED))
		return WEFT_EMALFORMED;
	*out_answer = answer;
	return 0;
}

/* --- PULL --- */

static const struct cbor_field pull_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct deposit_pull_message, after)},
	{1, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct deposit_pull_message, mailpull),
	 CBOR_LEN(struct deposit_pull_message, mailpull_len), .min = 1, .max = MAILPULL_LEN_MAX},
};
static const struct cbor_table pull_table = {CBOR_FIELDS(pull_fields)};

static const struct cbor_field row_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct deposit_row_message, id)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct deposit_row_message, expires_s)},
	{2, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct deposit_row_message, sealed),
	 CBOR_LEN(struct deposit_row_message, sealed_len), .min = DEPOSIT_SEALED_LEN_MIN,
	 .max = DEPOSIT_SEALED_LEN_MAX},
};
static const struct cbor_table row_table = {CBOR_FIELDS(row_fields)};

static const struct cbor_field page_fields[] = {
	{0, CBOR_FIELD_ROWS, CBOR_NEEDED, CBOR_ROWS(struct deposit_page, rows, row_table),
	 CBOR_LEN(struct deposit_page, row_cnt)},
	{1, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct deposit_page, next)},
};
static const struct cbor_table page_table = {CBOR_FIELDS(page_fields)};

void deposits_pull_write(struct writer *w, const struct deposit_pull_message *message)
{
	cbor_fields_write(w, &pull_table, message);
}

int deposits_pull_parse(const void *bytes, size_t len, struct deposit_pull_message *out_message)
{
	struct deposit_pull_message message = {0};

	if (cbor_fields_parse(bytes, len, &pull_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void deposits_page_write(struct writer *w, const struct deposit_page *page)
{
	cbor_fields_write(w, &page_table, page);
}

int deposits_page_parse(const void *bytes, size_t len, struct deposit_page *out_page)
{
	out_page->row_cnt = 0;
	out_page->next = 0;
	return cbor_fields_parse(bytes, len, &page_table, out_page) < 0 ? WEFT_EMALFORMED : 0;
}

/* --- ACK --- */

static const struct cbor_field ack_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct deposit_ack_message, recipient)},
	{1, CBOR_FIELD_IDS, CBOR_USUAL, CBOR_IDS(struct deposit_ack_message, receipts),
	 CBOR_LEN(struct deposit_ack_message, receipt_cnt)},
	{2, CBOR_FIELD_IDS, CBOR_USUAL, CBOR_IDS(struct deposit_ack_message, ids),
	 CBOR_LEN(struct deposit_ack_message, id_cnt)},
	{3, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct deposit_ack_message, mailpull),
	 CBOR_LEN(struct deposit_ack_message, mailpull_len), .min = 1, .max = MAILPULL_LEN_MAX},
};
static const struct cbor_table ack_table = {CBOR_FIELDS(ack_fields)};

struct ack_answer {
	uint64_t cnt;
};
static const struct cbor_field ack_answer_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct ack_answer, cnt)},
};
static const struct cbor_table ack_answer_table = {CBOR_FIELDS(ack_answer_fields)};

void deposits_ack_write(struct writer *w, const struct deposit_ack_message *message)
{
	cbor_fields_write(w, &ack_table, message);
}

int deposits_ack_parse(const void *bytes, size_t len, struct deposit_ack_message *out_message)
{
	struct deposit_ack_message message = {.receipt_cnt = 0};

	if (cbor_fields_parse(bytes, len, &ack_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void deposits_ack_answer_write(struct writer *w, uint64_t cnt)
{
	const struct ack_answer answer = {.cnt = cnt};

	cbor_fields_write(w, &ack_answer_table, &answer);
}

int deposits_ack_answer_parse(const void *bytes, size_t len, uint64_t *out_cnt)
{
	struct ack_answer answer;

	if (cbor_fields_parse(bytes, len, &ack_answer_table, &answer) < 0)
		return WEFT_EMALFORMED;
	*out_cnt = answer.cnt;
	return 0;
}

/* --- mailpull --- */

struct mailpull_body {
	uint8_t key[DEPOSIT_KEY_LEN];
	uint8_t session[MAILPULL_SESSION_LEN];
};
static const struct cbor_field mailpull_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct mailpull_body, key)},
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct mailpull_body, session)},
};
static const struct cbor_table mailpull_table = {CBOR_FIELDS(mailpull_fields), .is_closed = true};

void deposits_mailpull_write(struct writer *w, const struct node_key *key,
			     const uint8_t session[static MAILPULL_SESSION_LEN])
{
	struct mailpull_body body;
	uint8_t bytes[sizeof(body) + 16];
	struct writer b = writer_of(bytes, sizeof(bytes));

	memcpy(body.key, node_key_public(key), sizeof(body.key));
	memcpy(body.session, session, sizeof(body.session));
	cbor_fields_write(&b, &mailpull_table, &body);
	w->bad |= b.bad;
	signed_write(w, key, MAILPULL_TAG, bytes, writer_len(&b));
}

int deposits_mailpull_verify(const uint8_t *bytes, size_t len,
			     const uint8_t session[static MAILPULL_SESSION_LEN],
			     uint8_t out_key[static DEPOSIT_KEY_LEN])
{
	struct signed_object object;
	struct mailpull_body body;
	int err;

	if (signed_parse(bytes, len, &object) < 0 ||
	    cbor_fields_parse(object.body, object.body_len, &mailpull_table, &body) < 0 ||
	    memcmp(body.key, object.signer, sizeof(body.key)) != 0)
		return WEFT_EMALFORMED;
	if (memcmp(body.session, session, sizeof(body.session)) != 0)
		return WEFT_EREFUSED;
	if ((err = signed_verify(&object, MAILPULL_TAG)) < 0)
		return err;
	memcpy(out_key, body.key, sizeof(body.key));
	return 0;
}
