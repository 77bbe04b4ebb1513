/* SPDX-License-Identifier: Apache-2.0 */
#include "social/chain/group_message.h"

#include "group_people.h"
#include "codec/cbor.h"
#include "support/check.h"

static uint8_t bytes[GROUP_PAGE_LEN_MAX + 4096];
static struct group_key_message key_said, key_heard;
static struct group_ask_message ask_said, ask_heard;
static struct group_page_message page_said, page_heard;
static const uint8_t id[32] = {7}, wrapped[GROUP_KEY_WRAPPED_LEN] = {8};
static const uint8_t piece[300] = {1};

static size_t key_write(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	key_said = (struct group_key_message){.state = {piece, sizeof(piece)},
					      .wrapped = wrapped,
					      .wrapped_by = id,
					      .name = "boats"};
	social_group_key_write(&w, &key_said);
	return w.bad ? 0 : writer_len(&w);
}

static size_t ask_write(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	ask_said = (struct group_ask_message){.group = id,
					      .member = id,
					      .shard = 3,
					      .epoch = 40,
					      .after = 7,
					      .hides_sum = id,
					      .head_cnt = GROUP_HEADS_MAX,
					      .proof = {piece, 200},
					      .note_cnt = 2,
					      .notes = {{piece, 10}, {piece, 11}}};
	social_group_ask_write(&w, &ask_said);
	return w.bad ? 0 : writer_len(&w);
}

static size_t page_write(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	page_said = (struct group_page_message){.epoch = 41,
						.change_cnt = GROUP_CHANGES_MAX,
						.hide_cnt = GROUP_NOTES_MAX,
						.next = 12};
	for (unsigned i = 0; i < GROUP_CHANGES_MAX; i++)
		page_said.changes[i] = (struct group_span){piece, 100 + i};
	for (unsigned i = 0; i < GROUP_NOTES_MAX; i++)
		page_said.hides[i] = (struct group_span){piece, 200};
	social_group_page_write(&w, &page_said);
	return w.bad ? 0 : writer_len(&w);
}

static void test_messages_are_read_as_they_were_written(void)
{
	CHECK_EQ(social_group_key_read(bytes, key_write(), &key_heard), 0);
	CHECK_EQ(key_heard.state.len, sizeof(piece));
	CHECK_MEM(key_heard.wrapped, wrapped, sizeof(wrapped));
	CHECK_STR(key_heard.name, "boats");
	CHECK_EQ(social_group_ask_read(bytes, ask_write(), &ask_heard), 0);
	CHECK_EQ(ask_heard.head_cnt, GROUP_HEADS_MAX);
	CHECK_EQ(ask_heard.epoch, 40);
	CHECK_EQ(ask_heard.note_cnt, 2);
	CHECK_EQ(ask_heard.notes[1].len, 11);
	CHECK_EQ(social_group_page_read(bytes, page_write(), &page_heard), 0);
	CHECK_EQ(page_heard.change_cnt, GROUP_CHANGES_MAX);
	CHECK_EQ(page_heard.changes[15].len, 115);
	CHECK_EQ(page_heard.hide_cnt, GROUP_NOTES_MAX);
	CHECK_EQ(page_heard.next, 12);
}

static void test_every_prefix_of_a_message_is_refused(void)
{
	static size_t (*const writes[])(void) = {key_write, ask_write, page_write};

	for (unsigned kind = 0; kind < 3; kind++) {
		size_t len = writes[kind]();

		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *copy = malloc(cut + 1);

			memcpy(copy, bytes, cut);
			CHECK(social_group_key_read(copy, cut, &key_heard) < 0);
			CHECK(social_group_ask_read(copy, cut, &ask_heard) < 0);
			CHECK(social_group_page_read(copy, cut, &page_heard) < 0);
			free(copy);
		}
	}
}

static void test_one_more_than_a_message_may_have_is_refused(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	CHECK_EQ(social_group_key_read(bytes, GROUP_KEY_LEN_MAX + 1, &key_heard), WEFT_ETOOLARGE);
	/* More hashes of former states than there were epochs. */
	CHECK(ask_write() > 0);
	ask_said.epoch = GROUP_HEADS_MAX - 2;
	social_group_ask_write(&w, &ask_said);
	CHECK_EQ(social_group_ask_read(bytes, writer_len(&w), &ask_heard), WEFT_EMALFORMED);
	w = writer_of(bytes, sizeof(bytes));
	ask_said.epoch = GROUP_HEADS_MAX - 1;
	social_group_ask_write(&w, &ask_said);
	CHECK_EQ(social_group_ask_read(bytes, writer_len(&w), &ask_heard), 0);
	w = writer_of(bytes, sizeof(bytes));
	cbor_write_map(&w, 2);
	cbor_field_uint(&w, 0, 1);
	cbor_write_uint(&w, 1);
	cbor_write_array(&w, GROUP_CHANGES_MAX + 1);
	for (unsigned i = 0; i <= GROUP_CHANGES_MAX; i++)
		cbor_write_bytes(&w, piece, 5);
	CHECK_EQ(social_group_page_read(bytes, writer_len(&w), &page_heard), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_messages_are_read_as_they_were_written);
	RUN(test_every_prefix_of_a_message_is_refused);
	RUN(test_one_more_than_a_message_may_have_is_refused);
	return check_done();
}
