/* SPDX-License-Identifier: Apache-2.0 */
/* weft post revoke: one command, and two calls. With --plan nothing is changed. */
#include "command/command.h"

int run_post_revoke(struct invocation *inv)
{
	struct invocation planning = *inv;
	struct command plan = *inv->command;

	if (!invocation_option(inv, "plan"))
		return command_call_run(inv);
	plan.call = (struct command_call){
		API_PLAN_REVOCATION, .takes = {TAKE(plan_revocation, person)},
		.parts = {SHOW_TABLE(plan_revocation, posts, revocation_cost_list,
				     "that person reads no such post")}};
	planning.command = &plan;
	return command_call_run(&planning);
}
