/* SPDX-License-Identifier: Apache-2.0 */
/* Walks of a roster: rows in order, from a key on, once round, and events by number. */
#include "community/roster/roster.h"

#include <string.h>

#include "base/memory/arena.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

static const struct roster_limits limits = {
	.member_cap = 64, .share_cap = 64, .shares_per_member = 8};
static const uint8_t id[COMMUNITY_ID_LEN] = {5}, next_id[COMMUNITY_ID_LEN] = {6};
static char dir[SCRATCH_CAP];
static struct store *store;
static struct arena arena;
static struct roster roster, next_roster;
static struct store_snapshot *snapshot;

/* Members with the first bytes of their keys, in this order. */
static void members_put(struct roster *of, const uint8_t *of_id, const char *firsts)
{
	struct roster_draft draft;
	struct store_batch *batch = store_batch_new(store);
	struct store_snapshot *before;

	CHECK_EQ(community_roster_init(of, &arena, &limits, 7), 0);
	CHECK_EQ(community_roster_open(of, store, of_id), 0);
	CHECK_EQ(store_snapshot_open(store, &before), 0);
	community_roster_draft_begin(&draft, of, batch);
	for (; *firsts; firsts++) {
		struct roster_entry entry = {.kind = ROSTER_MEMBER,
					     .key = {(uint8_t)*firsts},
					     .until_s = 100,
					     .is_live = true,
					     .record = (const uint8_t *)"record",
					     .len = 6};

		CHECK_EQ(community_roster_draft_put(&draft, before, &entry), 0);
	}
	store_snapshot_close(before);
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_flush(store);
	community_roster_draft_apply(&draft);
}

static void begin(const char *firsts)
{
	store = scratch_store(scratch_make(dir), true);
	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	members_put(&roster, id, firsts);
	members_put(&next_roster, next_id, "z");
	CHECK_EQ(store_snapshot_open(store, &snapshot), 0);
}

static void end(void)
{
	store_snapshot_close(snapshot);
	arena_close(&arena);
	store_close(store);
	scratch_remove(dir);
}

/* The first bytes of the keys in the order of a walk from a key with the byte from; 0: from NULL. */
static const char *walked(char from, bool wraps)
{
	static char firsts[64];
	uint8_t key[ROSTER_KEY_LEN] = {(uint8_t)from};
	struct roster_iter iter;
	struct roster_row row;
	size_t cnt = 0;

	community_roster_walk(&iter, snapshot, id, ROSTER_MEMBER, from ? key : NULL);
	iter.wraps = wraps;
	while (cnt < sizeof(firsts) - 1 && community_roster_next(&iter, &row))
		firsts[cnt++] = (char)row.key[0];
	firsts[cnt] = 0;
	return community_roster_end(&iter) == 0 ? firsts : "failed";
}

static void test_a_walk_gives_the_rows_of_its_community_in_order(void)
{
	begin("dbac");
	CHECK_STR(walked(0, false), "abcd");
	CHECK_STR(walked('b', false), "bcd");
	CHECK_STR(walked('e', false), "");
	end();
}

static void test_a_walk_that_wraps_gives_each_row_once(void)
{
	begin("dbac");
	CHECK_STR(walked('c', true), "cdab");
	CHECK_STR(walked('a', true), "abcd");
	CHECK_STR(walked('x', true), "abcd");
	end();
	begin("");
	CHECK_STR(walked('c', true), "");
	end();
}

static void test_events_come_by_number(void)
{
	struct roster_iter iter;
	struct roster_event event;
	char firsts[8] = "";
	size_t cnt = 0;

	begin("dbac");
	community_roster_events(&iter, snapshot, id, roster.event - 2);
	while (cnt < sizeof(firsts) - 1 && community_roster_event_next(&iter, &event)) {
		CHECK_EQ(event.kind, ROSTER_MEMBER);
		CHECK_EQ(event.number, roster.event - 2 + cnt);
		firsts[cnt++] = (char)event.key[0];
	}
	CHECK_EQ(community_roster_end(&iter), 0);
	CHECK_STR(firsts, "bac");
	end();
}

int main(void)
{
	RUN(test_a_walk_gives_the_rows_of_its_community_in_order);
	RUN(test_a_walk_that_wraps_gives_each_row_once);
	RUN(test_events_come_by_number);
	return check_done();
}
