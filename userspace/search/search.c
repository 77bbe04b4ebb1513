/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides which shares are searched, and keeps their index. It runs one task at a time, a shard
 * in each of its jobs, so that imports and queries come in between. The data of a query is never
 * changed under it. A new revision is another struct indexed, and the shards of the one before
 * are swept when no query refers to it any more.
 */
#include "search.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "blobs/manifest/manifest.h"
#include "search_state.h"
#include "search/index/index_shard.h"
#include "store/derived.h"

#define READER_CAP   64u
#define JOB_RETRY_NS (100 * NS_PER_MS) /* when all jobs are taken */
#define RETRY_NS     (600 * NS_PER_S)  /* a revision that could not be indexed */

static void search_kick(struct search *search);

void search_config_defaults(struct search_config *config)
{
	*config = (struct search_config){.index_len_max = 4ull << 30, .query_cap = 16};
}

/* --- shares --- */

static struct search_share *share_lookup(const struct search *search,
					 const uint8_t share_id[static 32])
{
	for (uint32_t i = 0; i < search->share_cnt; i++)
		if (memcmp(search->shares[i].id, share_id, 32) == 0)
			return &search->shares[i];
	return NULL;
}

void search_indexed_acquire(struct indexed *indexed)
{
	indexed->ref_cnt++;
}

void search_indexed_release(struct search *search, struct indexed *indexed)
{
	if (--indexed->ref_cnt > 0)
		return;
	search_indexed_free(indexed);
	search->retired_cnt--;
	if (search->retired_cnt == 0 && search->wants_sweep)
		search_kick(search);
}

/* Queries that look at it go on; what it was made of is swept after them. */
static void indexed_retire(struct search *search, struct indexed *indexed)
{
	if (!indexed)
		return;
	search->retired_cnt++;
	search->wants_sweep = true;
	search_indexed_release(search, indexed);
}

static void indexed_use(struct search *search, struct search_share *share, struct indexed *indexed)
{
	struct indexed *before = share->indexed;

	indexed->ref_cnt = 1;
	share->indexed = indexed;
	indexed_retire(search, before);
}

static void search_tell(struct search *search, const struct search_event *event)
{
	if (!search->is_stopped && search->params.on_event)
		search->params.on_event(search->params.ctx, event);
}

/* --- the task --- */

static void kept_free(struct index_live *kept)
{
	free(kept->keys);
	free(kept->share_ids);
	*kept = (struct index_live){0};
}

static int bytes32_compare(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static int bytes64_compare(const void *a, const void *b)
{
	return memcmp(a, b, INDEX_KEY_LEN);
}

/* All shards of what is searched, and any of a share whose index is not taken up yet. */
static int kept_collect(const struct search *search, struct index_live *out_kept)
{
	struct index_live kept = {0};
	size_t key_cnt = 0;

	for (uint32_t i = 0; i < search->share_cnt; i++)
		if (search->shares[i].indexed)
			key_cnt += search->shares[i].indexed->shard_cnt;
	kept.keys = malloc((key_cnt + 1) * sizeof(*kept.keys));
	kept.share_ids = malloc((search->share_cnt + 1) * sizeof(*kept.share_ids));
	if (!kept.keys || !kept.share_ids) {
		kept_free(&kept);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < search->share_cnt; i++) {
		const struct search_share *share = &search->shares[i];

		if (!share->indexed || share->is_wanting)
			memcpy(kept.share_ids[kept.share_cnt++], share->id, 32);
		for (uint32_t k = 0; share->indexed && k < share->indexed->shard_cnt; k++)
			search_index_key(share->id, share->indexed->shards[k],
					 kept.keys[kept.key_cnt++]);
	}
	qsort(kept.keys, kept.key_cnt, sizeof(*kept.keys), bytes64_compare);
	qsort(kept.share_ids, kept.share_cnt, sizeof(*kept.share_ids), bytes32_compare);
	*out_kept = kept;
	return 0;
}

static void task_run(struct job *job)
{
	struct search_task *task = container_of(job, struct search_task, job);

	if (task->indexing)
		task->has_more = search_indexing_step(task->indexing);
	else
		task->err = search_index_sweep(task->search->derived, &task->kept);
}

/* The share that task->indexing is of, if it still wants that revision. */
static struct search_share *task_share(struct search *search)
{
	const struct indexing_ask *ask = &search->task.indexing->ask;
	struct search_share *share = share_lookup(search, ask->share_id);

	return share && memcmp(share->manifest_id, ask->manifest_id, 32) == 0 ? share : NULL;
}

static void indexing_end(struct search *search)
{
	struct indexing *indexing = search->task.indexing;
	struct search_share *share = task_share(search);
	struct search_event event = {.kind = SEARCH_SHARE_FAILED,
				     .share_id = indexing->ask.share_id,
				     .cut_cnt = indexing->cut_cnt,
				     .item_cnt = indexing->done_cnt,
				     .err = indexing->err};

	search->built_cnt += indexing->built_cnt;
	search->reused_cnt += indexing->reused_cnt;
	/* Shards of a revision that no share wants any more are swept. */
	search->wants_sweep |= !share || indexing->err < 0;
	if (share) {
		share->is_wanting = false;
		share->err = indexing->err;
		if (indexing->err == 0) {
			indexed_use(search, share, indexing->made);
			indexing->made = NULL;
			event.kind = SEARCH_SHARE_READY;
		} else {
			timer_set(search->params.timers, &search->timer, search->now_ns + RETRY_NS);
		}
		search_tell(search, &event);
	}
	search->task.indexing = NULL;
	search_indexing_free(indexing);
}

static void task_done(struct job *job)
{
	struct search_task *task = container_of(job, struct search_task, job);
	struct search *search = task->search;
	struct search_share *share;

	if (task->indexing) {
		share = task_share(search);
		if (share) {
			share->done_cnt = task->indexing->done_cnt;
			share->all_cnt = task->indexing->all_cnt;
		}
		if (!task->has_more || !share)
			indexing_end(search);
	} else {
		/* Rows that could not be removed are removed by the next sweep. */
		kept_free(&task->kept);
	}
	/* Not before: what is released above would begin the next one in the middle of this. */
	task->is_out = false;
	search_kick(search);
}

static int indexing_begin(struct search *search, struct search_share *share)
{
	struct indexing_ask ask = {.store = search->params.store,
				   .derived = search->derived,
				   .secret = {search->secret[0], search->secret[1]}};

	memcpy(ask.share_id, share->id, sizeof(ask.share_id));
	memcpy(ask.manifest_id, share->manifest_id, sizeof(ask.manifest_id));
	share->done_cnt = share->all_cnt = 0;
	return search_indexing_new(&ask, &search->task.indexing);
}

/* Chooses the next task; false: none. */
static int task_choose(struct search *search, bool *out_has)
{
	*out_has = true;
	if (search->task.indexing)
		return 0;
	for (uint32_t i = 0; i < search->share_cnt; i++)
		if (search->shares[i].is_wanting)
			return indexing_begin(search, &search->shares[i]);
	*out_has = search->wants_sweep && search->is_settled && search->retired_cnt == 0 &&
		   search->derived;
	if (!*out_has)
		return 0;
	search->wants_sweep = false;
	return kept_collect(search, &search->task.kept);
}

static void search_kick(struct search *search)
{
	bool has = false;
	int err;

	if (search->task.is_out || search->is_stopped)
		return;
	/* Not chosen again when no job was free. */
	err = search->task.kept.keys ? 0 : task_choose(search, &has);
	if (err == 0 && (has || search->task.kept.keys))
		err = jobs_submit(search->params.jobs, &search->task.job);
	else if (err == 0)
		return;
	if (err < 0)
		timer_set(search->params.timers, &search->timer, search->now_ns + JOB_RETRY_NS);
	else
		search->task.is_out = true;
}

static void timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct search *search = container_of(timer, struct search, timer);

	search->now_ns = now_ns;
	if (search->was_reset) {
		search->was_reset = false;
		search_tell(search, &(struct search_event){.kind = SEARCH_INDEX_RESET,
							   .err = search->reset_err});
	}
	for (uint32_t i = 0; i < search->share_cnt; i++)
		search->shares[i].is_wanting |= search->shares[i].err < 0;
	search_kick(search);
}

/* --- what home says --- */

/* A node that follows nothing has no index. */
static int index_open(struct search *search)
{
	const struct derived_config config = {.state_dir = search->params.state_dir,
					      .name = INDEX_NAME,
					      .version = SHARD_VERSION,
					      .map_len_max = search->params.config.index_len_max,
					      .reader_cap = READER_CAP};
	enum derived_start start;
	int err;

	if (search->derived)
		return 0;
	err = store_derived_open(&config, &search->derived, &start);
	if (err == 0 && (start == DERIVED_DAMAGED || start == DERIVED_OTHER_VERSION)) {
		search->was_reset = true;
		search->reset_err = start == DERIVED_DAMAGED ? WEFT_EDAMAGED : 0;
		timer_set(search->params.timers, &search->timer, 0);
	}
	return err;
}

int search_new(const struct search_params *params, struct search **out_search)
{
	struct search *search = calloc(1, sizeof(*search));

	if (!search)
		return -ENOMEM;
	search->params = *params;
	search->task.search = search;
	search->task.job.run = task_run;
	search->task.job.done = task_done;
	timer_init(&search->timer, timer_fire);
	list_init(&search->runs);
	random_fill(params->random, search->secret, sizeof(search->secret));
	search->shares = calloc(SEARCH_SHARES_MAX, sizeof(*search->shares));
	if (!search->shares) {
		free(search);
		return -ENOMEM;
	}
	*out_search = search;
	return 0;
}

void search_stop(struct search *search)
{
	if (!search)
		return;
	search->is_stopped = true;
	search_runs_stop(search);
	timer_cancel(search->params.timers, &search->timer);
}

void search_free(struct search *search)
{
	if (!search)
		return;
	search_stop(search);
	search_indexing_free(search->task.indexing);
	kept_free(&search->task.kept);
	search_runs_free(search);
	for (uint32_t i = 0; i < search->share_cnt; i++)
		search_indexed_free(search->shares[i].indexed);
	search_blocked_release(search->blocked);
	store_derived_close(search->derived);
	free(search->shares);
	free(search);
}

int search_put_share(struct search *search, const struct search_revision *revision, uint64_t now_ns)
{
	struct search_share *share = share_lookup(search, revision->share_id);
	int err = index_open(search);

	search->now_ns = now_ns;
	if (err < 0)
		return err;
	if (!share) {
		if (search->share_cnt == SEARCH_SHARES_MAX)
			return WEFT_EFULL;
		share = &search->shares[search->share_cnt++];
		*share = (struct search_share){.is_wanting = true};
		memcpy(share->id, revision->share_id, sizeof(share->id));
	} else if (memcmp(share->manifest_id, revision->manifest_id, 32) != 0 || share->err < 0) {
		share->is_wanting = true;
		share->err = 0;
	}
	share->tier = revision->tier;
	share->weight = revision->weight < SEARCH_WEIGHT_MAX ? revision->weight : SEARCH_WEIGHT_MAX;
	memcpy(share->manifest_id, revision->manifest_id, sizeof(share->manifest_id));
	search_kick(search);
	return 0;
}

void search_drop_share(struct search *search, const uint8_t share_id[static 32], uint64_t now_ns)
{
	struct search_share *share = share_lookup(search, share_id);
	struct indexed *indexed;

	search->now_ns = now_ns;
	if (!share)
		return;
	indexed = share->indexed;
	*share = search->shares[--search->share_cnt];
	search->wants_sweep = true;
	indexed_retire(search, indexed);
	search_kick(search);
}

void search_settle(struct search *search, uint64_t now_ns)
{
	search->now_ns = now_ns;
	search->is_settled = true;
	search->wants_sweep = true;
	search_kick(search);
}

void search_blocked_release(struct search_blocked *blocked)
{
	if (blocked && --blocked->ref_cnt == 0)
		free(blocked);
}

int search_block(struct search *search, const uint8_t (*ids)[32], size_t cnt)
{
	struct search_blocked *blocked = NULL;

	if (cnt > SEARCH_BLOCKED_MAX)
		return WEFT_EFULL;
	if (cnt) {
		blocked = malloc(sizeof(*blocked) + cnt * sizeof(blocked->prefixes[0]));
		if (!blocked)
			return -ENOMEM;
		blocked->ref_cnt = 1;
		blocked->cnt = cnt;
		for (size_t i = 0; i < cnt; i++)
			memcpy(blocked->prefixes[i], ids[i], sizeof(blocked->prefixes[i]));
	}
	search_blocked_release(search->blocked);
	search->blocked = blocked;
	return 0;
}

/* --- how it is --- */

bool search_shares_next(struct search_share_iter *iter, struct search_share_status *out_status)
{
	const struct indexing *indexing = iter->search->task.indexing;
	const struct search_share *share = &iter->search->shares[iter->idx];

	if (iter->idx == iter->search->share_cnt)
		return false;
	iter->idx++;
	*out_status = (struct search_share_status){
		.share_id = share->id,
		.title = share->indexed ? share->indexed->title : "",
		.tier = share->tier,
		.weight = share->weight,
		.is_ready = share->indexed && !share->is_wanting && share->err == 0,
		.is_indexing = indexing &&
			       memcmp(indexing->ask.share_id, share->id, sizeof(share->id)) == 0,
		.item_cnt = share->indexed ? share->indexed->item_cnt : 0,
		.done_cnt = share->done_cnt,
		.all_cnt = share->all_cnt,
		.err = share->err};
	return true;
}

void search_stats(const struct search *search, struct search_stats *out_stats)
{
	struct search_stats stats = {
		.share_cnt = search->share_cnt,
		.query_cnt = search->run_cnt,
		.blocked_cnt = search->blocked ? (uint32_t)search->blocked->cnt : 0,
		.index_len = search->derived ? store_derived_used_len(search->derived) : 0,
		.index_len_max = search->params.config.index_len_max,
		.asked_cnt = search->asked_cnt,
		.refused_cnt = search->refused_cnt,
		.built_cnt = search->built_cnt,
		.reused_cnt = search->reused_cnt};

	for (uint32_t i = 0; i < search->share_cnt; i++) {
		const struct search_share *share = &search->shares[i];

		stats.ready_cnt += share->indexed && !share->is_wanting && share->err == 0;
		stats.item_cnt += share->indexed ? (uint32_t)share->indexed->item_cnt : 0;
	}
	*out_stats = stats;
}
