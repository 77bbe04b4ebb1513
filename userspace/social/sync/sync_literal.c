/* SPDX-License-Identifier: Apache-2.0 */
/*
 * distsoc/sync/4: the same posts for programs that are no node of the mesh, on connections of their own
 * (docs/wire/social.md). The interface is literal: Hello names all posts of this node. So only what is in
 * them is withheld here, and what 600 to 603 hide of their being there is not hidden. Follows are [] but
 * for chosen peers.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/byte_cursor.h"
#include "base/monotonic.h"
#include "base/transport.h"
#include "social/sync/sync_json.h"
#include "social/sync/sync_state.h"
#include "social/ground/sorted_keys.h"

#define HEAD_LEN	4u
#define LITERAL_IDS_MAX 10000u
#define ANSWERS_MAX	4u /* on their way, of one connection; a message has two at most */
#define CODE_REFUSED	1u
#define CODE_MALFORMED	2u

/* Answers go in the order of the questions, so one behind one that waits waits as well. */
struct literal_answer {
	struct literal_conn *conn; /* NULL: it ended */
	unsigned number;
	bool is_waiting; /* for the marks of its posts */
	json_t *root;	 /* until it is sent */
	uint8_t *bytes;	 /* since then */
};
struct literal_conn {
	struct sync *sync;
	struct transport_conn *conn;
	struct transport_stream *stream;
	struct fair_item slot;
	struct sync_peer peer; /* in no table: for the filter alone */
	uint8_t *in;	       /* HEAD_LEN + SYNC_JSON_LEN_MAX */
	size_t in_len;
	struct literal_answer *answers[ANSWERS_MAX];
	unsigned answer_cnt, answer_number;
	uint64_t now_ns;
	bool is_closing; /* nothing more is heard on it */
};

static const struct fair_config conn_config = {
	.name = "social.literal",
	.cap_cnt = SYNC_LITERAL_MAX,
	.kind = FAIR_LASTING,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

static void conn_close(struct literal_conn *conn, uint64_t code, const char *reason)
{
	conn->is_closing = true;
	conn->in_len = 0;
	conn->conn->ops->close(conn->conn, code, reason);
}

/* --- out --- */

static void answer_done(void *arg)
{
	struct literal_answer *answer = arg;
	struct literal_conn *conn = answer->conn;

	for (unsigned i = 0; conn && i < ANSWERS_MAX; i++)
		if (conn->answers[i] == answer) {
			conn->answers[i] = NULL;
			conn->answer_cnt--;
		}
	json_decref(answer->root);
	free(answer->bytes);
	free(answer);
}

/* Those that were not sent; one that waits for marks goes when they are there. */
static void answers_drop(struct literal_conn *conn)
{
	for (unsigned i = 0; i < ANSWERS_MAX; i++) {
		struct literal_answer *answer = conn->answers[i];

		if (!answer || answer->bytes)
			continue;
		if (!answer->is_waiting) {
			answer_done(answer);
			continue;
		}
		answer->conn = NULL;
		conn->answers[i] = NULL;
		conn->answer_cnt--;
	}
}

/* NULL: there is no room or no memory. Takes root. */
static struct literal_answer *answer_make(struct literal_conn *conn, json_t *root)
{
	struct literal_answer *answer = NULL;
	unsigned i = 0;

	if (root && conn->stream && conn->answer_cnt < ANSWERS_MAX)
		answer = calloc(1, sizeof(*answer));
	if (!answer) {
		json_decref(root);
		return NULL;
	}
	*answer = (struct literal_answer){
		.conn = conn, .number = conn->answer_number++, .root = root};
	while (conn->answers[i])
		i++;
	conn->answers[i] = answer;
	conn->answer_cnt++;
	return answer;
}

/* The frame; false: there was no memory for it, and the answer is gone. */
static bool answer_send(struct literal_answer *answer)
{
	struct literal_conn *conn = answer->conn;
	size_t len = json_dumpb(answer->root, NULL, 0, JSON_COMPACT);
	uint8_t *bytes = len ? malloc(HEAD_LEN + len) : NULL;
	struct transport_span span = {
		.data = bytes, .len = HEAD_LEN + len, .done = answer_done, .arg = answer};
	struct writer w = writer_of(bytes, HEAD_LEN);

	if (!bytes) {
		answer_done(answer);
		return false;
	}
	writer_be32(&w, (uint32_t)len);
	(void)json_dumpb(answer->root, (char *)bytes + HEAD_LEN, len, JSON_COMPACT);
	json_decref(answer->root);
	answer->root = NULL;
	answer->bytes = bytes;
	if (conn->stream->ops->send(conn->stream, &span) < 0)
		answer_done(answer);
	return true;
}

static struct literal_answer *answer_next(const struct literal_conn *conn)
{
	struct literal_answer *next = NULL;

	for (unsigned i = 0; i < ANSWERS_MAX; i++) {
		struct literal_answer *answer = conn->answers[i];

		if (answer && answer->root && (!next || answer->number < next->number))
			next = answer;
	}
	return next;
}

static void answers_send(struct literal_conn *conn)
{
	struct literal_answer *answer;

	while ((answer = answer_next(conn)) && !answer->is_waiting)
		if (!answer_send(answer)) {
			conn_close(conn, CODE_REFUSED, "no room for an answer");
			return;
		}
}

static bool is_lost(const void *giving, const uint8_t *id)
{
	return social_sync_is_lost(giving, id);
}

static void on_given(struct sync_giving *giving, int err)
{
	struct literal_answer *answer = giving->arg;
	struct literal_conn *conn = answer->conn;

	answer->is_waiting = false;
	if (conn && social_sync_lost(giving, &conn->peer, err))
		social_sync_json_posts_cut(answer->root, is_lost, giving);
	free(giving);
	if (conn)
		answers_send(conn);
	else
		answer_done(answer);
}

/* Takes root, and giving, which may be NULL. */
static void json_send(struct literal_conn *conn, json_t *root, struct sync_giving *giving)
{
	struct literal_answer *answer = answer_make(conn, root);

	if (!answer) {
		free(giving);
		conn_close(conn, CODE_REFUSED, "no room for an answer");
		return;
	}
	if (!giving) {
		answers_send(conn);
		return;
	}
	answer->is_waiting = true;
	giving->done = on_given;
	giving->arg = answer;
	social_sync_give(giving);
}

/* All ids that are held, the newest first; the follows, if this node chose the peer. */
static void hello_send(struct literal_conn *conn)
{
	struct sync *sync = conn->sync;
	const struct sync_parts *parts = &sync->params.parts;
	json_t *ids = json_array(), *follows = json_array();
	struct post_place place = social_index_end(parts->index);
	const struct post_row *row;
	unsigned cnt = 0;

	for (unsigned i = 0; i < LITERAL_IDS_MAX && (row = social_index_prev(parts->index, &place));
	     i++)
		json_array_append_new(ids, social_sync_json_id(row->id));
	if (parts->is_chosen(parts->ctx, conn->peer.keys[0]))
		cnt = parts->follows(parts->ctx, sync->own_follows, SYNC_FOLLOWS_MAX);
	for (unsigned i = 0; i < cnt; i++)
		json_array_append_new(follows, social_sync_json_id(sync->own_follows[i]));
	json_send(conn,
		  social_sync_json_make(SYNC_JSON_HELLO, json_pack("{s:o, s:o}", "post_ids", ids,
								   "follows", follows)),
		  NULL);
}

/* Posts of a message. */
struct draft {
	json_t *posts;
	size_t len;
	struct sync_giving *giving;
};

/* Adds a post that the peer may have; false: it has no room behind the others. */
static bool posts_add(struct literal_conn *conn, struct draft *draft, const struct post_row *row)
{
	const struct sync_parts *parts = &conn->sync->params.parts;
	const struct sync_asker asker = {.peer = &conn->peer};
	struct sync_copy copy;
	size_t more;

	if (!social_sync_may_have(conn->sync, &asker, row) ||
	    !parts->read(parts->ctx, row->id, &copy))
		return true;
	/* The visibility is there in two forms, twice as long in each. */
	more = copy.post.len + 4 * (copy.claim.len + copy.visibility.len);
	if ((draft->len == 0 || draft->len + more <= SYNC_PAGE_LEN) &&
	    social_sync_giving_add(&draft->giving, &conn->peer, row)) {
		draft->len += more;
		json_array_append_new(draft->posts, social_sync_json_post_write(row->id, &copy));
		conn->sync->stats.given_cnt++;
		more = 0;
	}
	parts->release(parts->ctx, &copy);
	return more == 0;
}

static void posts_send(struct literal_conn *conn, const struct draft *draft)
{
	json_send(conn,
		  social_sync_json_make(SYNC_JSON_POSTS, json_pack("{s:o}", "posts", draft->posts)),
		  draft->giving);
}

/* An answer under way cannot be taken back in part: the connection ends, and its program asks anew. */
void social_sync_literal_cut(struct sync *sync, const uint8_t *person)
{
	struct literal_conn *conn = NULL;

	while ((conn = pool_next(&sync->literals, conn)))
		if (conn->answer_cnt && !conn->is_closing && social_sync_is_of(&conn->peer, person))
			conn_close(conn, CODE_REFUSED, "posts on their way were taken back");
}

/* --- in --- */

/* The newest posts that the peer may have and does not name, as many as one message has. */
static void lacking_send(struct literal_conn *conn, uint8_t (*ids)[POST_ID_LEN], unsigned cnt)
{
	const struct post_index *index = conn->sync->params.parts.index;
	struct post_place place = social_index_end(index);
	const struct post_row *row;
	struct draft draft = {.posts = json_array()};

	social_keys_sort(ids, cnt);
	social_sync_question(conn->sync);
	while ((row = social_index_prev(index, &place)))
		if (!social_keys_have((const uint8_t(*)[POST_ID_LEN])ids, cnt, row->id) &&
		    !posts_add(conn, &draft, row))
			break;
	posts_send(conn, &draft);
}

static int on_hello(struct literal_conn *conn, const json_t *body, uint8_t (*ids)[POST_ID_LEN])
{
	struct sync_peer *peer = &conn->peer;
	int cnt = social_sync_json_ids(body, "follows", ids, SYNC_FOLLOWS_MAX);
	uint8_t(*follows)[NODE_KEY_LEN] = cnt > 0 ? malloc((size_t)cnt * NODE_KEY_LEN) : NULL;

	if (cnt < 0)
		return cnt;
	if (cnt && !follows)
		return -ENOMEM;
	if (cnt)
		memcpy(follows, ids, (size_t)cnt * NODE_KEY_LEN);
	social_keys_sort(follows, (size_t)cnt);
	social_sync_follows_forget(peer);
	peer->follows = follows;
	peer->follow_cnt = (unsigned)cnt;
	cnt = social_sync_json_ids(body, "post_ids", ids, LITERAL_IDS_MAX);
	if (cnt < 0)
		return cnt;
	hello_send(conn);
	lacking_send(conn, ids, (unsigned)cnt);
	return 0;
}

static int on_request(struct literal_conn *conn, const json_t *body, uint8_t (*ids)[POST_ID_LEN])
{
	const struct sync_parts *parts = &conn->sync->params.parts;
	int cnt = social_sync_json_ids(body, "post_ids", ids, LITERAL_IDS_MAX);
	struct draft draft = {.len = 0};

	if (cnt < 0)
		return cnt;
	draft.posts = json_array();
	social_sync_question(conn->sync);
	for (int i = 0; i < cnt; i++) {
		struct post_row row;

		if (parts->row(parts->ctx, ids[i], &row) && !posts_add(conn, &draft, &row))
			break;
	}
	posts_send(conn, &draft);
	return 0;
}

/* A post without signatures is an author's alone, and only in the author's own session. */
static int on_posts(struct literal_conn *conn, const json_t *body)
{
	struct sync *sync = conn->sync;
	const struct sync_parts *parts = &sync->params.parts;
	const json_t *item;
	size_t i;
	int err;

	json_array_foreach(json_object_get(body, "posts"), i, item)
	{
		struct sync_json_post post;
		struct sync_take take = {.from = conn->peer.keys[0]};
		bool is_signed;

		if (i == SYNC_GET_MAX)
			return WEFT_EMALFORMED;
		if ((err = social_sync_json_post_read(item, &post)) < 0)
			return err;
		is_signed = post.claim.len > 0 && post.visibility.len > 0;
		take.post = post.post;
		take.claim = post.claim;
		take.visibility = post.visibility;
		if (!is_signed && memcmp(post.author, conn->peer.keys[0], NODE_KEY_LEN) != 0)
			sync->stats.unsigned_cnt++;
		else
			parts->take_post(parts->ctx, &take, conn->now_ns);
		social_sync_json_post_free(&post);
	}
	return 0;
}

static void frame_hear(struct literal_conn *conn, const uint8_t *text, size_t len)
{
	uint8_t(*ids)[POST_ID_LEN] = malloc(LITERAL_IDS_MAX * sizeof(*ids));
	struct sync_json json;
	int err = ids ? social_sync_json_parse((const char *)text, len, &json) : -ENOMEM;

	if (err == 0) {
		conn->sync->stats.literal_cnt++;
		if (json.kind == SYNC_JSON_HELLO)
			err = on_hello(conn, json.body, ids);
		else if (json.kind == SYNC_JSON_REQUEST)
			err = on_request(conn, json.body, ids);
		else
			err = on_posts(conn, json.body);
		json_decref(json.root);
	}
	free(ids);
	if (err == 0)
		return;
	conn->sync->stats.malformed_cnt++;
	conn_close(conn, CODE_MALFORMED, "no message of distsoc/sync/4");
}

static bool frame_is_admitted(struct literal_conn *conn)
{
	struct sync *sync = conn->sync;

	if (conn->answer_cnt + 2 <= ANSWERS_MAX &&
	    request_quota_take(&sync->per_key, conn->peer.keys[0], conn->now_ns) == 0 &&
	    social_network_wait_ms(sync->params.ground, &sync->per_network, conn->peer.keys[0],
				   &conn->peer.path, conn->now_ns) == 0)
		return true;
	sync->stats.hurried_cnt++;
	conn_close(conn, CODE_REFUSED, "too many messages");
	return false;
}

/* Whole frames of what came. */
static void frames_hear(struct literal_conn *conn)
{
	while (conn->in_len >= HEAD_LEN) {
		struct cursor c = cursor_of(conn->in, HEAD_LEN);
		size_t len = cursor_be32(&c);

		if (len > SYNC_JSON_LEN_MAX) {
			conn->sync->stats.malformed_cnt++;
			conn_close(conn, CODE_MALFORMED, "too long");
			return;
		}
		if (conn->in_len < HEAD_LEN + len)
			return;
		if (!frame_is_admitted(conn))
			return;
		frame_hear(conn, conn->in + HEAD_LEN, len);
		if (conn->is_closing)
			return;
		conn->in_len -= HEAD_LEN + len;
		memmove(conn->in, conn->in + HEAD_LEN + len, conn->in_len);
	}
}

/* --- events of the transport --- */

static void conn_free(struct literal_conn *conn, uint64_t now_ns)
{
	struct sync *sync = conn->sync;

	answers_drop(conn);
	for (unsigned i = 0; i < ANSWERS_MAX; i++)
		if (conn->answers[i])
			conn->answers[i]->conn = NULL;
	social_sync_follows_forget(&conn->peer);
	fair_release(&sync->literal_slots, &conn->slot, now_ns);
	free(conn->in);
	conn->conn->user = NULL;
	pool_release(&sync->literals, conn);
}

static bool conn_take_slot(struct literal_conn *conn, const struct transport_conn_info *info,
			   uint64_t now_ns)
{
	struct sync *sync = conn->sync;
	const struct social_ground *ground = sync->params.ground;
	struct fair_item *victim = NULL;

	ground->neighbours->account(ground->mesh.mesh, info->peer_key, &info->remote,
				    &conn->peer.path);
	switch (fair_take(&sync->literal_slots, &conn->peer.path, &conn->slot, now_ns, &victim)) {
	case FAIR_TAKEN_FROM:
		conn_close(container_of(victim, struct literal_conn, slot), CODE_REFUSED,
			   "another peer has the place");
		return true;
	case FAIR_TAKEN:
		return true;
	case FAIR_BUSY:
		break;
	}
	return false;
}

static int on_ready(void *ctx, struct transport_conn *transport, uint64_t now_ns)
{
	struct sync *sync = ctx;
	const struct sync_parts *parts = &sync->params.parts;
	struct transport_conn_info info;
	struct literal_conn *conn;

	transport->ops->info(transport, &info);
	conn = parts->is_blocked(parts->ctx, info.peer_key) ? NULL : pool_acquire(&sync->literals);
	if (!conn)
		return WEFT_EREFUSED;
	conn->sync = sync;
	conn->conn = transport;
	conn->now_ns = now_ns;
	conn->peer.sync = sync;
	conn->peer.key_cnt = 1;
	memcpy(conn->peer.keys[0], info.peer_key, NODE_KEY_LEN);
	conn->in = malloc(HEAD_LEN + SYNC_JSON_LEN_MAX);
	if (!conn->in || !conn_take_slot(conn, &info, now_ns)) {
		conn_free(conn, now_ns);
		return WEFT_EREFUSED;
	}
	transport->user = conn;
	return 0;
}

static void on_closed(void *ctx, struct transport_conn *transport,
		      const struct transport_close *close, uint64_t now_ns)
{
	(void)ctx, (void)close;
	if (transport->user)
		conn_free(transport->user, now_ns);
}

static void on_streams_available(void *ctx, struct transport_conn *conn, uint64_t now_ns)
{
	(void)ctx, (void)conn, (void)now_ns;
}

/* One stream at a time. */
static int on_opened(void *ctx, struct transport_conn *transport, struct transport_stream *stream,
		     uint64_t now_ns)
{
	struct literal_conn *conn = transport->user;

	(void)ctx, (void)now_ns;
	if (!conn || conn->stream)
		return WEFT_EREFUSED;
	stream->user = conn;
	conn->stream = stream;
	conn->in_len = 0;
	return 0;
}

static void on_data(void *ctx, struct transport_stream *stream, const struct transport_piece *piece,
		    uint64_t now_ns)
{
	struct literal_conn *conn = stream->user;
	size_t at = 0;

	(void)ctx;
	conn->now_ns = now_ns;
	stream->ops->consume(stream, piece->len);
	while (at < piece->len && !conn->is_closing) {
		size_t room = HEAD_LEN + SYNC_JSON_LEN_MAX - conn->in_len;
		size_t len = piece->len - at < room ? piece->len - at : room;

		memcpy(conn->in + conn->in_len, piece->data + at, len);
		conn->in_len += len;
		at += len;
		frames_hear(conn);
	}
	if (piece->fin)
		stream->ops->finish(stream);
}

static void on_reset(void *ctx, struct transport_stream *stream, uint64_t code, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	stream->ops->reset(stream, code);
}

static void on_writable(void *ctx, struct transport_stream *stream, uint64_t now_ns)
{
	(void)ctx, (void)stream, (void)now_ns;
}

static void on_stream_closed(void *ctx, struct transport_stream *stream, uint64_t code,
			     uint64_t now_ns)
{
	struct literal_conn *conn = stream->user;

	(void)ctx, (void)code, (void)now_ns;
	if (!conn || conn->stream != stream)
		return;
	conn->stream = NULL;
	answers_drop(conn);
}

const struct transport_events social_sync_literal_events = {
	.conn_ready = on_ready,
	.conn_closed = on_closed,
	.conn_streams_available = on_streams_available,
	.stream_opened = on_opened,
	.stream_data = on_data,
	.stream_reset = on_reset,
	.stream_writable = on_writable,
	.stream_closed = on_stream_closed,
};

/* --- life --- */

int social_sync_literal_init(struct sync *sync, const uint64_t secret[2])
{
	int err = fair_init(&sync->literal_slots, &sync->arena, &conn_config, secret);

	return err < 0 ? err
		       : pool_init(&sync->literals, &sync->arena, sizeof(struct literal_conn),
				   SYNC_LITERAL_MAX + 1);
}

/* Its connections raise no events any more. */
void social_sync_literal_stop(struct sync *sync)
{
	struct literal_conn *conn = NULL;

	while ((conn = pool_next(&sync->literals, conn)))
		conn_free(conn, sync->now_ns);
}
