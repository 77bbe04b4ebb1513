/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a followed share that counts at the moment. A blocklist counts whatever other
 * blocklists say of its share, so that two lists that name each other are no riddle.
 */
#include <string.h>

#include "follow_state.h"

static bool has_expired(const struct followed *followed)
{
	return followed->view.expires_s &&
	       followed->view.expires_s <= follows_wall_s(followed->follows);
}

static bool blocks(const struct followed *followed)
{
	const struct follow *view = &followed->view;

	return view->has_blocklist && view->tier != FOLLOW_UNTRUSTED && !followed->is_leaving &&
	       !shares_head_is_revoked(&view->head) && !has_expired(followed);
}

const struct follow *shares_follow_blocker(const struct follows *follows, enum blocklist_kind kind,
					   const uint8_t id[static BLOCKLIST_ID_LEN])
{
	const struct followed *named =
		kind == BLOCKLIST_SHARE ? shares_follows_lookup(follows, id) : NULL;

	if (named && named->view.tier == FOLLOW_TRUSTED)
		return NULL;
	for (struct list_node *at = follows->all.next; at != &follows->all; at = at->next) {
		const struct followed *followed = followed_of(at, node);

		if (blocks(followed) && shares_blocklist_has(&followed->blocklist, kind, id))
			return &followed->view;
	}
	return NULL;
}

static const uint8_t *blocked_at(const struct follow_blocked_iter *iter)
{
	const struct followed *followed = container_of(iter->follow, struct followed, view);

	return blocks(followed) && iter->idx < followed->blocklist.kinds[iter->kind].cnt
		       ? followed->blocklist.kinds[iter->kind].ids[iter->idx]
		       : NULL;
}

const uint8_t *shares_follows_blocked_next(struct follow_blocked_iter *iter)
{
	const uint8_t *id = iter->follow ? blocked_at(iter) : NULL;

	while (!id && (iter->follow = shares_follows_next(iter->follows, iter->follow))) {
		iter->idx = 0;
		id = blocked_at(iter);
	}
	iter->idx++;
	return id;
}

uint64_t shares_follows_blocked_stamp(const struct follows *follows)
{
	return follows->blocked_stamp;
}

/* Copies of the blocked ids are made again when other lists count, and not before. */
static void blocking_note(struct followed *followed)
{
	bool is_blocking = blocks(followed);

	if (is_blocking == followed->is_blocking &&
	    (!is_blocking || memcmp(followed->blocking_id, followed->blocklist_id, 32) == 0))
		return;
	followed->is_blocking = is_blocking;
	memcpy(followed->blocking_id, followed->blocklist_id, 32);
	followed->follows->blocked_stamp++;
}

static enum follow_state state_of(const struct followed *followed)
{
	const struct follow *view = &followed->view;

	if (shares_head_is_revoked(&view->head))
		return FOLLOW_REVOKED;
	if (shares_follow_blocker(followed->follows, BLOCKLIST_SHARE, view->share_id))
		return FOLLOW_BLOCKED;
	if (!view->revision_cnt)
		return FOLLOW_NEW;
	if (has_expired(followed))
		return FOLLOW_EXPIRED;
	return memcmp(view->head.manifest_id, view->revisions[0].manifest_id, 32) == 0
		       ? FOLLOW_CURRENT
		       : FOLLOW_BEHIND;
}

void shares_followed_tell(struct followed *followed, enum follow_event_kind kind, uint64_t seq,
			  const uint8_t *peer_key, int err)
{
	const struct follows_params *params = &followed->follows->params;
	const struct follow_event event = {
		.kind = kind,
		.follow = &followed->view,
		.seq = seq,
		.peer_key = peer_key,
		.err = err,
	};

	if (params->on_event && !followed->is_passing && !followed->follows->is_stopped)
		params->on_event(params->ctx, &event);
}

void shares_followed_recall(struct followed *followed)
{
	if (state_of(followed) == FOLLOW_REVOKED)
		followed->view.state = FOLLOW_REVOKED;
}

void shares_followed_refresh(struct followed *followed, bool is_told)
{
	const struct follows_params *params = &followed->follows->params;
	struct follow *view = &followed->view;
	enum follow_state was = view->state;
	bool was_used = view->is_used;

	blocking_note(followed);
	if (followed->follows->is_stopped)
		return;
	view->state = followed->is_leaving ? was : state_of(followed);
	view->is_used =
		!followed->is_leaving && (view->state == FOLLOW_CURRENT ||
					  (view->state == FOLLOW_BEHIND && view->revision_cnt));
	if (view->state != was && view->state == FOLLOW_EXPIRED)
		shares_followed_tell(followed, FOLLOW_HAS_EXPIRED, view->revisions[0].seq, NULL, 0);
	if (view->state != was && view->state == FOLLOW_REVOKED && !view->head.has_successor)
		shares_followed_tell(followed, FOLLOW_WAS_REVOKED, view->head.seq, NULL, 0);
	/* That one ends is said though it was not in use, as one whose head had expired. */
	bool has_ended = view->state != was &&
			 (view->state == FOLLOW_REVOKED || view->state == FOLLOW_BLOCKED);

	if (params->on_changed &&
	    (has_ended || view->is_used != was_used || (view->is_used && is_told)))
		params->on_changed(params->ctx, view);
}

void shares_follows_refresh(struct follows *follows)
{
	for (struct list_node *at = follows->all.next; at != &follows->all; at = at->next)
		shares_followed_refresh(followed_of(at, node), false);
}
