/* SPDX-License-Identifier: Apache-2.0 */
/* distsoc/sync/4: what goes and what comes. */
#include "sync_literal_rig.h"

static void test_a_hello_is_answered_by_all_ids_and_by_posts_that_the_peer_may_have(void)
{
	struct rig_post posts[5];
	struct line line;
	json_t *root;

	begin();
	posts[0] = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	posts[1] = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB));
	posts[2] = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(CAROL));
	posts[3] = rig_post(a, DAVE, VISIBILITY_PUBLIC, 0);
	posts[4] = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	CHECK_EQ(line_open(&line, BOB, 10), 0);
	say(&line, hello_of(ids_of(&posts[4], 1), follows_of(WHO(ALICE))));
	root = hear(&line);
	CHECK_EQ(json_array_size(body_of(root, "Hello", "post_ids")), 5);
	CHECK_EQ(json_array_size(body_of(root, "Hello", "follows")), 0);
	json_decref(root);
	root = hear(&line);
	CHECK_EQ(json_array_size(body_of(root, "Posts", "posts")), 2);
	CHECK(has_id(body_of(root, "Posts", "posts"), &posts[0]));
	CHECK(has_id(body_of(root, "Posts", "posts"), &posts[1]));
	json_decref(root);
	/* One that was asked for and may not be had is missing, and so is one that is not there. */
	root = ids_of(posts, 5);
	json_array_append_new(root, social_sync_json_id(rig_key(DAVE)));
	say(&line, json_pack("{s:{s:o}}", "PostRequest", "post_ids", root));
	root = hear(&line);
	CHECK_EQ(json_array_size(body_of(root, "Posts", "posts")), 3);
	CHECK(!has_id(body_of(root, "Posts", "posts"), &posts[2]));
	CHECK(!has_id(body_of(root, "Posts", "posts"), &posts[3]));
	json_decref(root);
	CHECK(!hear(&line));
	CHECK(!line.is_closed);
	line_close(&line);
	rig_end();
}

static void test_follows_are_said_to_a_chosen_peer_alone(void)
{
	struct line line;
	json_t *root;

	begin();
	a->follows = WHO(CAROL) | WHO(DAVE);
	for (unsigned is_chosen = 0; is_chosen < 2; is_chosen++) {
		a->chosen = is_chosen ? WHO(BOB) : WHO(CAROL);
		CHECK_EQ(line_open(&line, BOB, 10), 0);
		say(&line, hello_of(json_array(), json_array()));
		root = hear(&line);
		CHECK_EQ(json_array_size(body_of(root, "Hello", "follows")), is_chosen ? 2 : 0);
		json_decref(root);
		line_close(&line);
	}
	rig_end();
}

/* A post as JSON says it is the same bytes again, of whatever parts. */
static void test_a_post_goes_through_json_and_keeps_its_id(void)
{
	static const uint8_t ids[2][POST_ID_LEN] = {{1}, {2}}, key[NODE_KEY_LEN] = {3};
	struct post post = {
		.author = key,
		.time_ms = RIG_TIME,
		.content = "say \"\\\xc3\xa4\n\x01\x00 it",
		.content_len = 13,
		.attachments = {{ids[0], 32, "image/png", 9, 1000}, {ids[0], 64, "", 0, 0}},
		.attachment_cnt = 2,
		.parent = ids[1],
		.mentions = {{4}, {5}},
		.mention_cnt = 2};
	static uint8_t bytes[4096];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct sync_copy copy = {.claim = {ids[0], 7}};
	struct sync_json_post got;
	uint8_t id[POST_ID_LEN];
	struct rig_post said;
	json_t *item;

	begin();
	said = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB) | WHO(CAROL));
	social_post_write(&w, &post);
	CHECK(!w.bad);
	social_post_id(bytes, writer_len(&w), id);
	copy.post = (struct sync_bytes){bytes, writer_len(&w)};
	copy.visibility = said.visibility;
	item = social_sync_json_post_write(id, &copy);
	CHECK(item != NULL);
	CHECK_EQ(social_sync_json_post_read(item, &got), 0);
	CHECK_EQ(got.post.len, copy.post.len);
	CHECK_MEM(got.post.bytes, bytes, copy.post.len);
	CHECK_MEM(got.claim.bytes, ids[0], 7);
	CHECK_EQ(got.visibility.len, said.visibility.len);
	CHECK_EQ(json_array_size(json_object_get(
			 json_object_get(json_object_get(item, "visibility"), "Encrypted"),
			 "recipients")),
		 2);
	social_sync_json_post_free(&got);
	/* Another text under that id. */
	json_object_set_new(json_object_get(item, "post"), "content", json_string("altered"));
	CHECK_EQ(social_sync_json_post_read(item, &got), WEFT_EDAMAGED);
	json_object_del(json_object_get(item, "post"), "author");
	CHECK_EQ(social_sync_json_post_read(item, &got), WEFT_EMALFORMED);
	json_decref(item);
	rig_end();
}

static json_t *posts_of(struct rig_node *node, const struct rig_post *post)
{
	struct sync_copy copy;
	json_t *item;

	if (!rig_read(node, post->id, &copy))
		abort();
	item = social_sync_json_post_write(post->id, &copy);
	return json_pack("{s:{s:[o]}}", "Posts", "posts", item);
}

static void test_posts_of_a_peer_come_in_unless_they_are_unsigned_and_of_another(void)
{
	struct rig_node *other;
	struct rig_post post;
	struct line line;
	json_t *root, *item;

	begin();
	other = rig_add();
	CHECK_EQ(line_open(&line, BOB, 10), 0);
	post = rig_post(other, CAROL, VISIBILITY_PUBLIC, 0);
	say(&line, posts_of(other, &post));
	CHECK(rig_holds(a, post.id));
	post = rig_post(other, CAROL, VISIBILITY_PUBLIC, 0);
	root = posts_of(other, &post);
	item = json_array_get(body_of(root, "Posts", "posts"), 0);
	json_object_del(item, "claim");
	say(&line, root);
	CHECK(!rig_holds(a, post.id));
	CHECK_EQ(rig_stats(a).unsigned_cnt, 1);
	CHECK(!line.is_closed);
	line_close(&line);
	rig_end();
}

static void test_a_frame_may_come_in_pieces_of_any_length(void)
{
	char text[] = "....{\"Hello\":{\"post_ids\":[],\"follows\":[]}}";
	size_t len = sizeof(text) - 1;
	struct line line;
	json_t *root;

	begin();
	memcpy(text, (const uint8_t[4]){0, 0, 0, (uint8_t)(len - 4)}, 4);
	for (size_t piece = 1; piece <= len; piece++) {
		CHECK_EQ(line_open(&line, BOB, 10), 0);
		for (size_t at = 0; at < len; at += piece)
			say_piece(&line, text + at, len - at < piece ? len - at : piece);
		root = hear(&line);
		CHECK(root != NULL);
		json_decref(root);
		line_close(&line);
	}
	rig_end();
}

static json_t *request_of(const struct rig_post *posts, unsigned cnt)
{
	return json_pack("{s:{s:o}}", "PostRequest", "post_ids", ids_of(posts, cnt));
}

static void test_private_posts_wait_for_their_marks_and_answers_keep_their_order(void)
{
	struct rig_post posts[2];
	struct line line;
	json_t *root;

	for (int err = 0; err >= WEFT_EFULL; err += WEFT_EFULL) {
		begin();
		posts[0] = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
		posts[1] = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB));
		a->gives_late = true;
		CHECK_EQ(line_open(&line, BOB, 10), 0);
		say(&line, hello_of(json_array(), follows_of(WHO(ALICE))));
		json_decref(hear(&line));
		say(&line, request_of(posts, 1));
		CHECK(!hear(&line));
		CHECK(rig_gave(a, &posts[1], BOB) && !rig_gave(a, &posts[0], BOB));
		rig_marks_write(a, err);
		root = hear(&line);
		CHECK(has_id(body_of(root, "Posts", "posts"), &posts[0]));
		CHECK_EQ(has_id(body_of(root, "Posts", "posts"), &posts[1]), err == 0);
		json_decref(root);
		root = hear(&line);
		CHECK_EQ(json_array_size(body_of(root, "Posts", "posts")), 1);
		json_decref(root);
		CHECK(!line.is_closed);
		line_close(&line);
		rig_end();
	}
}

static void test_a_connection_may_end_while_marks_are_on_their_way(void)
{
	struct rig_post posts[1];
	struct line line;

	for (unsigned way = 0; way < 3; way++) {
		begin();
		posts[0] = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB));
		a->gives_late = true;
		CHECK_EQ(line_open(&line, BOB, 10), 0);
		say(&line, request_of(posts, 1));
		say(&line, request_of(posts, 0)); /* behind it */
		CHECK_EQ(line.out_len, 0);
		if (way == 0)
			line_close(&line);
		if (way == 1) /* another stream takes its place, and gets nothing of it */
			social_sync_literal_events.stream_closed(a->sync, &line.stream, 0,
								 rig_lab.now_ns);
		if (way < 2)
			rig_marks_write(a, 0);
		if (way == 1) {
			CHECK_EQ(line.out_len, 0);
			line.stream.user = NULL;
			line_close(&line);
		}
		rig_end(); /* which frees what waits */
		if (way == 2)
			free(line.out);
	}
}

int main(void)
{
	RUN(test_a_hello_is_answered_by_all_ids_and_by_posts_that_the_peer_may_have);
	RUN(test_follows_are_said_to_a_chosen_peer_alone);
	RUN(test_a_post_goes_through_json_and_keeps_its_id);
	RUN(test_posts_of_a_peer_come_in_unless_they_are_unsigned_and_of_another);
	RUN(test_a_frame_may_come_in_pieces_of_any_length);
	RUN(test_private_posts_wait_for_their_marks_and_answers_keep_their_order);
	RUN(test_a_connection_may_end_while_marks_are_on_their_way);
	return check_done();
}
