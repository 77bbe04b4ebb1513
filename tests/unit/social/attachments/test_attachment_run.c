/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of nodes in session, as they answer, are silent or send other bytes. */
#include "attachments_rig.h"

#include "social/attachments/attachment_pieces.h"

static void test_a_piece_is_asked_of_its_author_and_kept(void)
{
	uint8_t id[POST_ID_LEN];
	struct rig_post post;

	begin();
	id_of("hello", id);
	post = post_say(1, id);
	CHECK_EQ(ask_cnt, 1);
	CHECK_MEM(asked()->ask.peer.key, rig_key(1), MESH_KEY_LEN);
	CHECK_MEM(asked()->get.post, post.id, POST_ID_LEN);
	CHECK_EQ(asked()->ask.peer.addr_cnt, 0);
	answer("hello", 0);
	CHECK_EQ(figures().fetched_cnt, 1);
	CHECK_EQ(figures().wanted_len, 5);
	CHECK_EQ(figures().waiting_cnt, 0);
	CHECK_EQ(hold_cnt, 0);
	/* What another post names comes for that one, too. */
	(void)post_say(2, id);
	CHECK_EQ(ask_cnt, 2);
	CHECK_EQ(figures().wanted_len, 5);
	answer("hello", 0);
	CHECK_EQ(figures().wanted_len, 10);
	end();
}

static void test_a_silent_node_keeps_no_place_and_is_asked_at_its_next_sync(void)
{
	uint8_t id[POST_ID_LEN];

	begin();
	id_of("hello", id);
	(void)post_say(1, id);
	answer(NULL, WEFT_ETIMEOUT);
	CHECK(!asked());
	CHECK_EQ(figures().failed_cnt, 1);
	CHECK_EQ(figures().waiting_cnt, 1);
	/* A place for another author. */
	id_of("other", id);
	(void)post_say(2, id);
	CHECK_EQ(ask_cnt, 2);
	answer("other", 0);
	CHECK_EQ(figures().fetched_cnt, 1);
	social_attachments_synced(attachments, rig_key(1), rig_now_ns);
	rig_settle();
	CHECK_EQ(ask_cnt, 3);
	answer("hello", 0);
	CHECK_EQ(figures().waiting_cnt, 0);
	end();
}

static void test_a_node_is_tried_again_at_longer_and_longer_times(void)
{
	uint8_t id[POST_ID_LEN];
	unsigned before;

	begin();
	id_of("hello", id);
	(void)post_say(1, id);
	answer(NULL, WEFT_EABSENT);
	rig_pass(29 * NS_PER_S);
	CHECK_EQ(ask_cnt, 1);
	rig_pass(10 * NS_PER_S);
	CHECK_EQ(ask_cnt, 2);
	for (unsigned i = 0; i < 20; i++) {
		if (asked())
			answer(NULL, WEFT_EABSENT);
		rig_pass(600 * NS_PER_S);
	}
	before = ask_cnt;
	rig_pass(1800 * NS_PER_S);
	CHECK(ask_cnt - before <= 1);
	end();
}

static void test_wrong_bytes_are_dropped_and_another_node_is_asked(void)
{
	uint8_t id[POST_ID_LEN];

	begin();
	is_related = true;
	id_of("hello", id);
	(void)post_say(1, id);
	answer("wrong", 0);
	CHECK_EQ(figures().bad_cnt, 1);
	CHECK_EQ(figures().fetched_cnt, 0);
	CHECK_EQ(ask_cnt, 2);
	CHECK_MEM(asked()->ask.peer.key, rig_key(7), MESH_KEY_LEN);
	answer("hello", 0);
	CHECK_EQ(figures().fetched_cnt, 1);
	/* A new session of the first one makes it no more honest. */
	social_attachments_synced(attachments, rig_key(1), rig_now_ns);
	id_of("other", id);
	(void)post_say(1, id);
	CHECK_MEM(asked()->ask.peer.key, rig_key(7), MESH_KEY_LEN);
	end();
}

static void test_a_piece_that_another_run_brought_is_fetched_for_each_post(void)
{
	uint8_t id[POST_ID_LEN];

	begin();
	id_of("hello", id);
	(void)post_say(1, id);
	(void)post_say(2, id);
	CHECK_EQ(ask_cnt, 2);
	answer("hello", 0);
	answer("hello", 0);
	CHECK_EQ(figures().wanted_len, 10);
	id_of("other", id);
	(void)post_say(1, id);
	(void)post_say(2, id);
	answer("other", 0);
	answer(NULL, WEFT_EABSENT);
	CHECK_EQ(figures().wanted_len, 15);
	rig_pass(40 * NS_PER_S);
	answer("other", 0);
	CHECK_EQ(figures().waiting_cnt, 0);
	CHECK_EQ(figures().wanted_len, 20);
	end();
}

static void test_two_posts_of_one_author_are_fetched_at_once_and_no_more(void)
{
	static const char *const texts[] = {"text1", "text2", "text3"};
	uint8_t id[POST_ID_LEN];

	begin();
	for (unsigned i = 0; i < 3; i++) {
		id_of(texts[i], id);
		(void)post_say(1, id);
	}
	CHECK_EQ(ask_cnt, 2);
	id_of("other", id);
	(void)post_say(2, id);
	CHECK_EQ(ask_cnt, 3);
	end();
}

static void test_what_is_larger_comes_when_asked_for_alone(void)
{
	uint8_t id[POST_ID_LEN];
	struct rig_post post;

	begin();
	social_attachments_stop(attachments);
	social_attachments_close(attachments);
	config.auto_len = 4;
	files_up();
	id_of("hello", id);
	post = post_say(1, id);
	CHECK_EQ(ask_cnt, 0);
	CHECK_EQ(social_attachments_want(attachments, post.id, 1, rig_now_ns), 0);
	rig_settle();
	CHECK_EQ(ask_cnt, 1);
	answer("hello", 0);
	CHECK_EQ(figures().fetched_cnt, 1);
	CHECK_EQ(social_attachments_want(attachments, id, 1, rig_now_ns), WEFT_EABSENT);
	end();
}

static void test_no_node_in_session_is_no_question(void)
{
	uint8_t id[POST_ID_LEN];

	begin();
	is_there = false;
	id_of("hello", id);
	(void)post_say(1, id);
	CHECK_EQ(ask_cnt, 0);
	CHECK_EQ(figures().waiting_cnt, 1);
	is_there = true;
	social_attachments_synced(attachments, rig_key(1), rig_now_ns);
	rig_settle();
	CHECK_EQ(ask_cnt, 1);
	end();
}

static int mark_count(void *arg, const struct piece_mark *mark)
{
	(void)mark;
	++*(unsigned *)arg;
	return 0;
}

static unsigned mark_cnt(void)
{
	unsigned cnt = 0;

	return social_marks_each(rig_ground.store, NULL, mark_count, &cnt) < 0 ? UINT32_MAX : cnt;
}

static void test_a_deleted_post_ends_its_run_and_sweeps_what_it_had(void)
{
	uint8_t id[POST_ID_LEN];
	struct rig_post first, second;

	begin();
	id_of("hello", id);
	first = post_say(1, id);
	answer("hello", 0);
	id_of("other", id);
	second = post_say(1, id);
	CHECK(asked());
	CHECK_EQ(rig_delete(second.id, 1), 0);
	rig_settle();
	CHECK(!asked());
	CHECK_EQ(rig_delete(first.id, 1), 0);
	rig_settle();
	CHECK_EQ(figures().wanted_len, 0);
	CHECK_EQ(figures().post_cnt, 0);
	CHECK_EQ(sweep_cnt, 0);
	CHECK_EQ(mark_cnt(), 1);
	rig_pass(ATTACHMENT_SWEEP_NS + 5 * NS_PER_S);
	CHECK_EQ(sweep_cnt, 1);
	CHECK_EQ(mark_cnt(), 0);
	rig_pass(ATTACHMENT_SWEEP_EVERY_NS);
	CHECK_EQ(sweep_cnt, 1);
	end();
}

static void test_what_is_missing_is_known_after_a_restart(void)
{
	uint8_t id[POST_ID_LEN];

	begin();
	id_of("hello", id);
	(void)post_say(1, id);
	answer("hello", 0);
	id_of("other", id);
	(void)post_say(2, id);
	social_attachments_stop(attachments);
	social_attachments_close(attachments);
	memset(asks, 0, sizeof(asks));
	files_up();
	rig_settle();
	CHECK_EQ(figures().post_cnt, 2);
	CHECK_EQ(figures().wanted_len, 5);
	CHECK_EQ(ask_cnt, 3);
	CHECK_MEM(asked()->ask.peer.key, rig_key(2), MESH_KEY_LEN);
	end();
}

int main(void)
{
	RUN(test_a_piece_is_asked_of_its_author_and_kept);
	RUN(test_a_silent_node_keeps_no_place_and_is_asked_at_its_next_sync);
	RUN(test_a_node_is_tried_again_at_longer_and_longer_times);
	RUN(test_wrong_bytes_are_dropped_and_another_node_is_asked);
	RUN(test_a_piece_that_another_run_brought_is_fetched_for_each_post);
	RUN(test_two_posts_of_one_author_are_fetched_at_once_and_no_more);
	RUN(test_what_is_larger_comes_when_asked_for_alone);
	RUN(test_no_node_in_session_is_no_question);
	RUN(test_a_deleted_post_ends_its_run_and_sweeps_what_it_had);
	RUN(test_what_is_missing_is_known_after_a_restart);
	return check_done();
}
