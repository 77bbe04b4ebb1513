/* SPDX-License-Identifier: Apache-2.0 */
/* Posts that are kept: what is there, in which order, and what remains over a start. */
#include "social/keep/post_store.h"

#include "../post_rig.h"

struct page {
	uint8_t ids[64][POST_ID_LEN];
	unsigned cnt, cnt_max;
};

static bool on_view(void *arg, const struct post_view *view)
{
	struct page *page = arg;

	memcpy(page->ids[page->cnt++], view->id, POST_ID_LEN);
	return page->cnt < page->cnt_max;
}

static int walk(const struct post_walk *ask, struct page *page, struct post_cursor *next)
{
	page->cnt = 0;
	return social_posts_walk(rig_posts, ask, on_view, page, next);
}

/* --- one post --- */

static void test_a_post_is_held_at_once_and_read_when_it_is_durable(void)
{
	struct rig_post post = {.author = 1, .minute = 7};
	struct post_view view;
	struct post_copy *copy;

	rig_begin();
	rig_make(&post);
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_ABSENT);
	CHECK_EQ(rig_put(&post, POST_WANTED, 0), 0);
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_HELD);
	CHECK_EQ(social_posts_look(rig_posts, post.id, &view), WEFT_EABSENT);
	CHECK_EQ(social_posts_index(rig_posts)->row_cnt, 0);
	CHECK_EQ(rig_put(&post, POST_WANTED, 0), WEFT_EEXISTS);
	rig_settle();
	CHECK_EQ(rig_done_cnt, 1);
	CHECK_EQ(social_posts_look(rig_posts, post.id, &view), 0);
	CHECK_MEM(view.author, rig_key(1), NODE_KEY_LEN);
	CHECK_EQ(view.time_ms, RIG_WALL_MS + 7 * RIG_MINUTE_MS);
	CHECK_EQ(view.share, POST_WANTED);
	CHECK_EQ(view.post_len, post.parts.post_len);
	for (unsigned i = 0; i < 2; i++, rig_again()) {
		CHECK_EQ(social_posts_read(rig_posts, post.id, &copy), 0);
		CHECK_EQ(copy->parts.post_len, post.parts.post_len);
		CHECK_MEM(copy->parts.post, post.parts.post, post.parts.post_len);
		CHECK_MEM(copy->parts.claim, post.parts.claim, post.parts.claim_len);
		CHECK_MEM(copy->parts.visibility, post.parts.visibility, post.parts.visibility_len);
		social_post_copy_free(copy);
		CHECK_EQ(social_posts_index(rig_posts)->row_cnt, 1);
	}
	free(post.bytes);
	rig_end();
}

static void test_what_was_not_durable_at_a_crash_is_not_there(void)
{
	struct rig_post post = {.author = 1};

	rig_begin();
	rig_make(&post);
	CHECK_EQ(rig_put(&post, POST_WANTED, 0), 0);
	store_freeze(rig_store);
	rig_again();
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_ABSENT);
	CHECK_EQ(rig_stats().wanted_cnt, 0);
	CHECK_EQ(rig_put(&post, POST_WANTED, 0), 0);
	free(post.bytes);
	rig_end();
}

/* The disk takes nothing any more, so what it has is how it is. */
static void test_a_change_that_fails_leaves_what_the_disk_has(void)
{
	struct rig_post held = {.author = 1}, fresh = {.author = 2};
	struct post_marking read = {held.id, POST_READ, 0};

	rig_begin();
	CHECK_EQ(rig_say(&held, POST_WANTED, 0), 0);
	rig_make(&fresh);
	store_freeze(rig_store);
	rig_failed_cnt = 0;
	CHECK_EQ(rig_put(&fresh, POST_WANTED, 0), 0);
	CHECK_EQ(social_posts_mark(rig_posts, &read, rig_note, rig_now_ns), 0);
	CHECK_EQ(rig_flags(held.id), POST_READ);
	rig_settle();
	CHECK_EQ(rig_failed_cnt, 2);
	CHECK_EQ(social_posts_known(rig_posts, fresh.id), POST_ABSENT);
	CHECK_EQ(rig_flags(held.id), 0);
	CHECK_EQ(rig_delete(held.id, 1), 0);
	CHECK_EQ(social_posts_known(rig_posts, held.id), POST_GONE);
	rig_settle();
	CHECK_EQ(social_posts_known(rig_posts, held.id), POST_HELD);
	CHECK_EQ(rig_stats().wanted_cnt, 1);
	CHECK_EQ(rig_stats().gone_cnt, 0);
	free(fresh.bytes);
	rig_end();
}

/* --- deletion --- */

static void test_a_deleted_post_does_not_come_again_for_a_year(void)
{
	struct rig_post post = {.author = 1, .parent = (const uint8_t[POST_ID_LEN]){5}};
	uint8_t bytes[POST_CLAIM_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct post_deletion deletion;

	rig_begin();
	rig_make(&post);
	CHECK_EQ(rig_put(&post, POST_WANTED, 0), 0);
	rig_settle();
	CHECK_EQ(rig_delete(post.id, 2), WEFT_EREFUSED);
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_HELD);
	CHECK_EQ(rig_delete(post.id, 1), 0);
	CHECK_EQ(rig_put(&post, POST_WANTED, 0), WEFT_EREFUSED);
	CHECK_EQ(rig_delete(post.id, 1), WEFT_EEXISTS);
	rig_settle();
	CHECK_EQ(rig_stats().wanted_cnt, 0);
	CHECK_EQ(rig_stats().wanted_len, 0);
	rig_again();
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_GONE);
	CHECK_EQ(rig_put(&post, POST_WANTED, 0), WEFT_EREFUSED);
	CHECK_EQ(social_posts_deletion(rig_posts, post.id, &w), 0);
	CHECK_EQ(social_deletion_read(bytes, writer_len(&w), &deletion), 0);
	CHECK_MEM(deletion.author, rig_key(1), NODE_KEY_LEN);
	rig_wall += POSTS_GONE_MS - RIG_MINUTE_MS;
	rig_pass(11 * NS_PER_S);
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_GONE);
	rig_wall += RIG_MINUTE_MS;
	rig_pass(11 * NS_PER_S);
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_ABSENT);
	rig_settle();
	rig_again();
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_ABSENT);
	CHECK_EQ(rig_put(&post, POST_WANTED, 0), 0);
	free(post.bytes);
	rig_end();
}

/* A post may be deleted before it comes, but by its author alone. */
static void test_a_deletion_that_comes_first_counts_for_its_author_alone(void)
{
	struct rig_post by_author = {.author = 1}, by_other = {.author = 1};

	rig_begin();
	rig_make(&by_author);
	rig_make(&by_other);
	CHECK_EQ(rig_delete(by_author.id, 1), 0);
	CHECK_EQ(rig_delete(by_other.id, 3), 0);
	rig_settle();
	CHECK_EQ(rig_stats().gone_cnt, 2);
	CHECK_EQ(rig_put(&by_author, POST_WANTED, 0), WEFT_EREFUSED);
	CHECK_EQ(rig_put(&by_other, POST_WANTED, 0), 0);
	rig_settle();
	CHECK_EQ(rig_stats().gone_cnt, 1);
	rig_again();
	CHECK_EQ(social_posts_known(rig_posts, by_author.id), POST_GONE);
	CHECK_EQ(social_posts_known(rig_posts, by_other.id), POST_HELD);
	free(by_author.bytes);
	free(by_other.bytes);
	rig_end();
}

/* --- readers --- */

static void test_readers_with_a_higher_number_alone_take_the_place_of_others(void)
{
	struct rig_post post = {.kind = VISIBILITY_RECIPIENTS, .readers = {1, 2}, .reader_cnt = 2};
	struct post_audience audience;
	struct post_place place = {0};
	const struct post_row *row;
	struct post_copy *copy;

	rig_begin();
	CHECK_EQ(rig_say(&post, POST_OWN, 0), 0);
	row = social_index_next(social_posts_index(rig_posts), &place);
	CHECK_EQ(social_posts_audience(rig_posts, row, rig_key(2), &audience), 0);
	CHECK(audience.is_reader);
	post.reader_cnt = 1;
	CHECK_EQ(rig_renew(&post), 0);
	/* The former bytes are given to none any more. */
	CHECK_EQ(social_posts_read(rig_posts, post.id, &copy), WEFT_EBUSY);
	CHECK_EQ(rig_renew(&post), WEFT_EBUSY);
	rig_settle();
	CHECK_EQ(social_posts_audience(rig_posts, row, rig_key(2), &audience), 0);
	CHECK(!audience.is_reader);
	CHECK_EQ(social_posts_audience(rig_posts, row, rig_key(1), &audience), 0);
	CHECK(audience.is_reader);
	post.number = 0;
	CHECK_EQ(rig_renew(&post), WEFT_ESTALE);
	rig_again();
	CHECK_EQ(rig_renew(&post), 0);
	rig_settle();
	CHECK_EQ(social_posts_read(rig_posts, post.id, &copy), 0);
	CHECK_EQ(copy->parts.post_len, post.parts.post_len);
	CHECK(copy->parts.visibility_len < post.parts.visibility_len);
	social_post_copy_free(copy);
	rig_end();
}

static void test_posts_to_equal_readers_have_one_number(void)
{
	struct rig_post posts[6] = {
		{.kind = VISIBILITY_RECIPIENTS, .readers = {1, 2}, .reader_cnt = 2},
		{.kind = VISIBILITY_RECIPIENTS, .readers = {2, 1}, .reader_cnt = 2, .author = 3},
		{.kind = VISIBILITY_RECIPIENTS, .readers = {1, 4}, .reader_cnt = 2},
		{.kind = VISIBILITY_GROUP, .group = 7, .epoch = 3},
		/* Any author may write a key of its own beside the group and epoch of others. */
		{.kind = VISIBILITY_GROUP, .group = 7, .epoch = 3, .group_key = 1, .author = 3},
		{.kind = VISIBILITY_GROUP, .group = 7, .epoch = 3, .author = 3},
	};
	uint16_t numbers[6];
	struct post_audience audience;

	rig_begin();
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQ(rig_say(&posts[i], POST_WANTED, 0), 0);
	for (unsigned again = 0; again < 2; again++, rig_again()) {
		for (unsigned i = 0; i < 6; i++) {
			struct post_index *index =
				(struct post_index *)social_posts_index(rig_posts);
			const struct post_row *row =
				social_index_find(index, RIG_WALL_MS, posts[i].id);

			CHECK(row != NULL);
			numbers[i] = row->audience;
			CHECK_EQ(social_posts_audience(rig_posts, row, rig_key(4), &audience), 0);
			CHECK_EQ(audience.kind, posts[i].kind);
			CHECK_EQ(audience.is_reader, i == 2);
			CHECK_EQ(audience.epoch, posts[i].epoch);
		}
		CHECK_EQ(numbers[0], numbers[1]);
		CHECK(numbers[0] != numbers[2]);
		CHECK(numbers[2] != numbers[3]);
		CHECK(numbers[3] != numbers[4]);
		CHECK_EQ(numbers[3], numbers[5]);
	}
	rig_end();
}

/* --- pages --- */

static void test_a_feed_has_each_post_once_newest_first_over_its_pages(void)
{
	struct rig_post posts[20];
	struct page page = {.cnt_max = 7};
	struct post_cursor next;
	unsigned cnt = 0;
	int more = 1;

	rig_begin();
	for (unsigned i = 0; i < 20; i++) {
		posts[i] = (struct rig_post){.author = i % 3, .minute = i * 7 % 20};
		CHECK_EQ(rig_say(&posts[i], POST_WANTED, 0), 0);
	}
	for (const struct post_cursor *from = NULL; more == 1; from = &next) {
		more = walk(&(struct post_walk){.from = from}, &page, &next);
		for (unsigned i = 0; i < page.cnt; i++, cnt++) {
			unsigned of = 0;

			while (posts[of].minute != 19 - cnt)
				of++;
			CHECK_MEM(page.ids[i], posts[of].id, POST_ID_LEN);
		}
	}
	CHECK_EQ(more, 0);
	CHECK_EQ(cnt, 20);
	/* One author's: 0, 3, .. 18 by minute. */
	page.cnt_max = 64;
	CHECK_EQ(walk(&(struct post_walk){.author = rig_key(0)}, &page, &next), 0);
	CHECK_EQ(page.cnt, 7);
	page.cnt_max = 3;
	CHECK_EQ(walk(&(struct post_walk){.author = rig_key(0)}, &page, &next), 1);
	page.cnt_max = 64;
	CHECK_EQ(walk(&(struct post_walk){.author = rig_key(0), .from = &next}, &page, &next), 0);
	CHECK_EQ(page.cnt, 4);
	rig_end();
}

static void test_replies_come_oldest_first_and_go_with_their_post(void)
{
	struct rig_post root = {.author = 1}, replies[5];
	struct page page = {.cnt_max = 64};
	struct post_cursor next;

	rig_begin();
	CHECK_EQ(rig_say(&root, POST_WANTED, 0), 0);
	for (unsigned i = 0; i < 5; i++) {
		replies[i] = (struct rig_post){.minute = 10 - i, .parent = root.id};
		CHECK_EQ(rig_say(&replies[i], POST_OWN, 0), 0);
	}
	CHECK_EQ(walk(&(struct post_walk){.parent = root.id}, &page, &next), 0);
	CHECK_EQ(page.cnt, 5);
	CHECK_MEM(page.ids[0], replies[4].id, POST_ID_LEN);
	CHECK_EQ(rig_flags(replies[0].id), POST_REPLY);
	CHECK_EQ(rig_delete(replies[4].id, 0), 0);
	CHECK_EQ(walk(&(struct post_walk){.parent = root.id}, &page, &next), 0);
	CHECK_EQ(page.cnt, 4);
	rig_settle();
	page.cnt_max = 1;
	CHECK_EQ(walk(&(struct post_walk){.parent = root.id}, &page, &next), 1);
	CHECK_MEM(page.ids[0], replies[3].id, POST_ID_LEN);
	page.cnt_max = 64;
	CHECK_EQ(walk(&(struct post_walk){.parent = root.id, .from = &next}, &page, &next), 0);
	CHECK_EQ(page.cnt, 3);
	rig_end();
}

static void test_marks_last_and_choose_what_a_page_has(void)
{
	struct rig_post posts[10];
	struct page page = {.cnt_max = 64};
	struct post_cursor next;

	rig_begin();
	for (unsigned i = 0; i < 10; i++) {
		posts[i] = (struct rig_post){.author = 1, .minute = i};
		CHECK_EQ(rig_say(&posts[i], POST_WANTED, 0), 0);
		if (i % 2)
			CHECK_EQ(social_posts_mark(
					 rig_posts,
					 &(struct post_marking){posts[i].id, POST_READ | 0x8000, 0},
					 rig_note, rig_now_ns),
				 0);
	}
	rig_settle();
	rig_again();
	CHECK_EQ(walk(&(struct post_walk){.flags_none = POST_READ}, &page, &next), 0);
	CHECK_EQ(page.cnt, 5);
	CHECK_EQ(walk(&(struct post_walk){.flags_all = POST_READ}, &page, &next), 0);
	CHECK_EQ(page.cnt, 5);
	CHECK_EQ(rig_flags(posts[1].id), POST_READ);
	/* Few are looked at, and the walk goes on behind them. */
	CHECK_EQ(walk(&(struct post_walk){.flags_all = POST_PINNED, .visit_max = 4}, &page, &next),
		 1);
	CHECK_EQ(page.cnt, 0);
	CHECK_MEM(next.id, posts[6].id, POST_ID_LEN);
	rig_end();
}

/* --- editions --- */

static void check_shown(unsigned author, unsigned logical, const uint8_t *want)
{
	uint8_t logical_id[POST_LOGICAL_ID_LEN] = {0}, id[POST_ID_LEN];

	memcpy(logical_id, &logical, sizeof(logical));
	CHECK_EQ(social_posts_edition(rig_posts, rig_key(author), logical_id, id), 0);
	CHECK_MEM(id, want, POST_ID_LEN);
	CHECK_EQ(rig_flags(want) & POST_SUPERSEDED, 0);
}

/* An edition has the time of the post it replaces, and may come before it. */
static void test_the_edition_that_none_replaces_is_shown_in_whatever_order_they_come(void)
{
	static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					      {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	for (unsigned order = 0; order < 6; order++) {
		struct rig_post posts[3] = {{.logical = 5}, {.logical = 5}, {.logical = 5}};
		struct post_view view;

		rig_begin();
		for (unsigned i = 0; i < 3; i++) {
			posts[i].supersedes = i ? posts[i - 1].id : NULL;
			rig_make(&posts[i]);
		}
		for (unsigned i = 0; i < 3; i++) {
			CHECK_EQ(rig_put(&posts[orders[order][i]], POST_WANTED, 0), 0);
			rig_settle();
		}
		for (unsigned again = 0; again < 2; again++, rig_again()) {
			check_shown(0, 5, posts[2].id);
			CHECK_EQ(social_posts_look(rig_posts, posts[0].id, &view), 0);
			CHECK(view.flags & POST_SUPERSEDED);
			CHECK_MEM(view.superseded_by, posts[2].id, POST_ID_LEN);
		}
		CHECK_EQ(rig_delete(posts[2].id, 0), 0);
		check_shown(0, 5, posts[1].id);
		for (unsigned i = 0; i < 3; i++)
			free(posts[i].bytes);
		rig_end();
	}
}

/* A post to a large group has an edition for each shard, and a reader opens one. */
static void test_of_shards_the_one_that_this_node_opens_is_shown(void)
{
	struct rig_post shards[3] = {{.logical = 5}, {.logical = 5}, {.logical = 5}};

	rig_begin();
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(rig_say(&shards[i], POST_WANTED, 0), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct post_marking opens = {shards[i].id, POST_READABLE, 0},
				    opens_not = {shards[i].id, 0, POST_READABLE};

		CHECK_EQ(social_posts_mark(rig_posts, &opens, rig_note, rig_now_ns), 0);
		check_shown(0, 5, shards[i].id);
		CHECK_EQ(social_posts_mark(rig_posts, &opens_not, rig_note, rig_now_ns), 0);
	}
	rig_end();
}

static void test_a_logical_id_has_1024_editions_and_not_one_more(void)
{
	struct rig_post post;

	rig_begin();
	for (unsigned i = 0; i < POSTS_EDITIONS_MAX; i++) {
		post = (struct rig_post){.logical = 5, .minute = i};
		CHECK_EQ(rig_say(&post, POST_WANTED, 0), 0);
	}
	check_shown(0, 5, post.id);
	post = (struct rig_post){.logical = 5};
	CHECK_EQ(rig_say(&post, POST_WANTED, 0), WEFT_EFULL);
	post = (struct rig_post){.logical = 6};
	CHECK_EQ(rig_say(&post, POST_WANTED, 0), 0);
	rig_end();
}

/* --- watches --- */

static unsigned moved_cnts[4];
static void on_moved(void *ctx, enum post_moved what, const struct post_view *view, uint64_t now_ns)
{
	(void)now_ns;
	moved_cnts[what] += memcmp(view->id, ctx, POST_ID_LEN) == 0;
}

static void test_a_watch_hears_of_what_is_durable(void)
{
	struct rig_post post = {.author = 1};
	struct post_watch watch = {.moved = on_moved, .ctx = post.id};
	struct post_marking read = {post.id, POST_READ, 0};

	rig_begin();
	social_posts_watch(rig_posts, &watch);
	rig_make(&post);
	CHECK_EQ(rig_put(&post, POST_WANTED, 0), 0);
	/* A mark of a post that is not durable is one change with it. */
	CHECK_EQ(social_posts_mark(rig_posts, &read, rig_note, rig_now_ns), 0);
	CHECK_EQ(moved_cnts[POST_MOVED_PUT], 0);
	rig_settle();
	CHECK_EQ(moved_cnts[POST_MOVED_PUT], 1);
	CHECK_EQ(moved_cnts[POST_MOVED_MARK], 0);
	CHECK_EQ(rig_flags(post.id), POST_READ);
	CHECK_EQ(rig_renew(&(struct rig_post){.author = 1}), WEFT_EABSENT);
	CHECK_EQ(rig_renew(&post), 0);
	rig_settle();
	CHECK_EQ(moved_cnts[POST_MOVED_VISIBILITY], 1);
	CHECK_EQ(social_posts_forget(rig_posts, post.id, rig_now_ns), 0);
	CHECK_EQ(social_posts_known(rig_posts, post.id), POST_ABSENT);
	CHECK_EQ(moved_cnts[POST_MOVED_GONE], 0);
	rig_settle();
	CHECK_EQ(moved_cnts[POST_MOVED_GONE], 1);
	CHECK_EQ(rig_put(&post, POST_WANTED, 0), 0);
	social_posts_unwatch(&watch);
	rig_settle();
	CHECK_EQ(moved_cnts[POST_MOVED_PUT], 1);
	free(post.bytes);
	rig_end();
}

static bool on_attachment(void *arg, const uint8_t *post, const uint8_t *ids, size_t ids_len)
{
	unsigned *cnt = arg;

	(void)post;
	*cnt += ids_len == POST_ID_LEN && ids[0] == 9;
	return true;
}

static void test_attachments_of_held_posts_are_named_and_of_deleted_ones_not(void)
{
	static const uint8_t attached[POST_ID_LEN] = {9};
	struct rig_post plain = {.author = 1}, post = {.author = 1, .attachment = attached};
	unsigned cnt = 0;

	rig_begin();
	CHECK_EQ(rig_say(&plain, POST_WANTED, 0), 0);
	CHECK_EQ(rig_say(&post, POST_WANTED, 0), 0);
	rig_again();
	CHECK(social_posts_each_attachment(rig_posts, on_attachment, &cnt));
	CHECK_EQ(cnt, 1);
	CHECK_EQ(rig_delete(post.id, 1), 0);
	CHECK(social_posts_each_attachment(rig_posts, on_attachment, &cnt));
	CHECK_EQ(cnt, 1);
	rig_end();
}

/* Its attachments were made before it: a sweep at that time would take them. */
static void test_nothing_is_named_while_an_own_post_is_on_its_way_to_the_disk(void)
{
	static const uint8_t attached[POST_ID_LEN] = {9};
	struct rig_post own = {.author = 1, .attachment = attached}, other = own;
	unsigned cnt = 0;

	rig_begin();
	rig_make(&own);
	CHECK_EQ(rig_put(&own, POST_OWN, 0), 0);
	CHECK(!social_posts_each_attachment(rig_posts, on_attachment, &cnt));
	CHECK_EQ(cnt, 0);
	rig_settle();
	CHECK(social_posts_each_attachment(rig_posts, on_attachment, &cnt));
	CHECK_EQ(cnt, 1);
	other.author = 2;
	rig_make(&other);
	CHECK_EQ(rig_put(&other, POST_WANTED, 1), 0);
	CHECK(social_posts_each_attachment(rig_posts, on_attachment, &cnt));
	CHECK_EQ(cnt, 2);
	rig_settle();
	free(own.bytes);
	free(other.bytes);
	rig_end();
}

int main(void)
{
	RUN(test_a_post_is_held_at_once_and_read_when_it_is_durable);
	RUN(test_what_was_not_durable_at_a_crash_is_not_there);
	RUN(test_a_change_that_fails_leaves_what_the_disk_has);
	RUN(test_a_deleted_post_does_not_come_again_for_a_year);
	RUN(test_a_deletion_that_comes_first_counts_for_its_author_alone);
	RUN(test_readers_with_a_higher_number_alone_take_the_place_of_others);
	RUN(test_posts_to_equal_readers_have_one_number);
	RUN(test_a_feed_has_each_post_once_newest_first_over_its_pages);
	RUN(test_replies_come_oldest_first_and_go_with_their_post);
	RUN(test_marks_last_and_choose_what_a_page_has);
	RUN(test_the_edition_that_none_replaces_is_shown_in_whatever_order_they_come);
	RUN(test_of_shards_the_one_that_this_node_opens_is_shown);
	RUN(test_a_logical_id_has_1024_editions_and_not_one_more);
	RUN(test_a_watch_hears_of_what_is_durable);
	RUN(test_attachments_of_held_posts_are_named_and_of_deleted_ones_not);
	RUN(test_nothing_is_named_while_an_own_post_is_on_its_way_to_the_disk);
	return check_done();
}
