/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_KEEP_POST_INDEX_H
#define WEFT_SOCIAL_KEEP_POST_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory/pool.h"
#include "social/object/post.h"

struct arena;

/*
 * The posts that a node holds, in the order of their time and then of their id:
 * a list of blocks of rows. Put, remove and place are a search among the blocks
 * and one within a block; new posts come at the end, and move nothing. A row
 * takes 56 bytes, and at most four times that after any order of changes.
 *
 * Owned by home.
 */
struct post_row {
	uint64_t time_ms;
	uint8_t id[POST_ID_LEN];
	uint32_t author;   /* of the table of people */
	uint16_t audience; /* the owner's */
	uint16_t flags;	   /* the owner's */
	uint16_t number;   /* the low bits of its visibility's: another one is another edition */
};

#define POST_BLOCK_CAP 256u
struct post_block {
	uint32_t cnt;
	struct post_row rows[POST_BLOCK_CAP];
};

struct post_index {
	struct pool pool;
	struct post_block **blocks; /* in order; none is empty */
	uint32_t block_cnt;
	uint32_t row_cnt, row_cap;
};

/* A place in the order, before a row or behind the last one; valid until the index changes. */
struct post_place {
	uint32_t block, idx;
};

/* social_index_init lays out an index of row_cap rows, touched as they are used. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int social_index_init(struct post_index *index, struct arena *arena, uint32_t row_cap);
/* social_index_put adds a row that is not there; false: there is no room. */
WEFT_MUST_CHECK
bool social_index_put(struct post_index *index, const struct post_row *row);
/* social_index_find: the row of that time and id, or NULL. Its flags and audience may be changed. */
struct post_row *social_index_find(struct post_index *index, uint64_t time_ms,
				   const uint8_t id[static POST_ID_LEN]);
/* social_index_remove: false when it is not there. */
bool social_index_remove(struct post_index *index, uint64_t time_ms,
			 const uint8_t id[static POST_ID_LEN]);

/* social_index_place: the place before the first row that is not below time_ms and id. */
struct post_place social_index_place(const struct post_index *index, uint64_t time_ms,
				     const uint8_t id[static POST_ID_LEN]);
/* social_index_end: the place behind the last row. */
struct post_place social_index_end(const struct post_index *index);
/* social_index_{next,prev}: the row behind the place, or before it, and the place moves over it. */
const struct post_row *social_index_next(const struct post_index *index, struct post_place *place);
const struct post_row *social_index_prev(const struct post_index *index, struct post_place *place);

#endif
