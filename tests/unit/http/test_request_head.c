/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "http/request_head.h"

static bool text_is(struct http_text text, const char *want)
{
	return text.at && text.len == strlen(want) && memcmp(text.at, want, text.len) == 0;
}

static void test_a_head_is_read_once_it_is_whole(void)
{
	static const char bytes[] = "GET /a?b HTTP/1.1\r\nHost: h\r\nX-List: one, Two \r\n"
				    "x-list:three\r\nEmpty:\r\n\r\nrest";
	const size_t head_len = sizeof(bytes) - 1 - 4;
	struct http_request_head head;

	for (size_t len = 0; len < head_len; len++)
		CHECK_EQ(http_request_head_parse(bytes, len, &head), 0);
	for (size_t len = head_len; len < sizeof(bytes); len++)
		CHECK_EQ(http_request_head_parse(bytes, len, &head), head_len);
	CHECK(head.is_get);
	CHECK(text_is(head.target, "/a?b"));
	CHECK_EQ(head.field_cnt, 4);
	CHECK(text_is(http_request_field(&head, "HOST", 0), "h"));
	CHECK(text_is(http_request_field(&head, "X-List", 0), "one, Two"));
	CHECK(text_is(http_request_field(&head, "X-List", 1), "three"));
	CHECK(!http_request_field(&head, "X-List", 2).at);
	CHECK(http_request_field(&head, "Empty", 0).at);
	CHECK_EQ(http_request_field(&head, "Empty", 0).len, 0);
}

static void test_a_word_of_a_list_is_found_whole(void)
{
	const struct http_text list = {"keep-alive,\t Upgrade ,x", 23};

	CHECK(http_text_has(list, "upgrade"));
	CHECK(http_text_has(list, "keep-alive"));
	CHECK(http_text_has(list, "x"));
	CHECK(!http_text_has(list, "keep"));
	CHECK(!http_text_has(list, ""));
	CHECK(!http_text_has((struct http_text){NULL, 0}, "x"));
}

static void test_a_request_against_the_rules_is_refused(void)
{
	static const char *const rows[] = {
		"GET /\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n",
		"GET  HTTP/1.1\r\n\r\n",
		"G\x01T / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nA b: c\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\x01\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\nA: b\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_request_head head;
		int rv = http_request_head_parse(rows[i], strlen(rows[i]), &head);

		if (rv != WEFT_EMALFORMED)
			printf("# %s\n", rows[i]);
		CHECK_EQ(rv, WEFT_EMALFORMED);
	}
}

static void test_a_head_has_64_fields_at_most(void)
{
	for (unsigned more = 0; more < 2; more++) {
		char bytes[1024] = "GET / HTTP/1.1\r\n";
		struct http_request_head head;

		for (unsigned i = 0; i < HTTP_REQUEST_FIELDS_MAX + more; i++)
			strcat(bytes, "A: b\r\n");
		strcat(bytes, "\r\n");
		CHECK_EQ(http_request_head_parse(bytes, strlen(bytes), &head),
			 more ? WEFT_EMALFORMED : (int)strlen(bytes));
	}
}

int main(void)
{
	RUN(test_a_head_is_read_once_it_is_whole);
	RUN(test_a_word_of_a_list_is_found_whole);
	RUN(test_a_request_against_the_rules_is_refused);
	RUN(test_a_head_has_64_fields_at_most);
	return check_done();
}
