/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger of a grant: leases, months, kill -9. */
#include <string.h>

#include "support/check.h"
#include "support/relay_rig.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define SECOND	1000000000ull
#define RATE	1000000
#define OUT_LEN (1200 + 16 + 8 + 20)

static struct relay_rig rig;
static char dir[SCRATCH_CAP];
static struct store *store;

static void begin(void)
{
	scratch_make(dir);
	store = scratch_store(dir, true);
	relay_rig_begin(&rig, store, 0);
}

static void end(void)
{
	relay_rig_end(&rig);
	store_close(store);
	scratch_remove(dir);
}

/* kill -9: nothing that was not durable is left, and nothing is settled. The next relay is another. */
static void crash_and_restart(void)
{
	store_freeze(store);
	relay_rig_end(&rig);
	store_crash(store);
	store = scratch_store(dir, true);
	relay_rig_begin(&rig, store, 0);
}

static void stop_and_restart(void)
{
	relay_rig_end(&rig);
	store_close(store);
	store = scratch_store(dir, true);
	relay_rig_begin(&rig, store, 0);
}

static uint64_t used_of(unsigned row)
{
	uint64_t used = 0;

	return relay_grant_used(rig.relay, row, &used) == 0 ? used : ~0ull;
}

/* Sends as long as any passes, a turn after the other; returns the bytes that did. */
static uint64_t send_for(struct relay_flow_id id, unsigned turns, unsigned per_turn)
{
	uint64_t sent = 0;

	for (unsigned i = 0; i < turns; i++) {
		relay_rig_pass(&rig, RELAY_TURN_NS);
		for (unsigned k = 0; k < per_turn; k++)
			if (relay_rig_send_own(&rig, id, 0, 1200) == WEFT_REASON_RELAYED)
				sent += OUT_LEN;
	}
	return sent;
}

static void test_nothing_goes_before_a_lease_is_durable(void)
{
	struct relay_flow_id id;
	unsigned row;

	begin();
	row = relay_rig_grant(&rig, 1, RATE, 0);
	id = relay_rig_open_whole(&rig, 1, row);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 1200), WEFT_REASON_RELAY_VOLUME);
	relay_rig_pass(&rig, 2 * RELAY_TURN_NS);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 1200), WEFT_REASON_RELAYED);
	CHECK_EQ(used_of(row), OUT_LEN);
	end();
}

static void test_a_failed_store_hands_out_nothing(void)
{
	struct relay_flow_id id;
	unsigned row;

	begin();
	row = relay_rig_grant(&rig, 1, RATE, 0);
	id = relay_rig_open_whole(&rig, 1, row);
	store_freeze(store);
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 1200), WEFT_REASON_RELAY_VOLUME);
	end();
}

static void test_a_rate_is_reached_through_leases(void)
{
	struct relay_flow_id id;
	uint64_t sent;
	unsigned row;

	begin();
	row = relay_rig_grant(&rig, 1, RATE, 0);
	id = relay_rig_open_whole(&rig, 1, row);
	relay_rig_pass(&rig, SECOND);
	/* A second of burst, and ten of the rate; twice as much is offered. */
	sent = send_for(id, 100, 160);
	CHECK(sent <= 11 * RATE);
	CHECK(sent >= 11 * RATE - RATE / 4);
	CHECK_EQ(used_of(row), sent);
	end();
}

static void test_a_clean_stop_counts_every_byte_and_no_more(void)
{
	struct relay_flow_id id;
	uint64_t sent = 0;
	unsigned row;

	begin();
	for (unsigned life = 0; life < 5; life++) {
		row = relay_rig_grant(&rig, 1, RATE, 0);
		CHECK_EQ(used_of(row), sent);
		id = relay_rig_open_whole(&rig, 1, row);
		sent += send_for(id, 20, 30);
		stop_and_restart();
	}
	CHECK(sent > 0);
	CHECK_EQ(used_of(relay_rig_grant(&rig, 1, RATE, 0)), sent);
	end();
}

/* At whatever moment: between a lease's order and its storing, or long after. */
static void test_after_kill_9_no_byte_is_missing_and_at_most_a_lease_is_too_much(void)
{
	for (unsigned turns = 1; turns < 40; turns += 3) {
		struct relay_flow_id id;
		uint64_t sent = 0;
		unsigned row;

		begin();
		for (unsigned life = 0; life < 3; life++) {
			row = relay_rig_grant(&rig, 1, RATE, 0);
			id = relay_rig_open_whole(&rig, 1, row);
			sent += send_for(id, turns, 80);
			crash_and_restart();
			row = relay_rig_grant(&rig, 1, RATE, 0);
			CHECK(used_of(row) >= sent);
			CHECK(used_of(row) <= sent + RATE);
			sent = used_of(row);
		}
		end();
	}
}

static void test_a_month_ends_at_its_last_byte_and_the_flow_goes_on_slowly(void)
{
	const uint64_t month = 100 * OUT_LEN + OUT_LEN - 1;
	struct relay_flow_id id;
	uint64_t sent, slowly;
	unsigned row;

	begin();
	row = relay_rig_grant(&rig, 1, RATE, month);
	id = relay_rig_open_whole(&rig, 1, row);
	relay_rig_pass(&rig, SECOND);
	sent = 0;
	for (unsigned i = 0; i < 300; i++)
		if (relay_rig_send_own(&rig, id, 0, 1200) == WEFT_REASON_RELAYED)
			sent += OUT_LEN;
	CHECK_EQ(sent, 100 * OUT_LEN);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 1200), WEFT_REASON_RELAY_VOLUME);
	CHECK(!rig.is_slow);
	relay_rig_pass(&rig, SECOND);
	CHECK(rig.is_slow);
	slowly = send_for(id, 1000, 2);
	CHECK(slowly <= 100 * 1000 + 2 * OUT_LEN + 3000);
	CHECK(slowly >= 100 * 1000 - 3000);
	CHECK_EQ(used_of(row), sent + slowly);
	end();
}

static void test_a_new_month_begins_at_nothing(void)
{
	struct relay_flow_id id;
	uint64_t sent;
	unsigned row;

	begin();
	row = relay_rig_grant(&rig, 1, RATE, 50 * OUT_LEN);
	id = relay_rig_open_whole(&rig, 1, row);
	(void)send_for(id, 30, 30);
	CHECK(rig.is_slow);
	rig.wall_s += 31 * 86400;
	relay_rig_pass(&rig, SECOND);
	CHECK(!rig.is_slow);
	CHECK_EQ(used_of(row), 0);
	CHECK_EQ(relay_flow_renew(rig.relay, id), 0); /* its label was of another hour */
	sent = send_for(id, 3, 10);
	CHECK_EQ(sent, 30 * OUT_LEN);
	crash_and_restart();
	rig.wall_s += 31 * 86400;
	relay_rig_pass(&rig, SECOND);
	row = relay_rig_grant(&rig, 1, RATE, 50 * OUT_LEN);
	CHECK(used_of(row) >= sent);
	CHECK(used_of(row) <= 50 * OUT_LEN);
	/* A clock that is put back does not give a month again. */
	rig.wall_s -= 40 * 86400;
	relay_rig_pass(&rig, SECOND);
	CHECK(used_of(row) >= sent);
	end();
}

/* An operator's clock was a year ahead for an hour. The months after it begin at nothing as before. */
static void test_a_clock_that_was_a_year_ahead_holds_no_month_back(void)
{
	struct relay_flow_id id;
	uint64_t sent;
	unsigned row;

	begin();
	row = relay_rig_grant(&rig, 1, RATE, 50 * OUT_LEN);
	id = relay_rig_open_whole(&rig, 1, row);
	(void)send_for(id, 30, 30);
	CHECK(rig.is_slow);
	rig.wall_s += 366 * 86400;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(used_of(row), 0);
	CHECK_EQ(relay_flow_renew(rig.relay, id), 0);
	sent = send_for(id, 3, 10);
	CHECK_EQ(sent, 30 * OUT_LEN);
	rig.wall_s -= 366 * 86400;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(used_of(row), sent);
	crash_and_restart();
	row = relay_rig_grant(&rig, 1, RATE, 50 * OUT_LEN);
	CHECK(used_of(row) >= sent);
	rig.wall_s += 31 * 86400;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(used_of(row), 0);
	end();
}

static void test_a_closed_grant_ends_its_flows_and_opens_where_it_was(void)
{
	struct relay_flow_id id;
	uint64_t sent;
	unsigned row;

	begin();
	row = relay_rig_grant(&rig, 1, RATE, 0);
	id = relay_rig_open_whole(&rig, 1, row);
	sent = send_for(id, 5, 10);
	relay_grant_close(rig.relay, row);
	CHECK_EQ(rig.closed_cnt, 1);
	CHECK_EQ(rig.closed_why, RELAY_CLOSED_GRANT);
	CHECK_EQ(relay_rig_send_own(&rig, id, 0, 1200), WEFT_REASON_CNT);
	CHECK_EQ(relay_rig_open(&rig, 1, row, &id), WEFT_EABSENT);
	row = relay_rig_grant(&rig, 1, RATE, 0);
	CHECK_EQ(used_of(row), sent);
	CHECK_EQ(relay_rig_open(&rig, 1, row, &id), 0);
	end();
}

static void test_one_grant_beyond_capacity_is_refused_and_a_closed_ones_row_is_not(void)
{
	struct relay_grant_terms terms = {.per_s = RATE};
	unsigned row = 0;

	relay_rig_begin(&rig, NULL, 0);
	for (unsigned i = 1; i < WEFT_RELAY_GRANT_CNT; i++) {
		memcpy(terms.id, &i, sizeof(i));
		row = (unsigned)relay_grant_open(rig.relay, &terms);
		CHECK_EQ(row, i);
	}
	terms.id[30] = 1;
	CHECK_EQ(relay_grant_open(rig.relay, &terms), WEFT_EFULL);
	relay_grant_close(rig.relay, row);
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(relay_grant_open(rig.relay, &terms), row);
	CHECK_EQ(relay_grant_row(rig.relay, terms.id), row);
	relay_rig_end(&rig);
}

static void test_two_flows_of_a_grant_share_its_rate(void)
{
	struct relay_flow_id ids[2];
	uint64_t sent[2] = {0, 0};
	unsigned row;

	begin();
	row = relay_rig_grant(&rig, 1, RATE, 0);
	for (unsigned i = 0; i < 2; i++)
		ids[i] = relay_rig_open_whole(&rig, 1, row);
	relay_rig_pass(&rig, SECOND);
	for (unsigned turn = 0; turn < 100; turn++) {
		relay_rig_pass(&rig, RELAY_TURN_NS);
		for (unsigned k = 0; k < 200; k++)
			sent[k % 2] +=
				relay_rig_send_own(&rig, ids[k % 2], 0, 1200) == WEFT_REASON_RELAYED
					? OUT_LEN
					: 0;
	}
	CHECK(sent[0] + sent[1] <= 11 * RATE);
	CHECK(sent[0] + sent[1] >= 10 * RATE);
	CHECK(sent[0] <= sent[1] + sent[1] / 20 && sent[1] <= sent[0] + sent[0] / 20);
	end();
}

int main(void)
{
	RUN(test_nothing_goes_before_a_lease_is_durable);
	RUN(test_a_failed_store_hands_out_nothing);
	RUN(test_a_rate_is_reached_through_leases);
	RUN(test_a_clean_stop_counts_every_byte_and_no_more);
	RUN(test_after_kill_9_no_byte_is_missing_and_at_most_a_lease_is_too_much);
	RUN(test_a_month_ends_at_its_last_byte_and_the_flow_goes_on_slowly);
	RUN(test_a_new_month_begins_at_nothing);
	RUN(test_a_clock_that_was_a_year_ahead_holds_no_month_back);
	RUN(test_a_closed_grant_ends_its_flows_and_opens_where_it_was);
	RUN(test_one_grant_beyond_capacity_is_refused_and_a_closed_ones_row_is_not);
	RUN(test_two_flows_of_a_grant_share_its_rate);
	return check_done();
}
