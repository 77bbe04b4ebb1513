/* SPDX-License-Identifier: Apache-2.0 */
/* What comes into a node: each verdict, its count, and what it leaves. */
#include "intake_rig.h"

static void test_a_post_takes_the_share_that_its_author_and_readers_give_it(void)
{
	static const struct {
		struct rig_post post;
		enum intake_source source;
		enum intake_verdict want;
		enum post_share share;
		uint16_t flags;
	} rows[] = {
		{{.author = OWN}, INTAKE_OWN, INTAKE_TAKEN, POST_OWN, POST_READABLE},
		{{.author = FRIEND}, INTAKE_SYNC, INTAKE_TAKEN, POST_WANTED, POST_READABLE},
		{{.author = FRIEND,
		  .kind = VISIBILITY_RECIPIENTS,
		  .readers = {OTHER},
		  .reader_cnt = 1},
		 INTAKE_SYNC,
		 INTAKE_TAKEN,
		 POST_WANTED,
		 0},
		{{.author = FRIEND,
		  .kind = VISIBILITY_RECIPIENTS,
		  .readers = {OWN},
		  .reader_cnt = 1,
		  .mention = OWN + 1},
		 INTAKE_SYNC,
		 INTAKE_TAKEN,
		 POST_WANTED,
		 POST_READABLE | POST_MENTIONS_ME | POST_DIRECT},
		{{.author = OTHER, .kind = VISIBILITY_GROUP, .group = GROUP_IN, .epoch = 1},
		 INTAKE_SYNC,
		 INTAKE_TAKEN,
		 POST_WANTED,
		 POST_READABLE},
		{{.author = OTHER, .kind = VISIBILITY_GROUP, .group = GROUP_IN, .epoch = 2},
		 INTAKE_SYNC,
		 INTAKE_TAKEN,
		 POST_WANTED,
		 0},
		{{.author = FRIEND, .kind = VISIBILITY_GROUP, .group = GROUP_IN, .epoch = 2},
		 INTAKE_SYNC,
		 INTAKE_TAKEN,
		 POST_WANTED,
		 0},
		{{.author = STRANGER, .kind = VISIBILITY_GROUP, .group = GROUP_IN, .epoch = 1},
		 INTAKE_SYNC,
		 INTAKE_TAKEN,
		 POST_ADDRESSED,
		 POST_READABLE},
		{{.author = STRANGER, .kind = VISIBILITY_GROUP, .group = GROUP_IN, .epoch = 2},
		 INTAKE_SYNC,
		 INTAKE_TAKEN,
		 POST_ADDRESSED,
		 0},
		{{.author = STRANGER, .kind = VISIBILITY_GROUP, .group = 9, .epoch = 1},
		 INTAKE_SYNC,
		 INTAKE_UNWANTED,
		 POST_SHARE_CNT,
		 0},
		{{.author = STRANGER,
		  .kind = VISIBILITY_RECIPIENTS,
		  .readers = {OTHER, OWN},
		  .reader_cnt = 2},
		 INTAKE_DEPOSIT,
		 INTAKE_TAKEN,
		 POST_ADDRESSED,
		 POST_READABLE},
		{{.author = STRANGER, .mention = OWN + 1},
		 INTAKE_SYNC,
		 INTAKE_TAKEN,
		 POST_ADDRESSED,
		 POST_READABLE | POST_MENTIONS_ME},
		{{.author = STRANGER}, INTAKE_SYNC, INTAKE_UNWANTED, POST_SHARE_CNT, 0},
		{{.author = STRANGER}, INTAKE_REPLICA, INTAKE_TAKEN, POST_HOSTED, POST_READABLE},
	};

	begin();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig_post post = rows[i].post;
		enum intake_verdict verdict = made(&post, rows[i].source);

		CHECK_EQ(verdict, rows[i].want);
		CHECK_MEM(last_id, post.id, POST_ID_LEN);
		CHECK_EQ(view_of(&post).share, rows[i].share);
		if (rows[i].share != POST_SHARE_CNT)
			CHECK_EQ(view_of(&post).flags, rows[i].flags);
	}
	CHECK_EQ(addressed_cnt, 4);
	CHECK_EQ(stats().taken_cnt, 12);
	CHECK_EQ(stats().unwanted_cnt, 2);
	end();
}

static void test_an_unknown_person_s_reply_to_an_own_post_is_taken_and_one_asked_for(void)
{
	struct rig_post own = {.author = OWN}, reply = {.author = STRANGER, .parent = own.id};
	struct rig_post other = {.author = STRANGER, .parent = reply.id};

	begin();
	CHECK_EQ(made(&own, INTAKE_OWN), INTAKE_TAKEN);
	CHECK_EQ(made(&reply, INTAKE_SYNC), INTAKE_TAKEN);
	CHECK_EQ(view_of(&reply).share, POST_ADDRESSED);
	rig_make(&other);
	CHECK_EQ(bring(&other, INTAKE_SYNC), INTAKE_UNWANTED);
	social_intake_post(intake,
			   &(struct intake_ask){
				   .parts = other.parts, .is_asked_for = true, .done = on_settled},
			   rig_now_ns);
	rig_settle();
	CHECK_EQ(last, INTAKE_TAKEN);
	free(other.bytes);
	end();
}

static void test_what_is_none_is_refused_by_its_reason(void)
{
	struct rig_post post = {.author = FRIEND}, other = {.author = OTHER};
	struct post_parts parts;
	uint8_t *altered;

	begin();
	rig_make(&post);
	rig_make(&other);
	parts = post.parts;
	/* The claim of another author, and of another post. */
	post.parts.claim = other.parts.claim;
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_MALFORMED);
	post.parts = parts;
	/* Its readers were altered. */
	altered = (uint8_t *)post.parts.visibility;
	altered[post.parts.visibility_len - 1] ^= 1;
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_ALTERED);
	altered[post.parts.visibility_len - 1] ^= 1;
	post.parts.post_len = POST_LEN_MAX + 1;
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_TOO_LARGE);
	post.parts = parts;
	post.parts.post_len--;
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_MALFORMED);
	post.parts = parts;
	CHECK_EQ(rig_stats().wanted_cnt, 0);
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_TAKEN);
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_KNOWN);
	CHECK_EQ(stats().malformed_cnt, 2);
	CHECK_EQ(stats().altered_cnt, 1);
	CHECK_EQ(stats().too_large_cnt, 1);
	CHECK_EQ(stats().known_cnt, 1);
	free(post.bytes);
	free(other.bytes);
	end();
}

/* The readers that another person signed for a post of the friend. */
static void test_forged_authors_are_refused(void)
{
	struct rig_post post = {.author = FRIEND}, forged;
	uint8_t bytes[8192];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len;

	begin();
	rig_make(&post);
	forged = post;
	forged.author = OTHER;
	forged.number = 5;
	len = rig_readers(&forged, &w);
	forged.parts.visibility = bytes;
	forged.parts.visibility_len = len;
	CHECK_EQ(bring(&forged, INTAKE_SYNC), INTAKE_FORGED);
	CHECK_EQ(bring_object(social_intake_visibility, &w), INTAKE_ABSENT);
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_TAKEN);
	CHECK_EQ(bring_object(social_intake_visibility, &w), INTAKE_FORGED);
	CHECK_EQ(bring(&forged, INTAKE_SYNC), INTAKE_FORGED);
	CHECK_EQ(view_of(&post).visibility_number, 0);
	CHECK_EQ(stats().forged_cnt, 3);
	free(post.bytes);
	end();
}

static void test_old_readers_let_none_back_in(void)
{
	struct rig_post post = {.author = FRIEND,
				.kind = VISIBILITY_RECIPIENTS,
				.readers = {OWN},
				.reader_cnt = 1,
				.number = 3};
	struct rig_post newer;
	uint8_t bytes[3][8192];
	struct writer w[3];

	begin();
	rig_make(&post);
	for (unsigned i = 0; i < 3; i++) {
		newer = post;
		newer.number = 2 + i;
		newer.readers[0] = i == 2 ? OTHER : OWN;
		w[i] = writer_of(bytes[i], sizeof(bytes[i]));
		(void)rig_readers(&newer, &w[i]);
	}
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_TAKEN);
	CHECK_EQ(view_of(&post).flags, POST_READABLE);
	CHECK_EQ(bring_object(social_intake_visibility, &w[0]), INTAKE_OLD);
	CHECK_EQ(bring_object(social_intake_visibility, &w[1]), INTAKE_KNOWN);
	CHECK_EQ(bring_object(social_intake_visibility, &w[2]), INTAKE_TAKEN);
	CHECK_EQ(view_of(&post).flags, 0);
	CHECK_EQ(view_of(&post).visibility_number, 4);
	/* The post comes once more, with the readers it had. */
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_OLD);
	CHECK_EQ(view_of(&post).flags, 0);
	CHECK_EQ(stats().old_cnt, 2);
	free(post.bytes);
	end();
}

static void test_an_author_s_clock_may_be_a_day_ahead_and_a_minute_more_is_too_much(void)
{
	struct rig_post day = {.author = FRIEND, .minute = 24 * 60};
	struct rig_post more = {.author = FRIEND, .minute = 24 * 60 + 1};

	begin();
	CHECK_EQ(made(&day, INTAKE_SYNC), INTAKE_TAKEN);
	rig_make(&more);
	CHECK_EQ(bring(&more, INTAKE_SYNC), INTAKE_AHEAD);
	CHECK_EQ(stats().ahead_cnt, 1);
	rig_pass(60 * NS_PER_S);
	CHECK_EQ(bring(&more, INTAKE_SYNC), INTAKE_TAKEN);
	free(more.bytes);
	end();
}

static void test_nothing_of_a_blocked_person_comes_in(void)
{
	struct rig_post post = {.author = BLOCKED,
				.kind = VISIBILITY_RECIPIENTS,
				.readers = {OWN},
				.reader_cnt = 1};

	begin();
	CHECK_EQ(made(&post, INTAKE_DEPOSIT), INTAKE_BLOCKED);
	CHECK_EQ(stats().blocked_cnt, 1);
	CHECK_EQ(rig_stats().addressed_cnt, 0);
	end();
}

static struct writer deletion(const struct rig_post *post, unsigned person, uint8_t *bytes)
{
	struct writer w = writer_of(bytes, POST_CLAIM_LEN_MAX);

	social_deletion_write(&w, &(struct post_deletion){.post = post->id, .time_ms = 1},
			      rig_people[person]);
	return w;
}

static void test_an_author_s_deletion_counts_and_that_of_another_does_not(void)
{
	struct rig_post post = {.author = FRIEND};
	uint8_t bytes[POST_CLAIM_LEN_MAX];
	struct writer w;

	begin();
	rig_make(&post);
	w = deletion(&post, STRANGER, bytes);
	CHECK_EQ(bring_object(social_intake_deletion, &w), INTAKE_ABSENT);
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_TAKEN);
	CHECK_EQ(bring_object(social_intake_deletion, &w), INTAKE_FORGED);
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_HELD);
	w = deletion(&post, FRIEND, bytes);
	bytes[writer_len(&w) - 1] ^= 1;
	CHECK_EQ(bring_object(social_intake_deletion, &w), INTAKE_ALTERED);
	bytes[writer_len(&w) - 1] ^= 1;
	CHECK_EQ(bring_object(social_intake_deletion, &w), INTAKE_TAKEN);
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_GONE);
	CHECK_EQ(bring_object(social_intake_deletion, &w), INTAKE_KNOWN);
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_DELETED);
	CHECK_EQ(stats().deleted_cnt, 1);
	free(post.bytes);
	end();
}

static void test_a_friend_s_deletion_may_come_before_the_post(void)
{
	struct rig_post post = {.author = FRIEND};
	uint8_t bytes[POST_CLAIM_LEN_MAX];
	struct writer w;

	begin();
	rig_make(&post);
	w = deletion(&post, FRIEND, bytes);
	CHECK_EQ(bring_object(social_intake_deletion, &w), INTAKE_TAKEN);
	CHECK_EQ(bring(&post, INTAKE_SYNC), INTAKE_DELETED);
	free(post.bytes);
	end();
}

static void test_a_full_share_is_said(void)
{
	struct rig_post post = {.author = STRANGER, .content_len = 3000};

	begin();
	CHECK_EQ(made(&post, INTAKE_REPLICA), INTAKE_FULL);
	CHECK_EQ(stats().full_cnt, 1);
	end();
}

static void test_words_of_a_person_that_is_followed_then_leave_the_room_of_unknown_people(void)
{
	struct rig_post posts[3], more;

	begin();
	for (unsigned i = 0; i < 3; i++) {
		posts[i] = (struct rig_post){.author = STRANGER,
					     .minute = i,
					     .kind = VISIBILITY_RECIPIENTS,
					     .readers = {OWN},
					     .reader_cnt = 1};
		CHECK_EQ(made(&posts[i], INTAKE_DEPOSIT), INTAKE_TAKEN);
	}
	social_intake_unasked(intake, posts[0].id, rig_now_ns);
	CHECK_EQ(social_posts_known(rig_posts, posts[0].id), POST_ABSENT);
	CHECK_EQ(rig_stats().addressed_cnt, 2);
	social_intake_followed(intake, rig_key(STRANGER), rig_now_ns);
	rig_settle();
	CHECK_EQ(rig_stats().addressed_cnt, 0);
	CHECK_EQ(rig_stats().wanted_cnt, 2);
	/* What is wanted is no first word any more. */
	social_intake_unasked(intake, posts[1].id, rig_now_ns);
	CHECK_EQ(view_of(&posts[1]).share, POST_WANTED);
	more = (struct rig_post){.author = STRANGER};
	CHECK_EQ(made(&more, INTAKE_SYNC), INTAKE_UNWANTED);
	end();
}

static void test_what_people_say_of_a_profile_is_its_verdict(void)
{
	static const struct {
		int err;
		enum intake_verdict want;
	} rows[] = {
		{0, INTAKE_TAKEN},
		{WEFT_EEXISTS, INTAKE_KNOWN},
		{WEFT_ESTALE, INTAKE_AHEAD},
		{WEFT_EREFUSED, INTAKE_BLOCKED},
		{WEFT_EFULL, INTAKE_FULL},
		{WEFT_EBUSY, INTAKE_BUSY},
		{WEFT_EMALFORMED, INTAKE_MALFORMED},
		{WEFT_ETOOLARGE, INTAKE_TOO_LARGE},
		{WEFT_EDAMAGED, INTAKE_ALTERED},
		{-12, INTAKE_FAILED},
	};
	uint8_t bytes[4] = {0};
	struct writer w = writer_of(bytes, sizeof(bytes));

	begin();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		profile_err = rows[i].err;
		CHECK_EQ(bring_object(social_intake_profile, &w), rows[i].want);
	}
	CHECK_EQ(stats().taken_cnt, 1);
	end();
}

static void test_each_verdict_has_words(void)
{
	for (unsigned i = 0; i < INTAKE_VERDICT_CNT; i++)
		CHECK(social_intake_text(i) != NULL);
}

int main(void)
{
	RUN(test_a_post_takes_the_share_that_its_author_and_readers_give_it);
	RUN(test_an_unknown_person_s_reply_to_an_own_post_is_taken_and_one_asked_for);
	RUN(test_what_is_none_is_refused_by_its_reason);
	RUN(test_forged_authors_are_refused);
	RUN(test_old_readers_let_none_back_in);
	RUN(test_an_author_s_clock_may_be_a_day_ahead_and_a_minute_more_is_too_much);
	RUN(test_nothing_of_a_blocked_person_comes_in);
	RUN(test_an_author_s_deletion_counts_and_that_of_another_does_not);
	RUN(test_a_friend_s_deletion_may_come_before_the_post);
	RUN(test_a_full_share_is_said);
	RUN(test_words_of_a_person_that_is_followed_then_leave_the_room_of_unknown_people);
	RUN(test_what_people_say_of_a_profile_is_its_verdict);
	RUN(test_each_verdict_has_words);
	return check_done();
}
