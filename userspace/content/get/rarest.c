/* SPDX-License-Identifier: Apache-2.0 */
#include "content/get/rarest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t run_begin(const struct rarest *rarest, uint32_t run)
{
	return (uint64_t)run << rarest->run_log2;
}

static uint64_t run_end(const struct rarest *rarest, uint32_t run)
{
	uint64_t end = run_begin(rarest, run + 1);

	return end < rarest->cnt ? end : rarest->cnt;
}

int rarest_begin(struct rarest *rarest, uint64_t cnt, uint64_t seed)
{
	unsigned log2 = 0;
	uint32_t run_cnt;

	while ((cnt - 1) >> log2 >= RAREST_RUNS_MAX)
		log2++;
	run_cnt = (uint32_t)((cnt - 1) >> log2) + 1;
	if (run_cnt > rarest->run_cap) {
		free(rarest->runs);
		rarest->run_cap = 0;
		rarest->runs = malloc(run_cnt * sizeof(*rarest->runs));
		if (!rarest->runs)
			return -ENOMEM;
		rarest->run_cap = run_cnt;
	}
	rarest->cnt = cnt;
	rarest->run_log2 = log2;
	rarest->run_cnt = run_cnt;
	rarest->at = (uint32_t)(seed % run_cnt);
	rarest->least = 0;
	for (uint32_t i = 0; i < run_cnt; i++)
		rarest->runs[i] = (struct rarest_run){
			.missing_cnt = (uint32_t)(run_end(rarest, i) - run_begin(rarest, i)),
		};
	return 0;
}

void rarest_fini(struct rarest *rarest)
{
	free(rarest->runs);
	*rarest = (struct rarest){.cnt = 0};
}

void rarest_take(struct rarest *rarest, uint64_t idx)
{
	rarest->runs[idx >> rarest->run_log2].missing_cnt--;
}

void rarest_give_back(struct rarest *rarest, uint64_t idx)
{
	struct rarest_run *run = &rarest->runs[idx >> rarest->run_log2];

	run->missing_cnt++;
	if (run->rank < rarest->least)
		rarest->least = run->rank;
}

void rarest_sort(struct rarest *rarest, uint16_t (*rank_of)(void *arg, uint64_t idx), void *arg)
{
	rarest->least = UINT16_MAX;
	for (uint32_t i = 0; i < rarest->run_cnt; i++) {
		struct rarest_run *run = &rarest->runs[i];

		if (run->missing_cnt == 0)
			continue;
		run->rank = rank_of(arg, run_begin(rarest, i));
		if (run->rank < rarest->least)
			rarest->least = run->rank;
	}
}

static uint64_t run_pick(const struct rarest *rarest, uint32_t run,
			 bool (*may_be_asked)(void *arg, uint64_t idx), void *arg)
{
	for (uint64_t idx = run_begin(rarest, run); idx < run_end(rarest, run); idx++)
		if (may_be_asked(arg, idx))
			return idx;
	return RAREST_NONE;
}

uint64_t rarest_pick(struct rarest *rarest, bool (*may_be_asked)(void *arg, uint64_t idx),
		     void *arg, uint16_t *out_rank)
{
	uint64_t found = RAREST_NONE;
	uint16_t found_rank = UINT16_MAX;

	for (uint32_t i = 0; i < rarest->run_cnt && found_rank > rarest->least; i++) {
		uint32_t at = (rarest->at + i) % rarest->run_cnt;
		const struct rarest_run *run = &rarest->runs[at];
		uint64_t idx;

		if (run->missing_cnt == 0 || run->rank >= found_rank)
			continue;
		idx = run_pick(rarest, at, may_be_asked, arg);
		if (idx == RAREST_NONE)
			continue;
		found = idx;
		found_rank = run->rank;
	}
	if (found == RAREST_NONE)
		return RAREST_NONE;
	rarest->at = (uint32_t)(found >> rarest->run_log2);
	*out_rank = found_rank;
	return found;
}
