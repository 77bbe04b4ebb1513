/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "overlay_join.h"
#include "overlay_state.h"
#include "run.h"
#include "overlay_serve.h"

#define K     20
#define ALPHA 3

/* A round trip between continents, and one with a handshake before it. */
#define RTT_START_NS   (400 * NS_PER_MS)
#define RTT_FLOOR_NS   (50 * NS_PER_MS)
#define RTT_CEILING_NS (2 * NS_PER_S)

/*
 * A handshake with a dead node fails after ten seconds, and in a small mesh every
 * lookup asks all nodes.
 */
#define LOOKUP_WAIT_NS (450 * NS_PER_MS)

/* Entries of the book that are in use for the moment: answers that are being read. */
#define BOOK_SPARE 256

void overlay_config_defaults(struct overlay_config *config)
{
	*config = (struct overlay_config){
		.serve = OVERLAY_SERVE_AUTO,
		.value_cap = 100000,
		.value_memory_len = 64ull * 1024 * 1024,
		.subnet_max = 4096,
		.run_cap = 64,
		.query_cap = 128,
		.work_memory_len = 32ull * 1024 * 1024,
		.answer_memory_len = 32ull * 1024 * 1024,
		.asker_cap = 4096,
		.requests_per_min = 600,
	};
	kad_table_defaults(&config->table);
	config->table.k = K;
	config->table.wide_cnt = K;
	config->table.refresh_ns = 3600 * NS_PER_S;
	config->table.good_ns = 1800 * NS_PER_S;
	kad_lookup_defaults(&config->lookup);
	config->lookup.k = K;
	config->lookup.alpha = ALPHA;
	config->lookup.wait_ns = LOOKUP_WAIT_NS;
}

static struct overlay_values_config values_config(const struct overlay_config *config)
{
	return (struct overlay_values_config){
		.value_cap = config->value_cap,
		.memory_len = config->value_memory_len,
		.subnet_max = config->subnet_max,
		.site = config->site,
	};
}

/* All that the table, lookups and requests can name at once. */
static uint32_t book_cap(const struct overlay_config *config)
{
	const struct kad_table_config *table = &config->table;

	return KAD_ID_BITS * (table->k + table->candidate_cnt) + 2 * table->wide_cnt +
	       config->run_cap * KAD_LOOKUP_NODES_MAX + config->query_cap + BOOK_SPARE;
}

uint64_t overlay_wall_now_s(const struct overlay *overlay, uint64_t now_ns)
{
	/* The turn that is on may have begun before the clock was looked at. */
	if (now_ns < overlay->wall_at_ns)
		return overlay->wall_s;
	return overlay->wall_s + (now_ns - overlay->wall_at_ns) / NS_PER_S;
}

void overlay_set_wall(struct overlay *overlay, uint64_t wall_s, uint64_t now_ns)
{
	overlay->wall_s = wall_s;
	overlay->wall_at_ns = now_ns;
}

static void mark_all(void *ctx)
{
	struct overlay *overlay = ctx;
	struct kad_table_iter iter = {.table = overlay->table};
	const struct kad_contact *contact;

	while ((contact = kad_table_contact_next(&iter)))
		overlay_book_mark(&overlay->book, contact);
	overlay_runs_mark(overlay);
	overlay_queries_mark(overlay);
}

static void value_forgot(void *ctx, const struct overlay_stored *kept)
{
	struct overlay *overlay = ctx;

	overlay_keep_delete(&overlay->keep, kept, overlay->now_ns);
}

static int overlay_lay_out(struct overlay *overlay, const struct overlay_params *params)
{
	const struct overlay_config *config = &overlay->config;
	struct overlay_values_config values = values_config(config);
	struct fair_paths paths = {.site = config->site};
	struct arena *arena = &overlay->arena;
	int err;

	random_fill(params->random, overlay->secret, sizeof(overlay->secret));
	memcpy(paths.secret, overlay->secret, sizeof(paths.secret));
	overlay->book.mark_all = mark_all;
	overlay->book.ctx = overlay;
	values.own_id = &overlay->own_id;
	values.random = params->random;
	values.forgot = value_forgot;
	values.ctx = overlay;
	if ((err = arena_open(arena, ARENA_GROWS)) < 0 ||
	    (err = heap_new(config->work_memory_len, &overlay->work)) < 0 ||
	    (err = heap_new(config->answer_memory_len, &overlay->answers)) < 0 ||
	    (err = request_quota_init(&overlay->quota, arena, config->asker_cap,
				      config->requests_per_min, overlay->secret)) < 0 ||
	    (err = overlay_book_init(&overlay->book, arena, book_cap(config), overlay->secret)) <
		    0 ||
	    (err = overlay_values_new(arena, &values, &overlay->values)) < 0 ||
	    (err = overlay_keep_init(&overlay->keep, arena, params->store, overlay->mesh.ops,
				     &overlay->reasons[OVERLAY_NOT_STORED])) < 0 ||
	    (err = kad_table_new(arena,
				 &(struct kad_table_params){.config = &config->table,
							    .own_id = &overlay->own_id,
							    .random = params->random,
							    .now_ns = params->now_ns},
				 &overlay->table)) < 0 ||
	    (err = overlay_silent_init(&overlay->silent, arena, &paths)) < 0 ||
	    (err = pool_init(&overlay->runs, arena, overlay_run_size(), config->run_cap)) < 0 ||
	    (err = pool_init(&overlay->queries, arena, overlay_query_size(), config->query_cap)) <
		    0)
		return err;
	arena_fit(arena);
	return 0;
}

/* The bytes of values, work and answers have mappings of their own. */
size_t overlay_footprint(const struct overlay_config *config)
{
	struct random random;
	const struct overlay_params params = {.random = &random};
	struct overlay *overlay = calloc(1, sizeof(*overlay));
	size_t len = 0;

	if (!overlay)
		return 0;
	random_init_seeded(&random, 0);
	overlay->config = *config;
	if (overlay_lay_out(overlay, &params) == 0)
		len = overlay->arena.used_len + config->value_memory_len + config->work_memory_len +
		      config->answer_memory_len;
	overlay_free(overlay);
	return len;
}

int overlay_new(const struct overlay_params *params, struct overlay **out_overlay)
{
	struct overlay *overlay = calloc(1, sizeof(*overlay));
	int err;

	if (!overlay)
		return -ENOMEM;
	overlay->config = params->config;
	overlay->mesh = params->mesh;
	overlay->neighbours = params->neighbours;
	overlay->random = params->random;
	memcpy(overlay->own_key, params->own_key, sizeof(overlay->own_key));
	overlay->own_id = overlay_id_of(overlay->own_key);
	overlay->now_ns = params->now_ns;
	overlay_set_wall(overlay, params->wall_s, params->now_ns);
	overlay_join_init(overlay);
	kad_rtt_init(&overlay->rtt, RTT_START_NS, RTT_FLOOR_NS, RTT_CEILING_NS);
	if ((err = overlay_lay_out(overlay, params)) < 0 ||
	    (err = overlay_serve_init(overlay)) < 0) {
		overlay_free(overlay);
		return err;
	}
	*out_overlay = overlay;
	return 0;
}

void overlay_stop(struct overlay *overlay)
{
	struct overlay_run *run = NULL;

	if (!overlay)
		return;
	while ((run = pool_next(&overlay->runs, run)))
		overlay_run_cancel(run);
	overlay_queries_cancel(overlay, NULL, overlay->now_ns);
}

void overlay_node_returned(struct overlay *overlay, const uint8_t *key)
{
	struct kad_id id = overlay_id_of(key);

	overlay_silent_forget_id(&overlay->silent, &id, overlay->now_ns);
}

void overlay_free(struct overlay *overlay)
{
	if (!overlay)
		return;
	overlay_keep_fini(&overlay->keep);
	overlay_values_free(overlay->values);
	heap_free(overlay->work);
	heap_free(overlay->answers);
	arena_close(&overlay->arena);
	free(overlay);
}

/* --- start --- */

struct loading {
	struct overlay *overlay;
	uint64_t now_ns, wall_s;
};

/* Its rule judges it when a peer asks for it (overlay_serve.c): a start does not wait for signatures. */
static void record_load(void *arg, const struct overlay_record *record)
{
	const struct loading *loading = arg;
	struct overlay *overlay = loading->overlay;
	struct overlay_put put = {
		.key = record->key,
		.name = record->name,
		.name_len = record->name_len,
		.value = record->value,
		.value_len = record->value_len,
		.rule = overlay_rules_find(&overlay->rules, record->tag),
		.claim = &record->claim,
		.source = record->source,
		/* Its own values alone have no source. */
		.source_class = record->source.family == ADDR_NONE ? FAIR_CHOSEN : FAIR_UNKNOWN,
		.now_ns = loading->now_ns,
	};
	const struct overlay_stored *kept;
	enum overlay_reason reason;

	/* A value without a rule may have one after the next start, until it expires. */
	if (record->until_s <= loading->wall_s)
		overlay_keep_forget(&overlay->keep, record, loading->now_ns);
	if (!put.rule || record->until_s <= loading->wall_s)
		return;
	/* A clock that was set back does not make anything live longer. */
	put.until_ns = record->until_s - loading->wall_s;
	if (put.until_ns > OVERLAY_TTL_MAX_S)
		put.until_ns = OVERLAY_TTL_MAX_S;
	put.until_ns = loading->now_ns + put.until_ns * NS_PER_S;
	reason = overlay_values_put(overlay->values, &put, &kept);
	if (reason != OVERLAY_STORED)
		overlay_keep_forget(&overlay->keep, record, loading->now_ns);
}

int overlay_start(struct overlay *overlay, uint64_t now_ns)
{
	struct loading loading = {overlay, now_ns, overlay_wall_now_s(overlay, now_ns)};
	int err = overlay_keep_each(&overlay->keep, record_load, &loading);

	if (err < 0)
		return err;
	overlay->is_started = true;
	overlay_reachable_look(overlay, now_ns);
	return 0;
}

void overlay_configure(struct overlay *overlay, const struct overlay_config *config,
		       uint64_t now_ns)
{
	overlay->config.serve = config->serve;
	overlay->config.is_public = config->is_public;
	overlay->config.requests_per_min = config->requests_per_min;
	overlay->quota.per_min = config->requests_per_min;
	overlay_reachable_look(overlay, now_ns);
}

void overlay_know(struct overlay *overlay, const struct mesh_peer *peer, uint64_t now_ns)
{
	struct overlay_node node = {0};

	memcpy(node.key, peer->key, sizeof(node.key));
	for (unsigned i = 0; i < peer->addr_cnt && node.addr_cnt < OVERLAY_NODE_ADDRS_MAX; i++)
		if (kad_addr_scope_of(&peer->addrs[i]) != KAD_ADDR_SCOPE_NONE)
			node.addrs[node.addr_cnt++] = peer->addrs[i];
	if (node.addr_cnt && memcmp(node.key, overlay->own_key, sizeof(node.key)) != 0)
		overlay_join_know(overlay, &node, now_ns);
}

void overlay_session_up(struct overlay *overlay, uint64_t now_ns)
{
	overlay->has_met = true;
	overlay->join.reachable_ns = now_ns;
	overlay_join_hurry(overlay, now_ns);
}

enum overlay_keepers overlay_keepers(const struct overlay *overlay)
{
	if (overlay->join.is_joined)
		return OVERLAY_STORED_BY_OTHERS;
	return overlay->is_serving && overlay->has_met ? OVERLAY_STORED_HERE
						       : OVERLAY_STORED_BY_NOBODY;
}

/* --- time --- */

void overlay_expire(struct overlay *overlay, uint64_t now_ns)
{
	overlay->now_ns = now_ns;
	if (!overlay->is_started)
		return;
	overlay_values_expire(overlay->values, now_ns);
	overlay_join_expire(overlay, now_ns);
	overlay_runs_expire(overlay, now_ns);
	overlay_keep_expire(&overlay->keep, now_ns);
}

uint64_t overlay_next_ns(const struct overlay *overlay)
{
	const uint64_t times_ns[] = {
		overlay_values_next_ns(overlay->values),
		overlay_join_next_ns(overlay),
		overlay_runs_next_ns(overlay),
		overlay_keep_next_ns(&overlay->keep),
	};
	uint64_t next_ns = UINT64_MAX;

	if (!overlay->is_started)
		return next_ns;
	for (size_t i = 0; i < sizeof(times_ns) / sizeof(times_ns[0]); i++)
		if (times_ns[i] < next_ns)
			next_ns = times_ns[i];
	return next_ns;
}

bool overlay_is_serving(const struct overlay *overlay)
{
	return overlay->is_serving;
}

void overlay_view(const struct overlay *overlay, struct fair_view *out)
{
	overlay_values_view(overlay->values, out);
}

void overlay_silent_view(const struct overlay *overlay, struct fair_view *out)
{
	fair_read(&overlay->silent.shares, out);
}

void overlay_stats(const struct overlay *overlay, uint64_t now_ns, struct overlay_stats *out_stats)
{
	struct overlay_values_counts values;
	struct overlay_stats stats = {
		.is_serving = overlay->is_serving,
		.run_cnt = overlay->runs.used_cnt,
		.query_cnt = overlay->queries.used_cnt,
		.put_cnt = overlay->put_cnt,
		.get_cnt = overlay->get_cnt,
		.sent_cnt = overlay->sent_cnt,
	};

	overlay_values_count(overlay->values, &values);
	kad_table_count(overlay->table, now_ns, &stats.table);
	stats.value_cnt = values.values;
	stats.key_cnt = values.keys;
	stats.value_len = values.len;
	memcpy(stats.reasons, overlay->reasons, sizeof(stats.reasons));
	stats.reasons[OVERLAY_EVICTED] = values.evicted;
	stats.reasons[OVERLAY_DISPLACED] = values.displaced;
	*out_stats = stats;
}

/* --- the seam --- */

static int op_add_rule(struct overlay *overlay, const struct overlay_rule *rule)
{
	return overlay_rules_add(&overlay->rules, rule);
}

static const struct overlay_ops overlay_ops = {
	.add_rule = op_add_rule,
	.put = overlay_run_put,
	.get = overlay_run_get,
	.cancel = overlay_run_cancel,
};

struct overlay_seam overlay_seam_of(struct overlay *overlay)
{
	return (struct overlay_seam){&overlay_ops, overlay};
}
