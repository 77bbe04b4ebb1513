/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the store of posts, and what is asked of it. */
#include "social/keep/post_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "social/keep/post_store_state.h"

#define GIB (1ull << 30)

void social_posts_config_defaults(struct posts_config *config)
{
	*config =
		(struct posts_config){.post_cap = 1u << 18, .room_len = 4 * GIB, .quota_factor = 3};
}

/* --- time --- */

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct post_store *posts = container_of(timer, struct post_store, timer);

	posts->now_ns = now_ns;
	social_posts_commit_expire(posts, now_ns);
}

static void on_sweep(struct timer *timer, uint64_t now_ns)
{
	struct post_store *posts = container_of(timer, struct post_store, sweep_timer);

	posts->now_ns = now_ns;
	social_posts_sweep(posts, now_ns);
	timer_set(posts->params.ground->timers, timer, now_ns + POSTS_SWEEP_NS);
}

/* --- life --- */

static int lay_out(struct post_store *posts)
{
	int err = arena_open(&posts->arena, ARENA_GROWS);

	if (err < 0)
		return err;
	list_init(&posts->watches);
	if ((err = social_index_init(&posts->index, &posts->arena, posts->params.config.post_cap)) <
		    0 ||
	    (err = social_posts_entries_init(posts)) < 0 ||
	    (err = social_posts_room_init(posts)) < 0 ||
	    (err = social_posts_audience_init(posts)) < 0 ||
	    (err = social_posts_commit_init(posts)) < 0)
		return err;
	arena_fit(&posts->arena);
	return 0;
}

size_t social_posts_footprint(const struct posts_config *config)
{
	struct post_store *posts = calloc(1, sizeof(*posts));
	struct social_ground ground = {0};
	size_t len = 0;

	if (!posts)
		return 0;
	posts->params.config = *config;
	posts->params.ground = &ground;
	if (lay_out(posts) == 0)
		len = sizeof(*posts) + posts->arena.used_len;
	arena_close(&posts->arena);
	free(posts);
	return len;
}

int social_posts_open(const struct post_store_params *params, struct post_store **out_posts)
{
	struct post_store *posts = calloc(1, sizeof(*posts));
	int err;

	if (!posts)
		return -ENOMEM;
	posts->params = *params;
	posts->now_ns = params->now_ns;
	random_fill(params->ground->random, posts->secret, sizeof(posts->secret));
	timer_init(&posts->timer, on_due);
	timer_init(&posts->sweep_timer, on_sweep);
	err = lay_out(posts);
	if (err == 0)
		err = social_posts_load(posts, params->now_ns);
	if (err < 0) {
		social_posts_close(posts);
		return err;
	}
	timer_set(params->ground->timers, &posts->sweep_timer, params->now_ns + POSTS_SWEEP_NS);
	*out_posts = posts;
	return 0;
}

void social_posts_stop(struct post_store *posts)
{
	if (!posts || posts->is_stopped)
		return;
	posts->is_stopped = true;
	timer_cancel(posts->params.ground->timers, &posts->timer);
	timer_cancel(posts->params.ground->timers, &posts->sweep_timer);
	social_posts_commit_stop(posts);
}

void social_posts_close(struct post_store *posts)
{
	if (!posts)
		return;
	social_posts_stop(posts);
	social_posts_audience_fini(posts);
	arena_close(&posts->arena);
	free(posts);
}

/* --- one post --- */

enum post_known social_posts_known(const struct post_store *posts,
				   const uint8_t id[static POST_ID_LEN])
{
	const struct post_entry *entry = social_posts_entry(posts, id);

	if (!entry)
		return POST_ABSENT;
	return entry->state == POST_STATE_GONE ? POST_GONE : POST_HELD;
}

int social_posts_look(struct post_store *posts, const uint8_t id[static POST_ID_LEN],
		      struct post_view *out_view)
{
	const struct post_entry *entry = social_posts_entry(posts, id);
	struct post_record record;
	int err;

	if (!entry || entry->state != POST_STATE_HELD)
		return WEFT_EABSENT;
	if ((err = social_posts_row_read(posts, entry, &record)) < 0)
		return err;
	social_posts_view(posts, &record, out_view);
	return 0;
}

static int copy_of(const struct post_record *record, const struct post_parts *parts,
		   struct post_copy **out_copy)
{
	size_t len = social_post_len(&record->view);
	struct post_copy *copy = malloc(sizeof(*copy) + len);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy->bytes, parts->post, len);
	err = social_post_body_split(record, copy->bytes, len, &copy->parts);
	if (err < 0)
		free(copy);
	else
		*out_copy = copy;
	return err;
}

int social_posts_read(struct post_store *posts, const uint8_t id[static POST_ID_LEN],
		      struct post_copy **out_copy)
{
	const struct post_entry *entry = social_posts_entry(posts, id);
	struct store_snapshot *snapshot = NULL;
	struct post_record record;
	struct post_parts parts;
	int err;

	if (!entry || entry->state != POST_STATE_HELD)
		return WEFT_EABSENT;
	if (entry->is_body_changing)
		return WEFT_EBUSY;
	err = social_posts_row_read_in(posts, &snapshot, entry, &record);
	if (err == 0)
		err = social_posts_body_in(posts, &snapshot, &record, &parts);
	if (err == 0)
		err = copy_of(&record, &parts, out_copy);
	store_snapshot_close(snapshot);
	return err;
}

void social_post_copy_free(struct post_copy *copy)
{
	free(copy);
}

const struct post_index *social_posts_index(const struct post_store *posts)
{
	return &posts->index;
}

/* --- watches --- */

void social_posts_watch(struct post_store *posts, struct post_watch *watch)
{
	list_init(&watch->node);
	list_push_back(&posts->watches, &watch->node);
}

void social_posts_unwatch(struct post_watch *watch)
{
	list_unlink(&watch->node);
}

/* --- figures --- */

void social_posts_quota(const struct post_store *posts, struct post_quota *out_quota)
{
	*out_quota = posts->quota;
}

void social_posts_stats(const struct post_store *posts, struct posts_stats *out_stats)
{
	const struct post_quota *quota = &posts->quota;

	*out_stats = posts->stats;
	out_stats->own_cnt = quota->own_cnt;
	out_stats->wanted_cnt = quota->wanted_cnt;
	out_stats->addressed_cnt = quota->addressed_cnt;
	out_stats->hosted_cnt = quota->hosted_cnt;
	out_stats->pinned_cnt = quota->pinned_cnt;
	out_stats->own_len = quota->own_len;
	out_stats->wanted_len = quota->wanted_len;
	out_stats->hosted_len = quota->hosted_len;
	out_stats->hosted_max = quota->hosted_max;
}

void social_posts_hosted_view(const struct post_store *posts, struct fair_view *out)
{
	fair_read(&posts->hosted.places.fair, out);
}

void social_posts_addressed_view(const struct post_store *posts, struct fair_view *out)
{
	fair_read(&posts->addressed.places.fair, out);
}
