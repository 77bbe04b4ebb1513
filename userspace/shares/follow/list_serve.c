/* SPDX-License-Identifier: Apache-2.0 */
#include "list_serve.h"

#include <stdlib.h>
#include <string.h>

#include "blobs/blobs.h"
#include "blobs/scope.h"
#include "follow_state.h"
#include "shares/head_seen.h"
#include "shares/share_list.h"
#include "store/store.h"

/* An answer with one head is copied by the mesh; a longer one is lent to it. */
#define SHORT_ANSWER_CAP (HEAD_LEN_MAX + 16u)

/* Heads are served as they are kept: they were checked when they were stored. */
struct listing {
	struct list_answer answer;
	struct store_snapshot *snapshot; /* heads are borrowed of it */
};

static void head_add(struct listing *listing, const uint8_t share_id[static SHARE_ID_LEN])
{
	const void *bytes;
	size_t len;

	if (store_get(listing->snapshot, STORE_HEADS, store_key(share_id, SHARE_ID_LEN), &bytes,
		      &len) < 0 ||
	    len > HEAD_LEN_MAX)
		return;
	listing->answer.heads[listing->answer.head_cnt].bytes = bytes;
	listing->answer.heads[listing->answer.head_cnt++].len = len;
}

/* Ids ascend; the next page begins behind the last one of this. */
static void public_add(const struct follows *follows, struct listing *listing, const uint8_t *after)
{
	const uint8_t *id = after;

	while ((id = follows->params.public_next(follows->params.ctx, id))) {
		if (listing->answer.head_cnt == LIST_HEADS_MAX) {
			listing->answer.has_cursor = true;
			return;
		}
		head_add(listing, id);
		memcpy(listing->answer.cursor, id, LIST_CURSOR_LEN);
	}
}

static void refuse(const struct follows *follows, const struct mesh_call *call, enum mesh_code code,
		   const char *text)
{
	follows->params.mesh.ops->answer_error(call->incoming, code, text, 0);
}

/*
 * The newest head of a share that is for members alone is served to them. When the manifest of a
 * revision is not here, the followed revision speaks. Else nothing is known that would be kept.
 */
static bool may_tell(const struct follows *follows, const struct listing *listing,
		     const uint8_t *key, const uint8_t share_id[static SHARE_ID_LEN])
{
	const struct followed *followed = shares_follows_lookup(follows, share_id);
	const struct blobs *content = follows->params.content;
	struct head_seen seen;

	if (shares_head_seen_get(listing->snapshot, share_id, &seen) < 0)
		return false;
	if (blobs_has_scope(content, seen.head.manifest_id))
		return blobs_lets(content, seen.head.manifest_id, key);
	if (!followed || !followed->view.revision_cnt)
		return true;
	return blobs_lets(content, followed->view.revisions[0].manifest_id, key);
}

static void answer_share(const struct follows *follows, const struct mesh_call *call,
			 struct listing *listing, const uint8_t share_id[static SHARE_ID_LEN])
{
	uint8_t bytes[SHORT_ANSWER_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (may_tell(follows, listing, call->peer_key, share_id))
		head_add(listing, share_id);
	if (!listing->answer.head_cnt) {
		refuse(follows, call, MESH_CODE_ABSENT, "no head of that share is known here");
		return;
	}
	shares_list_answer_write(&w, &listing->answer);
	(void)!follows->params.mesh.ops->answer(call->incoming, MESH_SHARE_LIST, bytes,
						writer_len(&w), NULL);
}

static void answer_public(const struct follows *follows, const struct mesh_call *call,
			  struct listing *listing, const uint8_t *after)
{
	struct transport_span span = {.done = free};
	struct writer w;
	uint8_t *bytes;

	if (follows->params.public_next)
		public_add(follows, listing, after);
	bytes = malloc(LIST_ANSWER_CAP);
	if (!bytes) {
		refuse(follows, call, MESH_CODE_BUSY, "no memory for an answer");
		return;
	}
	w = writer_of(bytes, LIST_ANSWER_CAP);
	shares_list_answer_write(&w, &listing->answer);
	span.data = bytes;
	span.len = writer_len(&w);
	span.arg = bytes;
	if (follows->params.mesh.ops->answer(call->incoming, MESH_SHARE_LIST, NULL, 0, &span) < 0)
		free(bytes);
}

static void asked(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct follows *follows = ctx;
	struct listing listing = {0};
	struct list_request request;

	(void)now_ns;
	follows->stats.asked_cnt++;
	if (shares_list_request_parse(call->payload, call->payload_len, &request) < 0) {
		refuse(follows, call, MESH_CODE_MALFORMED, "no request for a list of shares");
		return;
	}
	if (store_snapshot_open(follows->params.store, &listing.snapshot) < 0) {
		refuse(follows, call, MESH_CODE_BUSY, "the store cannot be read now");
		return;
	}
	if (request.has_share)
		answer_share(follows, call, &listing, request.share_id);
	else
		answer_public(follows, call, &listing, request.has_cursor ? request.cursor : NULL);
	store_snapshot_close(listing.snapshot);
}

int shares_list_serve_begin(struct follows *follows)
{
	const struct mesh_seam *mesh = &follows->params.mesh;

	return mesh->ops->handle(mesh->mesh, MESH_LIST_SHARES, asked, follows);
}
