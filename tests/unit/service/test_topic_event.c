/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of subscriptions, and positions as text. */
#include "service/topic_event.h"

#include <stdlib.h>
#include <string.h>

#include "support/check.h"

static const uint8_t epoch[SERVICE_EPOCH_LEN] = {1, 2, 3, 4, 5, 6, 7, 0xff};

static void test_a_topic_has_1_to_96_letters_of_its_own(void)
{
	static const struct {
		const char *topic;
		bool is_one;
	} rows[] = {
		{"", false},	       {"a", true},
		{"orders/eu", true},   {"pod:00ff/tea_room", true},
		{"A.b-c_9", true},     {"a b", false},
		{"$subscribe", false}, {"a*", false},
		{"\xc3\xa4", false},
	};
	char longest[SERVICE_TOPIC_LEN_MAX + 2];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(service_topic_is_valid(rows[i].topic, strlen(rows[i].topic)),
			 rows[i].is_one);
	CHECK(!service_topic_is_valid("a\0b", 3));
	memset(longest, 'x', sizeof(longest));
	CHECK(service_topic_is_valid(longest, SERVICE_TOPIC_LEN_MAX));
	CHECK(!service_topic_is_valid(longest, SERVICE_TOPIC_LEN_MAX + 1));
}

static struct service_subscription_params full_params(void)
{
	struct service_subscription_params params = {
		.has_since = true, .since = 70000, .has_epoch = true};

	memset(params.topic, 'x', SERVICE_TOPIC_LEN_MAX);
	memcpy(params.epoch, epoch, sizeof(epoch));
	return params;
}

/* Each prefix is in memory of its own, so that a sanitizer sees what is read behind it. */
static int parse_prefix(const uint8_t *bytes, size_t len, bool is_params)
{
	struct service_event_message message;
	struct service_subscription_params params;
	uint8_t *copy = malloc(len ? len : 1);
	int err;

	if (!copy)
		abort();
	memcpy(copy, bytes, len);
	err = is_params ? service_subscription_params_parse(copy, len, &params)
			: service_event_parse(copy, len, &message);
	free(copy);
	return err;
}

static void test_a_subscription_is_read_as_written_and_no_prefix_of_it(void)
{
	struct service_subscription_params params = full_params(), got;
	uint8_t bytes[SERVICE_READ_PARAMS_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	params.since = SERVICE_SEQUENCE_MAX;
	service_subscription_params_write(&w, &params);
	CHECK(!w.bad);
	CHECK_EQ(service_subscription_params_parse(bytes, writer_len(&w), &got), 0);
	CHECK_STR(got.topic, params.topic);
	CHECK(got.has_since && got.has_epoch && got.since == params.since);
	CHECK_MEM(got.epoch, epoch, sizeof(epoch));
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(parse_prefix(bytes, len, true), WEFT_EMALFORMED);
	params.since++;
	w = writer_of(bytes, sizeof(bytes));
	service_subscription_params_write(&w, &params);
	CHECK_EQ(service_subscription_params_parse(bytes, writer_len(&w), &got), WEFT_EMALFORMED);
}

static void test_an_epoch_without_a_number_is_malformed(void)
{
	static const uint8_t bytes[] = {0xa2, 0, 0x61, 'a', 2, 0x48, 1, 2, 3, 4, 5, 6, 7, 8};
	static const uint8_t no_topic[] = {0xa1, 1, 5};
	struct service_subscription_params params;

	CHECK_EQ(service_subscription_params_parse(bytes, sizeof(bytes), &params), WEFT_EMALFORMED);
	CHECK_EQ(service_subscription_params_parse(no_topic, sizeof(no_topic), &params),
		 WEFT_EMALFORMED);
}

static void test_an_event_is_read_as_written_and_its_head_is_whole(void)
{
	struct service_event_message message = {.sequence = 300, .at_ms = 1700000000000}, got;
	uint8_t bytes[SERVICE_EVENT_HEAD_LEN_MAX + 5];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t head_len;

	memcpy(message.epoch, epoch, sizeof(epoch));
	service_event_head_write(&w, &message);
	head_len = writer_len(&w);
	writer_bytes(&w, "bytes", 5);
	CHECK(!w.bad);
	CHECK_EQ(service_event_parse(bytes, writer_len(&w), &got), 0);
	CHECK(!got.is_notice && got.sequence == 300 && got.at_ms == message.at_ms);
	CHECK_EQ(got.len, 5);
	CHECK_MEM(got.data, "bytes", 5);
	for (size_t len = 0; len < head_len; len++)
		CHECK_EQ(parse_prefix(bytes, len, false), WEFT_EMALFORMED);
	CHECK_EQ(parse_prefix(bytes, head_len, false), 0); /* an event may be empty */
}

static void test_a_notice_has_no_bytes(void)
{
	struct service_event_message notice = {.is_notice = true, .lost_cnt = 7}, got;
	uint8_t bytes[SERVICE_EVENT_HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	service_event_head_write(&w, &notice);
	CHECK_EQ(service_event_parse(bytes, writer_len(&w), &got), 0);
	CHECK(got.is_notice && got.lost_cnt == 7);
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(parse_prefix(bytes, len, false), WEFT_EMALFORMED);
	writer_u8(&w, 0);
	CHECK_EQ(service_event_parse(bytes, writer_len(&w), &got), WEFT_EMALFORMED);
}

static void test_heads_have_the_bytes_of_the_wire_page(void)
{
	static const uint8_t event[] = {0xa3, 0,    0x48, 1,	2, 3,	 4, 5,	  6,
					7,    0xff, 1,	  0x19, 1, 0x2c, 2, 0x18, 200};
	static const uint8_t notice[] = {0xa3, 0, 0x48, 1, 2, 3, 4, 5, 6, 7, 0xff, 1, 0, 3, 7};
	struct service_event_message message = {.sequence = 300, .at_ms = 200, .lost_cnt = 9};
	uint8_t bytes[SERVICE_EVENT_HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memcpy(message.epoch, epoch, sizeof(epoch));
	service_event_head_write(&w, &message);
	CHECK_EQ(writer_len(&w), sizeof(event));
	CHECK_MEM(bytes, event, sizeof(event));
	message = (struct service_event_message){.is_notice = true, .lost_cnt = 7, .at_ms = 9};
	memcpy(message.epoch, epoch, sizeof(epoch));
	w = writer_of(bytes, sizeof(bytes));
	service_event_head_write(&w, &message);
	CHECK_EQ(writer_len(&w), sizeof(notice));
	CHECK_MEM(bytes, notice, sizeof(notice));
}

/* Keys 0 to 3 of a message; one of 2 and 3 is there. */
static void test_a_message_is_an_event_or_a_notice(void)
{
	static const uint8_t both[] = {0xa4, 0, 0x48, 1, 2, 3, 4, 5, 6, 7, 8, 1, 5, 2, 0, 3, 0};
	static const uint8_t neither[] = {0xa2, 0, 0x48, 1, 2, 3, 4, 5, 6, 7, 8, 1, 5};

	CHECK_EQ(parse_prefix(both, sizeof(both), false), WEFT_EMALFORMED);
	CHECK_EQ(parse_prefix(neither, sizeof(neither), false), WEFT_EMALFORMED);
}

static void test_an_event_of_64_kib_is_one_and_of_a_byte_more_is_none(void)
{
	static uint8_t bytes[SERVICE_EVENT_MESSAGE_LEN_MAX + 1];
	struct service_event_message message = {.sequence = 1}, got;
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len;

	service_event_head_write(&w, &message);
	len = writer_len(&w) + SERVICE_EVENT_LEN_MAX;
	CHECK_EQ(service_event_parse(bytes, len, &got), 0);
	CHECK_EQ(service_event_parse(bytes, len + 1, &got), WEFT_EMALFORMED);
}

static void test_a_position_is_a_history_and_a_number(void)
{
	static const char *const bad[] = {"",
					  "-",
					  "x",
					  "-5",
					  "01020304050607ff-",
					  "0102-5",
					  "01020304050607fg-5",
					  "01020304050607ff-5x",
					  "18446744073709551616",
					  " 5",
					  "5 ",
					  "01020304050607ff--5"};
	char text[SERVICE_POSITION_CAP];
	struct service_subscription_params params = {.has_since = false};

	CHECK_STR(service_position_write(epoch, 300, text), "01020304050607ff-300");
	CHECK_EQ(service_position_parse(text, &params), 0);
	CHECK(params.has_since && params.has_epoch && params.since == 300);
	CHECK_MEM(params.epoch, epoch, sizeof(epoch));
	CHECK_EQ(service_position_parse("12", &params), 0);
	CHECK(params.has_since && !params.has_epoch && params.since == 12);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(service_position_parse(bad[i], &params), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_a_topic_has_1_to_96_letters_of_its_own);
	RUN(test_a_subscription_is_read_as_written_and_no_prefix_of_it);
	RUN(test_an_epoch_without_a_number_is_malformed);
	RUN(test_an_event_is_read_as_written_and_its_head_is_whole);
	RUN(test_a_notice_has_no_bytes);
	RUN(test_heads_have_the_bytes_of_the_wire_page);
	RUN(test_a_message_is_an_event_or_a_notice);
	RUN(test_an_event_of_64_kib_is_one_and_of_a_byte_more_is_none);
	RUN(test_a_position_is_a_history_and_a_number);
	return check_done();
}
