/* SPDX-License-Identifier: Apache-2.0 */
#include "rarest.h"

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

static int room_make(struct rarest *rarest, uint32_t run_cnt, size_t word_cnt)
{
	if (run_cnt > rarest->run_cap) {
		free(rarest->runs);
		rarest->run_cap = 0;
		rarest->runs = malloc(run_cnt * sizeof(*rarest->runs));
		if (!rarest->runs)
			return -ENOMEM;
		rarest->run_cap = run_cnt;
	}
	if (word_cnt > rarest->word_cap) {
		free(rarest->missing);
		rarest->word_cap = 0;
		rarest->missing = malloc(word_cnt * sizeof(*rarest->missing));
		if (!rarest->missing)
			return -ENOMEM;
		rarest->word_cap = word_cnt;
	}
	return 0;
}

int blobs_rarest_begin(struct rarest *rarest, uint64_t cnt, uint64_t seed)
{
	size_t word_cnt = (size_t)((cnt + 63) / 64);
	unsigned log2 = 0;
	uint32_t run_cnt;
	int err;

	while ((cnt - 1) >> log2 >= RAREST_RUNS_MAX)
		log2++;
	run_cnt = (uint32_t)((cnt - 1) >> log2) + 1;
	if ((err = room_make(rarest, run_cnt, word_cnt)) < 0)
		return err;
	rarest->cnt = cnt;
	rarest->run_log2 = log2;
	rarest->run_cnt = run_cnt;
	rarest->at = (uint32_t)(seed % run_cnt);
	rarest->least = 0;
	rarest->version++;
	for (uint32_t i = 0; i < run_cnt; i++)
		rarest->runs[i] = (struct rarest_run){
			.missing_cnt = (uint32_t)(run_end(rarest, i) - run_begin(rarest, i)),
		};
	memset(rarest->missing, 0xff, word_cnt * sizeof(*rarest->missing));
	if (cnt % 64)
		rarest->missing[word_cnt - 1] = (1ull << cnt % 64) - 1;
	return 0;
}

void blobs_rarest_fini(struct rarest *rarest)
{
	free(rarest->runs);
	free(rarest->missing);
	*rarest = (struct rarest){.version = rarest->version};
}

void blobs_rarest_take(struct rarest *rarest, uint64_t idx)
{
	rarest->runs[idx >> rarest->run_log2].missing_cnt--;
	rarest->missing[idx / 64] &= ~(1ull << idx % 64);
}

void blobs_rarest_give_back(struct rarest *rarest, uint64_t idx)
{
	struct rarest_run *run = &rarest->runs[idx >> rarest->run_log2];

	run->missing_cnt++;
	rarest->missing[idx / 64] |= 1ull << idx % 64;
	rarest->version++;
	if (run->rank < rarest->least)
		rarest->least = run->rank;
}

void blobs_rarest_sort(struct rarest *rarest, uint16_t (*rank_of)(void *arg, uint64_t idx),
		       void *arg)
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

/* The state of a pick. */
struct picking {
	uint64_t (*there)(void *arg, uint64_t first);
	void *arg;
	uint64_t first, bits; /* of the last 64 chunks that were asked about */
};

static uint64_t picking_there(struct picking *picking, uint64_t first)
{
	if (picking->first != first) {
		picking->first = first;
		picking->bits = picking->there(picking->arg, first);
	}
	return picking->bits;
}

/* A run is some of 64 neighbours, or 64 several times. */
static uint64_t run_pick(const struct rarest *rarest, uint32_t run, struct picking *picking)
{
	uint64_t begin = run_begin(rarest, run), end = run_end(rarest, run), within = ~0ull;

	if (rarest->run_log2 < 6)
		within = ((1ull << (1u << rarest->run_log2)) - 1) << begin % 64;
	for (uint64_t first = begin & ~63ull; first < end; first += 64) {
		uint64_t bits = rarest->missing[first / 64] & within;

		if (bits)
			bits &= picking_there(picking, first);
		if (bits)
			return first + (unsigned)__builtin_ctzll(bits);
	}
	return RAREST_NONE;
}

uint64_t blobs_rarest_pick(struct rarest *rarest, uint64_t (*there)(void *arg, uint64_t first),
			   void *arg, uint16_t *out_rank)
{
	struct picking picking = {.there = there, .arg = arg, .first = RAREST_NONE};
	uint64_t found = RAREST_NONE;
	uint16_t found_rank = UINT16_MAX, least = UINT16_MAX;
	uint32_t i;

	for (i = 0; i < rarest->run_cnt && found_rank > rarest->least; i++) {
		uint32_t at = (rarest->at + i) % rarest->run_cnt;
		const struct rarest_run *run = &rarest->runs[at];
		uint64_t idx;

		if (run->missing_cnt == 0)
			continue;
		least = run->rank < least ? run->rank : least;
		if (run->rank >= found_rank)
			continue;
		idx = run_pick(rarest, at, &picking);
		if (idx == RAREST_NONE)
			continue;
		found = idx;
		found_rank = run->rank;
	}
	if (i == rarest->run_cnt)
		rarest->least = least;
	if (found == RAREST_NONE)
		return RAREST_NONE;
	rarest->at = (uint32_t)(found >> rarest->run_log2);
	*out_rank = found_rank;
	return found;
}
