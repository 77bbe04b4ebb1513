/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_find.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "place_rule.h"
#include "relay_find_state.h"

#define EXPIRE_NS (60 * NS_PER_S)

void relay_find_config_defaults(struct relay_find_config *config)
{
	*config = (struct relay_find_config){.is_on = true, .known_cap = 256, .wanted_cnt = 4};
}

/* --- for the parts --- */

uint64_t relay_find_wall_s(const struct relay_find *find, uint64_t now_ns)
{
	/* The turn that is on may have begun before the clock was looked at. */
	if (now_ns < find->wall_at_ns)
		return find->wall_s;
	return find->wall_s + (now_ns - find->wall_at_ns) / NS_PER_S;
}

bool relay_find_is_hungry(const struct relay_find *find)
{
	return find->params.config.is_on &&
	       relay_known_live_cnt(find->known) < find->params.config.wanted_cnt;
}

enum relay_known_verdict relay_find_take(struct relay_find *find,
					 const struct relay_known_entry *entry, uint64_t now_ns)
{
	enum relay_known_verdict verdict;

	if (memcmp(entry->announcement->key, node_key_public(find->params.key), MESH_KEY_LEN) == 0)
		return RELAY_KNOWN_OLD;
	verdict = relay_known_put(find->known, entry, now_ns);
	find->stats.full_cnt += verdict == RELAY_KNOWN_FULL;
	return verdict;
}

/* --- life --- */

static int find_lay_out(struct relay_find *find, struct random *random)
{
	const struct relay_known_config known = {.cap = find->params.config.known_cap,
						 .site = find->params.site,
						 .rank = find->params.rank,
						 .ctx = find->params.ctx};
	uint64_t secret[2];
	int err = arena_open(&find->arena, ARENA_GROWS);

	random_fill(random, secret, sizeof(secret));
	if (err == 0)
		err = relay_known_new(&find->arena, &known, random, &find->known);
	if (err == 0)
		err = relay_find_answer_init(find, secret);
	arena_fit(&find->arena);
	return err;
}

size_t relay_find_footprint(const struct relay_find_config *config)
{
	struct relay_find *find = calloc(1, sizeof(*find));
	struct random random;
	size_t len = 0;

	if (!find)
		return 0;
	random_init_seeded(&random, 1);
	find->params.config = *config;
	if (find_lay_out(find, &random) == 0)
		len = sizeof(*find) + find->arena.used_len;
	arena_close(&find->arena);
	free(find);
	return len;
}

int relay_find_new(const struct relay_find_params *params, struct relay_find **out_find)
{
	struct relay_find *find = calloc(1, sizeof(*find));
	int err;

	if (!find)
		return -ENOMEM;
	find->params = *params;
	find->publish.next_ns = UINT64_MAX;
	find->expire_ns = params->now_ns + EXPIRE_NS;
	relay_find_set_wall(find, params->wall_s, params->now_ns);
	if ((err = find_lay_out(find, params->random)) < 0 ||
	    (err = relay_place_rule_add(&params->overlay)) < 0 ||
	    (err = params->mesh.ops->handle(params->mesh.mesh, MESH_LIST_RELAYS, relay_find_on_ask,
					    find)) < 0) {
		relay_find_free(find);
		return err;
	}
	*out_find = find;
	return 0;
}

void relay_find_stop(struct relay_find *find)
{
	if (!find)
		return;
	relay_find_publish_stop(find);
	relay_find_search_stop(find);
	relay_find_ask_stop(find);
}

void relay_find_free(struct relay_find *find)
{
	if (!find)
		return;
	arena_close(&find->arena);
	free(find);
}

void relay_find_set_wall(struct relay_find *find, uint64_t wall_s, uint64_t now_ns)
{
	find->wall_s = wall_s;
	find->wall_at_ns = now_ns;
}

/* --- time --- */

void relay_find_hurry(struct relay_find *find, uint64_t now_ns)
{
	relay_find_publish_hurry(find, now_ns);
	relay_find_search_hurry(find, now_ns);
}

void relay_find_turn(struct relay_find *find, uint64_t now_ns)
{
	if (now_ns >= find->expire_ns) {
		relay_known_expire(find->known, relay_find_wall_s(find, now_ns), now_ns);
		find->expire_ns = now_ns + EXPIRE_NS;
	}
	relay_find_publish_turn(find, now_ns);
	if (!find->params.config.is_on)
		return;
	relay_find_search_turn(find, now_ns);
	relay_find_ask_turn(find, now_ns);
}

uint64_t relay_find_next_ns(const struct relay_find *find)
{
	uint64_t next_ns = find->expire_ns;

	if (find->publish.next_ns < next_ns)
		next_ns = find->publish.next_ns;
	if (!find->params.config.is_on)
		return next_ns;
	if (find->search.next_ns < next_ns)
		next_ns = find->search.next_ns;
	if (!find->ask.request && find->ask.next_ns < next_ns)
		next_ns = find->ask.next_ns;
	return next_ns;
}

/* --- use --- */

static void found_make(const struct relay_known_row *row, struct relay_found *out)
{
	const struct relay_announcement *announcement = &row->announcement;

	*out = (struct relay_found){
		.addr_cnt = announcement->addr_cnt,
		.caps = announcement->caps,
		.capacity = announcement->capacity,
	};
	memcpy(out->key, announcement->key, sizeof(out->key));
	memcpy(out->addrs, announcement->addrs, sizeof(out->addrs));
}

#define BEST_MAX 16u
unsigned relay_find_best(struct relay_find *find, const struct relay_want *want, uint64_t now_ns,
			 struct relay_found *out, unsigned cap)
{
	const struct relay_known_row *rows[BEST_MAX];
	unsigned cnt =
		relay_known_draw(find->known, want, now_ns, rows, cap < BEST_MAX ? cap : BEST_MAX);

	for (unsigned i = 0; i < cnt; i++)
		found_make(rows[i], &out[i]);
	return cnt;
}

void relay_find_succeeded(struct relay_find *find, const uint8_t *key, uint64_t latency_ns,
			  uint64_t now_ns)
{
	struct mesh_neighbour relay = {0};

	(void)find->params.neighbours->find(find->params.mesh.mesh, key, &relay);
	relay_known_succeeded(find->known, key, &relay.remote, latency_ns, now_ns);
}

void relay_find_failed(struct relay_find *find, const uint8_t *key, uint64_t now_ns)
{
	relay_known_failed(find->known, key, now_ns);
}

bool relay_find_is_live(const struct relay_find *find, const uint8_t *key)
{
	const struct relay_known_row *row = relay_known_find(find->known, key);

	return row && relay_known_is_live(row);
}

const struct relay_known_row *relay_find_next(const struct relay_find *find,
					      const struct relay_known_row *after)
{
	return relay_known_next(find->known, after);
}

void relay_find_stats(const struct relay_find *find, struct relay_find_stats *out_stats)
{
	*out_stats = find->stats;
	out_stats->known_cnt = relay_known_cnt(find->known);
	out_stats->live_cnt = relay_known_live_cnt(find->known);
}

void relay_find_view(const struct relay_find *find, struct fair_view *out)
{
	relay_known_view(find->known, out);
}
