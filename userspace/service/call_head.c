/* SPDX-License-Identifier: Apache-2.0 */
/* The heads of calls, replies and closes, to and from bytes. */
#include "service/call_head.h"

#include <string.h>

#include "codec/cbor.h"
#include "codec/utf8.h"

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
#define CALL_REQUIRED                                                                              \
	(1u << CALL_SERVICE_ID | 1u << CALL_METHOD | 1u << CALL_CORRELATION | 1u << CALL_LEFT_MS | \
	 1u << CALL_BODY_LEN)

enum reply_field {
	REPLY_CORRELATION,
	REPLY_STATUS,
	REPLY_TEXT,
	REPLY_NOT_BEFORE_MS,
	REPLY_IS_REFUSED,
	REPLY_BODY_LEN = 6,
};
#define REPLY_REQUIRED (1u << REPLY_CORRELATION | 1u << REPLY_STATUS | 1u << REPLY_BODY_LEN)

bool service_method_is_valid(const char *method)
{
	size_t len = 0;

	for (; method[len]; len++)
		if (method[len] < 0x21 || method[len] > 0x7e || len == SERVICE_METHOD_LEN_MAX)
			return false;
	return len > 0;
}

/* People read texts on terminals, which obey what is below a space and from 0x80 to 0x9f. */
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
		memmove(dst, text, len); /* text may be what dst has */
	dst[len] = 0;
	text_tame(dst);
}

void service_call_head_write(struct writer *w, const struct service_call_head *head)
{
	cbor_write_map(w, 5u + head->has_major + head->has_key + 2u * head->has_signature +
				  head->is_again + head->has_trace);
	cbor_field_bytes(w, CALL_SERVICE_ID, head->service_id, sizeof(head->service_id));
	if (head->has_major)
		cbor_field_uint(w, CALL_MAJOR, head->major);
	cbor_field_text(w, CALL_METHOD, head->method, strlen(head->method));
	cbor_field_bytes(w, CALL_CORRELATION, head->correlation, sizeof(head->correlation));
	cbor_field_uint(w, CALL_LEFT_MS, head->left_ms);
	if (head->has_key)
		cbor_field_bytes(w, CALL_KEY, head->key, sizeof(head->key));
	cbor_field_uint(w, CALL_BODY_LEN, head->body_len);
	if (head->has_signature) {
		cbor_field_bytes(w, CALL_SIGNATURE, head->signature, sizeof(head->signature));
		cbor_field_uint(w, CALL_SIGNED_MS, head->signed_ms);
	}
	if (head->is_again)
		cbor_field_uint(w, CALL_SENT_MS, head->sent_ms);
	if (head->has_trace)
		cbor_field_bytes(w, CALL_TRACE, head->trace.bytes, sizeof(head->trace.bytes));
}

static void call_field_read(struct cbor_reader *r, uint64_t key, struct service_call_head *head)
{
	switch (key) {
	case CALL_SERVICE_ID:
		cbor_read_fixed(r, head->service_id, sizeof(head->service_id));
		break;
	case CALL_MAJOR:
		head->major = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case CALL_METHOD:
		cbor_read_text_copy(r, head->method, sizeof(head->method));
		break;
	case CALL_CORRELATION:
		cbor_read_fixed(r, head->correlation, sizeof(head->correlation));
		break;
	case CALL_LEFT_MS:
		head->left_ms = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case CALL_KEY:
		cbor_read_fixed(r, head->key, sizeof(head->key));
		break;
	case CALL_BODY_LEN:
		head->body_len = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case CALL_SIGNATURE:
		cbor_read_fixed(r, head->signature, sizeof(head->signature));
		break;
	case CALL_SIGNED_MS:
		head->signed_ms = cbor_read_uint(r);
		break;
	case CALL_SENT_MS:
		head->sent_ms = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case CALL_TRACE:
		cbor_read_fixed(r, head->trace.bytes, sizeof(head->trace.bytes));
		break;
	default:
		cbor_fail(r);
	}
}

int service_call_head_parse(const uint8_t *data, size_t len, struct service_call_head *out_head)
{
	struct service_call_head head = {.major = 0};
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		call_field_read(&r, key, &head);
	if (cbor_is_bad(&r) || (r.seen & CALL_REQUIRED) != CALL_REQUIRED ||
	    cbor_has_key(&r, CALL_SIGNATURE) != cbor_has_key(&r, CALL_SIGNED_MS) ||
	    (cbor_has_key(&r, CALL_SENT_MS) && !cbor_has_key(&r, CALL_KEY)) ||
	    !service_method_is_valid(head.method))
		return WEFT_EMALFORMED;
	head.has_major = cbor_has_key(&r, CALL_MAJOR);
	head.has_key = cbor_has_key(&r, CALL_KEY);
	head.has_signature = cbor_has_key(&r, CALL_SIGNATURE);
	head.is_again = cbor_has_key(&r, CALL_SENT_MS);
	head.has_trace = cbor_has_key(&r, CALL_TRACE) && service_trace_is_valid(&head.trace);
	*out_head = head;
	return (int)(r.c.pos - data);
}

void service_reply_head_write(struct writer *w, const struct service_reply_head *head)
{
	cbor_write_map(w, 3u + !!head->text[0] + !!head->not_before_ms + head->is_refused);
	cbor_field_bytes(w, REPLY_CORRELATION, head->correlation, sizeof(head->correlation));
	cbor_field_uint(w, REPLY_STATUS, head->status);
	if (head->text[0])
		cbor_field_text(w, REPLY_TEXT, head->text, strlen(head->text));
	if (head->not_before_ms)
		cbor_field_uint(w, REPLY_NOT_BEFORE_MS, head->not_before_ms);
	if (head->is_refused)
		cbor_field_bool(w, REPLY_IS_REFUSED, true);
	cbor_field_uint(w, REPLY_BODY_LEN, head->body_len);
}

static enum service_status status_read(struct cbor_reader *r)
{
	uint64_t status = cbor_read_uint_max(r, UINT8_MAX);

	return status < SERVICE_STATUS_CNT ? (enum service_status)status : SERVICE_UNKNOWN_ERROR;
}

static void reply_field_read(struct cbor_reader *r, uint64_t key, struct service_reply_head *head)
{
	switch (key) {
	case REPLY_CORRELATION:
		cbor_read_fixed(r, head->correlation, sizeof(head->correlation));
		break;
	case REPLY_STATUS:
		head->status = status_read(r);
		break;
	case REPLY_TEXT:
		cbor_read_text_copy(r, head->text, sizeof(head->text));
		text_tame(head->text);
		break;
	case REPLY_NOT_BEFORE_MS:
		head->not_before_ms = cbor_read_uint(r);
		break;
	case REPLY_IS_REFUSED:
		head->is_refused = cbor_read_bool(r);
		break;
	case REPLY_BODY_LEN:
		head->body_len = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	default:
		cbor_fail(r);
	}
}

static void reply_read(struct cbor_reader *r, struct service_reply_head *head)
{
	uint64_t key;

	cbor_enter_map(r);
	while (cbor_next_key(r, &key))
		reply_field_read(r, key, head);
}

int service_reply_head_parse(const uint8_t *data, size_t len, struct service_reply_head *out_head)
{
	struct service_reply_head head = {.status = SERVICE_OK};
	struct cbor_reader r;

	cbor_reader_init(&r, data, len);
	reply_read(&r, &head);
	if (cbor_is_bad(&r) || (r.seen & REPLY_REQUIRED) != REPLY_REQUIRED)
		return WEFT_EMALFORMED;
	*out_head = head;
	return (int)(r.c.pos - data);
}

void service_close_write(struct writer *w, enum service_status status, const char *text)
{
	char told[SERVICE_TEXT_LEN_MAX + 1];

	service_text_copy(told, text);
	cbor_write_map(w, told[0] ? 2 : 1);
	cbor_field_uint(w, REPLY_STATUS, status);
	if (told[0])
		cbor_field_text(w, REPLY_TEXT, told, strlen(told));
}

int service_close_parse(const uint8_t *data, size_t len, struct service_reply_head *out_head)
{
	struct service_reply_head head = {.status = SERVICE_OK};
	struct cbor_reader r;

	cbor_reader_init(&r, data, len);
	reply_read(&r, &head);
	if (cbor_reader_finish(&r) < 0 ||
	    (r.seen & ~CBOR_KEY(REPLY_TEXT)) != CBOR_KEY(REPLY_STATUS))
		return WEFT_EMALFORMED;
	*out_head = head;
	return 0;
}
