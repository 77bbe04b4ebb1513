/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy at one worker: the tables of demux/, which are those of the XDP
 * program, and a map of banned keys beside them.
 */
#include "node/fastpath/gate.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/pool.h"
#include "demux/judge.h"
#include "demux/tables.h"
#include "node/bans/ban_list.h"
#include "node/bans/offences.h"

struct gate {
	struct arena arena;
	struct weft_tables tables;
	struct demux_judge judge;
	struct map keys;   /* -> struct key_ban */
	struct map limits; /* -> struct key_ban, by offences_place */
	struct pool key_bans;
	struct ban_set *set; /* in force */
	uint64_t now_ns;
};

struct key_ban {
	uint64_t expires_ns;
};

static struct demux_tables_params tables_params(uint32_t session_cap, const uint64_t secret[2])
{
	return (struct demux_tables_params){.ban_cap = BAN_LIST_CAP,
					    .session_cap = session_cap,
					    .secret = {secret[0], secret[1]}};
}

size_t gate_footprint(uint32_t session_cap)
{
	const uint64_t any[2] = {0};
	const struct demux_tables_params params = tables_params(session_cap, any);

	return demux_tables_footprint(&params) + map_footprint(BAN_KEY_LEN, BAN_LIST_CAP) +
	       map_footprint(sizeof(struct addr), BAN_LIST_AUTO_CAP) +
	       pool_footprint(sizeof(struct key_ban), BAN_LIST_CAP);
}

int gate_new(const struct gate_params *params, struct gate **out_gate)
{
	const struct demux_tables_params tables =
		tables_params(params->session_cap, params->secret);
	struct gate *gate = calloc(1, sizeof(*gate));
	int err;

	if (!gate)
		return -ENOMEM;
	gate->judge = (struct demux_judge){&gate->tables, params->on_sample, params->ctx};
	if ((err = arena_open(&gate->arena, gate_footprint(params->session_cap))) < 0 ||
	    (err = demux_tables_init(&gate->tables, &gate->arena, &tables)) < 0 ||
	    (err = map_init(&gate->keys, &gate->arena, BAN_KEY_LEN, BAN_LIST_CAP, params->secret)) <
		    0 ||
	    (err = map_init(&gate->limits, &gate->arena, sizeof(struct addr), BAN_LIST_AUTO_CAP,
			    params->secret)) < 0 ||
	    (err = pool_init(&gate->key_bans, &gate->arena, sizeof(struct key_ban), BAN_LIST_CAP)) <
		    0) {
		gate_free(gate);
		return err;
	}
	*out_gate = gate;
	return 0;
}

void gate_free(struct gate *gate)
{
	if (!gate)
		return;
	free(gate->set);
	arena_close(&gate->arena);
	free(gate);
}

/* What a rule without a prefix is kept in, and its key there; NULL: it is of the tables. */
static struct map *rule_map(struct gate *gate, const struct ban_rule *rule, const void **out_key)
{
	*out_key =
		rule->target.kind == BAN_KEY ? (const void *)rule->target.key : &rule->target.addr;
	if (rule->target.kind == BAN_KEY)
		return &gate->keys;
	return rule->is_limit ? &gate->limits : NULL;
}

static int key_enforce(struct gate *gate, const struct ban_rule *rule, struct map *map,
		       const void *key)
{
	struct key_ban *key_ban = pool_acquire(&gate->key_bans);
	int err = WEFT_EFULL;

	if (!key_ban)
		return err;
	key_ban->expires_ns = rule->expires_ns;
	err = map_put(map, key, key_ban);
	if (err < 0)
		pool_release(&gate->key_bans, key_ban);
	return err;
}

static void rule_enforce(struct gate *gate, const struct ban_rule *rule)
{
	const struct weft_ban ban = {.expires_ns = rule->expires_ns};
	struct weft_endpoint endpoint = addr_endpoint(&rule->target.addr);
	const void *key;
	struct map *map = rule_map(gate, rule, &key);
	int err;

	if (map)
		err = key_enforce(gate, rule, map, key);
	else
		err = demux_ban_put(&gate->tables, &endpoint, rule->target.prefix_len, &ban);
	weft_assert(err == 0); /* both have room for a whole list */
}

static void rule_lift(struct gate *gate, const struct ban_rule *rule)
{
	struct weft_endpoint endpoint;
	struct key_ban *key_ban;
	const void *key;
	struct map *map = rule_map(gate, rule, &key);

	if (!map) {
		endpoint = addr_endpoint(&rule->target.addr);
		demux_ban_delete(&gate->tables, &endpoint, rule->target.prefix_len);
		return;
	}
	key_ban = map_delete(map, key);
	if (key_ban)
		pool_release(&gate->key_bans, key_ban);
}

void gate_take(struct gate *gate, struct ban_set *set)
{
	if (!set)
		return;
	for (unsigned i = 0; gate->set && i < gate->set->cnt; i++)
		rule_lift(gate, &gate->set->rules[i]);
	for (unsigned i = 0; i < set->cnt; i++)
		rule_enforce(gate, &set->rules[i]);
	free(gate->set);
	gate->set = set;
}

static void rate_share(struct weft_bucket_rate *rate, unsigned worker_cnt, uint32_t flood_shift)
{
	rate->cost_ns *= worker_cnt;
	if (rate->credit_max_ns < rate->cost_ns << flood_shift)
		rate->credit_max_ns = rate->cost_ns << flood_shift;
}

void gate_share(struct weft_config *policy, unsigned worker_cnt)
{
	static const enum weft_class spread[] = {WEFT_CLASS_INITIAL, WEFT_CLASS_KNOWN};

	for (unsigned i = 0; i < sizeof(spread) / sizeof(spread[0]); i++)
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			rate_share(&policy->rates[spread[i]][level], worker_cnt,
				   policy->flood_shift);
	for (unsigned i = 0; i < WEFT_ANSWERS_CNT; i++)
		rate_share(&policy->answers[i], worker_cnt, 0);
	rate_share(&policy->validated, worker_cnt, 0);
	rate_share(&policy->samples, worker_cnt, 0);
}

void gate_configure(struct gate *gate, const struct weft_config *part)
{
	demux_tables_set_config(&gate->tables, part);
}

void gate_set_cid_keys(struct gate *gate, const struct weft_cid_keys *keys)
{
	gate->tables.cid_keys = *keys;
}

void gate_set_token_keys(struct gate *gate, const struct weft_token_keys *keys)
{
	gate->tables.token_keys = *keys;
}

void gate_set_reply_keys(struct gate *gate, const struct weft_krpc_reply_keys *keys)
{
	gate->tables.reply_keys = *keys;
}

void gate_prove(struct gate *gate, const struct addr *remote, uint64_t now_ns)
{
	const struct weft_session entry = {.expires_ns = now_ns + GATE_PATH_LIFE_NS};
	struct weft_endpoint endpoint = addr_endpoint(remote);

	(void)!demux_session_put(&gate->tables, &endpoint, &entry);
}

void gate_each_session(const struct gate *gate, demux_session_fn fn, void *ctx)
{
	demux_session_each(&gate->tables, fn, ctx);
}

void gate_sweep(struct gate *gate)
{
	(void)demux_session_sweep(&gate->tables, gate->now_ns);
}

void gate_turn(struct gate *gate, uint64_t now_ns)
{
	gate->now_ns = now_ns;
}

enum weft_verdict gate_judge(struct gate *gate, const struct dgram *dgram)
{
	return weft_verdict(demux_judge_dgram(&gate->judge, dgram, gate->now_ns));
}

static bool is_in_force(const struct gate *gate, uint64_t expires_ns)
{
	return expires_ns == 0 || expires_ns > gate->now_ns;
}

bool gate_refuses(void *ctx, const uint8_t *key, const struct addr *remote)
{
	struct gate *gate = ctx;
	const struct key_ban *key_ban = map_lookup(&gate->keys, key);

	return (key_ban && is_in_force(gate, key_ban->expires_ns)) ||
	       gate_refuses_addr(gate, remote);
}

bool gate_refuses_addr(void *ctx, const struct addr *remote)
{
	struct gate *gate = ctx;
	const struct weft_ban *ban;
	struct weft_endpoint endpoint;

	if (remote->family == ADDR_NONE)
		return false;
	endpoint = addr_endpoint(remote);
	ban = demux_ban_lookup(&gate->tables, &endpoint);
	return ban && is_in_force(gate, ban->expires_ns);
}

bool gate_limits(void *ctx, const struct addr *remote)
{
	struct gate *gate = ctx;
	struct addr place;
	const struct key_ban *limit;

	if (remote->family == ADDR_NONE)
		return false;
	place = offences_place(remote);
	limit = map_lookup(&gate->limits, &place);
	return limit && is_in_force(gate, limit->expires_ns);
}

const struct weft_counter *gate_counters(const struct gate *gate)
{
	return gate->tables.counters;
}

const struct weft_place *gate_places(const struct gate *gate, enum weft_class class, unsigned level)
{
	return gate->tables.places + (class * WEFT_LEVEL_CNT + level) * (size_t)WEFT_PLACE_CNT;
}
