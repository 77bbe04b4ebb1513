/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ForgetGet, SetSeeding: what becomes of a get after it brought its files. A caller that
 * gives one up gets what went and what stayed. The cleanup goes on when the caller leaves,
 * and over restarts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/blobs.h"
#include "method_get_named.h"
#include "api/methods.h"

/* --- giving up --- */

struct forgetting {
	struct control_call *call; /* NULL: its caller left */
	uint64_t id;
};

static void forget_fail(struct control_call *call, uint64_t id, int err)
{
	if (err == WEFT_ECANCELLED)
		api_fail_get(call, id, err, "the daemon stops; it goes on when it starts again",
			     "weft get list shows whether it is gone");
	else
		api_fail_get(call, id, err, weft_err_text(err),
			     "look after its folder; weft get list shows whether it is gone");
}

static void forget_done(void *arg, int err, const struct blobs_forgotten *forgotten)
{
	struct forgetting *forgetting = arg;
	struct control_call *call = forgetting->call;

	if (call && err < 0)
		forget_fail(call, forgetting->id, err);
	else if (call)
		api_reply(call, forget_get, .get_id = api_uint(forgetting->id),
			  .removed = api_uint(forgotten->removed_cnt),
			  .kept = api_uint(forgotten->kept_cnt),
			  .first_kept = forgotten->first_kept ? forgotten->first_kept : "");
	free(forgetting);
}

static bool is_followed(const struct api *api, const struct blobs_get *get)
{
	const struct follow *follow =
		get->folder && api->follows
			? shares_follow_lookup(api->follows, get->folder->share_id)
			: NULL;

	return follow && strcmp(follow->folder, get->target) == 0;
}

void api_forget_get(struct api *api, struct control_call *call, const struct api_forget_get_in *in,
		    uint64_t now_ns)
{
	const struct blobs_get *get = api_get_named(api, call, in->get_id);
	struct forgetting *forgetting;
	uint64_t id;
	int err;

	if (!get)
		return;
	id = get->id;
	if (is_followed(api, get)) {
		api_fail_get(call, id, WEFT_EREFUSED,
			     "it fills the folder of a followed share, and would begin again",
			     "first: weft sub set NAME --no-get (weft sub list shows the name)");
		return;
	}
	forgetting = calloc(1, sizeof(*forgetting));
	if (!forgetting) {
		api_fail_get(call, id, -ENOMEM, "no memory", "free some and try again");
		return;
	}
	forgetting->id = id;
	control_hold(call, &forgetting->call);
	err = blobs_get_forget(
		api->home->content,
		&(struct blobs_forget_ask){
			.id = id, .deletes = in->delete, .done = forget_done, .arg = forgetting},
		now_ns);
	if (err == 0)
		return;
	if (err == WEFT_EBUSY)
		api_fail_get(call, id, err, "it is given up already, or garbage is collected",
			     "weft get list shows it until it is gone; try again soon");
	else
		api_fail_get(call, id, err, weft_err_text(err), "weft get list shows all");
	free(forgetting);
}

/* --- seeding --- */

/* A bound as a call gives it; below 0: that of the configuration. */
static uint64_t bound_of(int64_t given)
{
	return given < 0 ? UINT64_MAX : (uint64_t)given;
}

void api_set_seeding(struct api *api, struct control_call *call,
		     const struct api_set_seeding_in *in, uint64_t now_ns)
{
	const struct blobs_get *get = api_get_named(api, call, in->get_id);
	uint64_t percent = bound_of(in->percent), for_s = bound_of(in->for_s), id;
	bool is_stopped = !in->seeded;
	struct blobs_seed_ask ask = {
		.is_stopped = in->has_seeded ? &is_stopped : NULL,
		.percent = in->has_percent ? &percent : NULL,
		.for_s = in->has_for_s ? &for_s : NULL,
	};
	int err;

	if (!get)
		return;
	id = get->id;
	err = blobs_get_seed(api->home->content, id, &ask, now_ns);
	get = blobs_get_lookup(api->home->content, id);
	if (err == WEFT_EMALFORMED)
		api_fail_get(call, id, err, "a bound is more than there can be",
			     "a ratio is at most 1000000, a time 100 years");
	else if (err < 0)
		api_fail_get(call, id, err, "it is being given up", "weft get list shows all");
	else
		api_reply_idempotent(api, call,
				     api_set_seeding_out_write(&(struct api_set_seeding_out){
					     .get = api_get_info(control_blocks(call), api, get)}));
}
