/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AddFollow, ListFollows, ShowFollow, SetFollow, RemoveFollow, SyncFollows. A caller waits for the
 * disk or for syncs with a record of its own; what was begun goes on when it leaves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/blobs.h"
#include "shares/follow/follow.h"
#include "api/methods.h"
#include "api/schema_use.h"
#include "method_share_target.h"

/* --- as it is shown --- */

_Static_assert((int)API_FOLLOW_TRUST_UNTRUSTED == (int)FOLLOW_UNTRUSTED &&
		       (int)API_FOLLOW_STATE_BLOCKED == (int)FOLLOW_BLOCKED,
	       "numbered as shares/ has them");

static const char *link_text(struct varlink_blocks *blocks, const struct follow *follow)
{
	struct link link = {.kind = LINK_SHARE, .node_cnt = (uint8_t)follow->hint_cnt};
	char text[LINK_TEXT_CAP];

	memcpy(link.public_key, follow->share_key, sizeof(link.public_key));
	memcpy(link.nodes, follow->hints, follow->hint_cnt * sizeof(link.nodes[0]));
	return varlink_text(blocks, blobs_link_write(&link, text));
}

/* The youngest get that fills the folder of a followed share, or NULL. */
static const struct blobs_get *folder_get(const struct api *api, const struct follow *follow)
{
	struct blobs_get_iter iter = {.content = api->home->content};
	const struct blobs_get *get, *found = NULL;

	while ((get = blobs_gets_next(&iter)))
		if (get->folder && strcmp(get->target, follow->folder) == 0 &&
		    memcmp(get->folder->share_id, follow->share_id, SHARE_ID_LEN) == 0)
			found = get;
	return found;
}

static void folder_set(const struct api *api, const struct follow *follow, struct api_follow *row)
{
	const struct blobs_get *get;

	if (!*follow->folder)
		return;
	API_SET(row, mirror, follow->is_mirror);
	API_SET(row, keep_versions, follow->version_cnt);
	if (follow->folder_err)
		row->folder_detail = weft_err_text(follow->folder_err);
	get = folder_get(api, follow);
	if (!get)
		return;
	API_SET(row, folder_get, api_uint(get->id));
	API_SET(row, folder_revision, api_uint(get->folder->revision));
	API_SET(row, folder_state, (enum api_get_state)get->state);
	API_SET(row, kept_files, api_uint(get->kept_cnt));
	if (get->detail && *get->detail)
		row->folder_detail = get->detail;
}

static const char *fault_text(struct varlink_blocks *blocks, const struct blocklist_fault *fault)
{
	if (!fault->line_cnt)
		return NULL;
	return varlink_format(blocks, "file %s, line %u: %s%s", BLOCKLIST_NAME, fault->first_line,
			      fault->why, fault->line_cnt > 1 ? ", and more lines" : "");
}

static struct api_follow follow_row(struct varlink_blocks *blocks, const struct api *api,
				    const struct follow *follow)
{
	char hints[METHOD_HINTS_CAP];
	struct api_follow row = {
		.share_id = api_id(blocks, follow->share_id),
		.link = link_text(blocks, follow),
		.name = follow->name,
		.title = follow->title,
		.description = follow->description,
		.trust = (enum api_follow_trust)follow->tier,
		.weight = follow->weight,
		.state = (enum api_follow_state)follow->state,
		.detail = follow->detail,
		.public = follow->is_public,
		.blocklist = follow->has_blocklist,
		.blocklist_fault = fault_text(blocks, &follow->fault),
		.syncing = follow->is_syncing,
		.revision = follow->revision_cnt ? api_uint(follow->revisions[0].seq) : 0,
		API_IF(newest, follow->head.seq && !shares_head_is_revoked(&follow->head),
		       api_uint(follow->head.seq)),
		.items = api_uint(follow->item_cnt),
		.bytes = api_uint(follow->byte_cnt),
		API_IF(created_s, follow->created_s, api_uint(follow->created_s)),
		API_IF(expires_s, follow->expires_s, api_uint(follow->expires_s)),
		.followed_s = api_uint(follow->followed_s),
		.heard_s = api_uint(follow->synced_s),
		.old_heads = api_uint(follow->old_head_cnt),
		.forks = api_uint(follow->fork_cnt),
		.folder = follow->folder,
	};

	for (unsigned i = 0; i < follow->revision_cnt; i++)
		varlink_push(blocks, &row.revisions,
			     {api_uint(follow->revisions[i].seq),
			      api_id(blocks, follow->revisions[i].manifest_id)});
	for (unsigned i = 0; i < follow->recommended_cnt; i++)
		varlink_push(blocks, &row.recommended, api_id(blocks, follow->recommended[i]));
	if (api_hints_text(follow->hints, follow->hint_errs, follow->hint_cnt, hints)[0])
		row.unhelpful_nodes = varlink_text(blocks, hints);
	folder_set(api, follow, &row);
	return row;
}

/* Only the share of one_id, or all when it is NULL or not followed any more. */
static struct api_follow_list follow_rows(struct varlink_blocks *blocks, const struct api *api,
					  const uint8_t *one_id)
{
	const struct follow *one = one_id ? shares_follow_lookup(api->follows, one_id) : NULL;
	const struct follow *follow = NULL;
	struct api_follow_list rows = {0};

	if (one)
		varlink_push(blocks, &rows, follow_row(blocks, api, one));
	while (!one && (follow = shares_follows_next(api->follows, follow)))
		varlink_push(blocks, &rows, follow_row(blocks, api, follow));
	return rows;
}

/* --- changes --- */

struct change {
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	uint8_t share_id[SHARE_ID_LEN];
	bool is_removal;
	bool waits; /* for the first sync */
};

static struct change *change_new(struct api *api, struct control_call *call)
{
	struct change *change = calloc(1, sizeof(*change));

	if (!change) {
		control_fail(call, -ENOMEM, "share", "no memory", "free some and try again");
		return NULL;
	}
	change->api = api;
	control_hold(call, &change->call);
	return change;
}

static void first_synced(void *arg, const struct follow_synced *outcome, uint64_t now_ns)
{
	struct change *change = arg;
	const struct follow *follow = shares_follow_lookup(change->api->follows, outcome->share_id);

	(void)now_ns;
	if (change->call && follow)
		api_reply(change->call, add_follow,
			  .follow = follow_row(control_blocks(change->call), change->api, follow));
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
	       shares_follow_sync_start(change->api->follows, change->share_id,
					(struct follow_caller){first_synced, change},
					change->api->home->now_ns, &sync) == 0;
}

/* A share that is not followed brings no schemas. */
static void schemas_drop(struct api *api, const uint8_t *share_id)
{
	const struct schema_share_change change = {.share_id = share_id};

	if (api->offers &&
	    offers_schema_shares_unfollow(offers_schema_shares(api->offers), &change) == 0)
		api->read_schemas(api->ctx, share_id, api->home->now_ns);
}

static void change_done(void *arg, int err)
{
	struct change *change = arg;
	const struct follow *follow = shares_follow_lookup(change->api->follows, change->share_id);

	if (err == 0 && first_sync_wait(change))
		return;
	if (err == 0 && change->is_removal)
		schemas_drop(change->api, change->share_id);
	if (change->call && err < 0)
		control_fail(change->call, err, "share", weft_err_text(err),
			     "it is as it was: try again");
	else if (change->call && change->is_removal)
		api_reply(change->call, remove_follow,
			  .share_id = api_id(control_blocks(change->call), change->share_id));
	else if (change->call && follow)
		/* SetFollow replies the same. */
		api_reply(change->call, add_follow,
			  .follow = follow_row(control_blocks(change->call), change->api, follow));
	free(change);
}

static void change_fail(struct change *change, const char *what, int err)
{
	static const struct control_failure_row rows[] = {
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
		{0, NULL, "try again"},
	};

	control_fail_of(change->call, err, what, rows);
	free(change);
}

/* trust as a call gives it, or NULL; false: call was failed. */
static bool tier_read(struct control_call *call, const char *trust, enum follow_tier *tier)
{
	for (unsigned i = 0; trust && i < FOLLOW_TIER_CNT; i++) {
		if (strcmp(trust, shares_follow_tier_name((enum follow_tier)i)) == 0) {
			*tier = (enum follow_tier)i;
			return true;
		}
	}
	if (trust)
		control_fail(call, WEFT_EMALFORMED, trust, "not a degree of trust",
			     "it is trusted, normal or untrusted");
	return !trust;
}

/* A number that is out of range stays so, whatever it is cut to. */
static unsigned bounded(int64_t value, unsigned max)
{
	return value < 0 || value > max ? max + 1 : (unsigned)value;
}

void api_add_follow(struct api *api, struct control_call *call, const struct api_add_follow_in *in,
		    uint64_t now_ns)
{
	struct link link;
	struct follow_ask ask = {
		.link = &link,
		.name = in->name ? in->name : "",
		.tier = FOLLOW_NORMAL,
		.weight = in->has_weight ? bounded(in->weight, FOLLOW_WEIGHT_MAX) : FOLLOW_WEIGHT,
	};
	const struct follow *blocker;
	struct change *change;
	int err;

	(void)now_ns;
	if (!api_sharing_is_on(api, call) || !tier_read(call, in->trust, &ask.tier))
		return;
	err = blobs_link_parse(in->link, &link);
	if (err < 0) {
		api_fail_link(call, err, in->link, "give the link that weft share link printed");
		return;
	}
	if (link.kind != LINK_SHARE) {
		control_fail(
			call, WEFT_EMALFORMED, "link", "it is no share's: nothing changes in it",
			link.kind == LINK_COLLECTION ? "weft get fetches a collection"
						     : "weft community join joins a community");
		return;
	}
	change = change_new(api, call);
	if (!change)
		return;
	change->waits = in->wait;
	share_id_of(link.public_key, change->share_id);
	blocker = shares_follow_blocker(api->follows, BLOCKLIST_SHARE, change->share_id);
	if (blocker && ask.tier != FOLLOW_TRUSTED) {
		control_fail(call, WEFT_EREFUSED, in->link,
			     "the blocklist of a share that is followed names it",
			     "weft sub list shows whose; --trust trusted follows it all the same");
		free(change);
		return;
	}
	err = shares_follow_add(api->follows, &ask, change_done, change);
	if (err < 0)
		change_fail(change, in->link, err);
}

void api_list_follows(struct api *api, struct control_call *call,
		      const struct api_list_follows_in *in, uint64_t now_ns)
{
	(void)in, (void)now_ns;
	if (api_sharing_is_on(api, call))
		api_reply(call, list_follows,
			  .follows = follow_rows(control_blocks(call), api, NULL));
}

void api_show_follow(struct api *api, struct control_call *call,
		     const struct api_show_follow_in *in, uint64_t now_ns)
{
	const struct follow *follow = api_follow_named(api, call, in->share);

	(void)now_ns;
	if (follow)
		api_reply(call, show_follow,
			  .follow = follow_row(control_blocks(call), api, follow));
}

void api_set_follow(struct api *api, struct control_call *call, const struct api_set_follow_in *in,
		    uint64_t now_ns)
{
	const struct follow *follow = api_follow_named(api, call, in->share);
	unsigned weight = bounded(in->weight, FOLLOW_WEIGHT_MAX);
	unsigned version_cnt = bounded(in->keep_versions, BLOBS_VERSIONS_MAX);
	enum follow_tier tier;
	struct follow_change ask = {
		.name = in->name,
		.tier = in->trust ? &tier : NULL,
		.weight = in->has_weight ? &weight : NULL,
		.folder = in->get,
		.is_mirror = in->has_mirror ? &in->mirror : NULL,
		.version_cnt = in->has_keep_versions ? &version_cnt : NULL,
	};
	struct change *change;
	int err;

	(void)now_ns;
	if (!follow || !tier_read(call, in->trust, &tier))
		return;
	change = change_new(api, call);
	if (!change)
		return;
	memcpy(change->share_id, follow->share_id, SHARE_ID_LEN);
	err = shares_follow_set(api->follows, change->share_id, &ask, change_done, change);
	if (err < 0)
		change_fail(change, in->share, err);
}

void api_remove_follow(struct api *api, struct control_call *call,
		       const struct api_remove_follow_in *in, uint64_t now_ns)
{
	const struct follow *follow = api_follow_named(api, call, in->share);
	struct change *change;
	int err;

	(void)now_ns;
	if (!follow ||
	    (api->offers && !api_schemas_of_share_check(api->offers, call, follow->share_id)) ||
	    !(change = change_new(api, call)))
		return;
	change->is_removal = true;
	memcpy(change->share_id, follow->share_id, SHARE_ID_LEN);
	err = shares_follow_remove(api->follows, change->share_id, change_done, change);
	if (err < 0)
		change_fail(change, in->share, err);
}

/* --- syncs --- */

/* A caller that waits for syncs, all that it began. */
struct sync_wait {
	struct api *api;
	struct control_call *call; /* NULL: it left */
	unsigned left_cnt;
	bool is_one;
	uint8_t share_id[SHARE_ID_LEN]; /* of the one */
};

static void syncs_reply(struct sync_wait *wait)
{
	api_reply(wait->call, sync_follows,
		  .follows = follow_rows(control_blocks(wait->call), wait->api,
					 wait->is_one ? wait->share_id : NULL));
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

static void sync_begin(struct sync_wait *wait, const struct follow *follow)
{
	struct follow_sync *sync;

	if (shares_follow_sync_start(wait->api->follows, follow->share_id,
				     (struct follow_caller){synced, wait}, wait->api->home->now_ns,
				     &sync) == 0)
		wait->left_cnt++;
}

void api_sync_follows(struct api *api, struct control_call *call,
		      const struct api_sync_follows_in *in, uint64_t now_ns)
{
	const struct follow *follow = NULL;
	struct sync_wait *wait;

	(void)now_ns;
	if (in->share ? !(follow = api_follow_named(api, call, in->share))
		      : !api_sharing_is_on(api, call))
		return;
	wait = calloc(1, sizeof(*wait));
	if (!wait) {
		control_fail(call, -ENOMEM, "share", "no memory", "free some and try again");
		return;
	}
	wait->api = api;
	control_hold(call, &wait->call);
	if (follow) {
		wait->is_one = true;
		memcpy(wait->share_id, follow->share_id, SHARE_ID_LEN);
		sync_begin(wait, follow);
	} else {
		while ((follow = shares_follows_next(api->follows, follow)))
			sync_begin(wait, follow);
	}
	if (wait->left_cnt)
		return;
	syncs_reply(wait);
	free(wait);
}
