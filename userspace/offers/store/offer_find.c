/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds in the index of offers: plan, then look. By a condition: all rows of its ranges are
 * tested against the others. Two conditions of one key each have lists in the order of rows, which
 * are merged, so only rows of both are looked at. What is left is a heap from which the newest are taken.
 * By age: rows are tested from the newest on until the page is full. Rows further on are fetched
 * into the cache while one is tested. A walk by age that meets far fewer rows than was estimated goes
 * on by a condition: conditions may exclude each other.
 */
#include <string.h>

#include "base/assert.h"
#include "offer_index.h"
#include "offer_index_state.h"

#define AHEAD 8u /* rows that are fetched before they are looked at */
/* So many comparisons of keys with ranges count as a visit. */
#define TESTS_A_VISIT 16u
/* After so many visits at least a walk by age is weighed again. */
#define AGE_PART_MIN 256u
/* A list this much longer costs more to pass over than rows of the shorter one to look at. */
#define MERGE_RATIO 16u

struct find_run {
	struct offer_index *index;
	const struct offer_find *find;
	struct offer_page *page;
	const struct schema_condition *conditions[OFFER_COLUMNS_MAX]; /* fewest rows first */
	uint32_t cnts[OFFER_COLUMNS_MAX];
	unsigned condition_cnt;
	unsigned accept_left;
	uint64_t before;     /* rows of lower orders are still to be looked at */
	uint32_t visit_stop; /* of a walk by age */
	struct offer_candidate *heap;
	uint32_t heap_cnt;
	struct offer_place merged; /* in the list of the second condition; leaf NULL: at its end */
	unsigned tested;	   /* conditions that rows of the scan are known to meet */
};

/* A row's head, and the line behind it, where the cells of most columns are. */
static void row_fetch(const struct offer_index *index, uint32_t row)
{
	const uint8_t *at = index->rows + row * index->row_len;

	__builtin_prefetch(at);
	__builtin_prefetch(at + 64);
}

static bool key_is_within(const struct schema_condition *condition, uint64_t key)
{
	for (unsigned i = 0; i < condition->range_cnt; i++)
		if (key >= condition->ranges[i].first && key <= condition->ranges[i].last)
			return true;
	return false;
}

static bool has_one_key(const struct schema_condition *condition)
{
	return condition->range_cnt == 1 && condition->ranges[0].first == condition->ranges[0].last;
}

static bool row_meets_one(struct find_run *run, struct offer_index_row *row,
			  const struct schema_condition *condition)
{
	struct offer_key_walk walk;
	uint64_t key;

	if (row->cnts[condition->column] > 1 && has_one_key(condition) &&
	    !(row->mask & offers_key_bit(condition->column, condition->ranges[0].first)))
		return false;
	walk = offers_key_walk(run->index, row, condition->column);
	while (offers_key_next(&walk, &key))
		if (key_is_within(condition, key))
			return true;
	run->page->visit_cnt += walk.cnt * condition->range_cnt / TESTS_A_VISIT;
	return false;
}

static bool row_meets(struct find_run *run, struct offer_index_row *row, unsigned from)
{
	for (unsigned i = from; i < run->condition_cnt; i++)
		if (!row_meets_one(run, row, run->conditions[i]))
			return false;
	return true;
}

/* Takes row into the page if the caller does. */
static void row_take(struct find_run *run, const struct offer_index_row *row)
{
	if (run->find->accept) {
		run->accept_left--;
		if (!run->find->accept(run->find->arg, row->ref))
			return;
	}
	run->page->refs[run->page->cnt++] = row->ref;
}

static bool page_is_full(const struct find_run *run)
{
	return run->page->cnt >= run->find->page_max || run->accept_left == 0 ||
	       (run->find->is_over && *run->find->is_over);
}

/* --- by a condition --- */

static bool is_newer(const struct offer_candidate *a, const struct offer_candidate *b)
{
	return a->order > b->order;
}

static void heap_sink(struct offer_candidate *heap, uint32_t cnt, uint32_t at)
{
	struct offer_candidate sunk = heap[at];

	for (uint32_t child; (child = 2 * at + 1) < cnt; at = child) {
		child += child + 1 < cnt && is_newer(&heap[child + 1], &heap[child]);
		if (!is_newer(&heap[child], &sunk))
			break;
		heap[at] = heap[child];
	}
	heap[at] = sunk;
}

static void heap_make(struct find_run *run)
{
	for (uint32_t i = run->heap_cnt / 2; i-- > 0;)
		heap_sink(run->heap, run->heap_cnt, i);
}

static struct offer_candidate heap_take(struct find_run *run)
{
	struct offer_candidate first = run->heap[0];

	run->heap[0] = run->heap[--run->heap_cnt];
	heap_sink(run->heap, run->heap_cnt, 0);
	return first;
}

static void merge_begin(struct find_run *run)
{
	const struct schema_condition *const *conditions = run->conditions;

	run->tested = 1;
	if (run->condition_cnt < 2 || !has_one_key(conditions[0]) || !has_one_key(conditions[1]) ||
	    run->cnts[1] / MERGE_RATIO > run->cnts[0])
		return;
	run->tested = 2;
	run->merged = offers_tree_place(&run->index->columns[conditions[1]->column],
					(struct offer_pair){conditions[1]->ranges[0].first, 0});
}

/* Whether row is in the second list, too; rows come in rising order. */
static bool merge_meets(struct find_run *run, uint32_t row)
{
	uint64_t key = run->conditions[1]->ranges[0].first;
	struct offer_place *at = &run->merged;

	for (; at->leaf; at->leaf = at->leaf->next, at->idx = 0)
		for (; at->idx < at->leaf->cnt; at->idx++) {
			if (at->leaf->leaf.keys[at->idx] != key) {
				at->leaf = NULL;
				return false;
			}
			if (at->leaf->leaf.rows[at->idx] >= row)
				return at->leaf->leaf.rows[at->idx] == row;
		}
	return false;
}

static void range_scan(struct find_run *run, const struct schema_range *range)
{
	const struct offer_index *index = run->index;
	struct offer_place place = offers_tree_place(&index->columns[run->conditions[0]->column],
						     (struct offer_pair){range->first, 0});

	for (const struct offer_node *leaf = place.leaf; leaf; leaf = leaf->next, place.idx = 0)
		for (uint32_t i = place.idx; i < leaf->cnt; i++) {
			uint32_t at = leaf->leaf.rows[i];
			struct offer_index_row *row = offers_index_row(index, at);

			if (leaf->leaf.keys[i] > range->last)
				return;
			run->page->visit_cnt++;
			if (run->tested == 2 && !merge_meets(run, at))
				continue;
			if (run->tested == 1 && i + AHEAD < leaf->cnt)
				row_fetch(index, leaf->leaf.rows[i + AHEAD]);
			if (row->order < run->before && row_meets(run, row, run->tested))
				run->heap[run->heap_cnt++] =
					(struct offer_candidate){row->order, at};
		}
}

/* A row with several keys in the ranges is there several times, and then comes in a row. */
static void find_by_condition(struct find_run *run)
{
	const struct schema_condition *condition = run->conditions[0];
	uint64_t latest = OFFER_NEWEST;

	merge_begin(run);
	for (unsigned i = 0; i < condition->range_cnt; i++)
		range_scan(run, &condition->ranges[i]);
	heap_make(run);
	run->page->about_cnt = run->heap_cnt;
	while (run->heap_cnt > 0 && !page_is_full(run)) {
		struct offer_candidate newest = heap_take(run);

		if (newest.order != latest)
			row_take(run, offers_index_row(run->index, newest.row));
		latest = newest.order;
	}
	run->page->next = run->heap_cnt > 0 ? latest : 0;
}

/* --- by age --- */

static void find_by_age(struct find_run *run)
{
	const struct offer_index *index = run->index;
	struct offer_place place =
		offers_tree_place(&index->by_order, (struct offer_pair){run->before, 0});
	const struct offer_node *leaf = place.leaf;
	uint32_t at = place.idx;

	while (leaf) {
		for (; at > 0; at--) {
			struct offer_index_row *row =
				offers_index_row(index, leaf->leaf.rows[at - 1]);

			if (at > AHEAD)
				row_fetch(index, leaf->leaf.rows[at - 1 - AHEAD]);
			if (page_is_full(run) || run->page->visit_cnt >= run->visit_stop)
				return;
			run->page->visit_cnt++;
			run->page->next = row->order;
			if (row_meets(run, row, 0))
				row_take(run, row);
		}
		leaf = leaf->prev;
		at = leaf ? leaf->cnt : 0;
	}
	run->page->next = 0;
}

/* --- plan --- */

static uint32_t condition_count(const struct offer_index *index,
				const struct schema_condition *condition)
{
	const struct offer_tree *tree = &index->columns[condition->column];
	uint64_t cnt = 0;

	for (unsigned i = 0; i < condition->range_cnt; i++)
		cnt += offers_tree_count(tree, condition->ranges[i].first,
					 condition->ranges[i].last);
	return cnt > UINT32_MAX ? UINT32_MAX : (uint32_t)cnt;
}

static void condition_note(struct find_run *run, const struct schema_condition *condition)
{
	uint32_t cnt = condition_count(run->index, condition);
	unsigned at = run->condition_cnt++;

	for (; at > 0 && run->cnts[at - 1] > cnt; at--) {
		run->cnts[at] = run->cnts[at - 1];
		run->conditions[at] = run->conditions[at - 1];
	}
	run->cnts[at] = cnt;
	run->conditions[at] = condition;
}

/* Rows that a walk by age is expected to look at, if conditions do not depend on each other. */
static double age_visits(struct find_run *run)
{
	double all = run->index->cnt, meets = all;

	for (unsigned i = 0; i < run->condition_cnt; i++)
		if (run->cnts[i] < run->index->cnt)
			meets *= run->cnts[i] / all;
	run->page->about_cnt = (uint32_t)meets;
	return meets > run->find->page_max ? all * run->find->page_max / meets : all;
}

static uint32_t visits_within(const struct find_run *run, double visits)
{
	double left = run->find->visit_max - run->page->visit_cnt;

	visits = visits > AGE_PART_MIN ? visits : AGE_PART_MIN;
	return run->page->visit_cnt + (uint32_t)(visits < left ? visits : left);
}

static enum offer_plan plan_of(struct find_run *run)
{
	double visits;

	if (run->index->cnt == 0)
		return OFFER_BY_NONE;
	visits = age_visits(run);
	if (run->condition_cnt > 0 && run->cnts[0] == 0)
		return OFFER_BY_NONE;
	if (run->condition_cnt > 0 && run->cnts[0] <= run->find->visit_max && run->cnts[0] < visits)
		return OFFER_BY_CONDITION;
	run->visit_stop =
		run->condition_cnt > 0 ? visits_within(run, visits) : run->find->visit_max;
	return OFFER_BY_AGE;
}

/* Visits that are left to a walk by age if it goes on as it went. */
static double visits_left(const struct find_run *run)
{
	double cnt = run->page->visit_cnt, found = run->page->cnt;

	return cnt * (run->find->page_max - found) / (found > 0 ? found : 1.0 / 8);
}

/*
 * A walk takes the visits that were expected, and is weighed by what it found. It goes on by a
 * condition where that looks at fewer rows, and the call has visits enough for it.
 */
static void run_by_age(struct find_run *run)
{
	for (;;) {
		double left;

		find_by_age(run);
		if (!run->page->next || page_is_full(run) ||
		    run->page->visit_cnt >= run->find->visit_max)
			return;
		run->before = run->page->next;
		left = visits_left(run);
		if (run->cnts[0] < left &&
		    run->page->visit_cnt + run->cnts[0] <= run->find->visit_max)
			break;
		run->visit_stop = visits_within(run, left < run->cnts[0] ? left : run->cnts[0]);
	}
	run->page->plan = OFFER_BY_CONDITION;
	find_by_condition(run);
}

void offers_index_find(struct offer_index *index, const struct offer_find *find,
		       struct offer_page *out_page)
{
	struct find_run run = {.index = index,
			       .find = find,
			       .page = out_page,
			       .heap = index->room->candidates,
			       .before = find->before,
			       .accept_left = find->visit_max / OFFER_ACCEPT_VISITS};

	weft_assert(find->condition_cnt <= OFFER_COLUMNS_MAX);
	weft_assert(find->page_max >= 1 && find->page_max <= OFFER_PAGE_MAX);
	weft_assert(find->visit_max >= OFFER_ACCEPT_VISITS && find->visit_max <= OFFER_VISITS_MAX);
	out_page->cnt = 0;
	out_page->next = 0;
	out_page->about_cnt = 0;
	out_page->visit_cnt = 0;
	for (unsigned i = 0; i < find->condition_cnt; i++) {
		weft_assert(find->conditions[i].column < index->column_cnt);
		condition_note(&run, &find->conditions[i]);
	}
	out_page->plan = plan_of(&run);
	if (out_page->plan == OFFER_BY_CONDITION)
		find_by_condition(&run);
	else if (out_page->plan == OFFER_BY_AGE)
		run_by_age(&run);
}
