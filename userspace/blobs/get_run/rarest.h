/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_GET_RUN_RAREST_H
#define WEFT_BLOBS_GET_RUN_RAREST_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * The order in which the chunks of a file are asked for: by rank. The rank says how many have a
 * chunk and whose turn it is. Among chunks of equal rank, the neighbour of the last one comes
 * next, so that disks read and write in order. Each node chooses where its first one lies. So
 * getters that start together have something to give to each other at once. Chunks are ranked by
 * runs of neighbours. A pick looks at each run once and asks about each 64 chunks once at most,
 * whatever others claim to have. No I/O. Home worker.
 */
#define RAREST_RUNS_MAX 4096u /* of a file: one chunk each to 1 GiB, then more */
#define RAREST_NONE	UINT64_MAX

struct rarest_run {
	uint32_t missing_cnt; /* no member is asked for them */
	uint16_t rank;	      /* as reckoned last; the least is asked for first */
};

struct rarest {
	uint64_t cnt;
	unsigned run_log2;
	uint32_t run_cnt, run_cap;
	struct rarest_run *runs;
	uint64_t *missing; /* bit idx % 64 of word idx / 64 */
	size_t word_cap;
	uint32_t at;	  /* the run the last chunk came from */
	uint16_t least;	  /* no run that misses something has a lower rank */
	uint32_t version; /* another since the last chunk was given back */
};

/* blobs_rarest_begin: all cnt chunks are missing; room made earlier is used again. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int blobs_rarest_begin(struct rarest *rarest, uint64_t cnt, uint64_t seed);
void blobs_rarest_fini(struct rarest *rarest);
/* blobs_rarest_take, blobs_rarest_give_back: chunk idx is asked for or here; it is missing again. */
void blobs_rarest_take(struct rarest *rarest, uint64_t idx);
void blobs_rarest_give_back(struct rarest *rarest, uint64_t idx);
/* blobs_rarest_sort asks for the rank of a chunk, once for each run that misses some. */
void blobs_rarest_sort(struct rarest *rarest, uint16_t (*rank_of)(void *arg, uint64_t idx),
		       void *arg);
/*
 * blobs_rarest_pick: the chunk of the least rank of those that there are. there
 * tells of 64 at a time: bit i of chunk first + i, where first is a multiple of
 * 64. RAREST_NONE when there is none; that stays so while neither version nor
 * what is there changes.
 */
uint64_t blobs_rarest_pick(struct rarest *rarest, uint64_t (*there)(void *arg, uint64_t first),
			   void *arg, uint16_t *out_rank);

#endif
