/* SPDX-License-Identifier: Apache-2.0 */
/* Places, the table by name and the order of ends, nearly full, against a list. */
#include "offers/store/offer_index.h"
#include "offers/store/offer_store_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/check.h"
#include "support/seed.h"

#define CAP 85u /* two thirds of a table of 128 */
#define OPS 100000u

static struct offer_store store;
static struct random dice;
static struct offer_row *rows[CAP]; /* by number; NULL: not there */
static unsigned cnt;

static void begin(void)
{
	memset(&store, 0, sizeof(store));
	memset(rows, 0, sizeof(rows));
	cnt = 0;
	random_init_seeded(&dice, seed_of_run(3));
	random_fill(&dice, store.secret, sizeof(store.secret));
	store.unit_cap = CAP - 1;
	if (arena_open(&store.arena, ARENA_GROWS) < 0 || offers_rows_init(&store) < 0 ||
	    offers_room_open(CAP, 1, &store.room) < 0 ||
	    offers_room_tree(store.room, &store.by_ref) < 0)
		exit(1);
}

static void end(void)
{
	CHECK(offers_tree_check(&store.by_ref));
	CHECK_EQ(store.by_ref.cnt, store.row_cnt);
	offers_tree_fini(&store.by_ref);
	offers_room_close(store.room);
	arena_close(&store.arena);
}

static void name_of(unsigned number, uint8_t name[static 16])
{
	memset(name, (int)number, 16);
}

static void row_add(unsigned number)
{
	struct offer_row *row = offers_rows_acquire(&store);

	name_of(number, row->provider);
	name_of(~number, row->offer_id);
	row->service = number % 3;
	row->order = number + 1;
	row->expires_s = random_below(&dice, 50);
	offers_rows_link(&store, row);
	rows[number] = row;
	cnt++;
}

static void row_remove(unsigned number)
{
	offers_rows_unlink(&store, rows[number]);
	offers_rows_release(&store, rows[number]);
	rows[number] = NULL;
	cnt--;
}

static bool is_same(void)
{
	uint64_t first_s = UINT64_MAX;

	for (unsigned i = 0; i < CAP; i++) {
		uint8_t provider[16], offer_id[16];

		name_of(i, provider);
		name_of(~i, offer_id);
		if (offers_rows_lookup(&store, i % 3, provider, offer_id) != rows[i] ||
		    offers_rows_lookup(&store, i % 3 + 1, provider, offer_id))
			return false;
		if (rows[i] && rows[i]->expires_s < first_s)
			first_s = rows[i]->expires_s;
	}
	return cnt ? offers_rows_first(&store)->expires_s == first_s : !offers_rows_first(&store);
}

static void test_random_changes_agree_with_a_list(void)
{
	begin();
	for (unsigned i = 0; i < OPS; i++) {
		unsigned number = (unsigned)random_below(&dice, CAP);

		if (!rows[number]) {
			row_add(number);
		} else if (random_below(&dice, 3) == 0) {
			rows[number]->expires_s = random_below(&dice, 50);
			offers_rows_settle(&store, rows[number]);
		} else if (random_below(&dice, 4) == 0) {
			row_remove(number);
		}
		if (i % 16 == 0)
			CHECK(is_same());
	}
	end();
}

static void test_one_more_than_there_are_places_is_refused(void)
{
	begin();
	for (unsigned i = 0; i < CAP; i++)
		row_add(i);
	CHECK(!offers_rows_acquire(&store));
	CHECK(is_same());
	row_remove(7);
	row_add(7);
	CHECK(is_same());
	while (cnt > 0) {
		struct offer_row *first = offers_rows_first(&store);

		row_remove((unsigned)first->order - 1);
		CHECK(!offers_rows_first(&store) ||
		      offers_rows_first(&store)->expires_s >= first->expires_s);
	}
	CHECK(is_same());
	end();
}

int main(void)
{
	RUN(test_random_changes_agree_with_a_list);
	RUN(test_one_more_than_there_are_places_is_refused);
	return check_done();
}
