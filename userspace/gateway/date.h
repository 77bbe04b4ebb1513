/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_DATE_H
#define WEFT_GATEWAY_DATE_H

#include <stdint.h>

#include "weft/err.h"

/* Dates of HTTP header fields (RFC 9110, 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". */
#define HTTP_DATE_CAP 30

/* gateway_http_date_write: wall_s is seconds since 1970, below the year 10000. Returns text. */
const char *gateway_http_date_write(uint64_t wall_s, char text[static HTTP_DATE_CAP]);
/*
 * gateway_http_date_parse reads that form alone, the only one that clients send;
 * a condition in an obsolete one is treated as not there.
 * 0, or WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int gateway_http_date_parse(const char *text, uint64_t *out_wall_s);

#endif
