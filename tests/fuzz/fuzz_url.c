/* SPDX-License-Identifier: Apache-2.0 */
/* URLs, the host and port in them, and dates, as a configuration or an HTTP message has them. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/date.h"
#include "http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_url(const char *text)
{
	char again_text[sizeof("https://") + URL_HOST_CAP + URL_PATH_CAP];
	struct url url, again;

	if (http_url_parse(text, &url) < 0)
		return;
	weft_assert(url.path[0] == '/' && url.target.port && url.target.host[0]);
	snprintf(again_text, sizeof(again_text), "%s://%s%s", url.is_tls ? "https" : "http",
		 url.host, url.path);
	weft_assert(http_url_parse(again_text, &again) == 0);
	weft_assert(strcmp(url.host, again.host) == 0 && strcmp(url.path, again.path) == 0);
	weft_assert(strcmp(url.target.host, again.target.host) == 0);
	weft_assert(url.target.port == again.target.port);
}

static void check_date(const char *text)
{
	char again[HTTP_DATE_CAP];
	uint64_t wall_s;

	if (gateway_http_date_parse(text, &wall_s) == 0)
		weft_assert(strcmp(gateway_http_date_write(wall_s, again), text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct resolver_target target;
	char text[1024];

	if (len >= sizeof(text))
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	check_url(text);
	check_date(text);
	if (net_resolver_target_parse(text, &target) == 0)
		weft_assert(target.host[0] && target.port);
	return 0;
}
