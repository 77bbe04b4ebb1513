/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ForgetGet, SetSeeding: what becomes of a get after it brought its files. Whoever gives one up
 * hears what went and what stayed; it goes on when the caller leaves, and over restarts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/blobs.h"
#include "method_get_named.h"
#include "api/methods.h"
#include "node/sharing/sharing_state.h"

/* --- giving up --- */

struct forgetting {
	struct control_call *call; /* NULL: its caller left */
	uint64_t id;
};

static void forget_caller_left(void *arg)
{
	((struct forgetting *)arg)->call = NULL;
}

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

	if (call)
		control_on_gone(call, NULL, NULL);
	if (call && err < 0)
		forget_fail(call, forgetting->id, err);
	else if (call)
		control_reply(call, json_pack("{s:o, s:o, s:o, s:s}", "get_id",
					      api_json_uint(forgetting->id), "removed",
					      api_json_uint(forgotten->removed_cnt), "kept",
					      api_json_uint(forgotten->kept_cnt), "first_kept",
					      forgotten->first_kept ? forgotten->first_kept : ""));
	free(forgetting);
}

static bool is_followed(const struct node *node, const struct blobs_get *get)
{
	const struct follow *follow =
		get->folder && node->sharing
			? shares_follow_lookup(node->sharing->follows, get->folder->share_id)
			: NULL;

	return follow && strcmp(follow->folder, get->target) == 0;
}

void api_forget_get(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	const struct blobs_get *get = api_get_named(node, call, parameters);
	bool deletes = json_is_true(json_object_get(parameters, "delete"));
	struct forgetting *forgetting;
	uint64_t id;
	int err;

	if (!get)
		return;
	id = get->id;
	if (is_followed(node, get)) {
		api_fail_get(call, id, WEFT_EREFUSED,
			     "it fills the folder of a followed share, and would begin again",
			     "first: weft sub set NAME --no-fetch (weft sub list shows the name)");
		return;
	}
	forgetting = calloc(1, sizeof(*forgetting));
	if (!forgetting) {
		api_fail_get(call, id, -ENOMEM, "no memory", "free some and try again");
		return;
	}
	*forgetting = (struct forgetting){call, id};
	control_on_gone(call, forget_caller_left, forgetting);
	err = blobs_get_forget(node->home.content, id, deletes, now_ns, forget_done, forgetting);
	if (err == 0)
		return;
	control_on_gone(call, NULL, NULL);
	free(forgetting);
	if (err == WEFT_EBUSY)
		api_fail_get(call, id, err, "it is given up already, or garbage is collected",
			     "weft get list shows it until it is gone; try again soon");
	else
		api_fail_get(call, id, err, weft_err_text(err), "weft get list shows all");
}

/* --- seeding --- */

/* A bound as a call gives it: a number, or default true for that of the configuration. */
static const uint64_t *bound_read(const json_t *parameters, const char *name, uint64_t *value)
{
	const json_t *given = json_object_get(parameters, name);

	if (!json_is_integer(given))
		return NULL;
	*value = json_integer_value(given) < 0 ? UINT64_MAX : (uint64_t)json_integer_value(given);
	return value;
}

void api_set_seeding(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;
	const struct blobs_get *get = api_get_named(node, call, parameters);
	const json_t *seeded = json_object_get(parameters, "seeded");
	uint64_t percent, for_s, id;
	bool is_stopped = json_is_false(seeded);
	struct blobs_seed_ask ask = {
		.is_stopped = json_is_boolean(seeded) ? &is_stopped : NULL,
		.percent = bound_read(parameters, "percent", &percent),
		.for_s = bound_read(parameters, "for_s", &for_s),
	};
	int err;

	if (!get)
		return;
	id = get->id;
	err = blobs_get_seed(node->home.content, id, &ask, now_ns);
	get = blobs_get_lookup(node->home.content, id);
	if (err == WEFT_EMALFORMED)
		api_fail_get(call, id, err, "a bound is more than there can be",
			     "a ratio is at most 1000000, a time 100 years");
	else if (err < 0)
		api_fail_get(call, id, err, "it is being given up", "weft get list shows all");
	else
		api_reply_idempotent(node, call,
				     json_pack("{s:o}", "transfer", api_json_get(node, get)));
}
