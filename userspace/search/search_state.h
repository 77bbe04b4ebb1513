/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_SEARCH_STATE_H
#define WEFT_SEARCH_SEARCH_STATE_H

#include "base/thread/jobs.h"
#include "base/list.h"
#include "base/timer.h"
#include "search/index/index.h"
#include "search/index/indexing.h"
#include "search.h"

/* The state that search.c (shares and their index) and search_query.c (queries) share. */
struct matcher;

struct search_share {
	uint8_t id[32];
	uint8_t manifest_id[32]; /* that is wanted */
	enum search_tier tier;
	uint32_t weight;
	struct indexed *indexed; /* that is searched; NULL: none yet */
	bool is_wanting;	 /* manifest_id is to be indexed */
	int err;		 /* why it is not; tried again by the timer */
	uint64_t done_cnt, all_cnt;
};

/* Blocked contents; counted on home, as a query may look at those before. */
struct search_blocked {
	unsigned ref_cnt;
	size_t cnt;
	uint8_t prefixes[][8];
};

/* The writer of the index: one job at a time. */
struct search_task {
	struct job job;
	struct search *search;
	bool is_out;
	bool has_more;		   /* indexing: another step */
	struct indexing *indexing; /* NULL: it sweeps */
	struct index_live kept;
	int err;
};

struct search {
	struct search_params params;
	struct derived *derived;
	uint64_t secret[2];
	uint64_t now_ns; /* of the last call */
	struct search_share *shares;
	uint32_t share_cnt;
	struct search_task task;
	struct timer timer; /* to begin what could not be, and to try again */
	bool is_settled, wants_sweep, is_stopped;
	bool was_reset; /* no event of it yet */
	int reset_err;
	unsigned retired_cnt;		/* indexed that only queries still refer to */
	struct search_blocked *blocked; /* NULL: nothing is */
	struct list_node runs;
	uint32_t run_cnt;
	struct matcher *matcher; /* at rest; NULL: none or in use */
	uint64_t asked_cnt, refused_cnt, built_cnt, reused_cnt;
};

/* The data of a query while its job is out. */
void search_indexed_acquire(struct indexed *indexed);
void search_indexed_release(struct search *search, struct indexed *indexed);
void search_blocked_release(struct search_blocked *blocked);
/* search_runs_stop ends the queries that wait. */
void search_runs_stop(struct search *search);
/* search_runs_free drops queries that are out; their jobs have ended. */
void search_runs_free(struct search *search);

#endif
