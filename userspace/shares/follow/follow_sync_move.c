/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A share whose key has a successor is followed under that key. The row of the old one goes and
 * that of the new one comes in one commit. It stands behind the commit with the head that names
 * the successor. So whatever instant the program dies at, either row is there, and the older one
 * leads to the newer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/blobs.h"
#include "blobs/retainer.h"
#include "follow_sync.h"
#include "store/store.h"

static bool may_move(struct sync *sync, const uint8_t *share_id)
{
	const struct followed *followed = sync->followed;
	const struct follows *follows = sync->follows;

	if (followed->move_cnt == HEAD_SUCCESSORS_MAX) {
		snprintf(sync->note, sizeof(sync->note),
			 "its key was replaced %u times without a revision, and no further one is "
			 "looked for",
			 HEAD_SUCCESSORS_MAX);
		return false;
	}
	if (followed->is_passing)
		return true;
	if (followed->is_leaving)
		return false;
	if (shares_follow_list_lookup(&follows->all, share_id) ||
	    shares_follow_list_lookup(&follows->adding, share_id)) {
		snprintf(sync->note, sizeof(sync->note),
			 "another key took its place, and that share is followed, too");
		return false;
	}
	return true;
}

/* Nothing of the old share counts any more, and search and holders learn so. */
static void revisions_drop(struct followed *followed)
{
	struct follow *view = &followed->view;

	shares_followed_refresh(followed, false);
	for (unsigned i = 0; i < FOLLOW_REVISIONS_MAX; i++) {
		free(followed->parts[i].ids);
		followed->parts[i].ids = NULL;
		followed->parts[i].cnt = 0;
	}
	view->revision_cnt = 0;
	shares_blocklist_fini(&followed->blocklist);
	followed->blocklist = (struct blocklist){0};
	view->has_blocklist = followed->is_blocklist_due = false;
	blobs_holder_changed(followed->follows->params.content);
}

static void key_take(struct followed *followed, const uint8_t *key, const uint8_t *share_id)
{
	struct follow *view = &followed->view;
	struct store_snapshot *snapshot;

	memcpy(view->share_key, key, sizeof(view->share_key));
	memcpy(view->share_id, share_id, sizeof(view->share_id));
	view->head = (struct share_head){.seq = 0};
	followed->seen = (struct head_seen){.len = 0};
	followed->told_old = followed->told_fork = (struct share_head){.seq = 0};
	memset(followed->bad_manifest_id, 0, sizeof(followed->bad_manifest_id));
	followed->is_head_unsaved = false;
	followed->put_ns = 0;
	followed->move_cnt++;
	if (store_snapshot_open(followed->follows->params.store, &snapshot) < 0)
		return;
	shares_followed_see(followed, snapshot);
	store_snapshot_close(snapshot);
}

static void heads_forget(struct sync *sync)
{
	sync->best.head.seq = sync->overlay_head.seq = sync->future.seq = 0;
	for (unsigned i = 0; i < SYNC_NODES_MAX; i++)
		sync->head_asks[i].ask.seen.head.seq = 0;
	sync->note[0] = '\0';
	sync->is_heard = false;
}

bool shares_sync_move(struct sync *sync)
{
	struct followed *followed = sync->followed;
	const struct share_head head = followed->view.head;
	uint8_t was_id[SHARE_ID_LEN], share_id[SHARE_ID_LEN];

	if (!head.has_successor)
		return false;
	share_id_of(head.successor, share_id);
	if (!may_move(sync, share_id))
		return false;
	/* Publishers and followers of the old key go on to serve and put its last head. */
	shares_sync_put(sync, sync->follows->now_ns);
	memcpy(was_id, followed->view.share_id, sizeof(was_id));
	if (!followed->is_passing)
		revisions_drop(followed);
	key_take(followed, head.successor, share_id);
	heads_forget(sync);
	if (followed->is_passing)
		return true;
	store_batch_delete(shares_sync_batch(sync), STORE_FOLLOWS,
			   store_key(was_id, sizeof(was_id)));
	shares_follow_row_put(shares_sync_batch(sync), followed, NULL, NULL);
	blobs_gets_succeed(sync->follows->params.content, shares_sync_batch(sync), was_id,
			   share_id);
	shares_sync_save_flush(sync);
	shares_followed_tell(followed, FOLLOW_HAS_MOVED, head.seq, NULL, 0);
	shares_followed_refresh(followed, false);
	shares_follows_refresh(sync->follows);
	return true;
}
