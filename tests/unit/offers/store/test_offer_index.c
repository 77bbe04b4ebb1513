/* SPDX-License-Identifier: Apache-2.0 */
/* The index of offers against a model that looks at every row. */
#include "offers/store/offer_index.h"

#include <stdlib.h>

#include "base/random.h"
#include "support/check.h"
#include "support/seed.h"

#define ROW_CAP	 3000u
#define COLUMNS	 5u
#define PAIR_CAP 200000u
#define OPS	 100000u
#define SET	 4u /* the column with many keys a row */

/* A row of the model; it is in the index where order is not 0. */
struct model_row {
	uint64_t order;
	uint32_t row;
	struct offer_keys keys;
};

static struct offer_room *room;
static struct offer_index *offer_index;
static struct random dice;
static struct model_row model[ROW_CAP];
static uint32_t used[ROW_CAP], used_cnt;
static uint64_t order_cnt;

static void begin(uint64_t seed, uint32_t row_cap)
{
	struct offer_index_config config = {.row_cap = row_cap, .column_cnt = COLUMNS};

	if (offers_room_open(PAIR_CAP, 1, &room) < 0)
		exit(1);
	config.room = room;
	if (offers_index_open(&config, &offer_index) < 0)
		exit(1);
	random_init_seeded(&dice, seed_of_run(seed));
	memset(model, 0, sizeof(model));
	used_cnt = 0;
	order_cnt = 0;
}

static void end(void)
{
	offers_index_close(offer_index);
	offers_room_close(room);
}

/* The greatest key of a column: few keys, some, and many. */
static uint64_t key_max(unsigned column)
{
	static const uint64_t maxes[COLUMNS] = {2, 20, 1000, UINT64_MAX - 1, 30};

	return maxes[column];
}

static uint64_t any_key(unsigned column)
{
	return random_below(&dice, key_max(column) + 1);
}

static void keys_make(struct offer_keys *keys)
{
	memset(keys->cnts, 0, sizeof(keys->cnts));
	for (unsigned i = 0; i < COLUMNS; i++) {
		unsigned cnt = random_below(&dice, 20) > 0;

		if (i == SET)
			cnt = (unsigned)random_below(&dice, 8);
		keys->cnts[i] = (uint8_t)cnt;
		for (unsigned k = 0; k < cnt; k++)
			keys->keys[i][k] = any_key(i);
	}
}

static bool row_add(uint32_t ref)
{
	struct model_row *row = &model[ref];
	struct offer_keys keys;

	keys_make(&row->keys);
	keys = row->keys;
	if (offers_index_put(offer_index, order_cnt + 1, ref, &keys, &row->row) < 0)
		return false;
	row->order = ++order_cnt;
	used[used_cnt++] = ref;
	return true;
}

static void row_drop(uint32_t at)
{
	uint32_t ref = used[at];

	used[at] = used[--used_cnt];
	offers_index_remove(offer_index, model[ref].row);
	model[ref].order = 0;
}

static bool model_meets(const struct model_row *row, const struct schema_condition *conditions,
			unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		bool is_met = false;

		for (unsigned k = 0; k < row->keys.cnts[conditions[i].column]; k++)
			for (unsigned r = 0; r < conditions[i].range_cnt; r++) {
				uint64_t key = row->keys.keys[conditions[i].column][k];

				is_met |= key >= conditions[i].ranges[r].first &&
					  key <= conditions[i].ranges[r].last;
			}
		if (!is_met)
			return false;
	}
	return row->order != 0;
}

static unsigned conditions_make(struct schema_condition *conditions)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < COLUMNS; i++) {
		struct schema_condition *condition = &conditions[cnt];

		if (random_below(&dice, 3))
			continue;
		condition->column = (uint8_t)i;
		condition->range_cnt = (uint8_t)(1 + random_below(&dice, i == SET ? 4 : 2));
		for (unsigned r = 0; r < condition->range_cnt; r++) {
			uint64_t first = any_key(i);

			condition->ranges[r].first = first;
			condition->ranges[r].last =
				random_below(&dice, 3) ? first + (key_max(i) - first) / 4 : first;
		}
		cnt++;
	}
	/* Of the same column two keys, which a row has both. */
	while (cnt > 0 && cnt < COLUMNS && random_below(&dice, 2) == 0) {
		uint64_t key = any_key(SET);

		conditions[cnt++] = (struct schema_condition){
			.column = SET, .range_cnt = 1, .ranges = {{key, key}}};
	}
	return cnt;
}

/* An accept that the model knows, too. */
static bool is_odd(void *arg, uint32_t ref)
{
	++*(unsigned *)arg;
	return ref % 2;
}

/* The newest row of the model below before that meets all, or NULL. */
static const struct model_row *model_next(const struct schema_condition *conditions, unsigned cnt,
					  uint64_t before, bool odd_alone)
{
	const struct model_row *newest = NULL;

	for (uint32_t i = 0; i < used_cnt; i++) {
		const struct model_row *row = &model[used[i]];

		if (row->order < before && (!newest || row->order > newest->order) &&
		    (!odd_alone || used[i] % 2) && model_meets(row, conditions, cnt))
			newest = row;
	}
	return newest;
}

/* All pages of a find are what the model has, in order; or a few pages of a long one. */
static bool find_is_same(void)
{
	struct schema_condition conditions[COLUMNS];
	unsigned asked_cnt = 0, cnt = conditions_make(conditions);
	bool has_accept = random_below(&dice, 3) == 0;
	struct offer_find find = {.conditions = conditions,
				  .condition_cnt = cnt,
				  .before = OFFER_NEWEST,
				  .page_max = 1 + (unsigned)random_below(&dice, 30),
				  .visit_max = OFFER_ACCEPT_VISITS +
					       (unsigned)random_below(&dice, 2 * ROW_CAP),
				  .accept = has_accept ? is_odd : NULL,
				  .arg = &asked_cnt};
	uint64_t before = OFFER_NEWEST;

	for (unsigned page_cnt = 0; page_cnt < 5; page_cnt++) {
		struct offer_page page;

		offers_index_find(offer_index, &find, &page);
		if (page.cnt > find.page_max || page.visit_cnt > find.visit_max + 64)
			return false;
		for (unsigned i = 0; i < page.cnt; i++) {
			const struct model_row *want =
				model_next(conditions, cnt, before, has_accept);

			if (!want || want != &model[page.refs[i]])
				return false;
			before = want->order;
		}
		if (page.next == 0)
			return !model_next(conditions, cnt, before, has_accept);
		if (page.next > before || page.next >= find.before)
			return false;
		/* What the index passed over is nothing that was asked for. */
		if (before > page.next) {
			const struct model_row *want =
				model_next(conditions, cnt, before, has_accept);

			if (want && want->order >= page.next)
				return false;
		}
		find.before = page.next;
	}
	return true;
}

static void test_random_changes_and_finds_agree_with_a_model(void)
{
	begin(11, ROW_CAP);
	for (unsigned i = 0; i < OPS; i++) {
		unsigned puts = i / (OPS / 8) % 2 ? 30 : 60;

		if (i % 100 == 0) {
			CHECK(find_is_same());
		} else if (used_cnt == 0 ||
			   (random_below(&dice, 100) < puts && used_cnt < ROW_CAP)) {
			uint32_t ref = (uint32_t)random_below(&dice, ROW_CAP);

			if (model[ref].order == 0)
				CHECK(row_add(ref));
		} else {
			row_drop((uint32_t)random_below(&dice, used_cnt));
		}
		if (i % 10000 == 0)
			CHECK(offers_index_check(offer_index));
		CHECK_EQ(offers_index_cnt(offer_index), used_cnt);
	}
	while (used_cnt > 0)
		row_drop(0);
	CHECK(offers_index_check(offer_index));
	end();
}

static void test_finds_of_each_plan_agree_with_a_model(void)
{
	begin(12, ROW_CAP);
	for (uint32_t i = 0; i < ROW_CAP; i++)
		CHECK(row_add(i));
	for (unsigned i = 0; i < 400; i++)
		CHECK(find_is_same());
	end();
}

/* One key in one column, for all rows. */
static void alike_rows(uint32_t cnt)
{
	struct offer_keys keys = {0};
	uint32_t row;

	for (uint32_t i = 0; i < cnt; i++) {
		for (unsigned c = 0; c < COLUMNS; c++) {
			keys.cnts[c] = 1;
			keys.keys[c][0] = 7;
		}
		if (offers_index_put(offer_index, i + 1, i, &keys, &row) < 0)
			exit(1);
	}
}

#define MANY 40000u

static void test_a_filter_that_selects_all_is_paged_and_stops_at_the_page(void)
{
	struct schema_condition condition = {
		.column = 0, .range_cnt = 1, .ranges = {{0, UINT64_MAX}}};
	struct offer_find find = {.conditions = &condition,
				  .condition_cnt = 1,
				  .before = OFFER_NEWEST,
				  .page_max = 20,
				  .visit_max = OFFER_VISITS_MAX};
	struct offer_page page;
	uint32_t want = MANY;

	begin(13, MANY);
	alike_rows(MANY);
	do {
		offers_index_find(offer_index, &find, &page);
		CHECK(page.visit_cnt <= 21);
		for (unsigned i = 0; i < page.cnt; i++)
			CHECK_EQ(page.refs[i], --want);
		find.before = page.next;
	} while (page.next);
	CHECK_EQ(want, 0);
	end();
}

/*
 * Half of the rows meet one condition and the others the other one: estimates say a quarter meets
 * both, and none does.
 */
static void test_conditions_that_exclude_each_other_cost_bounded_calls(void)
{
	struct schema_condition conditions[2] = {{.column = 0, .range_cnt = 1, .ranges = {{1, 1}}},
						 {.column = 1, .range_cnt = 1, .ranges = {{1, 1}}}};
	struct offer_find find = {.conditions = conditions,
				  .condition_cnt = 2,
				  .before = OFFER_NEWEST,
				  .page_max = 20,
				  .visit_max = 5000};
	struct offer_page page;
	unsigned call_cnt = 0;
	uint32_t row;

	begin(14, MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		struct offer_keys keys = {.cnts = {1, 1}, .keys = {{i % 2}, {1 - i % 2}}};

		CHECK_EQ(offers_index_put(offer_index, i + 1, i, &keys, &row), 0);
	}
	do {
		offers_index_find(offer_index, &find, &page);
		CHECK_EQ(page.cnt, 0);
		CHECK(page.visit_cnt <= find.visit_max);
		find.before = page.next;
		call_cnt++;
	} while (page.next);
	CHECK_EQ(call_cnt, MANY / find.visit_max);
	/* Where a call may look at that many rows, the estimate is given up early. */
	find.before = OFFER_NEWEST;
	find.visit_max = OFFER_VISITS_MAX;
	offers_index_find(offer_index, &find, &page);
	CHECK_EQ(page.next, 0);
	CHECK_EQ(page.plan, OFFER_BY_CONDITION);
	CHECK(page.visit_cnt < MANY / 2 + 2000);
	end();
}

/* accept is dear: it is asked as often as a call's visits pay for, and the next call goes on. */
static bool is_none(void *arg, uint32_t ref)
{
	(void)ref;
	++*(unsigned *)arg;
	return false;
}

static void check_accepts(unsigned condition_cnt, enum offer_plan plan)
{
	struct schema_condition condition = {.column = 0, .range_cnt = 1, .ranges = {{7, 7}}};
	unsigned asked_cnt = 0, call_cnt = 0;
	struct offer_find find = {.conditions = &condition,
				  .condition_cnt = condition_cnt,
				  .before = OFFER_NEWEST,
				  .page_max = 100,
				  .visit_max = 100 * OFFER_ACCEPT_VISITS,
				  .accept = is_none,
				  .arg = &asked_cnt};
	struct offer_page page;

	do {
		unsigned before_cnt = asked_cnt;

		offers_index_find(offer_index, &find, &page);
		CHECK_EQ(page.cnt, 0);
		CHECK_EQ(page.plan, plan);
		CHECK(asked_cnt - before_cnt <= 100);
		find.before = page.next;
		call_cnt++;
	} while (page.next);
	CHECK_EQ(asked_cnt, 1000);
	CHECK(call_cnt == 10 || call_cnt == 11);
}

static void test_rows_that_the_caller_refuses_end_a_call_too(void)
{
	begin(15, MANY);
	alike_rows(1000);
	check_accepts(0, OFFER_BY_AGE);
	check_accepts(1, OFFER_BY_AGE);
	end();
	begin(15, MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		struct offer_keys keys = {.cnts = {1}, .keys = {{i < 1000 ? 7 : i}}};
		uint32_t row;

		CHECK_EQ(offers_index_put(offer_index, i + 1, i, &keys, &row), 0);
	}
	check_accepts(1, OFFER_BY_CONDITION);
	end();
}

static void test_pages_stay_while_rows_come_and_go(void)
{
	bool is_seen[2 * ROW_CAP] = {false};
	struct offer_find find = {
		.before = OFFER_NEWEST, .page_max = 7, .visit_max = OFFER_VISITS_MAX};
	struct offer_page page;
	uint64_t start;

	begin(16, ROW_CAP);
	for (uint32_t i = 0; i < ROW_CAP / 2; i++)
		CHECK(row_add(i));
	start = order_cnt;
	do {
		uint32_t gone = (uint32_t)random_below(&dice, ROW_CAP / 4) * 2;

		offers_index_find(offer_index, &find, &page);
		for (unsigned i = 0; i < page.cnt; i++) {
			CHECK(!is_seen[page.refs[i]]);
			is_seen[page.refs[i]] = true;
		}
		find.before = page.next;
		/* An even row leaves and comes again, which is newer than the page. */
		for (uint32_t at = 0; at < used_cnt; at++)
			if (used[at] == gone) {
				row_drop(at);
				CHECK(row_add(ROW_CAP - 1 - gone));
				break;
			}
	} while (page.next);
	/* The odd ones were there all the time. */
	for (uint32_t i = 1; i < ROW_CAP / 2; i += 2)
		CHECK(is_seen[i]);
	for (uint32_t i = ROW_CAP / 2; i < ROW_CAP; i++)
		CHECK(!is_seen[i] && model[i].order != 0 ? model[i].order > start : true);
	end();
}

static void test_a_full_index_refuses_one_more_and_changes_nothing(void)
{
	struct offer_keys keys = {.cnts = {1}, .keys = {{1}}};
	size_t used_len;
	uint32_t row;

	begin(17, 100);
	alike_rows(100);
	used_len = offers_room_used_len(room);
	CHECK_EQ(offers_index_put(offer_index, 101, 100, &keys, &row), WEFT_EFULL);
	CHECK_EQ(offers_index_cnt(offer_index), 100);
	CHECK_EQ(offers_room_used_len(room), used_len);
	offers_index_remove(offer_index, 0);
	CHECK_EQ(offers_index_put(offer_index, 101, 100, &keys, &row), 0);
	CHECK(offers_index_check(offer_index));
	end();
}

static void test_a_room_out_of_keys_refuses_and_changes_nothing(void)
{
	uint32_t row, put_cnt = 0;
	struct offer_keys keys;
	size_t used_len;
	int err;

	begin(18, MANY);
	do {
		for (unsigned c = 0; c < COLUMNS; c++) {
			keys.cnts[c] = OFFER_KEYS_MAX;
			for (unsigned k = 0; k < OFFER_KEYS_MAX; k++)
				keys.keys[c][k] = random_u64(&dice);
		}
		used_len = offers_room_used_len(room);
		err = offers_index_put(offer_index, put_cnt + 1, put_cnt, &keys, &row);
		put_cnt += err == 0;
	} while (err == 0);
	CHECK_EQ(err, WEFT_EFULL);
	/* What the room is made for it has. */
	CHECK(put_cnt * COLUMNS * OFFER_KEYS_MAX >= PAIR_CAP);
	CHECK_EQ(offers_room_used_len(room), used_len);
	CHECK_EQ(offers_index_cnt(offer_index), put_cnt);
	CHECK(offers_index_check(offer_index));
	end();
}

static void test_keys_given_twice_count_once(void)
{
	struct schema_condition condition = {
		.column = SET, .range_cnt = 2, .ranges = {{1, 5}, {3, 9}}};
	struct offer_find find = {.conditions = &condition,
				  .condition_cnt = 1,
				  .before = OFFER_NEWEST,
				  .page_max = 20,
				  .visit_max = OFFER_VISITS_MAX};
	struct offer_keys keys = {.cnts = {[SET] = 4}, .keys = {[SET] = {4, 3, 4, 3}}};
	struct offer_page page;
	uint32_t row;

	begin(19, MANY);
	CHECK_EQ(offers_index_put(offer_index, 1, 77, &keys, &row), 0);
	CHECK_EQ(keys.cnts[SET], 2);
	offers_index_find(offer_index, &find, &page);
	CHECK_EQ(page.cnt, 1);
	CHECK_EQ(page.refs[0], 77);
	/* Among many rows the condition is what is looked at. */
	for (uint32_t i = 0; i < 1000; i++) {
		struct offer_keys other = {.cnts = {[SET] = 1}, .keys = {[SET] = {100}}};

		CHECK_EQ(offers_index_put(offer_index, i + 2, i, &other, &row), 0);
	}
	offers_index_find(offer_index, &find, &page);
	CHECK_EQ(page.plan, OFFER_BY_CONDITION);
	CHECK_EQ(page.cnt, 1);
	CHECK_EQ(page.next, 0);
	offers_index_remove(offer_index, 0);
	offers_index_find(offer_index, &find, &page);
	CHECK_EQ(page.cnt, 0);
	CHECK_EQ(page.plan, OFFER_BY_NONE);
	end();
}

int main(void)
{
	RUN(test_random_changes_and_finds_agree_with_a_model);
	RUN(test_finds_of_each_plan_agree_with_a_model);
	RUN(test_a_filter_that_selects_all_is_paged_and_stops_at_the_page);
	RUN(test_conditions_that_exclude_each_other_cost_bounded_calls);
	RUN(test_rows_that_the_caller_refuses_end_a_call_too);
	RUN(test_pages_stay_while_rows_come_and_go);
	RUN(test_a_full_index_refuses_one_more_and_changes_nothing);
	RUN(test_a_room_out_of_keys_refuses_and_changes_nothing);
	RUN(test_keys_given_twice_count_once);
	return check_done();
}
