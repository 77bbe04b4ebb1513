/* SPDX-License-Identifier: Apache-2.0 */
/* Posts of groups and of people whose requests were refused: what is wanted, and what is readable. */
#include "intake_rig.h"

/* Any author may name the group and the epoch with a key of its own. */
static void test_a_post_of_a_group_that_is_sealed_for_another_key_is_not_readable(void)
{
	struct rig_post posts[2] = {
		{.author = OTHER, .kind = VISIBILITY_GROUP, .group = GROUP_IN, .epoch = 1},
		{.author = OTHER, .kind = VISIBILITY_GROUP, .group = GROUP_IN, .epoch = 1}};

	begin();
	posts[1].group_key = 9;
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(made(&posts[i], INTAKE_SYNC), INTAKE_TAKEN);
	CHECK_EQ(view_of(&posts[0]).flags, POST_READABLE);
	CHECK_EQ(view_of(&posts[1]).flags, 0);
	rig_pass(60 * NS_PER_S);
	CHECK_EQ(view_of(&posts[1]).flags, 0);
	/* The key comes. */
	opened_key = 9;
	rig_pass(11 * NS_PER_S);
	CHECK_EQ(view_of(&posts[1]).flags, POST_READABLE);
	rig_settle();
	opened_key = 0;
	end();
}

static void test_words_of_a_person_whose_request_was_refused_are_not_taken(void)
{
	struct rig_post words = {.author = STRANGER,
				 .kind = VISIBILITY_RECIPIENTS,
				 .readers = {OWN},
				 .reader_cnt = 1},
			more = words,
			mention = {.author = STRANGER, .minute = 2, .mention = OWN + 1};

	more.minute = 1;
	begin();
	CHECK_EQ(made(&words, INTAKE_SYNC), INTAKE_TAKEN);
	refuses_strangers = true;
	CHECK_EQ(made(&more, INTAKE_SYNC), INTAKE_REFUSED);
	/* What others see, too, is none. */
	CHECK_EQ(made(&mention, INTAKE_SYNC), INTAKE_TAKEN);
	CHECK_EQ(stats().refused_cnt, 1);
	refuses_strangers = false;
	end();
}

static void test_a_post_of_a_group_is_readable_when_the_key_comes_behind_it(void)
{
	struct rig_post post = {
		.author = STRANGER, .kind = VISIBILITY_GROUP, .group = GROUP_IN, .epoch = 2};

	begin();
	opened_epoch = 1;
	CHECK_EQ(made(&post, INTAKE_SYNC), INTAKE_TAKEN);
	rig_pass(60 * NS_PER_S);
	CHECK_EQ(view_of(&post).flags, 0);
	opened_epoch = 2;
	rig_pass(11 * NS_PER_S);
	CHECK_EQ(view_of(&post).flags, POST_READABLE);
	rig_settle();
	opened_epoch = 1;
	end();
}

static void
test_a_post_of_a_group_is_wanted_when_the_state_that_has_its_author_comes_behind_it(void)
{
	struct rig_post posts[2];

	begin();
	for (unsigned i = 0; i < 2; i++) {
		posts[i] = (struct rig_post){.author = STRANGER,
					     .kind = VISIBILITY_GROUP,
					     .group = GROUP_IN,
					     .epoch = 1 + i};
		CHECK_EQ(made(&posts[i], INTAKE_SYNC), INTAKE_TAKEN);
	}
	rig_pass(60 * NS_PER_S);
	CHECK_EQ(rig_stats().addressed_cnt, 2);
	member = STRANGER;
	opened_epoch = 2;
	rig_pass(11 * NS_PER_S);
	rig_pass(11 * NS_PER_S);
	rig_settle();
	member = -1;
	opened_epoch = 1;
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(view_of(&posts[i]).share, POST_WANTED);
		CHECK_EQ(view_of(&posts[i]).flags, POST_READABLE);
	}
	CHECK_EQ(rig_stats().addressed_cnt, 0);
	CHECK_EQ(rig_stats().wanted_cnt, 2);
	end();
}

int main(void)
{
	RUN(test_a_post_of_a_group_that_is_sealed_for_another_key_is_not_readable);
	RUN(test_words_of_a_person_whose_request_was_refused_are_not_taken);
	RUN(test_a_post_of_a_group_is_readable_when_the_key_comes_behind_it);
	RUN(test_a_post_of_a_group_is_wanted_when_the_state_that_has_its_author_comes_behind_it);
	return check_done();
}
