/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_HTTP_HTTP_H
#define WEFT_PROVIDER_HTTP_HTTP_H

#include <stddef.h>

#include "service/service.h"

/* Private to provider/: calls of an offer that an HTTP server answers; ctx is the offer. */
extern const struct service_handler provider_http_handler;

/* provider_http_stream_len: of one stream in the pool of the provider. */
size_t provider_http_stream_len(void);

#endif
