/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_UNIT_SOCIAL_ATTACHMENTS_ATTACHMENTS_RIG_H
#define WEFT_TESTS_UNIT_SOCIAL_ATTACHMENTS_ATTACHMENTS_RIG_H

/* Attachments over a store of posts, with nodes in session that answer and ask as a test says. */
#include "social/attachments/attachments.h"

#include <stdlib.h>
#include <string.h>

#include "base/thread/jobs.h"
#include "social/attachments/attachment_message.h"
#include "social/holders/post_holders.h"
#include "support/check.h"
#include "../post_rig.h"

#define ASKS_MAX 32u

/* What is asked, until it is answered. */
struct mesh_request {
	struct mesh_ask ask;
	struct attachment_get get;
};
static struct mesh_request asks[ASKS_MAX];
static unsigned ask_cnt, hold_cnt, sweep_cnt;
static bool is_related, is_there, may_have;
static mesh_handler_fn on_question;
static void *question_ctx;

/* What a node that asks here is answered; zeros: nothing yet. */
struct mesh_incoming {
	enum mesh_code code;
	uint8_t head[32], tail[64];
	size_t tail_len;
	bool is_answered;
};
static struct attachments *attachments;
static struct post_holders *holders;
static struct jobs *jobs;
static struct attachments_config config;

static inline int on_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
			 struct mesh_request **out_request)
{
	(void)mesh, (void)now_ns;
	for (unsigned i = 0; i < ASKS_MAX; i++) {
		if (asks[i].ask.reply)
			continue;
		asks[i].ask = *ask;
		if (social_attachment_get_parse(ask->payload, ask->payload_len, &asks[i].get) < 0)
			abort();
		ask_cnt++;
		*out_request = &asks[i];
		return 0;
	}
	return WEFT_EFULL;
}

static inline void on_cancel(struct mesh_request *request)
{
	request->ask.reply = NULL;
}

static inline int on_handle(struct mesh *mesh, unsigned type, mesh_handler_fn handler, void *ctx)
{
	(void)mesh, (void)type;
	on_question = handler;
	question_ctx = ctx;
	return 0;
}

static inline int on_session(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
			     uint8_t out_id[static MESH_SESSION_ID_LEN])
{
	(void)mesh, (void)key, (void)out_id;
	return is_there ? 0 : WEFT_EABSENT;
}

static inline bool on_next(struct mesh *mesh, struct mesh_walk *walk,
			   struct mesh_neighbour *out_neighbour)
{
	(void)mesh;
	if (walk->is_past || !is_related)
		return false;
	walk->is_past = true;
	*out_neighbour = (struct mesh_neighbour){.is_connected = true};
	memcpy(out_neighbour->key, rig_key(7), MESH_KEY_LEN);
	return true;
}

static inline bool on_path(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
			   struct mesh_path *out_path)
{
	(void)mesh, (void)key, (void)out_path;
	return false;
}

static inline int on_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
			    size_t head_len, const struct transport_span *tail)
{
	(void)type;
	memcpy(incoming->head, head, head_len);
	incoming->is_answered = true;
	if (!tail)
		return 0;
	incoming->tail_len = tail->len;
	memcpy(incoming->tail, tail->data, tail->len < 64 ? tail->len : 64);
	tail->done(tail->arg);
	return 0;
}

static inline void on_answer_error(struct mesh_incoming *incoming, enum mesh_code code,
				   const char *text, uint64_t not_before_ms)
{
	(void)text, (void)not_before_ms;
	incoming->code = code;
	incoming->is_answered = true;
}

static inline void on_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg)
{
	(void)incoming, (void)gone, (void)arg;
}

static inline void on_asker_path(const struct mesh_incoming *incoming, struct fair_path *out_path)
{
	(void)incoming;
	*out_path = (struct fair_path){.level_cnt = FAIR_PEER_LEVELS};
}

static const struct mesh_ops ops = {.ask = on_ask,
				    .cancel = on_cancel,
				    .handle = on_handle,
				    .session = on_session,
				    .answer = on_answer,
				    .answer_error = on_answer_error,
				    .abandoned = on_abandoned,
				    .asker_path = on_asker_path};
static const struct mesh_neighbour_ops neighbours = {.next = on_next, .path = on_path};

static inline int on_hold(void *ctx)
{
	(void)ctx;
	hold_cnt++;
	return 0;
}

static inline void on_release(void *ctx)
{
	(void)ctx;
	hold_cnt--;
}

static inline int on_sweep(void *ctx)
{
	(void)ctx;
	sweep_cnt++;
	return 0;
}

static inline bool on_may_have(void *ctx, const uint8_t *key, const uint8_t *post)
{
	(void)ctx, (void)key, (void)post;
	return may_have;
}

static inline bool on_is_related(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return is_related;
}

static inline void files_up(void)
{
	struct attachments_params params = {
		.ground = &rig_ground,
		.jobs = jobs,
		.posts = rig_posts,
		.holders = holders,
		.config = config,
		.ways = {.hold = on_hold, .release = on_release, .sweep = on_sweep},
		.people = {.may_have = on_may_have, .is_related = on_is_related},
		.now_ns = rig_now_ns,
	};

	if (social_attachments_open(&params, &attachments) < 0)
		abort();
}

static inline void begin(void)
{
	memset(asks, 0, sizeof(asks));
	ask_cnt = hold_cnt = sweep_cnt = 0;
	is_related = false;
	is_there = may_have = true;
	config = (struct attachments_config){.auto_len = 1u << 20, .room_len = 1u << 30};
	rig_begin();
	rig_ground.mesh.ops = &ops;
	rig_ground.neighbours = &neighbours;
	if (jobs_new(0, 16, &jobs) < 0 || social_holders_open(&rig_ground, &holders) < 0)
		abort();
	files_up();
}

static inline void end(void)
{
	social_attachments_stop(attachments);
	social_attachments_close(attachments);
	social_holders_stop(holders);
	social_holders_close(holders);
	jobs_free(jobs);
	rig_end();
}

static inline struct attachments_stats figures(void)
{
	struct attachments_stats stats;

	social_attachments_stats(attachments, &stats);
	return stats;
}

static inline void id_of(const char *text, uint8_t out_id[static POST_ID_LEN])
{
	blake3_hash(text, 5, out_id);
}

static inline struct rig_post post_say(unsigned author, const uint8_t *id)
{
	struct rig_post post = {.author = author, .attachment = id};

	if (rig_say(&post, POST_WANTED, 0) < 0)
		abort();
	rig_settle();
	return post;
}

/* The latest question is answered by text, or by err. */
static inline struct mesh_request *asked(void)
{
	for (unsigned i = ASKS_MAX; i-- > 0;)
		if (asks[i].ask.reply)
			return &asks[i];
	return NULL;
}

static inline void answer(const char *text, int err)
{
	struct mesh_request *request = asked();
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct mesh_reply reply = {.err = err, .payload = bytes};
	struct mesh_ask ask = request->ask;

	if (text) {
		social_attachment_data_head_write(&w, 5);
		writer_bytes(&w, text, 5);
	}
	reply.payload_len = writer_len(&w);
	request->ask.reply = NULL;
	ask.reply(ask.arg, &reply, rig_now_ns);
	rig_settle();
}

#endif
