/* SPDX-License-Identifier: Apache-2.0 */
#include "service/conduct.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/random.h"
#include "base/timer.h"
#include "service/conduct_record.h"
#include "store/store.h"

#define SCORE_MAX      ((int)SERVICE_CONDUCT_MAX)
#define FLUSH_DELAY_NS (5 * NS_PER_S)
#define HOUR_S	       3600u
/* How far a score is from the base for its peer to be of note when room is made. */
#define NOTED_DISTANCE 10
/* Peers looked at for one to forget. */
#define ROOM_LOOK_CNT 256

struct peer {
	struct service_conduct_record record;
	struct list_node changed; /* linked: differs from the store */
};

struct service_conduct {
	struct service_conduct_params params;
	struct arena arena;
	struct pool peers;
	struct map by_key;
	struct peer *hand; /* the last one that was looked at to make room; NULL: none */
	struct list_node changed;
	struct timer timer; /* they are written then */
	struct service_conduct_stats stats;
};

static const struct {
	int points;
	bool is_violation;
	const char *word;
} deeds[SERVICE_DEED_CNT] = {
#define SERVICE_DEED(name, points, is_violation, word) {points, is_violation, word},
#include "service/deeds.def"
#undef SERVICE_DEED
};

const char *service_deed_word(enum service_deed deed)
{
	return deeds[deed].word;
}

static uint64_t wall_now_s(const struct service_conduct *conduct)
{
	return conduct->params.wall_s(conduct->params.ctx);
}

/* A wall clock that was set back makes nothing older. */
static uint64_t age_s(uint64_t now_s, uint64_t then_s)
{
	return now_s > then_s ? now_s - then_s : 0;
}

static struct peer *peer_lookup(const struct service_conduct *conduct, const uint8_t *key)
{
	return map_lookup(&conduct->by_key, key);
}

/* --- the store --- */

/* Nobody waits: what the store has no room for is tried again with the timer. */
static void conduct_flush(struct service_conduct *conduct)
{
	struct store_batch *batch;

	if (list_is_empty(&conduct->changed) || !(batch = store_batch_new(conduct->params.store)))
		return;
	for (struct list_node *at = conduct->changed.next; at != &conduct->changed; at = at->next) {
		const struct peer *peer = list_entry(at, struct peer, changed);
		uint8_t value[SERVICE_CONDUCT_RECORD_LEN_MAX];
		struct writer w = writer_of(value, sizeof(value));

		service_conduct_record_write(&w, &peer->record);
		store_batch_put(batch, STORE_CONDUCT, peer->record.state.key, MESH_KEY_LEN, value,
				writer_len(&w));
	}
	if (store_submit(conduct->params.store, batch, NULL, NULL) < 0) {
		store_batch_free(batch);
		return;
	}
	while (!list_is_empty(&conduct->changed))
		list_unlink(conduct->changed.next);
}

static void flush_expire(struct timer *timer, uint64_t now_ns)
{
	struct service_conduct *conduct = list_entry(timer, struct service_conduct, timer);

	conduct_flush(conduct);
	if (!list_is_empty(&conduct->changed))
		timer_set(conduct->params.timers, timer, now_ns + FLUSH_DELAY_NS);
}

static void peer_changed(struct service_conduct *conduct, struct peer *peer, bool is_urgent,
			 uint64_t now_ns)
{
	if (!conduct->params.store)
		return;
	list_unlink(&peer->changed);
	list_push_back(&conduct->changed, &peer->changed);
	if (is_urgent)
		conduct_flush(conduct);
	if (!list_is_empty(&conduct->changed) && !timer_is_set(&conduct->timer))
		timer_set(conduct->params.timers, &conduct->timer, now_ns + FLUSH_DELAY_NS);
}

static void store_forget(struct service_conduct *conduct, const uint8_t *key)
{
	struct store_batch *batch =
		conduct->params.store ? store_batch_new(conduct->params.store) : NULL;

	if (!batch)
		return;
	store_batch_delete(batch, STORE_CONDUCT, key, MESH_KEY_LEN);
	if (store_submit(conduct->params.store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
}

/* --- the table --- */

/* How much it would be to forget: bans first, then what sets it off from a stranger. */
static unsigned peer_note(const struct peer *peer)
{
	int distance = abs((int)peer->record.state.score - (int)SERVICE_CONDUCT_BASE);

	if (peer->record.state.ban_cnt)
		return 2;
	return distance >= NOTED_DISTANCE;
}

static bool is_banned(const struct service_conduct_state *state, uint64_t now_s)
{
	return state->banned_until_s > now_s;
}

static unsigned peer_worth(const struct service_conduct *conduct, const struct peer *peer)
{
	const struct service_conduct_params *params = &conduct->params;

	return params->worth ? params->worth(params->ctx, peer->record.state.key) : 0;
}

/* Who might make room, and how dear it is. */
struct candidate {
	struct peer *peer;
	bool is_banned;
	unsigned worth;
};

static struct candidate candidate_of(const struct service_conduct *conduct, struct peer *peer,
				     uint64_t now_s)
{
	return (struct candidate){.peer = peer,
				  .is_banned = is_banned(&peer->record.state, now_s),
				  .worth = peer_worth(conduct, peer)};
}

/* True when a makes room before b. */
static bool goes_before(const struct candidate *a, const struct candidate *b)
{
	const struct service_conduct_state *of_a = &a->peer->record.state;
	const struct service_conduct_state *of_b = &b->peer->record.state;

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

static void peer_forget(struct service_conduct *conduct, struct peer *peer)
{
	store_forget(conduct, peer->record.state.key);
	list_unlink(&peer->changed);
	map_delete(&conduct->by_key, peer->record.state.key);
	pool_release(&conduct->peers, peer);
}

/*
 * Looks at ROOM_LOOK_CNT peers from where it stopped the last time, and at more
 * only until one is a stranger without a ban: what a new key costs is bounded.
 */
static bool conduct_make_room(struct service_conduct *conduct)
{
	uint64_t now_s = wall_now_s(conduct);
	struct candidate least = {.peer = NULL};
	struct peer *peer = conduct->hand;

	if (conduct->peers.used_cnt < conduct->peers.cap_cnt)
		return true;
	for (uint32_t i = 0; i < conduct->peers.cap_cnt; i++) {
		struct candidate candidate;

		if (!(peer = pool_next(&conduct->peers, peer)) &&
		    !(peer = pool_next(&conduct->peers, NULL)))
			return false;
		candidate = candidate_of(conduct, peer, now_s);
		if (!least.peer || goes_before(&candidate, &least))
			least = candidate;
		if (i + 1 >= ROOM_LOOK_CNT && !least.is_banned && !least.worth)
			break;
	}
	if (!least.peer)
		return false;
	/* The table was full, so the hand's place is one of the pool's whoever has it now. */
	conduct->hand = peer;
	conduct->stats.evicted_cnt++;
	peer_forget(conduct, least.peer);
	return true;
}

static struct peer *peer_meet(struct service_conduct *conduct, const uint8_t *key)
{
	struct peer *peer = peer_lookup(conduct, key);

	if (peer)
		return peer;
	if (!conduct_make_room(conduct) || !(peer = pool_acquire(&conduct->peers))) {
		conduct->stats.refused_cnt++;
		return NULL;
	}
	memcpy(peer->record.state.key, key, MESH_KEY_LEN);
	peer->record.state.score = SERVICE_CONDUCT_BASE;
	list_init(&peer->changed);
	if (map_put(&conduct->by_key, key, peer) < 0) {
		pool_release(&conduct->peers, peer);
		return NULL;
	}
	return peer;
}

/* --- deeds --- */

/* After a long time without a deed little is left of the score, and nothing of the bans. */
static void record_forgive(struct service_conduct_record *record, uint64_t now_s)
{
	struct service_conduct_state *state = &record->state;
	int distance = (int)state->score - (int)SERVICE_CONDUCT_BASE;

	if (!state->heard_s || age_s(now_s, state->heard_s) < SERVICE_CONDUCT_FORGIVEN_S)
		return;
	state->score = (unsigned)((int)SERVICE_CONDUCT_BASE + distance / 10);
	state->ban_cnt = 0;
	state->violation_cnt = 0;
	record->taken_points = 0;
}

/* The last of an hour's deeds are for violations: nobody buys itself free of a ban. */
static bool record_admits(struct service_conduct_record *record, bool is_violation, uint64_t now_s)
{
	unsigned max = SERVICE_DEEDS_PER_HOUR - (is_violation ? 0 : SERVICE_VIOLATIONS_TO_BAN);

	if (age_s(now_s, record->hour_s) >= HOUR_S || record->hour_s > now_s) {
		record->hour_s = now_s;
		record->deed_cnt = record->hour_violation_cnt = 0;
	}
	if (record->deed_cnt >= max)
		return false;
	record->deed_cnt++;
	record->hour_violation_cnt += is_violation;
	return true;
}

static void violation_add(struct service_conduct_state *state, enum service_deed deed,
			  const char *why, uint64_t now_s)
{
	struct service_violation_record *first = &state->violations[0];

	if (state->violation_cnt < SERVICE_VIOLATIONS_TO_BAN)
		state->violation_cnt++;
	memmove(first + 1, first, (state->violation_cnt - 1) * sizeof(*first));
	first->at_s = now_s;
	first->deed = deed;
	snprintf(first->why, sizeof(first->why), "%s", why ? why : deeds[deed].word);
}

static bool deserves_ban(const struct service_conduct_state *state, uint64_t now_s)
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

static void state_ban(struct service_conduct *conduct, struct service_conduct_state *state,
		      uint64_t now_s)
{
	state->banned_until_s = now_s + ban_len_s(state->ban_cnt);
	state->ban_cnt++;
	conduct->stats.ban_cnt++;
}

static void ban_tell(const struct service_conduct *conduct,
		     const struct service_conduct_state *state, uint64_t now_ns)
{
	const struct service_conduct_params *params = &conduct->params;
	char reason[128];

	if (!params->on_ban)
		return;
	snprintf(reason, sizeof(reason), "%u violations within an hour, the last one: %s",
		 SERVICE_VIOLATIONS_TO_BAN, state->violations[0].why);
	params->on_ban(params->ctx, state->key, state->banned_until_s, reason, now_ns);
}

static void record_score(struct service_conduct_record *record, enum service_deed deed,
			 uint64_t now_s)
{
	struct service_conduct_state *state = &record->state;
	int score = (int)state->score + deeds[deed].points;

	score = score < 0 ? 0 : score > SCORE_MAX ? SCORE_MAX : score;
	if (deeds[deed].is_violation)
		record->taken_points += state->score - (unsigned)score;
	else
		record->other_s = now_s;
	state->score = (unsigned)score;
	state->heard_s = now_s;
}

void service_conduct_note(struct service_conduct *conduct, const uint8_t key[MESH_KEY_LEN],
			  enum service_deed deed, const char *why, uint64_t now_ns)
{
	uint64_t now_s = wall_now_s(conduct);
	struct peer *peer = peer_meet(conduct, key);
	struct service_conduct_state *state;
	bool is_violation = deeds[deed].is_violation, is_ban = false;

	if (!peer)
		return;
	state = &peer->record.state;
	record_forgive(&peer->record, now_s);
	if (!record_admits(&peer->record, is_violation, now_s)) {
		conduct->stats.ignored_cnt++;
		return;
	}
	conduct->stats.deeds[deed]++;
	record_score(&peer->record, deed, now_s);
	if (is_violation) {
		violation_add(state, deed, why, now_s);
		is_ban = deserves_ban(state, now_s);
	}
	if (is_ban)
		state_ban(conduct, state, now_s);
	peer_changed(conduct, peer, is_violation, now_ns);
	if (is_ban)
		ban_tell(conduct, state, now_ns);
}

void service_conduct_pardon(struct service_conduct *conduct, const uint8_t key[MESH_KEY_LEN],
			    uint64_t now_ns)
{
	struct peer *peer = peer_lookup(conduct, key);
	struct service_conduct_record *record;
	struct service_conduct_state *state;

	if (!peer)
		return;
	record = &peer->record;
	state = &record->state;
	if (!record->other_s) {
		peer_forget(conduct, peer);
		return;
	}
	state->score += record->taken_points;
	if (state->score > SERVICE_CONDUCT_MAX)
		state->score = SERVICE_CONDUCT_MAX;
	state->heard_s = record->other_s;
	state->violation_cnt = state->ban_cnt = 0;
	state->banned_until_s = 0;
	memset(state->violations, 0, sizeof(state->violations));
	record->taken_points = 0;
	record->deed_cnt -= record->deed_cnt < record->hour_violation_cnt
				    ? record->deed_cnt
				    : record->hour_violation_cnt;
	record->hour_violation_cnt = 0;
	peer_changed(conduct, peer, true, now_ns);
}

int service_conduct_set(struct service_conduct *conduct, const uint8_t key[MESH_KEY_LEN],
			unsigned score, uint64_t now_ns)
{
	struct peer *peer = peer_meet(conduct, key);
	struct service_conduct_record *record;

	if (!peer)
		return WEFT_EFULL;
	record = &peer->record;
	record->state.score = score < SERVICE_CONDUCT_MAX ? score : SERVICE_CONDUCT_MAX;
	record->state.heard_s = record->other_s = wall_now_s(conduct);
	record->taken_points = 0;
	peer_changed(conduct, peer, true, now_ns);
	return 0;
}

/* --- asking --- */

unsigned service_conduct_score(const struct service_conduct *conduct,
			       const uint8_t key[MESH_KEY_LEN])
{
	const struct peer *peer = peer_lookup(conduct, key);

	return peer ? peer->record.state.score : SERVICE_CONDUCT_BASE;
}

bool service_conduct_is_banned(const struct service_conduct *conduct,
			       const uint8_t key[MESH_KEY_LEN])
{
	const struct peer *peer = peer_lookup(conduct, key);

	return peer && is_banned(&peer->record.state, wall_now_s(conduct));
}

bool service_conduct_look(const struct service_conduct *conduct, const uint8_t key[MESH_KEY_LEN],
			  struct service_conduct_state *out_state)
{
	const struct peer *peer = peer_lookup(conduct, key);

	if (peer)
		*out_state = peer->record.state;
	return peer;
}

const char *service_conduct_standing(unsigned score)
{
	if (score <= SERVICE_CONDUCT_UNTRUSTED_MAX)
		return "untrusted";
	return score < SERVICE_CONDUCT_TRUSTED_MIN ? "normal" : "trusted";
}

const char *service_conduct_explain(const struct service_conduct *conduct,
				    const uint8_t key[MESH_KEY_LEN],
				    char text[static SERVICE_CONDUCT_TEXT_CAP])
{
	const struct peer *peer = peer_lookup(conduct, key);
	const struct service_conduct_state *state;
	uint64_t now_s = wall_now_s(conduct);
	size_t len;

	text[0] = '\0';
	if (!peer)
		return text;
	state = &peer->record.state;
	len = (size_t)snprintf(text, SERVICE_CONDUCT_TEXT_CAP, "Its conduct is %u of 100 (%s).",
			       state->score, service_conduct_standing(state->score));
	if (state->violation_cnt)
		len += (size_t)snprintf(text + len, SERVICE_CONDUCT_TEXT_CAP - len,
					" It last broke a rule %" PRIu64 " min ago: %s.",
					age_s(now_s, state->violations[0].at_s) / 60,
					state->violations[0].why);
	if (is_banned(state, now_s))
		snprintf(text + len, SERVICE_CONDUCT_TEXT_CAP - len,
			 " It is banned for %" PRIu64 " min more, for %u violations within an hour "
			 "(ban number %u); weft ban remove lifts it.",
			 (state->banned_until_s - now_s + 59) / 60, SERVICE_VIOLATIONS_TO_BAN,
			 state->ban_cnt);
	else if (state->ban_cnt)
		snprintf(text + len, SERVICE_CONDUCT_TEXT_CAP - len,
			 " Bans so far: %u; the next one is of %" PRIu64 " min.", state->ban_cnt,
			 ban_len_s(state->ban_cnt) / 60);
	return text;
}

void service_conduct_stats(const struct service_conduct *conduct,
			   struct service_conduct_stats *out_stats)
{
	*out_stats = conduct->stats;
	out_stats->peer_cnt = conduct->peers.used_cnt;
	out_stats->peer_cap = conduct->peers.cap_cnt;
}

/* --- life --- */

size_t service_conduct_footprint(uint32_t peer_cap)
{
	return pool_footprint(sizeof(struct peer), peer_cap) +
	       map_footprint(MESH_KEY_LEN, peer_cap);
}

/* A record that cannot be read is as good as none; one without room is the next one's room. */
static bool record_load(void *arg, const struct store_item *item)
{
	struct service_conduct *conduct = arg;
	struct service_conduct_record record;
	struct service_conduct_state *state;
	struct peer *peer;

	if (service_conduct_record_parse(item->value, item->value_len, &record) < 0)
		return true;
	peer = peer_meet(conduct, item->key);
	if (!peer)
		return true;
	peer->record = record;
	state = &peer->record.state;
	memcpy(state->key, item->key, MESH_KEY_LEN);
	/* A ban of an earlier version may be of thirty days. */
	if (state->banned_until_s > wall_now_s(conduct) + SERVICE_BAN_S_MAX)
		state->banned_until_s = wall_now_s(conduct) + SERVICE_BAN_S_MAX;
	return true;
}

static int conduct_load(struct service_conduct *conduct)
{
	struct store_snapshot *snapshot;
	int err;

	if (!conduct->params.store)
		return 0;
	if ((err = store_snapshot_open(conduct->params.store, &snapshot)) < 0)
		return err;
	err = store_each(snapshot, STORE_CONDUCT, NULL, 0, record_load, conduct);
	store_snapshot_close(snapshot);
	return err;
}

int service_conduct_new(const struct service_conduct_params *params,
			struct service_conduct **out_conduct)
{
	struct service_conduct *conduct = calloc(1, sizeof(*conduct));
	const uint64_t secret[2] = {random_u64(params->random), random_u64(params->random)};
	int err;

	if (!conduct)
		return -ENOMEM;
	conduct->params = *params;
	list_init(&conduct->changed);
	timer_init(&conduct->timer, flush_expire);
	if ((err = arena_open(&conduct->arena, service_conduct_footprint(params->peer_cap))) < 0 ||
	    (err = pool_init(&conduct->peers, &conduct->arena, sizeof(struct peer),
			     params->peer_cap)) < 0 ||
	    (err = map_init(&conduct->by_key, &conduct->arena, MESH_KEY_LEN, params->peer_cap,
			    secret)) < 0 ||
	    (err = conduct_load(conduct)) < 0) {
		service_conduct_free(conduct);
		return err;
	}
	*out_conduct = conduct;
	return 0;
}

void service_conduct_free(struct service_conduct *conduct)
{
	if (!conduct)
		return;
	conduct_flush(conduct);
	timer_cancel(conduct->params.timers, &conduct->timer);
	arena_close(&conduct->arena);
	free(conduct);
}
