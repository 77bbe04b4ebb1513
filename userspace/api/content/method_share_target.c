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

#include "codec/zbase32.h"
#include "node/sharing/sharing_state.h"

bool api_sharing_is_on(const struct node *node, struct control_call *call)
{
	if (node->sharing)
		return true;
	control_fail(call, WEFT_EREFUSED, "shares", "they are switched off",
		     "set sharing.enabled = yes in weft.conf and start weftd again");
	return false;
}

static const struct follow *follow_of_link(struct node *node, struct control_call *call,
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
	follow = link.kind == LINK_SHARE ? shares_follow_lookup(node->sharing->follows, share_id)
					 : NULL;
	if (!follow)
		control_fail(call, WEFT_EABSENT, "link", "it is of no share that is followed",
			     "weft sub list shows those that are");
	return follow;
}

const struct follow *api_follow_named(struct node *node, struct control_call *call,
				      const char *name)
{
	const struct follow *follow;
	int err;

	if (!api_sharing_is_on(node, call))
		return NULL;
	if (strncasecmp(name, "mesh:", 5) == 0)
		return follow_of_link(node, call, name);
	err = shares_follow_find(node->sharing->follows, name, &follow);
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

/* A call that waits until the newest revision of a share is known. */
struct resolution {
	struct node *node;
	struct control_call *call;
	json_t *kept; /* in, as JSON, and read again from it */
	struct api_blocks blocks;
	const struct api_get_in *in;
	struct follow_sync *sync;
	method_collection_fn found;
	struct link link;
	bool is_followed; /* it is one that is followed, and has no revision here yet */
	uint8_t share_id[SHARE_ID_LEN];
};

static void resolution_free(struct resolution *resolution)
{
	api_blocks_free(&resolution->blocks);
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
static void follow_give(struct node *node, struct control_call *call, const struct api_get_in *in,
			const struct follow *follow, method_collection_fn found, uint64_t now_ns)
{
	const struct method_collection collection = {
		.manifest_id = follow->revisions[0].manifest_id,
		.nodes = follow->hints,
		.node_cnt = follow->hint_cnt,
	};

	if (follow->is_used)
		found(node, call, in, &collection, now_ns);
	else
		follow_refuse(call, follow, follow->name[0] ? follow->name : "share");
}

static void head_absent(struct resolution *resolution, const struct follow_synced *synced)
{
	char hints[METHOD_HINTS_CAP], why[METHOD_HINTS_CAP + 80];

	api_hints_text(resolution->link.nodes, synced->hint_errs, resolution->link.node_cnt, hints);
	snprintf(why, sizeof(why), "%s%s%s%s",
		 synced->err == WEFT_EABSENT
			 ? "nobody who answers knows a revision of that share"
			 : "neither the overlay nor a node that it names answers",
		 hints[0] ? " (" : "", hints, hints[0] ? ")" : "");
	control_fail(resolution->call, synced->err, "link", why,
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

	/* Nobody may answer now, and still what was seen before can be fetched. */
	if (!synced->head.seq)
		head_absent(resolution, synced);
	else if (shares_head_is_revoked(&synced->head))
		control_fail(resolution->call, WEFT_EREFUSED, "link",
			     "the share's key was given up, and nothing of it is to be trusted",
			     "ask its publisher for the link of another share");
	else
		resolution->found(resolution->node, resolution->call, resolution->in, &collection,
				  now_ns);
}

static void resolved(void *arg, const struct follow_synced *synced, uint64_t now_ns)
{
	struct resolution *resolution = arg;
	const struct follow *follow =
		resolution->is_followed
			? shares_follow_lookup(resolution->node->sharing->follows, synced->share_id)
			: NULL;

	control_on_gone(resolution->call, NULL, NULL);
	if (synced->err == WEFT_ECANCELLED)
		control_fail(resolution->call, synced->err, "share", "it is followed no more",
			     "follow it again, or give its link");
	else if (follow)
		follow_give(resolution->node, resolution->call, resolution->in, follow,
			    resolution->found, now_ns);
	else
		head_give(resolution, synced, now_ns);
	resolution_free(resolution);
}

static void resolution_begin(struct resolution *resolution, const char *text, uint64_t now_ns)
{
	struct follows *follows = resolution->node->sharing->follows;
	int err = resolution->is_followed
			  ? shares_follow_sync_start(follows, resolution->share_id, resolved,
						     resolution, now_ns, &resolution->sync)
			  : shares_follow_resolve_start(follows, &resolution->link, resolved,
							resolution, now_ns, &resolution->sync);

	if (err == 0) {
		control_on_gone(resolution->call, resolution_left, resolution);
		return;
	}
	control_fail(resolution->call, err, text, weft_err_text(err),
		     err == WEFT_EFULL ? "many links are looked up at the moment: try again soon"
				       : "try again");
	resolution_free(resolution);
}

static struct resolution *resolution_new(struct node *node, struct control_call *call,
					 const struct api_get_in *in, method_collection_fn found)
{
	struct resolution *resolution = calloc(1, sizeof(*resolution));
	char field[API_FIELD_CAP];
	const void *copy;

	if (resolution)
		resolution->kept = api_get_in_write(in);
	if (!resolution ||
	    api_parse(&api_get_in_type, resolution->kept, &resolution->blocks, &copy, field) < 0) {
		control_fail(call, -ENOMEM, "share", "no memory", "free some and try again");
		if (resolution)
			resolution_free(resolution);
		return NULL;
	}
	resolution->node = node;
	resolution->call = call;
	resolution->in = copy;
	resolution->found = found;
	return resolution;
}

static void link_find(struct node *node, struct control_call *call, const struct api_get_in *in,
		      const struct link *link, method_collection_fn found, uint64_t now_ns)
{
	const struct method_collection collection = {.link = link};
	struct resolution *resolution;
	uint8_t share_id[SHARE_ID_LEN];

	if (link->kind == LINK_COLLECTION) {
		found(node, call, in, &collection, now_ns);
		return;
	}
	if (link->kind == LINK_COMMUNITY) {
		control_fail(call, WEFT_EMALFORMED, "link", "it is a community's, not a share's",
			     "weft community join joins it and lists its shares");
		return;
	}
	if (!api_sharing_is_on(node, call))
		return;
	share_id_of(link->public_key, share_id);
	if (shares_follow_blocker(node->sharing->follows, BLOCKLIST_SHARE, share_id)) {
		control_fail(call, WEFT_EREFUSED, "link",
			     "the blocklist of a share that is followed names it",
			     "weft sub list shows whose");
		return;
	}
	resolution = resolution_new(node, call, in, found);
	if (!resolution)
		return;
	resolution->link = *link;
	resolution_begin(resolution, "link", now_ns);
}

static void name_find(struct node *node, struct control_call *call, const struct api_get_in *in,
		      const char *name, method_collection_fn found, uint64_t now_ns)
{
	struct resolution *resolution;
	const struct follow *follow;

	follow = api_follow_named(node, call, name);
	if (!follow)
		return;
	if (follow->state != FOLLOW_NEW) {
		follow_give(node, call, in, follow, found, now_ns);
		return;
	}
	resolution = resolution_new(node, call, in, found);
	if (!resolution)
		return;
	resolution->is_followed = true;
	memcpy(resolution->share_id, follow->share_id, SHARE_ID_LEN);
	resolution_begin(resolution, name, now_ns);
}

void api_collection_find(struct node *node, struct control_call *call, const struct api_get_in *in,
			 method_collection_fn found, uint64_t now_ns)
{
	const char *text = in->link;
	const struct follow *follow;
	struct link link;
	int err = blobs_link_parse(text, &link);

	if (err == 0)
		link_find(node, call, in, &link, found, now_ns);
	else if (err == WEFT_EUNKNOWN && node->sharing &&
		 shares_follow_find(node->sharing->follows, text, &follow) != WEFT_EABSENT)
		name_find(node, call, in, text, found, now_ns);
	else
		api_fail_link(call, err, text,
			      "give a link, or the name of a followed share (weft sub list)");
}
