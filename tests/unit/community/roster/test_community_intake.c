/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of a community that are full, and counts that hold over changes and restarts. */
#include "community/roster/community_intake.h"

#include "base/monotonic.h"
#include "community/community_state.h"
#include "support/check.h"
#include "support/community_lab.h"

static struct community_lab lab;
static struct community_lab_node *node;
static uint8_t id[COMMUNITY_ID_LEN], share_id[COMMUNITY_ID_LEN];

static void begin(uint32_t share_cap, uint32_t shares_per_member)
{
	community_lab_init(&lab, 1, 1);
	node = community_lab_add(&lab);
	node->config.share_cap = share_cap;
	node->config.shares_per_member = shares_per_member;
	community_lab_start(node);
	if (community_lab_create(node, "lab", false, id) < 0)
		abort();
	(void)community_lab_run(&lab, 5 * NS_PER_S, NULL, NULL);
}

static uint64_t reason_cnt(enum community_reason reason)
{
	struct community_stats stats;

	communities_stats(node->communities, &stats);
	return stats.reasons[reason];
}

/* Binds shares number 1 to cnt, and lets them be stored. */
static void bind_some(unsigned cnt)
{
	for (unsigned number = 1; number <= cnt; number++) {
		if (community_lab_bind(node, id, number, 1, true, "t", share_id) < 0)
			abort();
		(void)community_lab_run(&lab, NS_PER_S, NULL, NULL);
	}
}

static void test_a_share_more_than_one_may_announce_is_refused(void)
{
	begin(100, 3);
	bind_some(3);
	CHECK_EQ(community_lab_info(node, id).share_cnt, 3);
	CHECK_EQ(reason_cnt(COMMUNITY_ONES_SHARES_FULL), 0);
	CHECK_EQ(community_lab_bind(node, id, 4, 1, true, "t", share_id), 0);
	CHECK(!community_lab_run(&lab, NS_PER_S, NULL, NULL));
	CHECK_EQ(reason_cnt(COMMUNITY_ONES_SHARES_FULL), 1);
	CHECK_EQ(community_lab_info(node, id).share_cnt, 3);
	/* Another revision of one that is there is no share more; after a restart, too. */
	community_lab_kill(node);
	community_lab_start(node);
	CHECK_EQ(community_lab_bind(node, id, 2, 2, true, "t", share_id), 0);
	CHECK_EQ(community_lab_bind(node, id, 4, 1, true, "t", share_id), 0);
	CHECK(!community_lab_run(&lab, 10 * NS_PER_S, NULL, NULL));
	CHECK_EQ(reason_cnt(COMMUNITY_ONES_SHARES_FULL), 1);
	CHECK_EQ(community_lab_info(node, id).share_cnt, 3);
	community_lab_fini(&lab);
}

static void test_a_share_more_than_the_table_holds_is_refused(void)
{
	begin(2, 100);
	bind_some(2);
	CHECK_EQ(reason_cnt(COMMUNITY_SHARES_FULL), 0);
	CHECK_EQ(community_lab_bind(node, id, 3, 1, true, "t", share_id), 0);
	CHECK(!community_lab_run(&lab, NS_PER_S, NULL, NULL));
	CHECK_EQ(reason_cnt(COMMUNITY_SHARES_FULL), 1);
	CHECK_EQ(community_lab_info(node, id).share_cnt, 2);
	community_lab_fini(&lab);
}

static void test_a_binding_more_than_may_wait_is_refused(void)
{
	begin(100, 100);
	for (unsigned number = 1; number <= COMMUNITY_BINDS_MAX; number++)
		CHECK_EQ(community_lab_bind(node, id, number, 1, true, "t", share_id), 0);
	CHECK_EQ(community_lab_bind(node, id, 99, 1, true, "t", share_id), WEFT_EBUSY);
	CHECK(!community_lab_run(&lab, 10 * NS_PER_S, NULL, NULL));
	CHECK_EQ(community_lab_info(node, id).share_cnt, COMMUNITY_BINDS_MAX);
	community_lab_fini(&lab);
}

static void test_counts_and_digests_are_those_of_the_rows(void)
{
	struct community *community;
	struct roster before;

	begin(100, 100);
	bind_some(5);
	CHECK_EQ(community_lab_bind(node, id, 2, 2, false, "t", share_id), 0);
	CHECK_EQ(community_lab_bind(node, id, 3, 2, true, "other", share_id), 0);
	CHECK(!community_lab_run(&lab, 5 * NS_PER_S, NULL, NULL));
	community = community_lookup(node->communities, id);
	before = community->roster;
	CHECK_EQ(before.share_cnt, 5);
	CHECK_EQ(before.bound_cnt, 4);
	/* Read anew from the rows they are the same. */
	community_lab_kill(node);
	community_lab_start(node);
	community = community_lookup(node->communities, id);
	CHECK_EQ(community->roster.share_cnt, before.share_cnt);
	CHECK_EQ(community->roster.bound_cnt, before.bound_cnt);
	CHECK_EQ(community->roster.member_cnt, before.member_cnt);
	CHECK_EQ(community->roster.event, before.event);
	CHECK_MEM(&community->roster.members, &before.members, sizeof(before.members));
	CHECK_MEM(&community->roster.shares, &before.shares, sizeof(before.shares));
	CHECK_EQ(community->shares.cnt, 4);
	community_lab_fini(&lab);
}

/* Half a life later all own records are signed anew, though nothing changed. */
static void test_own_records_are_renewed_before_they_end(void)
{
	begin(100, 100);
	bind_some(3);
	lab.skew_s = COMMUNITY_RECORD_LIFE_S / 2 + 60;
	CHECK(!community_lab_run(&lab, 7 * 3600 * NS_PER_S, NULL, NULL));
	lab.skew_s = COMMUNITY_RECORD_LIFE_S;
	CHECK(!community_lab_run(&lab, 60 * NS_PER_S, NULL, NULL));
	CHECK(community_lab_knows(node, id, node));
	for (unsigned number = 1; number <= 3; number++) {
		CHECK_EQ(community_lab_bind(node, id, number, 0, true, "t", share_id), 0);
		CHECK(community_lab_lists(node, id, share_id));
	}
	community_lab_fini(&lab);
}

int main(void)
{
	RUN(test_a_share_more_than_one_may_announce_is_refused);
	RUN(test_a_share_more_than_the_table_holds_is_refused);
	RUN(test_a_binding_more_than_may_wait_is_refused);
	RUN(test_counts_and_digests_are_those_of_the_rows);
	RUN(test_own_records_are_renewed_before_they_end);
	return check_done();
}
