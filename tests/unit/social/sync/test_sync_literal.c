/* SPDX-License-Identifier: Apache-2.0 */
/* distsoc/sync/4 over a transport of the test: frames of JSON, the filter, and its limits. */
#include "base/transport.h"
#include "codec/json_heap.h"
#include "codec/text/hex.h"
#include "social/sync/sync_json.h"
#include "sync_posts_rig.h"
#include "sync_rig.h"

enum { ALICE, BOB, CAROL, DAVE };
static struct rig_node *a;

/* A connection of Bob's program. */
struct line {
	struct transport_conn conn;
	struct transport_stream stream;
	struct transport_conn_info info;
	uint8_t *out;
	size_t out_len, read_len;
	bool is_closed, is_finished;
	struct transport_span held[8]; /* where the other side takes nothing */
	unsigned held_cnt;
	bool holds;
};

static void op_close(struct transport_conn *conn, uint64_t code, const char *reason)
{
	(void)code, (void)reason;
	((struct line *)(void *)conn)->is_closed = true;
}

static int op_send(struct transport_stream *stream, const struct transport_span *span)
{
	struct line *line = container_of(stream, struct line, stream);

	line->out = realloc(line->out, line->out_len + span->len);
	memcpy(line->out + line->out_len, span->data, span->len);
	line->out_len += span->len;
	if (line->holds && line->held_cnt < 8)
		line->held[line->held_cnt++] = *span;
	else
		span->done(span->arg);
	return 0;
}

static void op_finish(struct transport_stream *stream)
{
	container_of(stream, struct line, stream)->is_finished = true;
}

static void op_consume(struct transport_stream *stream, size_t len)
{
	(void)stream, (void)len;
}

static void op_info(const struct transport_conn *conn, struct transport_conn_info *out_info)
{
	*out_info = ((const struct line *)(const void *)conn)->info;
}

static const struct transport_ops ops = {.close = op_close,
					 .send = op_send,
					 .finish = op_finish,
					 .consume = op_consume,
					 .info = op_info};

static int line_open(struct line *line, unsigned person, uint8_t network)
{
	int err;

	memset(line, 0, sizeof(*line));
	line->conn.ops = line->stream.ops = &ops;
	memcpy(line->info.peer_key, rig_key(person), NODE_KEY_LEN);
	line->info.remote = (struct addr){.family = ADDR_IPV4, .ip = {network, 0, 0, 1}, .port = 7};
	err = social_sync_literal_events.conn_ready(a->sync, &line->conn, rig_lab.now_ns);
	if (err == 0)
		err = social_sync_literal_events.stream_opened(a->sync, &line->conn, &line->stream,
							       rig_lab.now_ns);
	return err;
}

static void line_close(struct line *line)
{
	const struct transport_close close = {.err = WEFT_ECLOSED};

	for (unsigned i = 0; i < line->held_cnt; i++)
		line->held[i].done(line->held[i].arg);
	if (line->stream.user)
		social_sync_literal_events.stream_closed(a->sync, &line->stream, 0, rig_lab.now_ns);
	social_sync_literal_events.conn_closed(a->sync, &line->conn, &close, rig_lab.now_ns);
	free(line->out);
}

static void begin(void)
{
	json_heap_begin();
	rig_begin(&rig_calm);
	a = rig_add();
}

static void say_piece(struct line *line, const void *data, size_t len)
{
	const struct transport_piece piece = {.data = data, .len = len};

	social_sync_literal_events.stream_data(a->sync, &line->stream, &piece, rig_lab.now_ns);
}

static void say_text(struct line *line, const char *text, size_t len)
{
	const uint8_t head[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
				 (uint8_t)len};

	say_piece(line, head, sizeof(head));
	say_piece(line, text, len);
}

/* Takes root. */
static void say(struct line *line, json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT);

	say_text(line, text, strlen(text));
	free(text);
	json_decref(root);
}

/* The next frame, or NULL. The caller gives it back. */
static json_t *hear(struct line *line)
{
	const uint8_t *at = line->out + line->read_len;
	size_t len;
	json_t *root;

	if (line->out_len < line->read_len + 4)
		return NULL;
	len = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
	root = json_loadb((const char *)at + 4, len, 0, NULL);
	line->read_len += 4 + len;
	if (!root)
		abort();
	return root;
}

static json_t *ids_of(const struct rig_post *posts, unsigned cnt)
{
	json_t *ids = json_array();

	for (unsigned i = 0; i < cnt; i++)
		json_array_append_new(ids, social_sync_json_id(posts[i].id));
	return ids;
}

static json_t *follows_of(unsigned people)
{
	json_t *keys = json_array();

	for (unsigned i = 0; i < RIG_PEOPLE; i++)
		if (people >> i & 1)
			json_array_append_new(keys, social_sync_json_id(rig_key(i)));
	return keys;
}

static json_t *hello_of(json_t *ids, json_t *follows)
{
	return json_pack("{s:{s:o, s:o}}", "Hello", "post_ids", ids, "follows", follows);
}

static json_t *body_of(const json_t *root, const char *name, const char *list)
{
	return json_object_get(json_object_get(root, name), list);
}

static bool has_id(const json_t *posts, const struct rig_post *post)
{
	char text[HEX_TEXT_CAP(POST_ID_LEN)];
	const json_t *item;
	size_t i;

	hex_write(post->id, POST_ID_LEN, text);
	json_array_foreach(
		posts, i, item) if (strcmp(json_string_value(json_is_string(item)
								     ? item
								     : json_object_get(item, "id")),
					   text) == 0) return true;
	return false;
}

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
	RUN(test_a_hello_is_answered_by_all_ids_and_by_posts_that_the_peer_may_have);
	RUN(test_follows_are_said_to_a_chosen_peer_alone);
	RUN(test_a_post_goes_through_json_and_keeps_its_id);
	RUN(test_posts_of_a_peer_come_in_unless_they_are_unsigned_and_of_another);
	RUN(test_a_frame_may_come_in_pieces_of_any_length);
	RUN(test_messages_that_are_none_end_the_connection);
	RUN(test_a_hello_has_at_most_10000_ids_and_4096_follows);
	RUN(test_a_message_has_at_most_1_mib);
	RUN(test_a_peer_that_takes_no_answers_gets_no_further_ones);
	RUN(test_private_posts_wait_for_their_marks_and_answers_keep_their_order);
	RUN(test_a_connection_may_end_while_marks_are_on_their_way);
	RUN(test_16_connections_are_shared_among_networks);
	RUN(test_an_answer_outlives_the_sync);
	RUN(test_a_network_says_960_messages_in_a_minute);
	RUN(test_a_blocked_peer_gets_no_connection);
	return check_done();
}
