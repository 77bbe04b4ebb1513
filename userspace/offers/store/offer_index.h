/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_STORE_OFFER_INDEX_H
#define WEFT_OFFERS_STORE_OFFER_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "offers/schema/schema_keys.h"
#include "weft/err.h"

/*
 * The index of the offers of one service, in memory. A row has up to OFFER_KEYS_MAX keys in each
 * column, and a place in the order by age. A find gives the rows that meet all conditions, newest
 * first, page by page.
 *
 * The planner counts the rows of each condition. Where few rows meet one, it looks at those
 * alone. Else it walks from the newest row and stops when the page is full. One call looks at
 * no more than its visit_max rows, whatever is asked. So a page may be short or empty and still
 * have a next one.
 *
 * Pages are stable: the next page begins behind an order, not behind a number of rows. A row that
 * is there all the time and is not changed comes exactly once. A row that leaves or comes moves no
 * other.
 *
 * Providers fill it, through the store that puts rows. The store bounds rows and keys, and
 * shares them fairly. One thread.
 */
#define OFFER_COLUMNS_MAX 17u /* those of a schema, and the level of the provider */
#define OFFER_KEYS_MAX	  64u
#define OFFER_PAGE_MAX	  256u
#define OFFER_VISITS_MAX  65536u
/* Asking a find's accept counts as so many visits. */
#define OFFER_ACCEPT_VISITS 16u

/* What the indexes of a store share: nodes, keys and a place to sort. */
struct offer_room;
struct offer_tree;
/* offers_room_open: for pair_cap keys in all, rows counted as one each. 0, WEFT_EFULL or -errno. */
WEFT_MUST_CHECK
int offers_room_open(uint32_t pair_cap, unsigned index_cap, struct offer_room **out_room);
/* offers_room_close: its indexes are closed. Takes NULL. */
void offers_room_close(struct offer_room *room);
/* offers_room_used_len: bytes of nodes and keys in use. */
size_t offers_room_used_len(const struct offer_room *room);
/* offers_room_tree begins a tree beside those of indexes. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int offers_room_tree(struct offer_room *room, struct offer_tree *tree);
/* Bytes that they lay out, touched as they are used. */
size_t offers_room_footprint(const struct offer_room *room);
size_t offers_index_footprint(uint32_t row_cap, unsigned column_cnt);

struct offer_index;
struct offer_index_config {
	struct offer_room *room;
	uint32_t row_cap; /* address space; pages are touched when rows use them */
	unsigned column_cnt;
};
/* offers_index_open: 0, WEFT_EFULL or -errno. */
WEFT_MUST_CHECK
int offers_index_open(const struct offer_index_config *config, struct offer_index **out_index);
void offers_index_close(struct offer_index *index);

/* The keys of a row, column by column, in any order. A column without any meets no condition. */
struct offer_keys {
	uint8_t cnts[OFFER_COLUMNS_MAX];
	uint64_t keys[OFFER_COLUMNS_MAX][OFFER_KEYS_MAX];
};

/*
 * offers_index_put adds a row. order is at least 1, the greater the newer, and of no other row of
 * the index. ref is the caller's. keys are sorted in place, and doubles are left out.
 * WEFT_EFULL: no row, node or key is free, and nothing has changed.
 */
WEFT_MUST_CHECK
int offers_index_put(struct offer_index *index, uint64_t order, uint32_t ref,
		     struct offer_keys *keys, uint32_t *out_row);
void offers_index_remove(struct offer_index *index, uint32_t row);
/*
 * offers_index_rekey: row, which has one key in column, has key there from now on. WEFT_EFULL: no
 * node is free, and nothing has changed.
 */
WEFT_MUST_CHECK
int offers_index_rekey(struct offer_index *index, uint32_t row, unsigned column, uint64_t key);
uint32_t offers_index_cnt(const struct offer_index *index);
/* offers_index_rows_len: bytes of memory that its rows have taken; removed ones are used again. */
size_t offers_index_rows_len(const struct offer_index *index);

#define OFFER_NEWEST UINT64_MAX
struct offer_find {
	const struct schema_condition *conditions; /* all are met; columns of the index */
	unsigned condition_cnt;
	uint64_t before;    /* rows of lower orders alone; OFFER_NEWEST: all */
	unsigned page_max;  /* at most OFFER_PAGE_MAX */
	unsigned visit_max; /* at most OFFER_VISITS_MAX */
	/* asked about each row that meets all conditions; NULL: it is taken */
	bool (*accept)(void *arg, uint32_t ref);
	void *arg;
	const bool *is_over; /* set by accept: the page ends behind that row; NULL: it never does */
};

enum offer_plan { OFFER_BY_NONE, OFFER_BY_CONDITION, OFFER_BY_AGE };
struct offer_page {
	uint32_t refs[OFFER_PAGE_MAX];
	unsigned cnt;
	uint64_t next; /* before of the next page; 0: this is the last */
	/* for those who look at plans */
	enum offer_plan plan;
	uint32_t about_cnt; /* rows that meet the conditions, estimated */
	uint32_t visit_cnt;
};
void offers_index_find(struct offer_index *index, const struct offer_find *find,
		       struct offer_page *out_page);

/* offers_index_check walks all of it; false: something is wrong. Tests only. */
bool offers_index_check(const struct offer_index *index);

#endif
