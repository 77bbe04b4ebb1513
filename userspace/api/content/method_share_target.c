/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A share that a call names. A link is asked for with a follower's care: an older
 * revision than was ever seen here is none.
 */
#include "method_share_target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "codec/text/zbase32.h"

bool api_sharing_is_on(const struct api *api, struct control_call *call)
{
	if (api->follows)
		return true;
	control_fail(call, WEFT_EREFUSED, "shares", "they are switched off",
		     "set sharing.enabled = yes in weft.conf and start weftd again");
	return false;
}

static const struct follow *follow_of_link(struct api *api, struct control_call *call,
					   const char *text)
{
	uint8_t share_id[SHARE_ID_LEN];
	const struct follow *follow;
	struct link link;
	int err = blobs_link_parse(text, &link);

	if (err < 0) {
		api_fail_link(call, err, text, "give the link that weft share link printed");
		return NULL;
	}
	share_id_of(link.public_key, share_id);
	follow = link.kind == LINK_SHARE ? shares_follow_lookup(api->follows, share_id) : NULL;
	if (!follow)
		control_fail(call, WEFT_EABSENT, "link", "it is of no share that is followed",
			     "weft sub list shows those that are");
	return follow;
}

const struct follow *api_follow_named(struct api *api, struct control_call *call, const char *name)
{
	const struct follow *follow;
	int err;

	if (!api_sharing_is_on(api, call))
		return NULL;
	if (strncasecmp(name, "mesh:", 5) == 0)
		return follow_of_link(api, call, name);
	err = shares_follow_find(api->follows, name, &follow);
	if (err == 0)
		return follow;
	control_fail(call, err == WEFT_EEXISTS ? WEFT_EMALFORMED : err, name,
		     err == WEFT_EEXISTS ? "several followed shares are called so"
					 : "no followed share is called so",
		     "weft sub list shows names and ids; 8 letters of an id are enough");
	return NULL;
}

const char *api_hints_text(const struct link_node *nodes, const int *errs, unsigned cnt,
			   char text[static METHOD_HINTS_CAP])
{
	char key[ZBASE32_KEY_TEXT_CAP];
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < cnt && len < METHOD_HINTS_CAP; i++)
		if (errs[i] < 0)
			len += (size_t)snprintf(text + len, METHOD_HINTS_CAP - len, "%s%.8s: %s",
						len ? "; " : "",
						zbase32_write(nodes[i].key, MESH_KEY_LEN, key),
						weft_err_text(errs[i]));
	return text;
}

/* --- what a get is of --- */

/* A get whose collection is to be found. */
struct target {
	struct api *api;
	struct control_call *call;
	const struct api_get_in *in;
	method_collection_fn found;
};

static void target_found(const struct target *target, const struct method_collection *collection,
			 uint64_t now_ns)
{
	target->found(target->api, target->call, target->in, collection, now_ns);
}

/* One that waits until the newest revision of a share is known. */
struct resolution {
	struct target target;
	json_t *kept; /* its in as JSON, of which the copy borrows */
	struct varlink_blocks blocks;
	struct follow_sync *sync;
	struct link link;
	bool is_followed; /* it is one that is followed, and has no revision here yet */
	uint8_t share_id[SHARE_ID_LEN];
};

static void resolution_free(struct resolution *resolution)
{
	varlink_blocks_free(&resolution->blocks);
	json_decref(resolution->kept);
	free(resolution);
}

static void resolution_left(void *arg)
{
	struct resolution *resolution = arg;

	shares_follow_sync_cancel(resolution->sync);
	resolution_free(resolution);
}

static void follow_refuse(struct control_call *call, const struct follow *follow, const char *name)
{
	switch (follow->state) {
	case FOLLOW_REVOKED:
		control_fail(call, WEFT_EREFUSED, name,
			     "its key was given up, and nothing of it is to be trusted",
			     "ask its publisher for the link of another share");
		break;
	case FOLLOW_EXPIRED:
		control_fail(call, WEFT_EREFUSED, name, "its newest revision has expired",
			     "weft sub sync asks whether there is another");
		break;
	case FOLLOW_BLOCKED:
		control_fail(call, WEFT_EREFUSED, name,
			     "the blocklist of a share that is followed names it",
			     "weft sub set NAME --trust trusted lets it be");
		break;
	default:
		control_fail(call, WEFT_EABSENT, name,
			     follow->detail[0] ? follow->detail : "no revision of it is here yet",
			     "weft sub sync asks for it again");
	}
}

/* The revision that is here; false: call was failed. */
static void follow_give(const struct target *target, const struct follow *follow, uint64_t now_ns)
{
	const struct method_collection collection = {
		.manifest_id = follow->revisions[0].manifest_id,
		.nodes = follow->hints,
		.node_cnt = follow->hint_cnt,
	};

	if (follow->is_used)
		target_found(target, &collection, now_ns);
	else
		follow_refuse(target->call, follow, follow->name[0] ? follow->name : "share");
}

static void head_absent(struct resolution *resolution, const struct follow_synced *synced)
{
	char hints[METHOD_HINTS_CAP], why[METHOD_HINTS_CAP + 80];

	api_hints_text(resolution->link.nodes, synced->hint_errs, resolution->link.node_cnt, hints);
	snprintf(why, sizeof(why), "%s%s%s%s",
		 synced->err == WEFT_EABSENT
			 ? "no node that answers knows a revision of that share"
			 : "neither the overlay nor a node that it names answers",
		 hints[0] ? " (" : "", hints, hints[0] ? ")" : "");
	control_fail(resolution->target.call, synced->err, "link", why,
		     "try again later, or ask its publisher for a newer link");
}

static void head_give(struct resolution *resolution, const struct follow_synced *synced,
		      uint64_t now_ns)
{
	const struct method_collection collection = {
		.manifest_id = synced->head.manifest_id,
		.nodes = resolution->link.nodes,
		.node_cnt = resolution->link.node_cnt,
	};

	/* Even when no node answers now, what was seen before can be fetched. */
	if (!synced->head.seq)
		head_absent(resolution, synced);
	else if (shares_head_is_revoked(&synced->head))
		control_fail(resolution->target.call, WEFT_EREFUSED, "link",
			     "the share's key was given up, and nothing of it is to be trusted",
			     "ask its publisher for the link of another share");
	else
		target_found(&resolution->target, &collection, now_ns);
}

static void resolved(void *arg, const struct follow_synced *synced, uint64_t now_ns)
{
	struct resolution *resolution = arg;
	const struct follow *follow =
		resolution->is_followed
			? shares_follow_lookup(resolution->target.api->follows, synced->share_id)
			: NULL;

	control_on_gone(resolution->target.call, NULL, NULL);
	if (synced->err == WEFT_ECANCELLED)
		control_fail(resolution->target.call, synced->err, "share",
			     "it is followed no more", "follow it again, or give its link");
	else if (follow)
		follow_give(&resolution->target, follow, now_ns);
	else
		head_give(resolution, synced, now_ns);
	resolution_free(resolution);
}

static void resolution_begin(struct resolution *resolution, const char *text, uint64_t now_ns)
{
	struct follows *follows = resolution->target.api->follows;
	struct follow_caller caller = {resolved, resolution};
	int err = resolution->is_followed
			  ? shares_follow_sync_start(follows, resolution->share_id, caller, now_ns,
						     &resolution->sync)
			  : shares_follow_resolve_start(follows, &resolution->link, caller, now_ns,
							&resolution->sync);

	if (err == 0) {
		control_on_gone(resolution->target.call, resolution_left, resolution);
		return;
	}
	control_fail(resolution->target.call, err, text, weft_err_text(err),
		     err == WEFT_EFULL ? "many links are looked up at the moment: try again soon"
				       : "try again");
	resolution_free(resolution);
}

static struct resolution *resolution_new(const struct target *target)
{
	struct resolution *resolution = calloc(1, sizeof(*resolution));
	char field[VARLINK_FIELD_CAP];
	const void *copy;

	if (resolution)
		resolution->kept = api_get_in_write(target->in);
	if (!resolution || varlink_parse(&api_get_in_type, resolution->kept, &resolution->blocks,
					 &copy, field) < 0) {
		control_fail(target->call, -ENOMEM, "share", "no memory",
			     "free some and try again");
		if (resolution)
			resolution_free(resolution);
		return NULL;
	}
	resolution->target = *target;
	resolution->target.in = copy;
	return resolution;
}

static void link_find(const struct target *target, const struct link *link, uint64_t now_ns)
{
	const struct method_collection collection = {.link = link};
	struct resolution *resolution;
	uint8_t share_id[SHARE_ID_LEN];

	if (link->kind == LINK_COLLECTION) {
		target_found(target, &collection, now_ns);
		return;
	}
	if (link->kind == LINK_COMMUNITY) {
		control_fail(target->call, WEFT_EMALFORMED, "link",
			     "it is a community's, not a share's",
			     "weft community join joins it and lists its shares");
		return;
	}
	if (!api_sharing_is_on(target->api, target->call))
		return;
	share_id_of(link->public_key, share_id);
	if (shares_follow_blocker(target->api->follows, BLOCKLIST_SHARE, share_id)) {
		control_fail(target->call, WEFT_EREFUSED, "link",
			     "the blocklist of a share that is followed names it",
			     "weft sub list shows whose");
		return;
	}
	resolution = resolution_new(target);
	if (!resolution)
		return;
	resolution->link = *link;
	resolution_begin(resolution, "link", now_ns);
}

static void name_find(const struct target *target, const char *name, uint64_t now_ns)
{
	const struct follow *follow = api_follow_named(target->api, target->call, name);
	struct resolution *resolution;

	if (!follow)
		return;
	if (follow->state != FOLLOW_NEW) {
		follow_give(target, follow, now_ns);
		return;
	}
	resolution = resolution_new(target);
	if (!resolution)
		return;
	resolution->is_followed = true;
	memcpy(resolution->share_id, follow->share_id, SHARE_ID_LEN);
	resolution_begin(resolution, name, now_ns);
}

void api_collection_find(struct api *api, struct control_call *call, const struct api_get_in *in,
			 method_collection_fn found, uint64_t now_ns)
{
	const struct target target = {api, call, in, found};
	const struct follow *follow;
	struct link link;
	int err = blobs_link_parse(in->link, &link);

	if (err == 0)
		link_find(&target, &link, now_ns);
	else if (err == WEFT_EUNKNOWN && api->follows &&
		 shares_follow_find(api->follows, in->link, &follow) != WEFT_EABSENT)
		name_find(&target, in->link, now_ns);
	else
		api_fail_link(call, err, in->link,
			      "give a link, or the name of a followed share (weft sub list)");
}
