/* SPDX-License-Identifier: Apache-2.0 */
#include "http_body.h"

#include <stdio.h>

#include "service/http_envelope.h"

void provider_http_body_init(struct http_body *body, struct heap *heap, uint64_t body_len,
			     uint64_t len_max)
{
	*body = (struct http_body){.out.heap = heap};
	body->is_chunked = body_len == SERVICE_HTTP_BODY_LEN_UNTOLD;
	body->left = body->is_chunked ? len_max : body_len;
}

static int chunk_push(struct http_body *body, const uint8_t *data, size_t len)
{
	char line[24];
	int line_len = snprintf(line, sizeof(line), "%zx\r\n", len);
	int err = provider_queue_push(&body->out, line, (size_t)line_len);

	if (err == 0)
		err = provider_queue_push(&body->out, data, len);
	return err < 0 ? err : provider_queue_push(&body->out, "\r\n", 2);
}

int provider_http_body_take(struct http_body *body, const uint8_t *data, size_t len)
{
	int err;

	/* A chunk of no bytes would be the last one. */
	if (len == 0)
		return 0;
	if (len > body->left)
		return body->is_chunked ? WEFT_ETOOLARGE : WEFT_EMALFORMED;
	err = body->is_chunked ? chunk_push(body, data, len)
			       : provider_queue_push(&body->out, data, len);
	if (err < 0)
		return err;
	body->left -= len;
	body->unconsumed_len += len;
	return 0;
}

int provider_http_body_finish(struct http_body *body)
{
	if (body->is_chunked)
		return provider_queue_push(&body->out, "0\r\n\r\n", 5);
	return body->left ? WEFT_EMALFORMED : 0;
}

size_t provider_http_body_sent(struct http_body *body, size_t sent_len)
{
	size_t len = sent_len < body->unconsumed_len ? sent_len : body->unconsumed_len;

	/* Framing makes it a little more. */
	if (body->out.len == 0)
		len = body->unconsumed_len;
	body->unconsumed_len -= len;
	return len;
}

size_t provider_http_body_drop(struct http_body *body)
{
	provider_queue_clear(&body->out);
	return provider_http_body_sent(body, 0);
}
