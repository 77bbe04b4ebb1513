/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_HTTP_HTTP_BODY_H
#define WEFT_PROVIDER_HTTP_HTTP_BODY_H

#include <stdbool.h>

#include "provider/queue.h"

/*
 * Private to provider/: the body of a request on its way to a server. The head chooses its framing
 * (RFC 9112 6, 7): a length, or chunks. The caller may send again as many bytes as the server took.
 */
struct http_body {
	struct queue out;
	bool is_chunked;
	uint64_t left; /* to come, of a body with a length; of chunks: that may come */
	size_t unconsumed_len;
};

/*
 * provider_http_body_init: body_len may be SERVICE_HTTP_BODY_LEN_UNTOLD: then at most len_max bytes
 * come. The caller of this function checks a given length.
 */
void provider_http_body_init(struct http_body *body, struct heap *heap, uint64_t body_len,
			     uint64_t len_max);
/*
 * provider_http_body_take: 0, WEFT_EFULL, WEFT_EMALFORMED: it is longer than its head says, or
 * WEFT_ETOOLARGE: than len_max.
 */
WEFT_MUST_CHECK
int provider_http_body_take(struct http_body *body, const uint8_t *data, size_t len);
/*
 * provider_http_body_finish: 0, WEFT_EFULL, or WEFT_EMALFORMED: it is shorter than its head says.
 */
WEFT_MUST_CHECK
int provider_http_body_finish(struct http_body *body);
/* provider_http_body_sent: of the caller's bytes as many as sent_len bytes of out were. */
size_t provider_http_body_sent(struct http_body *body, size_t sent_len);
/*
 * provider_http_body_drop forgets the waiting bytes; returns how many of the caller's bytes these
 * were.
 */
size_t provider_http_body_drop(struct http_body *body);

#endif
