/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_plan.h"

#include "relay_state.h"

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t product(uint64_t a, uint64_t b)
{
	return b && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

/* A grant's rate is of both ways together, and so is its volume. Without a volume the rate bounds. */
static void grant_add(const struct relay_grant_terms *terms, struct relay_plan *plan)
{
	uint64_t month_len = terms->per_s ? product(terms->per_s, RELAY_PLAN_MONTH_S) : UINT64_MAX;

	plan->granted_cnt++;
	plan->unbounded_cnt += terms->per_s == 0;
	plan->endless_cnt += terms->per_s == 0 && terms->month_len == 0;
	plan->granted_per_s = sum(plan->granted_per_s, terms->per_s);
	if (terms->month_len && terms->month_len < month_len)
		month_len = terms->month_len;
	if (month_len < UINT64_MAX)
		plan->granted_month_len = sum(plan->granted_month_len, month_len);
}

/* Flows of flow_len bytes that fit into bound beside what grants take. */
static uint64_t flows_within(uint64_t bound, uint64_t granted, uint64_t flow_len)
{
	if (!bound)
		return WEFT_RELAY_FLOW_CNT_MAX;
	return bound > granted ? (bound - granted) / flow_len : 0;
}

void relay_plan(const struct relay_config *config, const struct relay *relay,
		const struct relay_plan_bounds *bounds, struct relay_plan *out_plan)
{
	uint64_t flow_per_s = 2 * config->free_per_s;
	uint64_t flow_month_len = product(flow_per_s, RELAY_PLAN_MONTH_S);
	uint64_t by_rate, by_month, fitting;

	*out_plan = (struct relay_plan){
		.free_per_s = product(config->flow_cap - 1, flow_per_s),
		.free_month_len = product(config->flow_cap - 1, flow_month_len),
	};
	for (unsigned row = 1; relay && row < relay->grant_cap; row++)
		if (relay->grants[row].is_open)
			grant_add(&relay->grants[row].terms, out_plan);
	by_rate = flows_within(bounds->uplink_per_s, out_plan->granted_per_s, flow_per_s);
	by_month = flows_within(bounds->month_len, out_plan->granted_month_len, flow_month_len);
	fitting = (by_rate < by_month ? by_rate : by_month) + 1;
	if (fitting > WEFT_RELAY_FLOW_CNT_MAX)
		fitting = WEFT_RELAY_FLOW_CNT_MAX;
	out_plan->flow_cap = fitting < RELAY_FLOW_CAP_MIN ? 0 : (uint32_t)fitting;
	out_plan->fits = config->flow_cap <= out_plan->flow_cap &&
			 !(bounds->uplink_per_s && out_plan->unbounded_cnt) &&
			 !(bounds->month_len && out_plan->endless_cnt);
}
