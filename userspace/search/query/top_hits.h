/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SEARCH_QUERY_TOP_HITS_H
#define WEFT_SEARCH_QUERY_TOP_HITS_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * The best of many documents: those of the highest scores and, of equal ones, those that
 * came first. However many come, it holds twice what it keeps.
 */
struct ranked_document {
	uint64_t order; /* score, then what came first; greater is better */
	uint32_t share, shard, document;
};
struct rank {
	struct ranked_document *documents;
	uint32_t cnt, keep_cnt;
	uint32_t seen_cnt; /* that could come in */
	uint32_t bar;	   /* a score must be above it to come in */
};

WEFT_MUST_CHECK
int search_rank_init(struct rank *rank, uint32_t keep_cnt);
void search_rank_fini(struct rank *rank);
/* search_rank_add: score is above rank->bar. */
void search_rank_add(struct rank *rank, uint32_t score, uint32_t share, uint32_t shard,
		     uint32_t document);
/* search_rank_finish leaves the best in documents, in order. */
void search_rank_finish(struct rank *rank);
static inline uint32_t rank_score(const struct ranked_document *document)
{
	return (uint32_t)(document->order >> 32);
}

#endif
