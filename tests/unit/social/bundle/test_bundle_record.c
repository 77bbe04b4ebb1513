/* SPDX-License-Identifier: Apache-2.0 */
#include "social/bundle/bundle_record.h"

#include <string.h>

#include "support/check.h"

static uint8_t bytes[4096];
static const uint8_t key[NODE_KEY_LEN] = {1}, other[NODE_KEY_LEN] = {2};
static struct bundle_record record;

static void written(enum bundle_kind kind, const struct writer *w)
{
	CHECK(!w->bad);
	record = (struct bundle_record){.kind = kind, .bytes = bytes, .len = writer_len(w)};
}

/* Every cut of a record: what is left of a name may be one. */
static void cuts_check(int (*parses)(void), size_t least)
{
	size_t len = record.len;

	for (record.len = 0; record.len < len; record.len++)
		CHECK_EQ(parses() == 0, record.len >= least);
}

static int follow_parses(void)
{
	struct bundle_follow out;

	return social_bundle_follow_parse(&record, &out);
}

static void test_a_follow_is_read_as_it_was_written(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct bundle_follow follow = {key, other, FOLLOW_PRIVATE, "ben"};
	struct bundle_follow out;

	social_bundle_follow_write(&w, &follow);
	written(BUNDLE_FOLLOW, &w);
	CHECK_EQ(social_bundle_follow_parse(&record, &out), 0);
	CHECK_MEM(out.persona, key, NODE_KEY_LEN);
	CHECK_MEM(out.person, other, NODE_KEY_LEN);
	CHECK_EQ(out.kind, FOLLOW_PRIVATE);
	CHECK_STR(out.petname, "ben");
	cuts_check(follow_parses, 65);
	bytes[64] = 3;
	record.len = 68;
	CHECK_EQ(follow_parses(), WEFT_EMALFORMED);
	bytes[64] = FOLLOW_PUBLIC;
	memset(bytes + 65, 'x', SOCIAL_NAME_MAX + 1);
	record.len = 65 + SOCIAL_NAME_MAX;
	CHECK_EQ(follow_parses(), 0);
	record.len++;
	CHECK_EQ(follow_parses(), WEFT_EMALFORMED);
	bytes[66] = '\0';
	record.len = 68;
	CHECK_EQ(follow_parses(), WEFT_EMALFORMED);
}

static int circle_parses(void)
{
	struct bundle_circle out;

	return social_bundle_circle_parse(&record, &out);
}

static void test_a_circle_is_read_as_it_was_written(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct bundle_circle circle = {.persona = key,
					     .rank = 9,
					     .has_profile = true,
					     .picture = other,
					     .name = "family",
					     .profile_name = "Mum",
					     .profile_text = "at home"};
	struct bundle_circle out;

	social_bundle_circle_write(&w, &circle);
	written(BUNDLE_CIRCLE, &w);
	CHECK_EQ(social_bundle_circle_parse(&record, &out), 0);
	CHECK_EQ(out.rank, 9);
	CHECK(out.has_profile);
	CHECK_MEM(out.picture, other, NODE_KEY_LEN);
	CHECK_STR(out.name, "family");
	CHECK_STR(out.profile_name, "Mum");
	CHECK_STR(out.profile_text, "at home");
	cuts_check(circle_parses, 32 + 2 + 32 + 7 + 4);
}

static int answer_parses(void)
{
	struct request_answer out;

	return social_bundle_answer_parse(&record, &out);
}

static void test_an_answer_is_read_as_it_was_written(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct request_answer answer = {key, 77, true};
	struct request_answer out;

	social_bundle_answer_write(&w, &answer);
	written(BUNDLE_ANSWER, &w);
	CHECK_EQ(social_bundle_answer_parse(&record, &out), 0);
	CHECK_MEM(out.person, key, NODE_KEY_LEN);
	CHECK_EQ(out.since_ms, 77);
	CHECK(out.is_accepted);
	cuts_check(answer_parses, 41);
	record.len = 42;
	CHECK_EQ(answer_parses(), WEFT_EMALFORMED);
	record.len = 41;
	bytes[32] = 2;
	CHECK_EQ(answer_parses(), WEFT_EMALFORMED);
}

static int persona_parses(void)
{
	struct bundle_persona out;

	return social_bundle_persona_parse(&record, &out);
}

static void test_a_persona_is_read_as_it_was_written(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct bundle_persona persona = {
		.seed = key, .flags = BUNDLE_PERSONA_FORMER, .label = "work"};
	struct bundle_persona out;

	social_bundle_persona_write(&w, &persona);
	written(BUNDLE_PERSONA, &w);
	CHECK_EQ(social_bundle_persona_parse(&record, &out), 0);
	CHECK_MEM(out.seed, key, NODE_KEY_SEED_LEN);
	CHECK_EQ(out.flags, BUNDLE_PERSONA_FORMER);
	CHECK_STR(out.label, "work");
	cuts_check(persona_parses, 33);
}

static void test_a_persona_is_read_with_the_key_that_follows(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct bundle_persona persona = {.seed = key,
					       .flags = BUNDLE_PERSONA_HAS_NEXT |
							BUNDLE_PERSONA_SHOWS_FOLLOWS,
					       .next_seed = other,
					       .committed_ms = 1234567890123,
					       .label = "work"};
	struct bundle_persona out;

	social_bundle_persona_write(&w, &persona);
	written(BUNDLE_PERSONA, &w);
	CHECK_EQ(social_bundle_persona_parse(&record, &out), 0);
	CHECK_MEM(out.next_seed, other, NODE_KEY_SEED_LEN);
	CHECK_EQ(out.committed_ms, 1234567890123);
	CHECK_STR(out.label, "work");
	cuts_check(persona_parses, 33 + 32 + 8);
}

static void test_a_feed_is_read_as_it_was_written(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct bundle_feed feed = {"boats", "sail -race", 5, 10};
	struct bundle_feed out;

	social_bundle_feed_write(&w, &feed);
	written(BUNDLE_FEED, &w);
	CHECK_EQ(social_bundle_feed_parse(&record, &out), 0);
	CHECK_EQ(out.name_len, 5);
	CHECK_MEM(out.filter, "sail -race", 10);
	record.len = 5;
	CHECK_EQ(social_bundle_feed_parse(&record, &out), WEFT_EMALFORMED);
}

static void test_each_kind_has_a_length_and_a_later_kind_is_refused(void)
{
	static const struct {
		enum bundle_kind kind;
		size_t min, max;
	} rows[] = {
		{BUNDLE_MEMBER, 32, 32},
		{BUNDLE_BLOCK, 32, 32},
		{BUNDLE_GROUP, 64, 64 + SOCIAL_NAME_MAX},
		{BUNDLE_SECRET, 44, 44},
		{BUNDLE_DRAFT, 17, sizeof(bytes)},
	};
	const char *why;
	uint8_t id[32];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		record = (struct bundle_record){
			.kind = rows[i].kind, .bytes = bytes, .len = rows[i].min};
		CHECK_EQ(social_bundle_judge(&record, id, &why), 0);
		record.len = rows[i].max;
		CHECK_EQ(social_bundle_judge(&record, id, &why), 0);
		record.len = rows[i].min - 1;
		CHECK_EQ(social_bundle_judge(&record, id, &why), WEFT_EMALFORMED);
		if (rows[i].max == sizeof(bytes))
			continue;
		record.len = rows[i].max + 1;
		CHECK_EQ(social_bundle_judge(&record, id, &why), WEFT_EMALFORMED);
	}
	record = (struct bundle_record){.kind = BUNDLE_KIND_CNT, .bytes = bytes, .len = 32};
	CHECK_EQ(social_bundle_judge(&record, id, &why), WEFT_EUNKNOWN);
	CHECK_STR(why, "a later version wrote it");
}

int main(void)
{
	RUN(test_a_follow_is_read_as_it_was_written);
	RUN(test_a_circle_is_read_as_it_was_written);
	RUN(test_an_answer_is_read_as_it_was_written);
	RUN(test_a_persona_is_read_as_it_was_written);
	RUN(test_a_persona_is_read_with_the_key_that_follows);
	RUN(test_a_feed_is_read_as_it_was_written);
	RUN(test_each_kind_has_a_length_and_a_later_kind_is_refused);
	return check_done();
}
