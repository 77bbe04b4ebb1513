/* SPDX-License-Identifier: Apache-2.0 */
#include "social/attachments/attachment_message.h"

#include <string.h>

#include "social/attachments/attachment_pieces.h"
#include "support/check.h"

static void test_a_question_comes_back_and_each_prefix_of_it_is_refused(void)
{
	const struct attachment_get get = {.post = {1, 2},
					   .attachment = POST_ATTACHMENTS_MAX - 1,
					   .piece = PIECES_CNT_MAX - 1};
	struct attachment_get heard;
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_attachment_get_write(&w, &get);
	CHECK_EQ(social_attachment_get_parse(bytes, writer_len(&w), &heard), 0);
	CHECK_MEM(heard.post, get.post, sizeof(get.post));
	CHECK_EQ(heard.attachment, get.attachment);
	CHECK_EQ(heard.piece, get.piece);
	CHECK(!heard.is_list);
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(social_attachment_get_parse(bytes, len, &heard), WEFT_EMALFORMED);
}

static void test_a_piece_or_an_attachment_beyond_the_last_one_is_refused(void)
{
	static const struct attachment_get rows[] = {
		{.attachment = POST_ATTACHMENTS_MAX},
		{.piece = PIECES_CNT_MAX},
		{.piece = 1, .is_list = true},
	};
	struct attachment_get heard;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[64];
		struct writer w = writer_of(bytes, sizeof(bytes));

		social_attachment_get_write(&w, &rows[i]);
		CHECK(w.bad || social_attachment_get_parse(bytes, writer_len(&w), &heard) ==
				       WEFT_EMALFORMED);
	}
}

static void test_262144_bytes_are_a_piece_and_one_more_is_none(void)
{
	static uint8_t answer[ATTACHMENT_DATA_HEAD_MAX + PIECE_LEN_MAX + 1];
	const uint8_t *bytes;
	size_t len;

	for (size_t more = 0; more < 2; more++) {
		struct writer w = writer_of(answer, sizeof(answer));

		social_attachment_data_head_write(&w, PIECE_LEN_MAX + more);
		CHECK_EQ(social_attachment_data_parse(answer, writer_len(&w) + PIECE_LEN_MAX + more,
						      &bytes, &len),
			 more ? WEFT_EMALFORMED : 0);
	}
	CHECK_EQ(social_attachment_data_parse(answer, 0, &bytes, &len), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_a_question_comes_back_and_each_prefix_of_it_is_refused);
	RUN(test_a_piece_or_an_attachment_beyond_the_last_one_is_refused);
	RUN(test_262144_bytes_are_a_piece_and_one_more_is_none);
	return check_done();
}
