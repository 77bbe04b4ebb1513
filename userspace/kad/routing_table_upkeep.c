/* SPDX-License-Identifier: Apache-2.0 */
/* The upkeep by which the routing table stays true: pings and lookups. */
#include "base/random.h"
#include "kad/routing_table.h"
#include "kad/routing_table_state.h"

/* When a member should be pinged: it fell silent, it failed, or it is bad and may be back. */
static uint64_t member_due_ns(const struct kad_table *table, const struct kad_node *node)
{
	uint64_t after_ping_ns = node->pinged_ns ? node->pinged_ns + table->config.ping_gap_ns : 0;
	uint64_t due_ns = node->heard_ns + table->config.good_ns;

	if (node->failed_cnt >= table->config.failed_max)
		return node->again_ns;
	if (node->failed_cnt > 0)
		due_ns = 0;
	return due_ns > after_ping_ns ? due_ns : after_ping_ns;
}

static bool bucket_wants(const struct kad_table *table, const struct table_bucket *bucket,
			 const struct kad_contact *contact)
{
	bool is_last = bucket == &table->buckets[table->last];

	if (bucket->member_cnt < bucket->member_cap || (is_last && table->last + 1 < KAD_ID_BITS))
		return true;
	for (unsigned i = 0; i < bucket->member_cnt; i++) {
		const struct kad_node *node = bucket->members[i];

		if (node->failed_cnt >= table->config.failed_max ||
		    (contact->is_proven && !node->contact.is_proven))
			return true;
	}
	return false;
}

/* A candidate that has not answered yet is pinged as soon as there is a place for it. */
static struct kad_node *bucket_due(const struct kad_table *table, struct table_bucket *bucket,
				   uint64_t now_ns, uint64_t *next_ns)
{
	for (unsigned i = 0; i < bucket->member_cnt; i++) {
		uint64_t due_ns = member_due_ns(table, bucket->members[i]);

		if (due_ns <= now_ns)
			return bucket->members[i];
		if (due_ns < *next_ns)
			*next_ns = due_ns;
	}
	for (unsigned i = 0; i < bucket->candidate_cnt; i++) {
		struct kad_node *node = &bucket->candidates[i];
		uint64_t due_ns = node->pinged_ns ? node->pinged_ns + table->config.ping_gap_ns : 0;

		if (node->has_answered || !bucket_wants(table, bucket, &node->contact))
			continue;
		if (due_ns <= now_ns)
			return node;
		if (due_ns < *next_ns)
			*next_ns = due_ns;
	}
	return NULL;
}

bool kad_table_next_ping(struct kad_table *table, uint64_t now_ns, struct kad_contact *out_contact)
{
	uint64_t next_ns = UINT64_MAX;

	if (now_ns < table->ping_ns)
		return false;
	for (unsigned b = 0; b <= table->last; b++) {
		struct kad_node *node = bucket_due(table, &table->buckets[b], now_ns, &next_ns);

		if (!node)
			continue;
		node->pinged_ns = now_ns;
		node->again_ns = now_ns + table->config.ping_gap_ns;
		*out_contact = node->contact;
		return true;
	}
	table->ping_ns = next_ns;
	return false;
}

void kad_table_note_lookup(struct kad_table *table, const struct kad_id *target, uint64_t now_ns)
{
	table->buckets[table_bucket_idx(table, target)].looked_ns = now_ns;
}

bool kad_table_next_refresh(struct kad_table *table, uint64_t now_ns, struct kad_id *out_target)
{
	for (unsigned b = 0; b <= table->last; b++) {
		if (table->buckets[b].looked_ns + table->config.refresh_ns > now_ns)
			continue;
		table->buckets[b].looked_ns = now_ns;
		*out_target = kad_id_random_in(&table->own_id, b, table->random);
		return true;
	}
	return false;
}

uint64_t kad_table_next_ping_ns(const struct kad_table *table)
{
	return table->ping_ns;
}
