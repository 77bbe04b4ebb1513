/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_STORE_OFFER_INDEX_STATE_H
#define WEFT_OFFERS_STORE_OFFER_INDEX_STATE_H

#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "offer_index.h"
#include "offer_tree.h"

/* The objects of the index, private to offer_index.c and offer_find.c. */

struct offer_candidate {
	uint64_t order;
	uint32_t row;
};

struct offer_room {
	struct arena arena;
	struct pool nodes;
	struct pool blocks; /* keys of rows that have several in a column */
	struct offer_candidate *candidates;
};

/*
 * A row: this head, the numbers of its keys in each column as bytes, and a cell for each column.
 * A cell is the key, or leads to blocks of keys where there are several. Rows of five columns have one
 * cache line.
 */
struct offer_index_row {
	uint64_t order; /* 0: the row is free */
	uint32_t ref;	/* of a free one: the next free one */
	uint32_t mask;	/* bits of the keys of columns that have several: offers_key_bit */
	uint8_t cnts[];
};

#define OFFER_BLOCK_KEYS 5u
struct offer_key_block {
	struct offer_key_block *next;
	uint64_t keys[OFFER_BLOCK_KEYS];
};

union offer_cell {
	uint64_t key;
	struct offer_key_block *first;
};

struct offer_index {
	struct offer_room *room;
	struct arena arena;
	uint8_t *rows;
	size_t row_len, cells_off;
	uint32_t row_cap, cnt;
	uint32_t top; /* rows from here on were never used */
	uint32_t free_head;
	unsigned column_cnt;
	struct offer_tree by_order;
	struct offer_tree columns[OFFER_COLUMNS_MAX];
};

static inline struct offer_index_row *offers_index_row(const struct offer_index *index,
						       uint32_t row)
{
	return (struct offer_index_row *)(void *)(index->rows + row * index->row_len);
}

static inline union offer_cell *offers_index_cells(const struct offer_index *index,
						   struct offer_index_row *row)
{
	return (union offer_cell *)(void *)((uint8_t *)row + index->cells_off);
}

/* Keys that are not in a row mostly have a bit that its mask has not: their blocks are not looked at. */
static inline uint32_t offers_key_bit(unsigned column, uint64_t key)
{
	return 1u << (((key + column) * 0x9e3779b97f4a7c15ull) >> 59);
}

/* A walk over the keys of a row in a column. */
struct offer_key_walk {
	const union offer_cell *cell;
	const struct offer_key_block *block;
	unsigned cnt, at;
};

static inline struct offer_key_walk offers_key_walk(const struct offer_index *index,
						    struct offer_index_row *row, unsigned column)
{
	const union offer_cell *cell = &offers_index_cells(index, row)[column];
	unsigned cnt = row->cnts[column];

	return (struct offer_key_walk){cell, cnt > 1 ? cell->first : NULL, cnt, 0};
}

static inline bool offers_key_next(struct offer_key_walk *walk, uint64_t *out_key)
{
	unsigned at = walk->at++;

	if (at >= walk->cnt)
		return false;
	if (walk->cnt == 1) {
		*out_key = walk->cell->key;
		return true;
	}
	if (at > 0 && at % OFFER_BLOCK_KEYS == 0)
		walk->block = walk->block->next;
	*out_key = walk->block->keys[at % OFFER_BLOCK_KEYS];
	return true;
}

#endif
