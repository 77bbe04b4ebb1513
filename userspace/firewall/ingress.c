/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy at one worker: the tables of net/ingress/, which are those of the XDP
 * program, and a map of banned keys beside them.
 */
#include "ingress.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/monotonic.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "net/ingress/ingress_verdict.h"
#include "net/ingress/tables.h"
#include "ban_list.h"
#include "offences.h"

struct ingress {
	struct arena arena;
	struct weft_tables tables;
	struct demux_judge judge;
	struct map keys;   /* -> struct key_ban */
	struct map limits; /* -> struct key_ban, by firewall_offences_place */
	struct pool key_bans;
	struct ban_set *set; /* in force */
};

struct key_ban {
	uint64_t expires_ns;
};

int firewall_ingress_new(const struct ingress_params *params, struct ingress **out_ingress)
{
	const struct demux_tables_params tables = {
		.ban_cap = BAN_LIST_CAP,
		.session_cap = params->session_cap,
		.secret = {params->secret[0], params->secret[1]},
	};
	struct ingress *ingress = calloc(1, sizeof(*ingress));
	int err;

	if (!ingress)
		return -ENOMEM;
	ingress->judge = (struct demux_judge){
		.tables = &ingress->tables, .on_sample = params->on_sample, .ctx = params->ctx};
	if ((err = arena_open(&ingress->arena, ARENA_GROWS)) < 0 ||
	    (err = net_ingress_tables_init(&ingress->tables, &ingress->arena, &tables)) < 0 ||
	    (err = map_init(&ingress->keys, &ingress->arena, BAN_KEY_LEN, BAN_LIST_CAP,
			    params->secret)) < 0 ||
	    (err = map_init(&ingress->limits, &ingress->arena, sizeof(struct addr),
			    BAN_LIST_AUTO_CAP, params->secret)) < 0 ||
	    (err = pool_init(&ingress->key_bans, &ingress->arena, sizeof(struct key_ban),
			     BAN_LIST_CAP)) < 0) {
		firewall_ingress_free(ingress);
		return err;
	}
	arena_fit(&ingress->arena);
	*out_ingress = ingress;
	return 0;
}

size_t firewall_ingress_footprint(uint32_t session_cap)
{
	const struct ingress_params params = {.session_cap = session_cap};
	struct ingress *ingress;
	size_t len;

	if (firewall_ingress_new(&params, &ingress) < 0)
		return 0;
	len = ingress->arena.used_len;
	firewall_ingress_free(ingress);
	return len;
}

void firewall_ingress_free(struct ingress *ingress)
{
	if (!ingress)
		return;
	free(ingress->set);
	arena_close(&ingress->arena);
	free(ingress);
}

/* The map of a rule without a prefix, and its key there; NULL: it is of the tables. */
static struct map *rule_map(struct ingress *ingress, const struct ban_rule *rule,
			    const void **out_key)
{
	*out_key =
		rule->target.kind == BAN_KEY ? (const void *)rule->target.key : &rule->target.addr;
	if (rule->target.kind == BAN_KEY)
		return &ingress->keys;
	return rule->is_limit ? &ingress->limits : NULL;
}

static int key_enforce(struct ingress *ingress, const struct ban_rule *rule, struct map *map,
		       const void *key)
{
	struct key_ban *key_ban = pool_acquire(&ingress->key_bans);
	int err = WEFT_EFULL;

	if (!key_ban)
		return err;
	key_ban->expires_ns = rule->expires_ns;
	err = map_put(map, key, key_ban);
	if (err < 0)
		pool_release(&ingress->key_bans, key_ban);
	return err;
}

static void rule_enforce(struct ingress *ingress, const struct ban_rule *rule)
{
	const struct weft_ban ban = {.expires_ns = rule->expires_ns};
	struct weft_endpoint endpoint = addr_endpoint(&rule->target.addr);
	const void *key;
	struct map *map = rule_map(ingress, rule, &key);
	int err;

	if (map)
		err = key_enforce(ingress, rule, map, key);
	else
		err = net_ingress_ban_put(&ingress->tables, &endpoint, rule->target.prefix_len,
					  &ban);
	weft_assert(err == 0); /* both have room for a whole list */
}

static void rule_lift(struct ingress *ingress, const struct ban_rule *rule)
{
	struct weft_endpoint endpoint;
	struct key_ban *key_ban;
	const void *key;
	struct map *map = rule_map(ingress, rule, &key);

	if (!map) {
		endpoint = addr_endpoint(&rule->target.addr);
		net_ingress_ban_delete(&ingress->tables, &endpoint, rule->target.prefix_len);
		return;
	}
	key_ban = map_delete(map, key);
	if (key_ban)
		pool_release(&ingress->key_bans, key_ban);
}

void firewall_ingress_take(struct ingress *ingress, struct ban_set *set)
{
	if (!set)
		return;
	for (unsigned i = 0; ingress->set && i < ingress->set->cnt; i++)
		rule_lift(ingress, &ingress->set->rules[i]);
	for (unsigned i = 0; i < set->cnt; i++)
		rule_enforce(ingress, &set->rules[i]);
	free(ingress->set);
	ingress->set = set;
}

static void rate_share(struct weft_bucket_rate *rate, unsigned worker_cnt, uint32_t flood_shift)
{
	rate->cost_ns *= worker_cnt;
	if (rate->credit_max_ns < rate->cost_ns << flood_shift)
		rate->credit_max_ns = rate->cost_ns << flood_shift;
}

void firewall_ingress_share(struct weft_config *policy, unsigned worker_cnt)
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

void firewall_ingress_configure(struct ingress *ingress, const struct weft_config *part)
{
	net_ingress_tables_set_config(&ingress->tables, part);
}

void firewall_ingress_set_cid_keys(struct ingress *ingress, const struct weft_cid_keys *keys)
{
	ingress->tables.cid_keys = *keys;
}

void firewall_ingress_set_token_keys(struct ingress *ingress, const struct weft_token_keys *keys)
{
	ingress->tables.token_keys = *keys;
}

void firewall_ingress_set_reply_keys(struct ingress *ingress,
				     const struct weft_krpc_reply_keys *keys)
{
	ingress->tables.reply_keys = *keys;
}

void firewall_ingress_prove(struct ingress *ingress, const struct addr *remote, uint64_t now_ns)
{
	const struct weft_session entry = {.expires_ns = now_ns + INGRESS_PATH_LIFE_NS};
	struct weft_endpoint endpoint = addr_endpoint(remote);

	(void)!net_ingress_session_put(&ingress->tables, &endpoint, &entry);
}

const struct ingress_session *firewall_ingress_session_next(const struct ingress *ingress,
							    const struct ingress_session *session)
{
	return net_ingress_session_next(&ingress->tables, session);
}

void firewall_ingress_sweep(struct ingress *ingress)
{
	(void)net_ingress_session_sweep(&ingress->tables, ingress->tables.now_ns);
}

void firewall_ingress_turn(struct ingress *ingress, uint64_t now_ns)
{
	ingress->tables.now_ns = now_ns;
}

struct demux_judge *firewall_ingress_judge(struct ingress *ingress)
{
	return &ingress->judge;
}

void firewall_ingress_set_relay(struct ingress *ingress, const struct weft_relay_tables *tables)
{
	ingress->tables.relay = *tables;
}

static bool is_in_force(const struct ingress *ingress, uint64_t expires_ns)
{
	return expires_ns == 0 || expires_ns > ingress->tables.now_ns;
}

bool firewall_ingress_refuses(void *ctx, const uint8_t *key, const struct addr *remote)
{
	struct ingress *ingress = ctx;
	const struct key_ban *key_ban = map_lookup(&ingress->keys, key);

	return (key_ban && is_in_force(ingress, key_ban->expires_ns)) ||
	       firewall_ingress_refuses_addr(ingress, remote);
}

bool firewall_ingress_refuses_addr(void *ctx, const struct addr *remote)
{
	struct ingress *ingress = ctx;
	const struct weft_ban *ban;
	struct weft_endpoint endpoint;

	if (remote->family == ADDR_NONE)
		return false;
	endpoint = addr_endpoint(remote);
	ban = net_ingress_ban_lookup(&ingress->tables, &endpoint);
	return ban && is_in_force(ingress, ban->expires_ns);
}

bool firewall_ingress_limits(void *ctx, const struct addr *remote)
{
	struct ingress *ingress = ctx;
	struct addr place;
	const struct key_ban *limit;

	if (remote->family == ADDR_NONE)
		return false;
	place = firewall_offences_place(remote);
	limit = map_lookup(&ingress->limits, &place);
	return limit && is_in_force(ingress, limit->expires_ns);
}

const struct weft_counter *firewall_ingress_counters(const struct ingress *ingress)
{
	return ingress->tables.counters;
}

const struct weft_place *firewall_ingress_places(const struct ingress *ingress,
						 enum weft_class class, unsigned level)
{
	return ingress->tables.places + (class * WEFT_LEVEL_CNT + level) * (size_t)WEFT_PLACE_CNT;
}
