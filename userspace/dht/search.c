/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a search: seeds, sending, time, the end. What answers say is
 * in search_reply.c, writing in search_write.c.
 */
#include "dht/search.h"

#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "dht/dht_state.h"
#include "dht/join.h"
#include "dht/query.h"
#include "dht/search_state.h"

/* Seeds of a lookup: twice K, so that dead ones do not end it. */
#define SEED_CNT 16
/* Refused for want of room, which nobody announces: tried again after this. */
#define RETRY_NS 20000000ull
/*
 * Padding of a get: nodes that hold to the rule of five times the query (docs/dht.md) can
 * then answer with the longest item there is.
 */
#define GET_PAD_LEN 180

static size_t aligned(size_t len)
{
	return (len + 63) & ~(size_t)63;
}

size_t dht_searches_footprint(uint32_t search_cap)
{
	return aligned(sizeof(struct dht_searches)) +
	       pool_footprint(sizeof(struct dht_search), search_cap);
}

int dht_searches_new(struct arena *arena, uint32_t search_cap, struct dht_searches **out_searches)
{
	struct dht_searches *searches = arena_alloc(arena, sizeof(*searches));
	int err;

	if (!searches)
		return WEFT_EFULL;
	err = pool_init(&searches->pool, arena, sizeof(struct dht_search), search_cap);
	if (err < 0)
		return err;
	*out_searches = searches;
	return 0;
}

uint32_t dht_searches_cnt(const struct dht_searches *searches)
{
	return searches->pool.used_cnt;
}

void search_wake(struct dht_search *search)
{
	search->wants_flush = true;
	search->dht->searches->wants_flush = true;
}

static void search_fire(struct timer *timer, uint64_t now_ns)
{
	struct dht_search *search =
		(struct dht_search *)((char *)timer - offsetof(struct dht_search, timer));
	const struct dht_search_params *params = &search->params;

	if (params->budget_ns && now_ns >= search->outcome.began_ns + params->budget_ns) {
		search_end(search, search->has_found ? 0 : WEFT_ETIMEOUT, now_ns);
		return;
	}
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++)
		if (search->legs[net].phase == LEG_ASKING)
			kad_lookup_expire(&search->legs[net].lookup, now_ns);
	search_wake(search);
}

/* --- the beginning --- */

static void leg_seed(void *ctx, const struct kad_contact *contact)
{
	struct search_leg *leg = ctx;

	(void)kad_lookup_seed(&leg->lookup, contact);
}

static void leg_begin(struct dht_search *search, enum dht_net net, uint64_t now_ns)
{
	struct dht *dht = search->dht;
	struct dht_side *side = &dht->sides[net];
	struct search_leg *leg = &search->legs[net];
	const struct kad_node *seeds[SEED_CNT];
	struct kad_lookup_params params = {
		.config = &dht->params.config.lookup,
		.rtt = &side->rtt,
		.target = search->params.target,
		.own_id = side->id,
		.kind = search->params.kind == DHT_FIND_NODES ? KAD_FIND_NODE : KAD_FIND_VALUE,
		.family = net == DHT_NET_IPV4 ? ADDR_IPV4 : ADDR_IPV6,
		.step = search->params.asker.step,
		.step_arg = search->params.asker.ctx,
	};
	unsigned cnt;

	kad_lookup_init(&leg->lookup, &params, now_ns);
	cnt = kad_table_closest(side->table, &params.target, KAD_ASK, now_ns, seeds, SEED_CNT);
	for (unsigned i = 0; i < cnt; i++)
		leg_seed(leg, &seeds[i]->contact);
	if (cnt < dht->params.config.lookup.k)
		dht_join_entries(dht, net, &params.target, leg_seed, leg);
	leg->phase = leg->lookup.node_cnt ? LEG_ASKING : LEG_OFF;
	kad_table_note_lookup(side->table, &params.target, now_ns);
}

dht_handle dht_search_start(struct dht *dht, const struct dht_search_params *params,
			    uint64_t now_ns)
{
	struct dht_search *search = pool_acquire(&dht->searches->pool);
	bool has_any = false;

	if (!search)
		return 0;
	search->dht = dht;
	search->params = *params;
	if (params->key) {
		memcpy(search->key, params->key, sizeof(search->key));
		search->params.key = search->key;
	}
	if (params->salt_len)
		memcpy(search->salt, params->salt, params->salt_len);
	search->params.salt = search->salt;
	search->outcome = (struct dht_outcome){.seq_max = -1, .began_ns = now_ns};
	timer_init(&search->timer, search_fire);
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		if (!(params->nets >> net & 1) || !dht_side_is_on(&dht->sides[net]))
			continue;
		leg_begin(search, net, now_ns);
		has_any |= search->legs[net].phase == LEG_ASKING;
	}
	if (!has_any) {
		pool_release(&dht->searches->pool, search);
		return 0;
	}
	timer_set(&dht->timers, &search->timer, now_ns);
	return pool_handle_of(&dht->searches->pool, search);
}

void dht_search_cancel(struct dht *dht, dht_handle handle)
{
	struct dht_search *search = pool_lookup(&dht->searches->pool, handle);

	if (!search)
		return;
	timer_cancel(&dht->timers, &search->timer);
	pool_release(&dht->searches->pool, search);
}

/* --- the end --- */

/* The nearest that answered, of the networks that were asked. */
static void nodes_tell(struct dht_search *search)
{
	struct kad_contact contacts[DHT_FAMILY_CNT * KAD_K_MAX];
	struct kad_closest closest[KAD_K_MAX];
	unsigned cnt = 0;

	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		unsigned found;

		if (search->legs[net].phase == LEG_OFF)
			continue;
		found = kad_lookup_result(&search->legs[net].lookup, closest, KAD_K_MAX);
		for (unsigned i = 0; i < found; i++)
			contacts[cnt++] = *closest[i].contact;
	}
	search->params.asker.nodes(search->params.asker.ctx, contacts, cnt);
}

/* How it went, by what was asked and found. */
static int search_verdict(const struct dht_search *search)
{
	const struct dht_outcome *outcome = &search->outcome;

	if (!outcome->answered_cnt)
		return search->has_found ? 0 : WEFT_EUNREACHABLE;
	if (search->params.write) {
		if (outcome->seq_max >= 0)
			return WEFT_ESTALE;
		/* Somebody who lacks the item takes it whatever cas says: more must than must not. */
		return outcome->stored_cnt > outcome->newer_cnt ? 0 : WEFT_EREFUSED;
	}
	if (search->params.kind == DHT_FIND_NODES)
		return 0;
	return search->has_found ? 0 : WEFT_EABSENT;
}

void search_end(struct dht_search *search, int err, uint64_t now_ns)
{
	struct dht *dht = search->dht;
	const struct dht_asker asker = search->params.asker;
	pool_handle handle = pool_handle_of(&dht->searches->pool, search);
	struct dht_outcome outcome;

	search->outcome.err = err;
	search->outcome.ended_ns = now_ns;
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		const struct kad_lookup_stats *stats = &search->legs[net].lookup.stats;

		search->outcome.asked_cnt += stats->asked_cnt;
	}
	outcome = search->outcome;
	if (search->params.kind == DHT_FIND_NODES && asker.nodes)
		nodes_tell(search);
	dht_search_cancel(dht, handle);
	if (asker.ended)
		asker.ended(asker.ctx, &outcome);
}

/* --- asking --- */

static int step_send(struct dht_search *search, enum dht_net net, const struct kad_ask *ask,
		     uint64_t now_ns)
{
	static const enum krpc_method methods[] = {[DHT_FIND_NODES] = KRPC_FIND_NODE,
						   [DHT_FIND_ITEM] = KRPC_GET,
						   [DHT_FIND_PEERS] = KRPC_GET_PEERS};
	struct dht *dht = search->dht;
	struct krpc_query query = {
		.method = methods[search->params.kind],
		.target = search->params.target,
		.pad_len = search->params.kind == DHT_FIND_ITEM ? GET_PAD_LEN : 0,
	};
	struct dht_query_params params = {
		.query = &query,
		.remote = ask->contact->addr,
		.id = ask->contact->tag == DHT_ENTRY_WITHOUT_ID ? NULL : &ask->contact->id,
		.urgency = search->params.urgency,
		.replied = search_hear,
		.owner = pool_handle_of(&dht->searches->pool, search),
		.slot = (uint16_t)(ask->slot | net << SEARCH_SLOT_NET_SHIFT),
	};

	return dht_query_send(dht, &params, now_ns);
}

/* Sends what the lookup wants sent; 0, or why not all of it was. */
static int leg_ask(struct dht_search *search, enum dht_net net, uint64_t now_ns)
{
	struct search_leg *leg = &search->legs[net];
	struct kad_ask ask;

	while (kad_lookup_next(&leg->lookup, &ask)) {
		int err = step_send(search, net, &ask, now_ns);

		if (err < 0)
			return err;
		kad_lookup_asked(&leg->lookup, ask.slot, now_ns);
	}
	return 0;
}

/* One leg as far as it goes now; 0, or why it could not send. */
static int leg_run(struct dht_search *search, enum dht_net net, uint64_t now_ns)
{
	struct search_leg *leg = &search->legs[net];
	int err = 0;

	if (leg->phase == LEG_ASKING) {
		err = leg_ask(search, net, now_ns);
		if (kad_lookup_is_done(&leg->lookup)) {
			leg_write_begin(search, leg);
			leg->phase = LEG_WRITING;
		}
	}
	if (leg->phase == LEG_WRITING) {
		err = leg_write(search, net, now_ns);
		if (leg->written_cnt == leg->write_cnt && !leg->write_out_cnt)
			leg->phase = LEG_DONE;
	}
	return err;
}

static uint64_t search_next_ns(const struct dht_search *search)
{
	const struct dht_search_params *params = &search->params;
	uint64_t next_ns = search->retry_ns;

	if (params->budget_ns && search->outcome.began_ns + params->budget_ns < next_ns)
		next_ns = search->outcome.began_ns + params->budget_ns;
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		const struct search_leg *leg = &search->legs[net];
		uint64_t slow_ns =
			leg->phase == LEG_ASKING ? kad_lookup_next_ns(&leg->lookup) : UINT64_MAX;

		if (slow_ns < next_ns)
			next_ns = slow_ns;
	}
	return next_ns;
}

static void search_run(struct dht_search *search, uint64_t now_ns)
{
	struct dht *dht = search->dht;
	bool is_done = true;

	search->wants_flush = false;
	search->retry_ns = UINT64_MAX;
	if (!search->has_looked) {
		search->has_looked = true;
		if (!search_hear_own(search, now_ns))
			return;
	}
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		int err = leg_run(search, net, now_ns);

		is_done &=
			search->legs[net].phase == LEG_OFF || search->legs[net].phase == LEG_DONE;
		if (err == WEFT_EBUSY)
			search->retry_ns =
				dht_governor_next_ns(dht->governor, search->params.urgency, now_ns);
		else if (err < 0)
			search->retry_ns = now_ns + RETRY_NS;
	}
	if (is_done)
		search_end(search, search_verdict(search), now_ns);
	else
		timer_set(&dht->timers, &search->timer, search_next_ns(search));
}

void dht_searches_flush(struct dht *dht, uint64_t now_ns)
{
	struct dht_searches *searches = dht->searches;

	/* An end may start new searches: those run as well, in this or the next round. */
	while (searches->wants_flush) {
		struct dht_search *search = NULL;

		searches->wants_flush = false;
		while ((search = pool_next(&searches->pool, search)))
			if (search->wants_flush)
				search_run(search, now_ns);
	}
}
