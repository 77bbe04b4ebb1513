/* SPDX-License-Identifier: Apache-2.0 */
/* URLs (RFC 3986) as far as something can be fetched from them. */
#include "url.h"

#include <stdio.h>
#include <string.h>

static bool text_is_visible(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* authority_has_port: a colon behind what brackets there may be. */
static bool authority_has_port(const char *authority)
{
	const char *bracket = strrchr(authority, ']');

	return strchr(bracket ? bracket : authority, ':') != NULL;
}

int http_url_parse(const char *text, struct url *out_url)
{
	char authority[URL_HOST_CAP + sizeof(":65535")];
	struct url url = {.is_tls = strncmp(text, "https://", 8) == 0};
	size_t len, scheme_len = url.is_tls ? 8 : 7;
	const char *usual_port = url.is_tls ? ":443" : ":80";

	if (!url.is_tls && strncmp(text, "http://", 7) != 0)
		return WEFT_EMALFORMED;
	if (!text_is_visible(text) || strpbrk(text, "@#\\"))
		return WEFT_EMALFORMED;
	text += scheme_len;
	len = strcspn(text, "/?");
	if (len >= sizeof(url.host) || strlen(text + len) >= sizeof(url.path) - 1)
		return WEFT_EMALFORMED;
	memcpy(url.host, text, len);
	snprintf(authority, sizeof(authority), "%s%s", url.host,
		 authority_has_port(url.host) ? "" : usual_port);
	if (net_resolver_target_parse(authority, &url.target) < 0)
		return WEFT_EMALFORMED;
	snprintf(url.path, sizeof(url.path), "%s%s", text[len] == '/' ? "" : "/", text + len);
	*out_url = url;
	return 0;
}
