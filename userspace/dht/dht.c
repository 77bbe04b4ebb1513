/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Composition: what a node of the DHT is made of, and where a datagram
 * goes. In: dht_input -> krpc_parse -> dht_answer for a query. Implements
 * BEP-5, 32, 42, 43, 44, 45 (an id per network) and of BEP-51 the answer.
 */
#include "dht/dht.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/dgram.h"
#include "base/random.h"
#include "dht/dht_answer.h"
#include "bucket_blobs.h"
#include "dht/dht_state.h"
#include "dht/rate_limiter.h"
#include "dht/items/items.h"
#include "dht/dht_join.h"
#include "dht/krpc/krpc_message.h"
#include "dht/krpc/node_id.h"
#include "dht/validated_addrs.h"
#include "dht/lookup/dht_publish.h"
#include "dht/lookup/dht_query.h"
#include "dht/lookup/dht_lookup.h"
#include "dht/items/swarms.h"

/* Until answers teach better, and however quick or slow they are: a query is slow after this. */
#define RTT_START_NS   1000000000ull
#define RTT_FLOOR_NS   50000000ull
#define RTT_CEILING_NS 2000000000ull

void dht_config_defaults(struct dht_config *config)
{
	*config = (struct dht_config){
		.is_on = {true, true},
		.item_cap = 10000,
		.item_subnet_max = 512,
		.peer_cap = 20000,
		.swarm_peer_max = 500,
		.peer_subnet_max = 256,
		.query_cap = 1024,
		.lookup_cap = 64,
		.own_cap = 64,
		.destinations_per_s = 50,
		.unvalidated_bytes_per_s = 1000000,
	};
	kad_table_defaults(&config->table);
	kad_lookup_defaults(&config->lookup);
}

static enum addr_family family_of(enum dht_net net)
{
	return net == DHT_NET_IPV6 ? ADDR_IPV6 : ADDR_IPV4;
}

static struct dht_items_config items_config(const struct dht_config *config, enum dht_net net)
{
	return (struct dht_items_config){
		.item_cap = config->item_cap,
		.subnet_max = config->item_subnet_max,
		.family = family_of(net),
		.site = config->site,
	};
}

static struct dht_swarms_config swarms_config(const struct dht_config *config, enum dht_net net)
{
	return (struct dht_swarms_config){
		.peer_cap = config->peer_cap,
		.swarm_max = config->swarm_peer_max,
		.subnet_max = config->peer_subnet_max,
		.family = family_of(net),
		.site = config->site,
	};
}

static int side_init(struct dht *dht, enum dht_net net)
{
	struct dht_side *side = &dht->sides[net];
	const struct dht_params *params = &dht->params;
	const struct dht_items_config items = items_config(&params->config, net);
	const struct dht_swarms_config swarms = swarms_config(&params->config, net);
	int err;

	random_fill(params->random, side->id.bytes, KAD_ID_LEN);
	kad_rtt_init(&side->rtt, RTT_START_NS, RTT_FLOOR_NS, RTT_CEILING_NS);
	err = dht_items_new(&dht->arena, &items, &side->id, params->random, &side->items);
	if (err < 0)
		return err;
	err = dht_swarms_new(&dht->arena, &swarms, &side->id, params->random, &side->swarms);
	if (err < 0)
		return err;
	err = dht_blobs_new(&dht->arena, &side->blobs);
	if (err < 0)
		return err;
	return kad_table_new(&dht->arena,
			     &(struct kad_table_params){.config = &params->config.table,
							.own_id = &side->id,
							.random = params->random,
							.now_ns = params->now_ns},
			     &side->table);
}

static int asking_init(struct dht *dht, const uint64_t secret[2])
{
	const struct dht_config *config = &dht->params.config;
	struct arena *arena = &dht->arena;
	int err;

	timer_wheel_init(&dht->timers, dht->params.now_ns);
	err = dht_rate_limiter_new(arena, config->destinations_per_s, secret, &dht->rate_limiter);
	if (err == 0)
		err = dht_queries_new(arena, config->query_cap, secret, &dht->queries);
	if (err == 0)
		err = dht_lookups_new(arena, config->lookup_cap, &dht->lookups);
	if (err == 0)
		err = dht_owns_new(arena, config->own_cap, &dht->owns);
	return err < 0 ? err : dht_joins_new(arena, dht, &dht->joins);
}

static int parts_init(struct dht *dht)
{
	const struct dht_params *params = &dht->params;
	uint64_t secret[2];
	int err;

	random_fill(params->random, secret, sizeof(secret));
	dht_tokens_init(&dht->tokens, params->random, params->now_ns);
	dht_transactions_init(&dht->transactions, params->random, params->now_ns);
	err = dht_validated_new(&dht->arena, secret, &dht->validated);
	for (unsigned net = 0; net < DHT_FAMILY_CNT && err == 0; net++) {
		if (params->config.is_on[net])
			err = side_init(dht, net);
	}
	return err < 0 ? err : asking_init(dht, secret);
}

int dht_new(const struct dht_params *params, struct dht **out_dht)
{
	struct dht *dht = calloc(1, sizeof(*dht));
	int err;

	if (!dht)
		return -ENOMEM;
	dht->params = *params;
	dht_set_wall(dht, params->wall_us, params->now_ns);
	err = arena_open(&dht->arena, ARENA_GROWS);
	if (err == 0)
		err = parts_init(dht);
	arena_fit(&dht->arena);
	if (err < 0) {
		dht_free(dht);
		return err;
	}
	*out_dht = dht;
	return 0;
}

size_t dht_footprint(const struct dht_config *config)
{
	struct random random;
	const struct dht_params params = {.config = *config, .random = &random};
	struct dht *dht;
	size_t len;

	random_init_seeded(&random, 0);
	if (dht_new(&params, &dht) < 0)
		return 0;
	len = dht->arena.used_len;
	dht_free(dht);
	return len;
}

void dht_free(struct dht *dht)
{
	if (!dht)
		return;
	arena_close(&dht->arena);
	free(dht);
}

void dht_set_sink(struct dht *dht, struct dgram_sink *sink)
{
	dht->params.sink = sink;
}

void dht_set_wall(struct dht *dht, uint64_t wall_us, uint64_t now_ns)
{
	dht->wall_us = wall_us;
	dht->wall_at_ns = now_ns;
}

uint64_t dht_wall_us(const struct dht *dht, uint64_t now_ns)
{
	return dht->wall_us + (now_ns - dht->wall_at_ns) / 1000;
}

struct dht_side *dht_side_of(struct dht *dht, const struct addr *addr)
{
	struct dht_side *side = &dht->sides[dht_net_of(addr)];

	return dht_side_is_on(side) ? side : NULL;
}

void dht_set_own_id(struct dht *dht, enum dht_net net, const struct kad_id *id, uint64_t now_ns)
{
	struct dht_side *side = &dht->sides[net];

	side->id = *id;
	kad_table_set_own_id(side->table, id, now_ns);
	dht_items_set_own_id(side->items, id);
	dht_swarms_set_own_id(side->swarms, id);
	dht_blobs_forget(side->blobs);
	dht->blob_generation++;
}

/* A query under an id of this node, or from its own address, is its own or forged. */
static bool is_self(const struct dht *dht, const struct krpc_message *message)
{
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		if (dht_side_is_on(&dht->sides[net]) && message->has_id &&
		    kad_id_equal(&message->id, &dht->sides[net].id))
			return true;
	}
	return false;
}

static enum dht_reason source_judge(struct dht *dht, const struct dgram *dgram)
{
	if (addr_equal(&dgram->remote, &dgram->local))
		return DHT_SOURCE_SELF;
	if (dgram->local.family == ADDR_NONE
		    ? kad_addr_scope_of(&dgram->remote) == KAD_ADDR_SCOPE_NONE
		    : !kad_addr_scope_is_credible(&dgram->remote, &dgram->local))
		return DHT_SOURCE_MARTIAN;
	return dht_side_of(dht, &dgram->remote) ? DHT_ANSWERED : DHT_FAMILY_OFF;
}

/* The sender of a query may be worth a place in the table. */
static void asker_note(struct dht *dht, const struct kad_id *id, const struct addr *addr,
		       uint64_t now_ns)
{
	const struct kad_contact contact = {
		.id = *id,
		.addr = *addr,
		.is_proven = dht_node_id_fits(id, addr),
	};

	if (!contact.is_proven)
		dht->reasons[DHT_WRONG_NODE_ID]++;
	(void)kad_table_asked(dht_side_of(dht, addr)->table, &contact, now_ns);
}

void dht_set_hidden(struct dht *dht, bool is_hidden)
{
	dht->is_hidden = is_hidden;
}

bool dht_is_read_only(const struct dht *dht)
{
	return dht->params.config.is_read_only || dht->is_hidden;
}

static void query_input(struct dht *dht, const struct krpc_message *query,
			const struct dgram *dgram, uint64_t now_ns)
{
	if (dht_is_read_only(dht)) {
		dht->reasons[DHT_READ_ONLY]++;
		return;
	}
	if (query->has_id && !query->is_read_only)
		asker_note(dht, &query->id, &dgram->remote, now_ns);
	dht_answer(dht, query, dgram, now_ns);
}

static void blobs_refresh(struct dht *dht, uint64_t now_ns)
{
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		const struct dht_side *side = &dht->sides[net];

		if (dht_side_is_on(side) && dht_blobs_refresh(side->blobs, side->table, now_ns))
			dht->blob_generation++;
	}
}

void dht_input(struct dht *dht, const struct dgram *dgram, uint64_t now_ns)
{
	struct krpc_message message;
	enum dht_reason reason = source_judge(dht, dgram);

	dht->bytes_in += dgram->len;
	if (reason == DHT_ANSWERED)
		reason = dht_krpc_parse(dgram->data, dgram->len, &message);
	if (reason == DHT_ANSWERED && is_self(dht, &message))
		reason = DHT_SOURCE_SELF;
	if (reason != DHT_ANSWERED) {
		dht->reasons[reason]++;
		return;
	}
	blobs_refresh(dht, now_ns);
	if (message.kind == KRPC_QUERY)
		query_input(dht, &message, dgram, now_ns);
	else
		dht->reasons[dht_query_input(dht, &message, dgram, now_ns)]++;
}

void dht_flush(struct dht *dht, uint64_t now_ns)
{
	dht_lookups_flush(dht, now_ns);
}

void dht_expire(struct dht *dht, uint64_t now_ns)
{
	if (dht_tokens_expire(&dht->tokens, now_ns))
		dht->blob_generation++;
	if (dht_transactions_expire(&dht->transactions, now_ns) && dht->params.events &&
	    dht->params.events->reply_keys)
		dht->params.events->reply_keys(dht->params.ctx, &dht->transactions.keys);
	blobs_refresh(dht, now_ns);
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		if (!dht_side_is_on(&dht->sides[net]))
			continue;
		dht_items_expire(dht->sides[net].items, now_ns);
		dht_swarms_expire(dht->sides[net].swarms, now_ns);
	}
	timer_wheel_expire(&dht->timers, now_ns);
	dht_joins_expire(dht, now_ns);
	dht_lookups_flush(dht, now_ns);
	dht_save_expire(dht, now_ns);
}

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

uint64_t dht_next_ns(const struct dht *dht)
{
	uint64_t next_ns = earlier(dht->tokens.turn_ns, dht_joins_next_ns(dht));

	next_ns = earlier(next_ns, dht->transactions.turn_ns);
	next_ns = earlier(next_ns, timer_wheel_next_ns(&dht->timers));
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		const struct dht_side *side = &dht->sides[net];

		if (!dht_side_is_on(side))
			continue;
		next_ns = earlier(next_ns, dht_items_next_ns(side->items));
		next_ns = earlier(next_ns, dht_swarms_next_ns(side->swarms));
		next_ns = earlier(next_ns, dht_blobs_next_ns(side->blobs, side->table));
	}
	return next_ns;
}
