/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of shares that this node publishes, for every method that replies with one. */
#include <string.h>

#include "blobs/link.h"
#include "method_publish.h"

_Static_assert((int)API_PUBLISHED_SHARE_STATE_EMPTY == (int)PUBLISH_EMPTY &&
		       (int)API_PUBLISHED_SHARE_STATE_REVOKED == (int)PUBLISH_REVOKED,
	       "numbered as shares/ has them");

static struct api_string_list ids_list(struct varlink_blocks *blocks, const uint8_t (*ids)[32],
				       uint32_t cnt)
{
	struct api_string_list list = {0};

	for (uint32_t i = 0; i < cnt; i++)
		varlink_push(blocks, &list, api_id(blocks, ids[i]));
	return list;
}

static struct api_string_list lines_list(struct varlink_blocks *blocks, const char *lines)
{
	struct api_string_list list = {0};
	const char *line;
	size_t len;

	while ((line = blobs_only_next(&lines, &len)))
		varlink_push(blocks, &list, varlink_format(blocks, "%.*s", (int)len, line));
	return list;
}

/* The link names this node, at the addresses and relays that it advertises; the bare one names the share alone. */
static const char *link_text(struct varlink_blocks *blocks, const struct api *api,
			     const struct published *share, bool is_bare)
{
	struct link link = {.kind = LINK_SHARE, .node_cnt = !is_bare};
	char text[LINK_TEXT_CAP];

	memcpy(link.public_key, share->share_key, sizeof(link.public_key));
	memcpy(link.nodes[0].key, api->own_key, sizeof(link.nodes[0].key));
	api->own_places(api->ctx, &link.nodes[0].places);
	return varlink_text(blocks, blobs_link_write(&link, text));
}

static uint64_t bad_cnt_of(const struct api *api, const uint8_t manifest_id[static 32])
{
	struct blobs_share_iter iter = {.content = api->home->content};
	struct blobs_share share;
	uint64_t bad_cnt = 0;

	while (blobs_shares_next(&iter, &share))
		if (memcmp(share.manifest_id, manifest_id, sizeof(share.manifest_id)) == 0)
			bad_cnt += share.bad_cnt;
	return bad_cnt;
}

static void revision_set(struct varlink_blocks *blocks, const struct api *api,
			 const struct publish_revision *revision, struct api_published_share *row)
{
	uint64_t bad_cnt = bad_cnt_of(api, revision->manifest_id);

	row->revision = api_uint(revision->seq);
	row->items = api_uint(revision->item_cnt);
	row->bytes = api_uint(revision->byte_cnt);
	row->collection_id = api_id(blocks, revision->manifest_id);
	API_SET(row, created_s, api_uint(revision->created_s));
	API_SET(row, expires_s, api_uint(revision->expires_s));
	if (bad_cnt)
		API_SET(row, bad_files, api_uint(bad_cnt));
}

static void watch_set(const struct api *api, const uint8_t *share_id,
		      struct api_published_share *row)
{
	struct watch_view view;

	if (!shares_watch_lookup(api->watches, share_id, &view))
		return;
	API_SET(row, watch,
		view.is_rescanned ? API_PUBLISHED_SHARE_WATCH_RESCAN
				  : API_PUBLISHED_SHARE_WATCH_INOTIFY);
	API_SET(row, watch_quiet_s, view.quiet_s);
	API_SET(row, watched_dirs, view.dir_cnt);
	row->watch_error = view.err ? weft_err_text(view.err) : NULL;
}

static const char *text_or_none(const char *text)
{
	return *text ? text : NULL;
}

static struct api_published_share share_row(struct varlink_blocks *blocks, const struct api *api,
					    const struct published *share)
{
	const struct publish_settings *settings = share->settings;
	struct api_published_share row = {
		.name = settings->name,
		.share_id = api_id(blocks, share->share_id),
		.state = (enum api_published_share_state)share->state,
		.public = settings->is_public,
		.newest = api_uint(share->newest.seq),
		.holders = share->holder_cnt,
		.busy = share->is_busy,
		.tags = lines_list(blocks, settings->rules),
		.communities = ids_list(blocks, settings->communities, settings->community_cnt),
		.recommended = ids_list(blocks, settings->recommended, settings->recommended_cnt),
		.link = link_text(blocks, api, share, false),
		.bare_link = link_text(blocks, api, share, true),
		.title = text_or_none(settings->title),
		.description = text_or_none(settings->description),
		.path = text_or_none(settings->path),
		.has_only = *settings->only,
		.only = lines_list(blocks, settings->only),
		.put_error = share->put_err ? weft_err_text(share->put_err) : NULL,
		API_IF(dated_ahead_s, share->ahead_s, api_uint(share->ahead_s)),
	};

	if (share->newest.has_successor) {
		uint8_t successor_id[SHARE_ID_LEN];

		share_id_of(share->newest.successor, successor_id);
		row.successor = api_id(blocks, successor_id);
	}
	watch_set(api, share->share_id, &row);
	if (share->revision_cnt)
		revision_set(blocks, api, &share->revisions[share->revision_cnt - 1], &row);
	return row;
}

/* Connected peers by how their clocks stand to this node's, as their last HELLO said. */
static void clock_set(struct api *api, struct api_published_share *row)
{
	struct api_peer_iter iter = {.api = api};
	uint64_t least_s = 0; /* of those that are behind by more than heads may differ */
	unsigned cnt = 0, behind_cnt = 0;
	struct mesh_peer_info peer;

	while (api_peers_next(&iter, &peer) && peer.is_connected) {
		cnt++;
		if (peer.skew_s >= -(int64_t)HEAD_SKEW_S)
			continue;
		behind_cnt++;
		if (!least_s || -(uint64_t)peer.skew_s < least_s)
			least_s = -(uint64_t)peer.skew_s;
	}
	if (behind_cnt * 2 > cnt)
		API_SET(row, clock_ahead_s, api_uint(least_s));
}

struct api_published_share api_published_share(struct varlink_blocks *blocks, struct api *api,
					       const struct published *share)
{
	struct api_published_share row = share_row(blocks, api, share);

	clock_set(api, &row);
	return row;
}

struct api_published_share_list api_published_shares(struct varlink_blocks *blocks,
						     const struct api *api)
{
	struct api_published_share_list found = {0};
	const struct published *share = NULL;

	while (api->follows && (share = shares_publisher_next(api->publisher, share)))
		varlink_push(blocks, &found, share_row(blocks, api, share));
	return found;
}

void api_show_share(struct api *api, struct control_call *call, const struct api_show_share_in *in,
		    uint64_t now_ns)
{
	const struct published *share = api_published(api, call, in->name);
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_share_revision_list revisions = {0};

	(void)now_ns;
	if (!share)
		return;
	for (uint32_t i = 0; i < share->revision_cnt; i++) {
		const struct publish_revision *revision = &share->revisions[i];

		varlink_push(blocks, &revisions,
			     {.revision = api_uint(revision->seq),
			      .collection_id = api_id(blocks, revision->manifest_id),
			      .created_s = api_uint(revision->created_s),
			      .expires_s = api_uint(revision->expires_s),
			      .items = api_uint(revision->item_cnt),
			      .bytes = api_uint(revision->byte_cnt)});
	}
	api_reply(call, show_share, .share = api_published_share(blocks, api, share),
		  .revisions = revisions);
}
