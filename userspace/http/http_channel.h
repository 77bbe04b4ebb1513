/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_HTTP_HTTP_CHANNEL_H
#define WEFT_HTTP_HTTP_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "url.h"

/* Private to gateway/: a connection to a URL's host, plain or TLS, that waits until its deadline. */
struct channel {
	int fd;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	int stop_fd;	      /* readable: give up; -1: never */
	SSL_CTX *ctx;	      /* NULL: plain */
	SSL *ssl;
};

/* http_channel_open looks the host up and connects; errors as http_get_run. */
WEFT_MUST_CHECK
int http_channel_open(struct channel *channel, const struct url *url, const char *ca_file,
		      uint64_t deadline_ns, int stop_fd);
/* http_channel_close also takes what http_channel_open failed on. */
void http_channel_close(struct channel *channel);
/* http_channel_write: 0 when all len bytes are on their way. */
WEFT_MUST_CHECK
int http_channel_write(struct channel *channel, const void *data, size_t len);
/* http_channel_read: how many bytes came, at least 1; 0: the end, said by the other side. */
WEFT_MUST_CHECK
int http_channel_read(struct channel *channel, void *dst, size_t cap);

#endif
