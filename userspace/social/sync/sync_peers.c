/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What peers say of themselves: their follows, groups and personas.
 * It is kept for the session that it was said in, and overwritten with zeros when that ends.
 */
#include <stdlib.h>

#include "base/monotonic.h"
#include "social/sync/sync_state.h"
#include "social/ground/sorted_keys.h"

static const struct fair_config unit_config = {
	.name = "social.sync",
	.cap_cnt = SYNC_UNITS_MAX,
	.kind = FAIR_LASTING,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

/* One more than can hold a unit: a newcomer, before another one gives way. */
#define PEER_CAP (SYNC_UNITS_MAX + 1)

int social_sync_peers_init(struct sync *sync, const uint64_t secret[2])
{
	int err;

	if ((err = fair_init(&sync->unit_slots, &sync->arena, &unit_config, secret)) < 0 ||
	    (err = pool_init(&sync->peers, &sync->arena, sizeof(struct sync_peer), PEER_CAP)) < 0)
		return err;
	return map_init(&sync->peer_by_key, &sync->arena, NODE_KEY_LEN, PEER_CAP, secret);
}

/* --- what they said --- */

static unsigned units_of(size_t follow_cnt)
{
	return (unsigned)((follow_cnt + SYNC_UNIT_FOLLOWS - 1) / SYNC_UNIT_FOLLOWS);
}

void social_sync_follows_forget(struct sync_peer *peer)
{
	if (peer->follows)
		explicit_bzero(peer->follows, peer->follow_cnt * NODE_KEY_LEN);
	free(peer->follows);
	peer->follows = NULL;
	peer->follow_cnt = 0;
}

static void follows_wipe(struct sync_peer *peer, uint64_t now_ns)
{
	social_sync_follows_forget(peer);
	for (unsigned i = 1; i < sizeof(peer->units) / sizeof(peer->units[0]); i++)
		fair_release(&peer->sync->unit_slots, &peer->units[i].slot, now_ns);
}

static void said_wipe(struct sync_peer *peer, uint64_t now_ns)
{
	follows_wipe(peer, now_ns);
	explicit_bzero(peer->proofs, sizeof(peer->proofs));
	explicit_bzero(peer->keys[1], sizeof(peer->keys) - sizeof(peer->keys[0]));
	explicit_bzero(peer->offered, sizeof(peer->offered));
	peer->proof_cnt = 0;
	peer->key_cnt = 1;
	peer->offered_cnt = 0;
	peer->due_cnt = 0;
	peer->has_greeted = false;
}

void social_sync_peer_drop(struct sync *sync, struct sync_peer *peer, uint64_t now_ns)
{
	if (peer->pull)
		social_sync_pull_cancel(peer->pull, WEFT_ECLOSED, now_ns);
	social_sync_push_cancel(peer, now_ns);
	said_wipe(peer, now_ns);
	fair_release(&sync->unit_slots, &peer->units[0].slot, now_ns);
	(void)map_delete(&sync->peer_by_key, peer->keys[0]);
	pool_release(&sync->peers, peer);
}

/* Takes one unit for peer; another account's peer may lose all of its own. */
static bool unit_take(struct sync_peer *peer, struct sync_unit *unit, uint64_t now_ns)
{
	struct sync *sync = peer->sync;
	struct fair_item *victim = NULL;
	struct sync_peer *loser;

	unit->peer = peer;
	switch (fair_take(&sync->unit_slots, &peer->path, &unit->slot, now_ns, &victim)) {
	case FAIR_TAKEN:
		return true;
	case FAIR_BUSY:
		return false;
	case FAIR_TAKEN_FROM:
		break;
	}
	loser = container_of(victim, struct sync_unit, slot)->peer;
	sync->stats.evicted_cnt++;
	if (loser == peer)
		return false;
	social_sync_peer_drop(sync, loser, now_ns);
	return true;
}

/* --- peers --- */

struct sync_peer *social_sync_peer_find(struct sync *sync, const uint8_t *key)
{
	return map_lookup(&sync->peer_by_key, key);
}

static struct sync_peer *peer_make(struct sync *sync, const uint8_t *key,
				   const struct fair_path *path, uint64_t now_ns)
{
	struct sync_peer *peer = pool_acquire(&sync->peers);

	if (!peer)
		return NULL;
	peer->sync = sync;
	peer->path = *path;
	peer->due_ns = TIMER_NEVER;
	peer->key_cnt = 1;
	memcpy(peer->keys[0], key, NODE_KEY_LEN);
	if (!unit_take(peer, &peer->units[0], now_ns) ||
	    map_put(&sync->peer_by_key, key, peer) < 0) {
		fair_release(&sync->unit_slots, &peer->units[0].slot, now_ns);
		pool_release(&sync->peers, peer);
		return NULL;
	}
	if (!timer_is_set(&sync->timer))
		social_sync_due(sync, now_ns);
	return peer;
}

struct sync_peer *social_sync_peer_of(struct sync *sync, const uint8_t *key,
				      const uint8_t session[static SYNC_SESSION_LEN],
				      const struct fair_path *path, uint64_t now_ns)
{
	struct sync_peer *peer = social_sync_peer_find(sync, key);

	if (!peer && !(peer = peer_make(sync, key, path, now_ns)))
		return NULL;
	if (memcmp(peer->session, session, SYNC_SESSION_LEN) != 0) {
		said_wipe(peer, now_ns);
		memcpy(peer->session, session, SYNC_SESSION_LEN);
	}
	return peer;
}

/* A session that ended, or that another one took the place of, is over with what was said in it. */
void social_sync_peers_sweep(struct sync *sync, uint64_t now_ns)
{
	uint8_t session[SYNC_SESSION_LEN];
	struct sync_peer *peer = NULL;

	while ((peer = pool_next(&sync->peers, peer)))
		if (sync_ops(sync)->session(sync_mesh(sync), peer->keys[0], session) < 0 ||
		    memcmp(session, peer->session, sizeof(session)) != 0)
			social_sync_peer_drop(sync, peer, now_ns);
	social_sync_push_waiting(sync, now_ns);
}

/* --- follows --- */

static bool units_take(struct sync_peer *peer, size_t follow_cnt, uint64_t now_ns)
{
	for (unsigned i = 1; i <= units_of(follow_cnt); i++)
		if (!fair_item_holds(&peer->units[i].slot) &&
		    !unit_take(peer, &peer->units[i], now_ns))
			return false;
	return true;
}

bool social_sync_follows_take(struct sync_peer *peer, const uint8_t *follows, size_t len, bool more,
			      uint64_t now_ns)
{
	size_t cnt = len / NODE_KEY_LEN;
	uint8_t(*all)[NODE_KEY_LEN];

	if (!more)
		follows_wipe(peer, now_ns);
	cnt += peer->follow_cnt;
	if (cnt > SYNC_FOLLOWS_MAX)
		return false;
	all = cnt ? malloc(cnt * NODE_KEY_LEN) : NULL;
	if (cnt && (!all || !units_take(peer, cnt, now_ns))) {
		free(all);
		follows_wipe(peer, now_ns);
		return false;
	}
	if (cnt) {
		/* Those from before, then the new ones. */
		if (peer->follow_cnt)
			memcpy(all, peer->follows, peer->follow_cnt * NODE_KEY_LEN);
		memcpy(all[peer->follow_cnt], follows, len);
		social_keys_sort(all, cnt);
	}
	social_sync_follows_forget(peer);
	peer->follows = all;
	peer->follow_cnt = (unsigned)cnt;
	peer->sync->params.parts.followed(peer->sync->params.parts.ctx, peer->keys[0],
					  (const uint8_t(*)[NODE_KEY_LEN])peer->follows,
					  peer->follow_cnt, now_ns);
	/* A follower that was not known as one is asked, too. */
	if (peer->due_ns == TIMER_NEVER && !peer->pull &&
	    peer->sync->params.parts.is_related(peer->sync->params.parts.ctx, peer->keys[0])) {
		peer->due_ns = now_ns;
		social_sync_due(peer->sync, now_ns);
	}
	return true;
}

bool social_sync_peer_follows(const struct sync_peer *peer, const uint8_t *author)
{
	return social_keys_have((const uint8_t(*)[NODE_KEY_LEN])peer->follows, peer->follow_cnt,
				author);
}

/* --- proofs --- */

static void persona_add(struct sync_peer *peer, const uint8_t *key)
{
	if (peer->key_cnt < SYNC_PEER_KEYS_MAX)
		memcpy(peer->keys[peer->key_cnt++], key, NODE_KEY_LEN);
}

static void group_add(struct sync_peer *peer, const struct sync_proof *proof)
{
	struct sync_group_proof *to = &peer->proofs[peer->proof_cnt];

	if (peer->proof_cnt == SYNC_PROOFS_MAX)
		return;
	memcpy(to->group, proof->group, sizeof(to->group));
	memcpy(to->key, proof->key, sizeof(to->key));
	to->epoch = proof->epoch;
	peer->proof_cnt++;
}

/* Proofs of a HELLO take the place of those before. */
void social_sync_proofs_take(struct sync_peer *peer, const struct sync_hello *hello)
{
	struct sync *sync = peer->sync;
	struct sync_proof proof;

	if (hello->proof_cnt == 0)
		return;
	peer->proof_cnt = 0;
	peer->key_cnt = 1;
	for (unsigned i = 0; i < hello->proof_cnt; i++) {
		if (social_sync_proof_read(&hello->proofs[i], peer->session, &proof) < 0) {
			sync->stats.disproof_cnt++;
			continue;
		}
		sync->stats.proof_cnt++;
		if (proof.is_group)
			group_add(peer, &proof);
		else
			persona_add(peer, proof.key);
	}
}
