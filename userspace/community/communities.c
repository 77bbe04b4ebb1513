/* SPDX-License-Identifier: Apache-2.0 */
/* The communities of a node: their places, their rows in the store, and what is shown of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/list.h"
#include "base/random.h"
#include "codec/text/zbase32.h"
#include "community_state.h"
#include "joined_record.h"
#include "community/sync/community_query.h"
#include "community/sync/community_search.h"
#include "community/sync/community_serve.h"
#include "crypto/node_key.h"
#include "store/store.h"

#define CURSOR_KEY_NAME	    "community.cursor"
#define CURSOR_KEY_NAME_LEN (sizeof(CURSOR_KEY_NAME) - 1)
#define LEAVING_MAX	    32u /* places beside, for communities that are being left */
#define SWEEP_NS	    (10 * 60 * NS_PER_S)

void community_config_defaults(struct community_config *config)
{
	*config = (struct community_config){
		.community_cap = 32,
		.member_cap = 20000,
		.share_cap = 200000,
		.shares_per_member = 1000,
		.requests_per_min = 240,
		.sync_ns = 60 * NS_PER_S,
	};
}

static struct roster_limits limits_of(const struct community_config *config)
{
	return (struct roster_limits){.member_cap = config->member_cap,
				      .share_cap = config->share_cap,
				      .shares_per_member = config->shares_per_member};
}

static size_t own_shares_len(const struct roster_limits *limits)
{
	return limits->shares_per_member * ROSTER_KEY_LEN;
}

/*
 * A community that was left informs its members for a while: it takes no place of one that is
 * joined.
 */
static uint32_t slots_for(const struct community_config *config)
{
	return config->community_cap +
	       (config->community_cap < LEAVING_MAX ? config->community_cap : LEAVING_MAX);
}

bool community_has_overlay(const struct community *community)
{
	return community->all->params.overlay.ops && !community->roster.is_strict;
}

uint64_t community_wall_s(const struct communities *all)
{
	return all->params.wall_s(all->params.ctx);
}

static uint64_t intake_wall_s(void *ctx)
{
	return community_wall_s(ctx);
}

void community_tell(struct communities *all, enum community_event_kind kind, const uint8_t *id,
		    const uint8_t *key)
{
	struct community_event event = {.kind = kind, .id = id, .key = key};

	if (all->params.on_event)
		all->params.on_event(all->params.ctx, &event);
}

/* --- places --- */

struct community *community_next(const struct communities *all, const struct community *after)
{
	const struct community *at = after ? after + 1 : all->slots;

	for (; at < all->slots + all->slot_cnt; at++)
		if (at->phase != COMMUNITY_FREE)
			return (struct community *)at;
	return NULL;
}

struct community *community_lookup(const struct communities *all, const uint8_t *id)
{
	struct community *community = NULL;

	while ((community = community_next(all, community)))
		if (memcmp(community->roster.id, id, COMMUNITY_ID_LEN) == 0)
			return community;
	return NULL;
}

bool community_find(const struct communities *all, const char *name,
		    uint8_t out_id[static COMMUNITY_ID_LEN])
{
	char text[ZBASE32_KEY_TEXT_CAP];
	struct community *community = NULL;

	while ((community = community_next(all, community))) {
		zbase32_write(community->roster.id, COMMUNITY_ID_LEN, text);
		if (strcmp(community->name, name) == 0 || strcmp(text, name) == 0) {
			memcpy(out_id, community->roster.id, COMMUNITY_ID_LEN);
			return true;
		}
	}
	return false;
}

/* --- the row --- */

static void row_saved(void *arg, int err)
{
	struct community *community = arg;

	community->is_saving = false;
	community->is_kept |= err == 0;
	if (err < 0) {
		community->is_leave_asked = false;
	} else if (community->is_leave_saving) {
		community->is_leave_asked = false;
		community->is_leave_kept = true;
	}
	if (err < 0 && community->before.is_set)
		community_before_restore(community);
	else if (!community->is_save_due)
		community->before.is_set = false;
	if (community->done) {
		community->done_err = err;
		community->is_done_due = !community->is_save_due || err < 0;
	}
	if (!community->is_kept && !community->all->is_stopped)
		community_undo(community);
}

static int row_submit(struct community *community)
{
	struct store *store = community->all->params.store;
	struct store_batch *batch = store_batch_new(store);
	uint8_t bytes[JOINED_RECORD_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));
	int err;

	if (!batch)
		return -ENOMEM;
	community_joined_record_write(&w, community);
	store_batch_put(batch, STORE_COMMUNITIES, store_key(community->roster.id, COMMUNITY_ID_LEN),
			bytes, w.bad ? 0 : writer_len(&w));
	explicit_bzero(bytes, sizeof(bytes)); /* a creator's has the community's seed */
	err = store_submit(store, batch, row_saved, community);
	if (err < 0)
		store_batch_free(batch);
	return err;
}

static void row_save(struct community *community)
{
	int err;

	community->is_save_due = false;
	community->is_saving = true;
	community->is_leave_saving = community->is_leave_asked;
	if ((err = row_submit(community)) < 0)
		row_saved(community, err);
}

void community_save(struct community *community)
{
	community->is_save_due = true;
}

/* --- intake tells --- */

static void row_changed(void *ctx, struct roster *roster, const struct intake_item *item,
			uint64_t now_ns)
{
	struct communities *all = ctx;
	struct community *community = container_of(roster, struct community, roster);
	enum community_event_kind kind;

	(void)now_ns;
	if (item->kind == ROSTER_SHARE)
		community_own_shares_set(&community->shares, item->key,
					 item->is_live && memcmp(item->announcer, all->own_key,
								 COMMUNITY_KEY_LEN) == 0);
	if (item->is_live == item->was_live && item->kind == ROSTER_MEMBER)
		return;
	if (item->kind == ROSTER_MEMBER)
		kind = item->is_live ? COMMUNITY_MEMBER_JOINED : COMMUNITY_MEMBER_LEFT;
	else if (item->is_live || item->was_live)
		kind = item->is_live ? COMMUNITY_SHARE_UPSERTED : COMMUNITY_SHARE_ENDED;
	else
		return;
	/* The first record is no change. */
	if (community->synced_ns && community->phase == COMMUNITY_IN)
		community_tell(all, kind, roster->id, item->key);
}

static void own_is_newer(void *ctx, struct roster *roster, uint64_t seq, uint64_t now_ns)
{
	struct community *community = container_of(roster, struct community, roster);

	community_tell(ctx, COMMUNITY_KEY_TWICE, roster->id, NULL);
	community_announce_renew(community, seq, now_ns);
}

/* --- life --- */

static int cursor_key_load(struct communities *all)
{
	struct store_snapshot *snapshot;
	struct store_batch *batch;
	const void *value;
	size_t len;
	int err = store_snapshot_open(all->params.store, &snapshot);

	if (err < 0)
		return err;
	err = store_get(snapshot, STORE_META, store_key(CURSOR_KEY_NAME, CURSOR_KEY_NAME_LEN),
			&value, &len);
	if (err == 0 && len == sizeof(all->cursor_key))
		memcpy(all->cursor_key, value, len);
	store_snapshot_close(snapshot);
	if (err == 0 && len == sizeof(all->cursor_key))
		return 0;
	if (err < 0 && err != WEFT_EABSENT)
		return err;
	random_fill(all->params.random, all->cursor_key, sizeof(all->cursor_key));
	if (!(batch = store_batch_new(all->params.store)))
		return -ENOMEM;
	store_batch_put(batch, STORE_META, store_key(CURSOR_KEY_NAME, CURSOR_KEY_NAME_LEN),
			all->cursor_key, sizeof(all->cursor_key));
	err = store_submit(all->params.store, batch, NULL, NULL);
	if (err < 0)
		store_batch_free(batch);
	return err;
}

static int row_load(struct communities *all, const struct store_item *item)
{
	struct community *community = community_new(all);
	uint8_t id[COMMUNITY_ID_LEN];
	int err;

	if (!community)
		return WEFT_EFULL;
	err = community_joined_record_parse(item->value, item->value_len, community);
	community_id_of(community->key, id);
	if (err == 0 && memcmp(id, item->key, sizeof(id)) != 0)
		err = WEFT_EDAMAGED;
	memcpy(community->roster.id, id, sizeof(id));
	community->is_kept = true;
	return err;
}

static int rows_load(struct communities *all)
{
	struct store_iter iter = store_iter_fresh(all->params.store, STORE_COMMUNITIES, STORE_ALL);
	struct community *community = NULL;
	uint8_t id[COMMUNITY_ID_LEN];
	struct store_item item;
	int err;

	while (store_iter_next(&iter, &item))
		iter.err = row_load(all, &item);
	err = store_iter_end(&iter);
	while (err == 0 && (community = community_next(all, community))) {
		memcpy(id, community->roster.id, sizeof(id));
		err = community_roster_open(&community->roster, all->params.store, id);
		if (err == 0)
			err = community_revocations_open(community);
		if (err == 0)
			err = community_announce_load(community);
	}
	return err;
}

static int lay_out(struct communities *all)
{
	int err = arena_open(&all->arena, ARENA_GROWS);

	if (err < 0)
		return err;
	all->slot_cnt = slots_for(&all->params.config);
	all->slots = arena_alloc(&all->arena, all->slot_cnt * sizeof(*all->slots));
	all->peers = arena_alloc(&all->arena, COMMUNITY_PEERS_MAX * sizeof(*all->peers));
	if (!all->slots || !all->peers)
		return WEFT_EFULL;
	for (unsigned i = 0; i < all->slot_cnt; i++) {
		struct community *community = &all->slots[i];

		community->all = all;
		community->roster.revocations = &community->revocations;
		err = community_roster_init(&community->roster, &all->arena, &all->limits,
					    random_u64(all->params.random));
		if (err < 0)
			return err;
		community->shares.cap = all->limits.shares_per_member;
		community->shares.ids = arena_alloc(&all->arena, own_shares_len(&all->limits));
		if (!community->shares.ids)
			return WEFT_EFULL;
	}
	if ((err = community_sync_init(all)) == 0 && (err = community_revocations_init(all)) == 0 &&
	    (err = community_search_init(all)) == 0)
		err = community_query_init(all);
	arena_fit(&all->arena);
	return err;
}

size_t communities_footprint(const struct community_config *config)
{
	struct random random;
	struct communities *all = calloc(1, sizeof(*all));
	size_t len = 0;

	if (!all)
		return 0;
	random_init_seeded(&random, 0);
	all->params = (struct community_params){.config = *config, .random = &random};
	all->limits = limits_of(config);
	if (lay_out(all) == 0)
		len = sizeof(*all) + all->arena.used_len + COMMUNITY_ANSWER_MEMORY_LEN;
	arena_close(&all->arena);
	free(all);
	return len;
}

static int parts_init(struct communities *all)
{
	struct intake_params intake = {.own_key = all->own_key,
				       .store = all->params.store,
				       .jobs = all->params.jobs,
				       .wall_s = intake_wall_s,
				       .changed = row_changed,
				       .own_is_newer = own_is_newer,
				       .ctx = all,
				       .counts = all->counts};
	int err = heap_new(COMMUNITY_ANSWER_MEMORY_LEN, &all->answers);

	list_init(&all->lent);
	return err < 0 ? err : community_intake_new(&intake, &all->intake);
}

int communities_new(const struct community_params *params, struct communities **out_communities)
{
	struct communities *all = calloc(1, sizeof(*all));
	struct community *community = NULL;
	int err;

	if (!all)
		return -ENOMEM;
	all->params = *params;
	all->own_key = node_key_public(params->key);
	all->limits = limits_of(&params->config);
	if ((err = lay_out(all)) < 0 || (err = parts_init(all)) < 0 ||
	    (err = cursor_key_load(all)) < 0 || (err = rows_load(all)) < 0 ||
	    (err = community_serve_init(all)) < 0) {
		communities_free(all);
		return err;
	}
	while ((community = community_next(all, community)))
		community_begin(community, params->now_ns);
	*out_communities = all;
	return 0;
}

void communities_stop(struct communities *all)
{
	struct community *community = NULL;

	if (!all)
		return;
	all->is_stopped = true;
	community_intake_stop(all->intake);
	community_query_stop(all);
	while ((community = community_next(all, community)))
		community_end(community);
}

void communities_free(struct communities *all)
{
	struct community *community = NULL;

	if (!all)
		return;
	/* The caller of a row that is being stored would not learn of its end. */
	store_flush(all->params.store);
	while (all->slots && (community = community_next(all, community)))
		node_key_free(community->secret);
	community_intake_free(all->intake);
	heap_free(all->answers);
	arena_close(&all->arena);
	free(all);
}

void communities_configure(struct communities *all, const struct community_config *config)
{
	all->params.config.requests_per_min = config->requests_per_min;
	all->params.config.sync_ns = config->sync_ns;
}

/* --- what happens around --- */

void communities_set_places(struct communities *all, const struct peer_places *places,
			    uint64_t now_ns)
{
	struct community *community = NULL;

	if (peer_places_hold(&all->places, places))
		return;
	all->places = *places;
	while ((community = community_next(all, community)))
		community_announce_renew(community, 0, now_ns);
}

void communities_session(struct communities *all, const uint8_t key[static MESH_KEY_LEN],
			 bool is_up, uint64_t now_ns)
{
	struct community *community = NULL;
	struct peer_places places;
	struct mesh_peer peer;

	while (is_up && (community = community_next(all, community))) {
		if (community_peer(all, community->roster.id, key, &peer, &places) < 0)
			continue;
		/* It may not know this node yet, and then gives it nothing. */
		community_revocations_show(community, &peer, now_ns);
		/* A member without an address can be asked now. */
		if (community->partner_cnt < COMMUNITY_PARTNERS_MAX) {
			community_partners_told(community, key, &places);
			community_sync_start(community, now_ns);
		}
	}
}

/* --- turns --- */

static void sweep_done(void *arg, struct intake_lot *lot, uint64_t now_ns)
{
	struct community *community = arg;

	if (community->is_sweep_whole && lot->err == 0) {
		community->is_sweep_whole = !lot->is_swept;
		community->sweep_ns = lot->is_swept ? community->sweep_ns : now_ns;
	}
	if (community->phase == COMMUNITY_SWEEPING)
		community_swept(community, lot);
}

/* All rows are looked at in turn; those of a community that was left go at once. */
static void sweep_turn(struct community *community, uint64_t now_ns)
{
	struct communities *all = community->all;
	bool is_all = community->phase == COMMUNITY_SWEEPING;

	if (community->sweep.is_waiting || community->is_gone ||
	    (!is_all && now_ns < community->sweep_ns))
		return;
	community->sweep = (struct intake_lot){
		.roster = &community->roster,
		.is_sweep = true,
		.sweep_s = is_all ? UINT64_MAX : community_wall_s(all),
		.done = sweep_done,
		.arg = community,
	};
	community->sweep_ns = now_ns + SWEEP_NS;
	community_intake_submit(all->intake, &community->sweep);
}

static void done_tell(struct community *community, uint64_t now_ns)
{
	community_done_fn done = community->done;

	community->is_done_due = false;
	community->done = NULL;
	if (done)
		done(community->done_arg, community->done_err, now_ns);
}

void communities_turn(struct communities *all, uint64_t now_ns)
{
	struct community *community = NULL;

	if (all->is_stopped)
		return;
	while ((community = community_next(all, community))) {
		sweep_turn(community, now_ns);
		if (community->is_leave_kept)
			community_leave_begin(community, now_ns);
		if (community->is_save_due && !community->is_saving)
			row_save(community);
		if (community->is_done_due)
			done_tell(community, now_ns);
		community_leave_turn(community, now_ns);
	}
	community_intake_work(all->intake, now_ns);
	community_query_turn(all, now_ns);
}

bool communities_is_due(const struct communities *all)
{
	const struct community *community = NULL;

	if (all->is_stopped)
		return false;
	while ((community = community_next(all, community)))
		if ((community->is_sweep_whole && !community->sweep.is_waiting) ||
		    (community->is_save_due && !community->is_saving) || community->is_done_due ||
		    community->is_leave_kept ||
		    (community->phase == COMMUNITY_SWEEPING && !community->sweep.is_waiting))
			return true;
	return community_intake_is_due(all->intake) || community_query_is_due(all);
}

void community_forget_callers(struct communities *all)
{
	struct community *community = NULL;

	while ((community = community_next(all, community)))
		community->done = NULL;
	community_query_forget_callers(all);
}

/* --- shown --- */

static struct community_info info_of(const struct community *community)
{
	return (struct community_info){
		.id = community->roster.id,
		.key = community->key,
		.name = community->name,
		.is_strict = community->roster.is_strict,
		.is_ours = community->secret != NULL,
		.is_kept = community->is_kept,
		.joined_s = community->joined_s,
		.token_expires_s = community->token_expires_s,
		.member_cnt = community->roster.joined_cnt,
		.share_cnt = community->roster.bound_cnt,
		.member_row_cnt = community->roster.member_cnt,
		.share_row_cnt = community->roster.share_cnt,
		.epoch = community->revocations.epoch,
		.key_epoch = community_revocations_key_epoch(community),
		.expelled_cnt = community->revocations.expelled_cnt,
		.partner_cnt = community->partner_cnt,
		.synced_ns = community->synced_ns,
	};
}

bool communities_next(struct community_iter *iter, struct community_info *out_info)
{
	do
		iter->at = community_next(iter->communities, iter->at);
	while (iter->at && iter->at->phase != COMMUNITY_IN);
	if (iter->at)
		*out_info = info_of(iter->at);
	return iter->at != NULL;
}

void communities_stats(const struct communities *all, struct community_stats *out_stats)
{
	const struct community *community = NULL;

	*out_stats = (struct community_stats){0};
	memcpy(out_stats->reasons, all->counts, sizeof(out_stats->reasons));
	out_stats->show_cap = REVOCATIONS_SHOWS_MAX;
	out_stats->show_cnt = community_revocations_show_cnt(all);
	out_stats->show_refused_cnt = all->show_refused_cnt;
	while ((community = community_next(all, community))) {
		out_stats->community_cnt++;
		if (community->roster.member_cnt > out_stats->member_max)
			out_stats->member_max = community->roster.member_cnt;
		if (community->roster.share_cnt > out_stats->share_max)
			out_stats->share_max = community->roster.share_cnt;
		if (community->revocations.expelled_cnt > out_stats->expelled_max)
			out_stats->expelled_max = community->revocations.expelled_cnt;
	}
}
