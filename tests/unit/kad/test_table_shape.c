/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of a routing table, once for each plane: buckets, splits, order, memory. */
#include "table_rig.h"

static int nearness(const struct kad_id *target, const struct kad_id *a, const struct kad_id *b)
{
	return kad_id_is_nearer(target, a, b) ? -1 : kad_id_is_nearer(target, b, a);
}

struct all {
	struct kad_id ids[2048];
	unsigned cnt;
};

static void test_closest_are_those_a_full_scan_finds(void)
{
	static struct all all;
	const struct kad_node *found[KAD_K_MAX], *node;
	struct kad_table_iter iter = {0};

	begin();
	for (unsigned i = 0; i < 4000; i++) {
		struct kad_contact contact = plane_contact(&own, 200, i, &dice);

		if (i % 4 == 0)
			contact.id =
				kad_id_random_in(&own, (unsigned)random_below(&dice, 30), &dice);
		(void)kad_table_answered(table, &contact, 0, SECOND);
	}
	all.cnt = 0;
	iter.table = table;
	while ((node = kad_table_next(&iter)))
		all.ids[all.cnt++] = node->contact.id;
	CHECK(all.cnt > 5 * config.k);
	for (unsigned round = 0; round < 500; round++) {
		unsigned bits = round % 2 ? (unsigned)random_below(&dice, 40) : 200;
		struct kad_id target = kad_id_random_in(&own, bits, &dice);
		unsigned cnt = kad_table_closest(
			table, &(struct kad_near){&target, KAD_TELL, SECOND}, found, config.k);

		CHECK_EQ(cnt, config.k);
		for (unsigned i = 1; i < cnt; i++)
			CHECK(nearness(&target, &found[i - 1]->contact.id, &found[i]->contact.id) <
			      0);
		for (unsigned i = 0, nearer = 0; i < all.cnt; i++) {
			nearer += nearness(&target, &all.ids[i], &found[cnt - 1]->contact.id) < 0;
			CHECK(nearer < cnt);
		}
	}
}

static void test_besieged_key_is_answered_by_halves(void)
{
	static const struct {
		unsigned proven, unproven, want_proven;
	} rows[] = {{0, 8, 0}, {1, 8, 1}, {4, 8, 4}, {8, 8, 4}, {8, 0, 8}, {8, 3, 5}};
	const struct kad_node *found[8];

	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct kad_id key;
		unsigned proven = 0;

		begin();
		key = kad_id_random_in(&own, 40, &dice);
		for (unsigned i = 0; i < rows[row].unproven; i++) {
			struct kad_contact near = plane_contact(&key, 60 + i, i, &dice);

			near.is_proven = false;
			(void)kad_table_answered(table, &near, 0, SECOND);
		}
		for (unsigned i = 0; i < rows[row].proven; i++) {
			struct kad_contact far = plane_contact(&own, 1 + i, 100 + i, &dice);

			(void)kad_table_answered(table, &far, 0, SECOND);
		}
		CHECK_EQ(kad_table_closest(table, &(struct kad_near){&key, KAD_TELL, SECOND}, found,
					   8),
			 rows[row].proven + rows[row].unproven < 8
				 ? rows[row].proven + rows[row].unproven
				 : 8);
		for (unsigned i = 0; i < 8; i++)
			proven += found[i]->contact.is_proven;
		CHECK_EQ(proven, rows[row].want_proven);
	}
}

static void test_only_the_own_bucket_splits(void)
{
	begin();
	for (unsigned i = 0; i < 1000; i++) {
		struct kad_contact contact = plane_contact(&own, 0, i, &dice);

		(void)kad_table_answered(table, &contact, 0, SECOND);
	}
	CHECK_EQ(counts(SECOND).buckets, 2);
	CHECK_EQ(counts(SECOND).good, plane->wide_cnt > plane->k ? plane->wide_cnt : plane->k);
	for (unsigned i = 0; i < 20000; i++) {
		struct kad_contact contact = plane_contact(&own, i % KAD_ID_BITS, i, &dice);

		(void)kad_table_answered(table, &contact, 0, SECOND);
	}
	CHECK(counts(SECOND).good <= counts(SECOND).member_cap);
	CHECK(counts(SECOND).buckets <= KAD_ID_BITS);
}

static void test_new_id_sorts_all_anew(void)
{
	struct kad_id other = kad_id_random_in(&own, 0, &dice);
	const struct kad_node *found[1];
	struct kad_table_counts before, after;

	begin();
	for (unsigned i = 0; i < 300; i++) {
		struct kad_contact contact = plane_contact(&own, 200, i, &dice);

		(void)kad_table_answered(table, &contact, 0, SECOND);
	}
	before = counts(SECOND);
	kad_table_set_own_id(table, &other, SECOND);
	after = counts(SECOND);
	CHECK(kad_id_equal(kad_table_own_id(table), &other));
	CHECK(after.good >= config.k && after.good <= before.good);
	CHECK_EQ(kad_table_closest(table, &(struct kad_near){&other, KAD_TELL, SECOND}, found, 1),
		 1);
	CHECK(member_lookup(&found[0]->contact.id) == found[0]);
}

static void test_member_is_removed_when_its_id_becomes_the_own_id(void)
{
	struct kad_contact contact;

	begin();
	contact = plane_contact(&own, 0, 1, &dice);
	(void)kad_table_answered(table, &contact, 0, SECOND);
	kad_table_set_own_id(table, &contact.id, SECOND);
	CHECK_EQ(counts(SECOND).good, 0);
}

static void test_refresh_is_due_once_per_bucket(void)
{
	struct kad_contact members[KAD_K_MAX];
	struct kad_id target;
	unsigned due = 0, buckets;

	begin();
	fill_deep(members);
	buckets = counts(SECOND).buckets;
	CHECK(!kad_table_next_refresh(table, config.refresh_ns - 1, &target));
	target = kad_id_random_in(&own, 3, &dice);
	kad_table_note_lookup(table, &target, config.refresh_ns);
	while (kad_table_next_refresh(table, config.refresh_ns, &target)) {
		CHECK(kad_id_common_bits(&own, &target) != 3);
		due++;
	}
	CHECK_EQ(due, buckets - 1);
}

static void test_random_target_shares_exactly_the_bits(void)
{
	begin();
	for (unsigned bits = 0; bits < KAD_ID_BITS; bits++) {
		struct kad_id made = kad_id_random_in(&own, bits, &dice);

		CHECK_EQ(kad_id_common_bits(&own, &made), bits);
	}
}

static void test_arena_too_small_is_refused(void)
{
	struct kad_table *none = NULL;
	struct arena small = {0};

	begin();
	CHECK_EQ(arena_open(&small, arena.used_len - 64), 0);
	CHECK_EQ(kad_table_new(
			 &small,
			 &(struct kad_table_params){
				 .config = &config, .own_id = &own, .random = &dice, .now_ns = 0},
			 &none),
		 WEFT_EFULL);
	CHECK(!none);
	arena_close(&small);
}

/* Whichever of the table's parts it is that finds no room. */
static void test_no_part_of_a_table_is_made_without_room(void)
{
	size_t len;

	begin();
	len = arena.used_len;
	for (unsigned i = 1; i < 64; i++) {
		struct kad_table *none = NULL;
		struct arena small = {0};

		CHECK_EQ(arena_open(&small, len * i / 64), 0);
		CHECK_EQ(kad_table_new(&small,
				       &(struct kad_table_params){.config = &config,
								  .own_id = &own,
								  .random = &dice,
								  .now_ns = 0},
				       &none),
			 WEFT_EFULL);
		CHECK(!none);
		arena_close(&small);
	}
}

/* All buckets but the last ones, in which hardly an id is: each member has a place of its own. */
static void test_full_buckets_share_no_place(void)
{
	struct kad_table_iter iter = {0};
	const struct kad_node *node;
	unsigned bad_cnt = 0, cnt;

	begin();
	for (unsigned i = 0; i < 100 * 100; i++) {
		struct kad_contact contact = plane_contact(&own, i % 100, i, &dice);

		(void)kad_table_answered(table, &contact, 0, SECOND);
	}
	CHECK(counts(SECOND).good >= 100 * config.k);
	iter.table = table;
	while ((node = kad_table_next(&iter))) {
		(void)members_with(&node->contact.id, &cnt);
		bad_cnt += cnt != 1;
	}
	CHECK_EQ(bad_cnt, 0);
}

int main(void)
{
	RUN_PLANES(test_closest_are_those_a_full_scan_finds);
	RUN_PLANES(test_besieged_key_is_answered_by_halves);
	RUN_PLANES(test_only_the_own_bucket_splits);
	RUN_PLANES(test_new_id_sorts_all_anew);
	RUN_PLANES(test_member_is_removed_when_its_id_becomes_the_own_id);
	RUN_PLANES(test_refresh_is_due_once_per_bucket);
	RUN_PLANES(test_random_target_shares_exactly_the_bits);
	RUN_PLANES(test_arena_too_small_is_refused);
	RUN_PLANES(test_no_part_of_a_table_is_made_without_room);
	RUN_PLANES(test_full_buckets_share_no_place);
	arena_close(&arena);
	return check_done();
}
