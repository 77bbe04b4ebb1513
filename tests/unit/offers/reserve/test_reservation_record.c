/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/reserve/reservation_record.h"

#include <string.h>

#include "support/check.h"

static uint8_t bytes[RESERVATION_RECORD_LEN_MAX];
static char text[RESERVATION_TEXT_LEN_MAX + 1];
static uint8_t message[RESERVATION_MESSAGE_MAX + 1];

static struct reservation_record record_of(void)
{
	struct reservation_record record = {.is_made = true,
					    .is_settled = true,
					    .state = RESERVATION_CONFIRMED,
					    .class = FAIR_KNOWN,
					    .version = 3,
					    .source = {.family = ADDR_IPV4, .ip = {10, 0, 0, 1}},
					    .made_s = 1,
					    .changed_s = 2,
					    .expires_s = 3,
					    .valid_s = 4,
					    .slot_s = 5,
					    .offer_expires_s = UINT64_MAX,
					    .service = 0x80000001,
					    .units = 4,
					    .text = "text",
					    .text_len = 4,
					    .answer = "answer",
					    .answer_len = 6,
					    .message = message,
					    .message_len = 200};

	memset(&record.parties, 0x5a, sizeof(record.parties));
	record.parties.neighbour[31] = 1;
	return record;
}

static size_t written(const struct reservation_record *record)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	offers_reservation_record_write(&w, record);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_record_is_read_as_it_was_written(void)
{
	struct reservation_record record = record_of(), read;
	size_t len = written(&record);

	CHECK_EQ(offers_reservation_record_parse(bytes, len, &read), 0);
	CHECK(read.is_made && read.is_settled);
	CHECK_EQ(read.state, RESERVATION_CONFIRMED);
	CHECK_EQ(read.class, FAIR_KNOWN);
	CHECK_EQ(read.version, 3);
	CHECK_EQ(read.valid_s, 4);
	CHECK_EQ(read.slot_s, 5);
	CHECK_EQ(read.offer_expires_s, UINT64_MAX);
	CHECK_EQ(read.service, 0x80000001);
	CHECK_EQ(read.units, 4);
	CHECK_EQ(read.source.ip[0], 10);
	CHECK_MEM(&read.parties, &record.parties, sizeof(read.parties));
	CHECK_EQ(read.answer_len, 6);
	CHECK_MEM(read.answer, "answer", 6);
	CHECK_EQ(read.message_len, 200);
	record.text = record.answer = NULL;
	record.text_len = record.answer_len = record.message_len = 0;
	len = written(&record);
	CHECK_EQ(offers_reservation_record_parse(bytes, len, &read), 0);
	CHECK(!read.text && !read.answer && !read.message);
}

static void test_a_record_that_is_cut_or_longer_is_refused(void)
{
	struct reservation_record record = record_of(), read;
	size_t len = written(&record);

	for (size_t i = 0; i < len; i++)
		CHECK_EQ(offers_reservation_record_parse(bytes, i, &read), WEFT_EMALFORMED);
	bytes[len] = 0;
	CHECK_EQ(offers_reservation_record_parse(bytes, len + 1, &read), WEFT_EMALFORMED);
}

static void test_each_part_has_its_length(void)
{
	struct reservation_record record = record_of(), read;

	memset(text, 'x', sizeof(text));
	record.text = record.answer = text;
	record.text_len = record.answer_len = RESERVATION_TEXT_LEN_MAX;
	record.message_len = RESERVATION_MESSAGE_MAX;
	CHECK_EQ(offers_reservation_record_parse(bytes, written(&record), &read), 0);
	record.text_len++;
	CHECK_EQ(offers_reservation_record_parse(bytes, written(&record), &read), WEFT_EMALFORMED);
	record.text_len--;
	record.answer_len++;
	CHECK_EQ(offers_reservation_record_parse(bytes, written(&record), &read), WEFT_EMALFORMED);
	record.answer_len--;
	record.message_len++;
	CHECK_EQ(offers_reservation_record_parse(bytes, written(&record), &read), WEFT_EMALFORMED);
}

static void test_what_no_reservation_has_is_refused(void)
{
	static const struct {
		size_t at;
		uint8_t value;
	} rows[] = {{0, 2}, {1, 4}, {2, 0}, {2, RESERVATION_STATE_CNT}, {3, FAIR_CLASS_CNT},
		    {4, 5}};
	struct reservation_record record = record_of(), read;
	size_t len;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		len = written(&record);
		bytes[rows[i].at] = rows[i].value;
		CHECK_EQ(offers_reservation_record_parse(bytes, len, &read), WEFT_EMALFORMED);
	}
	record.units = 0;
	CHECK_EQ(offers_reservation_record_parse(bytes, written(&record), &read), WEFT_EMALFORMED);
}

static void test_a_mark_is_read_as_it_was_written_and_in_no_other_form(void)
{
	static const struct {
		size_t at;
		uint8_t value;
	} rows[] = {{0, 1}, {1, 2}, {2, FAIR_CLASS_CNT}, {3, 5}};
	struct reservation_mark_record mark = {.is_cancelled = true,
					       .class = FAIR_KNOWN,
					       .source = {.family = ADDR_IPV6, .ip = {32}},
					       .until_s = 7,
					       .neighbour = {1},
					       .offer_id = {2}},
				       read;
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct reservation_record record;

	offers_reservation_mark_write(&w, &mark);
	CHECK_EQ(writer_len(&w), RESERVATION_MARK_LEN);
	CHECK_EQ(offers_reservation_mark_parse(bytes, writer_len(&w), &read), 0);
	CHECK(read.is_cancelled && read.class == FAIR_KNOWN && read.source.ip[0] == 32);
	CHECK_EQ(read.until_s, 7);
	CHECK_EQ(read.neighbour[0], 1);
	CHECK_EQ(read.offer_id[0], 2);
	CHECK_EQ(offers_reservation_record_parse(bytes, writer_len(&w), &record), WEFT_EMALFORMED);
	for (size_t i = 0; i < RESERVATION_MARK_LEN; i++)
		CHECK_EQ(offers_reservation_mark_parse(bytes, i, &read), WEFT_EMALFORMED);
	CHECK_EQ(offers_reservation_mark_parse(bytes, RESERVATION_MARK_LEN + 1, &read),
		 WEFT_EMALFORMED);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t was = bytes[rows[i].at];

		bytes[rows[i].at] = rows[i].value;
		CHECK_EQ(offers_reservation_mark_parse(bytes, RESERVATION_MARK_LEN, &read),
			 WEFT_EMALFORMED);
		bytes[rows[i].at] = was;
	}
}

int main(void)
{
	RUN(test_a_record_is_read_as_it_was_written);
	RUN(test_a_record_that_is_cut_or_longer_is_refused);
	RUN(test_each_part_has_its_length);
	RUN(test_what_no_reservation_has_is_refused);
	RUN(test_a_mark_is_read_as_it_was_written_and_in_no_other_form);
	return check_done();
}
