/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#define HOST   "Host: x\r\n"
#define TOKEN  "X-Weft-Token: " RIG_TOKEN "\r\n"
#define BEARER "Authorization: bearer " RIG_TOKEN "\r\n"
#define BODY   "Content-Length: 0\r\n"

static unsigned status_of(const char *request)
{
	unsigned status = 0;

	rig_start();
	rig_say(request);
	(void)!sscanf(rig.out, "HTTP/1.1 %u", &status);
	return status;
}

static void test_who_may_ask(void)
{
	static const struct {
		const char *request;
		unsigned status;
		const char *why;
	} rows[] = {
		{"GET /open HTTP/1.1\r\n" HOST "\r\n", 200, "reading what is open"},
		{"GET /open HTTP/1.1\r\nHost: X\r\n\r\n", 200, "hosts in any case"},
		{"GET /open HTTP/1.1\r\nHost: x:80\r\n\r\n", 403, "another port"},
		{"GET /open HTTP/1.1\r\nHost: x.evil\r\n\r\n", 403, "a name that only begins so"},
		{"GET /open HTTP/1.1\r\nHost: evil.x\r\n\r\n", 403, "a name that only ends so"},
		{"GET /open HTTP/1.1\r\nHost:\r\n\r\n", 403, "no name"},
		{"GET /open HTTP/1.0\r\n\r\n", 403, "no Host at all"},
		{"GET http://x/open HTTP/1.1\r\nHost: evil\r\n\r\n", 403, "Host is what counts"},
		{"GET /open HTTP/1.1\r\n" HOST "Origin: http://x\r\n\r\n", 200, "its own page"},
		{"GET /open HTTP/1.1\r\n" HOST "Origin: https://x\r\n\r\n", 403, "another scheme"},
		{"GET /open HTTP/1.1\r\n" HOST "Origin: null\r\n\r\n", 403, "a sandboxed page"},
		{"GET /open HTTP/1.1\r\n" HOST "Origin: http://x\r\nOrigin: http://x\r\n\r\n", 403,
		 "two origins"},
		{"GET /open HTTP/1.1\r\n" HOST TOKEN "Origin: http://evil\r\n\r\n", 403,
		 "the token does not help"},
		{"GET /open HTTP/1.1\r\n" HOST "Sec-Fetch-Site: cross-site\r\n\r\n", 401,
		 "an image in a foreign page"},
		{"GET /open HTTP/1.1\r\n" HOST "Sec-Fetch-Site: same-site\r\n\r\n", 401,
		 "another port is another site"},
		{"GET /open HTTP/1.1\r\n" HOST "Sec-Fetch-Site: none\r\n\r\n", 200,
		 "typed by hand"},
		{"GET /open HTTP/1.1\r\n" HOST "Sec-Fetch-Site: same-origin\r\n\r\n", 200, "own"},
		{"POST /open HTTP/1.1\r\n" HOST BODY "\r\n", 401, "changing what is open"},
		{"POST /open HTTP/1.1\r\n" HOST TOKEN BODY "\r\n", 200, "with the token"},
		{"POST /open HTTP/1.1\r\n" HOST BEARER BODY "\r\n", 200, "as a bearer"},
		{"POST /open HTTP/1.1\r\n" HOST TOKEN TOKEN BODY "\r\n", 401, "twice"},
		{"POST /open HTTP/1.1\r\n" HOST "Authorization: Basic " RIG_TOKEN "\r\n" BODY
		 "\r\n",
		 401, "another scheme"},
		{"POST /open HTTP/1.1\r\n" HOST "X-Weft-Token: " RIG_TOKEN "w\r\n" BODY "\r\n", 401,
		 "longer"},
		{"POST /open HTTP/1.1\r\n" HOST
		 "X-Weft-Token: 0123456789abcdefghijklmnopqrstu\r\n" BODY "\r\n",
		 401, "shorter"},
		{"POST /open HTTP/1.1\r\n" HOST
		 "X-Weft-Token: 1123456789abcdefghijklmnopqrstuv\r\n" BODY "\r\n",
		 401, "another"},
		{"POST /open HTTP/1.1\r\n" HOST "X-Weft-Token:\r\n" BODY "\r\n", 401, "empty"},
		{"GET /guarded HTTP/1.1\r\n" HOST "\r\n", 401, "reading what is guarded"},
		{"HEAD /guarded HTTP/1.1\r\n" HOST "\r\n", 401, "or its head"},
		{"GET /guarded HTTP/1.1\r\n" HOST TOKEN "\r\n", 200, "with the token"},
		{"OPTIONS /guarded HTTP/1.1\r\n" HOST "\r\n", 204, "what it can do is no secret"},
		{"OPTIONS /guarded HTTP/1.1\r\nHost: evil\r\n\r\n", 403, "but for its own hosts"},
		{"GET /public HTTP/1.1\r\nHost: evil\r\nOrigin: http://evil\r\n\r\n", 200,
		 "what is public"},
		{"PUT /public HTTP/1.1\r\nHost: evil\r\n" BODY "\r\n", 200, "also to change"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		printf("# %s\n", rows[i].why);
		CHECK_EQ(status_of(rows[i].request), rows[i].status);
		CHECK_EQ(rig.handled_cnt, rows[i].status == 200);
		CHECK_EQ(rig.shared.stats.forbidden_cnt,
			 rows[i].status == 401 || rows[i].status == 403);
	}
}

static void test_errors_are_json_with_a_name(void)
{
	(void)status_of("GET /open HTTP/1.1\r\n" HOST "Origin: http://evil\r\n\r\n");
	CHECK(strstr(rig.out, "Content-Type: application/json\r\n"));
	CHECK(strstr(rig.out, "\r\n\r\n{\"error\":\"origin_not_allowed\",\"message\":\""));
	CHECK_STR(rig.out + strlen(rig.out) - 3, "\"}\n");
	(void)status_of("GET /guarded HTTP/1.1\r\n" HOST "\r\n");
	CHECK(strstr(rig.out, "{\"error\":\"token_required\""));
	CHECK(strstr(rig.out, "WWW-Authenticate: Bearer\r\n"));
}

static void test_what_a_message_says_cannot_break_out_of_it(void)
{
	static const struct {
		const char *text, *json;
	} rows[] = {
		{"a \"quoted\\ word\"\r\n", "\"a \\\"quoted\\\\ word\\\"  \""},
		{"caf\xc3\xa9", "\"caf\xc3\xa9\""},
		{"\xff", "\"\""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gateway_error error = {502, "x", rows[i].text, 7};
		char want[128];

		rig_start();
		rig_say("GET /wait HTTP/1.1\r\n" HOST "\r\n");
		gateway_reply_error(rig.waiting, &error, rig.now_ns);
		snprintf(want, sizeof(want), "{\"error\":\"x\",\"message\":%s}\n", rows[i].json);
		CHECK(strstr(rig_hear(), want));
	}
}

static void test_a_long_message_is_cut_between_characters(void)
{
	static char text[4096];
	struct gateway_error error = {502, "x", text, 0};
	const char *body;

	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	for (unsigned shift = 0; shift < 2; shift++) {
		if (shift)
			memmove(text + 1, text, sizeof(text) - 4);
		rig_start();
		rig_say("GET /wait HTTP/1.1\r\n" HOST "\r\n");
		text[0] = shift ? 'a' : text[0];
		gateway_reply_error(rig.waiting, &error, rig.now_ns);
		body = strstr(rig_hear(), "\r\n\r\n") + 4;
		CHECK(utf8_is_valid(body, strlen(body)));
		CHECK_STR(body + strlen(body) - 3, "\"}\n");
	}
}

static void test_everything_is_guarded_where_it_is_configured(void)
{
	rig_start();
	rig.guard.is_token_always = true;
	rig_say("GET /open HTTP/1.1\r\n" HOST "\r\n");
	CHECK(strstr(rig_hear(), "HTTP/1.1 401 "));
	rig_say("GET /open HTTP/1.1\r\n" HOST TOKEN "\r\n");
	CHECK(strstr(rig_hear(), "HTTP/1.1 200 "));
	rig_say("GET /public HTTP/1.1\r\n" HOST "\r\n");
	CHECK(strstr(rig_hear(), "HTTP/1.1 200 "));
}

static void test_without_a_token_nobody_has_it(void)
{
	rig_start();
	memset(rig.guard.token, 0, sizeof(rig.guard.token));
	rig_say("GET /guarded HTTP/1.1\r\n" HOST "X-Weft-Token:\r\n\r\n");
	CHECK(strstr(rig_hear(), "HTTP/1.1 401 "));
}

static void test_lists_follow_from_where_it_listens(void)
{
	static const struct {
		const char *listen;
		const char *hosts[3];
	} rows[] = {
		{"127.0.0.1:5030", {"127.0.0.1:5030", "localhost:5030", NULL}},
		{"[::1]:5030", {"[::1]:5030", "localhost:5030", NULL}},
		{"192.0.2.1:5030", {"192.0.2.1:5030", NULL, NULL}},
		{"192.0.2.1:80", {"192.0.2.1:80", "192.0.2.1", NULL}},
	};
	struct gateway_params params = {.origins = {.names = {"https://page"}, .cnt = 1}};
	struct guard guard;
	struct addr listen;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(addr_parse(rows[i].listen, &listen), 0);
		CHECK_EQ(guard_init(&guard, &params, &listen), 0);
		for (unsigned j = 0; rows[i].hosts[j]; j++) {
			CHECK_STR(guard.hosts.names[j], rows[i].hosts[j]);
			CHECK_STR(guard.origins.names[j + 1] + strlen("http://"), rows[i].hosts[j]);
			CHECK_EQ(guard.hosts.cnt > j, 1);
		}
		CHECK_STR(guard.origins.names[0], "https://page");
	}
}

static void test_lists_are_read_and_bounded(void)
{
	char text[GATEWAY_NAMES_MAX * 4 + 8] = "", name[GATEWAY_NAME_CAP + 1] = "";
	struct gateway_names names;

	CHECK_EQ(gateway_names_parse(" a.example:1 ,b,, c", &names), 0);
	CHECK_EQ(names.cnt, 3);
	CHECK_STR(names.names[0], "a.example:1");
	CHECK_STR(names.names[2], "c");
	CHECK_EQ(gateway_names_parse("", &names), 0);
	CHECK_EQ(names.cnt, 0);
	for (unsigned i = 0; i < GATEWAY_NAMES_MAX; i++)
		strcat(text, "n, ");
	CHECK_EQ(gateway_names_parse(text, &names), 0);
	strcat(text, "n");
	CHECK_EQ(gateway_names_parse(text, &names), WEFT_EFULL);
	memset(name, 'n', GATEWAY_NAME_CAP - 1);
	CHECK_EQ(gateway_names_parse(name, &names), 0);
	name[GATEWAY_NAME_CAP - 1] = 'n';
	CHECK_EQ(gateway_names_parse(name, &names), WEFT_ETOOLARGE);
}

int main(void)
{
	RUN(test_who_may_ask);
	RUN(test_errors_are_json_with_a_name);
	RUN(test_what_a_message_says_cannot_break_out_of_it);
	RUN(test_a_long_message_is_cut_between_characters);
	RUN(test_everything_is_guarded_where_it_is_configured);
	RUN(test_without_a_token_nobody_has_it);
	RUN(test_lists_follow_from_where_it_listens);
	RUN(test_lists_are_read_and_bounded);
	return check_done();
}
