/* SPDX-License-Identifier: Apache-2.0 */
#include "reputation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "base/random.h"
#include "base/timer.h"
#include "reputation_record.h"
#include "store/store.h"

#define SCORE_MAX      ((int)SERVICE_REPUTATION_MAX)
#define FLUSH_DELAY_NS (5 * NS_PER_S)
#define HOUR_S	       3600u
/* A score this far from the base makes its peer one of note when the table makes room. */
#define NOTED_DISTANCE 10
/* Peers looked at for one to forget. */
#define ROOM_LOOK_CNT 256

struct peer {
	struct service_reputation_record record;
	struct list_node changed; /* linked: differs from the store */
};

struct service_reputation {
	struct service_reputation_params params;
	struct arena arena;
	struct pool peers;
	struct map by_key;
	struct peer *hand; /* the last peer that was looked at to make room; NULL: none */
	struct list_node changed;
	struct timer timer; /* they are written then */
	struct service_reputation_stats stats;
};

static const struct {
	int points;
	bool is_violation;
	const char *word;
} observations[SERVICE_OBSERVATION_CNT] = {
#define SERVICE_OBSERVATION(name, points, is_violation, word) {points, is_violation, word},
#include "observations.def"
#undef SERVICE_OBSERVATION
};

const char *service_observation_word(enum service_observation observation)
{
	return observations[observation].word;
}

static uint64_t wall_now_s(const struct service_reputation *reputation)
{
	return reputation->params.wall_s(reputation->params.ctx);
}

/* A wall clock that was set back makes nothing older. */
static uint64_t age_s(uint64_t now_s, uint64_t then_s)
{
	return now_s > then_s ? now_s - then_s : 0;
}

static struct peer *peer_lookup(const struct service_reputation *reputation, const uint8_t *key)
{
	return map_lookup(&reputation->by_key, key);
}

/* --- the store --- */

/* No caller waits: a change that the store has no room for is tried again with the timer. */
static void reputation_flush(struct service_reputation *reputation)
{
	struct store_batch *batch;

	if (list_is_empty(&reputation->changed) ||
	    !(batch = store_batch_new(reputation->params.store)))
		return;
	for (struct list_node *at = reputation->changed.next; at != &reputation->changed;
	     at = at->next) {
		const struct peer *peer = container_of(at, struct peer, changed);
		uint8_t value[SERVICE_REPUTATION_RECORD_LEN_MAX];
		struct writer w = writer_of(value, sizeof(value));

		service_reputation_record_write(&w, &peer->record);
		store_batch_put(batch, STORE_REPUTATION,
				store_key(peer->record.state.key, MESH_KEY_LEN), value,
				writer_len(&w));
	}
	if (store_submit(reputation->params.store, batch, NULL, NULL) < 0) {
		store_batch_free(batch);
		return;
	}
	while (!list_is_empty(&reputation->changed))
		list_unlink(reputation->changed.next);
}

static void flush_expire(struct timer *timer, uint64_t now_ns)
{
	struct service_reputation *reputation =
		container_of(timer, struct service_reputation, timer);

	reputation_flush(reputation);
	if (!list_is_empty(&reputation->changed))
		timer_set(reputation->params.timers, timer, now_ns + FLUSH_DELAY_NS);
}

static void peer_changed(struct service_reputation *reputation, struct peer *peer, bool is_urgent,
			 uint64_t now_ns)
{
	if (!reputation->params.store)
		return;
	list_unlink(&peer->changed);
	list_push_back(&reputation->changed, &peer->changed);
	if (is_urgent)
		reputation_flush(reputation);
	if (!list_is_empty(&reputation->changed) && !timer_is_set(&reputation->timer))
		timer_set(reputation->params.timers, &reputation->timer, now_ns + FLUSH_DELAY_NS);
}

static void store_forget(struct service_reputation *reputation, const uint8_t *key)
{
	struct store_batch *batch =
		reputation->params.store ? store_batch_new(reputation->params.store) : NULL;

	if (!batch)
		return;
	store_batch_delete(batch, STORE_REPUTATION, store_key(key, MESH_KEY_LEN));
	if (store_submit(reputation->params.store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
}

/* --- the table --- */

/* The loss if the row is evicted: bans first, then any difference from an unknown peer. */
static unsigned peer_note(const struct peer *peer)
{
	int distance = abs((int)peer->record.state.score - (int)SERVICE_REPUTATION_BASE);

	if (peer->record.state.ban_cnt)
		return 2;
	return distance >= NOTED_DISTANCE;
}

static bool is_banned(const struct service_reputation_state *state, uint64_t now_s)
{
	return state->banned_until_s > now_s;
}

static unsigned peer_worth(const struct service_reputation *reputation, const struct peer *peer)
{
	const struct service_reputation_params *params = &reputation->params;

	return params->worth ? params->worth(params->ctx, peer->record.state.key) : 0;
}

/* A peer that might make room, and its worth. */
struct candidate {
	struct peer *peer;
	bool is_banned;
	unsigned worth;
};

static struct candidate candidate_of(const struct service_reputation *reputation, struct peer *peer,
				     uint64_t now_s)
{
	return (struct candidate){.peer = peer,
				  .is_banned = is_banned(&peer->record.state, now_s),
				  .worth = peer_worth(reputation, peer)};
}

/* True when a makes room before b. */
static bool goes_before(const struct candidate *a, const struct candidate *b)
{
	const struct service_reputation_state *of_a = &a->peer->record.state;
	const struct service_reputation_state *of_b = &b->peer->record.state;

	if (a->is_banned != b->is_banned)
		return b->is_banned;
	if (a->is_banned)
		return of_a->banned_until_s < of_b->banned_until_s;
	if (a->worth != b->worth)
		return a->worth < b->worth;
	if (peer_note(a->peer) != peer_note(b->peer))
		return peer_note(a->peer) < peer_note(b->peer);
	return of_a->heard_s < of_b->heard_s;
}

static void peer_forget(struct service_reputation *reputation, struct peer *peer)
{
	store_forget(reputation, peer->record.state.key);
	list_unlink(&peer->changed);
	map_delete(&reputation->by_key, peer->record.state.key);
	pool_release(&reputation->peers, peer);
}

/*
 * Looks at ROOM_LOOK_CNT peers from where it stopped the last time, and at more only until one is
 * an unknown peer without a ban. So the cost of a new key is bounded.
 */
static bool reputation_make_room(struct service_reputation *reputation)
{
	uint64_t now_s = wall_now_s(reputation);
	struct candidate least = {.peer = NULL};
	struct peer *peer = reputation->hand;

	if (reputation->peers.used_cnt < reputation->peers.cap_cnt)
		return true;
	for (uint32_t i = 0; i < reputation->peers.cap_cnt; i++) {
		struct candidate candidate;

		if (!(peer = pool_next(&reputation->peers, peer)) &&
		    !(peer = pool_next(&reputation->peers, NULL)))
			return false;
		candidate = candidate_of(reputation, peer, now_s);
		if (!least.peer || goes_before(&candidate, &least))
			least = candidate;
		if (i + 1 >= ROOM_LOOK_CNT && !least.is_banned && !least.worth)
			break;
	}
	if (!least.peer)
		return false;
	/*
	 * The table was full, so the hand's place is one of the pool's, whichever peer has it now.
	 */
	reputation->hand = peer;
	reputation->stats.evicted_cnt++;
	peer_forget(reputation, least.peer);
	return true;
}

static struct peer *peer_acquire(struct service_reputation *reputation, const uint8_t *key)
{
	struct peer *peer = peer_lookup(reputation, key);

	if (peer)
		return peer;
	if (!reputation_make_room(reputation) || !(peer = pool_acquire(&reputation->peers))) {
		reputation->stats.refused_cnt++;
		return NULL;
	}
	memcpy(peer->record.state.key, key, MESH_KEY_LEN);
	peer->record.state.score = SERVICE_REPUTATION_BASE;
	list_init(&peer->changed);
	if (map_put(&reputation->by_key, key, peer) < 0) {
		pool_release(&reputation->peers, peer);
		return NULL;
	}
	return peer;
}

/* --- observations --- */

/* After a long time without an observation little is left of the score, and nothing of the bans. */
static void record_forgive(struct service_reputation_record *record, uint64_t now_s)
{
	struct service_reputation_state *state = &record->state;
	int distance = (int)state->score - (int)SERVICE_REPUTATION_BASE;

	if (!state->heard_s || age_s(now_s, state->heard_s) < SERVICE_REPUTATION_FORGIVEN_S)
		return;
	state->score = (unsigned)((int)SERVICE_REPUTATION_BASE + distance / 10);
	state->ban_cnt = 0;
	state->violation_cnt = 0;
	record->taken_points = 0;
}

/*
 * The last of an hour's observations are for violations: other acts must not keep a peer from a
 * ban.
 */
static bool record_admits(struct service_reputation_record *record, bool is_violation,
			  uint64_t now_s)
{
	unsigned max =
		SERVICE_OBSERVATIONS_PER_HOUR - (is_violation ? 0 : SERVICE_VIOLATIONS_TO_BAN);

	if (age_s(now_s, record->hour_s) >= HOUR_S || record->hour_s > now_s) {
		record->hour_s = now_s;
		record->observation_cnt = record->hour_violation_cnt = 0;
	}
	if (record->observation_cnt >= max)
		return false;
	record->observation_cnt++;
	record->hour_violation_cnt += is_violation;
	return true;
}

static void violation_add(struct service_reputation_state *state,
			  enum service_observation observation, const char *why, uint64_t now_s)
{
	struct service_violation_record *first = &state->violations[0];

	if (state->violation_cnt < SERVICE_VIOLATIONS_TO_BAN)
		state->violation_cnt++;
	memmove(first + 1, first, (state->violation_cnt - 1) * sizeof(*first));
	first->at_s = now_s;
	first->observation = observation;
	snprintf(first->why, sizeof(first->why), "%s", why ? why : observations[observation].word);
}

static bool deserves_ban(const struct service_reputation_state *state, uint64_t now_s)
{
	return !is_banned(state, now_s) && state->violation_cnt == SERVICE_VIOLATIONS_TO_BAN &&
	       age_s(now_s, state->violations[SERVICE_VIOLATIONS_TO_BAN - 1].at_s) <
		       SERVICE_VIOLATION_WINDOW_S;
}

static uint64_t ban_len_s(unsigned ban_cnt)
{
	uint64_t len_s = ban_cnt < 32 ? (uint64_t)SERVICE_BAN_S << ban_cnt : SERVICE_BAN_S_MAX;

	return len_s < SERVICE_BAN_S_MAX ? len_s : SERVICE_BAN_S_MAX;
}

static void state_ban(struct service_reputation *reputation, struct service_reputation_state *state,
		      uint64_t now_s)
{
	state->banned_until_s = now_s + ban_len_s(state->ban_cnt);
	state->ban_cnt++;
	reputation->stats.ban_cnt++;
}

static void ban_tell(const struct service_reputation *reputation,
		     const struct service_reputation_state *state, uint64_t now_ns)
{
	const struct service_reputation_params *params = &reputation->params;
	char reason[128];

	if (!params->on_ban)
		return;
	snprintf(reason, sizeof(reason), "%u violations within an hour, the last one: %s",
		 SERVICE_VIOLATIONS_TO_BAN, state->violations[0].why);
	params->on_ban(params->ctx, state->key, state->banned_until_s, reason, now_ns);
}

static void record_score(struct service_reputation_record *record,
			 enum service_observation observation, uint64_t now_s)
{
	struct service_reputation_state *state = &record->state;
	int score = (int)state->score + observations[observation].points;

	score = score < 0 ? 0 : score > SCORE_MAX ? SCORE_MAX : score;
	if (observations[observation].is_violation)
		record->taken_points += state->score - (unsigned)score;
	else
		record->other_s = now_s;
	state->score = (unsigned)score;
	state->heard_s = now_s;
}

void service_reputation_note(struct service_reputation *reputation, const uint8_t key[MESH_KEY_LEN],
			     enum service_observation observation, const char *why, uint64_t now_ns)
{
	uint64_t now_s = wall_now_s(reputation);
	struct peer *peer = peer_acquire(reputation, key);
	struct service_reputation_state *state;
	bool is_violation = observations[observation].is_violation, is_ban = false;

	if (!peer)
		return;
	state = &peer->record.state;
	record_forgive(&peer->record, now_s);
	if (!record_admits(&peer->record, is_violation, now_s)) {
		reputation->stats.ignored_cnt++;
		return;
	}
	reputation->stats.observations[observation]++;
	record_score(&peer->record, observation, now_s);
	if (is_violation) {
		violation_add(state, observation, why, now_s);
		is_ban = deserves_ban(state, now_s);
	}
	if (is_ban)
		state_ban(reputation, state, now_s);
	peer_changed(reputation, peer, is_violation, now_ns);
	if (is_ban)
		ban_tell(reputation, state, now_ns);
}

void service_reputation_pardon(struct service_reputation *reputation,
			       const uint8_t key[MESH_KEY_LEN], uint64_t now_ns)
{
	struct peer *peer = peer_lookup(reputation, key);
	struct service_reputation_record *record;
	struct service_reputation_state *state;

	if (!peer)
		return;
	record = &peer->record;
	state = &record->state;
	if (!record->other_s) {
		peer_forget(reputation, peer);
		return;
	}
	state->score += record->taken_points;
	if (state->score > SERVICE_REPUTATION_MAX)
		state->score = SERVICE_REPUTATION_MAX;
	state->heard_s = record->other_s;
	state->violation_cnt = state->ban_cnt = 0;
	state->banned_until_s = 0;
	memset(state->violations, 0, sizeof(state->violations));
	record->taken_points = 0;
	record->observation_cnt -= record->observation_cnt < record->hour_violation_cnt
					   ? record->observation_cnt
					   : record->hour_violation_cnt;
	record->hour_violation_cnt = 0;
	peer_changed(reputation, peer, true, now_ns);
}

int service_reputation_set(struct service_reputation *reputation, const uint8_t key[MESH_KEY_LEN],
			   unsigned score, uint64_t now_ns)
{
	struct peer *peer = peer_acquire(reputation, key);
	struct service_reputation_record *record;

	if (!peer)
		return WEFT_EFULL;
	record = &peer->record;
	record->state.score = score < SERVICE_REPUTATION_MAX ? score : SERVICE_REPUTATION_MAX;
	record->state.heard_s = record->other_s = wall_now_s(reputation);
	record->taken_points = 0;
	peer_changed(reputation, peer, true, now_ns);
	return 0;
}

/* --- asking --- */

unsigned service_reputation_score(const struct service_reputation *reputation,
				  const uint8_t key[MESH_KEY_LEN])
{
	const struct peer *peer = peer_lookup(reputation, key);

	return peer ? peer->record.state.score : SERVICE_REPUTATION_BASE;
}

bool service_reputation_is_banned(const struct service_reputation *reputation,
				  const uint8_t key[MESH_KEY_LEN])
{
	const struct peer *peer = peer_lookup(reputation, key);

	return peer && is_banned(&peer->record.state, wall_now_s(reputation));
}

bool service_reputation_look(const struct service_reputation *reputation,
			     const uint8_t key[MESH_KEY_LEN],
			     struct service_reputation_state *out_state)
{
	const struct peer *peer = peer_lookup(reputation, key);

	if (peer)
		*out_state = peer->record.state;
	return peer;
}

const char *service_reputation_level(unsigned score)
{
	if (score <= SERVICE_REPUTATION_UNTRUSTED_MAX)
		return "untrusted";
	return score < SERVICE_REPUTATION_TRUSTED_MIN ? "normal" : "trusted";
}

const char *service_reputation_explain(const struct service_reputation *reputation,
				       const uint8_t key[MESH_KEY_LEN],
				       char text[static SERVICE_REPUTATION_TEXT_CAP])
{
	const struct peer *peer = peer_lookup(reputation, key);
	const struct service_reputation_state *state;
	uint64_t now_s = wall_now_s(reputation);
	size_t len;

	text[0] = '\0';
	if (!peer)
		return text;
	state = &peer->record.state;
	len = (size_t)snprintf(text, SERVICE_REPUTATION_TEXT_CAP,
			       "Its reputation is %u of 100 (%s).", state->score,
			       service_reputation_level(state->score));
	if (state->violation_cnt)
		len += (size_t)snprintf(text + len, SERVICE_REPUTATION_TEXT_CAP - len,
					" It last broke a rule %" PRIu64 " min ago: %s.",
					age_s(now_s, state->violations[0].at_s) / 60,
					state->violations[0].why);
	if (is_banned(state, now_s))
		snprintf(text + len, SERVICE_REPUTATION_TEXT_CAP - len,
			 " It is banned for %" PRIu64 " min more, for %u violations within an hour "
			 "(ban number %u); weft ban remove lifts it.",
			 (state->banned_until_s - now_s + 59) / 60, SERVICE_VIOLATIONS_TO_BAN,
			 state->ban_cnt);
	else if (state->ban_cnt)
		snprintf(text + len, SERVICE_REPUTATION_TEXT_CAP - len,
			 " Bans so far: %u; the next one is of %" PRIu64 " min.", state->ban_cnt,
			 ban_len_s(state->ban_cnt) / 60);
	return text;
}

void service_reputation_stats(const struct service_reputation *reputation,
			      struct service_reputation_stats *out_stats)
{
	*out_stats = reputation->stats;
	out_stats->peer_cnt = reputation->peers.used_cnt;
	out_stats->peer_cap = reputation->peers.cap_cnt;
}

/* --- life --- */

static int reputation_lay_out(struct service_reputation *reputation, uint32_t peer_cap,
			      const uint64_t secret[2])
{
	struct arena *arena = &reputation->arena;
	int err;

	if ((err = arena_open(arena, ARENA_GROWS)) == 0 &&
	    (err = pool_init(&reputation->peers, arena, sizeof(struct peer), peer_cap)) == 0)
		err = map_init(&reputation->by_key, arena, MESH_KEY_LEN, peer_cap, secret);
	arena_fit(arena);
	return err;
}

size_t service_reputation_footprint(uint32_t peer_cap)
{
	const uint64_t secret[2] = {0};
	struct service_reputation reputation = {0};
	size_t len = reputation_lay_out(&reputation, peer_cap, secret) < 0
			     ? 0
			     : reputation.arena.used_len;

	arena_close(&reputation.arena);
	return len;
}

/* A record that cannot be read is as good as none; one without room is the next one's room. */
static void record_load(struct service_reputation *reputation, const struct store_item *item)
{
	struct service_reputation_record record;
	struct service_reputation_state *state;
	struct peer *peer;

	if (service_reputation_record_parse(item->value, item->value_len, &record) < 0)
		return;
	peer = peer_acquire(reputation, item->key);
	if (!peer)
		return;
	peer->record = record;
	state = &peer->record.state;
	memcpy(state->key, item->key, MESH_KEY_LEN);
	/* A ban of an earlier version may be of thirty days. */
	if (state->banned_until_s > wall_now_s(reputation) + SERVICE_BAN_S_MAX)
		state->banned_until_s = wall_now_s(reputation) + SERVICE_BAN_S_MAX;
}

static int reputation_load(struct service_reputation *reputation)
{
	struct store_iter iter =
		store_iter_fresh(reputation->params.store, STORE_REPUTATION, STORE_ALL);
	struct store_item item;

	if (!reputation->params.store)
		return 0;
	while (store_iter_next(&iter, &item))
		record_load(reputation, &item);
	return store_iter_end(&iter);
}

int service_reputation_new(const struct service_reputation_params *params,
			   struct service_reputation **out_reputation)
{
	struct service_reputation *reputation = calloc(1, sizeof(*reputation));
	const uint64_t secret[2] = {random_u64(params->random), random_u64(params->random)};
	int err;

	if (!reputation)
		return -ENOMEM;
	reputation->params = *params;
	list_init(&reputation->changed);
	timer_init(&reputation->timer, flush_expire);
	if ((err = reputation_lay_out(reputation, params->peer_cap, secret)) < 0 ||
	    (err = reputation_load(reputation)) < 0) {
		service_reputation_free(reputation);
		return err;
	}
	*out_reputation = reputation;
	return 0;
}

void service_reputation_free(struct service_reputation *reputation)
{
	if (!reputation)
		return;
	reputation_flush(reputation);
	timer_cancel(reputation->params.timers, &reputation->timer);
	arena_close(&reputation->arena);
	free(reputation);
}
