/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_HTTP_URL_H
#define WEFT_HTTP_URL_H

#include <stdbool.h>

#include "net/resolver.h"
#include "weft/err.h"

/* A URL that something is fetched from: http or https, without user, password and fragment. */
#define URL_PATH_CAP 512
#define URL_HOST_CAP (RESOLVER_HOST_CAP + 8)

struct url {
	bool is_tls;
	bool is_foreign; /* another node's or server's word; http_url_parse leaves it false */
	struct resolver_target target;
	char host
		[URL_HOST_CAP]; /* as the field Host says it: with brackets, and the port if it is unusual */
	char path[URL_PATH_CAP]; /* with the query; begins with '/' */
};

/* http_url_parse: 0, or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int http_url_parse(const char *text, struct url *out_url);

#endif
