/* SPDX-License-Identifier: Apache-2.0 */
/* PlanGc, RunGc: what nothing refers to. */
#include <errno.h>
#include <stdlib.h>

#include "api/methods.h"
#include "blobs/blobs.h"

struct collection {
	struct control_call *call; /* NULL: the caller left */
	bool is_run;
};

static void collection_done(void *arg, int err, const struct blobs_gc *gc)
{
	struct collection *collection = arg;
	struct control_call *call = collection->call;
	bool is_run = collection->is_run;

	free(collection);
	if (!call)
		return;
	if (err < 0) {
		control_fail(call, err, "garbage collection", weft_err_text(err),
			     "nothing that is referred to was touched; try again");
		return;
	}
	const struct api_unreferenced row = {
		.objects = api_uint(gc->object_cnt),
		.blobs = api_uint(gc->blob_cnt),
		.paths = api_uint(gc->path_cnt),
		.bytes = api_uint(gc->byte_cnt),
	};
	if (is_run)
		api_reply(call, run_gc, .freed = row);
	else
		api_reply(call, plan_gc, .unreferenced = row);
}

static void collection_start(struct api *api, struct control_call *call, bool is_run)
{
	struct collection *collection = calloc(1, sizeof(*collection));
	int err = -ENOMEM;

	if (collection) {
		collection->is_run = is_run;
		control_hold(call, &collection->call);
		err = blobs_gc(api->home->content, is_run, collection_done, collection);
		if (err == 0)
			return;
	}
	control_fail(call, err, "garbage collection", weft_err_text(err),
		     "one may be running already: wait for it");
	free(collection);
}

void api_plan_gc(struct api *api, struct control_call *call, const struct api_plan_gc_in *in,
		 uint64_t now_ns)
{
	(void)in, (void)now_ns;
	collection_start(api, call, false);
}

void api_run_gc(struct api *api, struct control_call *call, const struct api_run_gc_in *in,
		uint64_t now_ns)
{
	(void)in, (void)now_ns;
	collection_start(api, call, true);
}
