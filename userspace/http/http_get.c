/* SPDX-License-Identifier: Apache-2.0 */
/* A request written, an answer parsed as it comes. Job threads. */
#include "http_get.h"

#include <llhttp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/monotonic.h"
#include "http_channel.h"

#define REQUEST_HEAD_CAP 1280
/* Status line, fields and framing of an answer, beside its body. */
#define ANSWER_HEAD_MAX 16384

struct answer {
	struct http_get *fetch;
	llhttp_t parser;
	size_t raw_len;
	bool is_whole;
	bool is_too_large;
};

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct answer *answer = parser->data;
	struct http_get *fetch = answer->fetch;

	if (!fetch->answer)
		return 0;
	if (len > fetch->answer_cap - fetch->answer_len) {
		answer->is_too_large = true;
		return HPE_USER;
	}
	memcpy(fetch->answer + fetch->answer_len, at, len);
	fetch->answer_len += len;
	return 0;
}

static int on_message_complete(llhttp_t *parser)
{
	struct answer *answer = parser->data;
	unsigned status = (unsigned)llhttp_get_status_code(parser);

	/* Responses before the answer itself (1xx) are stepped over. */
	if (status < 200)
		return 0;
	answer->fetch->status = status;
	answer->is_whole = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

static int request_write(const struct http_get *fetch, const struct url *url,
			 struct channel *channel)
{
	char head[REQUEST_HEAD_CAP], type[160] = "";
	int err, len;

	if (fetch->body_type)
		snprintf(type, sizeof(type), "Content-Type: %s\r\nContent-Length: %zu\r\n",
			 fetch->body_type, fetch->body_len);
	len = snprintf(head, sizeof(head),
		       "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: weft\r\nAccept: */*\r\n"
		       "Connection: close\r\n%s%s%s\r\n",
		       fetch->method, url->path, url->host, type, fetch->field ? fetch->field : "",
		       fetch->field ? "\r\n" : "");
	if (len < 0 || (size_t)len >= sizeof(head))
		return WEFT_EMALFORMED;
	err = http_channel_write(channel, head, (size_t)len);
	return err < 0 || !fetch->body_type
		       ? err
		       : http_channel_write(channel, fetch->body, fetch->body_len);
}

static int answer_take(struct answer *answer, const char *data, size_t len)
{
	llhttp_errno_t err = llhttp_execute(&answer->parser, data, len);

	answer->raw_len += len;
	if (answer->is_whole)
		return 0;
	if (answer->is_too_large || answer->raw_len > ANSWER_HEAD_MAX + answer->fetch->answer_cap)
		return WEFT_ETOOLARGE;
	return err == HPE_OK ? 0 : WEFT_EMALFORMED;
}

/* answer_end: the other side closed, which ends an answer that gave no length. */
static int answer_end(struct answer *answer)
{
	if (llhttp_finish(&answer->parser) == HPE_OK || answer->is_whole)
		return answer->is_whole ? 0 : WEFT_EUNREACHABLE;
	return WEFT_EUNREACHABLE;
}

static int answer_read(struct http_get *fetch, struct channel *channel)
{
	struct answer answer = {.fetch = fetch};
	char data[4096];
	int n, err = 0;

	llhttp_init(&answer.parser, HTTP_RESPONSE, &settings);
	answer.parser.data = &answer;
	while (err == 0 && !answer.is_whole) {
		n = http_channel_read(channel, data, sizeof(data));
		if (n < 0)
			return n;
		err = n ? answer_take(&answer, data, (size_t)n) : answer_end(&answer);
	}
	return err;
}

int http_get_run(struct http_get *fetch)
{
	struct channel channel;
	struct url url;
	int err;

	fetch->status = 0;
	fetch->answer_len = 0;
	if (http_url_parse(fetch->url, &url) < 0)
		return WEFT_EMALFORMED;
	url.is_foreign = fetch->is_foreign;
	err = http_channel_open(&channel, &url, fetch->ca_file,
				clock_monotonic_ns() + fetch->timeout_ns, fetch->stop_fd);
	if (err == 0)
		err = request_write(fetch, &url, &channel);
	if (err == 0)
		err = answer_read(fetch, &channel);
	http_channel_close(&channel);
	return err;
}
