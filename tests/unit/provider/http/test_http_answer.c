/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "provider/http/http_answer.h"

static struct http_answer answer;

static int input(const char *text, size_t *out_body_len)
{
	static uint8_t data[70000];
	size_t len = strlen(text);

	memcpy(data, text, len);
	return provider_http_answer_input(&answer, data, len, out_body_len);
}

static void test_the_bytes_of_a_body_are_gathered_in_place(void)
{
	uint8_t data[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "2\r\nhe\r\n1;x\r\nl\r\n2\r\nlo\r\n0\r\n\r\n";
	size_t body_len;

	provider_http_answer_init(&answer, false);
	CHECK_EQ(provider_http_answer_input(&answer, data, sizeof(data) - 1, &body_len), 0);
	CHECK_EQ(body_len, 5);
	CHECK_MEM(data, "hello", 5);
	CHECK(answer.is_whole);
	CHECK(answer.keeps_alive);
}

static void test_no_prefix_of_an_answer_is_whole(void)
{
	static const char whole[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
				    "Content-Length: 3\r\nX: y\r\n\r\nabc";
	uint8_t data[sizeof(whole)];
	size_t body_len;

	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		provider_http_answer_init(&answer, false);
		memcpy(data, whole, len);
		CHECK_EQ(provider_http_answer_input(&answer, data, len, &body_len), 0);
		CHECK(!answer.is_whole);
		CHECK_EQ(provider_http_answer_eof(&answer), WEFT_EMALFORMED);
		CHECK(answer.fault);
	}
	memcpy(data, whole, sizeof(whole) - 1);
	provider_http_answer_init(&answer, false);
	CHECK_EQ(provider_http_answer_input(&answer, data, sizeof(whole) - 1, &body_len), 0);
	CHECK(answer.is_whole);
	CHECK_EQ(provider_http_answer_eof(&answer), 0);
}

static void test_a_head_has_a_limit(void)
{
	/* Names and values together: "a" and a value. */
	for (size_t more = 0; more < 2; more++) {
		static char text[HTTP_ANSWER_HEAD_CAP + 64];
		size_t len = (size_t)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\na: "),
		       body_len;

		memset(text + len, 'v', HTTP_ANSWER_HEAD_CAP - 1 + more);
		memcpy(text + len + HTTP_ANSWER_HEAD_CAP - 1 + more, "\r\n\r\n", 5);
		provider_http_answer_init(&answer, false);
		CHECK_EQ(input(text, &body_len), more ? WEFT_EMALFORMED : 0);
		CHECK_EQ(answer.has_head, !more);
	}
}

static void test_bytes_that_bring_no_body_have_a_limit(void)
{
	static const char interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
	size_t body_len, said = 0;
	int err = 0;

	provider_http_answer_init(&answer, false);
	while (err == 0 && said <= HTTP_ANSWER_IDLE_MAX) {
		err = input(interim, &body_len);
		said += sizeof(interim) - 1;
		CHECK_EQ(err, said <= HTTP_ANSWER_IDLE_MAX ? 0 : WEFT_EMALFORMED);
	}
	CHECK(said > HTTP_ANSWER_IDLE_MAX);
	CHECK(strstr(answer.fault, "endless"));
}

static void test_trailers_have_the_same_limit(void)
{
	size_t body_len;
	int err;

	provider_http_answer_init(&answer, false);
	CHECK_EQ(input("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
		       &body_len),
		 0);
	CHECK_EQ(body_len, 1);
	err = 0;
	for (unsigned i = 0; err == 0 && i < 2 * HTTP_ANSWER_IDLE_MAX / 6; i++)
		err = input("a: b\r\n", &body_len);
	CHECK_EQ(err, WEFT_EMALFORMED);
	/* Their words are passed to no caller. */
	CHECK_EQ(answer.field_cnt, 1);
}

static void test_a_body_without_end_is_no_fault(void)
{
	static char much[60001];
	size_t body_len, got = 0;

	memset(much, 'x', sizeof(much) - 1);
	provider_http_answer_init(&answer, false);
	CHECK_EQ(input("HTTP/1.1 200 OK\r\n\r\n", &body_len), 0);
	for (unsigned i = 0; i < 100; i++) {
		CHECK_EQ(input(much, &body_len), 0);
		got += body_len;
	}
	CHECK_EQ(got, 6000000);
	CHECK(!answer.is_whole);
	CHECK_EQ(provider_http_answer_eof(&answer), 0);
	CHECK(answer.is_whole);
	CHECK(!answer.keeps_alive);
}

static void test_a_parser_may_be_used_again(void)
{
	struct service_http_answer head;
	size_t body_len;

	provider_http_answer_init(&answer, true);
	CHECK_EQ(input("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nA: b\r\n\r\n", &body_len), 0);
	CHECK(answer.is_whole);
	provider_http_answer_init(&answer, false);
	CHECK(!answer.is_whole && !answer.has_head);
	CHECK_EQ(input("HTTP/1.1 201 Made\r\nC:\t d \r\nContent-Length: 1\r\n\r\nx", &body_len), 0);
	CHECK(answer.is_whole);
	provider_http_answer_head(&answer, "127.0.0.1:80", &head);
	CHECK_EQ(head.status, 201);
	CHECK_EQ(head.body_len, 1);
	CHECK_EQ(head.headers.cnt, 2);
	CHECK_EQ(head.headers.list[0].value_len, 1);
	CHECK_MEM(head.headers.list[0].value, "d", 1);
}

int main(void)
{
	RUN(test_the_bytes_of_a_body_are_gathered_in_place);
	RUN(test_no_prefix_of_an_answer_is_whole);
	RUN(test_a_head_has_a_limit);
	RUN(test_bytes_that_bring_no_body_have_a_limit);
	RUN(test_trailers_have_the_same_limit);
	RUN(test_a_body_without_end_is_no_fault);
	RUN(test_a_parser_may_be_used_again);
	return check_done();
}
