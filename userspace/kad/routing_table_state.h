/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_KAD_ROUTING_TABLE_STATE_H
#define WEFT_KAD_ROUTING_TABLE_STATE_H

#include "kad/routing_table.h"

/* The table's objects, private to table*.c. */

struct table_bucket {
	struct kad_node **members; /* [0, member_cnt) of member_cap */
	unsigned member_cnt, member_cap;
	struct kad_node *candidates; /* the most recently heard first */
	unsigned candidate_cnt;
	uint64_t looked_ns;
};

struct kad_table {
	struct kad_table_config config;
	struct kad_id own_id;
	struct random *random;
	unsigned last; /* index of the bucket of this node's id */
	struct table_bucket buckets[KAD_ID_BITS];
	struct kad_node *nodes; /* all there can be; family ADDR_NONE: unused */
	struct kad_node **unused;
	unsigned unused_cnt, node_cap;
	uint64_t ping_ns; /* no ping before */
	uint64_t back_ns; /* when a bad member last had all of them pinged */
	uint64_t generation;
};

static inline unsigned table_bucket_idx(const struct kad_table *table, const struct kad_id *id)
{
	unsigned bits = kad_id_common_bits(&table->own_id, id);

	return bits < table->last ? bits : table->last;
}

#endif
