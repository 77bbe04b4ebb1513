/* SPDX-License-Identifier: Apache-2.0 */
/*
 * llhttp reads the head in one piece, so each text that it reports is whole and stays where it is.
 * Any thread.
 */
#include "request_head.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

#define HEAD_END "\r\n\r\n"

struct reading {
	struct http_request_head *head;
	bool is_whole;
};

static struct http_request_head *head_of(llhttp_t *parser)
{
	return ((struct reading *)parser->data)->head;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
	head_of(parser)->target = (struct http_text){at, len};
	return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t len)
{
	struct http_request_head *head = head_of(parser);

	if (head->field_cnt == HTTP_REQUEST_FIELDS_MAX)
		return HPE_USER;
	head->names[head->field_cnt] = (struct http_text){at, len};
	head->values[head->field_cnt] = (struct http_text){at + len, 0};
	return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
	struct http_request_head *head = head_of(parser);

	while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
		len--;
	head->values[head->field_cnt] = (struct http_text){at, len};
	return 0;
}

static int on_field(llhttp_t *parser)
{
	head_of(parser)->field_cnt++;
	return 0;
}

static int on_headers(llhttp_t *parser)
{
	struct reading *reading = parser->data;

	if (parser->flags & F_CHUNKED || parser->content_length ||
	    llhttp_get_http_major(parser) != 1 || llhttp_get_http_minor(parser) != 1)
		return HPE_USER;
	reading->head->is_get = llhttp_get_method(parser) == HTTP_GET;
	reading->is_whole = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_header_value_complete = on_field,
	.on_headers_complete = on_headers,
};

int http_request_head_parse(const char *data, size_t len, struct http_request_head *out_head)
{
	const char *end = memmem(data, len, HEAD_END, strlen(HEAD_END));
	struct http_request_head head = {.field_cnt = 0};
	struct reading reading = {.head = &head};
	llhttp_t parser;

	if (!end)
		return 0;
	end += strlen(HEAD_END);
	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = &reading;
	(void)llhttp_execute(&parser, data, (size_t)(end - data));
	if (!reading.is_whole)
		return WEFT_EMALFORMED;
	*out_head = head;
	return (int)(end - data);
}

struct http_text http_request_field(const struct http_request_head *head, const char *name,
				    unsigned idx)
{
	for (unsigned i = 0; i < head->field_cnt; i++)
		if (http_text_is(head->names[i], name) && idx-- == 0)
			return head->values[i];
	return (struct http_text){NULL, 0};
}

bool http_text_is(struct http_text text, const char *word)
{
	return text.len == strlen(word) && text.len && strncasecmp(text.at, word, text.len) == 0;
}

bool http_text_has(struct http_text text, const char *word)
{
	while (text.len) {
		const char *comma = memchr(text.at, ',', text.len);
		struct http_text item = {text.at, comma ? (size_t)(comma - text.at) : text.len};
		size_t step = item.len + (comma ? 1 : 0);

		while (item.len && (*item.at == ' ' || *item.at == '\t'))
			item.at++, item.len--;
		while (item.len && (item.at[item.len - 1] == ' ' || item.at[item.len - 1] == '\t'))
			item.len--;
		if (http_text_is(item, word))
			return true;
		text.at += step;
		text.len -= step;
	}
	return false;
}
