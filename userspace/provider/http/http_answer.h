/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_HTTP_HTTP_ANSWER_H
#define WEFT_PROVIDER_HTTP_HTTP_ANSWER_H

#include <llhttp.h>

#include "service/http_envelope.h"

/*
 * The answer of an HTTP server, as bytes bring it (RFC 9112), without I/O:
 * interim answers are stepped over, the body's framing is taken off. Bytes of the
 * body are gathered at the beginning of the buffer that they came in.
 */
#define HTTP_ANSWER_HEAD_CAP 16384 /* names and values of one head */
/* Bytes that bring no body: a head, interim heads before it, chunk extensions, trailers. */
#define HTTP_ANSWER_IDLE_MAX 32768

struct http_answer_field {
	uint16_t name_off, name_len, value_off, value_len; /* in head */
};

/* Callers may read has_head, is_whole, is_switched, keeps_alive. */
struct http_answer {
	llhttp_t parser;
	bool is_to_head; /* the request's method was HEAD */
	bool may_switch; /* the request asked for a WebSocket; set behind provider_http_answer_init */
	bool is_switched; /* the answer was 101: no HTTP follows */
	bool has_head;	  /* the final one */
	bool is_whole;
	bool keeps_alive; /* of a whole answer: the connection can carry another request */
	const char *fault;
	uint64_t body_len; /* as the head says */
	bool is_event_stream; /* server-sent events without a coding: a comment may stand between lines */
	unsigned status;
	unsigned field_cnt;
	size_t head_len, idle_len;
	uint8_t *body; /* of the input that runs */
	size_t body_got;
	struct http_answer_field fields[SERVICE_HTTP_HEADERS_MAX];
	char head[HTTP_ANSWER_HEAD_CAP];
};

void provider_http_answer_init(struct http_answer *answer, bool is_to_head);
/*
 * provider_http_answer_input reads len bytes; *out_body_len bytes of body are then at the beginning
 * of data. Bytes behind a whole answer end keeps_alive. 0, or WEFT_EMALFORMED with answer->fault in
 * a few words: it is not asked again.
 */
WEFT_MUST_CHECK
int provider_http_answer_input(struct http_answer *answer, uint8_t *data, size_t len,
			       size_t *out_body_len);
/*
 * provider_http_answer_eof: the server closed. 0 when that ends the answer, else WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int provider_http_answer_eof(struct http_answer *answer);
/*
 * provider_http_answer_head: once has_head. Borrows from answer. A Location at the server's own
 * address (host, as its requests name it) becomes its path: the address has no meaning elsewhere.
 */
void provider_http_answer_head(const struct http_answer *answer, const char *host,
			       struct service_http_answer *out_head);

#endif
