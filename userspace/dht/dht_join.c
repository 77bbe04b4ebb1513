/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network is joined by a lookup of this node's own id. Then one lookup follows in each bucket
 * between this node and the farthest, one after the other; after that the table's own upkeep keeps
 * it. A join without an answer is tried again after a pause that doubles.
 */
#include "dht/dht_join.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/random.h"
#include "dht/dht_state.h"
#include "dht/krpc/krpc_message.h"
#include "dht/krpc/node_id.h"
#include "dht/lookup/dht_query.h"
#include "dht/lookup/dht_lookup.h"

#define RETRY_MIN_NS (2 * 1000000000ull)
#define RETRY_MAX_NS (60 * 1000000000ull)
/* The period of the check whether any node is left. */
#define LOOK_NS (5 * 1000000000ull)
/*
 * A node that knows fewer than a lookup wants may be among the first: it looks again, ever more
 * rarely.
 */
#define THIN_MIN_NS (10 * 1000000000ull)
#define THIN_MAX_NS (300 * 1000000000ull)
/*
 * Pings are sent in runs with a pause between. Askers can make the table want a ping at any
 * time, and finding the node to ping costs a walk through the table.
 */
#define PINGS_PER_TURN 8
#define PING_PAUSE_NS  (20 * 1000000ull)

struct join_vote {
	struct addr network; /* of the voter */
	struct addr external;
};

struct join_side {
	struct dht *dht;
	enum dht_net net;
	bool is_joined;
	dht_handle dht_lookup; /* the join or refresh that runs */
	unsigned fill_idx;     /* buckets from here on are still to be filled */
	uint64_t next_ns;      /* no join or refresh before */
	uint64_t ping_ns;      /* no ping before */
	uint64_t retry_ns;     /* pause after the next failure */
	uint64_t thin_ns;      /* no lookup for want of nodes before */
	uint64_t thin_pause_ns;
	struct kad_contact known[DHT_JOIN_KNOWN_MAX];
	unsigned known_cnt;
	struct join_vote votes[DHT_VOTES_MAX]; /* the latest last */
	unsigned vote_cnt;
	struct addr external; /* family ADDR_NONE: not known */
};

struct dht_joins {
	struct addr bootstrap[DHT_BOOTSTRAP_MAX];
	unsigned bootstrap_cnt;
	struct join_side sides[DHT_FAMILY_CNT];
};

int dht_joins_new(struct arena *arena, struct dht *dht, struct dht_joins **out_joins)
{
	struct dht_joins *joins = arena_alloc(arena, sizeof(*joins));

	if (!joins)
		return WEFT_EFULL;
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		joins->sides[net].dht = dht;
		joins->sides[net].net = net;
		joins->sides[net].retry_ns = RETRY_MIN_NS;
		joins->sides[net].thin_pause_ns = THIN_MIN_NS;
	}
	*out_joins = joins;
	return 0;
}

static bool contact_is_in(const struct kad_contact *contact, enum dht_net net)
{
	return contact->addr.family == (net == DHT_NET_IPV4 ? ADDR_IPV4 : ADDR_IPV6);
}

/* --- nodes to begin with --- */

void dht_join_know(struct dht *dht, const struct kad_contact *contact)
{
	struct join_side *side = &dht->joins->sides[dht_net_of(&contact->addr)];

	if (side->known_cnt < DHT_JOIN_KNOWN_MAX)
		side->known[side->known_cnt++] = *contact;
}

/* The known ones nearest to target, in no order. */
static unsigned known_nearest(const struct join_side *side, const struct kad_id *target,
			      const struct kad_contact **out, unsigned cap)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < side->known_cnt; i++) {
		unsigned at;

		if (cnt == cap && !kad_id_is_nearer(target, &side->known[i].id, &out[cnt - 1]->id))
			continue;
		cnt -= cnt == cap;
		for (at = cnt++;
		     at > 0 && kad_id_is_nearer(target, &side->known[i].id, &out[at - 1]->id); at--)
			out[at] = out[at - 1];
		out[at] = &side->known[i];
	}
	return cnt;
}

void dht_join_entries(struct dht *dht, enum dht_net net, const struct kad_id *target,
		      void (*fn)(void *ctx, const struct kad_contact *contact), void *ctx)
{
	const struct kad_contact *nearest[KAD_K_MAX];
	const struct dht_joins *joins = dht->joins;
	unsigned cnt = known_nearest(&joins->sides[net], target, nearest, KAD_K_MAX);

	for (unsigned i = 0; i < cnt; i++)
		fn(ctx, nearest[i]);
	for (unsigned i = 0; i < joins->bootstrap_cnt; i++) {
		struct kad_contact entry = {
			.id = kad_id_random_in(target, 0, dht->params.random),
			.addr = joins->bootstrap[i],
			.tag = DHT_ENTRY_WITHOUT_ID,
			.is_proven = true,
		};

		if (contact_is_in(&entry, net))
			fn(ctx, &entry);
	}
}

static void side_begin_anew(struct dht *dht, enum dht_net net, uint64_t now_ns)
{
	struct join_side *side = &dht->joins->sides[net];

	side->is_joined = false;
	side->retry_ns = RETRY_MIN_NS;
	side->next_ns = now_ns;
}

void dht_bootstrap(struct dht *dht, const struct addr *addrs, unsigned cnt, uint64_t now_ns)
{
	struct dht_joins *joins = dht->joins;

	joins->bootstrap_cnt = cnt < DHT_BOOTSTRAP_MAX ? cnt : DHT_BOOTSTRAP_MAX;
	memcpy(joins->bootstrap, addrs, joins->bootstrap_cnt * sizeof(*addrs));
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++)
		if (!joins->sides[net].is_joined)
			side_begin_anew(dht, net, now_ns);
}

int dht_add_node(struct dht *dht, const struct addr *addr, uint64_t now_ns)
{
	struct krpc_query ping = {.method = KRPC_PING};
	struct dht_query_params params = {.query = &ping, .remote = *addr, .urgency = DHT_URGENT};

	if (kad_addr_scope_of(addr) == KAD_ADDR_SCOPE_NONE)
		return WEFT_EUNREACHABLE;
	return dht_query_send(dht, &params, now_ns);
}

/* --- joining --- */

static void lookup_start(struct join_side *side, const struct kad_id *target, uint64_t now_ns,
			 void (*ended)(void *ctx, const struct dht_outcome *outcome))
{
	struct dht_lookup_params params = {
		.kind = DHT_FIND_NODES,
		.urgency = side->is_joined ? DHT_UPKEEP : DHT_URGENT,
		.target = *target,
		.nets = 1u << side->net,
		.asker = {.ended = ended, .ctx = side},
	};

	side->dht_lookup = dht_lookup_start(side->dht, &params, now_ns);
}

static void refresh_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct join_side *side = ctx;

	side->dht_lookup = 0;
	side->next_ns = outcome->ended_ns;
}

static void join_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct join_side *side = ctx;

	side->dht_lookup = 0;
	side->is_joined = outcome->answered_cnt > 0;
	if (side->is_joined) {
		side->fill_idx = 0;
		side->next_ns = outcome->ended_ns;
		side->retry_ns = RETRY_MIN_NS;
		return;
	}
	side->next_ns = outcome->ended_ns + side->retry_ns;
	side->retry_ns = 2 * side->retry_ns < RETRY_MAX_NS ? 2 * side->retry_ns : RETRY_MAX_NS;
}

static void join_start(struct join_side *side, uint64_t now_ns)
{
	const struct dht_side *of = &side->dht->sides[side->net];

	lookup_start(side, &of->id, now_ns, join_ended);
	if (side->dht_lookup)
		return;
	/* No node is known: the next one that sends a query is. */
	side->next_ns = now_ns + side->retry_ns;
	side->retry_ns = 2 * side->retry_ns < RETRY_MAX_NS ? 2 * side->retry_ns : RETRY_MAX_NS;
}

/* True: too few are known, and it was a while ago that more were looked for. */
static bool is_thin(struct join_side *side, const struct kad_table_counts *counts, uint64_t now_ns)
{
	if (counts->good >= side->dht->params.config.table.k) {
		side->thin_pause_ns = THIN_MIN_NS;
		return false;
	}
	if (now_ns < side->thin_ns)
		return false;
	side->thin_ns = now_ns + side->thin_pause_ns;
	side->thin_pause_ns *= 2;
	if (side->thin_pause_ns > THIN_MAX_NS)
		side->thin_pause_ns = THIN_MAX_NS;
	return true;
}

/* The next lookup that fills or refreshes a bucket, if there is one to make. */
static bool refresh_start(struct join_side *side, uint64_t now_ns)
{
	struct dht_side *of = &side->dht->sides[side->net];
	struct kad_table_counts counts;
	struct kad_id target;

	kad_table_count(of->table, now_ns, &counts);
	if (!counts.good) {
		side_begin_anew(side->dht, side->net, now_ns);
		join_start(side, now_ns);
		return true;
	}
	if (side->fill_idx < counts.buckets)
		target = kad_id_random_in(&of->id, side->fill_idx++, side->dht->params.random);
	else if (is_thin(side, &counts, now_ns))
		target = of->id;
	else if (!kad_table_next_refresh(of->table, now_ns, &target))
		return false;
	lookup_start(side, &target, now_ns, refresh_ended);
	return side->dht_lookup != 0;
}

/* --- upkeep --- */

static void pings_send(struct join_side *side, uint64_t now_ns)
{
	struct dht *dht = side->dht;
	struct kad_table *table = dht->sides[side->net].table;
	struct kad_contact contact;

	/* Asked first: the table does not give the same node again for a while. */
	for (unsigned i = 0;
	     i < PINGS_PER_TURN &&
	     dht_rate_limiter_next_ns(dht->rate_limiter, DHT_UPKEEP, now_ns) <= now_ns &&
	     kad_table_next_ping(table, now_ns, &contact);
	     i++) {
		struct krpc_query ping = {.method = KRPC_PING};
		struct dht_query_params params = {.query = &ping,
						  .remote = contact.addr,
						  .id = &contact.id,
						  .urgency = DHT_UPKEEP};

		if (dht_query_send(dht, &params, now_ns) < 0)
			return;
	}
}

void dht_joins_expire(struct dht *dht, uint64_t now_ns)
{
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		struct join_side *side = &dht->joins->sides[net];

		if (!dht_side_is_on(&dht->sides[net]))
			continue;
		if (now_ns >= side->ping_ns) {
			pings_send(side, now_ns);
			side->ping_ns = now_ns + PING_PAUSE_NS;
		}
		if (side->dht_lookup || now_ns < side->next_ns)
			continue;
		if (!side->is_joined)
			join_start(side, now_ns);
		else if (!refresh_start(side, now_ns))
			side->next_ns = now_ns + LOOK_NS;
	}
}

static uint64_t side_next_ns(const struct join_side *side)
{
	uint64_t ping_ns = kad_table_next_ping_ns(side->dht->sides[side->net].table);

	if (ping_ns < side->ping_ns)
		ping_ns = side->ping_ns;
	return !side->dht_lookup && side->next_ns < ping_ns ? side->next_ns : ping_ns;
}

uint64_t dht_joins_next_ns(const struct dht *dht)
{
	uint64_t next_ns = UINT64_MAX;

	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		uint64_t side_ns = dht_side_is_on(&dht->sides[net])
					   ? side_next_ns(&dht->joins->sides[net])
					   : UINT64_MAX;

		if (side_ns < next_ns)
			next_ns = side_ns;
	}
	return next_ns;
}

/* --- the external address --- */

bool dht_external(const struct dht *dht, enum dht_net net, struct addr *out_addr)
{
	const struct addr *external = &dht->joins->sides[net].external;

	if (external->family == ADDR_NONE)
		return false;
	*out_addr = *external;
	return true;
}

/* A voter that has voted before takes its vote back; the oldest gives way. */
static void vote_cast(struct join_side *side, const struct join_vote *vote)
{
	unsigned at = 0;

	while (at < side->vote_cnt && !addr_equal(&side->votes[at].network, &vote->network))
		at++;
	if (at == side->vote_cnt && at < DHT_VOTES_MAX)
		side->vote_cnt++;
	if (at == DHT_VOTES_MAX)
		at = 0;
	memmove(&side->votes[at], &side->votes[at + 1],
		(side->vote_cnt - 1 - at) * sizeof(*side->votes));
	side->votes[side->vote_cnt - 1] = *vote;
}

/* An operator of many subnets has them in one of these networks, and so has one vote. */
static struct addr vote_network(const struct addr *voter)
{
	return addr_prefix_key(voter, voter->family == ADDR_IPV4 ? 16 : 32);
}

static bool ip_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* The id follows the address: all nodes are sorted anew around it, and found anew. */
static void external_set(struct join_side *side, const struct addr *external, uint64_t now_ns)
{
	struct dht *dht = side->dht;
	bool is_news = !ip_equal(&side->external, external);
	struct kad_id id;

	side->external = *external;
	if (!is_news)
		return;
	if (!dht_node_id_fits(&dht->sides[side->net].id, external)) {
		dht_node_id_make(external, dht->params.random, &id);
		dht_set_own_id(dht, side->net, &id, now_ns);
		side_begin_anew(dht, side->net, now_ns);
	}
	if (dht->params.events && dht->params.events->external)
		dht->params.events->external(dht->params.ctx, external);
}

void dht_join_vote(struct dht *dht, const struct addr *voter, const struct bencode_span *external,
		   uint64_t now_ns)
{
	enum dht_net net = dht_net_of(voter);
	struct join_side *side = &dht->joins->sides[net];
	struct join_vote vote = {.network = vote_network(voter)};
	unsigned same = 0;

	if (!dht_krpc_peer_read(external, &vote.external) || dht_net_of(&vote.external) != net ||
	    kad_addr_scope_of(&vote.external) != KAD_ADDR_SCOPE_GLOBAL)
		return;
	vote_cast(side, &vote);
	for (unsigned i = 0; i < side->vote_cnt; i++)
		same += ip_equal(&side->votes[i].external, &vote.external);
	if (same >= DHT_VOTES_ENOUGH && 2 * same > side->vote_cnt)
		external_set(side, &vote.external, now_ns);
}
