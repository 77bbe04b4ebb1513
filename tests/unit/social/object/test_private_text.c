/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/private_text.h"

#include "support/check.h"

static void test_the_first_character_says_what_a_private_text_is(void)
{
	static const struct {
		const char *text;
		size_t len;
		enum private_kind kind;
		size_t off;
	} rows[] = {
		{"", 0, PRIVATE_POST, 0},
		{"hello", 5, PRIVATE_POST, 0},
		{"\x02", 1, PRIVATE_DIRECT, 1},
		{"\x02hello", 6, PRIVATE_DIRECT, 1},
		{"\x05hello", 6, PRIVATE_DIRECT_ASKING, 1},
		{"\x06"
		 "d",
		 2, PRIVATE_DELIVERED, 1},
		{"\x06"
		 "r",
		 2, PRIVATE_READ, 1},
		{"\x06", 1, PRIVATE_UNKNOWN, 1},
		{"\x06"
		 "dd",
		 3, PRIVATE_UNKNOWN, 1},
		{"\x06x", 2, PRIVATE_UNKNOWN, 1},
		{"\x10\x06"
		 "d",
		 3, PRIVATE_POST, 1},
		{"\x01hello", 6, PRIVATE_POST, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t off = 99;

		CHECK_EQ(social_private_kind(rows[i].text, rows[i].len, &off), rows[i].kind);
		CHECK_EQ(off, rows[i].off);
	}
}

/* Whatever a person types into a post stays a post, and comes out as typed. */
static void test_a_post_of_any_first_character_stays_a_post(void)
{
	for (unsigned first = 0; first < 128; first++) {
		char typed[] = {(char)first, 'x'}, sent[3];
		char mark = social_private_mark(PRIVATE_POST, typed, sizeof(typed));
		size_t len = mark ? 1 : 0, off;

		sent[0] = mark;
		memcpy(sent + len, typed, sizeof(typed));
		CHECK_EQ(social_private_kind(sent, len + sizeof(typed), &off), PRIVATE_POST);
		CHECK_EQ(off, len);
		mark = social_private_mark(PRIVATE_DIRECT, typed, sizeof(typed));
		sent[0] = mark;
		memcpy(sent + 1, typed, sizeof(typed));
		CHECK_EQ(social_private_kind(sent, sizeof(sent), &off), PRIVATE_DIRECT);
		CHECK_EQ(off, 1);
	}
}

int main(void)
{
	RUN(test_the_first_character_says_what_a_private_text_is);
	RUN(test_a_post_of_any_first_character_stays_a_post);
	return check_done();
}
