/* SPDX-License-Identifier: Apache-2.0 */
#include "share_watch.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "base/thread/jobs.h"
#include "base/timer.h"
#include "publish.h"
#include "share_watch_tree.h"
#include "store/store.h"

#define KEY_PREFIX     "watch:"
#define KEY_PREFIX_LEN 6
#define KEY_LEN	       (KEY_PREFIX_LEN + SHARE_ID_LEN)
#define LOOK_NS	       NS_PER_S
#define RETRY_NS       (60 * NS_PER_S) /* after a revision could not be made */

/* The directories of a share, being watched; reads what it holds alone. */
struct opening_job {
	struct job job; /* first */
	struct watch *watch;
	char path[4096];
	char only[ONLY_CAP];
	uint32_t dir_cap, dir_cnt;
	int fd; /* or why not */
};

struct watch {
	struct watches *watches;
	struct watch *next;
	uint8_t share_id[SHARE_ID_LEN];
	struct watch_view view;
	int fd;			     /* -1: none */
	bool is_tree_due;	     /* it is to be opened anew before the next revision */
	bool is_gone;		     /* freed when nothing of it is under way */
	struct opening_job *opening; /* out */
	bool is_revising;
	uint64_t dirty_ns, last_ns; /* the first change that is not published, the last; 0: none */
	uint64_t not_before_ns;
	uint64_t rescan_at_ns;
	char path[4096]; /* that fd is of */
};

struct watches {
	struct watches_params params;
	struct timer timer;
	struct watch *first;
	uint32_t cnt; /* of those that are not gone */
	uint32_t job_cnt;
	bool is_stopped;
	uint64_t now_ns;
};

void shares_watches_config_defaults(struct watches_config *config)
{
	*config = (struct watches_config){
		.watch_cap = 64, .dir_cap = 65536, .rescan_ns = 600 * NS_PER_S};
}

static struct watch *watch_find(const struct watches *watches,
				const uint8_t share_id[static SHARE_ID_LEN])
{
	struct watch *watch = watches->first;

	while (watch && (watch->is_gone || memcmp(watch->share_id, share_id, SHARE_ID_LEN) != 0))
		watch = watch->next;
	return watch;
}

static void watch_tell(const struct watch *watch, enum watch_event_kind kind, int err)
{
	const struct watches_params *params = &watch->watches->params;

	if (params->event && !watch->watches->is_stopped && !watch->is_gone)
		params->event(params->ctx, kind, watch->share_id, err);
}

/* A trouble is reported when it begins, not each time it is met. */
static void trouble_note(struct watch *watch, enum watch_event_kind kind, int err)
{
	if (err && err != watch->view.err)
		watch_tell(watch, kind, err);
	watch->view.err = err;
}

static void fd_take(struct watch *watch, int fd)
{
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = fd;
}

static struct watch *watch_add(struct watches *watches, const uint8_t share_id[static SHARE_ID_LEN],
			       uint32_t quiet_s)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->watches = watches;
	watch->fd = -1;
	memcpy(watch->share_id, share_id, SHARE_ID_LEN);
	watch->view.quiet_s = quiet_s;
	/* Changes while the watch was off are published, too. */
	watch->is_tree_due = true;
	watch->dirty_ns = watch->last_ns = watches->now_ns + 1;
	watch->next = watches->first;
	watches->first = watch;
	watches->cnt++;
	return watch;
}

static void watches_reap(struct watches *watches)
{
	for (struct watch **at = &watches->first; *at;) {
		struct watch *watch = *at;

		if (!watch->is_gone || watch->opening || watch->is_revising) {
			at = &watch->next;
			continue;
		}
		*at = watch->next;
		fd_take(watch, -1);
		free(watch);
	}
}

static void watch_end(struct watch *watch)
{
	if (!watch->is_gone)
		watch->watches->cnt--;
	watch->is_gone = true;
}

/* --- the directories --- */

static void opening_run(struct job *job)
{
	struct opening_job *opening = (struct opening_job *)job;

	opening->fd = shares_watch_tree_open(opening->path, opening->only, opening->dir_cap,
					     &opening->dir_cnt);
}

static void opening_take(struct watch *watch, const struct opening_job *opening)
{
	const struct watches *watches = watch->watches;

	fd_take(watch, opening->fd >= 0 ? opening->fd : -1);
	watch->view.dir_cnt = opening->fd >= 0 ? opening->dir_cnt : 0;
	watch->view.is_rescanned = opening->fd < 0;
	watch->is_tree_due = false;
	watch->rescan_at_ns = watches->now_ns + watches->params.config.rescan_ns;
	snprintf(watch->path, sizeof(watch->path), "%s", opening->path);
	trouble_note(watch, WATCH_RESCANS, opening->fd < 0 ? opening->fd : 0);
}

static void opening_done(struct job *job)
{
	struct opening_job *opening = (struct opening_job *)job;
	struct watch *watch = opening->watch;

	watch->watches->job_cnt--;
	watch->opening = NULL;
	if (watch->is_gone || watch->watches->is_stopped) {
		if (opening->fd >= 0)
			close(opening->fd);
	} else {
		opening_take(watch, opening);
	}
	free(opening);
}

static void opening_begin(struct watch *watch, const struct publish_settings *settings)
{
	struct watches *watches = watch->watches;
	struct opening_job *opening = calloc(1, sizeof(*opening));

	if (!opening)
		return; /* in a second, again */
	opening->watch = watch;
	opening->dir_cap = watches->params.config.dir_cap;
	snprintf(opening->path, sizeof(opening->path), "%s", settings->path);
	snprintf(opening->only, sizeof(opening->only), "%s", settings->only);
	opening->job.run = opening_run;
	opening->job.done = opening_done;
	if (jobs_submit(watches->params.jobs, &opening->job) < 0) {
		free(opening);
		return;
	}
	watch->opening = opening;
	watches->job_cnt++;
}

/* --- a revision --- */

static void revised(void *arg, const struct publish_outcome *outcome)
{
	struct watch *watch = arg;

	watch->is_revising = false;
	if (watch->is_gone)
		return;
	if (outcome->err == 0 && watch->fd < 0)
		return; /* the reason why it is rescanned stays */
	trouble_note(watch, WATCH_FAILED, outcome->err);
	if (outcome->err == 0)
		return;
	if (!watch->dirty_ns)
		watch->dirty_ns = watch->last_ns = watch->watches->now_ns;
	watch->not_before_ns = watch->watches->now_ns + RETRY_NS;
}

static void revision_begin(struct watch *watch, const struct published *share)
{
	struct watches *watches = watch->watches;
	struct publish_settings *settings = malloc(sizeof(*settings));
	struct publish_ask ask = {
		.settings = settings, .imports = true, .done = revised, .arg = watch};
	int err;

	if (!settings)
		return;
	*settings = *share->settings;
	err = shares_publisher_revise(watches->params.publisher, watch->share_id, &ask,
				      watches->now_ns);
	free(settings);
	if (err == WEFT_EBUSY)
		return;
	if (err < 0) {
		trouble_note(watch, WATCH_FAILED, err);
		watch->not_before_ns = watches->now_ns + RETRY_NS;
		return;
	}
	/* Changes from now on are for the next one. */
	watch->is_revising = true;
	watch->dirty_ns = watch->last_ns = 0;
}

static void news_take(struct watch *watch)
{
	struct watches *watches = watch->watches;
	struct watch_news news;

	if (watch->fd >= 0) {
		shares_watch_tree_read(watch->fd, &news);
		watch->is_tree_due |= news.has_new_dirs;
		if (news.has_overflow)
			watch_tell(watch, WATCH_OVERFLOW, 0);
		if (news.has_changed || news.has_overflow) {
			watch->last_ns = watches->now_ns;
			watch->dirty_ns = watch->dirty_ns ? watch->dirty_ns : watches->now_ns;
		}
	} else if (watch->rescan_at_ns && watches->now_ns >= watch->rescan_at_ns) {
		watch->rescan_at_ns = 0;
		watch->is_tree_due = true;
		watch->dirty_ns = watch->last_ns = watches->now_ns;
	}
}

static bool is_quiet(const struct watch *watch)
{
	uint64_t now_ns = watch->watches->now_ns, quiet_ns = watch->view.quiet_s * NS_PER_S;

	return watch->dirty_ns && now_ns >= watch->not_before_ns &&
	       (now_ns >= watch->last_ns + quiet_ns ||
		now_ns >= watch->dirty_ns + WATCH_PATIENCE * quiet_ns);
}

static void watch_key(const uint8_t *share_id, uint8_t key[static KEY_LEN])
{
	memcpy(key, KEY_PREFIX, KEY_PREFIX_LEN);
	memcpy(key + KEY_PREFIX_LEN, share_id, SHARE_ID_LEN);
}

static void row_put(struct store_batch *batch, const uint8_t *share_id, uint32_t quiet_s)
{
	uint8_t key[KEY_LEN], value[4];
	struct writer w = writer_of(value, sizeof(value));

	watch_key(share_id, key);
	writer_be32(&w, quiet_s);
	store_batch_put(batch, STORE_META, store_key(key, sizeof(key)), value, sizeof(value));
}

static void row_delete(struct store_batch *batch, const uint8_t *share_id)
{
	uint8_t key[KEY_LEN];

	watch_key(share_id, key);
	store_batch_delete(batch, STORE_META, store_key(key, sizeof(key)));
}

/*
 * A key was rotated: its watch goes over to the successor, if that is published here. The row of
 * the former key stays until one commit replaces it, so a killed program moves it at its next start.
 */
static void watch_succeed(struct watch *watch, const struct published *share)
{
	const struct watches_params *params = &watch->watches->params;
	uint8_t successor_id[SHARE_ID_LEN];
	struct store_batch *batch;
	bool is_watched;

	if (share->state != PUBLISH_REVOKED || !share->newest.has_successor)
		return;
	share_id_of(share->newest.successor, successor_id);
	if (!shares_publisher_lookup(params->publisher, successor_id))
		return;
	is_watched = watch_find(watch->watches, successor_id) != NULL;
	batch = store_batch_new(params->store);
	row_delete(batch, watch->share_id);
	if (!is_watched)
		row_put(batch, successor_id, watch->view.quiet_s);
	if (store_submit(params->store, batch, NULL, NULL) < 0) {
		store_batch_free(batch); /* in a second, again */
		return;
	}
	if (is_watched) {
		watch_end(watch);
		return;
	}
	memcpy(watch->share_id, successor_id, SHARE_ID_LEN);
	/* Changes between the two keys are published, too. */
	watch->dirty_ns = watch->last_ns = watch->watches->now_ns;
}

static void watch_look(struct watch *watch)
{
	const struct published *share =
		shares_publisher_lookup(watch->watches->params.publisher, watch->share_id);

	/* It was retired: no event. */
	if (!share) {
		(void)!shares_watch_set(watch->watches, watch->share_id, 0, NULL, NULL);
		return;
	}
	news_take(watch);
	watch_succeed(watch, share);
	if (!share->settings->path[0] || share->state == PUBLISH_REVOKED)
		return;
	watch->is_tree_due |= watch->path[0] && strcmp(watch->path, share->settings->path) != 0;
	if (watch->opening || watch->is_revising)
		return;
	if (watch->is_tree_due && (watch->fd < 0 || is_quiet(watch)))
		opening_begin(watch, share->settings);
	else if (is_quiet(watch))
		revision_begin(watch, share);
}

static void on_timer(struct timer *timer, uint64_t now_ns)
{
	struct watches *watches = container_of(timer, struct watches, timer);

	watches->now_ns = now_ns;
	for (struct watch *watch = watches->first; watch; watch = watch->next)
		if (!watch->is_gone)
			watch_look(watch);
	watches_reap(watches);
	if (watches->first)
		timer_set(watches->params.timers, &watches->timer, now_ns + LOOK_NS);
}

/* --- what is remembered --- */

/* A share may be named by its successor's key before the next look. */
static void watches_succeed(struct watches *watches)
{
	for (struct watch *watch = watches->first; watch; watch = watch->next) {
		const struct published *share =
			shares_publisher_lookup(watches->params.publisher, watch->share_id);

		if (share && !watch->is_gone)
			watch_succeed(watch, share);
	}
}

int shares_watch_set(struct watches *watches, const uint8_t share_id[static SHARE_ID_LEN],
		     uint32_t quiet_s, void (*done)(void *arg, int err), void *arg)
{
	struct store_batch *batch;
	struct watch *watch;
	int err;

	if (quiet_s > WATCH_QUIET_S_MAX)
		return WEFT_EMALFORMED;
	watches_succeed(watches);
	watch = watch_find(watches, share_id);
	if (quiet_s && !watch && watches->cnt >= watches->params.config.watch_cap)
		return WEFT_EFULL;
	batch = store_batch_new(watches->params.store);
	if (quiet_s)
		row_put(batch, share_id, quiet_s);
	else
		row_delete(batch, share_id);
	err = store_submit(watches->params.store, batch, done, arg);
	if (err < 0) {
		store_batch_free(batch);
		return err;
	}
	if (watch && !quiet_s)
		watch_end(watch);
	else if (watch)
		watch->view.quiet_s = quiet_s;
	else if (quiet_s)
		(void)!watch_add(watches, share_id, quiet_s);
	if (!timer_is_set(&watches->timer))
		timer_set(watches->params.timers, &watches->timer, watches->now_ns + LOOK_NS);
	return 0;
}

static int rows_load(struct watches *watches)
{
	struct store_iter iter = store_iter_fresh(watches->params.store, STORE_META,
						  store_key(KEY_PREFIX, KEY_PREFIX_LEN));
	struct store_item item;

	while (store_iter_next(&iter, &item) && item.key_len == KEY_LEN &&
	       memcmp(item.key, KEY_PREFIX, KEY_PREFIX_LEN) == 0) {
		struct cursor c = cursor_of(item.value, item.value_len);
		uint32_t quiet_s = cursor_be32(&c);

		if (!c.bad && quiet_s && quiet_s <= WATCH_QUIET_S_MAX)
			(void)!watch_add(watches, item.key + KEY_PREFIX_LEN, quiet_s);
	}
	return store_iter_end(&iter);
}

int shares_watches_new(const struct watches_params *params, struct watches **out_watches)
{
	struct watches *watches = calloc(1, sizeof(*watches));
	int err;

	if (!watches)
		return -ENOMEM;
	watches->params = *params;
	watches->now_ns = params->now_ns;
	timer_init(&watches->timer, on_timer);
	err = rows_load(watches);
	if (err < 0) {
		shares_watches_free(watches);
		return err;
	}
	if (watches->first)
		timer_set(params->timers, &watches->timer, params->now_ns + LOOK_NS);
	*out_watches = watches;
	return 0;
}

void shares_watches_stop(struct watches *watches)
{
	if (!watches)
		return;
	watches->is_stopped = true;
	timer_cancel(watches->params.timers, &watches->timer);
	while (watches->job_cnt)
		jobs_reap_wait(watches->params.jobs);
}

void shares_watches_free(struct watches *watches)
{
	if (!watches)
		return;
	while (watches->first) {
		struct watch *watch = watches->first;

		watches->first = watch->next;
		fd_take(watch, -1);
		free(watch);
	}
	free(watches);
}

void shares_watches_configure(struct watches *watches, const struct watches_config *config)
{
	watches->params.config = *config;
}

bool shares_watch_lookup(const struct watches *watches, const uint8_t share_id[static SHARE_ID_LEN],
			 struct watch_view *out_view)
{
	const struct watch *watch = watch_find(watches, share_id);

	if (watch)
		*out_view = watch->view;
	return watch != NULL;
}

uint32_t shares_watches_cnt(const struct watches *watches)
{
	return watches->cnt;
}
