/* SPDX-License-Identifier: Apache-2.0 */
#include "share_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "method_publish.h"

struct api_share_call *api_share_call_new(struct api *api)
{
	struct api_share_call *waiting = calloc(1, sizeof(*waiting));

	if (!waiting)
		return NULL;
	waiting->api = api;
	waiting->next = api->share_calls;
	api->share_calls = waiting;
	return waiting;
}

void api_share_call_free(struct api_share_call *waiting)
{
	struct api_share_call **at = &waiting->api->share_calls;

	while (*at != waiting)
		at = &(*at)->next;
	*at = waiting->next;
	free(waiting);
}

void api_share_calls_forget(struct api *api)
{
	while (api->share_calls)
		api_share_call_free(api->share_calls);
}

static void caller_left(void *arg)
{
	struct api_share_call *waiting = arg;

	waiting->call = NULL;
	/* Too late: it is being stored, and stays. */
	if (waiting->cancels &&
	    shares_publisher_cancel(waiting->api->publisher, waiting->share_id) < 0)
		waiting->cancels = false;
}

struct api_share_call *api_share_call_wait(struct api *api, struct control_call *call,
					   const char *name)
{
	struct api_share_call *waiting = api_share_call_new(api);

	if (!waiting) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return NULL;
	}
	waiting->call = call;
	snprintf(waiting->name, sizeof(waiting->name), "%s", name);
	control_on_gone(call, caller_left, waiting);
	return waiting;
}

void api_share_call_refuse(struct api_share_call *waiting, int err)
{
	if (err == 0)
		return;
	api_share_refuse(waiting->call, waiting->name, err);
	api_share_call_free(waiting);
}
