/* SPDX-License-Identifier: Apache-2.0 */
/* When a pull begins: with a session, each few minutes, when something is offered, and on demand. */
#include <stdlib.h>

#include "social/sync/sync_state.h"

/* --- beginnings --- */

static bool peer_has_ranges(const struct sync_peer *peer)
{
	const struct social_ground *ground = peer->sync->params.ground;
	struct mesh_neighbour neighbour;

	return ground->neighbours->find(ground->mesh.mesh, peer->keys[0], &neighbour) &&
	       (neighbour.caps & MESH_CAP_SOCIAL_RANGES);
}

/* NULL: there is no room. It is not under way yet. */
static struct sync_pull *pull_make(struct sync_peer *peer, const uint8_t *author, bool is_other)
{
	struct sync *sync = peer->sync;
	struct sync_pull *pull = pool_acquire(&sync->pulls);

	if (!pull)
		return NULL;
	pull->sync = sync;
	pull->is_other = is_other;
	sync->other_pull_cnt += is_other;
	pull->end_ns = sync->now_ns + SYNC_PULL_NS;
	pull->peer = peer;
	list_init(&pull->waiters);
	pull->reply = malloc(SYNC_REPLY_CAP);
	pull->next = malloc(RANGE_MESSAGE_MAX);
	pull->wanted = malloc(SYNC_WANTED_MAX * sizeof(*pull->wanted));
	if (!pull->reply || !pull->next || !pull->wanted) {
		social_sync_pull_release(pull);
		return NULL;
	}
	pull->has_author = author != NULL;
	if (author)
		memcpy(pull->author, author, sizeof(pull->author));
	/* A node that has nothing gets the newest first. */
	pull->is_listing =
		author || sync->params.parts.index->row_cnt == 0 || !peer_has_ranges(peer);
	peer->pull = pull;
	sync->stats.pull_cnt++;
	return pull;
}

static void offered_take(struct sync_pull *pull)
{
	struct sync_peer *peer = pull->peer;

	for (unsigned i = 0; i < peer->offered_cnt; i++)
		social_sync_pull_want(pull, peer->offered[i]);
	peer->offered_cnt = 0;
}

static bool is_chosen(const struct sync_peer *peer)
{
	const struct sync_parts *parts = &peer->sync->params.parts;

	return parts->is_chosen(parts->ctx, peer->keys[0]);
}

/* Any key becomes a follower: half of the pulls are for peers that this node chose alone. */
static bool has_room(const struct sync *sync, bool is_other)
{
	return sync->pulls.used_cnt < SYNC_PULLS_MAX &&
	       (!is_other || sync->other_pull_cnt < SYNC_OTHER_PULLS_MAX);
}

/* Those of chosen peers, or of the others, as far as there is room. */
static void pulls_begin(struct sync *sync, bool is_other, uint64_t now_ns)
{
	struct sync_peer *peer = NULL;
	struct sync_pull *pull;

	while (has_room(sync, is_other) && (peer = pool_next(&sync->peers, peer))) {
		bool is_due = peer->due_ns <= now_ns;

		if (peer->pull || (!is_due && peer->offered_cnt == 0) ||
		    is_chosen(peer) == is_other)
			continue;
		pull = pull_make(peer, NULL, is_other);
		if (!pull)
			return;
		/* Each time, so that a change of what is followed is heard of. */
		peer->has_greeted &= !is_due;
		offered_take(pull);
		/* What it offers needs no search. */
		pull->has_looked = !is_due;
		social_sync_pull_go_on(pull, now_ns);
	}
}

void social_sync_pull_due(struct sync *sync, uint64_t now_ns)
{
	pulls_begin(sync, false, now_ns);
	pulls_begin(sync, true, now_ns);
}

uint64_t social_sync_pull_next_ns(const struct sync *sync)
{
	const struct sync_peer *peer = NULL;
	uint64_t next_ns = TIMER_NEVER;

	if (!has_room(sync, false))
		return TIMER_NEVER;
	while ((peer = pool_next(&sync->peers, peer))) {
		if (peer->pull || (peer->offered_cnt == 0 && peer->due_ns >= next_ns) ||
		    (!has_room(sync, true) && !is_chosen(peer)))
			continue;
		if (peer->offered_cnt)
			return 0;
		next_ns = peer->due_ns;
	}
	return next_ns;
}

/* The peer of a session that is there now, for this node to ask. */
static struct sync_peer *peer_in_session(struct sync *sync, const uint8_t *key, uint64_t now_ns)
{
	const struct social_ground *ground = sync->params.ground;
	uint8_t session[SYNC_SESSION_LEN];
	struct mesh_neighbour neighbour;
	struct fair_path path;

	if (sync_ops(sync)->session(sync_mesh(sync), key, session) < 0 ||
	    !ground->neighbours->find(ground->mesh.mesh, key, &neighbour))
		return NULL;
	ground->neighbours->account(ground->mesh.mesh, key, &neighbour.remote, &path);
	return social_sync_peer_of(sync, key, session, &path, now_ns);
}

void social_sync_session_up(struct sync *sync, const uint8_t key[static MESH_KEY_LEN],
			    uint64_t now_ns)
{
	const struct sync_parts *parts = &sync->params.parts;
	struct sync_peer *peer;

	if (!parts->is_related(parts->ctx, key) || parts->is_blocked(parts->ctx, key))
		return;
	sync->now_ns = now_ns;
	peer = peer_in_session(sync, key, now_ns);
	if (!peer)
		return;
	peer->due_ns = now_ns;
	peer->failure_cnt = 0;
	social_sync_due(sync, now_ns);
}

int social_sync_with(struct sync *sync, const struct sync_order *order, uint64_t now_ns)
{
	struct sync_peer *peer;
	struct sync_waiter *waiter = NULL;
	struct sync_pull *pull;

	sync->now_ns = now_ns;
	if (!(peer = peer_in_session(sync, order->key, now_ns)))
		return WEFT_EABSENT;
	if (order->done && !(waiter = pool_acquire(&sync->waiters)))
		return WEFT_EFULL;
	pull = peer->pull ? peer->pull : pull_make(peer, order->author, false);
	if (!pull) {
		if (waiter)
			pool_release(&sync->waiters, waiter);
		return WEFT_EFULL;
	}
	if (waiter) {
		*waiter = (struct sync_waiter){.done = order->done, .arg = order->arg};
		list_init(&waiter->link);
		list_push_back(&pull->waiters, &waiter->link);
	}
	if (!pull->request && pull->open_cnt == 0)
		social_sync_pull_go_on(pull, now_ns);
	return 0;
}

/* --- life --- */

int social_sync_pull_init(struct sync *sync, const uint64_t secret[2])
{
	int err;

	if ((err = pool_init(&sync->pulls, &sync->arena, sizeof(struct sync_pull),
			     SYNC_PULLS_MAX)) < 0 ||
	    (err = pool_init(&sync->waiters, &sync->arena, sizeof(struct sync_waiter),
			     SYNC_WAITERS_MAX)) < 0)
		return err;
	return map_init(&sync->refused_by_id, &sync->arena, POST_ID_LEN, SYNC_REFUSED_MAX, secret);
}

void social_sync_pull_stop(struct sync *sync)
{
	struct sync_pull *pull = NULL;

	while ((pull = pool_next(&sync->pulls, pull))) {
		if (pull->request)
			sync_ops(sync)->cancel(pull->request);
		pull->request = NULL;
		pull->outcome.err = WEFT_ECLOSED;
		social_sync_waiters_tell(pull, sync->now_ns);
	}
}
