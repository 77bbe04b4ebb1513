/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows and their keys. Each column has a tree of (key, row), and one more tree has (order, row).
 * The rows themselves hold their keys, too, so that a find that came by one column tests the
 * others in one cache line. Finds are in offer_find.c.
 */
#include "offer_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "offer_index_state.h"

#define ROW_NONE   UINT32_MAX
#define ARENA_STEP 64u
/* Nodes beyond those of pair_cap: a put wants room for the worst case of its splits. */
#define NODES_SPARE (4 * OFFER_COLUMNS_MAX * OFFER_KEYS_MAX)

int offers_room_open(uint32_t pair_cap, unsigned index_cap, struct offer_room **out_room)
{
	uint32_t node_cnt =
		offers_tree_node_cnt(pair_cap, index_cap * (OFFER_COLUMNS_MAX + 1)) + NODES_SPARE;
	/* Two keys take a block, and no number of them takes more than one for two. */
	uint32_t block_cnt = pair_cap / 2 + OFFER_COLUMNS_MAX * OFFER_KEYS_MAX;
	struct offer_room *room = calloc(1, sizeof(*room));
	int err;

	if (!room)
		return WEFT_EFULL;
	if ((err = arena_open(&room->arena, ARENA_GROWS)) < 0)
		goto free_room;
	if ((err = pool_init(&room->nodes, &room->arena, sizeof(struct offer_node), node_cnt)) <
		    0 ||
	    (err = pool_init(&room->blocks, &room->arena, sizeof(struct offer_key_block),
			     block_cnt)) < 0)
		goto close_arena;
	room->candidates =
		arena_alloc(&room->arena, OFFER_VISITS_MAX * sizeof(struct offer_candidate));
	err = WEFT_EFULL;
	if (!room->candidates)
		goto close_arena;
	arena_fit(&room->arena);
	*out_room = room;
	return 0;
close_arena:
	arena_close(&room->arena);
free_room:
	free(room);
	return err;
}

void offers_room_close(struct offer_room *room)
{
	if (!room)
		return;
	arena_close(&room->arena);
	free(room);
}

size_t offers_room_used_len(const struct offer_room *room)
{
	return room->nodes.used_cnt * room->nodes.object_len +
	       room->blocks.used_cnt * room->blocks.object_len;
}

int offers_room_tree(struct offer_room *room, struct offer_tree *tree)
{
	return offers_tree_init(tree, &room->nodes);
}

size_t offers_room_footprint(const struct offer_room *room)
{
	return sizeof(*room) + room->arena.used_len;
}

/* --- open, close --- */

static int trees_init(struct offer_index *index)
{
	int err = offers_tree_init(&index->by_order, &index->room->nodes);

	for (unsigned i = 0; i < index->column_cnt && err == 0; i++)
		err = offers_tree_init(&index->columns[i], &index->room->nodes);
	return err;
}

static void trees_fini(struct offer_index *index)
{
	offers_tree_fini(&index->by_order);
	for (unsigned i = 0; i < index->column_cnt; i++)
		offers_tree_fini(&index->columns[i]);
}

static size_t round_up(size_t len, size_t step)
{
	return (len + step - 1) / step * step;
}

static size_t cells_off(unsigned column_cnt)
{
	return round_up(sizeof(struct offer_index_row) + column_cnt, 8);
}

static size_t index_row_len(unsigned column_cnt)
{
	return cells_off(column_cnt) + column_cnt * sizeof(union offer_cell);
}

size_t offers_index_footprint(uint32_t row_cap, unsigned column_cnt)
{
	return sizeof(struct offer_index) + index_row_len(column_cnt) * row_cap;
}

int offers_index_open(const struct offer_index_config *config, struct offer_index **out_index)
{
	struct offer_index *index = calloc(1, sizeof(*index));
	size_t rows_len;
	int err;

	weft_assert(config->column_cnt <= OFFER_COLUMNS_MAX);
	weft_assert(config->row_cap < ROW_NONE);
	if (!index)
		return WEFT_EFULL;
	index->room = config->room;
	index->row_cap = config->row_cap;
	index->column_cnt = config->column_cnt;
	index->free_head = ROW_NONE;
	index->cells_off = cells_off(config->column_cnt);
	index->row_len = index_row_len(config->column_cnt);
	rows_len = round_up(index->row_len * config->row_cap, ARENA_STEP);
	if ((err = arena_open(&index->arena, rows_len)) < 0)
		goto free_index;
	index->rows = arena_alloc(&index->arena, rows_len);
	err = WEFT_EFULL;
	if (!index->rows)
		goto close_arena;
	if ((err = trees_init(index)) < 0)
		goto fini_trees;
	*out_index = index;
	return 0;
fini_trees:
	trees_fini(index);
close_arena:
	arena_close(&index->arena);
free_index:
	free(index);
	return err;
}

static void row_release_keys(struct offer_index *index, struct offer_index_row *row)
{
	for (unsigned i = 0; i < index->column_cnt; i++) {
		struct offer_key_block *block =
			row->cnts[i] > 1 ? offers_index_cells(index, row)[i].first : NULL;

		while (block) {
			struct offer_key_block *next = block->next;

			pool_release(&index->room->blocks, block);
			block = next;
		}
		row->cnts[i] = 0;
	}
}

void offers_index_close(struct offer_index *index)
{
	if (!index)
		return;
	for (uint32_t i = 0; i < index->top; i++)
		if (offers_index_row(index, i)->order)
			row_release_keys(index, offers_index_row(index, i));
	trees_fini(index);
	arena_close(&index->arena);
	free(index);
}

uint32_t offers_index_cnt(const struct offer_index *index)
{
	return index->cnt;
}

size_t offers_index_rows_len(const struct offer_index *index)
{
	return index->top * index->row_len;
}

/* --- put --- */

static int key_compare(const void *a_arg, const void *b_arg)
{
	uint64_t a = *(const uint64_t *)a_arg, b = *(const uint64_t *)b_arg;

	return (a > b) - (a < b);
}

static uint8_t keys_tidy(uint64_t *keys, unsigned cnt)
{
	unsigned kept = 0;

	weft_assert(cnt <= OFFER_KEYS_MAX);
	if (cnt > 1)
		qsort(keys, cnt, sizeof(*keys), key_compare);
	for (unsigned i = 0; i < cnt; i++)
		if (kept == 0 || keys[kept - 1] != keys[i])
			keys[kept++] = keys[i];
	return (uint8_t)kept;
}

static uint32_t block_cnt_of(unsigned key_cnt)
{
	return key_cnt > 1 ? (key_cnt + OFFER_BLOCK_KEYS - 1) / OFFER_BLOCK_KEYS : 0;
}

static bool index_has_room(const struct offer_index *index, const struct offer_keys *keys)
{
	const struct pool *nodes = &index->room->nodes, *blocks = &index->room->blocks;
	uint32_t node_cnt = offers_tree_nodes_needed(&index->by_order, 1), block_cnt = 0;

	for (unsigned i = 0; i < index->column_cnt; i++) {
		node_cnt += offers_tree_nodes_needed(&index->columns[i], keys->cnts[i]);
		block_cnt += block_cnt_of(keys->cnts[i]);
	}
	return index->cnt < index->row_cap && nodes->cap_cnt - nodes->used_cnt >= node_cnt &&
	       blocks->cap_cnt - blocks->used_cnt >= block_cnt;
}

/* Blocks are laid out from the last one, so each knows the one behind it. */
static struct offer_key_block *blocks_make(struct offer_index *index, const uint64_t *keys,
					   unsigned cnt)
{
	struct offer_key_block *next = NULL;

	for (uint32_t i = block_cnt_of(cnt); i-- > 0;) {
		struct offer_key_block *block = pool_acquire(&index->room->blocks);
		unsigned at = i * OFFER_BLOCK_KEYS;

		weft_assert(block != NULL);
		block->next = next;
		memcpy(block->keys, keys + at,
		       (cnt - at < OFFER_BLOCK_KEYS ? cnt - at : OFFER_BLOCK_KEYS) *
			       sizeof(uint64_t));
		next = block;
	}
	return next;
}

static void row_take_keys(struct offer_index *index, struct offer_index_row *row,
			  const struct offer_keys *keys)
{
	union offer_cell *cells = offers_index_cells(index, row);

	row->mask = 0;
	for (unsigned i = 0; i < index->column_cnt; i++) {
		row->cnts[i] = keys->cnts[i];
		for (unsigned k = 0; keys->cnts[i] > 1 && k < keys->cnts[i]; k++)
			row->mask |= offers_key_bit(i, keys->keys[i][k]);
		if (keys->cnts[i] > 1)
			cells[i].first = blocks_make(index, keys->keys[i], keys->cnts[i]);
		else if (keys->cnts[i] == 1)
			cells[i].key = keys->keys[i][0];
	}
}

int offers_index_put(struct offer_index *index, uint64_t order, uint32_t ref,
		     struct offer_keys *keys, uint32_t *out_row)
{
	uint32_t at = index->free_head == ROW_NONE ? index->top : index->free_head;
	struct offer_index_row *row;

	weft_assert(order >= 1);
	for (unsigned i = 0; i < index->column_cnt; i++)
		keys->cnts[i] = keys_tidy(keys->keys[i], keys->cnts[i]);
	if (!index_has_room(index, keys))
		return WEFT_EFULL;
	row = offers_index_row(index, at);
	row_take_keys(index, row, keys);
	if (at == index->top)
		index->top++;
	else
		index->free_head = row->ref;
	row->order = order;
	row->ref = ref;
	offers_tree_put(&index->by_order, (struct offer_pair){order, at});
	for (unsigned i = 0; i < index->column_cnt; i++)
		for (unsigned k = 0; k < keys->cnts[i]; k++)
			offers_tree_put(&index->columns[i],
					(struct offer_pair){keys->keys[i][k], at});
	index->cnt++;
	*out_row = at;
	return 0;
}

void offers_index_remove(struct offer_index *index, uint32_t at)
{
	struct offer_index_row *row = offers_index_row(index, at);

	weft_assert(at < index->top);
	weft_assert(row->order != 0);
	for (unsigned i = 0; i < index->column_cnt; i++) {
		struct offer_key_walk walk = offers_key_walk(index, row, i);
		uint64_t key;

		while (offers_key_next(&walk, &key))
			offers_tree_remove(&index->columns[i], (struct offer_pair){key, at});
	}
	offers_tree_remove(&index->by_order, (struct offer_pair){row->order, at});
	row_release_keys(index, row);
	row->order = 0;
	row->ref = index->free_head;
	index->free_head = at;
	index->cnt--;
}

int offers_index_rekey(struct offer_index *index, uint32_t at, unsigned column, uint64_t key)
{
	struct offer_index_row *row = offers_index_row(index, at);
	union offer_cell *cell = &offers_index_cells(index, row)[column];
	const struct pool *nodes = &index->room->nodes;

	weft_assert(at < index->top);
	weft_assert(row->order != 0);
	weft_assert(column < index->column_cnt);
	weft_assert(row->cnts[column] == 1);
	if (cell->key == key)
		return 0;
	if (nodes->cap_cnt - nodes->used_cnt < offers_tree_nodes_needed(&index->columns[column], 1))
		return WEFT_EFULL;
	offers_tree_remove(&index->columns[column], (struct offer_pair){cell->key, at});
	offers_tree_put(&index->columns[column], (struct offer_pair){key, at});
	cell->key = key;
	return 0;
}

bool offers_index_check(const struct offer_index *index)
{
	uint32_t pair_cnts[OFFER_COLUMNS_MAX] = {0}, cnt = 0;

	for (uint32_t i = 0; i < index->top; i++) {
		struct offer_index_row *row = offers_index_row(index, i);

		cnt += row->order != 0;
		for (unsigned k = 0; k < index->column_cnt; k++)
			pair_cnts[k] += row->cnts[k];
	}
	for (unsigned i = 0; i < index->column_cnt; i++)
		if (!offers_tree_check(&index->columns[i]) || index->columns[i].cnt != pair_cnts[i])
			return false;
	return offers_tree_check(&index->by_order) && index->by_order.cnt == cnt &&
	       cnt == index->cnt;
}
