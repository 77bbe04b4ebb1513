/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_HTTP_REQUEST_HEAD_H
#define WEFT_HTTP_REQUEST_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/err.h"

/* The head of a request of HTTP/1.1 that has no body, read once all of it is there. No I/O. */
#define HTTP_REQUEST_FIELDS_MAX 64

struct http_text {
	const char *at; /* NULL: none; not ended by NUL */
	size_t len;
};

struct http_request_head {
	struct http_text target;
	struct http_text names[HTTP_REQUEST_FIELDS_MAX], values[HTTP_REQUEST_FIELDS_MAX];
	unsigned field_cnt;
	bool is_get;
};

/*
 * http_request_head_parse: how many bytes of data the head takes, which its texts point into.
 * 0: more are needed. WEFT_EMALFORMED: it is none, has more fields, or a body follows it.
 */
WEFT_MUST_CHECK
int http_request_head_parse(const char *data, size_t len, struct http_request_head *out_head);
/* http_request_field: the value of the idx-th field with name, from 0. */
struct http_text http_request_field(const struct http_request_head *head, const char *name,
				    unsigned idx);
bool http_text_is(struct http_text text, const char *word);
/* http_text_has: word is one of a list separated by commas. Case is ignored in both. */
bool http_text_has(struct http_text text, const char *word);

#endif
