/* SPDX-License-Identifier: Apache-2.0 */
/* The table of followed shares (follow.h) and its changes, each reported when it is durable. */
#include "follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/random.h"
#include "codec/text/zbase32.h"
#include "follow_state.h"
#include "blobs/blobs.h"
#include "list_serve.h"
#include "store/store.h"

/* So many letters of a share's id name it. */
#define ID_PREFIX_LEN_MIN 8
/* After a start, syncs begin over so long: not all at once. */
#define START_SPREAD_NS (20 * NS_PER_S)

void shares_follows_config_defaults(struct follows_config *config)
{
	*config = (struct follows_config){
		.follow_cap = 200,
		.sync_cap = 20,
		.interval_ns = 600 * NS_PER_S,
		.timeout_ns = 10 * NS_PER_S,
	};
}

size_t shares_follows_footprint(const struct follows_config *config)
{
	return config->follow_cap *
		       (sizeof(struct followed) + BLOBS_PATH_CAP + MANIFEST_DESCRIPTION_LEN_MAX) +
	       config->sync_cap * shares_sync_footprint();
}

const char *shares_follow_tier_name(enum follow_tier tier)
{
	static const char *const names[FOLLOW_TIER_CNT] = {"trusted", "normal", "untrusted"};

	return names[tier];
}

/* --- one share --- */

struct followed *shares_followed_new(struct follows *follows,
				     const uint8_t share_id[static SHARE_ID_LEN])
{
	struct followed *followed = calloc(1, sizeof(*followed));

	if (!followed)
		return NULL;
	followed->follows = follows;
	memcpy(followed->view.share_id, share_id, SHARE_ID_LEN);
	followed->view.name = followed->name;
	followed->view.title = followed->title;
	followed->view.description = followed->view.folder = "";
	followed->view.detail = followed->detail;
	followed->view.recommended = (const uint8_t(*)[SHARE_ID_LEN])followed->recommended;
	followed->view.hints = followed->hints;
	list_init(&followed->node);
	list_init(&followed->turn);
	list_init(&followed->callers);
	timer_init(&followed->timer, shares_followed_timer_fire);
	return followed;
}

void shares_followed_free(struct followed *followed)
{
	if (!followed)
		return;
	timer_cancel(followed->follows->params.timers, &followed->timer);
	list_unlink(&followed->node);
	list_unlink(&followed->turn);
	for (unsigned i = 0; i < FOLLOW_REVISIONS_MAX; i++)
		free(followed->parts[i].ids);
	shares_blocklist_fini(&followed->blocklist);
	free(followed->description);
	free(followed->folder);
	free(followed);
}

struct followed *shares_follow_list_lookup(const struct list_node *list,
					   const uint8_t share_id[static SHARE_ID_LEN])
{
	for (struct list_node *at = list->next; at != list; at = at->next) {
		struct followed *followed = followed_of(at, node);

		if (memcmp(followed->view.share_id, share_id, SHARE_ID_LEN) == 0)
			return followed;
	}
	return NULL;
}

struct followed *shares_follows_lookup(const struct follows *follows,
				       const uint8_t share_id[static SHARE_ID_LEN])
{
	return shares_follow_list_lookup(&follows->all, share_id);
}

const struct follow *shares_follow_lookup(const struct follows *follows,
					  const uint8_t share_id[static SHARE_ID_LEN])
{
	const struct followed *followed = shares_follows_lookup(follows, share_id);

	return followed ? &followed->view : NULL;
}

const struct follow *shares_follows_next(const struct follows *follows, const struct follow *follow)
{
	const struct list_node *next =
		follow ? container_of(follow, struct followed, view)->node.next : follows->all.next;

	return next == &follows->all ? NULL : &followed_of(next, node)->view;
}

/* --- by what people call it --- */

enum spelling { BY_NAME, BY_TITLE, BY_ID, SPELLING_CNT };

static bool is_called(const struct followed *followed, enum spelling spelling, const char *text,
		      size_t len)
{
	char id[ZBASE32_KEY_TEXT_CAP];

	switch (spelling) {
	case BY_NAME:
		return strcmp(followed->name, text) == 0;
	case BY_TITLE:
		return strcmp(followed->title, text) == 0;
	default:
		return len >= ID_PREFIX_LEN_MIN &&
		       strncasecmp(zbase32_write(followed->view.share_id, SHARE_ID_LEN, id), text,
				   len) == 0;
	}
}

int shares_follow_find(const struct follows *follows, const char *text,
		       const struct follow **out_follow)
{
	size_t len = strlen(text);

	for (enum spelling spelling = BY_NAME; len && spelling < SPELLING_CNT; spelling++) {
		unsigned found_cnt = 0;

		for (struct list_node *at = follows->all.next; at != &follows->all; at = at->next) {
			const struct followed *followed = followed_of(at, node);

			if (!is_called(followed, spelling, text, len))
				continue;
			*out_follow = &followed->view;
			found_cnt++;
		}
		if (found_cnt)
			return found_cnt == 1 ? 0 : WEFT_EEXISTS;
	}
	return WEFT_EABSENT;
}

/* --- what is kept --- */

static bool kept_each(void *ctx, blobs_holder_fn fn, void *arg)
{
	const struct follows *follows = ctx;

	for (struct list_node *at = follows->all.next; at != &follows->all; at = at->next) {
		const struct followed *followed = followed_of(at, node);
		const struct follow *view = &followed->view;

		if (!shares_sync_kept_each(followed, fn, arg))
			return false;
		if (view->state == FOLLOW_REVOKED)
			continue;
		if (view->has_blocklist && !fn(arg, followed->blocklist_id, NULL, 0))
			return false;
		for (unsigned i = 0; i < view->revision_cnt; i++)
			if (!fn(arg, view->revisions[i].manifest_id, followed->parts[i].ids,
				followed->parts[i].cnt))
				return false;
	}
	return true;
}

/* --- life --- */

static int row_load(struct follows *follows, struct store_snapshot *snapshot,
		    const struct store_item *item)
{
	struct followed *followed = shares_followed_new(follows, item->key);
	int err;

	if (!followed)
		return -ENOMEM;
	list_push_back(&follows->all, &followed->node);
	follows->cnt++;
	err = shares_follow_row_parse(item->value, item->value_len, followed);
	return err == 0 ? shares_follow_load(followed, snapshot) : err;
}

static int rows_load(struct follows *follows)
{
	struct store_snapshot *snapshot;
	struct store_iter iter;
	struct store_item item;
	int err = store_snapshot_open(follows->params.store, &snapshot);

	if (err < 0)
		return err;
	iter = store_iter(snapshot, STORE_FOLLOWS, STORE_ALL);
	while (store_iter_next(&iter, &item))
		iter.err = row_load(follows, snapshot, &item);
	err = store_iter_end(&iter);
	store_snapshot_close(snapshot);
	return err;
}

int shares_follows_new(const struct follows_params *params, struct follows **out_follows)
{
	struct follows *follows = calloc(1, sizeof(*follows));
	struct blobs_retainer holder = {.manifests_each = kept_each, .ctx = follows};
	int err;

	if (!follows)
		return -ENOMEM;
	follows->params = *params;
	follows->now_ns = params->now_ns;
	list_init(&follows->all);
	list_init(&follows->adding);
	list_init(&follows->passing);
	list_init(&follows->waiting);
	list_init(&follows->listings);
	if ((err = rows_load(follows)) < 0 || (err = shares_list_serve_begin(follows)) < 0 ||
	    (err = blobs_add_holder(params->content, &holder)) < 0) {
		shares_follows_free(follows);
		return err;
	}
	*out_follows = follows;
	return 0;
}

void shares_follows_start(struct follows *follows, uint64_t now_ns)
{
	follows->is_started = follows->are_folders_due = true;
	for (struct list_node *at = follows->all.next; at != &follows->all; at = at->next) {
		struct followed *followed = followed_of(at, node);

		shares_followed_recall(followed);
		shares_followed_refresh(followed, false);
		shares_followed_schedule(
			followed, now_ns + random_below(follows->params.random, START_SPREAD_NS));
	}
}

void shares_follows_turn(struct follows *follows, uint64_t now_ns)
{
	follows->now_ns = now_ns;
	if (follows->are_folders_due && follows->is_started)
		shares_follows_run_folders(follows);
}

void shares_follows_gets_moved(struct follows *follows)
{
	follows->are_folders_due = true;
}

void shares_follows_stop(struct follows *follows)
{
	if (!follows)
		return;
	follows->is_stopped = true;
	follows->is_started = false;
	for (struct list_node *at = follows->all.next; at != &follows->all; at = at->next)
		shares_followed_stop(followed_of(at, node));
	while (!list_is_empty(&follows->passing)) {
		struct followed *followed = followed_of(follows->passing.next, node);

		shares_followed_stop(followed);
		shares_followed_free(followed);
	}
	shares_follow_listings_stop(follows);
	/* A job reads into memory of this object. */
	while (follows->job_cnt)
		jobs_reap_wait(follows->params.jobs);
}

void shares_follows_free(struct follows *follows)
{
	if (!follows)
		return;
	while (!list_is_empty(&follows->all))
		shares_followed_free(followed_of(follows->all.next, node));
	free(follows);
}

void shares_follows_configure(struct follows *follows, const struct follows_config *config)
{
	follows->params.config = *config;
}

void shares_follows_stats(const struct follows *follows, struct follows_stats *out_stats)
{
	*out_stats = follows->stats;
	out_stats->follow_cnt = follows->cnt;
	out_stats->sync_cnt = follows->sync_cnt;
	out_stats->waiting_cnt = 0;
	for (struct list_node *at = follows->waiting.next; at != &follows->waiting; at = at->next)
		out_stats->waiting_cnt++;
}
