/* SPDX-License-Identifier: Apache-2.0 */
/* llhttp calls back as it goes through the bytes; the callbacks collect the answer. */
#include "http_answer.h"

#include <string.h>
#include <strings.h>

static struct http_answer *answer_of(llhttp_t *parser)
{
	return parser->data;
}

static int fail(struct http_answer *answer, const char *fault)
{
	answer->fault = fault;
	return HPE_USER;
}

static int head_append(struct http_answer *answer, const char *at, size_t len, uint16_t *io_len)
{
	if (len > sizeof(answer->head) - answer->head_len)
		return fail(answer, "the head of its answer is longer than 16 KiB");
	memcpy(answer->head + answer->head_len, at, len);
	answer->head_len += len;
	*io_len = (uint16_t)(*io_len + len);
	return 0;
}

/* llhttp checks the fields behind the body (trailers); they are dropped. */
static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
	struct http_answer *answer = answer_of(parser);
	struct http_answer_field *field = &answer->fields[answer->field_cnt];

	if (answer->has_head)
		return 0;
	if (answer->field_cnt == SERVICE_HTTP_HEADERS_MAX)
		return fail(answer, "its answer has more than 64 header fields");
	if (field->name_len == 0)
		field->name_off = (uint16_t)answer->head_len;
	return head_append(answer, at, len, &field->name_len);
}

static int on_header_field_complete(llhttp_t *parser)
{
	struct http_answer *answer = answer_of(parser);

	if (!answer->has_head)
		answer->fields[answer->field_cnt].value_off = (uint16_t)answer->head_len;
	return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
	struct http_answer *answer = answer_of(parser);

	if (answer->has_head)
		return 0;
	return head_append(answer, at, len, &answer->fields[answer->field_cnt].value_len);
}

static int on_header_value_complete(llhttp_t *parser)
{
	struct http_answer *answer = answer_of(parser);
	struct http_answer_field *field = &answer->fields[answer->field_cnt];

	if (answer->has_head)
		return 0;
	while (field->value_len &&
	       strchr(" \t", answer->head[field->value_off + field->value_len - 1]))
		field->value_len--;
	if (++answer->field_cnt < SERVICE_HTTP_HEADERS_MAX)
		answer->fields[answer->field_cnt] = (struct http_answer_field){0};
	return 0;
}

static bool field_is(const struct http_answer *answer, const struct http_answer_field *field,
		     const char *name)
{
	return field->name_len == strlen(name) &&
	       strncasecmp(answer->head + field->name_off, name, field->name_len) == 0;
}

/* A body in another coding than chunks would reach the caller with its coding untold. */
static bool coding_is_known(const struct http_answer *answer)
{
	for (unsigned i = 0; i < answer->field_cnt; i++) {
		const struct http_answer_field *field = &answer->fields[i];

		if (field_is(answer, field, "transfer-encoding") &&
		    (field->value_len != 7 ||
		     strncasecmp(answer->head + field->value_off, "chunked", 7) != 0))
			return false;
	}
	return true;
}

static const struct http_answer_field *field_lookup(const struct http_answer *answer,
						    const char *name)
{
	for (unsigned i = 0; i < answer->field_cnt; i++)
		if (field_is(answer, &answer->fields[i], name))
			return &answer->fields[i];
	return NULL;
}

/* Comments of server-sent events are lines that begin with ':' (WHATWG HTML 9.2.6). */
static bool is_event_stream(const struct http_answer *answer)
{
	static const char type[] = "text/event-stream";
	const struct http_answer_field *field = field_lookup(answer, "content-type");

	return field && field->value_len >= sizeof(type) - 1 &&
	       strncasecmp(answer->head + field->value_off, type, sizeof(type) - 1) == 0 &&
	       answer->status == 200 && !answer->is_to_head &&
	       answer->body_len == SERVICE_HTTP_BODY_LEN_UNTOLD &&
	       !field_lookup(answer, "content-encoding");
}

/* Nothing but a WebSocket is ever asked for: in HTTP/2 a caller could say whose request it is. */
static bool is_socket(const struct http_answer *answer)
{
	const struct http_answer_field *field = field_lookup(answer, "upgrade");

	return field && field->value_len == 9 &&
	       strncasecmp(answer->head + field->value_off, "websocket", 9) == 0;
}

static void head_forget(struct http_answer *answer)
{
	answer->head_len = 0;
	answer->field_cnt = 0;
	answer->fields[0] = (struct http_answer_field){0};
}

/* switch_take: 2 says that another protocol follows. */
static int switch_take(struct http_answer *answer)
{
	if (!answer->may_switch)
		return fail(answer, "its answer has a status that nobody asked for");
	if (!is_socket(answer))
		return fail(answer, "it went over to a protocol that nobody asked for");
	answer->has_head = answer->is_switched = true;
	answer->body_len = SERVICE_HTTP_BODY_LEN_UNTOLD;
	return 2;
}

/* 1 says that no body follows, whatever length the head gives. */
static int on_headers_complete(llhttp_t *parser)
{
	struct http_answer *answer = answer_of(parser);

	answer->status = (unsigned)llhttp_get_status_code(parser);
	if (llhttp_get_http_major(parser) != 1)
		return fail(answer, "its answer is not of HTTP/1.1");
	if (answer->status == SERVICE_HTTP_SWITCHED)
		return switch_take(answer);
	if (answer->status < 100 || answer->status > 599)
		return fail(answer, "its answer has a status that nobody asked for");
	if (answer->status < 200)
		return 1;
	if (!coding_is_known(answer))
		return fail(answer, "its answer has a transfer coding that nobody asked for");
	answer->has_head = true;
	answer->body_len = parser->flags & F_CONTENT_LENGTH ? parser->content_length
							    : SERVICE_HTTP_BODY_LEN_UNTOLD;
	answer->is_event_stream = is_event_stream(answer);
	return answer->is_to_head || answer->status == 204 || answer->status == 304;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct http_answer *answer = answer_of(parser);

	memmove(answer->body + answer->body_got, at, len);
	answer->body_got += len;
	return 0;
}

static int on_message_complete(llhttp_t *parser)
{
	struct http_answer *answer = answer_of(parser);

	if (!answer->has_head) {
		head_forget(answer);
		return 0;
	}
	if (answer->is_switched)
		return 0;
	answer->is_whole = true;
	/* A server that sends a body where none is allowed is found out by the next answer. */
	answer->keeps_alive = llhttp_should_keep_alive(parser) == 1 && !answer->is_to_head &&
			      answer->status != 204 && answer->status != 304;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_header_field = on_header_field,
	.on_header_field_complete = on_header_field_complete,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

void provider_http_answer_init(struct http_answer *answer, bool is_to_head)
{
	memset(answer, 0, offsetof(struct http_answer, fields));
	head_forget(answer);
	llhttp_init(&answer->parser, HTTP_RESPONSE, &settings);
	answer->parser.data = answer;
	answer->is_to_head = is_to_head;
}

/* rest_take: bytes behind the head of a 101 belong to the other protocol. */
static void rest_take(struct http_answer *answer, const char *end)
{
	const char *rest = llhttp_get_error_pos(&answer->parser);

	answer->body_got = (size_t)(end - rest);
	memmove(answer->body, rest, answer->body_got);
}

int provider_http_answer_input(struct http_answer *answer, uint8_t *data, size_t len,
			       size_t *out_body_len)
{
	const char *text = (const char *)data;
	llhttp_errno_t outcome;

	if (answer->is_switched) {
		*out_body_len = len;
		return 0;
	}
	answer->body = data;
	answer->body_got = 0;
	outcome = llhttp_execute(&answer->parser, text, len);
	if (outcome == HPE_PAUSED_UPGRADE && answer->is_switched) {
		rest_take(answer, text + len);
	} else if (outcome == HPE_PAUSED && answer->is_whole) {
		if (llhttp_get_error_pos(&answer->parser) < text + len)
			answer->keeps_alive = false;
	} else if (outcome != HPE_OK) {
		if (!answer->fault)
			answer->fault = "its answer is not HTTP";
		return WEFT_EMALFORMED;
	}
	answer->idle_len = answer->body_got ? 0 : answer->idle_len + len;
	if (answer->idle_len > HTTP_ANSWER_IDLE_MAX) {
		answer->fault = "its answer has endless heads, chunk extensions or trailers";
		return WEFT_EMALFORMED;
	}
	*out_body_len = answer->body_got;
	return 0;
}

int provider_http_answer_eof(struct http_answer *answer)
{
	llhttp_errno_t outcome;

	answer->is_whole = answer->is_whole || answer->is_switched;
	if (answer->is_whole)
		return 0;
	outcome = answer->has_head ? llhttp_finish(&answer->parser) : HPE_CLOSED_CONNECTION;
	if (answer->is_whole) {
		answer->keeps_alive = false;
		return 0;
	}
	answer->fault = outcome == HPE_OK || !answer->has_head
				? "it closed the connection before its answer"
				: "it closed the connection within its answer";
	return WEFT_EMALFORMED;
}

/* location_shorten leaves the path of "http://host/path", if it is that. */
static void location_shorten(struct service_http_header *field, const char *host)
{
	static const char scheme[] = "http://";
	size_t len = sizeof(scheme) - 1 + strlen(host);

	if (field->value_len < len || strncasecmp(field->value, scheme, sizeof(scheme) - 1) != 0 ||
	    strncasecmp(field->value + sizeof(scheme) - 1, host, strlen(host)) != 0)
		return;
	if (field->value_len == len) {
		field->value = "/";
		field->value_len = 1;
	} else if (field->value[len] == '/') {
		field->value += len;
		field->value_len -= len;
	}
}

void provider_http_answer_head(const struct http_answer *answer, const char *host,
			       struct service_http_answer *out_head)
{
	out_head->status = answer->status;
	out_head->body_len = answer->body_len;
	out_head->headers.cnt = answer->field_cnt;
	for (unsigned i = 0; i < answer->field_cnt; i++) {
		const struct http_answer_field *field = &answer->fields[i];

		out_head->headers.list[i] = (struct service_http_header){
			.name = answer->head + field->name_off,
			.name_len = field->name_len,
			.value = answer->head + field->value_off,
			.value_len = field->value_len,
		};
		if (field_is(answer, field, "location") ||
		    field_is(answer, field, "content-location"))
			location_shorten(&out_head->headers.list[i], host);
	}
}
