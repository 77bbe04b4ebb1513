/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_UNIT_SOCIAL_SYNC_SYNC_LITERAL_RIG_H
#define WEFT_TESTS_UNIT_SOCIAL_SYNC_SYNC_LITERAL_RIG_H

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

static inline void op_close(struct transport_conn *conn, uint64_t code, const char *reason)
{
	(void)code, (void)reason;
	((struct line *)(void *)conn)->is_closed = true;
}

static inline int op_send(struct transport_stream *stream, const struct transport_span *span)
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

static inline void op_finish(struct transport_stream *stream)
{
	container_of(stream, struct line, stream)->is_finished = true;
}

static inline void op_consume(struct transport_stream *stream, size_t len)
{
	(void)stream, (void)len;
}

static inline void op_info(const struct transport_conn *conn, struct transport_conn_info *out_info)
{
	*out_info = ((const struct line *)(const void *)conn)->info;
}

static const struct transport_ops ops = {.close = op_close,
					 .send = op_send,
					 .finish = op_finish,
					 .consume = op_consume,
					 .info = op_info};

static inline int line_open(struct line *line, unsigned person, uint8_t network)
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

static inline void line_close(struct line *line)
{
	const struct transport_close close = {.err = WEFT_ECLOSED};

	for (unsigned i = 0; i < line->held_cnt; i++)
		line->held[i].done(line->held[i].arg);
	if (line->stream.user)
		social_sync_literal_events.stream_closed(a->sync, &line->stream, 0, rig_lab.now_ns);
	social_sync_literal_events.conn_closed(a->sync, &line->conn, &close, rig_lab.now_ns);
	free(line->out);
}

static inline void begin(void)
{
	json_heap_begin();
	rig_begin(&rig_calm);
	a = rig_add();
}

static inline void say_piece(struct line *line, const void *data, size_t len)
{
	const struct transport_piece piece = {.data = data, .len = len};

	social_sync_literal_events.stream_data(a->sync, &line->stream, &piece, rig_lab.now_ns);
}

static inline void say_text(struct line *line, const char *text, size_t len)
{
	const uint8_t head[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
				 (uint8_t)len};

	say_piece(line, head, sizeof(head));
	say_piece(line, text, len);
}

/* Takes root. */
static inline void say(struct line *line, json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT);

	say_text(line, text, strlen(text));
	free(text);
	json_decref(root);
}

/* The next frame, or NULL. The caller gives it back. */
static inline json_t *hear(struct line *line)
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

static inline json_t *ids_of(const struct rig_post *posts, unsigned cnt)
{
	json_t *ids = json_array();

	for (unsigned i = 0; i < cnt; i++)
		json_array_append_new(ids, social_sync_json_id(posts[i].id));
	return ids;
}

static inline json_t *follows_of(unsigned people)
{
	json_t *keys = json_array();

	for (unsigned i = 0; i < RIG_PEOPLE; i++)
		if (people >> i & 1)
			json_array_append_new(keys, social_sync_json_id(rig_key(i)));
	return keys;
}

static inline json_t *hello_of(json_t *ids, json_t *follows)
{
	return json_pack("{s:{s:o, s:o}}", "Hello", "post_ids", ids, "follows", follows);
}

static inline json_t *body_of(const json_t *root, const char *name, const char *list)
{
	return json_object_get(json_object_get(root, name), list);
}

static inline bool has_id(const json_t *posts, const struct rig_post *post)
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

#endif
