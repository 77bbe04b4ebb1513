/* SPDX-License-Identifier: Apache-2.0 */
#include "port_mapping/upnp_text.h"

#include <stdlib.h>
#include <string.h>

#include "support/check.h"

#define FOUND                                                                                      \
	"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\n"                                        \
	"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"                              \
	"Location: http://192.168.1.1:5000/rootDesc.xml\r\nEXT:\r\n\r\n"

static struct addr router;

static bool found(const char *text, char out_url[static UPNP_URL_CAP])
{
	return port_mapping_upnp_read_found(text, strlen(text), &router, out_url);
}

static void test_the_routers_description_is_found(void)
{
	char url[UPNP_URL_CAP];

	CHECK(found(FOUND, url));
	CHECK_STR(url, "http://192.168.1.1:5000/rootDesc.xml");
	CHECK(found("HTTP/1.1 200 OK\nLOCATION:http://192.168.1.1/x\n", url));
	CHECK_STR(url, "http://192.168.1.1/x");
}

/* A device of the network must not have this node write to third parties. */
static void test_urls_that_lead_elsewhere_are_refused(void)
{
	static const char *const rows[] = {
		"http://192.168.1.2/x",
		"http://192.168.1.1.example/x",
		"http://192.168.1.1@evil/x",
		"https://192.168.1.1/x",
		"ftp://192.168.1.1/x",
		"http://router/x",
		"http://[::ffff:c0a8:101]/x",
		"//192.168.1.1/x",
		"http://192.168.1.1 /x",
		"http://192.168.1.1:99999/x",
		"http://192.168.1.1/x\r\nEvil: 1",
		"",
	};

	CHECK(port_mapping_upnp_is_of("http://192.168.1.1:80/x", &router));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK(!port_mapping_upnp_is_of(rows[i], &router));
}

static void test_other_answers_find_nothing(void)
{
	static const char *const rows[] = {
		"",
		"HTTP/1.1 404 Not Found\r\nLocation: http://192.168.1.1/x\r\n\r\n",
		"NOTIFY * HTTP/1.1\r\nLocation: http://192.168.1.1/x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nLocation: http://192.168.1.9/x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nLocation:\r\n\r\n",
	};
	char url[UPNP_URL_CAP] = "as it was";

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK(!found(rows[i], url));
	CHECK_STR(url, "as it was");
}

static void test_a_url_has_a_limit(void)
{
	char text[2 * UPNP_URL_CAP], url[UPNP_URL_CAP];
	static const char head[] = "HTTP/1.1 200 OK\r\nLocation: ",
			  url_head[] = "http://192.168.1.1/";

	for (size_t len = UPNP_URL_CAP - 1; len <= UPNP_URL_CAP; len++) {
		size_t at = sizeof(head) - 1;

		memset(text, 'x', sizeof(text));
		memcpy(text, head, at);
		memcpy(text + at, url_head, sizeof(url_head) - 1);
		memcpy(text + at + len, "\r\n", 3);
		CHECK_EQ(found(text, url), len < UPNP_URL_CAP);
	}
}

/* Every prefix is read without a byte beyond it: the sanitizers watch. */
static void test_every_prefix_is_read_within_its_end(void)
{
	char url[UPNP_URL_CAP];

	for (size_t len = 0; len < sizeof(FOUND); len++) {
		char *exact = malloc(len ? len : 1);

		memcpy(exact, FOUND, len);
		(void)port_mapping_upnp_read_found(exact, len, &router, url);
		free(exact);
	}
}

static void test_a_service_changes_no_text(void)
{
	static const char *const good[] = {"urn:schemas-upnp-org:service:WANIPConnection:1",
					   "urn:schemas-upnp-org:service:WANIPConnection:2",
					   "urn:schemas-upnp-org:service:WANPPPConnection:1"};
	static const char *const bad[] = {
		"",
		"urn:schemas-upnp-org:service:WANIPConnection:",
		"urn:schemas-upnp-org:service:Layer3Forwarding:1",
		"urn:schemas-upnp-org:service:WANIPConnection:1\r\nEvil: 1",
		"urn:schemas-upnp-org:service:WANIPConnection:1\"><x>",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(port_mapping_upnp_service_is_usable(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!port_mapping_upnp_service_is_usable(bad[i]));
}

static void test_a_call_is_an_envelope_or_too_long(void)
{
	struct upnp_argument arguments[] = {{"NewExternalPort", "7000"}, {NULL, NULL}};
	char call[UPNP_CALL_CAP], value[UPNP_CALL_CAP];
	size_t len = port_mapping_upnp_write_call("urn:x:1", "Act", arguments, call);

	CHECK_EQ(len, strlen(call));
	CHECK(strstr(call,
		     "<u:Act xmlns:u=\"urn:x:1\"><NewExternalPort>7000</NewExternalPort></u:Act>"));
	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	arguments[0].value = value;
	CHECK_EQ(port_mapping_upnp_write_call("urn:x:1", "Act", arguments, call), 0);
}

int main(void)
{
	if (addr_parse("192.168.1.1:0", &router) < 0)
		abort();
	RUN(test_the_routers_description_is_found);
	RUN(test_urls_that_lead_elsewhere_are_refused);
	RUN(test_other_answers_find_nothing);
	RUN(test_a_url_has_a_limit);
	RUN(test_every_prefix_is_read_within_its_end);
	RUN(test_a_service_changes_no_text);
	RUN(test_a_call_is_an_envelope_or_too_long);
	return check_done();
}
