/* SPDX-License-Identifier: Apache-2.0 */
/* PlanRelay: whether what this relay sends at most fits an uplink. */
#include "api/methods.h"
#include "config/config.h"
#include "relay/relay_plan.h"

void api_plan_relay(struct api *api, struct control_call *call, const struct api_plan_relay_in *in,
		    uint64_t now_ns)
{
	const struct relay_config *config = &api->config->relay;
	struct relay_plan_bounds bounds = {
		.uplink_per_s = in->has_uplink ? (uint64_t)in->uplink : 0,
		.month_len = in->has_month ? (uint64_t)in->month : 0,
	};
	struct relay_plan plan;

	(void)now_ns;
	if ((in->has_uplink && in->uplink <= 0) || (in->has_month && in->month <= 0)) {
		control_fail(call, WEFT_EMALFORMED, "PlanRelay", "a bound is less than 1 byte",
			     "leave out a bound that does not hold");
		return;
	}
	relay_plan(config, api->relay, &bounds, &plan);
	api_reply(call, plan_relay,
		  .plan = {
			  .flow_cap = config->flow_cap,
			  .rate = api_uint(config->free_per_s),
			  .sent = api_uint(plan.free_per_s),
			  .sent_month = api_uint(plan.free_month_len),
			  .grants = plan.granted_cnt,
			  .without_rate = plan.unbounded_cnt,
			  .granted = api_uint(plan.granted_per_s),
			  .granted_month = api_uint(plan.granted_month_len),
			  .fits = plan.fits,
			  .fitting_flow_cap = plan.flow_cap,
		  });
}
