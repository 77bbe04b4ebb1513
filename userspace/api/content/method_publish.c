/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NewShare, PublishShare, SetShare, RevokeShare, RotateShare, RetireShare, WatchShare,
 * ExportShareKey: shares with a name and revisions. method_published.c shows them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/node_key.h"
#include "api/methods.h"
#include "method_publish.h"
#include "share_call.h"

/* NULL: sharing is off, and call was failed. */
static struct publisher *publisher_of(struct api *api, struct control_call *call)
{
	if (api->follows)
		return api->publisher;
	control_fail(call, WEFT_EREFUSED, "shares", "sharing is turned off on this node",
		     "set enabled = yes in [sharing] of weft.conf(5) and restart the daemon");
	return NULL;
}

const struct published *api_published(struct api *api, struct control_call *call, const char *name)
{
	struct publisher *publisher = publisher_of(api, call);
	const struct published *share = publisher ? shares_publisher_find(publisher, name) : NULL;

	if (publisher && !share)
		control_fail(call, WEFT_EABSENT, name, "this node publishes no share of that name",
			     "weft share list shows those there are; weft share new makes one");
	return share;
}

/* --- a call that waits --- */

/* api_share_call_wait for a change of share; NULL: it is, or call was failed. */
static struct api_share_call *change_wait(struct api *api, struct control_call *call,
					  const struct published *share)
{
	struct api_share_call *waiting =
		share ? api_share_call_wait(api, call, share->settings->name) : NULL;

	if (waiting)
		memcpy(waiting->share_id, share->share_id, SHARE_ID_LEN);
	return waiting;
}

/* The share that waiting was about is the reply's; NULL: the caller left, or call was failed. */
static const struct published *share_end(struct api_share_call *waiting, int err, const char *next)
{
	const struct published *share =
		shares_publisher_lookup(waiting->api->publisher, waiting->share_id);

	if (!waiting->call)
		return NULL;
	if (err == 0 && share)
		return share;
	control_fail(waiting->call, err < 0 ? err : WEFT_EABSENT, "share", weft_err_text(err),
		     next);
	return NULL;
}

/* --- NewShare --- */

static void create_done(void *arg, int err)
{
	struct api_share_call *waiting = arg;
	const struct published *share = share_end(waiting, err, "nothing was made: try again");

	if (share)
		api_reply(waiting->call, new_share,
			  .share = api_published_share(control_blocks(waiting->call), waiting->api,
						       share));
	api_share_call_free(waiting);
}

/* key_read: the key in a file that the daemon may read; call was failed if not. */
static bool key_read(struct control_call *call, const char *path, struct node_key **out_key)
{
	int err = path[0] == '/' ? node_key_load(path, NULL, out_key) : WEFT_EMALFORMED;

	if (control_role_of(call) < CONTROL_ADMIN) {
		if (err == 0)
			node_key_free(*out_key);
		control_fail(call, WEFT_EREFUSED, path, "only an administrator may give a key",
			     "run this as the daemon's user or root");
		return false;
	}
	if (err < 0)
		control_fail(call, err, path,
			     err == WEFT_EMALFORMED ? "it is no key file, or not an absolute path"
						    : weft_err_text(err),
			     "name a file that weft share export-key wrote, of mode 0600, which "
			     "the daemon's user owns");
	return err == 0;
}

void api_new_share(struct api *api, struct control_call *call, const struct api_new_share_in *in,
		   uint64_t now_ns)
{
	const struct share_settings given = SHARE_SETTINGS(in);
	struct publish_settings settings = {0};
	struct node_key *key = NULL;
	struct api_share_call *waiting;
	int err;

	(void)now_ns;
	if (!publisher_of(api, call) || !api_settings_take(api, call, &given, &settings) ||
	    (in->key_file && !key_read(call, in->key_file, &key)))
		return;
	waiting = api_share_call_wait(api, call, settings.name);
	if (waiting) {
		err = shares_publisher_create(
			api->publisher, &settings, key ? node_key_seed(key) : NULL,
			(struct publisher_caller){create_done, waiting}, waiting->share_id);
		api_share_call_refuse(waiting, err);
	}
	node_key_free(key);
}

/* --- PublishShare, SetShare --- */

static void revise_progress(void *arg, const struct blobs_import *import)
{
	struct api_share_call *waiting = arg;
	struct api_import row;

	if (!waiting->call || !control_wants_more(waiting->call))
		return;
	row = api_import(control_blocks(waiting->call), import, waiting->name);
	api_reply_more(waiting->call, publish_share, .import = &row);
}

static void revise_reply(const struct api_share_call *waiting,
			 const struct publish_outcome *outcome, const struct published *share)
{
	struct varlink_blocks *blocks = control_blocks(waiting->call);
	struct api_published_share row = api_published_share(blocks, waiting->api, share);
	/* Replies of SetShare, RevokeShare and RotateShare have the same fields. */
	struct api_publish_share_out out = {
		.share = &row,
		API_IF(unchanged, true, outcome->is_unchanged),
		API_IF(asked, true, outcome->was_asked),
		API_IF(manifests, true, outcome->part_cnt),
		API_IF(new_manifests, true, outcome->part_new_cnt),
	};
	struct api_import import;

	if (outcome->import) {
		import = api_import(blocks, outcome->import, share->settings->path);
		out.import = &import;
	}
	control_reply(waiting->call, api_publish_share_out_write(&out));
}

static void revise_done(void *arg, const struct publish_outcome *outcome)
{
	struct api_share_call *waiting = arg;
	const struct published *share =
		shares_publisher_lookup(waiting->api->publisher, waiting->share_id);

	if (waiting->call && (outcome->err < 0 || !share))
		control_fail(waiting->call, outcome->err, waiting->name, outcome->detail,
			     "the share is as it was; mend that and publish it again");
	else if (waiting->call)
		revise_reply(waiting, outcome, share);
	api_share_call_free(waiting);
}

static void revise(struct api *api, struct control_call *call, const struct published *share,
		   struct publish_ask *ask, uint64_t now_ns)
{
	struct api_share_call *waiting = change_wait(api, call, share);

	if (!waiting)
		return;
	waiting->cancels = ask->imports;
	ask->progress = revise_progress;
	ask->done = revise_done;
	ask->arg = waiting;
	api_share_call_refuse(
		waiting, shares_publisher_revise(api->publisher, share->share_id, ask, now_ns));
}

void api_publish_share(struct api *api, struct control_call *call,
		       const struct api_publish_share_in *in, uint64_t now_ns)
{
	const struct published *share = api_published(api, call, in->name);
	struct share_settings given = SHARE_SETTINGS(in);
	struct publish_settings settings;

	if (!share)
		return;
	given.path = in->path;
	given.only = in->has_only ? &in->only : NULL;
	given.text = in->text;
	given.as = in->as;
	settings = *share->settings;
	if (!api_settings_take(api, call, &given, &settings) ||
	    !api_text_take(api, call, share, &given, &settings))
		return;
	memcpy(settings.name, share->settings->name, sizeof(settings.name));
	if (settings.path[0] != '/') {
		control_fail(call, WEFT_EMALFORMED, settings.name,
			     settings.path[0] ? "the path is not absolute"
					      : "nothing was published under that name yet",
			     "name a folder: weft share publish NAME DIR");
		return;
	}
	revise(api, call, share, &(struct publish_ask){.settings = &settings, .imports = true},
	       now_ns);
}

void api_set_share(struct api *api, struct control_call *call, const struct api_set_share_in *in,
		   uint64_t now_ns)
{
	const struct published *share = api_published(api, call, in->name);
	const struct share_settings given = SHARE_SETTINGS(in);
	struct publish_settings settings;

	if (!share)
		return;
	settings = *share->settings;
	if (!api_settings_take(api, call, &given, &settings))
		return;
	memcpy(settings.name, share->settings->name, sizeof(settings.name));
	revise(api, call, share, &(struct publish_ask){.settings = &settings}, now_ns);
}

/* --- RevokeShare, RotateShare, RetireShare, ExportShareKey --- */

void api_revoke_share(struct api *api, struct control_call *call,
		      const struct api_revoke_share_in *in, uint64_t now_ns)
{
	const struct published *share = api_published(api, call, in->name);
	struct api_share_call *waiting = change_wait(api, call, share);
	const struct publish_ask ask = {.done = revise_done, .arg = waiting};

	if (waiting)
		api_share_call_refuse(
			waiting,
			shares_publisher_revoke(api->publisher, share->share_id, &ask, now_ns));
}

/* The reply is about the share that goes on. */
static void rotate_done(void *arg, const struct publish_outcome *outcome)
{
	struct api_share_call *waiting = arg;
	const struct published *share =
		shares_publisher_lookup(waiting->api->publisher, waiting->share_id);

	if (share && share->newest.has_successor)
		share_id_of(share->newest.successor, waiting->share_id);
	revise_done(arg, outcome);
}

void api_rotate_share(struct api *api, struct control_call *call,
		      const struct api_rotate_share_in *in, uint64_t now_ns)
{
	const struct published *share = api_published(api, call, in->name);
	struct api_share_call *waiting = change_wait(api, call, share);
	const struct publish_ask ask = {.done = rotate_done, .arg = waiting};

	if (waiting)
		api_share_call_refuse(
			waiting,
			shares_publisher_rotate(api->publisher, share->share_id, &ask, now_ns));
}

static void retire_done(void *arg, int err)
{
	struct api_share_call *waiting = arg;

	if (waiting->call && err < 0)
		control_fail(waiting->call, err, "share", weft_err_text(err),
			     "the share is still there: try again");
	else if (waiting->call)
		api_reply(waiting->call, retire_share);
	api_share_call_free(waiting);
}

void api_retire_share(struct api *api, struct control_call *call,
		      const struct api_retire_share_in *in, uint64_t now_ns)
{
	const struct published *share = api_published(api, call, in->name);
	struct api_share_call *waiting = change_wait(api, call, share);

	(void)now_ns;
	if (waiting)
		api_share_call_refuse(
			waiting,
			shares_publisher_remove(api->publisher, share->share_id,
						(struct publisher_caller){retire_done, waiting}));
}

void api_export_share_key(struct api *api, struct control_call *call,
			  const struct api_export_share_key_in *in, uint64_t now_ns)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EEXISTS, "a file of that name is there",
		 "name a new file in a folder that the daemon's user may write"},
		{WEFT_EMALFORMED, "the path is not absolute",
		 "name a new file in a folder that the daemon's user may write"},
		{0, NULL, "name a new file in a folder that the daemon's user may write"},
	};
	const struct published *share = api_published(api, call, in->name);
	int err = WEFT_EMALFORMED;

	(void)now_ns;
	if (!share)
		return;
	if (in->path[0] == '/')
		err = shares_publisher_export_key(api->publisher, share->share_id, in->path);
	if (err < 0)
		control_fail_of(call, err, in->path, rows);
	else
		api_reply(call, export_share_key, .path = in->path);
}

/* --- WatchShare --- */

static void watch_done(void *arg, int err)
{
	struct api_share_call *waiting = arg;
	const struct published *share = share_end(waiting, err, "try again");

	if (share)
		api_reply(waiting->call, watch_share,
			  .share = api_published_share(control_blocks(waiting->call), waiting->api,
						       share));
	api_share_call_free(waiting);
}

void api_watch_share(struct api *api, struct control_call *call,
		     const struct api_watch_share_in *in, uint64_t now_ns)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EFULL, "as many shares are watched as may be",
		 "weft share watch NAME --off another, or raise sharing.watch_cap "
		 "(weft limits show)"},
		{WEFT_EMALFORMED, "the quiet time is more than a day", "give --quiet 1s to 24h"},
		{0, NULL, "give --quiet 1s to 24h"},
	};
	const struct published *share = api_published(api, call, in->name);
	struct api_share_call *waiting = change_wait(api, call, share);
	int64_t asked_s = in->has_quiet_s ? in->quiet_s : WATCH_QUIET_S;
	uint32_t quiet_s = asked_s < 1 || asked_s > WATCH_QUIET_S_MAX ? WATCH_QUIET_S_MAX + 1
								      : (uint32_t)asked_s;
	int err;

	(void)now_ns;
	if (!waiting)
		return;
	err = shares_watch_set(api->watches, share->share_id,
			       in->has_watch && !in->watch ? 0 : quiet_s, watch_done, waiting);
	if (err == 0)
		return;
	control_fail_of(call, err, waiting->name, rows);
	api_share_call_free(waiting);
}
