/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which held posts have attachments, what of these is here, and what is wanted. Of people that are
 * followed and of groups, attachments up to auto_len come by themselves; others when a person asks.
 * What came in part goes on, also after a restart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "social/attachments/attachments_state.h"

/* After so many, a sync with its author's node alone makes a post be tried before its time. */
#define EARLY_FAILURES 3u

/* What of the attachments of a post is here. */
struct measuring {
	struct store_snapshot *snapshot;
	struct attachment_pieces pieces[POST_ATTACHMENTS_MAX];
	unsigned cnt;
	uint32_t cnts[POST_ATTACHMENTS_MAX]; /* of pieces that are here */
	uint64_t lens[POST_ATTACHMENTS_MAX]; /* and their bytes */
};

static int piece_measure(struct measuring *to, uint32_t attachment, uint32_t piece)
{
	uint8_t blob[BLAKE3_HASH_LEN];
	int64_t len;
	int err;

	if (attachment >= to->cnt || piece >= to->pieces[attachment].cnt)
		return 0;
	err = social_piece_find(to->snapshot, &to->pieces[attachment], piece, blob);
	if (err < 0)
		return err == WEFT_EABSENT ? 0 : err;
	len = store_blob_len(to->snapshot, blob);
	to->cnts[attachment]++;
	to->lens[attachment] += len > 0 ? (uint64_t)len : 0;
	return 0;
}

static int mark_measure(void *arg, const struct piece_mark *mark)
{
	return piece_measure(arg, mark->attachment, mark->piece);
}

/* Of a post of another person only what came for it counts: it may name any blob of this node. */
static int stored_measure(const struct attached *of, const struct post *post, struct measuring *out)
{
	struct store *store = of->attachments->params.ground->store;
	int err;

	*out = (struct measuring){.cnt = post->attachment_cnt};
	for (unsigned i = 0; i < out->cnt; i++)
		if (!social_pieces_of(&post->attachments[i], of->is_public, &out->pieces[i]))
			out->pieces[i].cnt = 0;
	if ((err = store_snapshot_open(store, &out->snapshot)) < 0)
		return err;
	if (of->share != POST_OWN)
		err = social_marks_each(store, of->post, mark_measure, out);
	for (unsigned i = 0; i < out->cnt && of->share == POST_OWN; i++)
		for (uint32_t at = 0; at < out->pieces[i].cnt && err == 0; at++)
			err = piece_measure(out, i, at);
	store_snapshot_close(out->snapshot);
	return err;
}

/* People that the person at this node chose, and what it keeps for others within its quota. */
static bool comes_by_itself(const struct attached *of, uint64_t len)
{
	return of->share != POST_ADDRESSED && len <= of->attachments->params.config.auto_len;
}

static int attached_measure(struct attached *of, const struct post *post)
{
	struct measuring is_here;
	int err = stored_measure(of, post, &is_here);

	for (unsigned i = 0; i < post->attachment_cnt && err == 0; i++) {
		const struct attachment_pieces *pieces = &is_here.pieces[i];

		of->stored_len += is_here.lens[i];
		if (is_here.cnts[i] < pieces->cnt &&
		    (is_here.lens[i] || comes_by_itself(of, social_pieces_len(pieces))))
			of->wanted |= 1u << i;
	}
	return err;
}

static int attached_read(struct attached *of, const struct post_view *view)
{
	struct post_copy *copy;
	struct post post;
	int err = social_posts_read(of->attachments->params.posts, view->id, &copy);

	if (err < 0)
		return err;
	err = social_post_parse(copy->parts.post, copy->parts.post_len, &post);
	if (err == 0)
		err = attached_measure(of, &post);
	social_post_copy_free(copy);
	return err;
}

static void waiting_put(struct attached *of)
{
	if (of->wanted && !of->run && list_is_empty(&of->waiting))
		list_push_back(&of->attachments->waiting, &of->waiting);
}

static uint64_t *share_len(struct attachments *attachments, enum post_share share)
{
	struct attachments_stats *stats = &attachments->stats;
	uint64_t *lens[POST_SHARE_CNT] = {
		[POST_OWN] = &stats->own_len,
		[POST_WANTED] = &stats->wanted_len,
		[POST_ADDRESSED] = &stats->addressed_len,
		[POST_HOSTED] = &stats->hosted_len,
	};

	return lens[share];
}

struct attached *social_attached_note(struct attachments *attachments, const struct post_view *view,
				      uint64_t now_ns)
{
	struct attached *of = map_lookup(&attachments->by_post, view->id);

	if (of || !(view->flags & POST_ATTACHED) || view->flags & POST_SUPERSEDED)
		return of;
	if (!(of = pool_acquire(&attachments->posts))) {
		attachments->stats.full_cnt++;
		return NULL;
	}
	of->attachments = attachments;
	list_init(&of->waiting);
	memcpy(of->post, view->id, POST_ID_LEN);
	memcpy(of->author, view->author, NODE_KEY_LEN);
	of->share = view->share;
	of->is_public = view->kind == VISIBILITY_PUBLIC;
	of->due_ns = now_ns;
	if (attached_read(of, view) < 0 || map_put(&attachments->by_post, of->post, of) < 0) {
		pool_release(&attachments->posts, of);
		return NULL;
	}
	*share_len(attachments, of->share) += of->stored_len;
	waiting_put(of);
	return of;
}

void social_attached_drop(struct attached *of, uint64_t now_ns)
{
	struct attachments *attachments = of->attachments;

	if (of->run && !social_run_cancel(of->run)) {
		of->is_gone = true;
		return;
	}
	list_unlink(&of->waiting);
	*share_len(attachments, of->share) -= of->stored_len;
	if (of->stored_len && !attachments->is_swept_soon) {
		attachments->is_swept_soon = true;
		attachments->sweep_ns = now_ns + ATTACHMENT_SWEEP_NS;
	}
	if (attachments->looked == of)
		attachments->looked = NULL;
	(void)map_delete(&attachments->by_post, of->post);
	pool_release(&attachments->posts, of);
}

bool social_attached_has_room(const struct attached *of, uint64_t len)
{
	const struct attachments *attachments = of->attachments;
	const struct attachments_stats *stats = &attachments->stats;
	struct post_quota quota;

	social_posts_quota(attachments->params.posts, &quota);
	switch (of->share) {
	case POST_OWN:
		return true;
	case POST_WANTED:
		return quota.wanted_len + stats->wanted_len + len <=
		       attachments->params.config.room_len;
	case POST_ADDRESSED:
		return stats->addressed_len + len <= POSTS_ADDRESSED_LEN;
	default:
		return quota.hosted_len + stats->hosted_len + len <= quota.hosted_max;
	}
}

void social_attached_recount(struct attached *of, const struct post *post)
{
	struct measuring is_here;
	uint64_t sum_len = 0;

	if (stored_measure(of, post, &is_here) < 0)
		return;
	for (unsigned i = 0; i < post->attachment_cnt; i++)
		sum_len += is_here.lens[i];
	*share_len(of->attachments, of->share) += sum_len - of->stored_len;
	of->stored_len = sum_len;
}

void social_attached_stored(struct attached *of, size_t len)
{
	of->stored_len += len;
	*share_len(of->attachments, of->share) += len;
}

/* A post that another edition took the place of needs its attachments no more; its share may change. */
void social_attached_look(struct attached *of, uint64_t now_ns)
{
	struct attachments *attachments = of->attachments;
	struct post_view view;
	int err = social_posts_look(attachments->params.posts, of->post, &view);

	if (err == WEFT_EABSENT || (err == 0 && view.flags & POST_SUPERSEDED)) {
		social_attached_drop(of, now_ns);
		return;
	}
	if (err < 0 || view.share == of->share)
		return;
	*share_len(attachments, of->share) -= of->stored_len;
	*share_len(attachments, view.share) += of->stored_len;
	of->share = view.share;
}

/* --- the start --- */

#define LOAD_MAX 4096u

struct loading {
	unsigned cnt;
	struct post_view views[LOAD_MAX];
};

static bool view_note(void *arg, const struct post_view *view)
{
	struct loading *loading = arg;

	loading->views[loading->cnt++] = *view;
	return loading->cnt < LOAD_MAX;
}

/* The newest first, so that they have places where there are too many. */
int social_attached_load(struct attachments *attachments, uint64_t now_ns)
{
	struct loading *loading = malloc(sizeof(*loading));
	struct post_walk walk = {.flags_all = POST_ATTACHED, .flags_none = POST_SUPERSEDED};
	struct post_cursor next;
	int more = loading ? 1 : -ENOMEM;

	while (more > 0 && attachments->posts.used_cnt < attachments->posts.cap_cnt) {
		loading->cnt = 0;
		more = social_posts_walk(attachments->params.posts, &walk, view_note, loading,
					 &next);
		for (unsigned i = 0; i < loading->cnt; i++)
			(void)social_attached_note(attachments, &loading->views[i], now_ns);
		walk.from = &next;
	}
	free(loading);
	return more < 0 ? more : 0;
}

/* --- what a person asks for --- */

int social_attachments_want(struct attachments *attachments, const uint8_t post[static POST_ID_LEN],
			    uint32_t which, uint64_t now_ns)
{
	struct attachment_pieces pieces;
	struct post_copy *copy;
	struct post_view view;
	struct attached *of;
	struct post parsed;
	int err = social_posts_look(attachments->params.posts, post, &view);

	if (err < 0)
		return err;
	if (!(of = social_attached_note(attachments, &view, now_ns)))
		return view.flags & POST_ATTACHED ? WEFT_EFULL : WEFT_EABSENT;
	if ((err = social_posts_read(attachments->params.posts, post, &copy)) < 0)
		return err;
	err = social_post_parse(copy->parts.post, copy->parts.post_len, &parsed);
	for (unsigned i = 0; i < parsed.attachment_cnt && err == 0; i++)
		if (which & 1u << i &&
		    social_pieces_of(&parsed.attachments[i], of->is_public, &pieces))
			of->wanted |= 1u << i;
	social_post_copy_free(copy);
	of->due_ns = now_ns;
	of->failure_cnt = 0;
	waiting_put(of);
	social_attachments_due(attachments, now_ns);
	return err;
}

void social_attachments_synced(struct attachments *attachments,
			       const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns)
{
	const struct attachment_people *people;
	bool is_related;

	if (!attachments || attachments->is_stopped)
		return;
	people = &attachments->params.people;
	is_related = people->is_related(people->ctx, key);
	social_attachments_shun(attachments, key, 0);
	for (struct list_node *at = attachments->waiting.next; at != &attachments->waiting;
	     at = at->next) {
		struct attached *of = container_of(at, struct attached, waiting);

		bool is_author = memcmp(of->author, key, MESH_KEY_LEN) == 0;

		if (!is_author && (!is_related || of->failure_cnt > EARLY_FAILURES))
			continue;
		of->has_hint = true;
		memcpy(of->hint, key, MESH_KEY_LEN);
		of->due_ns = now_ns;
	}
	social_attachments_due(attachments, now_ns);
}
