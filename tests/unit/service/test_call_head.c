/* SPDX-License-Identifier: Apache-2.0 */
#include "service/call_head.h"
#include "support/check.h"

static struct service_call_head full_call(void)
{
	struct service_call_head head = {
		.has_major = true,
		.major = UINT32_MAX,
		.left_ms = UINT32_MAX,
		.has_key = true,
		.body_len = UINT32_MAX,
		.has_signature = true,
		.signed_ms = UINT64_MAX,
	};

	memset(head.service_id, 1, sizeof(head.service_id));
	memset(head.method, 'm', SERVICE_METHOD_LEN_MAX);
	memset(head.correlation, 2, sizeof(head.correlation));
	memset(head.key, 3, sizeof(head.key));
	memset(head.signature, 4, sizeof(head.signature));
	head.is_again = true;
	head.sent_ms = UINT32_MAX;
	head.has_trace = true;
	memset(head.trace.bytes, 5, sizeof(head.trace.bytes));
	return head;
}

static void test_the_longest_call_head_fits_and_is_read_back(void)
{
	struct service_call_head head = full_call(), got;
	uint8_t bytes[SERVICE_CALL_HEAD_LEN_MAX + 5];
	struct writer w = writer_of(bytes, SERVICE_CALL_HEAD_LEN_MAX);

	service_call_head_write(&w, &head);
	CHECK(!w.bad);
	memset(w.pos, 0xff, 5); /* a body of any bytes */
	CHECK_EQ(service_call_head_parse(bytes, writer_len(&w) + 5, &got), writer_len(&w));
	CHECK(memcmp(&got, &head, sizeof(got)) == 0);
}

static void test_fields_of_a_call_are_optional_one_by_one(void)
{
	for (unsigned i = 0; i < 32; i++) {
		struct service_call_head head = full_call(), got;
		uint8_t bytes[SERVICE_CALL_HEAD_LEN_MAX];
		struct writer w = writer_of(bytes, sizeof(bytes));

		head.has_major = i & 1;
		head.has_key = i & 2;
		head.has_signature = i & 4;
		head.is_again = head.has_key && i & 8;
		head.has_trace = i & 16;
		service_call_head_write(&w, &head);
		CHECK_EQ(service_call_head_parse(bytes, writer_len(&w), &got), writer_len(&w));
		CHECK_EQ(got.has_major, head.has_major);
		CHECK_EQ(got.has_key, head.has_key);
		CHECK_EQ(got.has_signature, head.has_signature);
		CHECK_EQ(got.is_again, head.is_again);
		CHECK_EQ(got.has_trace, head.has_trace);
		/* What nodes read that know of no trace. */
		CHECK(head.has_trace || writer_len(&w) <= 240);
		CHECK_EQ(got.left_ms, head.left_ms);
		CHECK_STR(got.method, head.method);
	}
}

static void test_a_call_without_a_key_was_not_sent_before(void)
{
	struct service_call_head head = full_call(), got;
	uint8_t bytes[SERVICE_CALL_HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	head.has_key = false;
	service_call_head_write(&w, &head);
	CHECK_EQ(service_call_head_parse(bytes, writer_len(&w), &got), WEFT_EMALFORMED);
}

static void test_every_prefix_of_a_head_is_refused(void)
{
	struct service_call_head call = full_call();
	struct service_reply_head reply = {.status = SERVICE_RATE_LIMITED,
					   .text = "wait",
					   .not_before_ms = 70000,
					   .is_refused = true,
					   .body_len = 9};
	uint8_t bytes[SERVICE_REPLY_HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	service_call_head_write(&w, &call);
	for (size_t len = 0; len < writer_len(&w); len++) {
		uint8_t *exact = malloc(len ? len : 1);

		memcpy(exact, bytes, len);
		CHECK_EQ(service_call_head_parse(exact, len, &call), WEFT_EMALFORMED);
		free(exact);
	}
	w = writer_of(bytes, sizeof(bytes));
	service_reply_head_write(&w, &reply);
	for (size_t len = 0; len < writer_len(&w); len++) {
		uint8_t *exact = malloc(len ? len : 1);

		memcpy(exact, bytes, len);
		CHECK_EQ(service_reply_head_parse(exact, len, &reply), WEFT_EMALFORMED);
		free(exact);
	}
}

static void test_the_longest_reply_head_fits_and_is_read_back(void)
{
	struct service_reply_head head = {.status = SERVICE_UNAVAILABLE,
					  .not_before_ms = UINT64_MAX,
					  .is_refused = true,
					  .body_len = UINT32_MAX};
	struct service_reply_head got;
	uint8_t bytes[SERVICE_REPLY_HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memset(head.text, 't', SERVICE_TEXT_LEN_MAX);
	service_reply_head_write(&w, &head);
	CHECK_EQ(service_reply_head_parse(bytes, writer_len(&w), &got), writer_len(&w));
	CHECK(memcmp(&got, &head, sizeof(got)) == 0);
}

static void test_a_status_from_a_later_version_is_an_unknown_error(void)
{
	struct service_reply_head head = {.status = (enum service_status)200}, got;
	uint8_t bytes[SERVICE_REPLY_HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	service_reply_head_write(&w, &head);
	CHECK(service_reply_head_parse(bytes, writer_len(&w), &got) > 0);
	CHECK_EQ(got.status, SERVICE_UNKNOWN_ERROR);
}

static void test_a_close_is_all_of_its_payload(void)
{
	struct service_reply_head got;
	uint8_t bytes[SERVICE_CLOSE_LEN_MAX];
	char text[3 * SERVICE_TEXT_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	service_close_write(&w, SERVICE_TIMEOUT, text);
	CHECK(!w.bad);
	CHECK_EQ(service_close_parse(bytes, writer_len(&w), &got), 0);
	CHECK_EQ(got.status, SERVICE_TIMEOUT);
	CHECK_EQ(strlen(got.text), SERVICE_TEXT_LEN_MAX);
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(service_close_parse(bytes, len, &got), WEFT_EMALFORMED);
	w = writer_of(bytes, sizeof(bytes));
	service_close_write(&w, SERVICE_OK, NULL);
	CHECK_EQ(service_close_parse(bytes, writer_len(&w), &got), 0);
	bytes[writer_len(&w)] = 0;
	CHECK_EQ(service_close_parse(bytes, writer_len(&w) + 1, &got), WEFT_EMALFORMED);
}

static void test_texts_are_cut_between_letters(void)
{
	char long_text[SERVICE_TEXT_LEN_MAX + 2], got[SERVICE_TEXT_LEN_MAX + 1];

	memset(long_text, 'a', sizeof(long_text));
	memcpy(long_text + SERVICE_TEXT_LEN_MAX - 1, "\xc3\xbc", 3); /* its second half is out */
	service_text_copy(got, long_text);
	CHECK_EQ(strlen(got), SERVICE_TEXT_LEN_MAX - 1);
	service_text_copy(got, "\xff");
	CHECK_STR(got, "");
	service_text_copy(got, NULL);
	CHECK_STR(got, "");
}

static void test_no_text_moves_a_terminals_cursor(void)
{
	struct service_reply_head head = {.status = SERVICE_UNKNOWN_ERROR}, got;
	uint8_t bytes[SERVICE_REPLY_HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	char copy[SERVICE_TEXT_LEN_MAX + 1];

	strcpy(head.text, "a\x1b[2J\x7f\n\xc2\x9b\xc3\xbc");
	service_text_copy(copy, head.text);
	CHECK_STR(copy, "a?[2J????\xc3\xbc");
	service_reply_head_write(&w, &head);
	CHECK(service_reply_head_parse(bytes, writer_len(&w), &got) > 0);
	CHECK_STR(got.text, copy);
}

static void test_methods_are_visible_letters(void)
{
	char method[SERVICE_METHOD_LEN_MAX + 2];

	memset(method, 'm', sizeof(method));
	method[SERVICE_METHOD_LEN_MAX + 1] = 0;
	CHECK(!service_method_is_valid(method));
	method[SERVICE_METHOD_LEN_MAX] = 0;
	CHECK(service_method_is_valid(method));
	CHECK(!service_method_is_valid(""));
	CHECK(!service_method_is_valid("a b"));
	CHECK(!service_method_is_valid("a\n"));
	CHECK(!service_method_is_valid("\xc3\xbc"));
}

int main(void)
{
	RUN(test_the_longest_call_head_fits_and_is_read_back);
	RUN(test_fields_of_a_call_are_optional_one_by_one);
	RUN(test_a_call_without_a_key_was_not_sent_before);
	RUN(test_every_prefix_of_a_head_is_refused);
	RUN(test_the_longest_reply_head_fits_and_is_read_back);
	RUN(test_a_status_from_a_later_version_is_an_unknown_error);
	RUN(test_a_close_is_all_of_its_payload);
	RUN(test_texts_are_cut_between_letters);
	RUN(test_no_text_moves_a_terminals_cursor);
	RUN(test_methods_are_visible_letters);
	return check_done();
}
