/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Get, WatchGet, CancelGet, PauseGet, ResumeGet, SetGet. A caller that waits for a
 * get is a watch in a list on the node; blobs/'s events move it. The get
 * itself belongs to blobs/ and goes on when its watches leave.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/zbase32.h"
#include "blobs/blobs.h"
#include "blobs/link.h"
#include "blobs/swarm/swarm.h"
#include "method_get_named.h"
#include "api/methods.h"
#include "method_share_target.h"

struct get_watch {
	struct get_watch *next;
	struct api *api;
	struct control_call *call;
	uint64_t get_id;
};

static bool get_is_over(const struct blobs_get *get)
{
	return get->shown_state >= BLOBS_GET_FINISHED;
}

#define NEXT_STEP_CAP 160

static const char *get_next_step(const struct blobs_get *get, char text[NEXT_STEP_CAP])
{
	const char *first = "mend that";

	switch (get->err) {
	case WEFT_EWRONGKEY:
		return "ask the sender for a fresh link: that address is another node's now";
	case WEFT_EEXISTS:
		return "move the file away, or get with --replace";
	case WEFT_EABSENT:
		if (!get->only || !get->title || !*get->title)
			break; /* no peer has the list of files */
		return "get it again with another --only, or without";
	case WEFT_EDAMAGED:
		return "the sender's data is not what the link names: ask for a fresh link";
	case WEFT_EUNREACHABLE:
	case WEFT_ETIMEOUT:
		first = "check that the other node runs";
		break;
	case -ENOSPC:
	case -EDQUOT:
		first = "free some space";
		break;
	default:
		break;
	}
	snprintf(text, NEXT_STEP_CAP, "%s, then: weft get resume %llu", first,
		 (unsigned long long)get->id);
	return text;
}

static void get_fail(struct control_call *call, const struct blobs_get *get)
{
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_failure failure = {
		.what = varlink_format(blocks, "get %llu", (unsigned long long)get->id),
		.has_get_id = true,
		.get_id = api_uint(get->id)};
	char next[NEXT_STEP_CAP];

	if (get->shown_state == BLOBS_GET_TAKEN_BACK) {
		failure.why = "it was cancelled";
		failure.next = "start it again with weft get LINK --to DIR";
		control_fail_with(call, WEFT_ECANCELLED, &failure);
		return;
	}
	if (get->err == WEFT_EWRONGKEY && get->node_cnt) {
		failure.wanted_key = api_id(blocks, get->nodes[0].key);
		failure.actual_key = api_id(blocks, get->actual_key);
	}
	failure.why = get->detail && get->detail[0] ? get->detail : NULL;
	failure.next = get_next_step(get, next);
	control_fail_with(call, get->err, &failure);
}

/* The last reply of a call about get. */
static void get_reply(struct api *api, struct control_call *call, const struct blobs_get *get)
{
	if (get->shown_state == BLOBS_GET_STOPPED || get->shown_state == BLOBS_GET_TAKEN_BACK)
		get_fail(call, get);
	else
		api_reply(call, get, .get = api_get_info(control_blocks(call), api, get));
}

static void watch_remove(struct get_watch *watch)
{
	struct get_watch **at = &watch->api->get_watches;

	while (*at && *at != watch)
		at = &(*at)->next;
	if (*at)
		*at = watch->next;
	free(watch);
}

void api_get_watches_forget(struct api *api)
{
	while (api->get_watches)
		watch_remove(api->get_watches);
}

static void watch_caller_left(void *arg)
{
	watch_remove(arg);
}

static void watch_add(struct api *api, struct control_call *call, uint64_t get_id)
{
	struct get_watch *watch = calloc(1, sizeof(*watch));

	if (!watch) {
		control_fail(call, -ENOMEM, "get", "no memory to watch it",
			     "it goes on: weft get list");
		return;
	}
	watch->api = api;
	watch->call = call;
	watch->get_id = get_id;
	watch->next = api->get_watches;
	api->get_watches = watch;
	control_on_gone(call, watch_caller_left, watch);
}

/* For a get that is under way: how it stands, and with more what becomes of it. */
static void watch_join(struct api *api, struct control_call *call, uint64_t get_id)
{
	const struct blobs_get *get = blobs_get_lookup(api->home->content, get_id);

	if (!control_wants_more(call)) {
		get_reply(api, call, get);
		return;
	}
	api_reply_more(call, get, .get = api_get_info(control_blocks(call), api, get));
	watch_add(api, call, get_id);
}

/* Without more, one reply: as soon as the get is known to be durable. */
static void watch_tell(struct get_watch *watch, const struct blobs_get *get)
{
	if (control_wants_more(watch->call) && !get_is_over(get)) {
		api_reply_more(watch->call, get,
			       .get = api_get_info(control_blocks(watch->call), watch->api, get));
		return;
	}
	control_on_gone(watch->call, NULL, NULL);
	get_reply(watch->api, watch->call, get);
	watch_remove(watch);
}

void api_get_moved(struct api *api, uint64_t get_id)
{
	const struct blobs_get *get = blobs_get_lookup(api->home->content, get_id);
	struct get_watch *watch, *next;

	for (watch = api->get_watches; get && watch; watch = next) {
		next = watch->next;
		if (watch->get_id == get_id)
			watch_tell(watch, get);
	}
}

/* The options of a call beside the link, and room for them. */
struct get_options {
	struct blobs_range ranges[BLOBS_GET_RANGES_MAX];
	char only[BLOBS_GET_ONLY_LEN_MAX];
	char exclude[BLOBS_GET_ONLY_LEN_MAX];
	char first[BLOBS_GET_ONLY_LEN_MAX];
};

/* NULL, or what is wrong. */
static const char *ranges_read(const struct api_range_list *ranges, struct blobs_get_ask *ask,
			       struct get_options *options)
{
	if (ranges->cnt > BLOBS_GET_RANGES_MAX)
		return "there are more than 16 ranges";
	for (size_t i = 0; i < ranges->cnt; i++)
		options->ranges[i] = (struct blobs_range){(uint64_t)ranges->rows[i].offset,
							  (uint64_t)ranges->rows[i].length};
	ask->ranges = options->ranges;
	ask->range_cnt = (unsigned)ranges->cnt;
	return NULL;
}

/* Each with its NUL, one behind the other; *out_len 0: none. */
static const char *patterns_read(const struct api_string_list *patterns,
				 char text[BLOBS_GET_ONLY_LEN_MAX], size_t *out_len)
{
	size_t all = 0;

	for (size_t i = 0; i < patterns->cnt; i++) {
		const char *pattern = patterns->rows[i];
		size_t len = strlen(pattern) + 1;

		if (len == 1)
			return "a pattern is empty";
		if (all + len > BLOBS_GET_ONLY_LEN_MAX)
			return "the patterns are longer than 4 KiB together";
		memcpy(text + all, pattern, len);
		all += len;
	}
	*out_len = all;
	return NULL;
}

/* Which files, and in which order; NULL: that stays. */
struct choice_in {
	const struct api_string_list *only, *exclude, *first;
	const bool *sequential;
};
#define CHOICE_IN(in)                                                                              \
	(struct choice_in)                                                                         \
	{                                                                                          \
		(in)->has_only ? &(in)->only : NULL, (in)->has_exclude ? &(in)->exclude : NULL,    \
			(in)->has_first ? &(in)->first : NULL,                                     \
			(in)->has_sequential ? &(in)->sequential : NULL                            \
	}

static const char *choice_read(struct choice_in in, struct blobs_get_selection *selection,
			       struct get_options *options)
{
	const char *why = NULL;

	if (in.only) {
		why = patterns_read(in.only, options->only, &selection->only_len);
		selection->only = selection->only_len ? options->only : NULL;
	}
	if (!why && in.exclude) {
		why = patterns_read(in.exclude, options->exclude, &selection->choice.exclude_len);
		selection->choice.exclude = options->exclude;
	}
	if (!why && in.first) {
		why = patterns_read(in.first, options->first, &selection->choice.first_len);
		selection->choice.first = options->first;
	}
	if (in.sequential)
		selection->choice.is_sequential = *in.sequential;
	return why;
}

static const char *options_read(const struct api_get_in *in, struct blobs_get_ask *ask,
				struct get_options *options)
{
	const char *why = ranges_read(&in->ranges, ask, options);
	struct blobs_get_selection selection = {.only = NULL};

	if (!why)
		why = choice_read(CHOICE_IN(in), &selection, options);
	ask->only = selection.only;
	ask->only_len = selection.only_len;
	ask->choice = selection.choice;
	ask->priority = in->has_priority ? (unsigned)in->priority : BLOBS_GET_PRIORITY;
	if (!why && ask->priority > BLOBS_GET_PRIORITY_MAX)
		why = "a priority is 0 to 4";
	if (!why && (ask->only || ask->choice.exclude_len) && ask->range_cnt)
		why = "ranges are of one file, patterns of many";
	return why;
}

static void get_begin(struct api *api, struct control_call *call, const struct api_get_in *in,
		      const struct method_collection *collection, uint64_t now_ns)
{
	const char *why;
	struct get_options options;
	struct blobs_get_ask ask = {
		.link = collection->link,
		.manifest_id = collection->manifest_id,
		.nodes = collection->nodes,
		.node_cnt = collection->node_cnt,
		.target = in->target,
		.is_replacing = in->replace,
	};
	uint64_t id;
	int err;

	if (ask.target[0] != '/') {
		control_fail(call, WEFT_EMALFORMED, ask.target, "the path is not absolute",
			     "give the full path, beginning with /");
		return;
	}
	why = options_read(in, &ask, &options);
	if (why) {
		control_fail(call, WEFT_EMALFORMED, "get", why, "see weft help get");
		return;
	}
	err = blobs_get_start(api->home->content, &ask, now_ns, &id);
	if (err == WEFT_EBUSY)
		control_fail(call, err, ask.target, "garbage is being collected", "try again soon");
	else if (err == WEFT_EEXISTS)
		control_fail(call, WEFT_EBUSY, ask.target,
			     "a get of the same into that folder runs with other options",
			     "weft get list shows it: wait for it, or cancel it first");
	else if (err == WEFT_EFULL)
		control_fail(
			call, err, ask.target, "as many gets are remembered as may be",
			"weft get forget one that is not needed any more, or raise content.get_cap "
			"(weft limits show)");
	else if (err < 0)
		control_fail(call, err, ask.target, weft_err_text(err),
			     "check the link and the target folder");
	else if (err == 1)
		watch_join(api, call, id);
	else
		watch_add(api, call, id);
}

void api_get(struct api *api, struct control_call *call, const struct api_get_in *in,
	     uint64_t now_ns)
{
	api_collection_find(api, call, in, get_begin, now_ns);
}

void api_fail_get(struct control_call *call, uint64_t id, int err, const char *why,
		  const char *next)
{
	char what[32];

	snprintf(what, sizeof(what), "get %" PRIu64, id);
	control_fail(call, err, what, why, next);
}

const struct blobs_get *api_get_named(struct api *api, struct control_call *call, int64_t id)
{
	const struct blobs_get *get = blobs_get_lookup(api->home->content, (uint64_t)id);

	if (!get)
		api_fail_get(call, (uint64_t)id, WEFT_EABSENT, "there is no get of that number",
			     "weft get list shows all");
	return get;
}

void api_watch_get(struct api *api, struct control_call *call, const struct api_watch_get_in *in,
		   uint64_t now_ns)
{
	const struct blobs_get *get = api_get_named(api, call, in->get_id);

	(void)now_ns;
	if (get && !get_is_over(get))
		watch_join(api, call, get->id);
	else if (get)
		get_reply(api, call, get);
}

/* For a reply that is sent when the state is durable. */
static struct api_get_info get_when_stored(const struct api *api, struct control_call *call,
					   const struct blobs_get *get)
{
	struct api_get_info row = api_get_info(control_blocks(call), api, get);

	row.state = (enum api_get_state)get->state;
	return row;
}

void api_cancel_get(struct api *api, struct control_call *call, const struct api_cancel_get_in *in,
		    uint64_t now_ns)
{
	const struct blobs_get *get = api_get_named(api, call, in->get_id);
	uint64_t id;
	int err;

	if (!get)
		return;
	id = get->id;
	err = blobs_get_cancel(api->home->content, id, in->discard, now_ns);
	get = blobs_get_lookup(api->home->content, id);
	if (err < 0 || !get)
		api_fail_get(call, id, err, weft_err_text(err), "weft get list shows all");
	else
		api_reply_idempotent(api, call,
				     api_cancel_get_out_write(&(struct api_cancel_get_out){
					     .get = get_when_stored(api, call, get)}));
}

void api_pause_get(struct api *api, struct control_call *call, const struct api_pause_get_in *in,
		   uint64_t now_ns)
{
	const struct blobs_get *get = api_get_named(api, call, in->get_id);
	uint64_t id;
	int err;

	if (!get)
		return;
	id = get->id;
	err = blobs_get_pause(api->home->content, id, now_ns);
	if (err < 0)
		api_fail_get(call, id, err,
			     err == WEFT_EBUSY ? "it has ended already" : weft_err_text(err),
			     "weft get list shows its state");
	else
		api_reply_idempotent(api, call,
				     api_pause_get_out_write(&(struct api_pause_get_out){
					     .get = get_when_stored(api, call, get)}));
}

/* A caller that waits until its change is stored. */
struct get_set {
	struct api *api;
	struct control_call *call; /* NULL: it left */
	uint64_t get_id;
};

static void set_end(struct get_set *set, int err)
{
	const struct blobs_get *get = blobs_get_lookup(set->api->home->content, set->get_id);

	if (err == 0 && get)
		api_reply(set->call, set_get,
			  .get = api_get_info(control_blocks(set->call), set->api, get));
	else
		api_fail_get(set->call, set->get_id, err ? err : WEFT_EABSENT,
			     weft_err_text(err ? err : WEFT_EABSENT),
			     "weft get list shows how it stands");
}

static void set_stored(void *arg, int err)
{
	struct get_set *set = arg;

	if (set->call)
		set_end(set, err);
	free(set);
}

static const char *choose_why(int err)
{
	if (err == WEFT_EBUSY)
		return "it was cancelled, is given up, or another change is being stored";
	if (err == WEFT_EREFUSED)
		return "the folder of a followed share gets all of it";
	return err == WEFT_EMALFORMED ? "ranges are of one file, patterns of many"
				      : weft_err_text(err);
}

static void get_choose(struct api *api, struct control_call *call, const struct api_set_get_in *in,
		       const struct blobs_get *get, uint64_t now_ns)
{
	struct get_set *set = calloc(1, sizeof(*set));
	struct blobs_get_selection selection = {.only = get->only,
						.only_len = get->only_len,
						.choice = get->choice,
						.done = set_stored,
						.arg = set};
	struct get_options options;
	const char *why = choice_read(CHOICE_IN(in), &selection, &options);
	int err = !set ? -ENOMEM : why ? WEFT_EMALFORMED : 0;

	if (err == 0) {
		*set = (struct get_set){.api = api, .get_id = get->id};
		control_hold(call, &set->call);
		err = blobs_get_choose(api->home->content, get->id, &selection, now_ns);
	}
	if (err == 0)
		return;
	if (err == 1) {
		/* The priority may be new. */
		api_reply_idempotent(api, call,
				     api_set_get_out_write(&(struct api_set_get_out){
					     .get = get_when_stored(api, call, get)}));
	} else {
		api_fail_get(call, get->id, err, why ? why : choose_why(err),
			     "see weft help get set");
	}
	free(set);
}

void api_set_get(struct api *api, struct control_call *call, const struct api_set_get_in *in,
		 uint64_t now_ns)
{
	const struct blobs_get *get = api_get_named(api, call, in->get_id);
	int err = 0;

	if (!get)
		return;
	if (in->has_priority)
		err = in->priority < 0 ? WEFT_EMALFORMED
				       : blobs_get_prioritise(api->home->content, get->id,
							      (unsigned)in->priority, now_ns);
	if (err < 0)
		api_fail_get(call, get->id, err, "a priority is 0 to 4", "2 is that of others");
	else
		get_choose(api, call, in, get, now_ns);
}

void api_resume_get(struct api *api, struct control_call *call, const struct api_resume_get_in *in,
		    uint64_t now_ns)
{
	const struct blobs_get *get = api_get_named(api, call, in->get_id);
	int err;

	if (!get)
		return;
	if (!get_is_over(get)) {
		watch_join(api, call, get->id);
		return;
	}
	/*
	 * Resumed by another caller, which is not durable yet: both callers get
	 * an answer when it starts.
	 */
	if (get->state == BLOBS_GET_QUEUED) {
		watch_add(api, call, get->id);
		return;
	}
	err = blobs_get_resume(api->home->content, get->id, now_ns);
	if (err < 0)
		api_fail_get(call, get->id, err,
			     get->state == BLOBS_GET_FINISHED ? "it is finished already"
			     : err == WEFT_EBUSY ? "another get of the same into its folder runs"
						 : weft_err_text(err),
			     "weft get list shows its state");
	else
		watch_add(api, call, (uint64_t)in->get_id);
}
