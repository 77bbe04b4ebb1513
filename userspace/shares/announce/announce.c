/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the next announcement, and its time (announce.h). */
#include "announce.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "announce_state.h"
#include "crypto/node_key.h"
#include "store/store.h"

/* No node took a value: so long none is put. */
#define PAUSE_NS (60 * NS_PER_S)
/* No room for a job or a put at the moment. */
#define RETRY_NS (1 * NS_PER_S)
/* Addresses come and go together. */
#define ADDRS_DELAY_NS (10 * NS_PER_S)
/* How late what is due may be noticed: the clock that says so may be set. */
#define LOOK_NS (60 * NS_PER_S)

void shares_announce_config_defaults(struct announce_config *config)
{
	*config = (struct announce_config){
		.scope = ANNOUNCE_PUBLIC,
		.puts_per_min = 60,
		.manifest_cap = 4096,
		.lookup_cap = 256,
		.region_cap = 256,
		.set_memory_len = 32ul * 1024 * 1024,
	};
}

uint64_t shares_announce_wall_s(const struct announce *announce)
{
	return announce->params.wall_s(announce->params.ctx);
}

uint64_t shares_announce_due_s(uint64_t announced_s, uint32_t seed)
{
	return announced_s + ANNOUNCE_PERIOD_S - seed % ANNOUNCE_SPREAD_S;
}

bool shares_announce_is_due(uint64_t announced_s, uint64_t changed_s, uint32_t seed,
			    uint64_t wall_s)
{
	return announced_s == 0 || announced_s < changed_s ||
	       announced_s > wall_s + HOLDER_RECORD_SKEW_S ||
	       shares_announce_due_s(announced_s, seed) <= wall_s;
}

/* There may be something to do now. */
static void announce_wake(struct announce *announce)
{
	if (!announce->is_stopped)
		timer_set(announce->params.timers, &announce->timer, 0);
}

void shares_announce_submit(struct announce *announce, struct store_batch *batch)
{
	/* Rows that are not written are announced again after a restart, no more. */
	if (store_submit(announce->params.store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
}

/* --- jobs --- */

static int job_go_on(struct announce *announce)
{
	const struct announce_manifest *manifest;

	if (announce->job.is_out)
		return 0;
	manifest = shares_announce_manifest_to_look_at(announce);
	if (manifest)
		return shares_announce_job_look(&announce->job, manifest->id);
	if (announce->has_listed || !shares_announce_shape_decide(announce))
		return 0;
	return shares_announce_list_begin(announce);
}

void shares_announce_job_done(struct announce *announce)
{
	if (announce->is_stopped)
		return;
	if (announce->job.task == TASK_LOOK)
		shares_announce_manifest_looked(announce);
	else
		shares_announce_list_done(announce);
	announce_wake(announce);
}

/* --- puts --- */

/* New things come before those announced again. */
static enum announce_due due_find(const struct announce *announce,
				  struct announce_manifest **out_manifest)
{
	struct announce_manifest *manifest = NULL, *again = NULL;

	while ((manifest = pool_next(&announce->manifests, manifest))) {
		if (!shares_announce_manifest_is_due(announce, manifest))
			continue;
		again = manifest;
		if (!manifest->announced_s)
			break;
	}
	*out_manifest = again;
	if (announce->has_listed && (!again || again->announced_s))
		return announce->shape == ANNOUNCE_SINGLES ? DUE_SINGLE : DUE_SET;
	return again ? DUE_MANIFEST : DUE_NONE;
}

static int single_put(struct announce *announce, uint64_t now_ns)
{
	const struct announce_job *job = &announce->job;
	int err = shares_announce_put_record(announce, ANNOUNCE_CONTENT,
					     job->ids[announce->listed_cnt], 0, now_ns);

	if (err == 0)
		announce->has_listed = ++announce->listed_cnt < job->id_cnt;
	return err;
}

static int set_put(struct announce *announce, uint64_t now_ns)
{
	const struct announce_job *job = &announce->job;
	int err = shares_announce_put_set(announce, job, announce->regions[job->region].announced_s,
					  now_ns);

	if (err == 0)
		announce->has_listed = false;
	return err;
}

static int due_put(struct announce *announce, enum announce_due due,
		   struct announce_manifest *manifest, uint64_t now_ns)
{
	int err;

	if (due == DUE_SINGLE)
		return single_put(announce, now_ns);
	if (due == DUE_SET)
		return set_put(announce, now_ns);
	err = shares_announce_put_record(announce, ANNOUNCE_MANIFEST, manifest->id,
					 manifest->announced_s, now_ns);
	manifest->is_out = err == 0;
	return err;
}

static void put_failed(struct announce *announce, int err, uint64_t now_ns)
{
	announce->stats.failed_cnt++;
	announce->stats.err = err;
	announce->paused_ns = now_ns + PAUSE_NS;
}

static void puts_go_on(struct announce *announce, uint64_t now_ns)
{
	struct announce_manifest *manifest;

	while (now_ns >= announce->put_at_ns && now_ns >= announce->paused_ns &&
	       shares_announce_can_put(announce)) {
		enum announce_due due = due_find(announce, &manifest);
		int err;

		if (due == DUE_NONE)
			return;
		err = due_put(announce, due, manifest, now_ns);
		if (err == WEFT_EFULL)
			announce->put_at_ns = now_ns + RETRY_NS;
		else if (err < 0)
			put_failed(announce, err, now_ns);
	}
}

void shares_announce_put_done(struct announce *announce, const struct announce_log_row *row,
			      int err, uint64_t now_ns)
{
	struct store_batch *batch;

	if (row->kind == ANNOUNCE_LOG_MANIFEST)
		shares_announce_manifest_logged(announce, row, err);
	else
		shares_announce_region_logged(announce, row, err);
	if (err < 0) {
		put_failed(announce, err, now_ns);
	} else {
		announce->stats.err = 0;
		batch = store_batch_new(announce->params.store);
		shares_announce_log_put(batch, row);
		shares_announce_submit(announce, batch);
	}
	announce_wake(announce);
}

/* --- time --- */

static uint64_t put_next_ns(const struct announce *announce)
{
	struct announce_manifest *manifest;

	if (!shares_announce_can_put(announce) || due_find(announce, &manifest) == DUE_NONE)
		return UINT64_MAX;
	return announce->put_at_ns > announce->paused_ns ? announce->put_at_ns
							 : announce->paused_ns;
}

static void announce_step(struct timer *timer, uint64_t now_ns)
{
	struct announce *announce = container_of(timer, struct announce, timer);
	uint64_t next_ns = now_ns + LOOK_NS, put_ns, wall_s = shares_announce_wall_s(announce);

	/* The clock was set back: or all would be due for good. */
	if (announce->changed_s > wall_s + 1)
		announce->changed_s = wall_s + 1;
	if (announce->params.config.scope == ANNOUNCE_OFF)
		return;
	if (announce->wants_walk)
		shares_announce_manifests_walk(announce);
	puts_go_on(announce, now_ns);
	if (job_go_on(announce) < 0)
		next_ns = now_ns + RETRY_NS;
	put_ns = put_next_ns(announce);
	timer_set(announce->params.timers, timer, put_ns < next_ns ? put_ns : next_ns);
}

void shares_announce_held_changed(struct announce *announce, const uint8_t *manifest_id,
				  uint64_t now_ns)
{
	struct announce_manifest *manifest =
		manifest_id ? map_lookup(&announce->by_id, manifest_id) : NULL;

	(void)now_ns;
	announce->wants_walk = true;
	if (manifest)
		manifest->is_looked = false;
	announce_wake(announce);
}

void shares_announce_configure(struct announce *announce, const struct announce_config *config,
			       uint64_t now_ns)
{
	announce->params.config.scope = config->scope;
	announce->params.config.puts_per_min = config->puts_per_min;
	shares_announce_held_changed(announce, NULL, now_ns);
}

static int addrs_row_read(struct announce *announce, struct announce_log_row *out_row)
{
	struct announce_log_row row = {.kind = ANNOUNCE_LOG_ADDRS};
	uint8_t key[ANNOUNCE_LOG_KEY_CAP];
	struct store_item item = {.key = key, .key_len = shares_announce_log_key(&row, key)};
	struct store_snapshot *snapshot;
	const void *value;
	int err = store_snapshot_open(announce->params.store, &snapshot);

	if (err < 0)
		return err;
	err = store_get(snapshot, STORE_ANNOUNCED, store_key(key, item.key_len), &value,
			&item.value_len);
	item.value = value;
	if (err == 0)
		err = shares_announce_log_parse(&item, out_row);
	store_snapshot_close(snapshot);
	return err;
}

/* All is announced again: earlier announcements may differ, or have reached no node. */
static void all_change(struct announce *announce)
{
	/* An announcement of this very second may be among them. */
	announce->changed_s = shares_announce_wall_s(announce) + 1;
	for (uint32_t i = 0; i < shares_announce_region_cnt(announce); i++)
		announce->regions[i].due_s = 0;
}

static void half_hash(const struct peer_places *places, uint8_t out[static ANNOUNCE_SAID_HASH_LEN])
{
	uint8_t hash[ANNOUNCE_LOG_HASH_LEN];

	shares_announce_log_hash(places, hash);
	memcpy(out, hash, ANNOUNCE_SAID_HASH_LEN);
}

static void addrs_hash(const struct announce *announce, uint8_t out[static ANNOUNCE_SAID_HASH_LEN])
{
	struct peer_places addrs = announce->places;

	addrs.via_cnt = 0;
	half_hash(&addrs, out);
}

static void relays_hash(const struct announce *announce, uint8_t out[static ANNOUNCE_SAID_HASH_LEN])
{
	struct peer_places relays = announce->places;

	relays.addr_cnt = 0;
	half_hash(&relays, out);
}

static void changed_save(struct announce *announce)
{
	struct announce_log_row row = {.kind = ANNOUNCE_LOG_ADDRS, .time_s = announce->changed_s};
	struct store_batch *batch = store_batch_new(announce->params.store);

	addrs_hash(announce, row.id);
	memcpy(row.id + ANNOUNCE_SAID_HASH_LEN, announce->said_hash, sizeof(announce->said_hash));
	shares_announce_log_put(batch, &row);
	shares_announce_submit(announce, batch);
}

/* A restart must not announce all again because it does not know since when they are these. */
static bool addrs_are_new(struct announce *announce)
{
	uint8_t hash[ANNOUNCE_SAID_HASH_LEN];
	struct announce_log_row known;

	if (addrs_row_read(announce, &known) < 0) {
		announce->changed_s = shares_announce_wall_s(announce);
		return false;
	}
	if (!announce->changed_s)
		memcpy(announce->said_hash, known.id + ANNOUNCE_SAID_HASH_LEN,
		       sizeof(announce->said_hash));
	announce->changed_s = known.time_s;
	addrs_hash(announce, hash);
	return memcmp(known.id, hash, sizeof(hash)) != 0;
}

static bool relays_are_said(const struct announce *announce,
			    const uint8_t hash[static ANNOUNCE_SAID_HASH_LEN])
{
	const struct peer_places *places = &announce->places;

	if (announce->has_put_bare)
		return false;
	if (!announce->said_via_cnt)
		return memcmp(announce->said_hash, hash, sizeof(announce->said_hash)) == 0;
	for (unsigned i = 0; i < places->via_cnt; i++)
		for (unsigned j = 0; j < announce->said_via_cnt; j++)
			if (peer_vias_equal(&places->vias[i], 1, &announce->said_vias[j], 1))
				return true;
	return false;
}

/*
 * One relay that all announcements name is enough, and none now is no reason to announce all: it
 * may be back soon. Those put meanwhile name none.
 */
static bool relays_are_new(struct announce *announce)
{
	const struct peer_places *places = &announce->places;
	uint8_t hash[ANNOUNCE_SAID_HASH_LEN];
	bool is_said;

	if (!places->via_cnt)
		return false;
	relays_hash(announce, hash);
	is_said = relays_are_said(announce, hash);
	if (is_said && announce->said_via_cnt)
		return false;
	memcpy(announce->said_vias, places->vias, sizeof(announce->said_vias));
	announce->said_via_cnt = places->via_cnt;
	memcpy(announce->said_hash, hash, sizeof(hash));
	announce->has_put_bare = false;
	return !is_said;
}

void shares_announce_set_places(struct announce *announce, const struct peer_places *places,
				uint64_t now_ns)
{
	bool is_new;

	if (announce->changed_s && peer_places_equal(places, &announce->places))
		return;
	announce->places = *places;
	is_new = addrs_are_new(announce);
	is_new |= relays_are_new(announce);
	if (is_new) {
		all_change(announce);
		if (announce->put_at_ns < now_ns + ADDRS_DELAY_NS)
			announce->put_at_ns = now_ns + ADDRS_DELAY_NS;
	}
	changed_save(announce);
	announce_wake(announce);
}

void shares_announce_hurry(struct announce *announce)
{
	announce->paused_ns = 0;
	if (announce->is_lonely) {
		announce->is_lonely = false;
		all_change(announce);
		changed_save(announce);
	}
	announce_wake(announce);
}

/* --- for people --- */

void shares_announce_stats(const struct announce *announce, uint64_t now_ns,
			   struct announce_stats *out_stats)
{
	const struct announce_manifest *manifest = NULL;
	uint64_t wall_s = shares_announce_wall_s(announce);

	*out_stats = announce->stats;
	out_stats->scope = announce->params.config.scope;
	out_stats->shape = announce->shape;
	out_stats->depth = announce->shape == ANNOUNCE_SETS ? announce->depth : 0;
	out_stats->manifest_cnt = announce->manifests.used_cnt;
	out_stats->manifest_left_out_cnt = announce->manifest_left_out_cnt;
	while ((manifest = pool_next(&announce->manifests, manifest)))
		out_stats->manifest_announced_cnt +=
			manifest->announced_s &&
			manifest->announced_s + HOLDER_RECORD_LIFE_S > wall_s;
	out_stats->region_cnt = shares_announce_region_cnt(announce);
	out_stats->region_due_cnt = shares_announce_regions_due_cnt(announce);
	out_stats->paused_until_ns = announce->paused_ns > now_ns ? announce->paused_ns : 0;
	out_stats->next_ns = put_next_ns(announce);
	shares_announce_finder_fill_stats(announce, out_stats);
}

/* --- life --- */

static int announce_lay_out(struct announce *announce, const uint64_t secret[2])
{
	const struct announce_config *config = &announce->params.config;
	struct arena *arena = &announce->arena;
	int err;

	if ((err = arena_open(arena, ARENA_GROWS)) < 0 ||
	    (err = map_init(&announce->by_id, arena, 32, config->manifest_cap, secret)) < 0 ||
	    (err = pool_init(&announce->manifests, arena, sizeof(struct announce_manifest),
			     config->manifest_cap)) < 0 ||
	    (err = shares_announce_job_init(&announce->job, announce, arena)) < 0)
		return err;
	announce->regions = arena_alloc(arena, ANNOUNCE_REGION_CAP * sizeof(*announce->regions));
	err = announce->regions ? shares_announce_finder_init(announce) : WEFT_EFULL;
	arena_fit(arena);
	return err;
}

size_t shares_announce_footprint(const struct announce_config *config)
{
	const uint64_t secret[2] = {0};
	struct announce *announce = calloc(1, sizeof(*announce));
	size_t len = 0;

	if (!announce)
		return 0;
	announce->params.config = *config;
	if (announce_lay_out(announce, secret) == 0)
		len = announce->arena.used_len + config->set_memory_len;
	announce->is_stopped = true;
	shares_announce_free(announce);
	return len;
}

int shares_announce_new(const struct announce_params *params, struct announce **out_announce)
{
	struct announce *announce = calloc(1, sizeof(*announce));
	uint64_t secret[2];
	int err;

	if (!announce)
		return -ENOMEM;
	announce->params = *params;
	memcpy(secret, node_key_public(params->key), sizeof(secret));
	announce->wants_walk = true;
	announce->is_stopped = true; /* until it is whole */
	timer_init(&announce->timer, announce_step);
	if ((err = announce_lay_out(announce, secret)) < 0 ||
	    (err = shares_announce_rules_add(&announce->params.overlay)) < 0) {
		shares_announce_free(announce);
		return err;
	}
	announce->is_stopped = false;
	announce_wake(announce);
	*out_announce = announce;
	return 0;
}

void shares_announce_stop(struct announce *announce)
{
	if (!announce || announce->is_stopped)
		return;
	announce->is_stopped = true;
	timer_cancel(announce->params.timers, &announce->timer);
	shares_announce_puts_stop(announce);
	shares_announce_finder_stop(announce);
	shares_announce_job_stop(&announce->job);
}

void shares_announce_free(struct announce *announce)
{
	if (!announce)
		return;
	shares_announce_stop(announce);
	shares_announce_finder_fini(announce);
	arena_close(&announce->arena);
	free(announce);
}
