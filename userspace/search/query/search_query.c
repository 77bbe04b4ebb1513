/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A query on its way: home notes down the shares to be searched, a job searches, and home
 * reports the outcome. Shares are searched one after the other, those of the first tier first,
 * then by id. So the first of equal hits is always the same one, and pages do not shift while
 * the index stays.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hit.h"
#include "match.h"
#include "top_hits.h"
#include "search/search_state.h"
#include "search/index/index_shard.h"
#include "store/derived.h"

struct run_share {
	struct indexed *indexed;
	enum search_tier tier;
	uint32_t weight;
};

struct search_run {
	struct list_node node;
	struct job job;
	struct search *search;
	struct derived *derived; /* the rest is the job's while it is out */
	struct store *store;
	struct query query;
	struct run_share *shares;
	uint32_t share_cnt;
	struct search_blocked *blocked;
	struct matcher *matcher;
	uint32_t page, page_len;
	void (*done)(void *arg, const struct search_result *result);
	void *arg;
	struct search_hit *hits;
	struct search_result result;
};

size_t search_footprint(const struct search_config *config)
{
	return config->query_cap * (sizeof(struct search_run) + MATCHER_LEN +
				    2 * SEARCH_HITS_MAX * sizeof(struct ranked_document) +
				    SEARCH_PAGE_MAX * sizeof(struct search_hit));
}

/* --- in the job --- */

static uint32_t bonus_of(const struct indexed *indexed, const struct query_term *term)
{
	bool in_title = memmem(indexed->title_folded, strlen(indexed->title_folded), term->text,
			       term->len) != NULL;
	bool in_description =
		memmem(indexed->description_folded, strlen(indexed->description_folded), term->text,
		       term->len) != NULL;

	return (in_title ? MATCH_TITLE : 0) + (in_description ? MATCH_DESCRIPTION : 0);
}

static int share_match(struct search_run *run, struct derived_view *view, uint32_t idx,
		       struct rank *rank)
{
	const struct indexed *indexed = run->shares[idx].indexed;
	struct match_ask ask = {
		.query = &run->query, .weight = run->shares[idx].weight, .share = idx};

	if (run->blocked)
		ask.blocked = (struct match_blocked){run->blocked->prefixes, run->blocked->cnt};
	for (unsigned i = 0; i < run->query.term_cnt; i++)
		ask.bonus[i] = bonus_of(indexed, &run->query.terms[i]);
	for (ask.shard_idx = 0; ask.shard_idx < indexed->shard_cnt; ask.shard_idx++) {
		struct shard shard;
		int err = search_index_shard(view, indexed->share_id,
					     indexed->shards[ask.shard_idx], &shard);

		if (err < 0)
			return err;
		run->result.found_cnt += search_match_shard(run->matcher, &shard, &ask, rank);
	}
	return 0;
}

/* A hit whose manifest is gone meanwhile is left out. */
static int page_read(struct search_run *run, struct derived_view *view, const struct rank *rank)
{
	uint64_t first = (uint64_t)run->page * run->page_len;
	uint64_t end = first + run->page_len < rank->cnt ? first + run->page_len : rank->cnt;

	run->hits = calloc(run->page_len, sizeof(*run->hits));
	if (!run->hits)
		return -ENOMEM;
	for (uint64_t i = first; i < end; i++) {
		const struct ranked_document *found = &rank->documents[i];
		const struct run_share *share = &run->shares[found->share];
		struct search_hit *hit = &run->hits[run->result.hit_cnt];
		struct shard shard;
		int err = search_index_shard(view, share->indexed->share_id,
					     share->indexed->shards[found->shard], &shard);

		if (err == 0)
			err = search_hit_read(
				run->store,
				&(struct hit_place){share->indexed, &shard, found->document},
				&run->query, hit);
		if (err == -ENOMEM)
			return err;
		if (err < 0)
			continue;
		hit->score = rank_score(found);
		hit->tier = share->tier;
		run->result.hit_cnt++;
	}
	return 0;
}

static int run_search(struct search_run *run)
{
	struct derived_view *view;
	struct rank rank;
	int err;

	if (run->share_cnt == 0)
		return 0;
	err = run->matcher ? 0 : search_matcher_new(&run->matcher);
	if (err < 0)
		return err;
	err = search_rank_init(&rank, SEARCH_HITS_MAX);
	if (err < 0)
		return err;
	err = store_derived_view_open(run->derived, &view);
	if (err < 0)
		goto end_rank;
	for (uint32_t i = 0; i < run->share_cnt && err == 0; i++)
		err = share_match(run, view, i, &rank);
	if (err == 0) {
		search_rank_finish(&rank);
		run->result.reachable_cnt = rank.cnt;
		err = page_read(run, view, &rank);
	}
	store_derived_view_close(view);
end_rank:
	search_rank_fini(&rank);
	return err;
}

static void run_run(struct job *job)
{
	struct search_run *run = container_of(job, struct search_run, job);

	run->result.err = run_search(run);
	run->result.hits = run->hits;
}

/* --- on home --- */

static void run_free(struct search_run *run)
{
	struct search *search = run->search;

	list_unlink(&run->node);
	search->run_cnt--;
	for (uint32_t i = 0; run->hits && i < run->result.hit_cnt; i++)
		search_hit_free(&run->hits[i]);
	for (uint32_t i = 0; i < run->share_cnt; i++)
		search_indexed_release(search, run->shares[i].indexed);
	search_blocked_release(run->blocked);
	/* One is kept for the next query. */
	if (search->matcher || search->is_stopped)
		search_matcher_free(run->matcher);
	else
		search->matcher = run->matcher;
	free(run->shares);
	free(run->hits);
	free(run);
}

static void run_done(struct job *job)
{
	struct search_run *run = container_of(job, struct search_run, job);

	if (run->done)
		run->done(run->arg, &run->result);
	run_free(run);
}

void search_cancel(struct search_run *run)
{
	run->done = NULL;
}

void search_runs_stop(struct search *search)
{
	static const struct search_result nothing = {.err = WEFT_ECANCELLED};

	for (struct list_node *at = search->runs.next; at != &search->runs; at = at->next) {
		struct search_run *run = container_of(at, struct search_run, node);
		void (*done)(void *arg, const struct search_result *result) = run->done;

		run->done = NULL;
		if (done)
			done(run->arg, &nothing);
	}
}

void search_runs_free(struct search *search)
{
	while (!list_is_empty(&search->runs))
		run_free(container_of(search->runs.next, struct search_run, node));
	search_matcher_free(search->matcher);
	search->matcher = NULL;
}

static int run_share_compare(const void *a_arg, const void *b_arg)
{
	const struct run_share *a = a_arg, *b = b_arg;

	if (a->tier != b->tier)
		return a->tier < b->tier ? -1 : 1;
	return memcmp(a->indexed->share_id, b->indexed->share_id, 32);
}

static int shares_take(struct search_run *run, const struct search_ask *ask)
{
	struct search *search = run->search;

	run->shares = calloc(search->share_cnt + 1, sizeof(*run->shares));
	if (!run->shares)
		return -ENOMEM;
	for (uint32_t i = 0; i < search->share_cnt; i++) {
		const struct search_share *share = &search->shares[i];

		if (!(ask->tiers >> share->tier & 1) ||
		    (ask->share_id && memcmp(ask->share_id, share->id, 32) != 0))
			continue;
		run->result.pending_cnt += !share->indexed || share->is_wanting || share->err < 0;
		if (!share->indexed || share->weight == 0)
			continue;
		search_indexed_acquire(share->indexed);
		run->shares[run->share_cnt++] =
			(struct run_share){share->indexed, share->tier, share->weight};
	}
	qsort(run->shares, run->share_cnt, sizeof(*run->shares), run_share_compare);
	run->result.share_cnt = run->share_cnt;
	return 0;
}

static int run_begin(struct search_run *run, const struct search_ask *ask)
{
	struct search *search = run->search;
	int err = search_query_parse(ask->text, ask->text_len, &run->query);

	if (err == 0)
		err = shares_take(run, ask);
	if (err < 0)
		return err;
	run->blocked = search->blocked;
	if (run->blocked)
		run->blocked->ref_cnt++;
	run->matcher = search->matcher;
	search->matcher = NULL;
	return jobs_submit(search->params.jobs, &run->job);
}

int search_query(struct search *search, const struct search_ask *ask, struct search_run **out_run)
{
	struct search_run *run;
	int err;

	search->asked_cnt++;
	if (ask->page_len == 0 || ask->page_len > SEARCH_PAGE_MAX ||
	    (uint64_t)ask->page * ask->page_len >= SEARCH_HITS_MAX)
		return WEFT_ETOOLARGE;
	if (search->run_cnt >= search->params.config.query_cap) {
		search->refused_cnt++;
		return WEFT_EBUSY;
	}
	run = calloc(1, sizeof(*run));
	if (!run)
		return -ENOMEM;
	run->search = search;
	run->derived = search->derived;
	run->store = search->params.store;
	run->page = ask->page;
	run->page_len = ask->page_len;
	run->done = ask->done;
	run->arg = ask->arg;
	run->job.run = run_run;
	run->job.done = run_done;
	list_push_back(&search->runs, &run->node);
	search->run_cnt++;
	err = run_begin(run, ask);
	if (err < 0) {
		run_free(run);
		return err;
	}
	*out_run = run;
	return 0;
}
