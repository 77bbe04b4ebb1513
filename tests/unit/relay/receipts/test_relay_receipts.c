/* SPDX-License-Identifier: Apache-2.0 */
/* A relay and owners of flows exchange receipts: when, and what they say after losses. */
#include "receipts_rig.h"

static void test_the_first_comes_soon_and_later_ones_each_hour(void)
{
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	count_same(owner, 1000, 2000);
	run_ns(9 * NS_PER_S);
	CHECK_EQ(row_of(owner, &nodes[0], 0).serial, 0);
	CHECK_EQ(row_of(owner, &nodes[0], 0).pending.sent, 1000);
	run_ns(2 * NS_PER_S);
	check_both(owner, 1, (struct relay_count){1000, 2000});
	CHECK_EQ(row_of(&nodes[0], owner, 0).pending.sent, 0);
	count_same(owner, 10, 20);
	run_ns(HOUR - 10 * NS_PER_S);
	check_both(owner, 1, (struct relay_count){1000, 2000});
	run_ns(20 * NS_PER_S);
	check_both(owner, 2, (struct relay_count){1010, 2020});
	run_ns(3 * HOUR); /* nothing is carried, so there is nothing to sign */
	check_both(owner, 2, (struct relay_count){1010, 2020});
	end_all();
}

static void test_many_bytes_and_the_end_of_flows_hurry_a_receipt(void)
{
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	count_same(owner, 1, 0);
	run_ns(11 * NS_PER_S);
	check_both(owner, 1, (struct relay_count){1, 0});
	count_same(owner, RELAY_CLAIM_BYTES - 1, 0);
	run_ns(RELAY_CLAIM_GAP_NS);
	check_both(owner, 1, (struct relay_count){1, 0});
	count_same(owner, 1, 0);
	run_ns(NS_PER_S);
	check_both(owner, 2, (struct relay_count){1 + RELAY_CLAIM_BYTES, 0});
	run_ns(RELAY_CLAIM_GAP_NS);
	count_same(owner, 5, 5);
	relay_receipts_used(owner->receipts, nodes[0].node->key, &(struct relay_count){.sent = 0},
			    true);
	owner->node->due_ns = lab.now_ns;
	run_ns(2 * NS_PER_S);
	check_both(owner, 3, (struct relay_count){6 + RELAY_CLAIM_BYTES, 5});
	end_all();
}

static void test_what_counts_is_the_smaller_count(void)
{
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	count(owner, (struct relay_count){4000000, 100}, (struct relay_count){3500000, 200});
	run_ns(11 * NS_PER_S);
	check_both(owner, 1, (struct relay_count){3500000, 100});
	CHECK_EQ(row_of(owner, &nodes[0], 0).pending.sent, 0);
	end_all();
}

static void test_counts_that_do_not_agree_are_refused_and_shown(void)
{
	const uint64_t far = 4 << 20, near = (4 << 20) - (1 << 20) - RELAY_RECEIPT_SLACK;
	struct relay_receipts_row mine, theirs;
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	count(owner, (struct relay_count){far, 7}, (struct relay_count){near - 1, 7});
	run_ns(11 * NS_PER_S);
	mine = row_of(owner, &nodes[0], 0);
	theirs = row_of(&nodes[0], owner, 0);
	CHECK_EQ(mine.serial, 0);
	CHECK_EQ(theirs.serial, 0);
	CHECK(mine.has_counts && theirs.has_counts);
	CHECK_EQ(mine.refused_cnt, 1);
	CHECK_EQ(mine.refused_own.sent, far);
	CHECK_EQ(mine.refused_other.sent, near - 1);
	CHECK_EQ(theirs.refused_own.sent, near - 1);
	CHECK_EQ(theirs.refused_other.sent, far);
	CHECK_EQ(stats(owner).denied_cnt, 1);
	CHECK_EQ(stats(&nodes[0]).disagreed_cnt, 1);
	/* Both begin anew, and one byte nearer they agree. */
	run_ns(RELAY_CLAIM_GAP_NS);
	count(owner, (struct relay_count){far, 7}, (struct relay_count){near, 7});
	run_ns(11 * NS_PER_S);
	check_both(owner, 1, (struct relay_count){near, 7});
	end_all();
}

static void test_an_answer_that_was_lost_is_given_again(void)
{
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	count_same(owner, 1000, 2000);
	/* The claim arrives; the owner hears nothing of the answer. */
	for (unsigned i = 0; i < 100 && !stats(&nodes[0]).signed_cnt; i++)
		run_ns(200 * NS_PER_MS);
	CHECK_EQ(row_of(&nodes[0], owner, 0).serial, 1);
	mesh_lab_down(owner->node);
	relay_receipts_stop(owner->receipts);
	relay_receipts_free(owner->receipts);
	mesh_lab_up(owner->node);
	receipts_start(owner, RELAY_RECEIPTS_CAP_MIN);
	mesh_lab_ask(owner->node, nodes[0].node, MESH_RELAY_RECEIPT, "", 0, &asked);
	/* It has lost its counts, too. Its next claim has the serial of the receipt that is there. */
	count_same(owner, 30, 40);
	run_ns(RELAY_CLAIM_GAP_NS + 30 * NS_PER_S);
	CHECK_EQ(stats(&nodes[0]).repeated_cnt, 1);
	check_both(owner, 2, (struct relay_count){1030, 2040});
	end_all();
}

/* Its counts are stored, and the receipt that it lost has them: none is counted twice. */
static void test_counts_that_a_lost_receipt_has_are_not_counted_again(void)
{
	static char dir[SCRATCH_CAP];
	struct relay_receipts_row mine;
	struct store *store;
	struct place *owner;

	scratch_make(dir);
	begin();
	store = scratch_store(dir, true);
	owner = owner_add(store);
	count_same(owner, RELAY_COUNT_SAVE_LEN, 2000);
	run_ns(9 * NS_PER_S);
	/* Its answer is on its way. */
	for (unsigned i = 0; i < 1000 && !stats(&nodes[0]).signed_cnt; i++)
		run_ns(2 * NS_PER_MS);
	CHECK_EQ(row_of(&nodes[0], owner, 0).serial, 1);
	relay_receipts_stop(owner->receipts);
	mesh_lab_down(owner->node);
	store_freeze(store);
	relay_receipts_free(owner->receipts);
	store_crash(store);
	store = owner->store = scratch_store(dir, true);
	mesh_lab_up(owner->node);
	receipts_start(owner, RELAY_RECEIPTS_CAP_MIN);
	CHECK_EQ(row_of(owner, &nodes[0], 0).serial, 0);
	CHECK_EQ(row_of(owner, &nodes[0], 0).pending.sent, RELAY_COUNT_SAVE_LEN);
	mesh_lab_ask(owner->node, nodes[0].node, MESH_RELAY_RECEIPT, "", 0, &asked);
	count_same(owner, 30, 40);
	run_ns(RELAY_CLAIM_GAP_NS + 30 * NS_PER_S);
	mine = row_of(owner, &nodes[0], 0);
	CHECK_EQ(mine.counted.sent, RELAY_COUNT_SAVE_LEN + 30);
	check_both(owner, 2, (struct relay_count){RELAY_COUNT_SAVE_LEN + 30, 2040});
	end_all();
	store_close(store);
	scratch_remove(dir);
}

static void relay_restart_with(struct store *store, struct relay_receipts_config config)
{
	relay_receipts_stop(nodes[0].receipts);
	mesh_lab_down(nodes[0].node);
	relay_receipts_free(nodes[0].receipts);
	mesh_lab_up(nodes[0].node);
	nodes[0].store = store;
	receipts_start_with(&nodes[0], config);
}

static void relay_restart(struct store *store)
{
	relay_restart_with(store,
			   (struct relay_receipts_config){.row_cap = RELAY_RECEIPTS_CAP_MIN});
}

static void test_a_relay_that_lost_its_store_goes_on_from_the_owners_receipt(void)
{
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	count_same(owner, 1000, 2000);
	run_ns(11 * NS_PER_S);
	relay_restart(NULL);
	mesh_lab_ask(owner->node, nodes[0].node, MESH_RELAY_RECEIPT, "", 0, &asked);
	count_same(owner, 5, 6);
	run_ns(HOUR + 20 * NS_PER_S);
	check_both(owner, 2, (struct relay_count){1005, 2006});
	end_all();
}

/* kill -9, and a start with room for so many rows. */
static struct store *relay_crash(const char *dir, struct store *store, uint32_t row_cap)
{
	store_freeze(store);
	relay_receipts_stop(nodes[0].receipts);
	relay_receipts_free(nodes[0].receipts);
	store_crash(store);
	mesh_lab_down(nodes[0].node);
	mesh_lab_up(nodes[0].node);
	store = nodes[0].store = scratch_store(dir, true);
	receipts_start(&nodes[0], row_cap);
	return store;
}

/* All but the newest bytes: fewer than RELAY_COUNT_SAVE_LEN, or those of a second. */
static void test_receipts_and_counts_are_there_after_a_crash(void)
{
	const uint64_t many = RELAY_COUNT_SAVE_LEN;
	static char dir[SCRATCH_CAP];
	struct store *store;
	struct place *owner;

	scratch_make(dir);
	begin();
	store = scratch_store(dir, true);
	relay_restart(store);
	owner = owner_add(NULL);
	count_same(owner, 1000, 2000);
	run_ns(60 * NS_PER_S);
	check_both(owner, 1, (struct relay_count){1000, 2000});
	count_same(owner, many, 7);
	run_ns(2 * NS_PER_S);
	count_same(owner, many - 1, 0);
	run_ns(2 * NS_PER_S);
	store = relay_crash(dir, store, RELAY_RECEIPTS_CAP_MIN);
	check_both(owner, 1, (struct relay_count){1000, 2000});
	CHECK_EQ(row_of(&nodes[0], owner, 0).pending.sent, many);
	CHECK_EQ(row_of(&nodes[0], owner, 0).pending.received, 7);
	CHECK_EQ(row_of(&nodes[0], owner, 0).counted.sent, 1000 + many);
	/* Few bytes wait for a minute, and for nothing at a clean stop. */
	count_same(owner, many - 1, 0);
	run_ns(62 * NS_PER_S);
	store = relay_crash(dir, store, RELAY_RECEIPTS_CAP_MIN);
	CHECK_EQ(row_of(&nodes[0], owner, 0).pending.sent, 2 * many - 1);
	count_same(owner, 1, 0);
	relay_restart(store);
	CHECK_EQ(row_of(&nodes[0], owner, 0).pending.sent, 2 * many);
	end_all();
	store_close(store);
	scratch_remove(dir);
}

/* One row more than a batch has: all are stored after two. */
static void test_counts_of_many_rows_are_stored_one_batch_a_second(void)
{
	static char dir[SCRATCH_CAP];
	uint8_t key[MESH_KEY_LEN] = {0xee};
	struct relay_receipts_row row;
	struct store *store;
	uint32_t idx = 0, cnt = 0;

	scratch_make(dir);
	begin();
	store = scratch_store(dir, true);
	relay_restart_with(store, (struct relay_receipts_config){.row_cap = 128});
	for (uint8_t i = 0; i <= 64; i++) {
		key[1] = i;
		relay_receipts_carried(nodes[0].receipts, key,
				       &(struct relay_count){.sent = RELAY_COUNT_SAVE_LEN});
	}
	nodes[0].node->due_ns = lab.now_ns;
	run_ns(3 * NS_PER_S);
	store = relay_crash(dir, store, 128);
	while (relay_receipts_next(nodes[0].receipts, &idx, &row))
		cnt += row.pending.sent == RELAY_COUNT_SAVE_LEN;
	CHECK_EQ(cnt, 65);
	end_all();
	store_close(store);
	scratch_remove(dir);
}

/* Receipts of the keys of one network and month. */
static void fill_month(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		count_same(&nodes[1 + i], 100, 100);
	run_ns(RELAY_CLAIM_GAP_NS + 11 * NS_PER_S);
}

static unsigned rows_of_month(uint32_t month)
{
	struct relay_receipts_row row;
	uint32_t idx = 0;
	unsigned cnt = 0;

	while (relay_receipts_next(nodes[0].receipts, &idx, &row))
		cnt += row.month == month && row.serial == 1;
	return cnt;
}

/* 40 in each of two months, and room for 64: the oldest ones go, and are counted. */
static void test_less_room_hides_nothing_and_costs_the_oldest_month(void)
{
	static char dir[SCRATCH_CAP];
	struct store *store;
	uint32_t month;

	scratch_make(dir);
	begin();
	store = scratch_store(dir, true);
	relay_restart_with(store, (struct relay_receipts_config){.row_cap = 128});
	for (unsigned i = 0; i < 40; i++)
		(void)owner_add(NULL);
	month = relay_month_of(wall_s());
	fill_month(40);
	while (relay_month_of(wall_s()) == month)
		wall_ahead_s += 86400;
	run_ns(60 * NS_PER_S);
	fill_month(40);
	CHECK_EQ(rows_of_month(month), 40);
	CHECK_EQ(rows_of_month(month + 1), 40);
	/* A node that is no relay any more keeps what it signed. */
	relay_restart_with(store,
			   (struct relay_receipts_config){.row_cap = 64, .row_stored_cap = 128});
	CHECK_EQ(rows_of_month(month), 40);
	CHECK_EQ(rows_of_month(month + 1), 40);
	CHECK_EQ(stats(&nodes[0]).dropped_cnt, 0);
	store = relay_crash(dir, store, 64);
	CHECK_EQ(stats(&nodes[0]).dropped_cnt, 16);
	CHECK_EQ(rows_of_month(month), 24);
	CHECK_EQ(rows_of_month(month + 1), 40);
	/* They are not hidden, but gone. */
	store_flush(store);
	store = relay_crash(dir, store, 128);
	CHECK_EQ(stats(&nodes[0]).dropped_cnt, 0);
	CHECK_EQ(rows_of_month(month), 24);
	end_all();
	store_close(store);
	scratch_remove(dir);
}

static void test_a_month_has_its_own_receipts_and_old_months_go(void)
{
	uint32_t first, month;
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	first = month = relay_month_of(wall_s());
	count_same(owner, 1000, 2000);
	run_ns(11 * NS_PER_S);
	for (unsigned i = 1; i < RELAY_RECEIPT_MONTHS; i++) {
		while (relay_month_of(wall_s()) == month)
			wall_ahead_s += 86400;
		month = relay_month_of(wall_s());
		run_ns(60 * NS_PER_S);
		count_same(owner, i, i);
		run_ns(60 * NS_PER_S);
		CHECK_EQ(row_of(owner, &nodes[0], month).serial, 1);
		CHECK_EQ(row_of(owner, &nodes[0], month).total.sent, i);
	}
	CHECK_EQ(row_of(&nodes[0], owner, first).total.sent, 1000);
	CHECK_EQ(stats(&nodes[0]).row_cnt, RELAY_RECEIPT_MONTHS);
	/* A month without a receipt is no age. */
	wall_ahead_s += 32 * 86400;
	run_ns(60 * NS_PER_S);
	CHECK_EQ(stats(&nodes[0]).expired_cnt, 0);
	count_same(owner, 1, 1);
	run_ns(60 * NS_PER_S);
	CHECK_EQ(row_of(&nodes[0], owner, first).serial, 0);
	CHECK_EQ(row_of(owner, &nodes[0], first).serial, 0);
	CHECK_EQ(stats(&nodes[0]).expired_cnt, 1);
	end_all();
}

/* The other signer's clock is right, so nothing is signed meanwhile. */
static void test_a_clock_a_year_ahead_costs_no_receipt_and_no_count(void)
{
	static char dir[SCRATCH_CAP];
	struct store *store;
	struct place *owner;
	uint32_t month;

	scratch_make(dir);
	begin();
	store = scratch_store(dir, true);
	relay_restart(store);
	owner = owner_add(NULL);
	month = relay_month_of(wall_s());
	count_same(owner, 1000, 2000);
	run_ns(11 * NS_PER_S);
	relays_ahead_s = 400 * 86400;
	nodes[0].node->due_ns = lab.now_ns;
	count_same(owner, 100, 200);
	run_ns(2 * HOUR);
	check_both(owner, 1, (struct relay_count){1000, 2000});
	CHECK(stats(&nodes[0]).refused_cnt > 0);
	store = relay_crash(dir, store, RELAY_RECEIPTS_CAP_MIN);
	CHECK_EQ(row_of(&nodes[0], owner, month).serial, 1);
	CHECK_EQ(stats(&nodes[0]).expired_cnt, 0);
	/* Put right again, it goes on with its month, and rows of the other one go. */
	relays_ahead_s = 0;
	nodes[0].node->due_ns = lab.now_ns;
	mesh_lab_ask(owner->node, nodes[0].node, MESH_RELAY_RECEIPT, "", 0, &asked);
	count_same(owner, 10, 20);
	run_ns(2 * HOUR);
	CHECK_EQ(stats(&nodes[0]).row_cnt, 1);
	CHECK_EQ(row_of(&nodes[0], owner, month).serial, 2);
	CHECK_EQ(row_of(&nodes[0], owner, month).counted.sent, 1110);
	end_all();
	store_close(store);
	scratch_remove(dir);
}

static void test_what_is_pending_at_the_end_of_a_month_is_claimed_in_it_or_the_next(void)
{
	struct place *owner;
	uint32_t month;

	begin();
	owner = owner_add(NULL);
	month = relay_month_of(wall_s());
	count_same(owner, 1000, 0);
	run_ns(2 * RELAY_CLAIM_GAP_NS);
	count_same(owner, 10, 0);
	while (relay_month_of(wall_s() + 50) == month)
		wall_ahead_s++;
	nodes[0].node->due_ns = lab.now_ns; /* it sees the clock, too */
	run_ns(25 * NS_PER_S);
	CHECK_EQ(row_of(owner, &nodes[0], month).total.sent, 1010); /* before its hour is over */
	count_same(owner, 5, 0);
	run_ns(3 * RELAY_CLAIM_GAP_NS);
	CHECK_EQ(row_of(owner, &nodes[0], month).total.sent, 1010);
	CHECK_EQ(row_of(owner, &nodes[0], month + 1).total.sent, 5);
	CHECK_EQ(row_of(&nodes[0], owner, month + 1).total.sent, 5);
	end_all();
}

/* Relays whose sessions are over are not dialled for a receipt. */
static void test_a_claim_waits_for_the_next_session(void)
{
	uint64_t dial_cnt;
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	mesh_lab_down(owner->node);
	mesh_lab_up(owner->node);
	relay_receipts_stop(owner->receipts);
	relay_receipts_free(owner->receipts);
	receipts_start(owner, RELAY_RECEIPTS_CAP_MIN);
	dial_cnt = owner->node->dial_cnt;
	count_same(owner, 1000, 2000);
	run_ns(300 * NS_PER_S);
	CHECK_EQ(owner->node->dial_cnt, dial_cnt);
	CHECK_EQ(row_of(owner, &nodes[0], 0).pending.sent, 1000);
	mesh_lab_ask(owner->node, nodes[0].node, MESH_RELAY_RECEIPT, "", 0, &asked);
	relay_receipts_session(owner->receipts, nodes[0].node->key, lab.now_ns);
	owner->node->due_ns = lab.now_ns;
	run_ns(3 * NS_PER_S);
	check_both(owner, 1, (struct relay_count){1000, 2000});
	end_all();
}

int main(void)
{
	RUN(test_the_first_comes_soon_and_later_ones_each_hour);
	RUN(test_many_bytes_and_the_end_of_flows_hurry_a_receipt);
	RUN(test_what_counts_is_the_smaller_count);
	RUN(test_counts_that_do_not_agree_are_refused_and_shown);
	RUN(test_an_answer_that_was_lost_is_given_again);
	RUN(test_counts_that_a_lost_receipt_has_are_not_counted_again);
	RUN(test_a_relay_that_lost_its_store_goes_on_from_the_owners_receipt);
	RUN(test_receipts_and_counts_are_there_after_a_crash);
	RUN(test_counts_of_many_rows_are_stored_one_batch_a_second);
	RUN(test_less_room_hides_nothing_and_costs_the_oldest_month);
	RUN(test_a_month_has_its_own_receipts_and_old_months_go);
	RUN(test_a_clock_a_year_ahead_costs_no_receipt_and_no_count);
	RUN(test_what_is_pending_at_the_end_of_a_month_is_claimed_in_it_or_the_next);
	RUN(test_a_claim_waits_for_the_next_session);
	return check_done();
}
