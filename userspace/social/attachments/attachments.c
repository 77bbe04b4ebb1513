/* SPDX-License-Identifier: Apache-2.0 */
#include "social/attachments/attachments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "base/thread/jobs.h"
#include "social/attachments/attachments_state.h"
#include "social/ground/sorted_keys.h"

#define TICK_NS	      (5 * NS_PER_S)  /* while pieces are missing */
#define LOOK_EVERY_NS (60 * NS_PER_S) /* at posts that may be superseded */
#define LOOK_CNT      1024u
#define SWEEP_WAIT_NS (60 * NS_PER_S) /* when others keep the store from being swept */

/* --- sweeping --- */

/* The content ids that posts name, in order. */
struct named {
	uint8_t (*ids)[BLAKE3_HASH_LEN];
	size_t cnt, cap;
	bool is_whole;
	struct store_batch *batch;
};

/* Units have no rows: of them no post needs to be asked. */
static bool named_add(void *arg, const uint8_t *post, const uint8_t *ids, size_t ids_len)
{
	struct named *named = arg;
	size_t cap = named->cap ? 2 * named->cap : 256;
	void *more;

	(void)post;
	if (ids_len != BLAKE3_HASH_LEN)
		return true;
	if (named->cnt == named->cap) {
		if (!(more = realloc(named->ids, cap * sizeof(*named->ids))))
			return false;
		named->ids = more;
		named->cap = cap;
	}
	memcpy(named->ids[named->cnt++], ids, BLAKE3_HASH_LEN);
	return true;
}

static bool row_sweep(void *arg, const struct list_row *row)
{
	struct named *named = arg;

	if (!social_keys_have((const uint8_t(*)[SORTED_KEY_LEN])named->ids, named->cnt,
			      row->content_id))
		store_batch_delete(named->batch, STORE_META, row->key);
	return true;
}

struct mark_sweep {
	struct post_store *posts;
	struct store_batch *batch;
	uint8_t post[POST_ID_LEN];
	bool has_post, is_gone;
};

static int mark_sweep(void *arg, const struct piece_mark *mark)
{
	struct mark_sweep *to = arg;
	struct post_view view;
	int err;

	if (!to->has_post || memcmp(to->post, mark->post, POST_ID_LEN) != 0) {
		err = social_posts_look(to->posts, mark->post, &view);
		if (err < 0 && err != WEFT_EABSENT)
			return err;
		to->is_gone = err == WEFT_EABSENT;
		to->has_post = true;
		memcpy(to->post, mark->post, POST_ID_LEN);
	}
	if (to->is_gone)
		store_batch_delete(to->batch, STORE_META, mark->key);
	return 0;
}

/* Rows of files that no post names go first: what they lead to is garbage then. */
static int rows_sweep(struct attachments *attachments)
{
	struct store *store = attachments->params.ground->store;
	struct named named = {.batch = store_batch_new(store)};
	struct mark_sweep marks = {.posts = attachments->params.posts, .batch = named.batch};
	int err = named.batch ? 0 : -ENOMEM;

	if (err == 0 && !social_posts_each_attachment(attachments->params.posts, named_add, &named))
		err = WEFT_EDAMAGED;
	if (err == 0)
		social_keys_sort(named.ids, named.cnt);
	if (err == 0 && !social_lists_each(store, row_sweep, &named))
		err = WEFT_EDAMAGED;
	if (err == 0)
		err = social_marks_each(store, NULL, mark_sweep, &marks);
	if (err == 0)
		err = store_submit(store, named.batch, NULL, NULL);
	if (err < 0)
		store_batch_free(named.batch);
	free(named.ids);
	return err;
}

static void sweep(struct attachments *attachments, uint64_t now_ns)
{
	const struct attachment_ways *ways = &attachments->params.ways;
	bool has_waited = !attachments->swept_ns ||
			  now_ns >= attachments->swept_ns + ATTACHMENT_SWEEP_EVERY_NS;

	if (!attachments->is_swept_soon || now_ns < attachments->sweep_ns || !has_waited)
		return;
	attachments->sweep_ns = now_ns + SWEEP_WAIT_NS;
	/* What is being made or stored keeps the store from being swept. */
	if (attachments->make_cnt || rows_sweep(attachments) < 0 || ways->sweep(ways->ctx) < 0)
		return;
	attachments->is_swept_soon = false;
	attachments->swept_ns = now_ns;
}

struct blob_walk {
	bool (*fn)(void *arg, const uint8_t id[static 32]);
	void *arg;
};

static bool blob_give(void *arg, const struct list_row *row)
{
	const struct blob_walk *walk = arg;

	return !row->blob || walk->fn(walk->arg, row->blob);
}

bool social_attachments_each_blob(struct attachments *attachments,
				  bool (*fn)(void *arg, const uint8_t id[static 32]), void *arg)
{
	struct blob_walk walk = {fn, arg};

	return social_lists_each(attachments->params.ground->store, blob_give, &walk);
}

/* --- time --- */

static void posts_look(struct attachments *attachments, uint64_t now_ns)
{
	struct attached *of =
		attachments->looked ? attachments->looked : pool_next(&attachments->posts, NULL);

	if (now_ns < attachments->look_ns)
		return;
	attachments->look_ns = now_ns + LOOK_EVERY_NS;
	for (unsigned i = 0; i < LOOK_CNT && of; i++) {
		struct attached *next = pool_next(&attachments->posts, of);

		attachments->looked = NULL;
		social_attached_look(of, now_ns);
		of = next;
	}
	attachments->looked = of;
}

void social_attachments_due(struct attachments *attachments, uint64_t at_ns)
{
	if (attachments->is_stopped)
		return;
	if (attachments->timer_ns <= at_ns && timer_is_set(&attachments->timer))
		return;
	attachments->timer_ns = at_ns;
	timer_set(attachments->params.ground->timers, &attachments->timer, at_ns);
}

static void on_timer(struct timer *timer, uint64_t now_ns)
{
	struct attachments *attachments = container_of(timer, struct attachments, timer);

	attachments->now_ns = now_ns;
	posts_look(attachments, now_ns);
	sweep(attachments, now_ns);
	social_runs_begin(attachments, now_ns);
	if (attachments->is_swept_soon || !list_is_empty(&attachments->waiting))
		social_attachments_due(attachments, now_ns + TICK_NS);
	else if (attachments->posts.used_cnt)
		social_attachments_due(attachments, now_ns + LOOK_EVERY_NS);
}

static void on_moved(void *ctx, enum post_moved what, const struct post_view *view, uint64_t now_ns)
{
	struct attachments *attachments = ctx;
	struct attached *of;

	if (attachments->is_stopped || !(view->flags & POST_ATTACHED))
		return;
	attachments->now_ns = now_ns;
	if (what == POST_MOVED_PUT) {
		(void)social_attached_note(attachments, view, now_ns);
		attachments->look_ns = now_ns; /* it may be an edition */
	} else if ((of = map_lookup(&attachments->by_post, view->id))) {
		social_attached_look(of, now_ns);
	}
	social_attachments_due(attachments, now_ns);
}

/* --- life --- */

void social_attachments_config_defaults(struct attachments_config *config)
{
	*config = (struct attachments_config){.auto_len = 1ull << 20};
}

static int lay_out(struct attachments *attachments, const uint64_t secret[2])
{
	struct arena *arena = &attachments->arena;
	int err = arena_open(arena, ARENA_GROWS);

	if (err == 0)
		err = pool_init(&attachments->posts, arena, sizeof(struct attached),
				ATTACHED_POSTS_MAX);
	if (err == 0)
		err = pool_init(&attachments->runs, arena, sizeof(struct attachment_run),
				ATTACHMENT_RUNS_MAX);
	if (err == 0)
		err = map_init(&attachments->by_post, arena, POST_ID_LEN, ATTACHED_POSTS_MAX,
			       secret);
	return err;
}

size_t social_attachments_footprint(void)
{
	return ATTACHED_POSTS_MAX * (sizeof(struct attached) + 64) +
	       ATTACHMENT_RUNS_MAX * sizeof(struct attachment_run);
}

int social_attachments_open(const struct attachments_params *params,
			    struct attachments **out_attachments)
{
	struct attachments *attachments = calloc(1, sizeof(*attachments));
	uint64_t secret[2];
	int err;

	if (!attachments)
		return -ENOMEM;
	attachments->params = *params;
	attachments->now_ns = params->now_ns;
	list_init(&attachments->waiting);
	timer_init(&attachments->timer, on_timer);
	random_fill(params->ground->random, secret, sizeof(secret));
	if ((err = lay_out(attachments, secret)) < 0 ||
	    (err = social_attachments_serve_init(attachments, secret)) < 0 ||
	    (err = social_attached_load(attachments, params->now_ns)) < 0) {
		arena_close(&attachments->arena);
		free(attachments);
		return err;
	}
	arena_fit(&attachments->arena);
	attachments->watch = (struct post_watch){.moved = on_moved, .ctx = attachments};
	social_posts_watch(params->posts, &attachments->watch);
	social_attachments_due(attachments, params->now_ns);
	*out_attachments = attachments;
	return 0;
}

void social_attachments_stop(struct attachments *attachments)
{
	if (!attachments || attachments->is_stopped)
		return;
	attachments->is_stopped = true;
	social_posts_unwatch(&attachments->watch);
	timer_cancel(attachments->params.ground->timers, &attachments->timer);
	social_runs_stop(attachments);
	while (attachments->job_cnt) {
		jobs_reap_wait(attachments->params.jobs);
		store_flush(attachments->params.ground->store);
	}
}

void social_attachments_close(struct attachments *attachments)
{
	if (!attachments)
		return;
	arena_close(&attachments->arena);
	free(attachments);
}

void social_attachments_stats(const struct attachments *attachments,
			      struct attachments_stats *out_stats)
{
	*out_stats = attachments->stats;
	out_stats->post_cnt = attachments->posts.used_cnt;
	for (const struct list_node *at = attachments->waiting.next; at != &attachments->waiting;
	     at = at->next)
		out_stats->waiting_cnt++;
}
