/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads of HTTP requests and answers as they cross the mesh. Pure: bytes to
 * struct and back. One table says which header fields cross.
 */
#include "service/http_envelope.h"

#include <string.h>

#include "codec/cbor_fields.h"

enum direction { REQUEST = 1, ANSWER = 2, BOTH = REQUEST | ANSWER };

/* A name that ends in '*' is a prefix. */
static const struct {
	enum direction direction;
	const char *name;
} left_out[] = {
	{BOTH, "connection"},
	{BOTH, "keep-alive"},
	{BOTH, "proxy*"},
	{BOTH, "te"},
	{BOTH, "trailer"},
	{BOTH, "transfer-encoding"},
	{BOTH, "upgrade"},
	{BOTH, "http2-settings"},
	{BOTH, "x-mesh-*"},
	{BOTH, "content-length"},
	{REQUEST, "host"},
	{REQUEST, "forwarded"},
	{REQUEST, "x-forwarded-*"},
	{REQUEST, "x-real-ip"},
	{REQUEST, "x-client-ip"},
	{REQUEST, "true-client-ip"},
	{REQUEST, "x-original-url"},
	{REQUEST, "x-rewrite-url"},
	{REQUEST, "x-http-method"},
	{REQUEST, "x-http-method-override"},
	{REQUEST, "x-method-override"},
	{REQUEST, "expect"},
	{REQUEST, "cookie2"},
	{ANSWER, "set-cookie2"},
	{ANSWER, "service-worker-allowed"},
	{ANSWER, "clear-site-data"},
	{ANSWER, "alt-svc"},
	{ANSWER, "access-control-*"},
	{ANSWER, "x-accel-*"},
	{ANSWER, "x-sendfile"},
};

static char folded(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '_' ? '-' : c;
}

static bool name_matches(const struct service_http_header *header, const char *pattern)
{
	size_t i = 0;

	for (; pattern[i] && pattern[i] != '*'; i++)
		if (i == header->name_len || folded(header->name[i]) != folded(pattern[i]))
			return false;
	return pattern[i] == '*' || i == header->name_len;
}

static bool names_equal(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (folded(a[i]) != folded(b[i]))
			return false;
	return true;
}

static bool is_token(const char *text, size_t len)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
		    (c == '\0' || !strchr(others, c)))
			return false;
	}
	return len > 0;
}

static bool is_value(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool is_verb(const char *text, size_t len)
{
	if (len > SERVICE_HTTP_VERB_LEN_MAX || !is_token(text, len))
		return false;
	/* One asks for a tunnel, the other for its own head back. */
	return !(len == 7 && memcmp(text, "CONNECT", 7) == 0) &&
	       !(len == 5 && memcmp(text, "TRACE", 5) == 0);
}

static bool is_target(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= 0x20 || text[i] >= 0x7f || text[i] == '#')
			return false;
	return len > 0 && text[0] == '/';
}

static bool header_is_sound(const struct service_http_header *header)
{
	return is_token(header->name, header->name_len) &&
	       is_value(header->value, header->value_len);
}

/* Whether a list of names, separated by commas, holds name. */
static bool list_has(const struct service_http_header *list,
		     const struct service_http_header *header)
{
	const char *at = list->value, *end = list->value + list->value_len;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end;
		const char *next = comma ? comma + 1 : end;

		while (at < stop && (*at == ' ' || *at == '\t'))
			at++;
		while (stop > at && (stop[-1] == ' ' || stop[-1] == '\t'))
			stop--;
		if ((size_t)(stop - at) == header->name_len &&
		    names_equal(at, header->name, header->name_len))
			return true;
		at = next;
	}
	return false;
}

static bool header_crosses(const struct service_http_headers *headers,
			   const struct service_http_header *header, enum direction direction)
{
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if ((left_out[i].direction & direction) && name_matches(header, left_out[i].name))
			return false;
	for (unsigned i = 0; i < headers->cnt; i++)
		if (name_matches(&headers->list[i], "connection") &&
		    list_has(&headers->list[i], header))
			return false;
	return true;
}

static void headers_keep_crossing(struct service_http_headers *headers, enum direction direction)
{
	struct service_http_headers idempotent = {.cnt = 0};

	for (unsigned i = 0; i < headers->cnt; i++)
		if (header_crosses(headers, &headers->list[i], direction))
			idempotent.list[idempotent.cnt++] = headers->list[i];
	*headers = idempotent;
}

static void header_write(struct writer *w, const struct service_http_header *header)
{
	cbor_write_array(w, 2);
	cbor_write_text(w, header->name, header->name_len);
	cbor_write_bytes(w, header->value, header->value_len);
}

static void body_len_write(struct writer *w, uint64_t body_len)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + body_len % 10);
	while (body_len /= 10);
	header_write(w, &(struct service_http_header){"content-length", digits + at, 14,
						      sizeof(digits) - at});
}

static void headers_write(struct writer *w, const struct service_http_headers *headers,
			  uint64_t body_len)
{
	bool has_len = body_len != SERVICE_HTTP_BODY_LEN_UNTOLD;

	cbor_write_array(w, headers->cnt + has_len);
	if (has_len)
		body_len_write(w, body_len);
	for (unsigned i = 0; i < headers->cnt; i++)
		header_write(w, &headers->list[i]);
}

/* A length has one form: digits without a sign or a zero before them, below "untold". */
static bool body_len_parse(const struct service_http_header *header, uint64_t *out_len)
{
	uint64_t value = 0;

	if (header->value_len == 0 || header->value_len > 19 ||
	    (header->value_len > 1 && header->value[0] == '0'))
		return false;
	for (size_t i = 0; i < header->value_len; i++) {
		if (header->value[i] < '0' || header->value[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(header->value[i] - '0');
	}
	*out_len = value;
	return true;
}

static void header_read(struct cbor_reader *r, struct service_http_header *header)
{
	if (cbor_enter_array(r) != 2)
		cbor_fail(r);
	header->name = cbor_read_text(r, &header->name_len);
	header->value = (const char *)cbor_read_bytes(r, &header->value_len);
	if (cbor_next(r) || cbor_is_bad(r) || !header_is_sound(header))
		cbor_fail(r);
}

static void headers_read(struct cbor_reader *r, struct service_http_headers *headers,
			 uint64_t *body_len)
{
	if (cbor_enter_array(r) > SERVICE_HTTP_HEADERS_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct service_http_header header;

		header_read(r, &header);
		if (cbor_is_bad(r))
			return;
		headers->list[headers->cnt++] = header;
		if (!name_matches(&header, "content-length"))
			continue;
		if (*body_len != SERVICE_HTTP_BODY_LEN_UNTOLD || !body_len_parse(&header, body_len))
			cbor_fail(r);
	}
}

/* --- heads --- */

static void request_headers_read(struct cbor_reader *r, void *of)
{
	struct service_http_request *request = of;

	headers_read(r, &request->headers, &request->body_len);
}

static void request_headers_write(struct writer *w, const void *of)
{
	const struct service_http_request *request = of;

	headers_write(w, &request->headers, request->body_len);
}

static void answer_headers_read(struct cbor_reader *r, void *of)
{
	struct service_http_answer *answer = of;

	headers_read(r, &answer->headers, &answer->body_len);
}

static void answer_headers_write(struct writer *w, const void *of)
{
	const struct service_http_answer *answer = of;

	headers_write(w, &answer->headers, answer->body_len);
}

/* The target has no limit here: a longer one is too large, not malformed. */
static const struct cbor_field request_fields[] = {
	{0, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct service_http_request, verb),
	 CBOR_LEN(struct service_http_request, verb_len)},
	{1, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct service_http_request, target),
	 CBOR_LEN(struct service_http_request, target_len)},
	{2, CBOR_FIELD_CODED, CBOR_USUAL, .read = request_headers_read,
	 .write = request_headers_write},
};
static const struct cbor_table request_table = {CBOR_FIELDS(request_fields)};

static const struct cbor_field answer_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct service_http_answer, status), .max = 599},
	{2, CBOR_FIELD_CODED, CBOR_USUAL, .read = answer_headers_read,
	 .write = answer_headers_write},
};
static const struct cbor_table answer_table = {CBOR_FIELDS(answer_fields)};

/* Leaves the fields that cross. */
static int headers_prepare(struct service_http_headers *headers, uint64_t body_len,
			   enum direction direction)
{
	bool has_len = body_len != SERVICE_HTTP_BODY_LEN_UNTOLD;

	for (unsigned i = 0; i < headers->cnt; i++)
		if (!header_is_sound(&headers->list[i]))
			return WEFT_EMALFORMED;
	headers_keep_crossing(headers, direction);
	return headers->cnt + has_len > SERVICE_HTTP_HEADERS_MAX ? WEFT_ETOOLARGE : 0;
}

static int head_write(struct writer *w, const struct cbor_table *table, const void *head)
{
	size_t begin = writer_len(w);

	cbor_fields_write(w, table, head);
	if (w->bad || writer_len(w) - begin > SERVICE_HTTP_HEAD_LEN_MAX)
		return WEFT_ETOOLARGE;
	return 0;
}

int service_http_request_write(struct writer *w, const struct service_http_request *request)
{
	struct service_http_request crossing = *request;
	int err;

	if (!is_verb(request->verb, request->verb_len) ||
	    !is_target(request->target, request->target_len))
		return WEFT_EMALFORMED;
	if (request->target_len > SERVICE_HTTP_TARGET_LEN_MAX)
		return WEFT_ETOOLARGE;
	err = headers_prepare(&crossing.headers, crossing.body_len, REQUEST);
	return err < 0 ? err : head_write(w, &request_table, &crossing);
}

static bool is_status(uint64_t status)
{
	return status >= 200 && status <= 599;
}

static int answer_write(struct writer *w, const struct service_http_answer *answer)
{
	struct service_http_answer crossing = *answer;
	int err = headers_prepare(&crossing.headers, crossing.body_len, ANSWER);

	return err < 0 ? err : head_write(w, &answer_table, &crossing);
}

int service_http_answer_write(struct writer *w, const struct service_http_answer *answer)
{
	return is_status(answer->status) ? answer_write(w, answer) : WEFT_EMALFORMED;
}

int service_http_switch_write(struct writer *w, const struct service_http_answer *answer)
{
	if (answer->status != SERVICE_HTTP_SWITCHED && !is_status(answer->status))
		return WEFT_EMALFORMED;
	return answer_write(w, answer);
}

int service_http_request_parse(const uint8_t *data, size_t len,
			       struct service_http_request *out_request)
{
	struct service_http_request request = {.body_len = SERVICE_HTTP_BODY_LEN_UNTOLD};

	if (len > SERVICE_HTTP_HEAD_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (cbor_fields_parse(data, len, &request_table, &request) < 0 ||
	    !is_verb(request.verb, request.verb_len) ||
	    !is_target(request.target, request.target_len))
		return WEFT_EMALFORMED;
	if (request.target_len > SERVICE_HTTP_TARGET_LEN_MAX)
		return WEFT_ETOOLARGE;
	headers_keep_crossing(&request.headers, REQUEST);
	*out_request = request;
	return 0;
}

static int answer_parse(const uint8_t *data, size_t len, bool may_switch,
			struct service_http_answer *out_answer)
{
	struct service_http_answer answer = {.body_len = SERVICE_HTTP_BODY_LEN_UNTOLD};

	if (len > SERVICE_HTTP_HEAD_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (cbor_fields_parse(data, len, &answer_table, &answer) < 0 ||
	    !(is_status(answer.status) || (may_switch && answer.status == SERVICE_HTTP_SWITCHED)))
		return WEFT_EMALFORMED;
	headers_keep_crossing(&answer.headers, ANSWER);
	*out_answer = answer;
	return 0;
}

int service_http_answer_parse(const uint8_t *data, size_t len,
			      struct service_http_answer *out_answer)
{
	return answer_parse(data, len, false, out_answer);
}

int service_http_switch_parse(const uint8_t *data, size_t len,
			      struct service_http_answer *out_answer)
{
	return answer_parse(data, len, true, out_answer);
}

bool service_http_is_method(const char *method)
{
	return strcmp(method, SERVICE_HTTP_METHOD) == 0 ||
	       strcmp(method, SERVICE_HTTP_UPGRADE) == 0;
}

bool service_http_wants_socket(const struct service_http_request *request)
{
	return request->verb_len == 3 && memcmp(request->verb, "GET", 3) == 0 &&
	       request->body_len == 0 &&
	       service_http_header_lookup(&request->headers, "sec-websocket-key");
}

const struct service_http_header *
service_http_header_lookup(const struct service_http_headers *headers, const char *name)
{
	for (unsigned i = 0; i < headers->cnt; i++)
		if (name_matches(&headers->list[i], name))
			return &headers->list[i];
	return NULL;
}
