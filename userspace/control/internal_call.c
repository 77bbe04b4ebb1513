/* SPDX-License-Identifier: Apache-2.0 */
/* Calls from within the daemon. Home worker. */
#include "control/control_server.h"

int control_ask(struct control *control, const struct control_ask *ask, uint64_t now_ns,
		struct control_call **out_call)
{
	struct control_call *call = NULL;
	pool_handle handle;

	/* Calls from within have a bound, so that clients of the socket keep theirs. */
	if (control->asked_cnt < control->config.client_cap)
		call = control_call_new(control, ask->role, false);
	if (!call)
		return WEFT_EFULL;
	control->now_ns = now_ns;
	control->asked_cnt++;
	call->is_asked = true;
	call->answered = ask->answered;
	call->answered_arg = ask->arg;
	handle = pool_handle_of(&control->call_pool, call);
	control_call_run(call, ask->method, ask->parameters);
	*out_call = pool_lookup(&control->call_pool, handle);
	return 0;
}

void control_ask_leave(struct control_call *call)
{
	control_call_abandon(call);
}
