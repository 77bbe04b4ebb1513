/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a lookup: seeds, sending, time, the end. Answers are read in dht_lookup_reply.c;
 * writing is in dht_lookup_write.c.
 */
#include "dht_lookup.h"

#include <stddef.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/container_of.h"
#include "dht/dht_state.h"
#include "dht/dht_join.h"
#include "dht_query.h"
#include "dht_lookup_state.h"

/*
 * A leg that asked at most this many nodes and got no answer begins once more: one lost datagram
 * must not be the end. With more nodes asked, the loss of all is no accident. After
 * BEGIN_AGAIN_NS, the wait for nodes of unknown distance, the caller gets the outcome instead.
 */
#define FEW_NODES      2
#define BEGIN_AGAIN_NS 2000000000ull
/* Seeds of a lookup: twice K, so that dead ones do not end it. */
#define SEED_CNT 16
/* The retry time after a refusal for want of room, whose end no event reports. */
#define RETRY_NS 20000000ull
/*
 * Padding of a get: nodes that hold to the rule of five times the query (docs/dht.md) can
 * then answer with the longest item there is.
 */
#define GET_PAD_LEN 180

int dht_lookups_new(struct arena *arena, uint32_t lookup_cap, struct dht_lookups **out_lookups)
{
	struct dht_lookups *lookups = arena_alloc(arena, sizeof(*lookups));
	int err;

	if (!lookups)
		return WEFT_EFULL;
	err = pool_init(&lookups->pool, arena, sizeof(struct dht_lookup), lookup_cap);
	if (err < 0)
		return err;
	*out_lookups = lookups;
	return 0;
}

uint32_t dht_lookups_cnt(const struct dht_lookups *lookups)
{
	return lookups->pool.used_cnt;
}

void dht_lookup_wake(struct dht_lookup *dht_lookup)
{
	dht_lookup->wants_flush = true;
	dht_lookup->dht->lookups->wants_flush = true;
}

static void lookup_fire(struct timer *timer, uint64_t now_ns)
{
	struct dht_lookup *dht_lookup = container_of(timer, struct dht_lookup, timer);
	const struct dht_lookup_params *params = &dht_lookup->params;

	if (params->budget_ns && now_ns >= dht_lookup->outcome.began_ns + params->budget_ns) {
		dht_lookup_end(dht_lookup, dht_lookup->has_found ? 0 : WEFT_ETIMEOUT, now_ns);
		return;
	}
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++)
		if (dht_lookup->legs[net].phase == LEG_ASKING)
			kad_lookup_expire(&dht_lookup->legs[net].lookup, now_ns);
	dht_lookup_wake(dht_lookup);
}

/* --- the beginning --- */

static void leg_seed(void *ctx, const struct kad_contact *contact)
{
	struct lookup_leg *leg = ctx;

	(void)kad_lookup_seed(&leg->lookup, contact);
}

static void leg_begin(struct dht_lookup *dht_lookup, enum dht_net net, uint64_t now_ns)
{
	struct dht *dht = dht_lookup->dht;
	struct dht_side *side = &dht->sides[net];
	struct lookup_leg *leg = &dht_lookup->legs[net];
	const struct kad_node *seeds[SEED_CNT];
	struct kad_lookup_params params = {
		.config = &dht->params.config.lookup,
		.rtt = &side->rtt,
		.target = dht_lookup->params.target,
		.own_id = side->id,
		.kind = dht_lookup->params.kind == DHT_FIND_NODES ? KAD_FIND_NODE : KAD_FIND_VALUE,
		.family = net == DHT_NET_IPV4 ? ADDR_IPV4 : ADDR_IPV6,
		.step = dht_lookup->params.asker.step,
		.step_arg = dht_lookup->params.asker.ctx,
	};
	unsigned cnt;

	kad_lookup_init(&leg->lookup, &params, now_ns);
	cnt = kad_table_closest(side->table, &(struct kad_near){&params.target, KAD_ASK, now_ns},
				seeds, SEED_CNT);
	for (unsigned i = 0; i < cnt; i++)
		leg_seed(leg, &seeds[i]->contact);
	if (cnt < dht->params.config.lookup.k)
		dht_join_entries(dht, net, &params.target, leg_seed, leg);
	leg->phase = leg->lookup.node_cnt ? LEG_ASKING : LEG_OFF;
	kad_table_note_lookup(side->table, &params.target, now_ns);
}

dht_handle dht_lookup_start(struct dht *dht, const struct dht_lookup_params *params,
			    uint64_t now_ns)
{
	struct dht_lookup *dht_lookup = pool_acquire(&dht->lookups->pool);
	bool has_any = false;

	if (!dht_lookup)
		return 0;
	dht_lookup->dht = dht;
	dht_lookup->params = *params;
	if (params->key) {
		memcpy(dht_lookup->key, params->key, sizeof(dht_lookup->key));
		dht_lookup->params.key = dht_lookup->key;
	}
	if (params->salt_len)
		memcpy(dht_lookup->salt, params->salt, params->salt_len);
	dht_lookup->params.salt = dht_lookup->salt;
	dht_lookup->outcome = (struct dht_outcome){.seq_max = -1, .began_ns = now_ns};
	timer_init(&dht_lookup->timer, lookup_fire);
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		if (!(params->nets >> net & 1) || !dht_side_is_on(&dht->sides[net]))
			continue;
		leg_begin(dht_lookup, net, now_ns);
		has_any |= dht_lookup->legs[net].phase == LEG_ASKING;
	}
	if (!has_any) {
		pool_release(&dht->lookups->pool, dht_lookup);
		return 0;
	}
	timer_set(&dht->timers, &dht_lookup->timer, now_ns);
	return pool_handle_of(&dht->lookups->pool, dht_lookup);
}

void dht_lookup_cancel(struct dht *dht, dht_handle handle)
{
	struct dht_lookup *dht_lookup = pool_lookup(&dht->lookups->pool, handle);

	if (!dht_lookup)
		return;
	timer_cancel(&dht->timers, &dht_lookup->timer);
	pool_release(&dht->lookups->pool, dht_lookup);
}

/* --- the end --- */

/* The nearest that answered, of the networks that were asked. */
static void nodes_tell(struct dht_lookup *dht_lookup)
{
	struct kad_contact contacts[DHT_FAMILY_CNT * KAD_K_MAX];
	struct kad_closest closest[KAD_K_MAX];
	unsigned cnt = 0;

	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		unsigned found;

		if (dht_lookup->legs[net].phase == LEG_OFF)
			continue;
		found = kad_lookup_result(&dht_lookup->legs[net].lookup, closest, KAD_K_MAX);
		for (unsigned i = 0; i < found; i++)
			contacts[cnt++] = *closest[i].contact;
	}
	dht_lookup->params.asker.nodes(dht_lookup->params.asker.ctx, contacts, cnt);
}

/* How it went, by what was asked and found. */
static int lookup_verdict(const struct dht_lookup *dht_lookup)
{
	const struct dht_outcome *outcome = &dht_lookup->outcome;

	if (!outcome->answered_cnt)
		return dht_lookup->has_found ? 0 : WEFT_EUNREACHABLE;
	if (dht_lookup->params.write) {
		if (outcome->seq_max >= 0)
			return WEFT_ESTALE;
		/*
		 * A node that lacks the item takes it whatever cas says: more must than must not.
		 */
		return outcome->stored_cnt > outcome->newer_cnt ? 0 : WEFT_EREFUSED;
	}
	if (dht_lookup->params.kind == DHT_FIND_NODES)
		return 0;
	return dht_lookup->has_found ? 0 : WEFT_EABSENT;
}

void dht_lookup_end(struct dht_lookup *dht_lookup, int err, uint64_t now_ns)
{
	struct dht *dht = dht_lookup->dht;
	const struct dht_asker asker = dht_lookup->params.asker;
	pool_handle handle = pool_handle_of(&dht->lookups->pool, dht_lookup);
	struct dht_outcome outcome;

	dht_lookup->outcome.err = err;
	dht_lookup->outcome.ended_ns = now_ns;
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		const struct kad_lookup_stats *stats = &dht_lookup->legs[net].lookup.stats;

		dht_lookup->outcome.asked_cnt += stats->asked_cnt;
	}
	outcome = dht_lookup->outcome;
	if (dht_lookup->params.kind == DHT_FIND_NODES && asker.nodes)
		nodes_tell(dht_lookup);
	dht_lookup_cancel(dht, handle);
	if (asker.ended)
		asker.ended(asker.ctx, &outcome);
}

/* --- asking --- */

static int step_send(struct dht_lookup *dht_lookup, enum dht_net net, const struct kad_ask *ask,
		     uint64_t now_ns)
{
	static const enum krpc_method methods[] = {[DHT_FIND_NODES] = KRPC_FIND_NODE,
						   [DHT_FIND_ITEM] = KRPC_GET,
						   [DHT_FIND_PEERS] = KRPC_GET_PEERS};
	struct dht *dht = dht_lookup->dht;
	struct krpc_query query = {
		.method = methods[dht_lookup->params.kind],
		.target = dht_lookup->params.target,
		.pad_len = dht_lookup->params.kind == DHT_FIND_ITEM ? GET_PAD_LEN : 0,
	};
	struct dht_query_params params = {
		.query = &query,
		.remote = ask->contact->addr,
		.id = ask->contact->tag == DHT_ENTRY_WITHOUT_ID ? NULL : &ask->contact->id,
		.urgency = dht_lookup->params.urgency,
		.replied = dht_lookup_hear,
		.owner = pool_handle_of(&dht->lookups->pool, dht_lookup),
		.slot = (uint16_t)(ask->slot | net << LOOKUP_SLOT_NET_SHIFT),
	};

	return dht_query_send(dht, &params, now_ns);
}

/* Sends what the lookup wants sent; 0, or why not all of it was. */
static int leg_ask(struct dht_lookup *dht_lookup, enum dht_net net, uint64_t now_ns)
{
	struct lookup_leg *leg = &dht_lookup->legs[net];
	struct kad_ask ask;

	while (kad_lookup_next(&leg->lookup, &ask)) {
		int err = step_send(dht_lookup, net, &ask, now_ns);

		if (err < 0)
			return err;
		kad_lookup_asked(&leg->lookup, ask.slot, now_ns);
	}
	return 0;
}

/* Begins the leg again if none of the few nodes that it asked, or wrote to, has answered. */
static bool leg_begins_again(struct dht_lookup *dht_lookup, enum dht_net net, uint64_t now_ns)
{
	struct lookup_leg *leg = &dht_lookup->legs[net];
	unsigned asked_cnt = leg->lookup.stats.asked_cnt;

	if (leg->heard_cnt || leg->is_second || asked_cnt > FEW_NODES ||
	    now_ns - dht_lookup->outcome.began_ns > BEGIN_AGAIN_NS)
		return false;
	*leg = (struct lookup_leg){.is_second = true};
	dht_lookup->outcome.asked_cnt += asked_cnt;
	leg_begin(dht_lookup, net, now_ns);
	return leg->phase == LEG_ASKING;
}

static bool leg_has_written(const struct lookup_leg *leg)
{
	return leg->written_cnt == leg->write_cnt && !leg->write_out_cnt;
}

/* One leg as far as it goes now; 0, or why it could not send. */
static int leg_run(struct dht_lookup *dht_lookup, enum dht_net net, uint64_t now_ns)
{
	struct lookup_leg *leg = &dht_lookup->legs[net];
	int err = 0;

	if (leg->phase == LEG_ASKING) {
		err = leg_ask(dht_lookup, net, now_ns);
		if (kad_lookup_is_done(&leg->lookup) && leg_begins_again(dht_lookup, net, now_ns))
			err = leg_ask(dht_lookup, net, now_ns);
		if (kad_lookup_is_done(&leg->lookup)) {
			dht_leg_write_begin(dht_lookup, leg);
			leg->phase = LEG_WRITING;
			leg->heard_cnt = leg->write_cnt == 0;
		}
	}
	if (leg->phase == LEG_WRITING) {
		err = dht_leg_write(dht_lookup, net, now_ns);
		if (leg_has_written(leg) && leg_begins_again(dht_lookup, net, now_ns))
			return leg_ask(dht_lookup, net, now_ns);
		if (leg_has_written(leg))
			leg->phase = LEG_DONE;
	}
	return err;
}

static uint64_t lookup_next_ns(const struct dht_lookup *dht_lookup)
{
	const struct dht_lookup_params *params = &dht_lookup->params;
	uint64_t next_ns = dht_lookup->retry_ns;

	if (params->budget_ns && dht_lookup->outcome.began_ns + params->budget_ns < next_ns)
		next_ns = dht_lookup->outcome.began_ns + params->budget_ns;
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		const struct lookup_leg *leg = &dht_lookup->legs[net];
		uint64_t slow_ns =
			leg->phase == LEG_ASKING ? kad_lookup_next_ns(&leg->lookup) : UINT64_MAX;

		if (slow_ns < next_ns)
			next_ns = slow_ns;
	}
	return next_ns;
}

static void lookup_run(struct dht_lookup *dht_lookup, uint64_t now_ns)
{
	struct dht *dht = dht_lookup->dht;
	bool is_done = true;

	dht_lookup->wants_flush = false;
	dht_lookup->retry_ns = UINT64_MAX;
	if (!dht_lookup->has_looked) {
		dht_lookup->has_looked = true;
		if (!dht_lookup_hear_own(dht_lookup, now_ns))
			return;
	}
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		int err = leg_run(dht_lookup, net, now_ns);

		is_done &= dht_lookup->legs[net].phase == LEG_OFF ||
			   dht_lookup->legs[net].phase == LEG_DONE;
		if (err == WEFT_EBUSY)
			dht_lookup->retry_ns = dht_rate_limiter_next_ns(
				dht->rate_limiter, dht_lookup->params.urgency, now_ns);
		else if (err < 0)
			dht_lookup->retry_ns = now_ns + RETRY_NS;
	}
	if (is_done)
		dht_lookup_end(dht_lookup, lookup_verdict(dht_lookup), now_ns);
	else
		timer_set(&dht->timers, &dht_lookup->timer, lookup_next_ns(dht_lookup));
}

void dht_lookups_flush(struct dht *dht, uint64_t now_ns)
{
	struct dht_lookups *lookups = dht->lookups;

	/* An end may start new lookups: those run as well, in this or the next round. */
	while (lookups->wants_flush) {
		struct dht_lookup *dht_lookup = NULL;

		lookups->wants_flush = false;
		while ((dht_lookup = pool_next(&lookups->pool, dht_lookup)))
			if (dht_lookup->wants_flush)
				lookup_run(dht_lookup, now_ns);
	}
}
