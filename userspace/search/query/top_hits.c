/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the best (top_hits.h): when twice as many are there as are kept, the worse half goes. */
#include "top_hits.h"

#include <errno.h>
#include <stdlib.h>

int search_rank_init(struct rank *rank, uint32_t keep_cnt)
{
	*rank = (struct rank){.keep_cnt = keep_cnt};
	rank->documents = malloc((size_t)2 * keep_cnt * sizeof(*rank->documents));
	return rank->documents ? 0 : -ENOMEM;
}

void search_rank_fini(struct rank *rank)
{
	free(rank->documents);
	rank->documents = NULL;
}

static int better_first(const void *a_arg, const void *b_arg)
{
	const struct ranked_document *a = a_arg, *b = b_arg;

	return (a->order < b->order) - (a->order > b->order);
}

void search_rank_finish(struct rank *rank)
{
	qsort(rank->documents, rank->cnt, sizeof(*rank->documents), better_first);
	if (rank->cnt < rank->keep_cnt)
		return;
	rank->cnt = rank->keep_cnt;
	/* A hit that is still to come stands behind those that are as good. */
	rank->bar = rank_score(&rank->documents[rank->cnt - 1]);
}

void search_rank_add(struct rank *rank, uint32_t score, uint32_t share, uint32_t shard,
		     uint32_t document)
{
	rank->documents[rank->cnt++] = (struct ranked_document){
		(uint64_t)score << 32 | (UINT32_MAX - rank->seen_cnt++), share, shard, document};
	if (rank->cnt == 2 * rank->keep_cnt)
		search_rank_finish(rank);
}
