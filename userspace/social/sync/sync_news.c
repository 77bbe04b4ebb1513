/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is new goes to sessions at once: rows of posts (601 as a request), profiles, visibilities and
 * deletions (604 to 606). All of it is found by the next pull as well, so what finds no room here is
 * not kept.
 */
#include "base/monotonic.h"
#include "social/sync/sync_state.h"

/* --- out --- */

static const struct fair_config push_config = {
	.name = "social.pushes",
	.cap_cnt = SYNC_PUSHES_MAX,
	.kind = FAIR_WORK,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

static void push_next(struct sync_peer *peer, uint64_t now_ns);

static void push_release(struct sync_peer *peer, uint64_t now_ns)
{
	struct sync *sync = peer->sync;

	fair_release(&sync->push_slots, &peer->push->slot, now_ns);
	pool_release(&sync->pushes, peer->push);
	peer->push = NULL;
}

void social_sync_push_waiting(struct sync *sync, uint64_t now_ns)
{
	struct sync_peer *peer = NULL;

	if (!sync->has_waiting)
		return;
	sync->has_waiting = false;
	while ((peer = pool_next(&sync->peers, peer)))
		push_next(peer, now_ns);
}

static void push_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct sync_push *push = arg;
	struct sync_peer *peer = push->peer;
	struct sync *sync = peer->sync;

	(void)reply;
	push_release(peer, now_ns);
	push_next(peer, now_ns);
	social_sync_push_waiting(sync, now_ns);
}

static void push_end(struct sync_peer *peer, uint64_t now_ns)
{
	if (peer->push->request)
		sync_ops(peer->sync)->cancel(peer->push->request);
	push_release(peer, now_ns);
}

void social_sync_push_cancel(struct sync_peer *peer, uint64_t now_ns)
{
	peer->due_cnt = 0;
	if (peer->push)
		push_end(peer, now_ns);
}

/* false: the peer is to wait for a slot. */
static bool push_acquire(struct sync_peer *peer, uint64_t now_ns)
{
	struct sync *sync = peer->sync;
	struct sync_push *push = pool_acquire(&sync->pushes);
	struct fair_item *victim;
	enum fair_verdict verdict =
		push ? fair_take(&sync->push_slots, &peer->path, &push->slot, now_ns, &victim)
		     : FAIR_BUSY;

	if (verdict == FAIR_BUSY) {
		if (push)
			pool_release(&sync->pushes, push);
		sync->has_waiting = true;
		return false;
	}
	if (verdict == FAIR_TAKEN_FROM) {
		sync->stats.silent_cnt++;
		sync->has_waiting = true; /* that one has more, maybe */
		push_end(container_of(victim, struct sync_push, slot)->peer, now_ns);
	}
	push->peer = peer;
	peer->push = push;
	return true;
}

/* What is in sync->message. */
static void push_send(struct sync_peer *peer, unsigned type, size_t len, uint64_t now_ns)
{
	struct sync *sync = peer->sync;
	uint8_t session[SYNC_SESSION_LEN];
	struct mesh_ask ask = {.type = type,
			       .payload = sync->message,
			       .payload_len = len,
			       .reply_buf = peer->push->reply,
			       .reply_cap = sizeof(peer->push->reply),
			       .timeout_ns = SYNC_TIMEOUT_NS,
			       .reply = push_reply,
			       .arg = peer->push};

	memcpy(ask.peer.key, peer->keys[0], sizeof(ask.peer.key));
	if (sync_ops(sync)->session(sync_mesh(sync), peer->keys[0], session) < 0 ||
	    memcmp(session, peer->session, sizeof(session)) != 0 ||
	    sync_ops(sync)->ask(sync_mesh(sync), &ask, now_ns, &peer->push->request) < 0)
		peer->push->request = NULL;
}

static void object_push(struct sync_peer *peer, unsigned type, const struct sync_bytes *object,
			uint64_t now_ns)
{
	struct sync *sync = peer->sync;
	struct writer w = writer_of(sync->message, sizeof(sync->message));

	social_sync_object_write(&w, object->bytes, object->len);
	if (w.bad)
		return;
	sync->stats.pushed_cnt++;
	push_send(peer, type, writer_len(&w), now_ns);
}

static void deletion_push(struct sync_peer *peer, const struct sync_due *due, uint64_t now_ns)
{
	const struct sync_parts *parts = &peer->sync->params.parts;
	uint8_t bytes[SYNC_DELETION_LEN_MAX], author[NODE_KEY_LEN];
	struct sync_bytes deletion = {bytes, parts->deletion(parts->ctx, due->id, bytes, author)};

	if (deletion.len)
		object_push(peer, due->type, &deletion, now_ns);
}

static void profile_push(struct sync_peer *peer, const struct sync_due *due, uint64_t now_ns)
{
	struct sync *sync = peer->sync;
	const struct sync_parts *parts = &sync->params.parts;
	struct sync_bytes profiles[SYNC_PROFILES_MAX];
	/* Written where ranges are made else. */
	struct writer w = writer_of(sync->ranges, sizeof(sync->ranges));

	if (due->idx < parts->profiles(parts->ctx, peer->keys[0], &w, profiles))
		object_push(peer, due->type, &profiles[due->idx], now_ns);
}

/* Rows that peer may have, of the first cnt that are due. */
static void offer_push(struct sync_peer *peer, const struct sync_due *dues, unsigned cnt,
		       uint64_t now_ns)
{
	struct sync *sync = peer->sync;
	const struct sync_parts *parts = &sync->params.parts;
	const struct sync_asker asker = {.peer = peer};
	uint8_t rows[SYNC_OFFERED_MAX][SYNC_ROW_LEN];
	struct writer w = writer_of(sync->message, sizeof(sync->message));
	struct sync_answer offer = {.rows = rows[0]};
	unsigned row_cnt = 0;

	social_sync_question(sync);
	for (unsigned i = 0; i < cnt; i++) {
		struct post_row row;

		if (parts->row(parts->ctx, dues[i].id, &row) &&
		    social_sync_may_have(sync, &asker, &row))
			social_ranges_row(&row, rows[row_cnt++]);
	}
	if (row_cnt == 0 || parts->is_blocked(parts->ctx, peer->keys[0]))
		return;
	offer.rows_len = row_cnt * SYNC_ROW_LEN;
	sync->stats.offered_cnt += row_cnt;
	social_sync_answer_write(&w, &offer);
	push_send(peer, MESH_SOCIAL_POSTS, writer_len(&w), now_ns);
}

/* One push is under way for a peer: a silent one holds one. Rows that became due meanwhile go as one. */
static void push_next(struct sync_peer *peer, uint64_t now_ns)
{
	struct sync_due dues[SYNC_OFFERED_MAX];
	unsigned cnt;

	while (!peer->push && peer->due_cnt && !peer->sync->is_stopped &&
	       push_acquire(peer, now_ns)) {
		cnt = 1;
		while (peer->dues[0].type == MESH_SOCIAL_POSTS && cnt < peer->due_cnt &&
		       peer->dues[cnt].type == MESH_SOCIAL_POSTS)
			cnt++;
		memcpy(dues, peer->dues, cnt * sizeof(dues[0]));
		peer->due_cnt -= cnt;
		memmove(peer->dues, peer->dues + cnt, peer->due_cnt * sizeof(dues[0]));
		if (dues[0].type == MESH_SOCIAL_POSTS)
			offer_push(peer, dues, cnt, now_ns);
		else if (dues[0].type == MESH_POST_DELETE)
			deletion_push(peer, dues, now_ns);
		else
			profile_push(peer, dues, now_ns);
		if (!peer->push->request)
			push_release(peer, now_ns);
	}
}

static void due_add(struct sync_peer *peer, const struct sync_due *due)
{
	for (unsigned i = 0; i < peer->due_cnt; i++)
		if (memcmp(&peer->dues[i], due, sizeof(*due)) == 0)
			return;
	if (peer->due_cnt < SYNC_OFFERED_MAX)
		peer->dues[peer->due_cnt++] = *due;
}

/* What is new, and did not come from peer. */
static void news_offer(struct sync_peer *peer, uint64_t now_ns)
{
	struct sync *sync = peer->sync;
	const struct sync_asker asker = {.peer = peer};

	social_sync_question(sync);
	for (unsigned i = 0; i < sync->news_cnt; i++) {
		const struct sync_news_row *news = &sync->news[i];
		const struct sync_parts *parts = &sync->params.parts;
		struct sync_due due = {.type = MESH_SOCIAL_POSTS};
		struct post_row row;

		memcpy(due.id, news->id, sizeof(due.id));
		if (memcmp(news->from, peer->keys[0], sizeof(news->from)) != 0 &&
		    parts->row(parts->ctx, news->id, &row) &&
		    social_sync_may_have(sync, &asker, &row))
			due_add(peer, &due);
	}
	push_next(peer, now_ns);
}

static void on_news(struct timer *timer, uint64_t now_ns)
{
	struct sync *sync = container_of(timer, struct sync, news_timer);
	struct sync_peer *peer = NULL;

	while ((peer = pool_next(&sync->peers, peer)))
		news_offer(peer, now_ns);
	sync->news_cnt = 0;
}

void social_sync_news(struct sync *sync, const uint8_t id[static POST_ID_LEN], const uint8_t *from,
		      uint64_t now_ns)
{
	struct sync_news_row *news = &sync->news[sync->news_cnt];

	if (sync->is_stopped || sync->news_cnt == SYNC_NEWS_MAX || sync->peers.used_cnt == 0)
		return;
	memcpy(news->id, id, sizeof(news->id));
	memset(news->from, 0, sizeof(news->from));
	if (from)
		memcpy(news->from, from, sizeof(news->from));
	if (sync->news_cnt++ == 0)
		timer_set(sync->params.ground->timers, &sync->news_timer,
			  now_ns + SYNC_NEWS_DELAY_NS);
}

void social_sync_news_from(struct sync *sync, const uint8_t id[static POST_ID_LEN],
			   const uint8_t from[static MESH_KEY_LEN])
{
	for (unsigned i = sync->news_cnt; i-- > 0;)
		if (memcmp(sync->news[i].id, id, POST_ID_LEN) == 0) {
			memcpy(sync->news[i].from, from, MESH_KEY_LEN);
			return;
		}
}

void social_sync_leaving(struct sync *sync, const uint8_t id[static POST_ID_LEN],
			 const uint8_t *from)
{
	const struct sync_parts *parts = &sync->params.parts;
	struct sync_peer *peer = NULL;
	struct post_row row;

	if (sync->is_stopped || !parts->row(parts->ctx, id, &row))
		return;
	while ((peer = pool_next(&sync->peers, peer))) {
		const struct sync_asker asker = {.peer = peer};
		struct sync_leaving *leaving = &sync->leaving[sync->leaving_at % SYNC_LEAVING_MAX];

		social_sync_question(sync);
		if ((from && memcmp(from, peer->keys[0], NODE_KEY_LEN) == 0) ||
		    parts->is_blocked(parts->ctx, peer->keys[0]) ||
		    !social_sync_may_have(sync, &asker, &row))
			continue;
		leaving->is_used = true;
		memcpy(leaving->id, id, sizeof(leaving->id));
		memcpy(leaving->peer, peer->keys[0], sizeof(leaving->peer));
		sync->leaving_at++;
	}
}

void social_sync_gone(struct sync *sync, const uint8_t id[static POST_ID_LEN], uint64_t now_ns)
{
	struct sync_due due = {.type = MESH_POST_DELETE};

	memcpy(due.id, id, sizeof(due.id));
	for (unsigned i = 0; !sync->is_stopped && i < SYNC_LEAVING_MAX; i++) {
		struct sync_leaving *leaving = &sync->leaving[i];
		struct sync_peer *peer;

		if (!leaving->is_used || memcmp(leaving->id, id, sizeof(leaving->id)) != 0)
			continue;
		leaving->is_used = false;
		peer = social_sync_peer_find(sync, leaving->peer);
		if (peer && !sync->params.parts.is_blocked(sync->params.parts.ctx, leaving->peer)) {
			due_add(peer, &due);
			push_next(peer, now_ns);
		}
	}
}

void social_sync_profile_changed(struct sync *sync, uint64_t now_ns)
{
	const struct sync_parts *parts = &sync->params.parts;
	struct sync_bytes profiles[SYNC_PROFILES_MAX];
	struct sync_peer *peer = NULL;

	while (!sync->is_stopped && (peer = pool_next(&sync->peers, peer))) {
		struct writer w = writer_of(sync->ranges, sizeof(sync->ranges));
		struct sync_due due = {.type = MESH_PROFILE_UPDATE};
		unsigned cnt;

		if (!parts->is_related(parts->ctx, peer->keys[0]))
			continue;
		cnt = parts->profiles(parts->ctx, peer->keys[0], &w, profiles);
		for (; due.idx < cnt; due.idx++)
			due_add(peer, &due);
		push_next(peer, now_ns);
	}
}

/* --- in --- */

static void nothing_answer(struct sync *sync, const struct mesh_call *call)
{
	static const uint8_t nothing[] = {0xa0}; /* an empty map */

	(void)sync_ops(sync)->answer(call->incoming, call->type, nothing, sizeof(nothing), NULL);
}

static struct sync_peer *peer_of_call(struct sync *sync, const struct mesh_call *call,
				      uint64_t now_ns)
{
	uint8_t session[SYNC_SESSION_LEN];
	struct fair_path path;

	sync_ops(sync)->asker_session(call->incoming, session);
	sync_ops(sync)->asker_path(call->incoming, &path);
	return social_sync_peer_of(sync, call->peer_key, session, &path, now_ns);
}

/* Peers that this node asks for posts may say that there are some. */
static void on_offer(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct sync *sync = ctx;
	const struct sync_parts *parts = &sync->params.parts;
	struct sync_answer *offer = &sync->answer;
	struct sync_peer *peer = NULL;

	if (!social_sync_admit(sync, call, now_ns))
		return;
	if (social_sync_answer_parse(call->payload, call->payload_len, offer) < 0 ||
	    offer->rows_len > SYNC_OFFERED_MAX * SYNC_ROW_LEN) {
		social_sync_refuse_malformed(sync, call, "no offer of posts");
		return;
	}
	if (parts->is_related(parts->ctx, call->peer_key) &&
	    !parts->is_blocked(parts->ctx, call->peer_key))
		peer = peer_of_call(sync, call, now_ns);
	for (size_t at = 0; peer && at < offer->rows_len; at += SYNC_ROW_LEN) {
		sync->stats.offer_cnt++;
		(void)social_sync_want(peer, offer->rows + at, now_ns);
	}
	nothing_answer(sync, call);
}

typedef void (*take_fn)(void *ctx, const struct sync_take *take, uint64_t now_ns);
/* The answer says that the message came, and nothing of what becomes of it. */
static void object_hear(struct sync *sync, const struct mesh_call *call, take_fn take_it,
			uint64_t now_ns)
{
	const struct sync_parts *parts = &sync->params.parts;
	struct sync_take take = {.from = call->peer_key};

	if (!social_sync_admit(sync, call, now_ns))
		return;
	if (social_sync_object_parse(call->payload, call->payload_len, &take.post) < 0) {
		social_sync_refuse_malformed(sync, call, "no object of the sync");
		return;
	}
	if (!parts->is_blocked(parts->ctx, call->peer_key))
		take_it(parts->ctx, &take, now_ns);
	nothing_answer(sync, call);
}

static void on_profile(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct sync *sync = ctx;

	object_hear(sync, call, sync->params.parts.take_profile, now_ns);
}

static void on_visibility(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct sync *sync = ctx;

	object_hear(sync, call, sync->params.parts.take_visibility, now_ns);
}

static void on_deletion(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct sync *sync = ctx;

	object_hear(sync, call, sync->params.parts.take_deletion, now_ns);
}

/* --- life --- */

int social_sync_news_init(struct sync *sync, const uint64_t secret[2])
{
	const struct mesh_seam *mesh = &sync->params.ground->mesh;
	int err;

	timer_init(&sync->news_timer, on_news);
	/* One more: a newcomer, before another one gives way. */
	if ((err = fair_init(&sync->push_slots, &sync->arena, &push_config, secret)) < 0 ||
	    (err = pool_init(&sync->pushes, &sync->arena, sizeof(struct sync_push),
			     SYNC_PUSHES_MAX + 1)) < 0 ||
	    (err = mesh->ops->handle(mesh->mesh, MESH_SOCIAL_POSTS, on_offer, sync)) < 0 ||
	    (err = mesh->ops->handle(mesh->mesh, MESH_PROFILE_UPDATE, on_profile, sync)) < 0 ||
	    (err = mesh->ops->handle(mesh->mesh, MESH_VISIBILITY_UPDATE, on_visibility, sync)) < 0)
		return err;
	return mesh->ops->handle(mesh->mesh, MESH_POST_DELETE, on_deletion, sync);
}

void social_sync_news_stop(struct sync *sync)
{
	struct sync_push *push = NULL;

	timer_cancel(sync->params.ground->timers, &sync->news_timer);
	while ((push = pool_next(&sync->pushes, push)))
		social_sync_push_cancel(push->peer, sync->now_ns);
}
