/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reply that waits until what its call changed is durable. The store commits in order, so it
 * calls back for an empty batch behind the change when the change is kept.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/methods.h"
#include "store/store.h"

struct idempotent_reply {
	struct idempotent_reply *next;
	struct api *api;	   /* NULL: it closes */
	struct control_call *call; /* NULL: the caller left */
	json_t *reply;
};

static void idempotency_caller_left(void *arg)
{
	((struct idempotent_reply *)arg)->call = NULL;
}

static void idempotency_fail(struct control_call *call, int err)
{
	control_fail(call, err, "the change", "it could not be saved, so it holds until a restart",
		     "see that the state directory can be written, and try again");
}

static void kept_free(struct idempotent_reply *kept)
{
	struct idempotent_reply **at;

	if (kept->api) {
		for (at = &kept->api->idempotent_replies; *at != kept; at = &(*at)->next)
			;
		*at = kept->next;
	}
	json_decref(kept->reply);
	free(kept);
}

static void idempotency_done(void *arg, int err)
{
	struct idempotent_reply *kept = arg;

	if (kept->call) {
		control_on_gone(kept->call, NULL, NULL);
		if (err < 0)
			idempotency_fail(kept->call, err);
		else
			control_reply(kept->call, json_incref(kept->reply));
	}
	kept_free(kept);
}

void api_reply_idempotent(struct api *api, struct control_call *call, json_t *reply)
{
	struct idempotent_reply *kept = calloc(1, sizeof(*kept));
	struct store_batch *batch = store_batch_new(api->store);
	int err = kept ? store_submit(api->store, batch, idempotency_done, kept) : -ENOMEM;

	if (err < 0) {
		store_batch_free(batch);
		json_decref(reply);
		free(kept);
		idempotency_fail(call, err);
		return;
	}
	kept->api = api;
	kept->call = call;
	kept->reply = reply;
	kept->next = api->idempotent_replies;
	api->idempotent_replies = kept;
	control_on_gone(call, idempotency_caller_left, kept);
}

void api_idempotency_forget(struct api *api)
{
	for (struct idempotent_reply *kept = api->idempotent_replies; kept; kept = kept->next) {
		kept->api = NULL;
		kept->call = NULL;
	}
	api->idempotent_replies = NULL;
}
