/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 150 nodes with mesh slots: how full they get, and how soon they are whole again. One node starts
 * anew, or a third of them ends. Prints what it measures.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "social/slots/social_slots.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "support/seed.h"
#include "support/social_slots_lab.h"

#define PEERS	    150u
#define FRIENDS	    10u
#define RESUME_MS   5000u /* of a restart, 9 of 10 slots; measured 1,6 s */
#define RECOVER_MIN 30u

static struct slots_lab_place *place_at(unsigned number)
{
	return &slots_lab_places[number];
}

struct fill {
	unsigned least, most, full_cnt;
	uint64_t sum;
};

static struct fill fill_of(unsigned end)
{
	struct fill fill = {.least = UINT32_MAX};

	for (unsigned i = 0; i < end; i++) {
		unsigned total;

		if (!place_at(i)->slots)
			continue;
		total = slots_lab_total(place_at(i));
		fill.least = total < fill.least ? total : fill.least;
		fill.most = total > fill.most ? total : fill.most;
		fill.sum += total;
		fill.full_cnt += total == SLOTS_MAX;
	}
	return fill;
}

/* Each has ten friends, and knows its neighbour in the ring to begin with. */
static void ring_begin(void)
{
	slots_lab_begin(0);
	for (unsigned i = 0; i < PEERS; i++) {
		struct slots_lab_place *place = slots_lab_add();

		place->sources[place->source_cnt++] = i ? i - 1 : PEERS - 1;
		for (unsigned n = 1; n <= FRIENDS / 2; n++) {
			place->friends[place->friend_cnt++] = (i + n * 7) % PEERS;
			place->friends[place->friend_cnt++] = (i + PEERS - n * 7) % PEERS;
		}
	}
	slots_lab_all_up();
}

static void test_150_nodes_fill_their_classes(void)
{
	struct fill fill;
	struct slots_stats stats;

	ring_begin();
	slots_lab_pass((seed_is_small() ? 10ull : 20ull) * 60 * NS_PER_S);
	fill = fill_of(PEERS);
	stats = slots_lab_stats(place_at(0));
	printf("# slots of %u nodes: least %u, mean %.1f, most %u, full %u\n", PEERS, fill.least,
	       (double)fill.sum / PEERS, fill.most, fill.full_cnt);
	printf("# of the first: %u preferred, %u local, %u wide, N1 %u, N2 %u, N3 %u\n",
	       stats.preferred_cnt, stats.local_cnt, stats.wide_cnt, stats.n1_cnt, stats.n2_cnt,
	       stats.n3_cnt);
	CHECK_EQ(fill.most, SLOTS_MAX);
	CHECK(fill.full_cnt >= PEERS / 2);
	CHECK(fill.least >= 80);
	for (unsigned i = 0; i < PEERS; i++) {
		stats = slots_lab_stats(place_at(i));
		CHECK_EQ(stats.preferred_cnt, FRIENDS);
		CHECK(stats.local_cnt <= 71 && stats.wide_cnt <= 20);
	}
	slots_lab_end();
}

static bool has_resumed(void *arg)
{
	return slots_lab_total(place_at(0)) >= *(const unsigned *)arg;
}

/* kill -9, and a start with what was on the disk. */
static void test_a_node_that_starts_again_has_its_slots_in_seconds(void)
{
	char dir[SCRATCH_CAP];
	struct slots_lab_place *place;
	unsigned before, wanted;
	uint64_t begin_ns;

	(void)scratch_make(dir);
	ring_begin();
	place = place_at(0);
	slots_lab_down(place);
	place->ground.store = scratch_store(dir, true);
	slots_lab_up(place);
	slots_lab_pass(8 * 60 * NS_PER_S);
	before = slots_lab_total(place);
	wanted = before - before / 10;
	slots_lab_down(place);
	store_close(place->ground.store);
	for (unsigned i = 1; i < PEERS; i++)
		slots_lab_part(place, place_at(i));
	/* What it began with is not there any more. */
	place->source_cnt = place->friend_cnt = 0;
	slots_lab_pass(30 * NS_PER_S);

	place->ground.store = scratch_store(dir, true);
	begin_ns = slots_lab.now_ns;
	slots_lab_up(place);
	CHECK(mesh_lab_run(&slots_lab, 60 * NS_PER_S, has_resumed, &wanted));
	printf("# %u of %u slots, %lu ms after the start\n", wanted, before,
	       (unsigned long)((slots_lab.now_ns - begin_ns) / NS_PER_MS));
	CHECK(slots_lab.now_ns - begin_ns <= RESUME_MS * NS_PER_MS);
	slots_lab_down(place);
	store_close(place->ground.store);
	place->ground.store = NULL;
	slots_lab_end();
	scratch_remove(dir);
}

static bool has_recovered(void *arg)
{
	return fill_of(PEERS).sum >= *(const uint64_t *)arg;
}

/* 45 nodes end at once, and come back later. */
static void test_a_net_that_lost_a_third_is_whole_again(void)
{
	const unsigned gone_cnt = PEERS * 3 / 10;
	uint64_t before, wanted, begin_ns;

	ring_begin();
	slots_lab_pass(10 * 60 * NS_PER_S);
	before = fill_of(PEERS).sum;
	for (unsigned i = 0; i < gone_cnt; i++) {
		struct slots_lab_place *place = place_at(i * 10 / 3);

		slots_lab_down(place);
		for (unsigned k = 0; k < PEERS; k++)
			if (place_at(k) != place)
				slots_lab_part(place, place_at(k));
	}
	/* 105 are left: each of them can have 101 slots, but those of friends that went. */
	wanted = (PEERS - gone_cnt) * 80ull;
	begin_ns = slots_lab.now_ns;
	slots_lab_pass(20 * NS_PER_S);
	CHECK(mesh_lab_run(&slots_lab, RECOVER_MIN * 60 * NS_PER_S, has_recovered, &wanted));
	printf("# %u of %u nodes gone: 80 slots each on average after %lu s\n", gone_cnt, PEERS,
	       (unsigned long)((slots_lab.now_ns - begin_ns) / NS_PER_S));
	slots_lab_all_up();
	wanted = before - before / 10;
	begin_ns = slots_lab.now_ns;
	CHECK(mesh_lab_run(&slots_lab, RECOVER_MIN * 60 * NS_PER_S, has_recovered, &wanted));
	printf("# they came back: 9 of 10 slots after %lu s\n",
	       (unsigned long)((slots_lab.now_ns - begin_ns) / NS_PER_S));
	slots_lab_end();
}

int main(void)
{
	RUN(test_150_nodes_fill_their_classes);
	RUN(test_a_node_that_starts_again_has_its_slots_in_seconds);
	RUN(test_a_net_that_lost_a_third_is_whole_again);
	return check_done();
}
