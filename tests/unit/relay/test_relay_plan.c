/* SPDX-License-Identifier: Apache-2.0 */
/* What a relay sends at most, and what fits an uplink. */
#include "relay/relay_plan.h"
#include "support/check.h"
#include "support/relay_rig.h"

/* A flow is 2 * 8,000 bytes a second, and a month has 2,678,400 s. */
#define FLOW_PER_S  16000ull
#define FLOW_MONTH  (FLOW_PER_S * 2678400)
#define GRANT_RATE  100000ull
#define GRANT_MONTH 5000000000ull

static struct relay_rig rig;

static struct relay_plan plan(const struct relay *relay, uint64_t uplink, uint64_t month)
{
	const struct relay_plan_bounds bounds = {.uplink_per_s = uplink, .month_len = month};
	struct relay_config config;
	struct relay_plan out;

	relay_config_defaults(&config);
	config.flow_cap = 101;
	config.free_per_s = 8000;
	relay_plan(&config, relay, &bounds, &out);
	return out;
}

static void test_all_flows_are_busy_both_ways(void)
{
	struct relay_plan all = plan(NULL, 0, 0);

	CHECK_EQ(all.free_per_s, 100 * FLOW_PER_S);
	CHECK_EQ(all.free_month_len, 100 * FLOW_MONTH);
	CHECK_EQ(all.flow_cap, WEFT_RELAY_FLOW_CNT_MAX);
	CHECK(all.fits);
}

static void test_the_tighter_bound_holds_to_the_byte(void)
{
	CHECK_EQ(plan(NULL, 100 * FLOW_PER_S, 0).flow_cap, 101);
	CHECK(plan(NULL, 100 * FLOW_PER_S, 0).fits);
	CHECK_EQ(plan(NULL, 100 * FLOW_PER_S - 1, 0).flow_cap, 100);
	CHECK(!plan(NULL, 100 * FLOW_PER_S - 1, 0).fits);
	CHECK_EQ(plan(NULL, 100 * FLOW_PER_S, 70 * FLOW_MONTH).flow_cap, 71);
	CHECK_EQ(plan(NULL, 80 * FLOW_PER_S, 90 * FLOW_MONTH).flow_cap, 81);
}

static void test_less_than_the_lowest_setting_fits_nothing(void)
{
	CHECK_EQ(plan(NULL, 63 * FLOW_PER_S, 0).flow_cap, RELAY_FLOW_CAP_MIN);
	CHECK_EQ(plan(NULL, 63 * FLOW_PER_S - 1, 0).flow_cap, 0);
	CHECK_EQ(plan(NULL, 1, 1).flow_cap, 0);
}

static void test_more_than_the_table_has_is_the_table(void)
{
	CHECK_EQ(plan(NULL, UINT64_MAX, UINT64_MAX).flow_cap, WEFT_RELAY_FLOW_CNT_MAX);
}

static void test_grants_come_first(void)
{
	struct relay_plan with;

	relay_rig_begin(&rig, NULL, 0);
	relay_rig_grant(&rig, 1, GRANT_RATE, GRANT_MONTH);
	relay_grant_close(rig.relay, relay_rig_grant(&rig, 2, GRANT_RATE, 0));
	with = plan(rig.relay, 80 * FLOW_PER_S + GRANT_RATE, 0);
	CHECK_EQ(with.granted_cnt, 1);
	CHECK_EQ(with.granted_per_s, GRANT_RATE);
	CHECK_EQ(with.granted_month_len, GRANT_MONTH);
	CHECK_EQ(with.flow_cap, 81);
	CHECK_EQ(plan(rig.relay, 0, 70 * FLOW_MONTH + GRANT_MONTH).flow_cap, 71);
	CHECK_EQ(plan(rig.relay, GRANT_RATE, 0).flow_cap, 0);
	relay_rig_end(&rig);
}

static void test_a_rate_bounds_the_month_of_a_grant_without_a_volume(void)
{
	relay_rig_begin(&rig, NULL, 0);
	relay_rig_grant(&rig, 1, GRANT_RATE, 0);
	CHECK_EQ(plan(rig.relay, 0, 0).granted_month_len, GRANT_RATE * RELAY_PLAN_MONTH_S);
	relay_rig_end(&rig);
}

static void test_a_grant_without_a_rate_fits_no_uplink(void)
{
	relay_rig_begin(&rig, NULL, 0);
	relay_rig_grant(&rig, 1, 0, 0);
	CHECK_EQ(plan(rig.relay, UINT64_MAX, 0).unbounded_cnt, 1);
	CHECK(!plan(rig.relay, UINT64_MAX, 0).fits);
	CHECK(!plan(rig.relay, 0, UINT64_MAX).fits);
	CHECK(plan(rig.relay, 0, 0).fits);
	relay_rig_end(&rig);
	relay_rig_begin(&rig, NULL, 0);
	relay_rig_grant(&rig, 1, 0, GRANT_MONTH);
	CHECK(!plan(rig.relay, UINT64_MAX, 0).fits);
	CHECK(plan(rig.relay, 0, 100 * FLOW_MONTH + GRANT_MONTH).fits);
	relay_rig_end(&rig);
}

int main(void)
{
	RUN(test_all_flows_are_busy_both_ways);
	RUN(test_the_tighter_bound_holds_to_the_byte);
	RUN(test_less_than_the_lowest_setting_fits_nothing);
	RUN(test_more_than_the_table_has_is_the_table);
	RUN(test_grants_come_first);
	RUN(test_a_rate_bounds_the_month_of_a_grant_without_a_volume);
	RUN(test_a_grant_without_a_rate_fits_no_uplink);
	return check_done();
}
