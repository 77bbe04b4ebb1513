/* SPDX-License-Identifier: Apache-2.0 */
/* distsoc/sync/4: what is refused, and what ends a connection. */
#include "sync_literal_rig.h"

/* The text in a frame of its own; whether the connection lives on. */
static bool is_taken(const char *text, size_t len)
{
	struct line line;
	bool is_closed;

	if (line_open(&line, BOB, 10) < 0)
		abort();
	say_text(&line, text, len);
	is_closed = line.is_closed;
	line_close(&line);
	/* The quota of messages is not what is tested. */
	rig_pass(NS_PER_S);
	return !is_closed;
}

static void test_messages_that_are_none_end_the_connection(void)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"7",
		"{}",
		"{\"Hello\":[]}",
		"{\"Hello\":{},\"Posts\":{}}",
		"{\"Hi\":{}}",
		"{\"Hello\":{\"post_ids\":7}}",
		"{\"Hello\":{\"follows\":[\"zz\"]}}",
		"{\"PostRequest\":{\"post_ids\":[\"00\"]}}",
		"{\"Posts\":{\"posts\":[{}]}}",
		"{\"Hello\":{\"a\":[[[[[[[]]]]]]]}}",
	};
	static const char deep[] = "{\"Hello\":{\"a\":[[[[[[]]]]]]}}";
	static const char quoted[] = "{\"Hello\":{\"a\":\"[[[[[[[[[[\\\"[[[[[[[[[[\"}}";

	begin();
	CHECK(is_taken(deep, strlen(deep)));
	CHECK(is_taken(quoted, strlen(quoted)));
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CHECK(!is_taken(texts[i], strlen(texts[i])));
		CHECK_EQ(rig_stats(a).malformed_cnt, i + 1);
	}
	rig_end();
}

/* A list of cnt ids under that name. */
static bool list_is_taken(const char *name, unsigned cnt)
{
	json_t *list = json_array(), *root;
	uint8_t id[32] = {0};
	char *text;
	bool is;

	for (unsigned i = 0; i < cnt; i++) {
		id[0] = (uint8_t)(i >> 8);
		id[1] = (uint8_t)i;
		json_array_append_new(list, social_sync_json_id(id));
	}
	root = json_pack("{s:{s:o}}", "Hello", name, list);
	text = json_dumps(root, JSON_COMPACT);
	is = is_taken(text, strlen(text));
	free(text);
	json_decref(root);
	return is;
}

static void test_a_hello_has_at_most_10000_ids_and_4096_follows(void)
{
	begin();
	CHECK(list_is_taken("post_ids", 10000));
	CHECK(!list_is_taken("post_ids", 10001));
	CHECK(list_is_taken("follows", SYNC_FOLLOWS_MAX));
	CHECK(!list_is_taken("follows", SYNC_FOLLOWS_MAX + 1));
	rig_end();
}

static void test_a_message_has_at_most_1_mib(void)
{
	char *text = malloc(SYNC_JSON_LEN_MAX + 1);

	begin();
	memset(text, ' ', SYNC_JSON_LEN_MAX + 1);
	memcpy(text, "{\"Hello\":{}}", 12);
	CHECK(is_taken(text, SYNC_JSON_LEN_MAX));
	CHECK(!is_taken(text, SYNC_JSON_LEN_MAX + 1));
	free(text);
	rig_end();
}

static void test_a_peer_that_takes_no_answers_gets_no_further_ones(void)
{
	struct line line;

	begin();
	CHECK_EQ(line_open(&line, BOB, 10), 0);
	line.holds = true;
	for (unsigned i = 0; i < 2; i++)
		say(&line, hello_of(json_array(), json_array()));
	CHECK(!line.is_closed);
	say(&line, hello_of(json_array(), json_array()));
	CHECK(line.is_closed);
	CHECK_EQ(line.held_cnt, 4);
	line_close(&line);
	rig_end();
}

/* As many as are marked at once; the one that is left is asked for. */
static void test_a_message_has_at_most_256_private_posts(void)
{
	static struct rig_post posts[SYNC_GIVE_MAX + 1];
	struct line line;
	json_t *root;

	begin();
	for (unsigned i = 0; i <= SYNC_GIVE_MAX; i++)
		posts[i] = rig_post(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB));
	CHECK_EQ(line_open(&line, BOB, 10), 0);
	say(&line, hello_of(json_array(), json_array()));
	root = hear(&line);
	CHECK_EQ(json_array_size(body_of(root, "Hello", "post_ids")), SYNC_GIVE_MAX + 1);
	json_decref(root);
	root = hear(&line);
	CHECK_EQ(json_array_size(body_of(root, "Posts", "posts")), SYNC_GIVE_MAX);
	CHECK(!has_id(body_of(root, "Posts", "posts"), &posts[0])); /* the oldest */
	CHECK(!rig_gave(a, &posts[0], BOB));
	json_decref(root);
	say(&line, json_pack("{s:{s:o}}", "PostRequest", "post_ids", ids_of(posts, 1)));
	root = hear(&line);
	CHECK(has_id(body_of(root, "Posts", "posts"), &posts[0]));
	CHECK(rig_gave(a, &posts[0], BOB));
	json_decref(root);
	CHECK(!line.is_closed);
	line_close(&line);
	rig_end();
}

static void test_16_connections_are_shared_among_networks(void)
{
	static struct line lines[SYNC_LITERAL_MAX + 2];

	begin();
	for (unsigned i = 0; i < SYNC_LITERAL_MAX; i++)
		CHECK_EQ(line_open(&lines[i], BOB, 10), 0);
	/* The 17th of that network finds no place; one of another takes one. */
	CHECK_EQ(line_open(&lines[SYNC_LITERAL_MAX], BOB, 10), WEFT_EREFUSED);
	CHECK_EQ(line_open(&lines[SYNC_LITERAL_MAX], CAROL, 11), 0);
	CHECK(lines[SYNC_LITERAL_MAX - 1].is_closed);
	for (unsigned i = 0; i <= SYNC_LITERAL_MAX; i++)
		line_close(&lines[i]);
	rig_end();
}

/* A node that stops has answers on their way, which come back later. */
static void test_an_answer_outlives_the_sync(void)
{
	struct line line;

	begin();
	CHECK_EQ(line_open(&line, BOB, 10), 0);
	line.holds = true;
	say(&line, hello_of(json_array(), json_array()));
	CHECK_EQ(line.held_cnt, 2);
	rig_stop(a);
	for (unsigned i = 0; i < line.held_cnt; i++)
		line.held[i].done(line.held[i].arg);
	free(line.out);
	rig_end();
}

/* cnt hellos in one piece; the peer takes their answers at once. */
static void say_hellos(struct line *line, unsigned cnt)
{
	static const char frame[] = "\0\0\0\x0c{\"Hello\":{}}";
	char *piece = malloc(cnt * (sizeof(frame) - 1));

	for (unsigned i = 0; i < cnt; i++)
		memcpy(piece + i * (sizeof(frame) - 1), frame, sizeof(frame) - 1);
	say_piece(line, piece, cnt * (sizeof(frame) - 1));
	free(piece);
}

/* Four keys of a network use up its quota: the first frame of a fifth one ends its connection. */
static void test_a_network_says_960_messages_in_a_minute(void)
{
	struct line line;

	begin();
	for (unsigned person = BOB; person < BOB + 4; person++) {
		CHECK_EQ(line_open(&line, person, 10), 0);
		say_hellos(&line, 240);
		CHECK(!line.is_closed);
		line_close(&line);
	}
	CHECK_EQ(rig_stats(a).literal_cnt, 960);
	CHECK_EQ(line_open(&line, BOB + 4, 10), 0);
	say_hellos(&line, 3);
	CHECK(line.is_closed);
	CHECK_EQ(rig_stats(a).literal_cnt, 960);
	/* Of those behind it none is looked at. */
	CHECK_EQ(rig_stats(a).hurried_cnt, 1);
	say_hellos(&line, 1);
	CHECK_EQ(rig_stats(a).hurried_cnt, 1);
	line_close(&line);
	/* Those of another network are heard. */
	CHECK_EQ(line_open(&line, BOB + 5, 11), 0);
	say_hellos(&line, 1);
	CHECK(!line.is_closed);
	line_close(&line);
	rig_end();
}

static void test_a_blocked_peer_gets_no_connection(void)
{
	struct line line;

	begin();
	a->blocked = WHO(BOB);
	CHECK_EQ(line_open(&line, BOB, 10), WEFT_EREFUSED);
	rig_end();
}

int main(void)
{
	RUN(test_messages_that_are_none_end_the_connection);
	RUN(test_a_hello_has_at_most_10000_ids_and_4096_follows);
	RUN(test_a_message_has_at_most_1_mib);
	RUN(test_a_peer_that_takes_no_answers_gets_no_further_ones);
	RUN(test_a_message_has_at_most_256_private_posts);
	RUN(test_16_connections_are_shared_among_networks);
	RUN(test_an_answer_outlives_the_sync);
	RUN(test_a_network_says_960_messages_in_a_minute);
	RUN(test_a_blocked_peer_gets_no_connection);
	return check_done();
}
