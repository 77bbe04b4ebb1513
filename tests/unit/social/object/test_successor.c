/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/successor.h"

#include <stdlib.h>
#include <string.h>

#include "social/object/identicon.h"
#include "social/object/social_text.h"
#include "support/check.h"

static struct node_key *former, *next;
static uint8_t bytes[SUCCESSOR_LEN_MAX + 1];

static struct node_key *key_of(uint8_t byte)
{
	uint8_t seed[NODE_KEY_SEED_LEN];
	struct node_key *made;

	memset(seed, byte, sizeof(seed));
	if (node_key_from_seed(seed, &made) < 0)
		exit(1);
	return made;
}

static size_t written(const struct node_key *by_former)
{
	const struct successor said = {.former = node_key_public(former), .time_ms = UINT64_MAX};
	struct writer w = writer_of(bytes, SUCCESSOR_LEN_MAX);

	social_successor_write(&w, &said, next, by_former);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_successor_is_read_as_written_and_no_prefix_of_it_is(void)
{
	struct successor heard;
	size_t len = written(former);

	CHECK(len > 0);
	CHECK_EQ(social_successor_read(bytes, len, &heard), 0);
	CHECK(heard.is_signed_by_former);
	CHECK_MEM(heard.former, node_key_public(former), NODE_KEY_LEN);
	CHECK_MEM(heard.next, node_key_public(next), NODE_KEY_LEN);
	CHECK_EQ(heard.time_ms, UINT64_MAX);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK(social_successor_read(exact, cut, &heard) < 0);
		free(exact);
	}
	CHECK_EQ(social_successor_read(bytes, sizeof(bytes), &heard), WEFT_ETOOLARGE);
}

static void test_each_altered_byte_of_a_successor_is_noticed(void)
{
	struct successor heard;
	size_t len = written(former);

	for (size_t at = 0; at < len; at++) {
		bytes[at] ^= 1;
		CHECK(social_successor_read(bytes, len, &heard) < 0);
		bytes[at] ^= 1;
	}
	len = written(NULL);
	CHECK_EQ(social_successor_read(bytes, len, &heard), 0);
	CHECK(!heard.is_signed_by_former);
	/* A signature of another key is none of the former one. */
	CHECK_EQ(written(next), 0);
}

static void test_names_and_texts_steer_nothing(void)
{
	static const struct {
		const char *text;
		bool is_name, is_shown;
	} rows[] = {
		{"Ada", true, true},
		{"J\xc3\xbcrgen \xf0\x9f\x90\xa7", true, true},
		{"<script>alert(1)</script>", true, true},
		{"", false, true},
		{"  ", false, true},
		{"two\nlines", false, true},
		{"tab\there", false, false},
		{"\r", false, false},
		{"\x1b[2J", false, false},
		{"\x7f", false, false},
		{"\xc2\x9b", false, false},
		{"\xe2\x80\xae"
		 "evil",
		 false, false},			 /* U+202E */
		{"a\xe2\x81\xa6", false, false}, /* U+2066 */
		{"a\xe2\x80\x8b", false, false}, /* U+200B */
		{"\xef\xbb\xbf"
		 "a",
		 false, false},			    /* U+FEFF */
		{"\xf3\xa0\x81\x81", false, false}, /* U+E0041 */
		{"\xe3\x80\x80", false, true},	    /* U+3000 alone has nothing to see */
		{"\xff", false, false},
		{"\xc3", false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].text);

		CHECK_EQ(social_text_is_name(rows[i].text, len), rows[i].is_name);
		CHECK_EQ(social_text_is_shown(rows[i].text, len), rows[i].is_shown);
	}
	CHECK(!social_text_is_name("a\0b", 3));
}

static void test_an_identicon_is_the_same_each_time_and_mirrored(void)
{
	char a[IDENTICON_TEXT_CAP], b[IDENTICON_TEXT_CAP];
	unsigned filled_cnt = 0;

	CHECK_STR(social_identicon_write(node_key_public(former), a),
		  social_identicon_write(node_key_public(former), b));
	CHECK(strcmp(a, social_identicon_write(node_key_public(next), b)) != 0);
	for (uint8_t n = 1; n < 40; n++) {
		uint8_t key[NODE_KEY_LEN] = {n};

		for (unsigned row = 0; row < IDENTICON_SIDE; row++) {
			CHECK_EQ(social_identicon_cell(key, 0, row),
				 social_identicon_cell(key, 4, row));
			CHECK_EQ(social_identicon_cell(key, 1, row),
				 social_identicon_cell(key, 3, row));
			filled_cnt += (unsigned)social_identicon_cell(key, 2, row);
		}
		/* All cells filled is the longest. */
		CHECK(strlen(social_identicon_write(key, a)) < IDENTICON_TEXT_CAP - 1);
		CHECK_STR(a + strlen(a) - 9, "\"/></svg>");
	}
	CHECK(filled_cnt > 60 && filled_cnt < 140);
}

int main(void)
{
	former = key_of(1);
	next = key_of(2);
	RUN(test_a_successor_is_read_as_written_and_no_prefix_of_it_is);
	RUN(test_each_altered_byte_of_a_successor_is_noticed);
	RUN(test_names_and_texts_steer_nothing);
	RUN(test_an_identicon_is_the_same_each_time_and_mirrored);
	node_key_free(former);
	node_key_free(next);
	return check_done();
}
