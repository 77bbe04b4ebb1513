/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_WEB_TOKEN_H
#define WEFT_API_HTTP_WEB_TOKEN_H

#include <stdbool.h>

#include "base/random.h"
#include "gateway/gateway.h"

/*
 * api_http_token_load reads the first line of the file at path: the token that
 * programs show to the gateway. With may_make a file that is not there is made, with
 * 32 random bytes in hexadecimal, for this user alone.
 * Returns 0, or:
 *   WEFT_EABSENT    there is none, and none may be made
 *   WEFT_EREFUSED   others than its owner may read it
 *   WEFT_EMALFORMED not GATEWAY_TOKEN_LEN_MIN to GATEWAY_TOKEN_CAP - 1 visible letters
 *   -errno
 * Context: start-up.
 */
WEFT_MUST_CHECK
int api_http_token_load(const char *path, bool may_make, struct random *random,
			char out_token[static GATEWAY_TOKEN_CAP]);

#endif
