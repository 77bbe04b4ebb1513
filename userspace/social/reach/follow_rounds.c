/* SPDX-License-Identifier: Apache-2.0 */
#include "social/reach/follow_rounds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/random.h"
#include "base/timer.h"
#include "social/sync/sync.h"

enum round_state {
	ROUND_RESTS, /* its timer is its next turn */
	ROUND_WAITS, /* for a search to end */
	ROUND_SEARCHES,
	ROUND_PULL_DUE, /* the session is there, and no pull has room: its timer is the next try */
	ROUND_PULLS,
	ROUND_HOLDS, /* its timer is when the session is looked at */
};

struct round {
	struct social_rounds *rounds;
	uint8_t key[NODE_KEY_LEN];
	enum round_state state;
	struct timer timer;
	struct list_node waiting;
	unsigned failure_cnt;
	bool is_gone; /* not followed any more, while a search or a pull has its address */
};

struct social_rounds {
	struct social_rounds_params params;
	struct arena arena;
	struct pool rows;
	struct map by_key;
	struct list_node waiting; /* longest first */
	uint64_t moved_ns;
	bool is_stopped;
	struct social_rounds_stats stats;
};

/* --- times --- */

static void round_set(struct round *round, enum round_state state, uint64_t at_ns)
{
	round->state = state;
	timer_set(round->rounds->params.ground->timers, &round->timer, at_ns);
}

static uint64_t spread(const struct social_rounds *rounds, uint64_t len_ns)
{
	return len_ns ? random_below(rounds->params.ground->random, len_ns) : 0;
}

static void round_release(struct round *round)
{
	struct social_rounds *rounds = round->rounds;

	timer_cancel(rounds->params.ground->timers, &round->timer);
	list_unlink(&round->waiting);
	pool_release(&rounds->rows, round);
}

/* A tenth less at most, so that people that were asked at one moment are not for ever. */
static void round_rest(struct round *round, uint64_t now_ns)
{
	const struct social_rounds *rounds = round->rounds;
	uint64_t pause_ns = rounds->params.every_ns;

	if (round->is_gone) {
		round_release(round);
		return;
	}
	for (unsigned i = 0; i < round->failure_cnt && pause_ns < ROUNDS_PAUSE_MAX_NS; i++)
		pause_ns *= 2;
	if (pause_ns > ROUNDS_PAUSE_MAX_NS && rounds->params.every_ns < ROUNDS_PAUSE_MAX_NS)
		pause_ns = ROUNDS_PAUSE_MAX_NS;
	round_set(round, ROUND_RESTS, now_ns + pause_ns - spread(rounds, pause_ns / 10));
}

/* --- a session that was found --- */

static bool has_session(const struct round *round)
{
	return social_has_session(round->rounds->params.ground, round->key);
}

/* What the mesh or a slot has use for goes on. */
static void hold_look(struct round *round, uint64_t now_ns)
{
	struct social_rounds *rounds = round->rounds;
	const struct social_rounds_ways *ways = &rounds->params.ways;
	const struct mesh_seam *mesh = &rounds->params.ground->mesh;
	struct mesh_path path;

	if (has_session(round) && !ways->is_held(ways->ctx, round->key, now_ns) &&
	    rounds->params.ground->neighbours->path(mesh->mesh, round->key, &path)) {
		if (path.is_used) {
			round_set(round, ROUND_HOLDS, now_ns + ROUNDS_HOLD_NS);
			return;
		}
		if (mesh->ops->release)
			rounds->stats.released_cnt += mesh->ops->release(mesh->mesh, round->key);
	}
	round_rest(round, now_ns);
}

static void on_pulled(void *arg, const struct sync_outcome *outcome, uint64_t now_ns)
{
	struct round *round = arg;

	round->rounds->stats.pulled_cnt += outcome->err == 0;
	if (round->is_gone && !round->rounds->is_stopped)
		round_rest(round, now_ns);
	else if (!round->rounds->is_stopped)
		round_set(round, ROUND_HOLDS, now_ns + ROUNDS_HOLD_NS);
}

static void pull_begin(struct round *round, uint64_t now_ns)
{
	const struct social_rounds_ways *ways = &round->rounds->params.ways;
	struct sync_order order = {.done = on_pulled, .arg = round};
	int err;

	memcpy(order.key, round->key, sizeof(order.key));
	round->state = ROUND_PULLS;
	err = ways->pull(ways->ctx, &order, now_ns);
	if (err == WEFT_EFULL)
		round_set(round, ROUND_PULL_DUE, now_ns + ROUNDS_PULL_RETRY_NS);
	else if (err < 0)
		round_rest(round, now_ns);
}

/* --- turns --- */

static void searches_begin(struct social_rounds *rounds, uint64_t now_ns);

static void on_found(void *arg, const struct social_found *found, uint64_t now_ns)
{
	struct round *round = arg;
	struct social_rounds *rounds = round->rounds;

	rounds->stats.running_cnt--;
	if (rounds->is_stopped)
		return;
	round->state = ROUND_RESTS;
	if (found->err == 0) {
		rounds->stats.found_cnt++;
		round->failure_cnt = 0;
	} else {
		rounds->stats.failed_cnt++;
		round->failure_cnt++;
	}
	if (found->err == 0 && !round->is_gone)
		pull_begin(round, now_ns);
	else
		round_rest(round, now_ns);
	searches_begin(rounds, now_ns);
}

/* False: the searches have no place for it. */
static bool search_begin(struct round *round, uint64_t now_ns)
{
	struct social_rounds *rounds = round->rounds;
	const struct social_search_ask ask = {.key = round->key, .done = on_found, .arg = round};
	int err = social_search(rounds->params.searches, &ask, now_ns);

	if (err == WEFT_EBUSY)
		return false;
	list_unlink(&round->waiting);
	rounds->stats.waiting_cnt--;
	if (err < 0) {
		round_rest(round, now_ns);
		return true;
	}
	round->state = ROUND_SEARCHES;
	rounds->stats.running_cnt++;
	rounds->stats.searched_cnt++;
	return true;
}

static void searches_begin(struct social_rounds *rounds, uint64_t now_ns)
{
	struct round *round;

	while (!rounds->is_stopped && rounds->stats.running_cnt < ROUNDS_SEARCHES_MAX &&
	       (round = list_first(&rounds->waiting, struct round, waiting)))
		if (!search_begin(round, now_ns)) {
			/* Persons at this node fill them: one of theirs ends soon. */
			timer_set(rounds->params.ground->timers, &round->timer,
				  now_ns + ROUNDS_PULL_RETRY_NS);
			return;
		}
}

static void turn_begin(struct round *round, uint64_t now_ns)
{
	struct social_rounds *rounds = round->rounds;

	rounds->stats.turn_cnt++;
	if (has_session(round)) {
		/* Its pulls are those of sessions (sync_start.c). */
		rounds->stats.there_cnt++;
		round->failure_cnt = 0;
		round_rest(round, now_ns);
		return;
	}
	round->state = ROUND_WAITS;
	list_push_back(&rounds->waiting, &round->waiting);
	rounds->stats.waiting_cnt++;
	searches_begin(rounds, now_ns);
}

static void round_expire(struct timer *timer, uint64_t now_ns)
{
	struct round *round = container_of(timer, struct round, timer);

	switch (round->state) {
	case ROUND_RESTS:
		turn_begin(round, now_ns);
		break;
	case ROUND_WAITS:
		searches_begin(round->rounds, now_ns);
		break;
	case ROUND_PULL_DUE:
		pull_begin(round, now_ns);
		break;
	case ROUND_HOLDS:
		hold_look(round, now_ns);
		break;
	case ROUND_SEARCHES:
	case ROUND_PULLS:
		break;
	}
}

/* --- people that are followed --- */

void social_rounds_add(struct social_rounds *rounds, const uint8_t key[static NODE_KEY_LEN],
		       uint64_t now_ns)
{
	struct round *round = map_lookup(&rounds->by_key, key);

	if (round || rounds->is_stopped || !(round = pool_acquire(&rounds->rows)))
		return;
	round->rounds = rounds;
	memcpy(round->key, key, sizeof(round->key));
	timer_init(&round->timer, round_expire);
	list_init(&round->waiting);
	if (map_put(&rounds->by_key, round->key, round) < 0) {
		pool_release(&rounds->rows, round);
		return;
	}
	rounds->stats.person_cnt++;
	round_set(round, ROUND_RESTS, now_ns + spread(rounds, ROUNDS_START_NS));
}

void social_rounds_remove(struct social_rounds *rounds, const uint8_t key[static NODE_KEY_LEN])
{
	struct round *round = map_lookup(&rounds->by_key, key);

	if (!round)
		return;
	map_delete(&rounds->by_key, key);
	rounds->stats.person_cnt--;
	rounds->stats.waiting_cnt -= round->state == ROUND_WAITS;
	round->is_gone = true;
	if (round->state != ROUND_SEARCHES && round->state != ROUND_PULLS)
		round_release(round);
}

void social_rounds_moved(struct social_rounds *rounds, uint64_t now_ns)
{
	struct round *round = NULL;

	if (rounds->is_stopped || (rounds->moved_ns && now_ns < rounds->moved_ns + ROUNDS_MOVES_NS))
		return;
	rounds->moved_ns = now_ns;
	while ((round = pool_next(&rounds->rows, round))) {
		round->failure_cnt = 0;
		if (round->state == ROUND_RESTS)
			round_set(round, ROUND_RESTS, now_ns + spread(rounds, ROUNDS_START_NS));
	}
}

/* --- life --- */

static int lay_out(struct social_rounds *rounds, unsigned cap_cnt, const uint64_t secret[2])
{
	int err = arena_open(&rounds->arena, ARENA_GROWS);

	list_init(&rounds->waiting);
	if (err == 0)
		err = pool_init(&rounds->rows, &rounds->arena, sizeof(struct round), cap_cnt);
	if (err == 0)
		err = map_init(&rounds->by_key, &rounds->arena, NODE_KEY_LEN, cap_cnt, secret);
	arena_fit(&rounds->arena);
	return err;
}

size_t social_rounds_footprint(unsigned cap_cnt)
{
	struct social_rounds *rounds = calloc(1, sizeof(*rounds));
	const uint64_t secret[2] = {0};
	size_t len = 0;

	if (!rounds)
		return 0;
	if (lay_out(rounds, cap_cnt, secret) == 0)
		len = sizeof(*rounds) + rounds->arena.used_len;
	arena_close(&rounds->arena);
	free(rounds);
	return len;
}

int social_rounds_open(const struct social_rounds_params *params, struct social_rounds **out_rounds)
{
	struct social_rounds *rounds = calloc(1, sizeof(*rounds));
	uint64_t secret[2];
	int err;

	if (!rounds)
		return -ENOMEM;
	rounds->params = *params;
	random_fill(params->ground->random, secret, sizeof(secret));
	err = lay_out(rounds, params->cap_cnt, secret);
	if (err < 0) {
		social_rounds_close(rounds);
		return err;
	}
	*out_rounds = rounds;
	return 0;
}

void social_rounds_stop(struct social_rounds *rounds)
{
	struct round *round = NULL;

	if (!rounds || rounds->is_stopped)
		return;
	rounds->is_stopped = true;
	while (rounds->rows.objects && (round = pool_next(&rounds->rows, round)))
		timer_cancel(rounds->params.ground->timers, &round->timer);
}

void social_rounds_close(struct social_rounds *rounds)
{
	if (!rounds)
		return;
	social_rounds_stop(rounds);
	arena_close(&rounds->arena);
	free(rounds);
}

void social_rounds_stats(const struct social_rounds *rounds, struct social_rounds_stats *out_stats)
{
	*out_stats = rounds->stats;
}
