/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bans at one worker: prefixes in the tables of demux/, which are those of
 * the XDP program, and keys in a map beside them.
 */
#include "node/gate.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/pool.h"
#include "demux/judge.h"
#include "demux/tables.h"
#include "node/ban_list.h"

/* Drops of one reason that are told: as many as the XDP program tells (docs/operations.md). */
#define SAMPLES_PER_S 50
#define SAMPLES_BURST 100

struct gate {
	struct arena arena;
	struct weft_tables tables;
	struct demux_judge judge;
	struct map keys; /* -> struct key_ban */
	struct pool key_bans;
	struct ban_set *set; /* in force */
	uint64_t now_ns;
};

struct key_ban {
	uint64_t expires_ns;
};

/* Nobody is proven here: that table is as small as it can be. */
static struct demux_tables_params tables_params(const uint64_t secret[2])
{
	return (struct demux_tables_params){
		.ban_cap = BAN_LIST_CAP, .validated_cap = 1, .secret = {secret[0], secret[1]}};
}

size_t gate_footprint(void)
{
	const uint64_t any[2] = {0};
	const struct demux_tables_params params = tables_params(any);

	return demux_tables_footprint(&params) + map_footprint(BAN_KEY_LEN, BAN_LIST_CAP) +
	       pool_footprint(sizeof(struct key_ban), BAN_LIST_CAP);
}

int gate_new(const struct gate_params *params, struct gate **out_gate)
{
	const struct demux_tables_params tables = tables_params(params->secret);
	struct gate *gate = calloc(1, sizeof(*gate));
	int err;

	if (!gate)
		return -ENOMEM;
	gate->judge = (struct demux_judge){&gate->tables, params->on_sample, params->ctx};
	if ((err = arena_open(&gate->arena, gate_footprint())) < 0 ||
	    (err = demux_tables_init(&gate->tables, &gate->arena, &tables)) < 0 ||
	    (err = map_init(&gate->keys, &gate->arena, BAN_KEY_LEN, BAN_LIST_CAP, params->secret)) <
		    0 ||
	    (err = pool_init(&gate->key_bans, &gate->arena, sizeof(struct key_ban), BAN_LIST_CAP)) <
		    0) {
		gate_free(gate);
		return err;
	}
	gate->tables.config.samples = (struct weft_bucket_rate){
		NS_PER_S / SAMPLES_PER_S, NS_PER_S / SAMPLES_PER_S * SAMPLES_BURST};
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

static int key_enforce(struct gate *gate, const struct ban_rule *rule)
{
	struct key_ban *key_ban = pool_acquire(&gate->key_bans);
	int err = WEFT_EFULL;

	if (!key_ban)
		return err;
	key_ban->expires_ns = rule->expires_ns;
	err = map_put(&gate->keys, rule->target.key, key_ban);
	if (err < 0)
		pool_release(&gate->key_bans, key_ban);
	return err;
}

static void rule_enforce(struct gate *gate, const struct ban_rule *rule)
{
	const struct weft_ban ban = {.expires_ns = rule->expires_ns};
	struct weft_endpoint endpoint = demux_endpoint(&rule->target.addr);
	int err;

	if (rule->target.kind == BAN_KEY)
		err = key_enforce(gate, rule);
	else
		err = demux_ban_put(&gate->tables, &endpoint, rule->target.prefix_len, &ban);
	weft_assert(err == 0); /* both have room for a whole list */
}

static void rule_lift(struct gate *gate, const struct ban_rule *rule)
{
	struct weft_endpoint endpoint;
	struct key_ban *key_ban;

	if (rule->target.kind != BAN_KEY) {
		endpoint = demux_endpoint(&rule->target.addr);
		demux_ban_delete(&gate->tables, &endpoint, rule->target.prefix_len);
		return;
	}
	key_ban = map_delete(&gate->keys, rule->target.key);
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

void gate_turn(struct gate *gate, uint64_t now_ns)
{
	gate->now_ns = now_ns;
}

bool gate_drops(struct gate *gate, const struct dgram *dgram)
{
	return demux_judge_ban(&gate->judge, dgram, gate->now_ns);
}

static bool is_in_force(const struct gate *gate, uint64_t expires_ns)
{
	return expires_ns == 0 || expires_ns > gate->now_ns;
}

bool gate_refuses(void *ctx, const uint8_t *key, const struct addr *remote)
{
	struct gate *gate = ctx;
	const struct key_ban *key_ban = map_lookup(&gate->keys, key);
	const struct weft_ban *ban = NULL;
	struct weft_endpoint endpoint;

	if (key_ban && is_in_force(gate, key_ban->expires_ns))
		return true;
	if (remote->family == ADDR_NONE)
		return false;
	endpoint = demux_endpoint(remote);
	ban = demux_ban_lookup(&gate->tables, &endpoint);
	return ban && is_in_force(gate, ban->expires_ns);
}

const struct weft_counter *gate_counters(const struct gate *gate)
{
	return gate->tables.counters;
}
