/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_FOLLOW_RIG_H
#define WEFT_TESTS_FOLLOW_RIG_H

#include <stdlib.h>

#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/random.h"
#include "base/timer.h"
#include "codec/cbor.h"
#include "codec/text/zbase32.h"
#include "blobs/blobs.h"
#include "shares/follow/follow.h"
#include "shares/share_list.h"
#include "blobs/content_message.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "store/store.h"
#include "support/check.h"
#include "support/fake_overlay.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

/*
 * One node that follows shares, a table in memory for the overlay, and other nodes
 * that know heads and give objects. Time is virtual, the store inline, nothing at
 * random. Node n has key byte n + 1.
 */
#define FRIG_NODES	 4
#define FRIG_WALL_S	 1800000000ull
#define FRIG_OBJECTS_MAX 64

struct frig;

struct frig_node {
	bool is_dead;
	unsigned head_asked_cnt, object_asked_cnt;
	uint8_t head[HEAD_LEN_MAX]; /* what it answers to LIST_SHARES, for whatever share */
	size_t head_len;	    /* 0: it knows none */
	struct list_answer *page;   /* its answer to an asker that names no share; NULL: nothing */
	struct list_request asked;
	uint32_t objects; /* it has those of this mask; UINT32_MAX: all */
};

struct frig_object {
	uint8_t id[32];
	uint8_t *bytes;
	size_t len;
};

struct mesh {
	struct frig *rig;
	mesh_handler_fn handlers[16];
	unsigned handler_types[16];
	void *handler_ctx[16];
	unsigned handler_cnt;
};

struct mesh_request {
	struct mesh_request *next;
	struct mesh_ask ask;
	struct frig *rig;
	uint64_t due_ns;
	uint8_t payload[64];
};

struct frig_told {
	enum follow_event_kind kind;
	uint64_t seq;
	int err;
	uint8_t share_id[32];
};

struct frig {
	struct mesh mesh; /* first */
	char dir[SCRATCH_CAP];
	struct store *store;
	struct jobs *jobs;
	struct timer_wheel timers;
	struct random random;
	uint64_t now_ns, begin_ns;
	struct fake_overlay overlay;
	struct blobs *content;
	struct follows *follows;
	struct follows_config config;
	struct frig_node nodes[FRIG_NODES];
	struct frig_object objects[FRIG_OBJECTS_MAX];
	unsigned object_cnt;
	struct mesh_request *requests;
	struct frig_told told[64];
	unsigned told_cnt;
	unsigned changed_cnt;
	bool was_used; /* what the last change said */
	uint64_t changed_seq;
	int done_err; /* of the last change asked for */
	unsigned done_cnt;
	uint8_t answer[LIST_ANSWER_CAP]; /* of the last request to the node */
	size_t answer_len;
	enum mesh_code answer_code;
	const uint8_t (*public_ids)[32]; /* what it publishes */
	unsigned public_cnt;
};

/* --- others --- */

static inline const struct frig_object *frig_object_find(const struct frig *rig, const uint8_t *id)
{
	for (unsigned i = 0; i < rig->object_cnt; i++)
		if (memcmp(rig->objects[i].id, id, 32) == 0)
			return &rig->objects[i];
	return NULL;
}

static inline unsigned frig_object_add(struct frig *rig, const void *bytes, size_t len,
				       uint8_t out_id[static 32])
{
	struct frig_object *object = &rig->objects[rig->object_cnt];

	if (rig->object_cnt == FRIG_OBJECTS_MAX || !(object->bytes = malloc(len + 1)))
		abort();
	memcpy(object->bytes, bytes, len);
	object->len = len;
	blake3_hash(bytes, len, object->id);
	memcpy(out_id, object->id, 32);
	return rig->object_cnt++;
}

static inline void frig_answer_head(struct frig_node *node, struct mesh_request *request,
				    struct mesh_reply *reply)
{
	struct writer w = writer_of(request->ask.reply_buf, request->ask.reply_cap);
	static struct list_answer answer;

	node->head_asked_cnt++;
	if (shares_list_request_parse(request->payload, request->ask.payload_len, &node->asked) < 0)
		abort();
	if (!node->asked.has_share && node->page) {
		shares_list_answer_write(&w, node->page);
		reply->type = MESH_SHARE_LIST;
		reply->payload = request->ask.reply_buf;
		reply->payload_len = writer_len(&w);
		return;
	}
	if (!node->head_len) {
		reply->err = WEFT_EABSENT;
		return;
	}
	answer = (struct list_answer){.head_cnt = 1};
	answer.heads[0].bytes = node->head;
	answer.heads[0].len = node->head_len;
	shares_list_answer_write(&w, &answer);
	reply->type = MESH_SHARE_LIST;
	reply->payload = request->ask.reply_buf;
	reply->payload_len = writer_len(&w);
}

static inline void frig_answer_object(struct frig_node *node, struct mesh_request *request,
				      struct mesh_reply *reply)
{
	struct frig *rig = request->rig;
	struct message_request asked;
	struct message_answer answer = {.first = 0};
	const struct frig_object *object;
	struct writer w = writer_of(request->ask.reply_buf, request->ask.reply_cap);

	reply->err = WEFT_EABSENT;
	reply->code = MESH_CODE_ABSENT;
	if (blobs_message_request_parse(request->ask.type, request->payload,
					request->ask.payload_len, &asked) < 0)
		abort();
	object = frig_object_find(rig, asked.id);
	if (!object || !(node->objects & 1u << (object - rig->objects) % 32))
		return;
	node->object_asked_cnt++;
	reply->err = 0;
	reply->code = 0;
	reply->type = request->ask.type == MESH_GET_CHUNK ? MESH_CHUNK_DATA : MESH_MANIFEST_DATA;
	memcpy(answer.id, asked.id, 32);
	answer.first = asked.first;
	answer.len = object->len;
	blobs_message_answer_write_head(&w, reply->type, &answer);
	writer_bytes(&w, object->bytes, object->len);
	reply->payload = request->ask.reply_buf;
	reply->payload_len = writer_len(&w);
	if (w.bad)
		abort();
}

static inline void frig_request_end(struct mesh_request *request)
{
	struct frig *rig = request->rig;
	unsigned idx = (unsigned)request->ask.peer.key[0] - 1;
	struct mesh_reply reply = {.err = 0};

	if (idx >= FRIG_NODES || rig->nodes[idx].is_dead)
		reply.err = WEFT_EUNREACHABLE;
	else if (request->ask.type == MESH_LIST_SHARES)
		frig_answer_head(&rig->nodes[idx], request, &reply);
	else if (request->ask.type == MESH_GET_MANIFEST || request->ask.type == MESH_GET_CHUNK)
		frig_answer_object(&rig->nodes[idx], request, &reply);
	else
		reply.err = WEFT_EREFUSED, reply.code = MESH_CODE_UNKNOWN;
	request->ask.reply(request->ask.arg, &reply, rig->now_ns);
	free(request);
}

/* --- the seam --- */

static inline int frig_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
			   struct mesh_request **out_request)
{
	struct mesh_request *request = calloc(1, sizeof(*request)), **end = &mesh->rig->requests;

	if (!request || ask->payload_len > sizeof(request->payload))
		abort();
	request->rig = mesh->rig;
	request->ask = *ask;
	memcpy(request->payload, ask->payload, ask->payload_len);
	request->due_ns = now_ns + 10 * NS_PER_MS;
	while (*end)
		end = &(*end)->next;
	*end = request;
	*out_request = request;
	return 0;
}

static inline void frig_cancel(struct mesh_request *request)
{
	struct mesh_request **at = &request->rig->requests;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	free(request);
}

static inline int frig_handle(struct mesh *mesh, unsigned type, mesh_handler_fn handler, void *ctx)
{
	mesh->handlers[mesh->handler_cnt] = handler;
	mesh->handler_types[mesh->handler_cnt] = type;
	mesh->handler_ctx[mesh->handler_cnt++] = ctx;
	return 0;
}

/* The struct mesh_incoming of the one request of a test is the rig. */
static inline int frig_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
			      size_t head_len, const struct transport_span *tail)
{
	struct frig *rig = (struct frig *)(void *)incoming;

	if (type != MESH_SHARE_LIST || head_len + (tail ? tail->len : 0) > sizeof(rig->answer))
		abort();
	if (head_len)
		memcpy(rig->answer, head, head_len);
	rig->answer_len = head_len;
	if (tail) {
		memcpy(rig->answer + head_len, tail->data, tail->len);
		rig->answer_len += tail->len;
		tail->done(tail->arg);
	}
	return 0;
}

static inline void frig_answer_error(struct mesh_incoming *incoming, enum mesh_code code,
				     const char *text, uint64_t not_before_ms)
{
	(void)text, (void)not_before_ms;
	((struct frig *)(void *)incoming)->answer_code = code;
}

static inline void frig_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg),
				  void *arg)
{
	(void)incoming, (void)gone, (void)arg;
}

static const struct mesh_ops frig_ops = {.ask = frig_ask,
					 .cancel = frig_cancel,
					 .handle = frig_handle,
					 .answer = frig_answer,
					 .answer_error = frig_answer_error,
					 .abandoned = frig_abandoned};

/* A peer asks the node for heads; answer or answer_code has the result. */
static inline void frig_list(struct frig *rig, const struct list_request *request)
{
	uint8_t payload[LIST_REQUEST_CAP], peer[MESH_KEY_LEN] = {99};
	struct mesh_call call = {.incoming = (struct mesh_incoming *)(void *)rig,
				 .peer_key = peer,
				 .type = MESH_LIST_SHARES,
				 .payload = payload,
				 .payload_len = shares_list_request_write(request, payload)};

	rig->answer_len = 0;
	rig->answer_code = 0;
	for (unsigned i = 0; i < rig->mesh.handler_cnt; i++)
		if (rig->mesh.handler_types[i] == MESH_LIST_SHARES)
			rig->mesh.handlers[i](rig->mesh.handler_ctx[i], &call, rig->now_ns);
}

/* --- the node --- */

static inline uint64_t frig_wall_s(void *ctx)
{
	const struct frig *rig = ctx;

	return FRIG_WALL_S + (rig->now_ns - rig->begin_ns) / NS_PER_S;
}

static inline void frig_on_changed(void *ctx, const struct follow *follow)
{
	struct frig *rig = ctx;

	rig->changed_cnt++;
	rig->was_used = follow->is_used;
	rig->changed_seq = follow->revision_cnt ? follow->revisions[0].seq : 0;
}

static inline void frig_on_event(void *ctx, const struct follow_event *event)
{
	struct frig *rig = ctx;
	struct frig_told *told = &rig->told[rig->told_cnt++ % 64];

	*told = (struct frig_told){.kind = event->kind, .seq = event->seq, .err = event->err};
	memcpy(told->share_id, event->follow->share_id, 32);
}

static inline const uint8_t *frig_public_next(void *ctx, const uint8_t *after)
{
	const struct frig *rig = ctx;

	for (unsigned i = 0; i < rig->public_cnt; i++)
		if (!after || memcmp(rig->public_ids[i], after, 32) > 0)
			return rig->public_ids[i];
	return NULL;
}

static const uint8_t frig_own_key[MESH_KEY_LEN] = {0xee};

static inline void frig_open(struct frig *rig)
{
	struct blobs_params content = {.own_key = frig_own_key};
	struct follows_params follows = {.own_key = frig_own_key};

	rig->store = scratch_store(rig->dir, true);
	if (jobs_new(0, 64, &rig->jobs) < 0)
		abort();
	timer_wheel_init(&rig->timers, rig->now_ns);
	rig->mesh.rig = rig;
	rig->mesh.handler_cnt = 0;
	blobs_config_defaults(&content.config);
	content.config.import_threads = 0;
	content.store = rig->store;
	content.jobs = rig->jobs;
	content.timers = &rig->timers;
	content.mesh = (struct mesh_seam){&frig_ops, &rig->mesh};
	content.now_ns = rig->now_ns;
	content.wall_s = frig_wall_s;
	content.ctx = rig;
	if (blobs_new(&content, &rig->content) < 0)
		abort();
	follows.config = rig->config;
	follows.content = rig->content;
	follows.mesh = content.mesh;
	follows.overlay = fake_overlay_seam(&rig->overlay);
	follows.store = rig->store;
	follows.timers = &rig->timers;
	follows.jobs = rig->jobs;
	follows.random = &rig->random;
	follows.now_ns = rig->now_ns;
	follows.wall_s = frig_wall_s;
	follows.on_changed = frig_on_changed;
	follows.on_event = frig_on_event;
	follows.public_next = frig_public_next;
	follows.ctx = rig;
	if (shares_follows_new(&follows, &rig->follows) < 0)
		abort();
	shares_follows_start(rig->follows, rig->now_ns);
}

static inline void frig_close(struct frig *rig)
{
	shares_follows_stop(rig->follows);
	blobs_free(rig->content);
	shares_follows_free(rig->follows);
	store_close(rig->store);
	jobs_free(rig->jobs);
}

static inline void frig_init(struct frig *rig)
{
	struct overlay_rule rule;

	memset(rig, 0, sizeof(*rig));
	scratch_make(rig->dir);
	rig->begin_ns = rig->now_ns = 1000 * NS_PER_S;
	random_init_seeded(&rig->random, 7);
	shares_follows_config_defaults(&rig->config);
	shares_head_rule(&rule);
	rig->overlay.keeper_cnt = 3;
	if (fake_overlay_seam(&rig->overlay)
		    .ops->add_rule(fake_overlay_seam(&rig->overlay).overlay, &rule) < 0)
		abort();
	for (unsigned i = 0; i < FRIG_NODES; i++)
		rig->nodes[i].objects = UINT32_MAX;
	frig_open(rig);
}

static inline void frig_fini(struct frig *rig)
{
	frig_close(rig);
	fake_overlay_fini(&rig->overlay);
	while (rig->requests)
		frig_cancel(rig->requests);
	for (unsigned i = 0; i < rig->object_cnt; i++)
		free(rig->objects[i].bytes);
	scratch_remove(rig->dir);
}

/* One turn; time goes to what is due next, but not beyond end_ns. */
static inline void frig_turn(struct frig *rig, uint64_t end_ns)
{
	uint64_t next_ns = timer_wheel_next_ns(&rig->timers);
	struct mesh_request *request = rig->requests;

	rig->overlay.wall_s = frig_wall_s(rig);
	if (jobs_reap(rig->jobs) + store_reap(rig->store))
		return;
	if (rig->overlay.runs) {
		fake_overlay_turn(&rig->overlay, rig->now_ns);
		return;
	}
	if (request && request->due_ns <= next_ns) {
		if (request->due_ns > rig->now_ns)
			rig->now_ns = request->due_ns;
		rig->requests = request->next;
		frig_request_end(request);
		return;
	}
	if (next_ns > end_ns)
		next_ns = end_ns;
	if (next_ns > rig->now_ns)
		rig->now_ns = next_ns;
	timer_wheel_expire(&rig->timers, rig->now_ns);
	shares_follows_turn(rig->follows, rig->now_ns);
}

static inline void frig_run(struct frig *rig, uint64_t for_ns)
{
	uint64_t end_ns = rig->now_ns + for_ns;

	while (rig->now_ns < end_ns)
		frig_turn(rig, end_ns);
}

static inline unsigned frig_told_cnt(const struct frig *rig, enum follow_event_kind kind)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < rig->told_cnt && i < 64; i++)
		cnt += rig->told[i].kind == kind;
	return cnt;
}

#endif
