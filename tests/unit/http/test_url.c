/* SPDX-License-Identifier: Apache-2.0 */
#include "http/url.h"

#include "support/check.h"

static const struct {
	const char *text;
	bool is_tls;
	const char *name; /* NULL: refused */
	uint16_t port;
	const char *host;
	const char *path;
} rows[] = {
	{"https://relay.example", true, "relay.example", 443, "relay.example", "/"},
	{"https://relay.example/", true, "relay.example", 443, "relay.example", "/"},
	{"http://relay.example/a/b?c=d", false, "relay.example", 80, "relay.example", "/a/b?c=d"},
	{"https://relay.example?c=d", true, "relay.example", 443, "relay.example", "/?c=d"},
	{"https://relay.example:8443/x", true, "relay.example", 8443, "relay.example:8443", "/x"},
	{"http://192.0.2.1:81", false, "192.0.2.1", 81, "192.0.2.1:81", "/"},
	{"http://[2001:db8::1]/x", false, "2001:db8::1", 80, "[2001:db8::1]", "/x"},
	{"http://[2001:db8::1]:81/x", false, "2001:db8::1", 81, "[2001:db8::1]:81", "/x"},
	{"", false, NULL, 0, NULL, NULL},
	{"relay.example", false, NULL, 0, NULL, NULL},
	{"ftp://relay.example/", false, NULL, 0, NULL, NULL},
	{"file:///etc/passwd", false, NULL, 0, NULL, NULL},
	{"https://", false, NULL, 0, NULL, NULL},
	{"https:///x", false, NULL, 0, NULL, NULL},
	{"https://user@relay.example/", false, NULL, 0, NULL, NULL},
	{"https://relay.example/#x", false, NULL, 0, NULL, NULL},
	{"https://relay.example\\x", false, NULL, 0, NULL, NULL},
	{"https://relay.example/ x", false, NULL, 0, NULL, NULL},
	{"https://relay.example/\r\nX: y", false, NULL, 0, NULL, NULL},
	{"https://relay.example:0/", false, NULL, 0, NULL, NULL},
	{"https://relay.example:65536/", false, NULL, 0, NULL, NULL},
	{"https://relay.example:/", false, NULL, 0, NULL, NULL},
	{"https://2001:db8::1/", false, NULL, 0, NULL, NULL},
	{"https://[2001:db8::1/", false, NULL, 0, NULL, NULL},
	{"https://rel%61y.example/", false, NULL, 0, NULL, NULL},
};

static void test_urls_are_parsed_or_refused(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct url url;
		int err = http_url_parse(rows[i].text, &url);

		if ((err == 0) != (rows[i].name != NULL))
			printf("# %s\n", rows[i].text);
		CHECK_EQ(err, rows[i].name ? 0 : WEFT_EMALFORMED);
		if (err < 0)
			continue;
		CHECK_EQ(url.is_tls, rows[i].is_tls);
		CHECK_STR(url.target.host, rows[i].name);
		CHECK_EQ(url.target.port, rows[i].port);
		CHECK_STR(url.host, rows[i].host);
		CHECK_STR(url.path, rows[i].path);
	}
}

static void test_lengths_are_exceeded_by_one(void)
{
	char text[URL_HOST_CAP + URL_PATH_CAP + 32];
	struct url url;

	for (int over = 0; over <= 1; over++) {
		snprintf(text, sizeof(text), "http://h/%0*d", URL_PATH_CAP - 3 + over, 0);
		CHECK_EQ(http_url_parse(text, &url), over ? WEFT_EMALFORMED : 0);
		snprintf(text, sizeof(text), "http://h%0*d/", RESOLVER_HOST_CAP - 2 + over, 0);
		CHECK_EQ(http_url_parse(text, &url), over ? WEFT_EMALFORMED : 0);
	}
}

int main(void)
{
	RUN(test_urls_are_parsed_or_refused);
	RUN(test_lengths_are_exceeded_by_one);
	return check_done();
}
