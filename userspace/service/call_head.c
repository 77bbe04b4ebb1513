/* SPDX-License-Identifier: Apache-2.0 */
/* The heads of calls, replies and closes, to and from bytes. */
#include "service/call_head.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "codec/text/utf8.h"

enum call_field {
	CALL_SERVICE_ID,
	CALL_MAJOR,
	CALL_METHOD,
	CALL_CORRELATION,
	CALL_LEFT_MS,
	CALL_KEY,
	CALL_BODY_LEN,
	CALL_SIGNATURE,
	CALL_SIGNED_MS,
	CALL_SENT_MS,
	CALL_TRACE,
};

static const struct cbor_field call_fields[] = {
	{CALL_SERVICE_ID, CBOR_FIELD_FIXED, CBOR_NEEDED,
	 CBOR_AT(struct service_call_head, service_id)},
	{CALL_MAJOR, CBOR_FIELD_UINT, CBOR_HAS(struct service_call_head, has_major),
	 CBOR_AT(struct service_call_head, major)},
	{CALL_METHOD, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct service_call_head, method)},
	{CALL_CORRELATION, CBOR_FIELD_FIXED, CBOR_NEEDED,
	 CBOR_AT(struct service_call_head, correlation)},
	{CALL_LEFT_MS, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct service_call_head, left_ms)},
	{CALL_KEY, CBOR_FIELD_FIXED, CBOR_HAS(struct service_call_head, has_key),
	 CBOR_AT(struct service_call_head, key)},
	{CALL_BODY_LEN, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct service_call_head, body_len)},
	{CALL_SIGNATURE, CBOR_FIELD_FIXED, CBOR_HAS(struct service_call_head, has_signature),
	 CBOR_AT(struct service_call_head, signature)},
	{CALL_SIGNED_MS, CBOR_FIELD_UINT, CBOR_HAS(struct service_call_head, has_signature),
	 CBOR_AT(struct service_call_head, signed_ms)},
	{CALL_SENT_MS, CBOR_FIELD_UINT, CBOR_HAS(struct service_call_head, is_again),
	 CBOR_AT(struct service_call_head, sent_ms)},
	{CALL_TRACE, CBOR_FIELD_FIXED, CBOR_HAS(struct service_call_head, has_trace),
	 CBOR_AT(struct service_call_head, trace.bytes)},
};
static const struct cbor_table call_table = {CBOR_FIELDS(call_fields), .is_closed = true};

enum reply_field {
	REPLY_CORRELATION,
	REPLY_STATUS,
	REPLY_TEXT,
	REPLY_NOT_BEFORE_MS,
	REPLY_IS_REFUSED,
	REPLY_BODY_LEN = 6,
};

static const struct cbor_field reply_fields[] = {
	{REPLY_CORRELATION, CBOR_FIELD_FIXED, CBOR_NEEDED,
	 CBOR_AT(struct service_reply_head, correlation)},
	{REPLY_STATUS, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct service_reply_head, status),
	 .max = UINT8_MAX},
	{REPLY_TEXT, CBOR_FIELD_TEXT, CBOR_OPTIONAL, CBOR_AT(struct service_reply_head, text)},
	{REPLY_NOT_BEFORE_MS, CBOR_FIELD_UINT, CBOR_OPTIONAL,
	 CBOR_AT(struct service_reply_head, not_before_ms)},
	{REPLY_IS_REFUSED, CBOR_FIELD_BOOL, CBOR_OPTIONAL,
	 CBOR_AT(struct service_reply_head, is_refused)},
	{REPLY_BODY_LEN, CBOR_FIELD_UINT, CBOR_NEEDED,
	 CBOR_AT(struct service_reply_head, body_len)},
};
static const struct cbor_table reply_table = {CBOR_FIELDS(reply_fields), .is_closed = true};

/* A close has the second and the third. */
static const struct cbor_table close_table = {
	.fields = &reply_fields[REPLY_STATUS], .cnt = 2, .is_closed = true};

bool service_method_is_valid(const char *method)
{
	size_t len = 0;

	for (; method[len]; len++)
		if (method[len] < 0x21 || method[len] > 0x7e || len == SERVICE_METHOD_LEN_MAX)
			return false;
	return len > 0;
}

/* Texts appear on terminals, which obey bytes below a space and from 0x80 to 0x9f. */
static void text_tame(char *text)
{
	for (uint8_t *at = (uint8_t *)text; *at; at++)
		if (*at < 0x20 || *at == 0x7f)
			*at = '?';
		else if (at[0] == 0xc2 && at[1] < 0xa0)
			at[0] = at[1] = '?';
}

void service_text_copy(char dst[static SERVICE_TEXT_LEN_MAX + 1], const char *text)
{
	size_t len = text ? strnlen(text, SERVICE_TEXT_LEN_MAX + 1) : 0;

	if (len > SERVICE_TEXT_LEN_MAX) {
		len = SERVICE_TEXT_LEN_MAX;
		while (len && ((uint8_t)text[len] & 0xc0) == 0x80)
			len--;
	}
	if (!utf8_is_valid(text, len))
		len = 0;
	if (len)
		memmove(dst, text, len); /* text may lie in dst */
	dst[len] = 0;
	text_tame(dst);
}

void service_call_head_write(struct writer *w, const struct service_call_head *head)
{
	cbor_fields_write(w, &call_table, head);
}

int service_call_head_parse(const uint8_t *data, size_t len, struct service_call_head *out_head)
{
	struct service_call_head head = {.major = 0};
	struct cbor_reader r;

	cbor_reader_init(&r, data, len);
	cbor_fields_read(&r, &call_table, &head);
	if (cbor_is_bad(&r) ||
	    cbor_has_key(&r, CALL_SIGNATURE) != cbor_has_key(&r, CALL_SIGNED_MS) ||
	    (head.is_again && !head.has_key) || !service_method_is_valid(head.method))
		return WEFT_EMALFORMED;
	head.has_trace = head.has_trace && service_trace_is_valid(&head.trace);
	*out_head = head;
	return (int)(r.c.pos - data);
}

void service_reply_head_write(struct writer *w, const struct service_reply_head *head)
{
	cbor_fields_write(w, &reply_table, head);
}

static void reply_read(struct cbor_reader *r, const struct cbor_table *table,
		       struct service_reply_head *head)
{
	cbor_fields_read(r, table, head);
	if (head->status >= SERVICE_STATUS_CNT)
		head->status = SERVICE_UNKNOWN_ERROR;
	text_tame(head->text);
}

int service_reply_head_parse(const uint8_t *data, size_t len, struct service_reply_head *out_head)
{
	struct service_reply_head head = {.status = SERVICE_OK};
	struct cbor_reader r;

	cbor_reader_init(&r, data, len);
	reply_read(&r, &reply_table, &head);
	if (cbor_is_bad(&r))
		return WEFT_EMALFORMED;
	*out_head = head;
	return (int)(r.c.pos - data);
}

void service_close_write(struct writer *w, enum service_status status, const char *text)
{
	struct service_reply_head head = {.status = status};

	service_text_copy(head.text, text);
	cbor_fields_write(w, &close_table, &head);
}

int service_close_parse(const uint8_t *data, size_t len, struct service_reply_head *out_head)
{
	struct service_reply_head head = {.status = SERVICE_OK};
	struct cbor_reader r;

	cbor_reader_init(&r, data, len);
	reply_read(&r, &close_table, &head);
	if (cbor_reader_finish(&r) < 0)
		return WEFT_EMALFORMED;
	*out_head = head;
	return 0;
}
