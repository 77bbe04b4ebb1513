/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NewShare, PublishShare, SetShare, ShowShare, RevokeShare, RotateShare, RetireShare, ExportShareKey:
 * shares with a name and revisions. Their list is part of ListShares.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/zbase32.h"
#include "blobs/link.h"
#include "crypto/node_key.h"
#include "api/methods.h"
#include "method_publish.h"
#include "node/sharing/sharing_state.h"

/* NULL: sharing is off, and call was failed. */
static struct publisher *publisher_of(struct node *node, struct control_call *call)
{
	if (node->sharing)
		return node->sharing->publisher;
	control_fail(call, WEFT_EREFUSED, "shares", "sharing is turned off on this node",
		     "set enabled = yes in [sharing] of weft.conf(5) and restart the daemon");
	return NULL;
}

const struct published *api_published(struct node *node, struct control_call *call,
				      const json_t *parameters)
{
	const char *name = json_string_value(json_object_get(parameters, "name"));
	struct publisher *publisher = publisher_of(node, call);
	const struct published *share = publisher ? shares_publisher_find(publisher, name) : NULL;

	if (publisher && !share)
		control_fail(call, WEFT_EABSENT, name, "this node publishes no share of that name",
			     "weft share list shows those there are; weft share new makes one");
	return share;
}

/* --- shown --- */

static json_t *ids_json(const uint8_t (*ids)[32], uint32_t cnt)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < cnt; i++)
		json_array_append_new(list, api_json_id(ids[i]));
	return list;
}

static json_t *lines_json(const char *lines)
{
	json_t *list = json_array();
	const char *line;
	size_t len;

	while ((line = blobs_only_next(&lines, &len)))
		json_array_append_new(list, json_stringn(line, len));
	return list;
}

/* Who is asked for the share first: this node, at the addresses it advertises. */
static json_t *link_json(const struct node *node, const struct published *share, bool is_bare)
{
	struct link link = {.kind = LINK_SHARE, .node_cnt = !is_bare};
	char text[LINK_TEXT_CAP];

	memcpy(link.public_key, share->share_key, sizeof(link.public_key));
	memcpy(link.nodes[0].key, node->own_key, sizeof(link.nodes[0].key));
	link.nodes[0].addr_cnt = (uint8_t)node->advertised_cnt;
	memcpy(link.nodes[0].addrs, node->advertised,
	       node->advertised_cnt * sizeof(link.nodes[0].addrs[0]));
	return json_string(blobs_link_write(&link, text));
}

static void set_text(json_t *json, const char *name, const char *text)
{
	if (text[0])
		json_object_set_new(json, name, json_string(text));
}

struct bad_search {
	const uint8_t *manifest_id;
	uint64_t bad_cnt;
};

static bool bad_find(void *arg, const struct blobs_share *share)
{
	struct bad_search *search = arg;

	if (memcmp(share->manifest_id, search->manifest_id, 32) == 0)
		search->bad_cnt += share->bad_cnt;
	return true;
}

static void set_bad_files(const struct node *node, json_t *json, const uint8_t *manifest_id)
{
	struct bad_search search = {manifest_id, 0};

	blobs_shares_each(node->home.content, bad_find, &search);
	if (search.bad_cnt)
		json_object_set_new(json, "bad_files", api_json_uint(search.bad_cnt));
}

static void watch_set_fields(const struct node *node, json_t *json, const uint8_t *share_id)
{
	struct watch_view view;

	if (!shares_watch_lookup(node->sharing->watches, share_id, &view))
		return;
	json_object_set_new(json, "watch", json_string(view.is_rescanned ? "rescan" : "inotify"));
	json_object_set_new(json, "watch_quiet_s", json_integer((json_int_t)view.quiet_s));
	json_object_set_new(json, "watched_dirs", json_integer((json_int_t)view.dir_cnt));
	if (view.err)
		json_object_set_new(json, "watch_error", json_string(weft_err_text(view.err)));
}

static json_t *published_json(const struct node *node, const struct published *share)
{
	const struct publish_settings *settings = share->settings;
	const struct publish_revision *own =
		share->revision_cnt ? &share->revisions[share->revision_cnt - 1] : NULL;
	uint8_t successor_id[SHARE_ID_LEN];
	json_t *json = json_pack(
		"{s:s, s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:i, s:b, s:o, s:o, s:o}", "name",
		settings->name, "share_id", api_json_id(share->share_id), "state",
		shares_publisher_state_name(share->state), "public", settings->is_public,
		"revision", api_json_uint(own ? own->seq : 0), "newest",
		api_json_uint(share->newest.seq), "items", api_json_uint(own ? own->item_cnt : 0),
		"bytes", api_json_uint(own ? own->byte_cnt : 0), "holders", (int)share->holder_cnt,
		"busy", share->is_busy, "tags", lines_json(settings->rules), "communities",
		ids_json(settings->communities, settings->community_cnt), "recommended",
		ids_json(settings->recommended, settings->recommended_cnt));

	json_object_set_new(json, "link", link_json(node, share, false));
	json_object_set_new(json, "bare_link", link_json(node, share, true));
	set_text(json, "title", settings->title);
	set_text(json, "description", settings->description);
	set_text(json, "path", settings->path);
	if (settings->only[0])
		json_object_set_new(json, "only", lines_json(settings->only));
	watch_set_fields(node, json, share->share_id);
	if (share->ahead_s)
		json_object_set_new(json, "dated_ahead_s", api_json_uint(share->ahead_s));
	if (share->newest.has_successor) {
		share_id_of(share->newest.successor, successor_id);
		json_object_set_new(json, "successor", api_json_id(successor_id));
	}
	if (share->put_err)
		set_text(json, "put_error", weft_err_text(share->put_err));
	if (own) {
		json_object_set_new(json, "collection_id", api_json_id(own->manifest_id));
		json_object_set_new(json, "created_s", api_json_uint(own->created_s));
		json_object_set_new(json, "expires_s", api_json_uint(own->expires_s));
		set_bad_files(node, json, own->manifest_id);
	}
	return json;
}

/* Connected peers by how their clocks stand to this node's, as their last HELLO said. */
struct clock_poll {
	unsigned cnt, behind_cnt;
	uint64_t least_s; /* of those that are behind by more than heads may differ */
};

static bool clock_poll_one(void *arg, const struct mesh_peer_info *peer)
{
	struct clock_poll *poll = arg;

	if (!peer->is_connected)
		return true;
	poll->cnt++;
	if (peer->skew_s >= -(int64_t)HEAD_SKEW_S)
		return true;
	poll->behind_cnt++;
	if (!poll->least_s || -(uint64_t)peer->skew_s < poll->least_s)
		poll->least_s = -(uint64_t)peer->skew_s;
	return true;
}

/* The share of a reply that has but one; what is published with a wrong clock is of no use yet. */
static json_t *published_one_json(struct node *node, const struct published *share)
{
	json_t *json = published_json(node, share);
	struct clock_poll poll = {0};

	api_peers_each(node, clock_poll_one, &poll);
	if (poll.behind_cnt * 2 > poll.cnt)
		json_object_set_new(json, "clock_ahead_s", api_json_uint(poll.least_s));
	return json;
}

struct published_list {
	const struct node *node;
	json_t *found;
};

static bool published_collect(void *arg, const struct published *share)
{
	const struct published_list *list = arg;

	json_array_append_new(list->found, published_json(list->node, share));
	return true;
}

json_t *api_json_published_shares(const struct node *node)
{
	struct published_list list = {node, json_array()};

	if (node->sharing)
		shares_publisher_each(node->sharing->publisher, published_collect, &list);
	return list.found;
}

static json_t *revisions_json(const struct published *share)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < share->revision_cnt; i++) {
		const struct publish_revision *revision = &share->revisions[i];

		json_array_append_new(list,
				      json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "revision",
						api_json_uint(revision->seq), "collection_id",
						api_json_id(revision->manifest_id), "created_s",
						api_json_uint(revision->created_s), "expires_s",
						api_json_uint(revision->expires_s), "items",
						api_json_uint(revision->item_cnt), "bytes",
						api_json_uint(revision->byte_cnt)));
	}
	return list;
}

void api_show_share(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	const struct published *share = api_published(node, call, parameters);

	(void)now_ns;
	if (share)
		control_reply(call,
			      json_pack("{s:o, s:o}", "share", published_one_json(node, share),
					"revisions", revisions_json(share)));
}

/* --- a call that waits --- */

static void caller_left(void *arg)
{
	struct sharing_call *waiting = arg;

	waiting->call = NULL;
	/* Too late: it is being stored, and stays. */
	if (waiting->cancels &&
	    shares_publisher_cancel(waiting->sharing->publisher, waiting->share_id) < 0)
		waiting->cancels = false;
}

static struct sharing_call *call_wait(struct sharing *sharing, struct control_call *call,
				      const char *name, bool cancels)
{
	struct sharing_call *waiting = node_sharing_call_new(sharing);

	if (!waiting) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return NULL;
	}
	waiting->call = call;
	waiting->cancels = cancels;
	snprintf(waiting->name, sizeof(waiting->name), "%s", name);
	control_on_gone(call, caller_left, waiting);
	return waiting;
}

/* The call of waiting is answered by the caller; NULL: it left. waiting is gone. */
static struct control_call *call_end(struct sharing_call *waiting)
{
	struct control_call *call = waiting->call;

	if (call)
		control_on_gone(call, NULL, NULL);
	node_sharing_call_free(waiting);
	return call;
}

static bool call_refuse(struct sharing_call *waiting, int err)
{
	struct control_call *call;
	char name[sizeof(waiting->name)];

	if (err == 0)
		return false;
	memcpy(name, waiting->name, sizeof(name));
	call = call_end(waiting);
	api_share_refuse(call, name, err);
	return true;
}

/* --- NewShare --- */

static void create_done(void *arg, int err)
{
	struct sharing_call *waiting = arg;
	struct node *node = waiting->sharing->node;
	const struct published *share =
		shares_publisher_lookup(waiting->sharing->publisher, waiting->share_id);
	struct control_call *call = call_end(waiting);

	if (!call)
		return;
	if (err < 0 || !share)
		control_fail(call, err, "share", weft_err_text(err), "nothing was made: try again");
	else
		control_reply(call, json_pack("{s:o}", "share", published_one_json(node, share)));
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

static void create_begin(struct node *node, struct control_call *call,
			 const struct publish_settings *settings, const struct node_key *key)
{
	struct sharing_call *waiting = call_wait(node->sharing, call, settings->name, false);
	int err;

	if (!waiting)
		return;
	err = shares_publisher_create(node->sharing->publisher, settings,
				      key ? node_key_seed(key) : NULL, create_done, waiting,
				      waiting->share_id);
	(void)call_refuse(waiting, err);
}

void api_new_share(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	const char *key_file = json_string_value(json_object_get(parameters, "key_file"));
	struct publish_settings settings = {0};
	struct node_key *key = NULL;

	(void)now_ns;
	if (!publisher_of(node, call) || !api_settings_take(node, call, parameters, &settings) ||
	    (key_file && !key_read(call, key_file, &key)))
		return;
	create_begin(node, call, &settings, key);
	node_key_free(key);
}

/* --- PublishShare, SetShare --- */

static void revise_progress(void *arg, const struct blobs_import *import)
{
	struct sharing_call *waiting = arg;

	if (waiting->call && control_wants_more(waiting->call))
		control_reply_more(
			waiting->call,
			json_pack("{s:o}", "import", api_json_import(import, waiting->name)));
}

static void revise_done(void *arg, const struct publish_outcome *outcome)
{
	struct sharing_call *waiting = arg;
	struct node *node = waiting->sharing->node;
	const struct published *share =
		shares_publisher_lookup(waiting->sharing->publisher, waiting->share_id);
	char name[sizeof(waiting->name)];
	struct control_call *call;
	json_t *reply;

	memcpy(name, waiting->name, sizeof(name));
	call = call_end(waiting);
	if (!call)
		return;
	if (outcome->err < 0 || !share) {
		control_fail(call, outcome->err, name, outcome->detail,
			     "the share is as it was; mend that and publish it again");
		return;
	}
	reply = json_pack("{s:o, s:b, s:b, s:i, s:i}", "share", published_one_json(node, share),
			  "unchanged", outcome->is_unchanged, "asked", outcome->was_asked,
			  "manifests", (int)outcome->part_cnt, "new_manifests",
			  (int)outcome->part_new_cnt);
	if (outcome->import)
		json_object_set_new(reply, "import",
				    api_json_import(outcome->import, share->settings->path));
	control_reply(call, reply);
}

static void revise(struct node *node, struct control_call *call, const struct published *share,
		   const struct publish_settings *settings, bool imports, uint64_t now_ns)
{
	struct sharing_call *waiting =
		call_wait(node->sharing, call, share->settings->name, imports);
	struct publish_ask ask = {.settings = settings,
				  .imports = imports,
				  .progress = revise_progress,
				  .done = revise_done,
				  .arg = waiting};
	int err;

	if (!waiting)
		return;
	memcpy(waiting->share_id, share->share_id, SHARE_ID_LEN);
	err = shares_publisher_revise(node->sharing->publisher, share->share_id, &ask, now_ns);
	(void)call_refuse(waiting, err);
}

void api_publish_share(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	struct node *node = ctx;
	const struct published *share = api_published(node, call, parameters);
	struct publish_settings settings;

	if (!share)
		return;
	settings = *share->settings;
	if (!api_settings_take(node, call, parameters, &settings) ||
	    !api_text_take(node, call, share, parameters, &settings))
		return;
	memcpy(settings.name, share->settings->name, sizeof(settings.name));
	if (settings.path[0] != '/') {
		control_fail(call, WEFT_EMALFORMED, settings.name,
			     settings.path[0] ? "the path is not absolute"
					      : "nothing was published under that name yet",
			     "name a folder: weft share publish NAME DIR");
		return;
	}
	revise(node, call, share, &settings, true, now_ns);
}

void api_set_share(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	const struct published *share = api_published(node, call, parameters);
	struct publish_settings settings;

	if (!share)
		return;
	settings = *share->settings;
	if (!api_settings_take(node, call, parameters, &settings))
		return;
	memcpy(settings.name, share->settings->name, sizeof(settings.name));
	revise(node, call, share, &settings, false, now_ns);
}

/* --- RevokeShare, RotateShare, RetireShare, ExportShareKey --- */

void api_revoke_share(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;
	const struct published *share = api_published(node, call, parameters);
	struct sharing_call *waiting;
	int err;

	if (!share)
		return;
	waiting = call_wait(node->sharing, call, share->settings->name, false);
	if (!waiting)
		return;
	memcpy(waiting->share_id, share->share_id, SHARE_ID_LEN);
	err = shares_publisher_revoke(node->sharing->publisher, share->share_id,
				      &(struct publish_ask){.done = revise_done, .arg = waiting},
				      now_ns);
	(void)call_refuse(waiting, err);
}

/* The reply is about the share that goes on. */
static void rotate_done(void *arg, const struct publish_outcome *outcome)
{
	struct sharing_call *waiting = arg;
	const struct published *share =
		shares_publisher_lookup(waiting->sharing->publisher, waiting->share_id);

	if (share && share->newest.has_successor)
		share_id_of(share->newest.successor, waiting->share_id);
	revise_done(arg, outcome);
}

void api_rotate_share(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;
	const struct published *share = api_published(node, call, parameters);
	struct sharing_call *waiting;
	int err;

	if (!share)
		return;
	waiting = call_wait(node->sharing, call, share->settings->name, false);
	if (!waiting)
		return;
	memcpy(waiting->share_id, share->share_id, SHARE_ID_LEN);
	err = shares_publisher_rotate(node->sharing->publisher, share->share_id,
				      &(struct publish_ask){.done = rotate_done, .arg = waiting},
				      now_ns);
	(void)call_refuse(waiting, err);
}

static void retire_done(void *arg, int err)
{
	struct control_call *call = call_end(arg);

	if (call && err < 0)
		control_fail(call, err, "share", weft_err_text(err),
			     "the share is still there: try again");
	else if (call)
		control_reply(call, NULL);
}

/* --- WatchShare --- */

static void watch_done(void *arg, int err)
{
	struct sharing_call *waiting = arg;
	struct node *node = waiting->sharing->node;
	const struct published *share =
		shares_publisher_lookup(waiting->sharing->publisher, waiting->share_id);
	struct control_call *call = call_end(waiting);

	if (!call)
		return;
	if (err < 0 || !share)
		control_fail(call, err < 0 ? err : WEFT_EABSENT, "share", weft_err_text(err),
			     "try again");
	else
		control_reply(call, json_pack("{s:o}", "share", published_one_json(node, share)));
}

static void watch_refuse(struct control_call *call, const char *name, int err)
{
	if (err == WEFT_EFULL)
		control_fail(call, err, name, "as many shares are watched as may be",
			     "weft share watch NAME --off another, or raise sharing.watch_cap "
			     "(weft limits show)");
	else
		control_fail(call, err, name,
			     err == WEFT_EMALFORMED ? "the quiet time is more than a day"
						    : weft_err_text(err),
			     "give --quiet 1s to 24h");
}

void api_watch_share(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;
	const struct published *share = api_published(node, call, parameters);
	const json_t *quiet = json_object_get(parameters, "quiet_s");
	bool is_off = json_is_false(json_object_get(parameters, "watch"));
	json_int_t asked_s = json_is_integer(quiet) ? json_integer_value(quiet) : WATCH_QUIET_S;
	uint32_t quiet_s = asked_s < 1 || asked_s > WATCH_QUIET_S_MAX ? WATCH_QUIET_S_MAX + 1
								      : (uint32_t)asked_s;
	struct sharing_call *waiting;
	char name[PUBLISH_NAME_LEN_MAX + 1];
	int err;

	(void)now_ns;
	if (!share)
		return;
	memcpy(name, share->settings->name, sizeof(name));
	waiting = call_wait(node->sharing, call, name, false);
	if (!waiting)
		return;
	memcpy(waiting->share_id, share->share_id, SHARE_ID_LEN);
	err = shares_watch_set(node->sharing->watches, share->share_id, is_off ? 0 : quiet_s,
			       watch_done, waiting);
	if (err < 0 && (call = call_end(waiting)))
		watch_refuse(call, name, err);
}

/* --- RetireShare --- */

void api_retire_share(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;
	const struct published *share = api_published(node, call, parameters);
	struct sharing_call *waiting;
	int err;

	(void)now_ns;
	if (!share)
		return;
	waiting = call_wait(node->sharing, call, share->settings->name, false);
	if (!waiting)
		return;
	err = shares_publisher_remove(node->sharing->publisher, share->share_id, retire_done,
				      waiting);
	(void)call_refuse(waiting, err);
}

void api_export_share_key(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	struct node *node = ctx;
	const char *path = json_string_value(json_object_get(parameters, "path"));
	const struct published *share = api_published(node, call, parameters);
	int err;

	(void)now_ns;
	if (!share)
		return;
	err = path[0] == '/'
		      ? shares_publisher_export_key(node->sharing->publisher, share->share_id, path)
		      : WEFT_EMALFORMED;
	if (err < 0)
		control_fail(call, err, path,
			     err == WEFT_EEXISTS      ? "a file of that name is there"
			     : err == WEFT_EMALFORMED ? "the path is not absolute"
						      : weft_err_text(err),
			     "name a new file in a folder that the daemon's user may write");
	else
		control_reply(call, json_pack("{s:s}", "path", path));
}
