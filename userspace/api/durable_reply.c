/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that wait for the store. Home worker. */
#include "durable_reply.h"

#include <errno.h>
#include <stdlib.h>

#include "control/control.h"
#include "weft/err.h"

struct api_durable_reply {
	struct control_call *call; /* NULL: the caller left */
	const char *what, *again;
	json_t *reply;
};

static void caller_left(void *arg)
{
	((struct api_durable_reply *)arg)->call = NULL;
}

static void durable_reply_free(struct api_durable_reply *waiting)
{
	json_decref(waiting->reply);
	free(waiting);
}

struct api_durable_reply *api_durable_reply_new(struct control_call *call, const char *what,
						const char *again, json_t *reply)
{
	struct api_durable_reply *waiting = malloc(sizeof(*waiting));

	if (!waiting) {
		json_decref(reply);
		control_fail(call, -ENOMEM, what, "no memory", "free some and try again");
		return NULL;
	}
	*waiting = (struct api_durable_reply){call, what, again, reply};
	control_on_gone(call, caller_left, waiting);
	return waiting;
}

void api_durable_reply_send(void *arg, int err)
{
	struct api_durable_reply *waiting = arg;

	if (waiting->call && err < 0)
		control_fail(waiting->call, err, waiting->what, weft_err_text(err), waiting->again);
	else if (waiting->call)
		control_reply(waiting->call, json_incref(waiting->reply));
	durable_reply_free(waiting);
}

void api_durable_reply_cancel(struct api_durable_reply *waiting)
{
	if (waiting->call)
		control_on_gone(waiting->call, NULL, NULL);
	durable_reply_free(waiting);
}
