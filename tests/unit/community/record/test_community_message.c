/* SPDX-License-Identifier: Apache-2.0 */
#include "community/record/community_message.h"

#include "codec/cbor.h"
#include "support/check.h"

static const uint8_t id[COMMUNITY_ID_LEN] = {1}, cursor[COMMUNITY_CURSOR_LEN] = {2};
static const uint8_t record[COMMUNITY_MEMBER_LEN_MAX] = {3};
static uint8_t bytes[128 * 1024];
static char words[COMMUNITY_WORDS_LEN_MAX + 2];

static size_t request_make(size_t words_len, size_t record_len)
{
	struct community_request request = {.id = id,
					    .record = {record, record_len},
					    .cursor = {cursor, sizeof(cursor)},
					    .first_bucket = 3,
					    .last_bucket = 200,
					    .words = words,
					    .words_len = words_len,
					    .epoch = UINT64_MAX,
					    .key_epoch = UINT64_MAX - 1};
	struct writer w = writer_of(bytes, sizeof(bytes));

	community_request_write(&w, &request);
	return w.bad ? 0 : writer_len(&w);
}

static size_t page_make(unsigned member_cnt, unsigned share_cnt, bool has_cursor, bool has_more)
{
	static struct community_page page;
	struct writer w = writer_of(bytes, sizeof(bytes));

	page = (struct community_page){.has_more = has_more};
	for (unsigned i = 0; i < COMMUNITY_PAGE_MAX; i++)
		page.members[i] = page.shares[i] = (struct community_bytes){record, 10};
	page.member_cnt = member_cnt;
	page.share_cnt = share_cnt;
	if (has_cursor)
		page.cursor = (struct community_bytes){cursor, sizeof(cursor)};
	community_page_write(&w, &page);
	return w.bad ? 0 : writer_len(&w);
}

static size_t state_make(void)
{
	struct community_state state = {.record = {record, 10},
					.member_cnt = 7,
					.share_cnt = 8,
					.cursor = {cursor, sizeof(cursor)}};
	struct writer w = writer_of(bytes, sizeof(bytes));

	state.members.buckets[255] = 0x1122334455667788;
	state.shares.buckets[0] = 9;
	community_state_write(&w, &state);
	return w.bad ? 0 : writer_len(&w);
}

static void test_what_is_written_is_read(void)
{
	static struct community_page page;
	struct community_request request;
	struct community_state state;

	CHECK_EQ(community_request_parse(bytes, request_make(5, 20), &request), 0);
	CHECK_MEM(request.id, id, sizeof(id));
	CHECK_EQ(request.first_bucket, 3);
	CHECK_EQ(request.last_bucket, 200);
	CHECK_EQ(request.words_len, 5);
	CHECK(request.epoch == UINT64_MAX && request.key_epoch == UINT64_MAX - 1);
	CHECK_EQ(request.cursor.len, COMMUNITY_CURSOR_LEN);
	CHECK_EQ(community_page_parse(bytes, page_make(2, 3, true, true), &page), 0);
	CHECK_EQ(page.member_cnt, 2);
	CHECK_EQ(page.share_cnt, 3);
	CHECK(page.has_more);
	CHECK_EQ(community_state_parse(bytes, state_make(), &state), 0);
	CHECK_EQ(state.member_cnt, 7);
	CHECK(state.members.buckets[255] == 0x1122334455667788);
	CHECK_EQ(state.shares.buckets[0], 9);
}

static const uint8_t box[KEY_WRAP_LEN] = {5};

static size_t shown_make(size_t revocations_len, size_t token_len)
{
	static const uint8_t revocations[COMMUNITY_REVOCATIONS_LEN_MAX + 1] = {6};
	struct community_shown shown = {.revocations = {revocations, revocations_len},
					.token = {record, token_len},
					.box = box};
	struct writer w = writer_of(bytes, sizeof(bytes));

	community_shown_write(&w, &shown);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_shown_answer_has_revocation_list_token_and_box(void)
{
	size_t len = shown_make(COMMUNITY_REVOCATIONS_LEN_MAX, COMMUNITY_TOKEN_LEN_MAX);
	struct community_shown shown;

	CHECK(len <= COMMUNITY_SHOWN_CAP);
	CHECK_EQ(community_shown_parse(bytes, len, &shown), 0);
	CHECK_EQ(shown.revocations.len, COMMUNITY_REVOCATIONS_LEN_MAX);
	CHECK_EQ(shown.token.len, COMMUNITY_TOKEN_LEN_MAX);
	CHECK_MEM(shown.box, box, sizeof(box));
	for (size_t cut = 0; cut < len; cut++)
		CHECK(community_shown_parse(bytes, cut, &shown) < 0);
	CHECK(community_shown_parse(bytes, shown_make(COMMUNITY_REVOCATIONS_LEN_MAX + 1, 1),
				    &shown) < 0);
	CHECK(community_shown_parse(bytes, shown_make(1, COMMUNITY_TOKEN_LEN_MAX + 1), &shown) < 0);
}

/* {2: a box that is a byte too long, or too short} */
static void test_a_box_of_another_length_is_refused(void)
{
	for (size_t len = KEY_WRAP_LEN - 1; len <= KEY_WRAP_LEN + 1; len++) {
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct community_shown shown;

		cbor_write_map(&w, 1);
		cbor_field_bytes(&w, 2, record, len);
		CHECK_EQ(community_shown_parse(bytes, writer_len(&w), &shown),
			 len == KEY_WRAP_LEN ? 0 : WEFT_EMALFORMED);
	}
}

static void test_every_prefix_is_refused(void)
{
	static struct community_page page;
	struct community_request request;
	struct community_state state;
	size_t lens[] = {request_make(5, 20), page_make(2, 3, true, true), state_make()};

	for (size_t cut = 0; cut < lens[2]; cut++)
		CHECK(community_state_parse(bytes, cut, &state) < 0);
	(void)page_make(2, 3, true, true);
	for (size_t cut = 0; cut < lens[1]; cut++)
		CHECK(community_page_parse(bytes, cut, &page) < 0);
	(void)request_make(5, 20);
	for (size_t cut = 0; cut < lens[0]; cut++)
		CHECK(community_request_parse(bytes, cut, &request) < 0);
}

static void test_limits_are_met_and_not_passed(void)
{
	static struct community_page page;
	struct community_request request;
	size_t len = request_make(COMMUNITY_WORDS_LEN_MAX, COMMUNITY_MEMBER_LEN_MAX);

	CHECK(len <= COMMUNITY_REQUEST_CAP);
	CHECK_EQ(community_request_parse(bytes, len, &request), 0);
	len = request_make(COMMUNITY_WORDS_LEN_MAX + 1, 10);
	CHECK_EQ(community_request_parse(bytes, len, &request), WEFT_ETOOLARGE);
	CHECK_EQ(community_request_parse(bytes, request_make(1, 0), &request), WEFT_EMALFORMED);
	len = page_make(COMMUNITY_PAGE_MAX, 0, false, false);
	CHECK_EQ(community_page_parse(bytes, len, &page), 0);
	len = page_make(COMMUNITY_PAGE_MAX, 1, false, false);
	CHECK_EQ(community_page_parse(bytes, len, &page), WEFT_EMALFORMED);
	CHECK_EQ(community_page_parse(bytes, page_make(1, 0, false, true), &page), WEFT_EMALFORMED);
	CHECK(state_make() <= COMMUNITY_STATE_CAP);
}

/* {0: 201 records}: the array itself is too long. */
static void test_an_array_beyond_a_page_is_refused(void)
{
	static struct community_page page;
	struct writer w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&w, 1);
	cbor_write_uint(&w, 0);
	cbor_write_array(&w, COMMUNITY_PAGE_MAX + 1);
	for (unsigned i = 0; i <= COMMUNITY_PAGE_MAX; i++)
		cbor_write_bytes(&w, record, 10);
	CHECK_EQ(community_page_parse(bytes, writer_len(&w), &page), WEFT_EMALFORMED);
}

static void test_buckets_are_bytes_in_order(void)
{
	struct community_request fields = {.id = id,
					   .record = {record, 10},
					   .first_bucket = 9,
					   .last_bucket = 8},
				 request;
	struct writer w = writer_of(bytes, sizeof(bytes));

	community_request_write(&w, &fields);
	CHECK_EQ(community_request_parse(bytes, writer_len(&w), &request), WEFT_EMALFORMED);
	fields.last_bucket = COMMUNITY_BUCKETS;
	w = writer_of(bytes, sizeof(bytes));
	community_request_write(&w, &fields);
	CHECK_EQ(community_request_parse(bytes, writer_len(&w), &request), WEFT_EMALFORMED);
}

int main(void)
{
	memset(words, 'w', sizeof(words) - 1);
	RUN(test_what_is_written_is_read);
	RUN(test_every_prefix_is_refused);
	RUN(test_a_shown_answer_has_revocation_list_token_and_box);
	RUN(test_a_box_of_another_length_is_refused);
	RUN(test_limits_are_met_and_not_passed);
	RUN(test_an_array_beyond_a_page_is_refused);
	RUN(test_buckets_are_bytes_in_order);
	return check_done();
}
