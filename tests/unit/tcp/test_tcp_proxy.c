/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "base/assert.h"
#include "tcp/tcp_proxy.h"

static struct addr addr_of(const char *text)
{
	struct addr addr;

	weft_assert(addr_parse(text, &addr) == 0);
	return addr;
}

static void test_a_request_names_the_peer_twice(void)
{
	char request[TCP_PROXY_REQUEST_CAP], field[TCP_PROXY_FIELD_CAP];
	struct addr ipv4 = addr_of("tcp:192.0.2.1:443"), ipv6 = addr_of("tcp:[2001:db8::1]:7001");

	CHECK_EQ(tcp_proxy_request_write(&ipv4, "", request), strlen(request));
	CHECK_STR(request, "CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n\r\n");
	/* RFC 7617, 2. */
	CHECK_EQ(tcp_proxy_field_write("Aladdin:open sesame", field), 0);
	CHECK_EQ(tcp_proxy_request_write(&ipv6, field, request), strlen(request));
	CHECK_STR(request, "CONNECT [2001:db8::1]:7001 HTTP/1.1\r\nHost: [2001:db8::1]:7001\r\n"
			   "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
}

static void test_a_user_has_a_colon_and_no_control_character(void)
{
	char user[TCP_PROXY_USER_MAX + 2], field[TCP_PROXY_FIELD_CAP];
	char request[TCP_PROXY_REQUEST_CAP];
	struct addr longest = addr_of("[2001:db80:1000:1000:1000:1000:1000:1000]:65535");

	CHECK_EQ(tcp_proxy_field_write("name", field), WEFT_EMALFORMED);
	CHECK_EQ(tcp_proxy_field_write("", field), WEFT_EMALFORMED);
	CHECK_EQ(tcp_proxy_field_write("name:pass\r\nX: y", field), WEFT_EMALFORMED);
	CHECK_EQ(tcp_proxy_field_write(":", field), 0);
	memset(user, 'u', sizeof(user));
	user[0] = ':';
	user[TCP_PROXY_USER_MAX + 1] = '\0';
	CHECK_EQ(tcp_proxy_field_write(user, field), WEFT_EMALFORMED);
	user[TCP_PROXY_USER_MAX] = '\0';
	CHECK_EQ(tcp_proxy_field_write(user, field), 0);
	CHECK(tcp_proxy_request_write(&longest, field, request) < TCP_PROXY_REQUEST_CAP);
}

static void test_a_proxy_is_an_address_and_a_port(void)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{"http://192.0.2.9:3128", 0},
		{"http://[2001:db8::9]:8080/", 0},
		{"https://192.0.2.9:3128", WEFT_EMALFORMED},
		{"http://192.0.2.9", WEFT_EMALFORMED},
		{"http://192.0.2.9:0", WEFT_EMALFORMED},
		{"http://tcp:192.0.2.9:3128", WEFT_EMALFORMED},
		{"http://user:word@192.0.2.9:3128", WEFT_EMALFORMED},
		{"http://proxy.example:3128", WEFT_EMALFORMED},
		{"http://", WEFT_EMALFORMED},
		{"192.0.2.9:3128", WEFT_EMALFORMED},
	};
	struct addr addr;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(tcp_proxy_parse(rows[i].text, &addr), rows[i].err);
	CHECK_EQ(tcp_proxy_parse("http://192.0.2.9:3128", &addr), 0);
	CHECK(addr.transport == ADDR_TCP && addr.port == 3128);
}

static void test_the_lan_is_reached_without_it(void)
{
	struct addr internet = addr_of("tcp:192.0.2.1:7001"), lan = addr_of("tcp:10.0.0.1:7001");
	struct addr local = addr_of("tcp:[fe80::1]:7001"), self = addr_of("tcp:127.0.0.1:7001");

	CHECK(tcp_proxy_serves(&internet));
	CHECK(!tcp_proxy_serves(&lan) && !tcp_proxy_serves(&local) && !tcp_proxy_serves(&self));
}

static const struct {
	const char *text;
	int rv;
	unsigned status; /* for rv 1; all of text but a "|" and what follows is used */
} answers[] = {
	{"HTTP/1.1 200 Connection established\r\n\r\n", 1, 200},
	{"HTTP/1.0 200 OK\r\nProxy-agent: x\r\n\r\n", 1, 200},
	{"HTTP/1.1 200\r\n\r\n", 1, 200},
	{"HTTP/1.1 200 \r\r\n\r\r\n\r\n", 1, 200},
	{"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\n|body", 1, 407},
	{"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 403 No\r\n\r\n", 1, 403},
	{"HTTP/1.1 999 x\r\n\r\n", 1, 999},
	{"HTTP/2.0 200 OK\r\n\r\n", WEFT_EMALFORMED, 0},
	{"HTTP/1.1 099 x\r\n\r\n", WEFT_EMALFORMED, 0},
	{"HTTP/1.1 20 OK\r\n\r\n", WEFT_EMALFORMED, 0},
	{"HTTP/1.1 2000 OK\r\n\r\n", WEFT_EMALFORMED, 0},
	{"HTTP/1.1  200 OK\r\n\r\n", WEFT_EMALFORMED, 0},
	{"http/1.1 200 OK\r\n\r\n", WEFT_EMALFORMED, 0},
	{"SSH-2.0-OpenSSH_9.2\r\n", WEFT_EMALFORMED, 0},
	{"\r\n\r\n", WEFT_EMALFORMED, 0},
	{"HTTP/1.1 200 OK\n\n", 0, 0},
};
#define ANSWER_CNT (sizeof(answers) / sizeof(answers[0]))

static void test_an_answer_is_read_to_its_end(void)
{
	for (size_t i = 0; i < ANSWER_CNT; i++) {
		struct tcp_proxy_reader reader = {0};
		const char *bar = strchr(answers[i].text, '|');
		size_t wanted = bar ? (size_t)(bar - answers[i].text) : strlen(answers[i].text);
		size_t used = 0;
		int rv = tcp_proxy_read(&reader, answers[i].text, strlen(answers[i].text), &used);

		if (rv != answers[i].rv)
			printf("# %s\n", answers[i].text);
		CHECK_EQ(rv, answers[i].rv);
		if (rv != 1)
			continue;
		CHECK_EQ(reader.status, answers[i].status);
		CHECK_EQ(used, wanted);
	}
}

static void test_an_answer_that_is_cut_short_is_none(void)
{
	for (size_t i = 0; i < ANSWER_CNT && answers[i].rv == 1; i++) {
		const char *bar = strchr(answers[i].text, '|');
		size_t len = bar ? (size_t)(bar - answers[i].text) : strlen(answers[i].text);

		for (size_t cut = 0; cut < len; cut++) {
			struct tcp_proxy_reader reader = {0};
			size_t used = 0;

			CHECK_EQ(tcp_proxy_read(&reader, answers[i].text, cut, &used), 0);
			CHECK_EQ(tcp_proxy_read(&reader, answers[i].text + cut, len - cut, &used),
				 1);
			CHECK_EQ(used, len - cut);
			CHECK_EQ(reader.status, answers[i].status);
		}
	}
}

/* Also when it comes as interim answers. */
static void test_an_answer_ends_within_its_bound(void)
{
	static const char interim[] = "HTTP/1.1 100\r\n\r\n", head[] = "HTTP/1.1 200\r\nX: ";
	static char bytes[TCP_PROXY_ANSWER_MAX + 1];
	struct tcp_proxy_reader reader = {0};
	size_t used = 0;

	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, head, strlen(head));
	memcpy(bytes + TCP_PROXY_ANSWER_MAX - 4, "\r\n\r\n", 4);
	CHECK_EQ(tcp_proxy_read(&reader, bytes, TCP_PROXY_ANSWER_MAX, &used), 1);
	CHECK_EQ(used, TCP_PROXY_ANSWER_MAX);
	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, head, strlen(head));
	memcpy(bytes + TCP_PROXY_ANSWER_MAX - 3, "\r\n\r\n", 4);
	reader = (struct tcp_proxy_reader){0};
	CHECK_EQ(tcp_proxy_read(&reader, bytes, sizeof(bytes), &used), WEFT_EMALFORMED);
	reader = (struct tcp_proxy_reader){0};
	for (unsigned i = 0; i < TCP_PROXY_ANSWER_MAX / strlen(interim); i++)
		CHECK_EQ(tcp_proxy_read(&reader, interim, strlen(interim), &used), 0);
	CHECK_EQ(tcp_proxy_read(&reader, interim, strlen(interim), &used), WEFT_EMALFORMED);
}

static void test_what_concerns_the_destination_is_no_fault_of_the_proxy(void)
{
	static const unsigned of_destination[] = {403, 404, 500, 502, 503, 504};
	static const unsigned of_proxy[] = {TCP_PROXY_OK,
					    TCP_PROXY_ABSENT,
					    TCP_PROXY_SILENT,
					    TCP_PROXY_FOREIGN,
					    TCP_PROXY_CUT,
					    301,
					    400,
					    401,
					    405,
					    407,
					    501,
					    505};

	for (size_t i = 0; i < sizeof(of_destination) / sizeof(of_destination[0]); i++)
		CHECK(tcp_proxy_is_of_destination(of_destination[i]));
	for (size_t i = 0; i < sizeof(of_proxy) / sizeof(of_proxy[0]); i++)
		CHECK(!tcp_proxy_is_of_destination(of_proxy[i]));
}

int main(void)
{
	RUN(test_a_request_names_the_peer_twice);
	RUN(test_a_user_has_a_colon_and_no_control_character);
	RUN(test_a_proxy_is_an_address_and_a_port);
	RUN(test_the_lan_is_reached_without_it);
	RUN(test_an_answer_is_read_to_its_end);
	RUN(test_an_answer_that_is_cut_short_is_none);
	RUN(test_an_answer_ends_within_its_bound);
	RUN(test_what_concerns_the_destination_is_no_fault_of_the_proxy);
	return check_done();
}
