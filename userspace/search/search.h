/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_SEARCH_H
#define WEFT_SEARCH_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "search/query/search_words.h"
#include "search/query/snippet.h"
#include "weft/err.h"

struct jobs;
struct random;
struct store;
struct timer_wheel;

/*
 * Finding items of shares by words, in an index on this node. Nothing of a query leaves the
 * node, and only items of followed shares are found. search_put_share names the shares; their
 * manifests are read from the store.
 *
 *	share put	search.c -> indexing.c (job) -> index_shard_builder.c -> store/derived.h
 *	query		search_query.c -> search_words.c; (job) match.c -> top_hits.c -> hit.c; done
 *
 * The index of a share is shards. A shard holds the manifests between two places that the
 * manifests themselves decide on, so a new revision makes only the changed shards anew. The
 * index is verified as it is taken up again, and a shard that does not verify is made anew.
 * Meanwhile the shares that are ready are searched.
 *
 * Home worker; done and on_event are never called inside the call that leads to them.
 */
struct search;

#define SEARCH_SHARES_MAX  10000u
#define SEARCH_HITS_MAX	   2000u /* that can be looked at: 10 pages of the largest size */
#define SEARCH_PAGE_MAX	   200u
#define SEARCH_PAGE	   20u
#define SEARCH_WEIGHT	   100u /* percent */
#define SEARCH_WEIGHT_MAX  1000u
#define SEARCH_BLOCKED_MAX (1u << 20)

/* The user's opinion of a share; among equal hits those of the first tier come first. */
enum search_tier { SEARCH_TRUSTED, SEARCH_NORMAL, SEARCH_UNTRUSTED, SEARCH_TIER_CNT };

struct search_config {
	uint64_t index_len_max; /* bytes of the index: 4 GiB */
	uint32_t query_cap;	/* queries under way: 16 */
};
void search_config_defaults(struct search_config *config);
/* search_footprint: bytes of what is laid out for queries, touched as they come. */
size_t search_footprint(const struct search_config *config);

enum search_event_kind {
	SEARCH_INDEX_RESET,  /* it was damaged (err) or of another version, and is made anew */
	SEARCH_SHARE_READY,  /* its revision is searched now */
	SEARCH_SHARE_FAILED, /* err; the revision before is searched; it is tried again */
};
struct search_event {
	enum search_event_kind kind;
	const uint8_t *share_id; /* of a share */
	uint64_t item_cnt;
	uint64_t cut_cnt; /* shards whose words did not all fit (SHARD_RUNS_MAX) */
	int err;
};

struct search_params {
	struct search_config config;
	const char *state_dir;
	struct store *store;
	struct jobs *jobs;
	struct timer_wheel *timers;
	struct random *random;
	void (*on_event)(void *ctx, const struct search_event *event); /* may be NULL */
	void *ctx;
};

/* search_new: 0 or -ENOMEM. The index is opened, or made, for the first share that is put. */
WEFT_MUST_CHECK
int search_new(const struct search_params *params, struct search **out_search);
/*
 * search_stop: queries under way end with WEFT_ECANCELLED, then no callback comes any more.
 * search_free, when jobs are freed. Both take NULL.
 */
void search_stop(struct search *search);
void search_free(struct search *search);

/* A revision of a share. */
struct search_revision {
	const uint8_t *share_id, *manifest_id; /* 32 bytes each */
	enum search_tier tier;
	uint32_t weight; /* percent */
};
/*
 * search_put_share searches this revision once it is indexed, and the share's former one until
 * then. Returns 0, WEFT_EFULL (SEARCH_SHARES_MAX) or -errno (of the index's folder).
 * search_drop_share takes effect at once.
 */
WEFT_MUST_CHECK
int search_put_share(struct search *search, const struct search_revision *revision,
		     uint64_t now_ns);
void search_drop_share(struct search *search, const uint8_t share_id[static 32], uint64_t now_ns);
/*
 * search_settle, once all shares were put after a start: what else is in the index goes, as
 * soon as there is any share.
 */
void search_settle(struct search *search, uint64_t now_ns);
/*
 * search_block: items of these contents are not found any more; ids, of 32 bytes each,
 * ascend and are copied. 0, WEFT_EFULL (SEARCH_BLOCKED_MAX) or -ENOMEM: as before.
 */
WEFT_MUST_CHECK
int search_block(struct search *search, const uint8_t (*ids)[32], size_t cnt);

/* --- asking --- */

struct search_hit {
	uint8_t share_id[32];
	uint8_t manifest_id[32]; /* of the share's revision */
	uint8_t content_id[32];
	uint64_t size;
	uint32_t score; /* points (match.h) by the weight in percent */
	enum search_tier tier;
	const char *share_title; /* "": none */
	const char *path;	 /* NUL-terminated, as the other texts */
	const char *mime;	 /* "": unknown */
	const char *tags;	 /* each NUL-terminated, the last one empty */
	struct snippet path_snippet;
	struct snippet about; /* of the share's description; empty when no word is in it */
};
struct search_result {
	const struct search_hit *hits;
	uint32_t hit_cnt;   /* on this page */
	uint64_t found_cnt; /* in all; the first SEARCH_HITS_MAX can be looked at */
	uint32_t reachable_cnt;
	uint32_t share_cnt;   /* that were searched */
	uint32_t pending_cnt; /* shares whose index is being made, or is of an older revision */
	int err;	      /* 0, -ENOMEM, WEFT_EDAMAGED, WEFT_ECANCELLED */
};

struct search_ask {
	const char *text;
	size_t text_len;
	unsigned tiers;		 /* bit by enum search_tier */
	const uint8_t *share_id; /* only in this one; NULL: in all */
	uint32_t page;		 /* from 0 */
	uint32_t page_len;	 /* in [1, SEARCH_PAGE_MAX] */
	void (*done)(void *arg, const struct search_result *result); /* borrowed for the call */
	void *arg;
};
struct search_run;
/*
 * search_query searches in a job. 0, what search_query_parse says, WEFT_ETOOLARGE (page or its
 * length), WEFT_EBUSY (query_cap), WEFT_EFULL (no job is free) or -ENOMEM.
 * search_cancel: done is not called.
 */
WEFT_MUST_CHECK
int search_query(struct search *search, const struct search_ask *ask, struct search_run **out_run);
void search_cancel(struct search_run *run);

/* --- how it is --- */

struct search_share_status {
	const uint8_t *share_id;
	const char *title; /* of the revision that is searched; "" */
	enum search_tier tier;
	uint32_t weight;
	bool is_ready; /* the newest revision is searched */
	bool is_indexing;
	uint64_t item_cnt;	    /* searched */
	uint64_t done_cnt, all_cnt; /* items of what is being indexed */
	int err;		    /* why the newest revision is not searched; 0 */
};
/* A search_share_iter walks the shares; false: behind the last. The index may not change meanwhile. */
struct search_share_iter {
	const struct search *search;
	uint32_t idx; /* of the next */
};
bool search_shares_next(struct search_share_iter *iter, struct search_share_status *out_status);

struct search_stats {
#define FIGURE FIGURE_FIELD
#include "search/search_counters.def"
};
void search_stats(const struct search *search, struct search_stats *out_stats);

#endif
