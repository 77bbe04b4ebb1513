/* SPDX-License-Identifier: Apache-2.0 */
/* Room: the quota, the shares of unknown people, and what gives way. */
#include "../post_rig.h"

#include "social/keep/post_store_state.h"

static struct post_quota quota(void)
{
	struct post_quota now;

	social_posts_quota(rig_posts, &now);
	return now;
}

/* The length of a post with so long a text, by any of the people. */
static uint64_t len_of(size_t content_len)
{
	struct rig_post post = {.content_len = content_len};
	uint64_t len;

	rig_make(&post);
	len = post.parts.post_len + post.parts.claim_len + post.parts.visibility_len;
	free(post.bytes);
	return len;
}

static void small(void)
{
	social_posts_config_defaults(&rig_config);
	rig_config.post_cap = POSTS_MIN;
	rig_config.room_len = POSTS_ROOM_MIN;
}

static void test_three_bytes_are_hosted_for_each_own_one_and_not_one_more(void)
{
	struct rig_post own = {.content_len = 5000}, hosted = {.content_len = 4990};
	uint64_t len;

	small();
	rig_begin();
	len = len_of(5000);
	CHECK_EQ(rig_say(&hosted, POST_HOSTED, 1), WEFT_EFULL);
	CHECK_EQ(rig_say(&own, POST_OWN, 0), 0);
	CHECK_EQ(quota().own_len, len);
	CHECK_EQ(quota().hosted_max, 3 * len);
	for (unsigned i = 0; i < 3; i++) {
		hosted = (struct rig_post){.author = 1, .content_len = i == 2 ? 5001 : 5000};
		CHECK_EQ(rig_say(&hosted, POST_HOSTED, 1), i == 2 ? WEFT_EFULL : 0);
	}
	hosted.content_len = 5000;
	CHECK_EQ(rig_say(&hosted, POST_HOSTED, 1), 0);
	CHECK_EQ(quota().hosted_len, 3 * len);
	hosted = (struct rig_post){.author = 1, .content_len = 1};
	CHECK_EQ(rig_say(&hosted, POST_HOSTED, 1), WEFT_EFULL);
	rig_again();
	CHECK_EQ(quota().hosted_len, 3 * len);
	CHECK_EQ(quota().hosted_cnt, 3);
	CHECK_EQ(rig_say(&hosted, POST_HOSTED, 1), WEFT_EFULL);
	/* With the own post goes what was kept for it. */
	CHECK_EQ(rig_delete(own.id, 0), 0);
	CHECK_EQ(quota().hosted_cnt, 0);
	rig_settle();
	rig_again();
	CHECK_EQ(quota().hosted_cnt, 0);
	rig_end();
}

static void test_a_pinned_post_takes_nothing_of_the_quota(void)
{
	struct rig_post own = {.content_len = 5000}, posts[4];
	struct post_marking pin = {.set = POST_PINNED}, unpin = {.clear = POST_PINNED};

	small();
	rig_begin();
	CHECK_EQ(rig_say(&own, POST_OWN, 0), 0);
	for (unsigned i = 0; i < 4; i++) {
		posts[i] = (struct rig_post){.author = 1, .content_len = 5000};
		CHECK_EQ(rig_say(&posts[i], POST_HOSTED, 1), i == 3 ? WEFT_EFULL : 0);
	}
	pin.id = unpin.id = posts[0].id;
	CHECK_EQ(social_posts_mark(rig_posts, &pin, rig_note, rig_now_ns), 0);
	rig_settle();
	rig_again();
	CHECK_EQ(quota().pinned_cnt, 1);
	CHECK_EQ(quota().hosted_cnt, 2);
	posts[3] = (struct rig_post){.author = 1, .content_len = 5000};
	CHECK_EQ(rig_say(&posts[3], POST_HOSTED, 1), 0);
	CHECK_EQ(social_posts_mark(rig_posts, &unpin, rig_note, rig_now_ns), WEFT_EFULL);
	CHECK_EQ(rig_flags(posts[0].id), POST_PINNED);
	CHECK_EQ(quota().pinned_cnt, 1);
	CHECK_EQ(rig_delete(own.id, 0), 0);
	rig_settle();
	CHECK_EQ(quota().hosted_cnt, 0);
	CHECK_EQ(quota().pinned_cnt, 1);
	rig_end();
}

static void test_a_pinned_post_gives_way_to_nothing_and_pins_have_a_limit(void)
{
	static uint8_t ids[2 * POSTS_MIN][POST_ID_LEN];
	struct rig_post post, first = {.author = 1, .content_len = 4096};
	struct post_marking pin = {.set = POST_PINNED};
	unsigned max;

	small();
	rig_begin();
	max = rig_posts->wanted_cap / 2;
	CHECK_EQ(rig_say(&first, POST_WANTED, 1), 0);
	pin.id = first.id;
	CHECK_EQ(social_posts_mark(rig_posts, &pin, rig_note, rig_now_ns), 0);
	for (unsigned i = 0; i < 2 * max; i++) {
		post = (struct rig_post){.author = 1, .minute = i + 1, .content_len = 10};
		CHECK_EQ(rig_say(&post, POST_WANTED, 1), 0);
		memcpy(ids[i], post.id, POST_ID_LEN);
	}
	CHECK(rig_posts->stats.evicted_cnt > 0);
	CHECK_EQ(social_posts_known(rig_posts, first.id), POST_HELD);
	/* In number: */
	for (unsigned i = 1; i <= max; i++) {
		pin.id = ids[2 * max - i];
		CHECK_EQ(social_posts_mark(rig_posts, &pin, rig_note, rig_now_ns),
			 i == max ? WEFT_EFULL : 0);
		rig_settle();
	}
	rig_again();
	CHECK_EQ(quota().pinned_cnt, max);
	rig_end();
}

static void test_pinned_bytes_have_a_limit(void)
{
	struct rig_post post;
	struct post_marking pin = {.set = POST_PINNED};
	uint64_t len;
	unsigned fit;

	small();
	rig_begin();
	len = len_of(200000);
	fit = (unsigned)(POSTS_ROOM_MIN / len);
	for (unsigned i = 0; i <= fit; i++) {
		post = (struct rig_post){.author = 1, .minute = i, .content_len = 200000};
		CHECK_EQ(rig_say(&post, POST_WANTED, 1), 0);
		pin.id = post.id;
		CHECK_EQ(social_posts_mark(rig_posts, &pin, rig_note, rig_now_ns),
			 i == fit ? WEFT_EFULL : 0);
		rig_settle();
	}
	CHECK_EQ(quota().pinned_cnt, fit);
	rig_end();
}

/* Networks, then authors. */
static void test_a_full_quota_takes_from_the_network_with_most(void)
{
	struct rig_post own = {.content_len = 20000}, post;
	unsigned kept = 0;

	small();
	rig_begin();
	CHECK_EQ(rig_say(&own, POST_OWN, 0), 0);
	for (unsigned i = 0; i < 100; i++) {
		post = (struct rig_post){.author = 1 + i % 8, .content_len = 1000};
		kept += rig_say(&post, POST_HOSTED, 1) == 0;
	}
	CHECK(kept >= 40);
	for (unsigned i = 0; i < 10; i++) {
		post = (struct rig_post){.author = 9, .content_len = 1000};
		CHECK_EQ(rig_say(&post, POST_HOSTED, 2), 0);
	}
	CHECK_EQ(rig_stats().evicted_cnt, 10);
	CHECK_EQ(quota().hosted_cnt, kept);
	/* A crowd of authors in one network takes nothing of it. */
	for (unsigned i = 0; i < 200; i++) {
		post = (struct rig_post){.author = i % 9, .content_len = 1000};
		(void)!rig_say(&post, POST_HOSTED, 1);
	}
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_ABSENT);
	kept = 0;
	for (const struct post_entry *entry = rig_posts->entries;
	     entry < rig_posts->entries + rig_posts->entry_used; entry++)
		kept += entry->holding && entry->holding->source.ip[2] == 2;
	CHECK_EQ(kept, 10);
	rig_end();
}

static void test_unknown_people_that_write_to_this_node_share_a_room_of_their_own(void)
{
	struct rig_post post;
	unsigned kept = 0;
	struct fair_view view;

	small();
	rig_begin();
	social_posts_addressed_view(rig_posts, &view);
	CHECK_EQ(view.cap_cnt, POSTS_MIN / 4);
	for (unsigned i = 0; i < view.cap_cnt + 1; i++) {
		post = (struct rig_post){.author = 1};
		kept += rig_say(&post, POST_ADDRESSED, 1) == 0;
	}
	CHECK_EQ(kept, view.cap_cnt);
	post = (struct rig_post){.author = 2};
	CHECK_EQ(rig_say(&post, POST_ADDRESSED, 2), 0);
	/* They take nothing of what is wanted. */
	post = (struct rig_post){.author = 3};
	CHECK_EQ(rig_say(&post, POST_WANTED, 0), 0);
	CHECK_EQ(quota().addressed_cnt, view.cap_cnt);
	/* The author is followed now. */
	CHECK_EQ(social_posts_set_share(rig_posts, post.id, POST_WANTED, rig_now_ns), 0);
	rig_end();
}

static void test_where_posts_have_no_place_the_author_with_most_loses_the_oldest(void)
{
	struct rig_post posts[POSTS_MIN] = {0}, post;
	unsigned cap;

	small();
	rig_begin();
	cap = rig_posts->wanted_cap;
	for (unsigned i = 0; i < cap; i++) {
		posts[i] = (struct rig_post){.author = 1, .minute = 10 + i};
		CHECK_EQ(rig_say(&posts[i], POST_WANTED, 0), 0);
	}
	post = (struct rig_post){.author = 1, .minute = 1};
	CHECK_EQ(rig_say(&post, POST_WANTED, 0), WEFT_EFULL);
	post = (struct rig_post){.author = 1, .minute = 5000};
	CHECK_EQ(rig_say(&post, POST_WANTED, 0), 0);
	CHECK_EQ(social_posts_known(rig_posts, posts[0].id), POST_ABSENT);
	post = (struct rig_post){.author = 2, .minute = 1};
	CHECK_EQ(rig_say(&post, POST_WANTED, 0), 0);
	CHECK_EQ(social_posts_known(rig_posts, posts[1].id), POST_ABSENT);
	CHECK_EQ(social_posts_known(rig_posts, posts[2].id), POST_HELD);
	post = (struct rig_post){.author = 0, .minute = 1};
	CHECK_EQ(rig_say(&post, POST_OWN, 0), 0);
	CHECK_EQ(social_posts_known(rig_posts, posts[2].id), POST_ABSENT);
	CHECK_EQ(quota().wanted_cnt, cap - 1);
	rig_settle();
	rig_again();
	CHECK_EQ(quota().wanted_cnt, cap - 1);
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_HELD);
	rig_end();
}

static void test_an_author_fills_half_of_the_deletions_and_an_own_one_all(void)
{
	struct post_entry *entry;

	small();
	rig_begin();
	/* All but one place: as if other authors had deleted posts. */
	rig_posts->stats.gone_cnt = POSTS_GONE_MAX - 1;
	CHECK_EQ(rig_delete((const uint8_t[POST_ID_LEN]){1}, 1), 0);
	entry = social_posts_entry(rig_posts, (const uint8_t[POST_ID_LEN]){1});
	CHECK(entry != NULL);
	CHECK_EQ(rig_delete((const uint8_t[POST_ID_LEN]){2}, 2), WEFT_EFULL);
	rig_posts->stats.gone_cnt = POSTS_GONE_MAX - 1;
	CHECK_EQ(rig_delete((const uint8_t[POST_ID_LEN]){3}, 1), WEFT_EFULL);
	CHECK_EQ(rig_delete((const uint8_t[POST_ID_LEN]){4}, 0), 0);
	CHECK_EQ(rig_delete((const uint8_t[POST_ID_LEN]){5}, 0), WEFT_EFULL);
	rig_posts->stats.gone_cnt = 2;
	rig_end();
}

int main(void)
{
	RUN(test_three_bytes_are_hosted_for_each_own_one_and_not_one_more);
	RUN(test_a_pinned_post_takes_nothing_of_the_quota);
	RUN(test_a_pinned_post_gives_way_to_nothing_and_pins_have_a_limit);
	RUN(test_pinned_bytes_have_a_limit);
	RUN(test_a_full_quota_takes_from_the_network_with_most);
	RUN(test_unknown_people_that_write_to_this_node_share_a_room_of_their_own);
	RUN(test_where_posts_have_no_place_the_author_with_most_loses_the_oldest);
	RUN(test_an_author_fills_half_of_the_deletions_and_an_own_one_all);
	return check_done();
}
