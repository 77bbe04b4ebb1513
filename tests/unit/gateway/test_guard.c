/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_rig.h"

#include "gateway/websocket/pass.h"

#define HOST   "Host: x\r\n"
#define TOKEN  "X-Weft-Token: " RIG_TOKEN "\r\n"
#define BEARER "Authorization: bearer " RIG_TOKEN "\r\n"
#define BODY   "Content-Length: 0\r\n"
#define FORM   "Content-Type: application/x-www-form-urlencoded\r\n"

static unsigned status_of(const char *request)
{
	unsigned status = 0;

	rig_start();
	rig_say(request);
	(void)!sscanf(rig.out, "HTTP/1.1 %u", &status);
	return status;
}

static void test_only_permitted_origins_may_ask(void)
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
		{"GET http://x/open HTTP/1.1\r\nHost: evil\r\n\r\n", 200, "the target counts"},
		{"GET http://evil/open HTTP/1.1\r\n" HOST "\r\n", 403, "also against Host"},
		{"GET http://x@evil/open HTTP/1.1\r\n" HOST "\r\n", 400, "a user's name"},
		{"GET http:///open HTTP/1.1\r\n" HOST "\r\n", 400, "no authority"},
		{"GET https://x/open HTTP/1.1\r\n" HOST "\r\n", 400, "a scheme of others"},
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
		{"GET /open HTTP/1.1\r\n" HOST
		 "X-Weft-Token: 1123456789abcdefghijklmnopqrstuv\r\n\r\n",
		 401, "a wrong token, though none is needed"},
		{"GET /open HTTP/1.1\r\n" HOST "X-Weft-Token:\r\n\r\n", 401, "or an empty one"},
		{"GET /open HTTP/1.1\r\n" HOST "Authorization: Bearer wrong\r\n\r\n", 401,
		 "or as a bearer"},
		{"GET /open HTTP/1.1\r\n" HOST "Authorization: Basic eDp5\r\n\r\n", 200,
		 "what is no token of ours"},
		{"GET /bearers HTTP/1.1\r\n" HOST "Authorization: Bearer other\r\n\r\n", 200,
		 "a bearer for who is behind the route"},
		{"POST /bearers HTTP/1.1\r\n" HOST "Authorization: Bearer other\r\n" BODY "\r\n",
		 401, "which is no token here"},
		{"POST /form HTTP/1.1\r\n" HOST FORM BODY "\r\n", 200,
		 "a form, with its own token"},
		{"POST /form HTTP/1.1\r\n" HOST FORM "Origin: http://x\r\n" BODY "\r\n", 200,
		 "of this page"},
		{"POST /form HTTP/1.1\r\n" HOST FORM "Origin: http://evil\r\n" BODY "\r\n", 403,
		 "of another page"},
		{"POST /form HTTP/1.1\r\n" HOST FORM "Origin: null\r\n" BODY "\r\n", 403,
		 "of a page that hides its name"},
		{"POST /form HTTP/1.1\r\nHost: evil\r\n" FORM BODY "\r\n", 403, "at another host"},
		{"POST /form HTTP/1.1\r\n" HOST BODY "\r\n", 401, "what is no form"},
		{"POST /form HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n" BODY "\r\n", 401,
		 "nor is text"},
		{"POST /form HTTP/1.1\r\n" HOST FORM FORM BODY "\r\n", 401, "or both"},
		{"POST /form HTTP/1.1\r\n" HOST FORM "X-Weft-Token: wrong\r\n" BODY "\r\n", 401,
		 "a wrong token in the head"},
		{"POST /open HTTP/1.1\r\n" HOST FORM BODY "\r\n", 401, "a form for another path"},
		{"GET /nothing HTTP/1.1\r\n" HOST "X-Weft-Token: wrong\r\n\r\n", 401,
		 "where there is nothing"},
		{"GET /public HTTP/1.1\r\n" HOST "X-Weft-Token: wrong\r\n\r\n", 401,
		 "where none is asked for"},
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

static void test_a_token_in_a_form_is_compared_as_a_whole(void)
{
	static const struct {
		const char *body, *said;
	} rows[] = {
		{RIG_TOKEN, "right"},
		{"1123456789abcdefghijklmnopqrstuv", "wrong"},
		{"0123456789abcdefghijklmnopqrstu", "wrong"},
		{"", "wrong"},
	};
	char request[512];
	const char *heard;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(request, sizeof(request),
			 "POST /form HTTP/1.1\r\n" HOST FORM "Content-Length: %zu\r\n\r\n%s",
			 strlen(rows[i].body), rows[i].body);
		rig_start();
		rig_say(request);
		heard = rig_hear();
		CHECK(strstr(heard, rows[i].said));
		/* Behind no-referrer the page's own form would say "null" for its Origin. */
		CHECK(strstr(heard, "Referrer-Policy: same-origin\r\n"));
		CHECK(strstr(heard, "style-src 'self'; form-action 'self'; base-uri 'none'"));
	}
}

/* Hosts of services: where the gateway's own paths are not. */
#define SITE   "Host: web.localhost:5030\r\n"
#define ORIGIN "Origin: http://web.localhost:5030\r\n"
#define CROSS  "Sec-Fetch-Site: cross-site\r\n"
#define NODE   "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1u"

static void test_services_have_hosts_of_their_own(void)
{
	static const struct {
		const char *request;
		unsigned status;
		const char *why;
	} rows[] = {
		{"GET / HTTP/1.1\r\n" SITE "\r\n", 200, "reading"},
		{"HEAD /a HTTP/1.1\r\n" SITE "\r\n", 200, "or its head"},
		{"GET /guarded HTTP/1.1\r\n" SITE "\r\n", 200,
		 "the gateway's paths are the service's"},
		{"GET http://web.localhost:5030/ HTTP/1.1\r\n" HOST "\r\n", 200, "by the target"},
		{"GET / HTTP/1.1\r\nHost: WEB.LocalHost:5030\r\n\r\n", 200, "in any case"},
		{"GET / HTTP/1.1\r\nHost: web." NODE ".localhost:5030\r\n\r\n", 200, "with a node"},
		{"GET / HTTP/1.1\r\nHost: a.b.c.localhost:5030\r\n\r\n", 404, "three names"},
		{"GET / HTTP/1.1\r\nHost: web.localhost.:5030\r\n\r\n", 404, "a point at its end"},
		{"GET / HTTP/1.1\r\nHost: web.localhost:5031\r\n\r\n", 404, "another port"},
		{"GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n", 404, "no port"},
		{"GET / HTTP/1.1\r\nHost: .localhost:5030\r\n\r\n", 404, "no name"},
		{"GET / HTTP/1.1\r\nHost: -a.localhost:5030\r\n\r\n", 404, "no label"},
		{"GET / HTTP/1.1\r\nHost: we%62.localhost:5030\r\n\r\n", 404, "coded"},
		{"GET / HTTP/1.1\r\nHost: web.localhost:5030.evil\r\n\r\n", 404, "somebody's name"},
		{"GET / HTTP/1.1\r\nHost: localhost:5030\r\n\r\n", 404, "nobody's"},
		{"GET /open HTTP/1.1\r\nHost: evil.localhost:5031\r\n\r\n", 403,
		 "no way in by a port"},
		{"GET / HTTP/1.1\r\n" SITE "Origin: http://x\r\n\r\n", 403,
		 "a page of the gateway"},
		{"GET / HTTP/1.1\r\n" SITE CROSS "\r\n", 401, "a picture in a foreign page"},
		{"GET / HTTP/1.1\r\n" SITE CROSS
		 "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n",
		 200, "a link that is followed"},
		{"GET / HTTP/1.1\r\n" SITE CROSS
		 "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n\r\n",
		 401, "a frame"},
		{"GET / HTTP/1.1\r\n" SITE "X-Weft-Token: wrong\r\n\r\n", 401, "a wrong token"},
		{"POST / HTTP/1.1\r\n" SITE ORIGIN BODY "\r\n", 401,
		 "its own page, without a pass"},
		{"POST / HTTP/1.1\r\n" SITE TOKEN BODY "\r\n", 403, "the token, without Origin"},
		{"POST / HTTP/1.1\r\n" SITE TOKEN ORIGIN BODY "\r\n", 200, "both"},
		{"POST / HTTP/1.1\r\n" SITE TOKEN ORIGIN ORIGIN BODY "\r\n", 403, "two origins"},
		{"POST / HTTP/1.1\r\n" SITE TOKEN "Origin: http://web.localhost:8080\r\n" BODY
		 "\r\n",
		 403, "a page of another port of the same name"},
		{"POST / HTTP/1.1\r\n" SITE TOKEN "Origin: https://web.localhost:5030\r\n" BODY
		 "\r\n",
		 403, "another scheme"},
		{"POST / HTTP/1.1\r\n" SITE TOKEN "Origin: null\r\n" BODY "\r\n", 403, "a sandbox"},
		{"POST / HTTP/1.1\r\n" SITE TOKEN "Origin: http://x\r\n" BODY "\r\n", 403,
		 "a page of the gateway's own"},
		{"GET / HTTP/1.1\r\n" SITE "Upgrade: websocket\r\n\r\n", 401, "a WebSocket"},
		{"GET / HTTP/1.1\r\n" SITE ORIGIN "Upgrade: websocket\r\n\r\n", 401,
		 "of its own page"},
		{"GET / HTTP/1.1\r\n" SITE TOKEN "Upgrade: websocket\r\n\r\n", 403,
		 "of a program without Origin"},
		{"GET / HTTP/1.1\r\n" SITE TOKEN ORIGIN "Upgrade: websocket\r\n\r\n", 200, "all"},
		{"OPTIONS / HTTP/1.1\r\n" SITE "\r\n", 401, "what a preflight asks"},
		{"POST /open HTTP/1.1\r\n" HOST TOKEN "Origin: http://web.localhost:5030\r\n" BODY
		 "\r\n",
		 403, "a service's page at the gateway's host"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned status = 0;

		printf("# %s\n", rows[i].why);
		rig_start();
		rig_start_sites();
		rig_say(rows[i].request);
		(void)!sscanf(rig.out, "HTTP/1.1 %u", &status);
		CHECK_EQ(status, rows[i].status);
		CHECK_EQ(rig.handled_cnt, rows[i].status == 200);
	}
}

static void test_without_their_route_they_are_no_hosts(void)
{
	CHECK_EQ(status_of("GET /open HTTP/1.1\r\n" SITE "\r\n"), 403);
	CHECK_EQ(status_of("GET /healthz HTTP/1.1\r\n" SITE "\r\n"), 404);
}

static const char *open_pass(const char *code)
{
	char request[512];

	snprintf(request, sizeof(request), "GET " PASS_PATH "%s HTTP/1.1\r\n" SITE CROSS "\r\n",
		 code);
	rig_say(request);
	return rig_hear();
}

/* cookie_of gives "NAME=VALUE" of the answer's cookie. */
static char *cookie_of(const char *answer)
{
	static char cookie[128];

	cookie[0] = '\0';
	(void)!sscanf(strstr(answer, "Set-Cookie: ") ? strstr(answer, "Set-Cookie: ") : "",
		      "Set-Cookie: %127[^;]", cookie);
	return cookie;
}

static void test_an_address_is_opened_once_and_sets_a_cookie_for_its_service(void)
{
	char code[PASS_TEXT_CAP];
	const char *answer;

	rig_start();
	rig_start_sites();
	gateway_pass_make(&rig.passes, "web", rig.now_ns, code);
	CHECK(strstr(open_pass("0123"), "HTTP/1.1 401 "));
	answer = open_pass(code);
	CHECK(strstr(answer, "HTTP/1.1 303 "));
	CHECK(strstr(answer, "Location: /\r\n"));
	CHECK(strstr(answer, "Cache-Control: no-store\r\n"));
	CHECK(strstr(answer, "; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict\r\n"));
	CHECK(!strstr(answer, "Domain"));
	CHECK(!strstr(answer, code));
	CHECK_EQ(strncmp(cookie_of(answer), "weft-5030=", 10), 0);
	CHECK(strstr(open_pass(code), "HTTP/1.1 401 "));
}

static void test_a_cookie_is_good_for_its_service_with_its_origin(void)
{
	static const struct {
		const char *head;
		unsigned status;
		const char *why;
	} rows[] = {
		{"POST / HTTP/1.1\r\n" SITE ORIGIN, 200, "a form of its own page"},
		{"POST / HTTP/1.1\r\n" SITE, 403, "without Origin"},
		{"POST / HTTP/1.1\r\n" SITE "Origin: http://web.localhost:8080\r\n", 403,
		 "from another port, where browsers send it, too"},
		{"GET / HTTP/1.1\r\n" SITE "Sec-Fetch-Site: same-site\r\n", 401,
		 "a picture in a page of that port"},
		{"GET / HTTP/1.1\r\n" SITE "Sec-Fetch-Site: same-origin\r\n", 200, "reading"},
		{"GET / HTTP/1.1\r\n" SITE ORIGIN "Upgrade: websocket\r\n", 200, "a WebSocket"},
		{"GET / HTTP/1.1\r\n" SITE "Upgrade: websocket\r\n", 403, "one without Origin"},
		{"POST / HTTP/1.1\r\nHost: other.localhost:5030\r\n"
		 "Origin: http://other.localhost:5030\r\n",
		 401, "another service"},
		{"POST / HTTP/1.1\r\nHost: web." NODE ".localhost:5030\r\nOrigin: http://web." NODE
		 ".localhost:5030\r\n",
		 401, "the service of one node"},
		{"POST /open HTTP/1.1\r\n" HOST, 401, "the gateway's own host"},
		{"GET /guarded HTTP/1.1\r\n" HOST, 401, "or to read there"},
	};
	char code[PASS_TEXT_CAP], cookie[128], request[1024];
	uint64_t opened_ns;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned status = 0;

		printf("# %s\n", rows[i].why);
		rig_start();
		rig_start_sites();
		gateway_pass_make(&rig.passes, "web", rig.now_ns, code);
		snprintf(cookie, sizeof(cookie), "%s", cookie_of(open_pass(code)));
		snprintf(request, sizeof(request),
			 "%sCookie: weft-5030=evil; a=b;%s\r\n" BODY "\r\n", rows[i].head, cookie);
		rig_say(request);
		(void)!sscanf(rig_hear(), "HTTP/1.1 %u", &status);
		CHECK_EQ(status, rows[i].status);
		CHECK_EQ(rig.handled_cnt, rows[i].status == 200);
	}
	opened_ns = rig.now_ns;
	CHECK(gateway_pass_is_shown(&rig.passes, "web", cookie, opened_ns + PASS_NS - 1));
	CHECK(!gateway_pass_is_shown(&rig.passes, "web", cookie, opened_ns + PASS_NS));
	CHECK(!gateway_pass_is_shown(&rig.passes, "we", cookie, opened_ns));
}

static void test_addresses_end_and_the_oldest_makes_room(void)
{
	char codes[PASS_CAP + 1][PASS_TEXT_CAP], value[PASS_TEXT_CAP];
	struct pass_book book = {0};

	gateway_pass_make(&book, "web", 0, codes[0]);
	CHECK(!gateway_pass_open(&book, "web", codes[0], PASS_CODE_NS, value));
	CHECK(!gateway_pass_open(&book, "other", codes[0], 1, value));
	CHECK(gateway_pass_open(&book, "web", codes[0], PASS_CODE_NS - 1, value));
	memset(&book, 0, sizeof(book));
	for (unsigned i = 0; i <= PASS_CAP; i++) {
		CHECK_EQ(gateway_pass_cnt(&book, 1), i < PASS_CAP ? i : PASS_CAP);
		gateway_pass_make(&book, "web", i, codes[i]);
	}
	CHECK_EQ(gateway_pass_cnt(&book, 1), PASS_CAP);
	CHECK(!gateway_pass_open(&book, "web", codes[0], 1, value));
	CHECK(gateway_pass_open(&book, "web", codes[PASS_CAP], 1, value));
}

static void test_the_gateways_cookies_stay_here(void)
{
	static const struct {
		const char *value, *left;
	} rows[] = {
		{"a=b", "a=b"},
		{"weft-5030=x", ""},
		{"a=b; weft-5030=x; c=d", "a=b; c=d"},
		{"weft-5031=of another node;a=b", "a=b"},
		{"weft-=a; weft-x=b; weft-1x=c", "weft-=a; weft-x=b; weft-1x=c"},
		{" ; ;a=b;", "a=b"},
		{"weft-1", ""},
		{"", ""},
	};
	char left[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(gateway_cookies_write(rows[i].value, left, sizeof(left)),
			 strlen(rows[i].left));
		CHECK_STR(left, rows[i].left);
	}
	CHECK_EQ(gateway_cookies_write("abcdefgh=1; i=2", left, 8), 3);
	CHECK_STR(left, "i=2");
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

static void test_without_a_token_no_client_has_it(void)
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
		CHECK_EQ(gateway_guard_init(&guard, &params, &listen), 0);
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
	RUN(test_only_permitted_origins_may_ask);
	RUN(test_a_token_in_a_form_is_compared_as_a_whole);
	RUN(test_services_have_hosts_of_their_own);
	RUN(test_without_their_route_they_are_no_hosts);
	RUN(test_an_address_is_opened_once_and_sets_a_cookie_for_its_service);
	RUN(test_a_cookie_is_good_for_its_service_with_its_origin);
	RUN(test_addresses_end_and_the_oldest_makes_room);
	RUN(test_the_gateways_cookies_stay_here);
	RUN(test_errors_are_json_with_a_name);
	RUN(test_what_a_message_says_cannot_break_out_of_it);
	RUN(test_a_long_message_is_cut_between_characters);
	RUN(test_everything_is_guarded_where_it_is_configured);
	RUN(test_without_a_token_no_client_has_it);
	RUN(test_lists_follow_from_where_it_listens);
	RUN(test_lists_are_read_and_bounded);
	return check_done();
}
