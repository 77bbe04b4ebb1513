/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the routing table that others read; nothing here changes it. */
#include "base/random.h"
#include "kad/routing_table.h"
#include "kad/routing_table_state.h"

enum kad_state kad_table_state(const struct kad_table *table, const struct kad_node *node,
			       uint64_t now_ns)
{
	if (node->failed_cnt >= table->config.failed_max)
		return KAD_BAD;
	if (node->failed_cnt > 0 || node->heard_ns + table->config.good_ns <= now_ns)
		return KAD_QUESTIONABLE;
	return KAD_GOOD;
}

/* The nearest members of these states that are proven, or that are not; nearest first. */
struct collector {
	const struct kad_table *table;
	const struct kad_id *target;
	uint64_t now_ns;
	unsigned states; /* bit per enum kad_state */
	bool is_proven;
	const struct kad_node **out_nodes;
	unsigned cnt, cap;
};

static void collect_node(struct collector *c, const struct kad_node *node)
{
	unsigned at;

	if (node->contact.is_proven != c->is_proven ||
	    !(c->states >> kad_table_state(c->table, node, c->now_ns) & 1))
		return;
	if (c->cnt == c->cap) {
		if (!kad_id_is_nearer(c->target, &node->contact.id,
				      &c->out_nodes[c->cnt - 1]->contact.id))
			return;
		c->cnt--;
	}
	for (at = c->cnt++; at > 0 && kad_id_is_nearer(c->target, &node->contact.id,
						       &c->out_nodes[at - 1]->contact.id);
	     at--)
		c->out_nodes[at] = c->out_nodes[at - 1];
	c->out_nodes[at] = node;
}

static void collect_bucket(struct collector *c, unsigned idx)
{
	const struct table_bucket *bucket = &c->table->buckets[idx];

	for (unsigned i = 0; i < bucket->member_cnt; i++)
		collect_node(c, bucket->members[i]);
}

/*
 * The target's own bucket is nearest to it. All that share more with this node come next, as one
 * group. The buckets that share less follow, one by one.
 */
static void collect(struct collector *c)
{
	unsigned own = table_bucket_idx(c->table, c->target);

	if (c->cap)
		collect_bucket(c, own);
	for (unsigned i = own + 1; c->cnt < c->cap && i <= c->table->last; i++) {
		for (; i <= c->table->last; i++)
			collect_bucket(c, i);
	}
	for (unsigned i = own; c->cnt < c->cap && i-- > 0;)
		collect_bucket(c, i);
}

/* Two lists, each nearest first, as one of at most cap. */
static unsigned merge(const struct kad_id *target, const struct collector *a,
		      const struct collector *b, const struct kad_node **out_nodes, unsigned cap)
{
	unsigned i = 0, j = 0, cnt = 0;

	while (cnt < cap && (i < a->cnt || j < b->cnt)) {
		bool is_a = j == b->cnt ||
			    (i < a->cnt && kad_id_is_nearer(target, &a->out_nodes[i]->contact.id,
							    &b->out_nodes[j]->contact.id));

		out_nodes[cnt++] = is_a ? a->out_nodes[i++] : b->out_nodes[j++];
	}
	return cnt;
}

/* The nearest as wanted says; half of them at least proven, if there are so many. */
static unsigned nearest(const struct collector *wanted, const struct kad_node **out_nodes,
			unsigned cap)
{
	const struct kad_node *proven_nodes[KAD_CLOSEST_MAX], *other_nodes[KAD_CLOSEST_MAX];
	struct collector proven = *wanted, others = *wanted;

	proven.is_proven = true;
	proven.out_nodes = proven_nodes;
	proven.cap = cap;
	collect(&proven);
	others.out_nodes = other_nodes;
	others.cap = cap - (proven.cnt < cap - cap / 2 ? proven.cnt : cap - cap / 2);
	collect(&others);
	return merge(wanted->target, &proven, &others, out_nodes, cap);
}

unsigned kad_table_closest(const struct kad_table *table, const struct kad_near *near,
			   const struct kad_node **out_nodes, unsigned cap)
{
	struct collector wanted = {.table = table,
				   .target = near->target,
				   .now_ns = near->now_ns,
				   .states = 1u << KAD_GOOD};
	unsigned cnt;

	if (cap > KAD_CLOSEST_MAX)
		cap = KAD_CLOSEST_MAX;
	if (near->purpose != KAD_ASK)
		return nearest(&wanted, out_nodes, cap);
	wanted.states |= 1u << KAD_QUESTIONABLE;
	cnt = nearest(&wanted, out_nodes, cap);
	wanted.states = 1u << KAD_BAD;
	return cnt + nearest(&wanted, out_nodes + cnt, cap - cnt);
}

const struct kad_node *kad_table_next(struct kad_table_iter *iter)
{
	for (; iter->table && iter->bucket <= iter->table->last; iter->bucket++, iter->idx = 0)
		if (iter->idx < iter->table->buckets[iter->bucket].member_cnt)
			return iter->table->buckets[iter->bucket].members[iter->idx++];
	return NULL;
}

const struct kad_contact *kad_table_contact_next(struct kad_table_iter *iter)
{
	for (; iter->table && iter->bucket <= iter->table->last; iter->bucket++, iter->idx = 0) {
		const struct table_bucket *bucket = &iter->table->buckets[iter->bucket];
		unsigned idx = iter->idx++;

		if (idx < bucket->member_cnt)
			return &bucket->members[idx]->contact;
		if (idx - bucket->member_cnt < bucket->candidate_cnt)
			return &bucket->candidates[idx - bucket->member_cnt].contact;
	}
	return NULL;
}

void kad_table_count(const struct kad_table *table, uint64_t now_ns,
		     struct kad_table_counts *out_counts)
{
	struct kad_table_counts counts = {.buckets = table->last + 1,
					  .member_cap = table->node_cap};
	unsigned *by_state[] = {[KAD_GOOD] = &counts.good,
				[KAD_QUESTIONABLE] = &counts.questionable,
				[KAD_BAD] = &counts.bad};

	for (unsigned b = 0; b <= table->last; b++) {
		const struct table_bucket *bucket = &table->buckets[b];

		counts.candidates += bucket->candidate_cnt;
		for (unsigned i = 0; i < bucket->member_cnt; i++)
			++*by_state[kad_table_state(table, bucket->members[i], now_ns)];
	}
	*out_counts = counts;
}

uint64_t kad_table_generation(const struct kad_table *table)
{
	return table->generation;
}

struct kad_id kad_id_random_in(const struct kad_id *id, unsigned bits, struct random *random)
{
	struct kad_id made;
	unsigned whole = bits / 8;

	random_fill(random, made.bytes, sizeof(made.bytes));
	if (bits >= KAD_ID_BITS)
		return made;
	memcpy(made.bytes, id->bytes, whole);
	/* The bits before the differing one are id's, that one is the opposite, the rest stays. */
	{
		uint8_t kept = (uint8_t)(0xff00 >> (bits % 8)),
			flip = (uint8_t)(0x80 >> (bits % 8));

		made.bytes[whole] =
			(uint8_t)((id->bytes[whole] & kept) | (~id->bytes[whole] & flip) |
				  (made.bytes[whole] & ~(kept | flip)));
	}
	return made;
}
