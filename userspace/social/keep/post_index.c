/* SPDX-License-Identifier: Apache-2.0 */
#include "social/keep/post_index.h"

#include <string.h>

#include "base/memory/arena.h"

/* Two neighbours together fill more than half a block: social_index_remove merges others. */
static uint32_t block_cap_of(uint32_t row_cap)
{
	return row_cap / (POST_BLOCK_CAP / 4) + 2;
}

int social_index_init(struct post_index *index, struct arena *arena, uint32_t row_cap)
{
	uint32_t block_cap = block_cap_of(row_cap);
	int err = pool_init(&index->pool, arena, sizeof(struct post_block), block_cap);

	if (err < 0)
		return err;
	index->blocks = arena_alloc(arena, block_cap * sizeof(struct post_block *));
	index->block_cnt = 0;
	index->row_cnt = 0;
	index->row_cap = row_cap;
	return index->blocks ? 0 : WEFT_EFULL;
}

/* --- places --- */

static int compare(const struct post_row *row, uint64_t time_ms, const uint8_t *id)
{
	if (row->time_ms != time_ms)
		return row->time_ms < time_ms ? -1 : 1;
	return memcmp(row->id, id, POST_ID_LEN);
}

/* The first row that is not below; the count when all are. */
static uint32_t first_not_below(const struct post_block *block, uint64_t time_ms, const uint8_t *id)
{
	uint32_t low = 0, high = block->cnt;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (compare(&block->rows[middle], time_ms, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The last block whose first row is not above; 0 when there is none. */
static uint32_t block_of(const struct post_index *index, uint64_t time_ms, const uint8_t *id)
{
	uint32_t low = 0, high = index->block_cnt;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (compare(&index->blocks[middle]->rows[0], time_ms, id) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : 0;
}

struct post_place social_index_place(const struct post_index *index, uint64_t time_ms,
				     const uint8_t id[static POST_ID_LEN])
{
	struct post_place place = {block_of(index, time_ms, id), 0};

	if (index->block_cnt)
		place.idx = first_not_below(index->blocks[place.block], time_ms, id);
	return place;
}

struct post_place social_index_end(const struct post_index *index)
{
	return (struct post_place){index->block_cnt, 0};
}

const struct post_row *social_index_next(const struct post_index *index, struct post_place *place)
{
	while (place->block < index->block_cnt && place->idx >= index->blocks[place->block]->cnt)
		*place = (struct post_place){place->block + 1, 0};
	return place->block < index->block_cnt ? &index->blocks[place->block]->rows[place->idx++]
					       : NULL;
}

const struct post_row *social_index_prev(const struct post_index *index, struct post_place *place)
{
	if (place->idx == 0) {
		if (place->block == 0)
			return NULL;
		place->block--;
		place->idx = index->blocks[place->block]->cnt;
	}
	return &index->blocks[place->block]->rows[--place->idx];
}

struct post_row *social_index_find(struct post_index *index, uint64_t time_ms,
				   const uint8_t id[static POST_ID_LEN])
{
	struct post_place place = social_index_place(index, time_ms, id);
	struct post_block *block;

	if (index->block_cnt == 0)
		return NULL;
	block = index->blocks[place.block];
	return place.idx < block->cnt && compare(&block->rows[place.idx], time_ms, id) == 0
		       ? &block->rows[place.idx]
		       : NULL;
}

/* --- changes --- */

static struct post_block *block_insert(struct post_index *index, uint32_t at)
{
	struct post_block *block = pool_acquire(&index->pool);

	if (!block)
		return NULL;
	memmove(&index->blocks[at + 1], &index->blocks[at],
		(index->block_cnt - at) * sizeof(index->blocks[0]));
	index->blocks[at] = block;
	index->block_cnt++;
	return block;
}

static void block_delete(struct post_index *index, uint32_t at)
{
	pool_release(&index->pool, index->blocks[at]);
	index->block_cnt--;
	memmove(&index->blocks[at], &index->blocks[at + 1],
		(index->block_cnt - at) * sizeof(index->blocks[0]));
}

/*
 * Makes room in a full block. One that grows at its end gets an empty successor, so that posts that
 * come in the order of time leave full blocks behind them.
 */
static bool block_split(struct post_index *index, struct post_place *place)
{
	struct post_block *block = index->blocks[place->block], *next;
	bool at_end = place->block + 1 == index->block_cnt && place->idx == block->cnt;
	uint32_t kept = at_end ? block->cnt : POST_BLOCK_CAP / 2;

	if (!(next = block_insert(index, place->block + 1)))
		return false;
	next->cnt = block->cnt - kept;
	memcpy(next->rows, &block->rows[kept], next->cnt * sizeof(next->rows[0]));
	block->cnt = kept;
	if (place->idx > kept || at_end)
		*place = (struct post_place){place->block + 1, place->idx - kept};
	return true;
}

bool social_index_put(struct post_index *index, const struct post_row *row)
{
	struct post_place place;
	struct post_block *block;

	if (index->row_cnt == index->row_cap || (index->block_cnt == 0 && !block_insert(index, 0)))
		return false;
	place = social_index_place(index, row->time_ms, row->id);
	if (index->blocks[place.block]->cnt == POST_BLOCK_CAP && !block_split(index, &place))
		return false;
	block = index->blocks[place.block];
	memmove(&block->rows[place.idx + 1], &block->rows[place.idx],
		(block->cnt - place.idx) * sizeof(block->rows[0]));
	block->rows[place.idx] = *row;
	block->cnt++;
	index->row_cnt++;
	return true;
}

/* Appends the block behind at to it, if both fill half a block at most. */
static void merge(struct post_index *index, uint32_t at)
{
	struct post_block *block, *next;

	if (at + 1 >= index->block_cnt)
		return;
	block = index->blocks[at];
	next = index->blocks[at + 1];
	if (block->cnt + next->cnt > POST_BLOCK_CAP / 2)
		return;
	memcpy(&block->rows[block->cnt], next->rows, next->cnt * sizeof(next->rows[0]));
	block->cnt += next->cnt;
	block_delete(index, at + 1);
}

bool social_index_remove(struct post_index *index, uint64_t time_ms,
			 const uint8_t id[static POST_ID_LEN])
{
	struct post_row *row = social_index_find(index, time_ms, id);
	struct post_place place;
	struct post_block *block;

	if (!row)
		return false;
	place = social_index_place(index, time_ms, id);
	block = index->blocks[place.block];
	block->cnt--;
	memmove(row, row + 1, (block->cnt - place.idx) * sizeof(*row));
	index->row_cnt--;
	if (block->cnt == 0)
		block_delete(index, place.block);
	else
		merge(index, place.block);
	if (place.block)
		merge(index, place.block - 1);
	return true;
}
