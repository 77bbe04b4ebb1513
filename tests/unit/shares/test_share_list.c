/* SPDX-License-Identifier: Apache-2.0 */
#include "shares/share_list.h"

#include "support/check.h"

static uint8_t bytes[LIST_ANSWER_CAP + 64];

static void test_requests_are_read_back(void)
{
	struct list_request requests[3] = {{0}, {.has_share = true}, {.has_cursor = true}}, got;

	memset(requests[1].share_id, 7, sizeof(requests[1].share_id));
	memset(requests[2].cursor, 9, sizeof(requests[2].cursor));
	for (unsigned i = 0; i < 3; i++) {
		size_t len = shares_list_request_write(&requests[i], bytes);

		CHECK_EQ(shares_list_request_parse(bytes, len, &got), 0);
		CHECK_MEM(&got, &requests[i], sizeof(got));
		for (size_t cut = 0; cut < len; cut++)
			CHECK_EQ(shares_list_request_parse(bytes, cut, &got), WEFT_EMALFORMED);
	}
}

static void test_request_with_both_or_another_field_is_malformed(void)
{
	uint8_t both[72] = {0xa2, 0x00, 0x58, 0x20}, other[] = {0xa1, 0x02, 0x00};
	struct list_request got;

	memcpy(both + 36, "\x01\x58\x20", 3);
	CHECK_EQ(shares_list_request_parse(both, 71, &got), WEFT_EMALFORMED);
	both[0] = 0xa1;
	CHECK_EQ(shares_list_request_parse(both, 36, &got), 0);
	CHECK_EQ(shares_list_request_parse(other, sizeof(other), &got), WEFT_EMALFORMED);
}

static struct list_answer answer_of(unsigned cnt, size_t len, bool has_cursor)
{
	static uint8_t head[HEAD_LEN_MAX + 1];
	struct list_answer answer = {.head_cnt = cnt, .has_cursor = has_cursor};

	for (unsigned i = 0; i < cnt && i < LIST_HEADS_MAX; i++) {
		answer.heads[i].bytes = head;
		answer.heads[i].len = len;
	}
	return answer;
}

static void test_answers_are_read_back(void)
{
	static const unsigned cnts[] = {0, 1, 24, LIST_HEADS_MAX};
	static struct list_answer answer, got;

	for (unsigned i = 0; i < 8; i++) {
		struct writer w = writer_of(bytes, LIST_ANSWER_CAP);

		answer = answer_of(cnts[i / 2], HEAD_LEN_MAX, i % 2);
		shares_list_answer_write(&w, &answer);
		CHECK(!w.bad);
		CHECK_EQ(shares_list_answer_parse(bytes, writer_len(&w), &got), 0);
		CHECK_EQ(got.head_cnt, answer.head_cnt);
		CHECK_EQ(got.has_cursor, answer.has_cursor);
		for (unsigned k = 0; k < got.head_cnt; k++)
			CHECK_EQ(got.heads[k].len, HEAD_LEN_MAX);
	}
}

static void test_every_prefix_of_an_answer_is_malformed(void)
{
	struct writer w = writer_of(bytes, LIST_ANSWER_CAP);
	static struct list_answer answer, got;

	answer = answer_of(3, 200, true);
	shares_list_answer_write(&w, &answer);
	for (size_t cut = 0; cut < writer_len(&w); cut++)
		CHECK_EQ(shares_list_answer_parse(bytes, cut, &got), WEFT_EMALFORMED);
}

/* One head more than there may be, one that is longer than one may be, and an empty one. */
static void test_limits_of_an_answer_hold(void)
{
	static struct list_answer got;
	uint8_t *at = bytes;

	memcpy(at, "\xa1\x00\x98\x41", 4);
	memset(at + 4, 0x41, 2 * (LIST_HEADS_MAX + 1));
	CHECK_EQ(shares_list_answer_parse(bytes, 4 + 2 * (LIST_HEADS_MAX + 1), &got),
		 WEFT_EMALFORMED);
	at[3]--;
	CHECK_EQ(shares_list_answer_parse(bytes, 4 + 2 * LIST_HEADS_MAX, &got), 0);

	memcpy(at, "\xa1\x00\x81\x59\x01\x01", 6);
	CHECK_EQ(shares_list_answer_parse(bytes, 6 + HEAD_LEN_MAX + 1, &got), WEFT_EMALFORMED);
	at[5]--;
	CHECK_EQ(shares_list_answer_parse(bytes, 6 + HEAD_LEN_MAX, &got), 0);

	memcpy(at, "\xa1\x00\x81\x40", 4);
	CHECK_EQ(shares_list_answer_parse(bytes, 4, &got), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_requests_are_read_back);
	RUN(test_request_with_both_or_another_field_is_malformed);
	RUN(test_answers_are_read_back);
	RUN(test_every_prefix_of_an_answer_is_malformed);
	RUN(test_limits_of_an_answer_hold);
	return check_done();
}
