/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which nodes enter the routing table and which leave it. Reads of it are in routing_table_view.c,
 * its wants (pings, refreshes) in routing_table_upkeep.c. On home; never on the path of a datagram
 * that needs no routing.
 */
#include "kad/routing_table.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "kad/routing_table_state.h"

/* BEP-5: K = 8, good for 15 minutes, buckets refreshed after 15 minutes. */
#define QUARTER_NS (15ull * 60 * 1000000000)
/* A bad member is pinged anew when it has failed for longer by this part of the time. */
#define FAILING_PARTS 4
/* A query may be forged, so a bad member that asks is pinged so often at most. */
#define ASKED_PARTS 10 /* of ping_gap_ns */

void kad_table_defaults(struct kad_table_config *config)
{
	*config = (struct kad_table_config){
		.k = 8,
		.wide_cnt = 128,
		.candidate_cnt = 8,
		.subnet_bucket = 2,
		.subnet_table = 8,
		.failed_max = 3,
		.good_ns = QUARTER_NS,
		.ping_gap_ns = 10ull * 1000000000,
		.refresh_ns = QUARTER_NS,
	};
}

static unsigned bucket_cap(const struct kad_table_config *config, unsigned idx)
{
	unsigned wide = idx < 32 ? config->wide_cnt >> idx : 0;

	return wide > config->k ? wide : config->k;
}

static unsigned table_cap(const struct kad_table_config *config)
{
	unsigned cap = 0;

	for (unsigned i = 0; i < KAD_ID_BITS; i++)
		cap += bucket_cap(config, i);
	return cap;
}

static void table_reset(struct kad_table *table, const struct kad_id *own_id, uint64_t now_ns)
{
	table->own_id = *own_id;
	table->last = 0;
	table->ping_ns = 0;
	table->generation++;
	for (unsigned i = 0; i < KAD_ID_BITS; i++) {
		table->buckets[i].member_cnt = 0;
		table->buckets[i].candidate_cnt = 0;
		table->buckets[i].looked_ns = now_ns;
	}
}

int kad_table_new(struct arena *arena, const struct kad_table_params *params,
		  struct kad_table **out_table)
{
	const struct kad_table_config *config = params->config;
	unsigned cap = table_cap(config), idx = 0;
	struct kad_table *table = arena_alloc(arena, sizeof(*table));
	struct kad_node *nodes = arena_alloc(arena, cap * sizeof(*nodes));
	struct kad_node **unused = arena_alloc(arena, cap * sizeof(struct kad_node *));
	struct kad_node **places = arena_alloc(arena, cap * sizeof(struct kad_node *));
	struct kad_node *candidates =
		arena_alloc(arena, KAD_ID_BITS * config->candidate_cnt * sizeof(*candidates));

	weft_assert(config->k >= 1 && config->k <= KAD_K_MAX);
	weft_assert(config->wide_cnt <= KAD_WIDE_MAX);
	weft_assert(config->candidate_cnt >= 1 && config->candidate_cnt <= KAD_CANDIDATES_MAX);
	if (!table || !nodes || !unused || !places || !candidates)
		return WEFT_EFULL;
	*table = (struct kad_table){.config = *config,
				    .random = params->random,
				    .nodes = nodes,
				    .unused = unused,
				    .unused_cnt = cap,
				    .node_cap = cap};
	for (unsigned i = 0; i < cap; i++)
		unused[i] = &nodes[cap - 1 - i];
	for (unsigned i = 0; i < KAD_ID_BITS; i++) {
		table->buckets[i].members = places + idx;
		table->buckets[i].member_cap = bucket_cap(config, i);
		table->buckets[i].candidates = candidates + i * config->candidate_cnt;
		idx += table->buckets[i].member_cap;
	}
	table_reset(table, params->own_id, params->now_ns);
	*out_table = table;
	return 0;
}

static void node_free(struct kad_table *table, struct kad_node *node)
{
	memset(node, 0, sizeof(*node));
	table->unused[table->unused_cnt++] = node;
}

/* Moves what belongs nearer into a new last bucket; false when ids end. */
static bool table_split(struct kad_table *table)
{
	struct table_bucket *old = &table->buckets[table->last], *young = old + 1;
	unsigned kept = 0;

	if (table->last + 1 >= KAD_ID_BITS)
		return false;
	young->member_cnt = 0;
	young->candidate_cnt = 0;
	young->looked_ns = old->looked_ns;
	for (unsigned i = 0; i < old->member_cnt; i++) {
		struct kad_node *node = old->members[i];

		if (kad_id_common_bits(&table->own_id, &node->contact.id) == table->last)
			old->members[kept++] = node;
		else if (young->member_cnt < young->member_cap)
			young->members[young->member_cnt++] = node;
		else
			node_free(table, node);
	}
	old->member_cnt = kept;
	kept = 0;
	for (unsigned i = 0; i < old->candidate_cnt; i++) {
		struct kad_node *node = &old->candidates[i];

		if (kad_id_common_bits(&table->own_id, &node->contact.id) == table->last)
			old->candidates[kept++] = *node;
		else
			young->candidates[young->candidate_cnt++] = *node;
	}
	old->candidate_cnt = kept;
	table->last++;
	return true;
}

/* The bucket of id, with room for one more if there can be. */
static struct table_bucket *table_make_room(struct kad_table *table, const struct kad_id *id)
{
	for (;;) {
		unsigned idx = table_bucket_idx(table, id);
		struct table_bucket *bucket = &table->buckets[idx];

		if (bucket->member_cnt < bucket->member_cap || idx < table->last ||
		    !table_split(table))
			return bucket;
	}
}

void kad_table_set_own_id(struct kad_table *table, const struct kad_id *own_id, uint64_t now_ns)
{
	table_reset(table, own_id, now_ns);
	for (unsigned i = 0; i < table->node_cap; i++) {
		struct kad_node *node = &table->nodes[i];
		struct table_bucket *bucket;

		if (node->contact.addr.family == ADDR_NONE)
			continue;
		bucket = table_make_room(table, &node->contact.id);
		if (bucket->member_cnt < bucket->member_cap &&
		    !kad_id_equal(&node->contact.id, own_id))
			bucket->members[bucket->member_cnt++] = node;
		else
			node_free(table, node);
	}
}

const struct kad_id *kad_table_own_id(const struct kad_table *table)
{
	return &table->own_id;
}

static struct kad_node *bucket_find(const struct table_bucket *bucket, const struct kad_id *id)
{
	for (unsigned i = 0; i < bucket->member_cnt; i++)
		if (kad_id_equal(&bucket->members[i]->contact.id, id))
			return bucket->members[i];
	return NULL;
}

static struct kad_node *bucket_candidate(struct table_bucket *bucket, const struct kad_id *id,
					 const struct addr *addr)
{
	for (unsigned i = 0; i < bucket->candidate_cnt; i++) {
		struct kad_contact *contact = &bucket->candidates[i].contact;

		if (kad_id_equal(&contact->id, id) && addr_equal(&contact->addr, addr))
			return &bucket->candidates[i];
	}
	return NULL;
}

static void bucket_forget(struct table_bucket *bucket, struct kad_node *candidate)
{
	struct kad_node *end = &bucket->candidates[bucket->candidate_cnt--];

	memmove(candidate, candidate + 1, (size_t)((char *)end - (char *)(candidate + 1)));
}

/*
 * Would contact be one too many of its subnet, with all but except in the
 * table? On the way it finds the member that had its address.
 */
static enum kad_verdict subnet_judge(const struct kad_table *table,
				     const struct kad_contact *contact,
				     const struct kad_node *except, struct kad_node **out_same_addr)
{
	unsigned bucket_idx = table_bucket_idx(table, &contact->id);
	struct addr subnet = kad_subnet(&contact->addr);
	unsigned in_bucket = 0, in_table = 0;

	*out_same_addr = NULL;
	for (unsigned b = 0; b <= table->last; b++)
		for (unsigned i = 0; i < table->buckets[b].member_cnt; i++) {
			struct kad_node *node = table->buckets[b].members[i];
			struct addr other = kad_subnet(&node->contact.addr);

			if (node == except || !addr_equal(&other, &subnet))
				continue;
			if (addr_equal(&node->contact.addr, &contact->addr)) {
				*out_same_addr = node;
				continue;
			}
			in_table++;
			in_bucket += b == bucket_idx;
		}
	if (!kad_subnet_is_capped(&contact->addr))
		return KAD_ADDED;
	if (in_bucket >= table->config.subnet_bucket)
		return KAD_REFUSED_BUCKET_SUBNET;
	return in_table >= table->config.subnet_table ? KAD_REFUSED_TABLE_SUBNET : KAD_ADDED;
}

/* The first one among the candidates; stands before all that were heard earlier. */
static enum kad_verdict bucket_wait(struct kad_table *table, struct table_bucket *bucket,
				    const struct kad_node *node)
{
	struct addr subnet = kad_subnet(&node->contact.addr);
	struct kad_node *gone = NULL;
	unsigned same = 0;

	for (unsigned i = 0; i < bucket->candidate_cnt; i++) {
		struct addr other = kad_subnet(&bucket->candidates[i].contact.addr);

		same += addr_equal(&other, &subnet);
		/* A node that answered does not give way to one that only asked. */
		if (!bucket->candidates[i].has_answered || (node->has_answered && !gone))
			gone = &bucket->candidates[i];
	}
	if (same >= table->config.subnet_bucket && kad_subnet_is_capped(&node->contact.addr))
		return KAD_REFUSED_BUCKET_SUBNET;
	if (bucket->candidate_cnt == table->config.candidate_cnt) {
		if (!gone)
			return KAD_REFUSED_FULL;
		bucket_forget(bucket, gone);
	}
	memmove(bucket->candidates + 1, bucket->candidates,
		bucket->candidate_cnt * sizeof(*bucket->candidates));
	bucket->candidates[0] = *node;
	bucket->candidate_cnt++;
	if (!node->has_answered)
		table->ping_ns = 0;
	return KAD_WAITS;
}

/* The node that gives way to contact in a full bucket, or NULL. */
static struct kad_node *bucket_victim(const struct kad_table *table, struct table_bucket *bucket,
				      const struct kad_contact *contact)
{
	struct kad_node *victim = NULL;

	for (unsigned i = 0; i < bucket->member_cnt; i++) {
		struct kad_node *node = bucket->members[i];

		if (node->failed_cnt >= table->config.failed_max)
			return node;
		if (contact->is_proven && !node->contact.is_proven)
			victim = node;
	}
	return victim;
}

static void bucket_remove(struct kad_table *table, struct table_bucket *bucket,
			  struct kad_node *node)
{
	for (unsigned i = 0; i < bucket->member_cnt; i++)
		if (bucket->members[i] == node)
			bucket->members[i] = bucket->members[--bucket->member_cnt];
	node_free(table, node);
	table->generation++;
}

/* A node that has answered and is no member yet takes a place if there is one for it. */
static enum kad_verdict table_settle(struct kad_table *table, const struct kad_node *answered)
{
	const struct kad_contact *contact = &answered->contact;
	struct table_bucket *bucket = table_make_room(table, &contact->id);
	struct kad_node *victim = NULL, *former, *node;
	enum kad_verdict verdict;

	if (bucket->member_cnt == bucket->member_cap)
		victim = bucket_victim(table, bucket, contact);
	verdict = subnet_judge(table, contact, victim, &former);
	if (verdict != KAD_ADDED)
		return verdict;
	if (former) {
		/* One address, one node: it has another id now. */
		bucket_remove(table, &table->buckets[table_bucket_idx(table, &former->contact.id)],
			      former);
	}
	if (bucket->member_cnt == bucket->member_cap) {
		if (!victim)
			return bucket_wait(table, bucket, answered);
		bucket_remove(table, bucket, victim);
	}
	node = table->unused[--table->unused_cnt];
	*node = *answered;
	bucket->members[bucket->member_cnt++] = node;
	table->generation++;
	if (node->heard_ns + table->config.good_ns < table->ping_ns)
		table->ping_ns = node->heard_ns + table->config.good_ns;
	return KAD_ADDED;
}

static enum kad_verdict contact_judge(const struct kad_table *table,
				      const struct kad_contact *contact)
{
	if (kad_id_equal(&contact->id, &table->own_id))
		return KAD_REFUSED_SELF;
	return kad_addr_scope_of(&contact->addr) == KAD_ADDR_SCOPE_NONE ? KAD_REFUSED_ADDR
									: KAD_ADDED;
}

/* Where many failed at once, the way to them did, and one that answers shows that it is back. */
static void table_ping_failing(struct kad_table *table, uint64_t now_ns)
{
	if (table->back_ns && now_ns < table->back_ns + table->config.ping_gap_ns)
		return;
	table->back_ns = table->ping_ns = now_ns;
	for (unsigned i = 0; i < table->node_cap; i++) {
		struct kad_node *node = &table->nodes[i];

		if (node->failed_cnt)
			node->pinged_ns = node->again_ns = 0;
	}
}

static void node_note_answer(struct kad_table *table, struct kad_node *node,
			     const struct kad_contact *contact, uint64_t rtt_ns, uint64_t now_ns)
{
	if (node->failed_cnt >= table->config.failed_max) {
		table->generation++;
		table_ping_failing(table, now_ns);
	}
	node->contact = *contact;
	node->heard_ns = now_ns;
	node->pinged_ns = 0;
	node->failed_cnt = 0;
	node->has_answered = true;
	if (rtt_ns)
		node->rtt_ns = node->rtt_ns ? (7 * node->rtt_ns + rtt_ns) / 8 : rtt_ns;
}

enum kad_verdict kad_table_answered(struct kad_table *table, const struct kad_contact *contact,
				    uint64_t rtt_ns, uint64_t now_ns)
{
	struct table_bucket *bucket = &table->buckets[table_bucket_idx(table, &contact->id)];
	enum kad_verdict verdict = contact_judge(table, contact);
	struct kad_node *node = bucket_find(bucket, &contact->id), *waiting;
	struct kad_node fresh = {0};

	if (verdict != KAD_ADDED)
		return verdict;
	if (node && addr_equal(&node->contact.addr, &contact->addr)) {
		node_note_answer(table, node, contact, rtt_ns, now_ns);
		return KAD_KNOWN;
	}
	if (node && node->failed_cnt < table->config.failed_max)
		return KAD_REFUSED_TAKEN;
	if (node)
		bucket_remove(table, bucket, node);
	waiting = bucket_candidate(bucket, &contact->id, &contact->addr);
	if (waiting) {
		fresh = *waiting;
		bucket_forget(bucket, waiting);
	}
	node_note_answer(table, &fresh, contact, rtt_ns, now_ns);
	return table_settle(table, &fresh);
}

static void node_note_query(struct kad_table *table, struct kad_node *node, uint64_t now_ns)
{
	uint64_t gap_ns = table->config.ping_gap_ns / ASKED_PARTS;

	node->heard_ns = now_ns;
	if (node->failed_cnt < table->config.failed_max)
		return;
	if (node->again_ns > node->pinged_ns + gap_ns)
		node->again_ns = node->pinged_ns + gap_ns;
	if (node->again_ns < table->ping_ns)
		table->ping_ns = node->again_ns;
}

enum kad_verdict kad_table_asked(struct kad_table *table, const struct kad_contact *contact,
				 uint64_t now_ns)
{
	struct table_bucket *bucket = &table->buckets[table_bucket_idx(table, &contact->id)];
	enum kad_verdict verdict = contact_judge(table, contact);
	struct kad_node *node = bucket_find(bucket, &contact->id), *waiting;
	struct kad_node fresh = {.contact = *contact, .heard_ns = now_ns};

	if (verdict != KAD_ADDED)
		return verdict;
	if (node && !addr_equal(&node->contact.addr, &contact->addr))
		return KAD_REFUSED_TAKEN;
	if (node) {
		node_note_query(table, node, now_ns);
		return KAD_KNOWN;
	}
	waiting = bucket_candidate(bucket, &contact->id, &contact->addr);
	if (waiting) {
		fresh = *waiting;
		fresh.heard_ns = now_ns;
		bucket_forget(bucket, waiting);
	}
	return bucket_wait(table, bucket, &fresh);
}

/*
 * The most recently heard candidate that has answered moves into a free place or that of a bad
 * member. A candidate whose subnet has its share already is forgotten.
 */
static void bucket_succeed(struct kad_table *table, struct table_bucket *bucket)
{
	unsigned i = 0;

	while (i < bucket->candidate_cnt) {
		struct kad_node heir = bucket->candidates[i];
		enum kad_verdict verdict;

		if (!heir.has_answered) {
			i++;
			continue;
		}
		bucket_forget(bucket, &bucket->candidates[i]);
		verdict = table_settle(table, &heir);
		if (verdict == KAD_ADDED || verdict == KAD_WAITS)
			return;
	}
}

static uint64_t again_pause_ns(const struct kad_table *table, const struct kad_node *node,
			       uint64_t now_ns)
{
	const struct kad_table_config *config = &table->config;
	uint64_t pause_ns = (now_ns - node->failing_ns) / FAILING_PARTS;

	if (pause_ns < config->ping_gap_ns)
		return config->ping_gap_ns;
	return pause_ns < config->good_ns ? pause_ns : config->good_ns;
}

void kad_table_failed(struct kad_table *table, const struct kad_id *id, const struct addr *addr,
		      uint64_t now_ns)
{
	struct table_bucket *bucket = &table->buckets[table_bucket_idx(table, id)];
	struct kad_node *node = bucket_find(bucket, id);
	struct kad_node *waiting = bucket_candidate(bucket, id, addr);

	if (waiting)
		bucket_forget(bucket, waiting);
	if (!node || !addr_equal(&node->contact.addr, addr))
		return;
	if (!node->failed_cnt)
		node->failing_ns = now_ns;
	if (node->failed_cnt < UINT8_MAX)
		node->failed_cnt++;
	node->again_ns = now_ns + again_pause_ns(table, node, now_ns);
	if (now_ns < table->ping_ns)
		table->ping_ns = now_ns;
	if (node->failed_cnt == table->config.failed_max)
		table->generation++;
	if (node->failed_cnt >= table->config.failed_max)
		bucket_succeed(table, bucket);
}

void kad_table_drop(struct kad_table *table, const struct kad_id *id, const struct addr *addr)
{
	struct table_bucket *bucket = &table->buckets[table_bucket_idx(table, id)];
	struct kad_node *node = bucket_find(bucket, id);
	struct kad_node *waiting = bucket_candidate(bucket, id, addr);

	if (waiting)
		bucket_forget(bucket, waiting);
	if (!node || !addr_equal(&node->contact.addr, addr))
		return;
	bucket_remove(table, bucket, node);
	bucket_succeed(table, bucket);
}
