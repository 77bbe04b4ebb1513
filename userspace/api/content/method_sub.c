/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AddFollow, ListFollows, ShowFollow, SetFollow, RemoveFollow, SyncFollows. A caller waits for the
 * disk or for syncs with a record of its own; what was begun goes on when it leaves.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/zbase32.h"
#include "blobs/blobs.h"
#include "shares/follow/follow.h"
#include "method_get_named.h"
#include "api/methods.h"
#include "method_share_target.h"
#include "node/sharing/sharing_state.h"

/* --- as it is shown --- */

static json_t *link_json(const struct follow *follow)
{
	struct link link = {.kind = LINK_SHARE, .node_cnt = (uint8_t)follow->hint_cnt};
	char text[LINK_TEXT_CAP];

	memcpy(link.public_key, follow->share_key, sizeof(link.public_key));
	memcpy(link.nodes, follow->hints, follow->hint_cnt * sizeof(link.nodes[0]));
	return json_string(blobs_link_write(&link, text));
}

static json_t *revisions_json(const struct follow *follow)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < follow->revision_cnt; i++)
		json_array_append_new(
			list,
			json_pack("{s:o, s:o}", "revision", api_json_uint(follow->revisions[i].seq),
				  "collection_id", api_json_id(follow->revisions[i].manifest_id)));
	return list;
}

static json_t *recommended_json(const struct follow *follow)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < follow->recommended_cnt; i++)
		json_array_append_new(list, api_json_id(follow->recommended[i]));
	return list;
}

/* The get that fills its folder, the youngest of them. */
struct folder_search {
	const struct follow *follow;
	const struct blobs_get *get;
};

static bool folder_note(void *arg, const struct blobs_get *get)
{
	struct folder_search *search = arg;

	if (get->folder && strcmp(get->target, search->follow->folder) == 0 &&
	    memcmp(get->folder->share_id, search->follow->share_id, SHARE_ID_LEN) == 0)
		search->get = get;
	return true;
}

static void folder_set(const struct node *node, json_t *json, const struct follow *follow)
{
	struct folder_search search = {.follow = follow};

	json_object_set_new(json, "folder", json_string(follow->folder));
	if (!*follow->folder)
		return;
	json_object_set_new(json, "mirror", json_boolean(follow->is_mirror));
	json_object_set_new(json, "keep_versions", json_integer((json_int_t)follow->version_cnt));
	blobs_gets_each(node->home.content, folder_note, &search);
	if (follow->folder_err)
		json_object_set_new(json, "folder_detail",
				    json_string(weft_err_text(follow->folder_err)));
	if (!search.get)
		return;
	json_object_set_new(json, "folder_get", api_json_uint(search.get->id));
	json_object_set_new(json, "folder_revision", api_json_uint(search.get->folder->revision));
	json_object_set_new(json, "folder_state", json_string(api_get_state(search.get)));
	json_object_set_new(json, "kept_files", api_json_uint(search.get->kept_cnt));
	if (search.get->detail && *search.get->detail)
		json_object_set_new(json, "folder_detail", json_string(search.get->detail));
}

static json_t *fault_json(const struct blocklist_fault *fault)
{
	char text[200];

	snprintf(text, sizeof(text), "file %s, line %u: %s%s", BLOCKLIST_NAME, fault->first_line,
		 fault->why, fault->line_cnt > 1 ? ", and more lines" : "");
	return json_string(text);
}

static json_t *follow_json(const struct node *node, const struct follow *follow)
{
	char hints[METHOD_HINTS_CAP];
	json_t *json = json_pack(
		"{s:o, s:o, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:b, s:b, s:b, s:o, s:o, s:o, s:o,"
		" s:o, s:o, s:o, s:o, s:o}",
		"share_id", api_json_id(follow->share_id), "link", link_json(follow), "name",
		follow->name, "title", follow->title, "description", follow->description, "trust",
		shares_follow_tier_name(follow->tier), "weight", (int)follow->weight, "state",
		shares_follow_state_name(follow->state), "detail", follow->detail, "public",
		follow->is_public, "blocklist", follow->has_blocklist, "syncing",
		follow->is_syncing, "revision",
		api_json_uint(follow->revision_cnt ? follow->revisions[0].seq : 0), "items",
		api_json_uint(follow->item_cnt), "bytes", api_json_uint(follow->byte_cnt),
		"followed_s", api_json_uint(follow->followed_s), "heard_s",
		api_json_uint(follow->synced_s), "old_heads", api_json_uint(follow->old_head_cnt),
		"forks", api_json_uint(follow->fork_cnt), "revisions", revisions_json(follow),
		"recommended", recommended_json(follow));

	if (follow->head.seq && !shares_head_is_revoked(&follow->head))
		json_object_set_new(json, "newest", api_json_uint(follow->head.seq));
	if (follow->fault.line_cnt)
		json_object_set_new(json, "blocklist_fault", fault_json(&follow->fault));
	if (follow->created_s)
		json_object_set_new(json, "created_s", api_json_uint(follow->created_s));
	if (follow->expires_s)
		json_object_set_new(json, "expires_s", api_json_uint(follow->expires_s));
	if (api_hints_text(follow->hints, follow->hint_errs, follow->hint_cnt, hints)[0])
		json_object_set_new(json, "unhelpful_nodes", json_string(hints));
	folder_set(node, json, follow);
	return json;
}

struct follow_rows {
	const struct node *node;
	json_t *list;
};

static bool follow_collect(void *arg, const struct follow *follow)
{
	const struct follow_rows *to = arg;

	json_array_append_new(to->list, follow_json(to->node, follow));
	return true;
}

static json_t *follows_json(const struct node *node)
{
	struct follow_rows to = {node, json_array()};

	shares_follows_each(node->sharing->follows, follow_collect, &to);
	return to.list;
}

/* --- changes --- */

struct change {
	struct node *node;
	struct control_call *call; /* NULL: the caller left */
	uint8_t share_id[SHARE_ID_LEN];
	bool is_removal;
	bool waits; /* for the first sync */
};

static void change_caller_left(void *arg)
{
	((struct change *)arg)->call = NULL;
}

static struct change *change_new(struct node *node, struct control_call *call)
{
	struct change *change = calloc(1, sizeof(*change));

	if (!change) {
		control_fail(call, -ENOMEM, "share", "no memory", "free some and try again");
		return NULL;
	}
	change->node = node;
	change->call = call;
	control_on_gone(call, change_caller_left, change);
	return change;
}

static void first_synced(void *arg, const struct follow_synced *outcome, uint64_t now_ns)
{
	struct change *change = arg;
	const struct follow *follow =
		shares_follow_lookup(change->node->sharing->follows, outcome->share_id);

	(void)now_ns;
	if (change->call && follow)
		control_reply(change->call,
			      json_pack("{s:o}", "follow", follow_json(change->node, follow)));
	else if (change->call)
		control_fail(change->call, outcome->err, "share", weft_err_text(outcome->err),
			     "weft sub list shows what is followed");
	free(change);
}

/* True when the change is answered, and freed, when the first sync is over. */
static bool first_sync_wait(struct change *change)
{
	struct follow_sync *sync;

	return change->waits && change->call &&
	       shares_follow_sync_start(change->node->sharing->follows, change->share_id,
					first_synced, change, change->node->home.now_ns,
					&sync) == 0;
}

static void change_done(void *arg, int err)
{
	struct change *change = arg;
	const struct follow *follow =
		shares_follow_lookup(change->node->sharing->follows, change->share_id);

	if (err == 0 && first_sync_wait(change))
		return;
	if (change->call && err < 0)
		control_fail(change->call, err, "share", weft_err_text(err),
			     "it is as it was: try again");
	else if (change->call && change->is_removal)
		control_reply(change->call,
			      json_pack("{s:o}", "share_id", api_json_id(change->share_id)));
	else if (change->call && follow)
		control_reply(change->call,
			      json_pack("{s:o}", "follow", follow_json(change->node, follow)));
	free(change);
}

static void change_fail(struct change *change, const char *what, int err)
{
	static const struct {
		int err;
		const char *why, *next;
	} rows[] = {
		{WEFT_EEXISTS, "it is followed already",
		 "weft sub set changes its name, trust and weight"},
		{WEFT_EFULL, "as many shares are followed as may be",
		 "weft sub remove one, or raise sharing.follow_cap (weft limits show)"},
		{WEFT_EBUSY, "another followed share has that name", "give another with --name"},
		{WEFT_EMALFORMED, "the name, the weight, the folder or the versions cannot be",
		 "a name has at most 64 bytes without control characters and does not begin with "
		 "mesh:; a weight is 0 to 1000 percent; a folder's path is absolute; at most 1000 "
		 "versions are kept"},
		{WEFT_EABSENT, "it is not followed", "weft sub list shows what is"},
		{WEFT_EREFUSED, "another followed share is fetched into that folder",
		 "give another folder; weft sub list shows whose it is"},
	};
	size_t i = 0;

	while (i < sizeof(rows) / sizeof(rows[0]) && rows[i].err != err)
		i++;
	control_on_gone(change->call, NULL, NULL);
	if (i < sizeof(rows) / sizeof(rows[0]))
		control_fail(change->call, err, what, rows[i].why, rows[i].next);
	else
		control_fail(change->call, err, what, weft_err_text(err), "try again");
	free(change);
}

/* Trust and weight as a call gives them; false: call was failed. */
static bool settings_read(struct control_call *call, const json_t *parameters,
			  enum follow_tier *tier, unsigned *weight)
{
	const char *trust = json_string_value(json_object_get(parameters, "trust"));
	const json_t *percent = json_object_get(parameters, "weight");
	json_int_t value = json_integer_value(percent);
	unsigned i = 0;

	while (trust && i < FOLLOW_TIER_CNT && strcmp(trust, shares_follow_tier_name(i)) != 0)
		i++;
	if (i == FOLLOW_TIER_CNT) {
		control_fail(call, WEFT_EMALFORMED, trust, "not a degree of trust",
			     "it is trusted, normal or untrusted");
		return false;
	}
	if (trust)
		*tier = (enum follow_tier)i;
	/* Out of range stays out of range, whatever it is cut to. */
	if (json_is_integer(percent))
		*weight = value < 0 || value > FOLLOW_WEIGHT_MAX ? FOLLOW_WEIGHT_MAX + 1
								 : (unsigned)value;
	return true;
}

void api_add_follow(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	const char *text = json_string_value(json_object_get(parameters, "link"));
	const char *name = json_string_value(json_object_get(parameters, "name"));
	struct link link;
	struct follow_ask ask = {.link = &link,
				 .name = name ? name : "",
				 .tier = FOLLOW_NORMAL,
				 .weight = FOLLOW_WEIGHT};
	const struct follow *blocker;
	struct change *change;
	int err;

	(void)now_ns;
	if (!api_sharing_is_on(node, call) ||
	    !settings_read(call, parameters, &ask.tier, &ask.weight))
		return;
	err = blobs_link_parse(text, &link);
	if (err < 0) {
		api_fail_link(call, err, text, "give the link that weft share link printed");
		return;
	}
	if (link.kind != LINK_SHARE) {
		control_fail(
			call, WEFT_EMALFORMED, "link", "it is no share's: nothing changes in it",
			link.kind == LINK_COLLECTION ? "weft get fetches a collection"
						     : "weft community join joins a community");
		return;
	}
	change = change_new(node, call);
	if (!change)
		return;
	change->waits = json_is_true(json_object_get(parameters, "wait"));
	share_id_of(link.public_key, change->share_id);
	blocker = shares_follow_blocker(node->sharing->follows, BLOCKLIST_SHARE, change->share_id);
	if (blocker && ask.tier != FOLLOW_TRUSTED) {
		control_on_gone(call, NULL, NULL);
		control_fail(call, WEFT_EREFUSED, text,
			     "the blocklist of a share that is followed names it",
			     "weft sub list shows whose; --trust trusted follows it all the same");
		free(change);
		return;
	}
	err = shares_follow_add(node->sharing->follows, &ask, change_done, change);
	if (err < 0)
		change_fail(change, text, err);
}

void api_list_follows(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;

	(void)parameters, (void)now_ns;
	if (api_sharing_is_on(node, call))
		control_reply(call, json_pack("{s:o}", "follows", follows_json(node)));
}

void api_show_follow(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	const char *share = json_string_value(json_object_get(parameters, "share"));
	const struct follow *follow = api_follow_named(ctx, call, share);

	(void)now_ns;
	if (follow)
		control_reply(call, json_pack("{s:o}", "follow", follow_json(ctx, follow)));
}

/* What a call says of the folder; a number out of range stays out of it. */
static void folder_read(const json_t *parameters, struct follow_change *ask, bool *is_mirror,
			unsigned *version_cnt)
{
	const json_t *mirror = json_object_get(parameters, "mirror");
	const json_t *versions = json_object_get(parameters, "keep_versions");
	json_int_t cnt = json_integer_value(versions);

	*is_mirror = json_is_true(mirror);
	*version_cnt = cnt < 0 || cnt > BLOBS_VERSIONS_MAX ? BLOBS_VERSIONS_MAX + 1 : (unsigned)cnt;
	if (json_is_boolean(mirror))
		ask->is_mirror = is_mirror;
	if (json_is_integer(versions))
		ask->version_cnt = version_cnt;
}

void api_set_follow(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	const char *share = json_string_value(json_object_get(parameters, "share"));
	const struct follow *follow;
	enum follow_tier tier;
	unsigned weight, version_cnt;
	bool is_mirror;
	struct follow_change ask = {
		.name = json_string_value(json_object_get(parameters, "name")),
		.tier = &tier,
		.weight = &weight,
		.folder = json_string_value(json_object_get(parameters, "fetch")),
	};
	struct change *change;
	int err;

	(void)now_ns;
	follow = api_follow_named(node, call, share);
	if (!follow)
		return;
	tier = follow->tier;
	weight = follow->weight;
	if (!settings_read(call, parameters, &tier, &weight))
		return;
	folder_read(parameters, &ask, &is_mirror, &version_cnt);
	change = change_new(node, call);
	if (!change)
		return;
	memcpy(change->share_id, follow->share_id, SHARE_ID_LEN);
	err = shares_follow_set(node->sharing->follows, change->share_id, &ask, change_done,
				change);
	if (err < 0)
		change_fail(change, share, err);
}

void api_remove_follow(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	struct node *node = ctx;
	const char *share = json_string_value(json_object_get(parameters, "share"));
	const struct follow *follow = api_follow_named(node, call, share);
	struct change *change;
	int err;

	(void)now_ns;
	if (!follow || !(change = change_new(node, call)))
		return;
	change->is_removal = true;
	memcpy(change->share_id, follow->share_id, SHARE_ID_LEN);
	err = shares_follow_remove(node->sharing->follows, change->share_id, change_done, change);
	if (err < 0)
		change_fail(change, share, err);
}

/* --- syncs --- */

/* A caller that waits for syncs, all that it began. */
struct sync_wait {
	struct node *node;
	struct control_call *call; /* NULL: it left */
	unsigned left_cnt;
	bool is_one;
	uint8_t share_id[SHARE_ID_LEN]; /* of the one */
};

static void sync_caller_left(void *arg)
{
	((struct sync_wait *)arg)->call = NULL;
}

static void syncs_reply(struct sync_wait *wait)
{
	const struct follow *follow =
		wait->is_one ? shares_follow_lookup(wait->node->sharing->follows, wait->share_id)
			     : NULL;
	struct follow_rows to = {wait->node, json_array()};

	if (follow)
		(void)follow_collect(&to, follow);
	else
		shares_follows_each(wait->node->sharing->follows, follow_collect, &to);
	control_reply(wait->call, json_pack("{s:o}", "follows", to.list));
}

static void synced(void *arg, const struct follow_synced *outcome, uint64_t now_ns)
{
	struct sync_wait *wait = arg;

	(void)now_ns;
	memcpy(wait->share_id, outcome->share_id, sizeof(wait->share_id));
	if (--wait->left_cnt)
		return;
	if (wait->call)
		syncs_reply(wait);
	free(wait);
}

static bool sync_begin(void *arg, const struct follow *follow)
{
	struct sync_wait *wait = arg;
	struct follow_sync *sync;

	if (shares_follow_sync_start(wait->node->sharing->follows, follow->share_id, synced, wait,
				     wait->node->home.now_ns, &sync) == 0)
		wait->left_cnt++;
	return true;
}

void api_sync_follows(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;
	const char *share = json_string_value(json_object_get(parameters, "share"));
	const struct follow *follow = NULL;
	struct sync_wait *wait;

	(void)now_ns;
	if (share ? !(follow = api_follow_named(node, call, share))
		  : !api_sharing_is_on(node, call))
		return;
	wait = calloc(1, sizeof(*wait));
	if (!wait) {
		control_fail(call, -ENOMEM, "share", "no memory", "free some and try again");
		return;
	}
	wait->node = node;
	wait->call = call;
	if (follow) {
		wait->is_one = true;
		memcpy(wait->share_id, follow->share_id, SHARE_ID_LEN);
		sync_begin(wait, follow);
	} else {
		shares_follows_each(node->sharing->follows, sync_begin, wait);
	}
	if (wait->left_cnt) {
		control_on_gone(call, sync_caller_left, wait);
		return;
	}
	syncs_reply(wait);
	free(wait);
}
