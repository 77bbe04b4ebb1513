/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_TABLE_RIG_H
#define WEFT_TESTS_TABLE_RIG_H

#include "planes.h"

/* A routing table of the plane under test. */

static struct arena arena;
static struct random dice;
static struct kad_table_config config;
static struct kad_table *table;
static const struct kad_id own = {{0x5a, 0xa5, 0x11}};

static inline void begin(void)
{
	kad_table_defaults(&config);
	config.k = plane->k;
	config.wide_cnt = plane->wide_cnt;
	random_init_seeded(&dice, 7);
	arena_close(&arena);
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    kad_table_new(&arena,
			  &(struct kad_table_params){
				  .config = &config, .own_id = &own, .random = &dice, .now_ns = 0},
			  &table) < 0)
		abort();
}

/* Members and candidates of a bucket whose size is the plane's k, below the wide ones. */
#define DEEP 9

/* Fills bucket DEEP with k members, numbered from 1000, that answered at 1 s. */
static inline void fill_deep(struct kad_contact members[static KAD_K_MAX])
{
	for (unsigned i = 0; i < config.k; i++) {
		members[i] = plane_contact(&own, DEEP, 1000 + i, &dice);
		(void)kad_table_answered(table, &members[i], SECOND / 10, SECOND);
	}
	/* Splits every bucket above DEEP off, as members nearer to us do. */
	for (unsigned i = 0; i < 200; i++) {
		struct kad_contact near = plane_contact(&own, 12 + i % 40, 2000 + i, &dice);

		(void)kad_table_answered(table, &near, 0, SECOND);
	}
}

/* The last member with this id, or NULL, and how many have it. */
static inline const struct kad_node *members_with(const struct kad_id *id, unsigned *out_cnt)
{
	struct kad_table_iter iter = {.table = table};
	const struct kad_node *node, *found = NULL;

	*out_cnt = 0;
	while ((node = kad_table_next(&iter))) {
		if (!kad_id_equal(&node->contact.id, id))
			continue;
		found = node;
		++*out_cnt;
	}
	return found;
}

/* The member with this id, or NULL. */
static inline const struct kad_node *member_lookup(const struct kad_id *id)
{
	unsigned cnt;

	return members_with(id, &cnt);
}

static inline struct kad_table_counts counts(uint64_t now_ns)
{
	struct kad_table_counts c;

	kad_table_count(table, now_ns, &c);
	return c;
}

#endif
