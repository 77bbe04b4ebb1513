/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest head of a share. The overlay and the nodes that its link names are asked at once.
 * No node is believed alone. The newest head that the share's key has signed counts, and never
 * one that is older than a head seen before.
 */
#include <stdio.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "blobs/blobs.h"
#include "blobs/scope.h"
#include "follow_sync.h"
#include "store/store.h"

/* A head that is there is put again at half the life it has in the overlay. */
#define PUT_NS (HEAD_OVERLAY_TTL_S / 2 * NS_PER_S)

static void heard(struct sync *sync, const struct share_head *head, const uint8_t *bytes,
		  size_t len)
{
	if (sync->best.head.seq && !shares_head_is_newer(head, &sync->best.head))
		return;
	sync->best.head = *head;
	memcpy(sync->best.bytes, bytes, len);
	sync->best.len = len;
}

static void answered(struct sync *sync, uint64_t now_ns)
{
	if (--sync->head_wait_cnt == 0)
		shares_sync_step_done(sync, now_ns);
}

static void future_note(struct sync *sync, const struct share_head *head)
{
	if (!sync->future.seq || shares_head_is_newer(head, &sync->future))
		sync->future = *head;
}

static bool is_of_share(struct sync *sync, const struct share_head *head)
{
	if (memcmp(head->share_id, sync->followed->view.share_id, SHARE_ID_LEN) != 0)
		return false;
	/* One from the future would make our clock the publisher's. */
	if (head->updated_s <= follows_wall_s(sync->follows) + HEAD_SKEW_S)
		return true;
	future_note(sync, head);
	return false;
}

/* --- the overlay --- */

static void overlay_value(void *arg, const uint8_t *value, size_t len,
			  const struct overlay_claim *claim)
{
	struct sync *sync = arg;
	struct share_head head;

	(void)claim;
	if (shares_head_parse(value + 1, len - 1, &head) < 0 || !is_of_share(sync, &head)) {
		sync->follows->stats.false_head_cnt++;
		return;
	}
	if (!sync->overlay_head.seq || shares_head_is_newer(&head, &sync->overlay_head))
		sync->overlay_head = head;
	heard(sync, &head, value + 1, len - 1);
}

static void overlay_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct sync *sync = arg;

	sync->run = NULL;
	sync->is_heard |= result->err == 0;
	answered(sync, now_ns);
}

static void overlay_ask(struct sync *sync, uint64_t now_ns)
{
	const struct overlay_seam *overlay = &sync->follows->params.overlay;
	uint8_t name[HEAD_OVERLAY_NAME_LEN];

	if (!overlay->ops)
		return;
	shares_head_overlay_name(sync->followed->view.share_id, name);
	if (overlay->ops->get(overlay->overlay,
			      &(struct overlay_get_params){.name = name,
							   .name_len = sizeof(name),
							   .tag = HEAD_OVERLAY_TAG,
							   .value = overlay_value,
							   .done = overlay_done,
							   .arg = sync},
			      now_ns, &sync->run) == 0)
		sync->head_wait_cnt++;
}

/* --- nodes that the link names --- */

/* asked is one of the link's nodes, or a member about which nothing is reported. */
static void hint_note(struct sync *sync, const struct sync_head_ask *asked, int err)
{
	size_t idx = (size_t)(asked - sync->head_asks);

	if (sync->followed && idx < sync->followed->view.hint_cnt)
		sync->followed->view.hint_errs[idx] = err;
}

static void node_answered(struct head_ask *ask, int err, uint64_t now_ns)
{
	struct sync *sync = ((struct sync_head_ask *)ask)->sync;

	hint_note(sync, (struct sync_head_ask *)ask, err);
	if (err == 0)
		heard(sync, &ask->seen.head, ask->seen.bytes, ask->seen.len);
	else if (err == WEFT_EDAMAGED)
		sync->follows->stats.false_head_cnt++;
	if (err == WEFT_EDAMAGED && ask->future.seq)
		future_note(sync, &ask->future);
	sync->is_heard |= err == 0 || err == WEFT_EABSENT || err == WEFT_EDAMAGED;
	answered(sync, now_ns);
}

static void node_ask(struct sync *sync, struct sync_head_ask *asked, const struct link_node *hint,
		     bool is_told, uint64_t now_ns)
{
	const struct follows_params *params = &sync->follows->params;
	struct mesh_peer peer = mesh_peer_at(hint->key, &hint->places);
	int err;

	peer.told_cnt = is_told ? peer.addr_cnt : 0;
	memcpy(asked->ask.share_id, sync->followed->view.share_id, SHARE_ID_LEN);
	asked->ask.latest_s = follows_wall_s(sync->follows) + HEAD_SKEW_S;
	asked->ask.timeout_ns = params->config.timeout_ns;
	asked->ask.done = node_answered;
	asked->sync = sync;
	asked->key = hint->key;
	err = shares_head_ask_start(&asked->ask, &params->mesh, &peer, now_ns);
	hint_note(sync, asked, err);
	sync->head_wait_cnt += err == 0;
}

static bool is_hint(const struct followed *followed, const uint8_t *key)
{
	for (unsigned i = 0; i < followed->view.hint_cnt; i++)
		if (memcmp(followed->hints[i].key, key, MESH_KEY_LEN) == 0)
			return true;
	return false;
}

/* Members of communities that the share is bound to. */
static void keepers_ask(struct sync *sync, uint64_t now_ns)
{
	const struct follows_params *params = &sync->follows->params;
	const struct followed *followed = sync->followed;

	sync->keeper_cnt = params->keepers ? params->keepers(params->ctx, followed->view.share_id,
							     sync->keepers)
					   : 0;
	for (unsigned i = 0; i < sync->keeper_cnt; i++)
		if (!is_hint(followed, sync->keepers[i].key))
			node_ask(sync, &sync->head_asks[FOLLOW_HINTS_MAX + i], &sync->keepers[i],
				 true, now_ns);
}

void shares_sync_heads_begin(struct sync *sync, uint64_t now_ns)
{
	const struct followed *followed = sync->followed;

	sync->step = SYNC_HEADS;
	overlay_ask(sync, now_ns);
	for (unsigned i = 0; i < followed->view.hint_cnt; i++)
		if (memcmp(followed->hints[i].key, sync->follows->params.own_key, MESH_KEY_LEN) !=
		    0)
			node_ask(sync, &sync->head_asks[i], &followed->hints[i], false, now_ns);
	keepers_ask(sync, now_ns);
	if (!sync->head_wait_cnt)
		shares_sync_step_done(sync, now_ns);
}

void shares_sync_heads_cancel(struct sync *sync)
{
	const struct follows_params *params = &sync->follows->params;

	if (sync->run)
		params->overlay.ops->cancel(sync->run);
	sync->run = NULL;
	for (unsigned i = 0; i < SYNC_NODES_MAX; i++)
		shares_head_ask_cancel(&sync->head_asks[i].ask, &params->mesh);
}

/* --- which is the newest --- */

static bool head_equal(const struct share_head *a, const struct share_head *b)
{
	return a->seq == b->seq && a->updated_s == b->updated_s &&
	       memcmp(a->manifest_id, b->manifest_id, sizeof(a->manifest_id)) == 0;
}

/* One event for each such head, however often it is given. */
static void old_head_note(struct followed *followed, const struct share_head *head,
			  const uint8_t *peer_key)
{
	followed->view.old_head_cnt++;
	followed->follows->stats.old_head_cnt++;
	if (followed->told_old.seq && head_equal(head, &followed->told_old))
		return;
	followed->told_old = *head;
	shares_followed_tell(followed, FOLLOW_OLD_HEAD, head->seq, peer_key, 0);
}

static void fork_note(struct followed *followed, const struct share_head *head)
{
	if (followed->told_fork.seq && head_equal(head, &followed->told_fork))
		return;
	followed->told_fork = *head;
	followed->view.fork_cnt++;
	followed->follows->stats.fork_cnt++;
	shares_followed_tell(followed, FOLLOW_FORKED, head->seq, NULL, 0);
}

/* Heads given besides the newest: of the same number, or older than one seen before. */
static void other_heads_note(struct sync *sync, const struct share_head *seen)
{
	struct followed *followed = sync->followed;
	const struct share_head *heads[SYNC_NODES_MAX + 1];
	const uint8_t *keys[SYNC_NODES_MAX + 1] = {NULL};

	heads[0] = &sync->overlay_head;
	for (unsigned i = 0; i < SYNC_NODES_MAX; i++) {
		heads[i + 1] = &sync->head_asks[i].ask.seen.head;
		keys[i + 1] = sync->head_asks[i].key;
	}
	for (unsigned i = 0; i <= SYNC_NODES_MAX; i++) {
		if (!heads[i]->seq)
			continue;
		if (shares_head_is_fork(heads[i], &followed->view.head))
			fork_note(followed, heads[i]);
		else if (seen->seq && shares_head_is_newer(seen, heads[i]))
			old_head_note(followed, heads[i], keys[i]);
	}
}

/* Others in this node, a publisher or a link that was resolved, note what they see too. */
static void seen_refresh(struct followed *followed)
{
	struct store_snapshot *snapshot;

	if (store_snapshot_open(followed->follows->params.store, &snapshot) < 0)
		return;
	shares_followed_see(followed, snapshot);
	store_snapshot_close(snapshot);
}

/* Why a known head does not count: its date, or a head seen before. */
static void note_write(struct sync *sync, const struct share_head *seen)
{
	const struct share_head *newest = &sync->followed->view.head, *best = &sync->best.head;
	uint64_t wall_s = follows_wall_s(sync->follows);

	if (sync->future.seq && (!newest->seq || shares_head_is_newer(&sync->future, newest)))
		snprintf(sync->note, sizeof(sync->note),
			 "revision %llu is dated %llu s ahead of this node's clock and not taken; "
			 "set the clock that is wrong",
			 (unsigned long long)sync->future.seq,
			 (unsigned long long)(sync->future.updated_s - wall_s));
	else if (best->seq && seen->seq && shares_head_is_newer(seen, best))
		snprintf(sync->note, sizeof(sync->note),
			 "the nodes that answered are behind: they tell of revision %llu, and %llu "
			 "was seen before",
			 (unsigned long long)best->seq, (unsigned long long)seen->seq);
}

int shares_sync_heads_judge(struct sync *sync)
{
	struct followed *followed = sync->followed;
	struct follow *view = &followed->view;
	struct share_head seen;

	seen_refresh(followed);
	seen = view->head;
	if (sync->best.head.seq && (!seen.seq || shares_head_is_newer(&sync->best.head, &seen))) {
		if (seen.seq && shares_head_is_fork(&sync->best.head, &seen))
			fork_note(followed, &seen);
		followed->seen = sync->best;
		view->head = sync->best.head;
		followed->is_head_unsaved = true;
	}
	if (followed->is_head_unsaved) {
		shares_head_seen_put(shares_sync_batch(sync), &followed->seen);
		shares_sync_save_flush(sync);
	}
	other_heads_note(sync, &seen);
	note_write(sync, &seen);
	if (sync->best.head.seq)
		view->synced_s = follows_wall_s(sync->follows);
	else
		return sync->is_heard ? WEFT_EABSENT : WEFT_EUNREACHABLE;
	return 0;
}

/* --- keeping it alive --- */

static void put_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct followed *followed = arg;
	struct follows *follows = followed->follows;

	followed->put_run = NULL;
	if (result->err < 0 || !result->stored_cnt)
		return; /* the next sync sees that it is not there */
	follows->stats.put_cnt++;
	followed->put_ns = now_ns + PUT_NS + random_below(follows->params.random, PUT_NS / 4);
}

/*
 * No public record names a share that is for the members of strict communities alone. When a
 * revision is not here, the one before it speaks.
 */
static bool head_is_hidden(const struct followed *followed)
{
	const struct blobs *content = followed->follows->params.content;
	const struct follow *view = &followed->view;

	if (blobs_has_scope(content, view->head.manifest_id))
		return blobs_hides(content, view->head.manifest_id);
	if (view->revision_cnt)
		return blobs_hides(content, view->revisions[0].manifest_id);
	return !shares_head_is_revoked(&view->head);
}

void shares_sync_put(struct sync *sync, uint64_t now_ns)
{
	struct followed *followed = sync->followed;
	const struct overlay_seam *overlay = &sync->follows->params.overlay;
	const struct share_head *head = &followed->view.head;
	uint8_t name[HEAD_OVERLAY_NAME_LEN], value[1 + HEAD_LEN_MAX] = {HEAD_OVERLAY_TAG};
	bool is_there = sync->overlay_head.seq && !shares_head_is_newer(head, &sync->overlay_head);

	if (!overlay->ops || !head->seq || followed->put_run || followed->is_passing)
		return;
	if (head_is_hidden(followed))
		return;
	if (is_there && !followed->put_ns)
		followed->put_ns =
			now_ns + PUT_NS + random_below(sync->follows->params.random, PUT_NS / 4);
	if (is_there && now_ns < followed->put_ns)
		return;
	shares_head_overlay_name(followed->view.share_id, name);
	memcpy(value + 1, followed->seen.bytes, followed->seen.len);
	/* When there is no room for a put now, the next sync tries again. */
	(void)!overlay->ops->put(overlay->overlay,
				 &(struct overlay_put_params){.value = {name, sizeof(name), value,
									1 + followed->seen.len},
							      .done = put_done,
							      .arg = followed},
				 now_ns, &followed->put_run);
}
