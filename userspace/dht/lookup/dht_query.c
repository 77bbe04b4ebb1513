/* SPDX-License-Identifier: Apache-2.0 */
#include "dht_query.h"

#include <stddef.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/container_of.h"
#include "base/dgram.h"
#include "base/map.h"
#include "base/random.h"
#include "base/timer.h"
#include "dht/dht_state.h"
#include "dht/dht_join.h"
#include "dht/krpc/node_id.h"
#include "dht/validated_addrs.h"

/*
 * How long an answer is waited for: three times what nine of ten take, in
 * these bounds. A lookup goes on long before that (kad/lookup.h).
 */
#define WAIT_FACTOR 3
#define WAIT_MIN_NS 1000000000ull
#define WAIT_MAX_NS 3000000000ull
/* With 1,024 questions to one address 1 in 64 ids is taken: all of these by chance never. */
#define TRANSACTION_TRIES 8

struct dht_query {
	struct timer timer; /* when it is given up */
	struct dht *dht;
	uint64_t transaction;
	struct addr remote;
	struct kad_id id;
	bool has_id;
	uint16_t slot;
	uint64_t sent_ns;
	dht_replied_fn replied;
	pool_handle owner;
};

struct dht_queries {
	struct pool pool;
	struct map by_transaction;
};

int dht_queries_new(struct arena *arena, uint32_t query_cap, const uint64_t secret[2],
		    struct dht_queries **out_queries)
{
	struct dht_queries *queries = arena_alloc(arena, sizeof(*queries));
	int err;

	if (!queries)
		return WEFT_EFULL;
	if ((err = pool_init(&queries->pool, arena, sizeof(struct dht_query), query_cap)) < 0 ||
	    (err = map_init(&queries->by_transaction, arena, sizeof(uint64_t), query_cap, secret)) <
		    0)
		return err;
	*out_queries = queries;
	return 0;
}

/* Takes the query off the books and says what came of it. */
static void query_end(struct dht_query *query, const struct krpc_message *reply, uint64_t now_ns)
{
	struct dht *dht = query->dht;
	dht_replied_fn replied = query->replied;
	pool_handle owner = query->owner;
	uint16_t slot = query->slot;

	timer_cancel(&dht->timers, &query->timer);
	map_delete(&dht->queries->by_transaction, &query->transaction);
	pool_release(&dht->queries->pool, query);
	if (replied)
		replied(dht, owner, slot, reply, now_ns);
}

static void query_give_up(struct timer *timer, uint64_t now_ns)
{
	struct dht_query *query = container_of(timer, struct dht_query, timer);
	struct dht_side *side = dht_side_of(query->dht, &query->remote);

	if (query->has_id)
		kad_table_failed(side->table, &query->id, &query->remote, now_ns);
	query_end(query, NULL, now_ns);
}

/* 0: no free one in a few tries, of 65,536 for each address. */
static uint64_t transaction_make(const struct dht *dht, const struct addr *remote)
{
	for (unsigned i = 0; i < TRANSACTION_TRIES; i++) {
		uint64_t transaction = dht_transactions_make(&dht->transactions, remote);

		if (transaction && !map_lookup(&dht->queries->by_transaction, &transaction))
			return transaction;
	}
	return 0;
}

static int query_write(struct dht *dht, const struct dht_query_params *params)
{
	struct dgram_sink *sink = dht->params.sink;
	const struct dgram_route route = {.remote = params->remote};
	struct dgram_slot slot;
	struct writer w;

	if (!sink->ops->reserve(sink, KRPC_VALUE_SEND_LEN_MAX, &slot))
		return WEFT_EFULL;
	w = writer_of(slot.data, KRPC_VALUE_SEND_LEN_MAX);
	dht_krpc_write_query(&w, params->query);
	weft_assert(!w.bad);
	sink->ops->commit(sink, &slot, writer_len(&w), &route);
	dht->bytes_out += writer_len(&w);
	return 0;
}

static uint64_t wait_ns(const struct dht_side *side)
{
	uint64_t wait = WAIT_FACTOR * side->rtt.slow_ns;

	if (wait < WAIT_MIN_NS)
		return WAIT_MIN_NS;
	return wait < WAIT_MAX_NS ? wait : WAIT_MAX_NS;
}

int dht_query_send(struct dht *dht, const struct dht_query_params *params, uint64_t now_ns)
{
	struct dht_side *side = dht_side_of(dht, &params->remote);
	struct dht_queries *queries = dht->queries;
	uint64_t transaction = transaction_make(dht, &params->remote);
	struct dht_query *query;
	int err;

	if (!side)
		return WEFT_EUNREACHABLE;
	if (!transaction || queries->pool.used_cnt == queries->pool.cap_cnt)
		return WEFT_EFULL;
	if (!dht_rate_limiter_admit(dht->rate_limiter, &params->remote, params->urgency, now_ns))
		return WEFT_EBUSY;
	params->query->id = side->id;
	params->query->is_read_only = dht_is_read_only(dht);
	params->query->transaction =
		(struct bencode_span){(const uint8_t *)&transaction, sizeof(transaction)};
	if ((err = query_write(dht, params)) < 0)
		return err;
	query = pool_acquire(&queries->pool);
	query->dht = dht;
	query->transaction = transaction;
	query->remote = params->remote;
	query->has_id = params->id != NULL;
	if (params->id)
		query->id = *params->id;
	query->slot = params->slot;
	query->sent_ns = now_ns;
	query->replied = params->replied;
	query->owner = params->owner;
	timer_init(&query->timer, query_give_up);
	timer_set(&dht->timers, &query->timer, now_ns + wait_ns(side));
	err = map_put(&queries->by_transaction, &transaction, query);
	weft_assert(err == 0);
	return 0;
}

static struct dht_query *query_find(const struct dht *dht, const struct krpc_message *reply,
				    const struct addr *remote)
{
	struct dht_query *query;
	uint64_t transaction;

	if (reply->transaction.len != sizeof(transaction))
		return NULL;
	memcpy(&transaction, reply->transaction.data, sizeof(transaction));
	query = map_lookup(&dht->queries->by_transaction, &transaction);
	return query && addr_equal(&query->remote, remote) ? query : NULL;
}

/* A node at remote answered: what that says of the node, whatever the reply says. */
static void remote_note(struct dht *dht, const struct dht_query *query,
			const struct krpc_message *reply, uint64_t now_ns)
{
	struct dht_side *side = dht_side_of(dht, &query->remote);
	struct kad_contact contact = {.id = reply->id, .addr = query->remote};

	kad_rtt_sample(&side->rtt, now_ns - query->sent_ns);
	dht_validated_add(dht->validated, &query->remote, now_ns);
	if (reply->kind != KRPC_REPLY)
		return;
	if (reply->external.data)
		dht_join_vote(dht, &query->remote, &reply->external, now_ns);
	contact.is_proven = dht_node_id_fits(&contact.id, &contact.addr);
	(void)kad_table_answered(side->table, &contact, now_ns - query->sent_ns, now_ns);
}

enum dht_reason dht_query_input(struct dht *dht, const struct krpc_message *reply,
				const struct dgram *dgram, uint64_t now_ns)
{
	struct dht_query *query = query_find(dht, reply, &dgram->remote);
	struct dht_side *side = dht_side_of(dht, &dgram->remote);
	bool is_other;

	if (!query)
		return DHT_STRAY_REPLY;
	if (reply->kind == KRPC_REPLY && (reply->fault != DHT_ANSWERED || !reply->has_id)) {
		if (query->has_id)
			kad_table_failed(side->table, &query->id, &query->remote, now_ns);
		query_end(query, NULL, now_ns);
		return DHT_SHORT_REPLY;
	}
	is_other =
		reply->kind == KRPC_REPLY && query->has_id && !kad_id_equal(&query->id, &reply->id);
	if (is_other)
		kad_table_drop(side->table, &query->id, &query->remote);
	remote_note(dht, query, reply, now_ns);
	query_end(query, is_other ? NULL : reply, now_ns);
	if (is_other)
		return DHT_OTHER_ID;
	return reply->kind == KRPC_REPLY ? DHT_REPLY : DHT_REPLY_ERROR;
}

uint32_t dht_queries_cnt(const struct dht_queries *queries)
{
	return queries->pool.used_cnt;
}
