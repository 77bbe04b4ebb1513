/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/endorsement_message.h"

#include <stdlib.h>

#include "support/check.h"

static uint8_t bytes[ENDORSEMENT_MESSAGE_LEN_MAX + 8], said[ENDORSEMENT_LEN_MAX + 1];

/* The length of what was written; 0: nothing. */
static size_t written(uint8_t hop_cnt, size_t said_len)
{
	const struct endorsement_message message = {hop_cnt, said, said_len};
	struct writer w = writer_of(bytes, sizeof(bytes));

	for (size_t i = 0; i < sizeof(said); i++)
		said[i] = (uint8_t)i;
	offers_endorsement_message_write(&w, &message);
	return w.bad ? 0 : writer_len(&w);
}

static void test_what_was_written_is_read_with_its_hop_count_in_one_place(void)
{
	struct endorsement_message heard;

	for (uint8_t hop = 0; hop < ENDORSEMENT_HOPS_END; hop++)
		for (size_t len = 1; len <= ENDORSEMENT_LEN_MAX; len += 73) {
			size_t all = written(hop, len);

			CHECK_EQ(offers_endorsement_message_parse(bytes, all, &heard), 0);
			CHECK_EQ(heard.hop_cnt, hop);
			CHECK_EQ(heard.len, len);
			CHECK_MEM(heard.bytes, said, len);
			CHECK_EQ(bytes[ENDORSEMENT_HOP_AT], hop);
		}
}

static void test_the_longest_endorsement_is_taken_and_one_byte_more_is_not(void)
{
	struct endorsement_message heard;

	CHECK_EQ(written(3, ENDORSEMENT_LEN_MAX), ENDORSEMENT_MESSAGE_LEN_MAX);
	CHECK_EQ(offers_endorsement_message_parse(bytes, ENDORSEMENT_MESSAGE_LEN_MAX, &heard), 0);
	CHECK_EQ(written(3, ENDORSEMENT_LEN_MAX + 1), ENDORSEMENT_MESSAGE_LEN_MAX + 1);
	CHECK_EQ(offers_endorsement_message_parse(bytes, ENDORSEMENT_MESSAGE_LEN_MAX + 1, &heard),
		 WEFT_EMALFORMED);
}

static void test_a_hop_count_of_two_bytes_is_refused(void)
{
	static const uint8_t at_24[] = {0xa2, 0, 0x18, 24, 1, 0x41, 1};
	static const uint8_t in_two[] = {0xa2, 0, 0x18, 3, 1, 0x41, 1};
	struct endorsement_message heard;

	CHECK_EQ(offers_endorsement_message_parse(at_24, sizeof(at_24), &heard), WEFT_EMALFORMED);
	CHECK_EQ(offers_endorsement_message_parse(in_two, sizeof(in_two), &heard), WEFT_EMALFORMED);
}

static void test_each_cut_and_each_byte_more_is_refused(void)
{
	size_t len = written(2, 300);
	struct endorsement_message heard;

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(offers_endorsement_message_parse(exact, cut, &heard), WEFT_EMALFORMED);
		free(exact);
	}
	CHECK_EQ(offers_endorsement_message_parse(bytes, len + 1, &heard), WEFT_EMALFORMED);
}

static void test_another_field_is_refused(void)
{
	static const uint8_t more[] = {0xa3, 0, 1, 1, 0x41, 1, 2, 0};
	static const uint8_t none[] = {0xa2, 0, 1, 1, 0x40};
	struct endorsement_message heard;

	CHECK_EQ(offers_endorsement_message_parse(more, sizeof(more), &heard), WEFT_EMALFORMED);
	CHECK_EQ(offers_endorsement_message_parse(none, sizeof(none), &heard), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_what_was_written_is_read_with_its_hop_count_in_one_place);
	RUN(test_the_longest_endorsement_is_taken_and_one_byte_more_is_not);
	RUN(test_a_hop_count_of_two_bytes_is_refused);
	RUN(test_each_cut_and_each_byte_more_is_refused);
	RUN(test_another_field_is_refused);
	return check_done();
}
