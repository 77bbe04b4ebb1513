/* SPDX-License-Identifier: Apache-2.0 */
#include "support/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"

#define RELAPSE_NS  NS_PER_S	    /* a second crash comes within this after the start */
#define DRIFT_NS    (10 * NS_PER_S) /* clocks that drift are set so often */
#define TAIL_MAX    8		    /* what comes on top of a delay, in its means, at most */
#define NODE_NOBODY FAULTS_NODE_CAP

const struct fault_ranges fault_ranges_wide = {
	.loss_per_1000 = 300,
	.duplicate_per_1000 = 500,
	.reorder_per_1000 = 300,
	.delay_ns = 30 * NS_PER_MS,
	.tail_ns = 100 * NS_PER_MS,
	.clog_ns = 60 * NS_PER_S,
	.partition_ns = 60 * NS_PER_S,
	.down_ns = 30 * NS_PER_S,
	.pause_ns = 5 * NS_PER_S,
	.relapse_per_1000 = 400,
	.skew_s = 3600,
	.jump_s = 600,
	.drift_ppm = 10000,
	.crash_cnt = 12,
	.event_cnt = 12,
};

static const char *const cut_names[FAULT_CUT_CNT] = {"no", "one node", "half", "a random part"};

/* --- dice --- */

static uint64_t up_to(struct random *dice, uint64_t most)
{
	return random_below(dice, most + 1);
}

/* kind_of draws how much of a kind there is: none in one of four seeds. */
static uint64_t kind_of(struct random *dice, uint64_t most)
{
	bool is_out = random_below(dice, 4) == 0;
	uint64_t much = up_to(dice, most);

	return is_out ? 0 : much;
}

/*
 * exponential draws from the distribution of that mean by von Neumann's method: it
 * compares uniform numbers, so the result is the same on every machine.
 */
static uint64_t exponential(struct random *dice, uint64_t mean_ns)
{
	if (!mean_ns)
		return 0;
	for (unsigned whole = 0; whole < TAIL_MAX; whole++) {
		uint64_t first = random_below(dice, 1 << 20), last = first;
		unsigned run = 1;

		for (uint64_t next; (next = random_below(dice, 1 << 20)) < last; run++)
			last = next;
		if (run % 2)
			return whole * mean_ns + mean_ns / 1024 * first / 1024;
	}
	return TAIL_MAX * mean_ns;
}

/* --- the wire --- */

static unsigned node_at(const struct faults *faults, const struct addr *addr)
{
	const struct fault_node *node = map_lookup(&faults->by_addr, addr);

	return node ? (unsigned)(node - faults->nodes) : NODE_NOBODY;
}

static bool is_cut_off(const struct faults *faults, const struct fault_node *from,
		       const struct fault_node *to, uint64_t now_ns)
{
	if ((from->is_cut && !to->is_outside) || (to->is_deaf && !from->is_outside))
		return true;
	if (now_ns >= faults->healed_ns || from->side == to->side)
		return false;
	/* One way: what side 1 sends is not heard. */
	return !faults->is_one_way || from->side;
}

static uint64_t fate(void *ctx, const struct addr *from_addr, const struct addr *to_addr,
		     uint64_t now_ns)
{
	struct faults *faults = ctx;
	unsigned from = node_at(faults, from_addr), to = node_at(faults, to_addr);
	uint64_t more_ns = exponential(&faults->dice, faults->drawn.tail_ns);
	bool is_healed;

	if (from == NODE_NOBODY || to == NODE_NOBODY)
		return 0;
	is_healed = faults->is_over && faults_is_core(faults, from) && faults_is_core(faults, to);
	if (is_healed)
		return 0;
	if (is_cut_off(faults, &faults->nodes[from], &faults->nodes[to], now_ns))
		return MEM_LOST;
	if (faults->is_over && random_below(&faults->dice, 1000) < faults->drawn.loss_per_1000)
		return MEM_LOST;
	for (unsigned i = 0; i < FAULTS_CLOG_CAP; i++)
		if (faults->clogs[i].until_ns > now_ns && faults->clogs[i].from == from &&
		    faults->clogs[i].to == to)
			more_ns += faults->clogs[i].until_ns - now_ns;
	return more_ns;
}

/* --- events --- */

/* due_draw spreads what is left of a kind over what is left of the time. */
static void due_draw(struct faults *faults, enum fault_kind kind, uint64_t now_ns)
{
	uint64_t end_ns = faults->begin_ns + faults->for_ns;

	faults->due_ns[kind] = UINT64_MAX;
	if (faults->left_cnt[kind] && now_ns < end_ns)
		faults->due_ns[kind] =
			now_ns +
			random_below(&faults->dice,
				     2 * (end_ns - now_ns) / (faults->left_cnt[kind] + 1) + 1);
}

static unsigned any_node(struct faults *faults)
{
	return (unsigned)random_below(&faults->dice, faults->node_cnt);
}

static bool crash_one(struct faults *faults, uint64_t now_ns)
{
	unsigned idx = any_node(faults);
	struct fault_node *node = &faults->nodes[idx];

	if (node->is_spared || !faults->ops->is_up(faults->ctx, idx))
		return false;
	faults->ops->crash(faults->ctx, idx);
	node->restart_ns = now_ns + NS_PER_MS + exponential(&faults->dice, faults->drawn.down_ns);
	return true;
}

static bool part(struct faults *faults, uint64_t now_ns)
{
	unsigned one = any_node(faults), cnt = faults->node_cnt;

	if (now_ns < faults->healed_ns)
		return false;
	for (unsigned i = 0; i < cnt; i++)
		faults->nodes[i].side =
			faults->cut == FAULT_CUT_RANDOM
				? (uint8_t)random_below(&faults->dice, 2)
				: (faults->cut == FAULT_CUT_ONE ? i == one
								: (i + one) % cnt < cnt / 2);
	faults->healed_ns =
		now_ns + NS_PER_S + exponential(&faults->dice, faults->drawn.partition_ns);
	return true;
}

static bool clog_one(struct faults *faults, uint64_t now_ns)
{
	for (unsigned i = 0; i < FAULTS_CLOG_CAP; i++) {
		if (faults->clogs[i].until_ns > now_ns)
			continue;
		faults->clogs[i].from = (uint8_t)any_node(faults);
		faults->clogs[i].to = (uint8_t)any_node(faults);
		faults->clogs[i].until_ns =
			now_ns + exponential(&faults->dice, faults->drawn.clog_ns);
		return true;
	}
	return false;
}

static bool pause_one(struct faults *faults, uint64_t now_ns)
{
	unsigned idx = any_node(faults);

	if (!faults->ops->pause || !faults->ops->is_up(faults->ctx, idx))
		return false;
	faults->ops->pause(faults->ctx, idx,
			   now_ns + exponential(&faults->dice, faults->drawn.pause_ns));
	return true;
}

static int64_t either_way(struct random *dice, uint64_t most)
{
	int64_t much = (int64_t)up_to(dice, most);

	return random_below(dice, 2) ? much : -much;
}

static void clock_set(struct faults *faults, unsigned idx, int64_t skew_s)
{
	faults->nodes[idx].skew_s = skew_s;
	faults->ops->set_clock(faults->ctx, idx, skew_s);
}

static bool jump(struct faults *faults, uint64_t now_ns)
{
	unsigned idx = any_node(faults);

	(void)now_ns;
	if (!faults->ops->set_clock)
		return false;
	clock_set(faults, idx, either_way(&faults->dice, faults->drawn.jump_s));
	return true;
}

static bool (*const events[FAULT_KIND_CNT])(struct faults *faults, uint64_t now_ns) = {
	[FAULT_CRASH] = crash_one, [FAULT_PARTITION] = part, [FAULT_CLOG] = clog_one,
	[FAULT_PAUSE] = pause_one, [FAULT_JUMP] = jump,
};

static void drift(struct faults *faults, uint64_t now_ns)
{
	uint64_t ran_s = (now_ns - faults->begin_ns) / NS_PER_S;

	faults->drifted_ns = now_ns + DRIFT_NS;
	for (unsigned i = 0; i < faults->node_cnt; i++) {
		const struct fault_node *node = &faults->nodes[i];
		int64_t drift_s = (int64_t)ran_s * node->drift_ppm / 1000000;

		if (drift_s)
			faults->ops->set_clock(faults->ctx, i, node->skew_s + drift_s);
	}
}

/* Those that crashed come back, some of them only to crash while they recover. */
static void restart(struct faults *faults, unsigned idx, uint64_t now_ns)
{
	struct fault_node *node = &faults->nodes[idx];

	if (!faults->ops->is_up(faults->ctx, idx)) {
		node->restart_ns = 0;
		faults->ops->start(faults->ctx, idx);
		if (random_below(&faults->dice, 1000) < faults->drawn.relapse_per_1000) {
			node->restart_ns = now_ns + up_to(&faults->dice, RELAPSE_NS);
			faults->relapse_cnt++;
		}
		return;
	}
	faults->ops->crash(faults->ctx, idx);
	node->restart_ns =
		now_ns + NS_PER_MS + exponential(&faults->dice, faults->drawn.down_ns / 2);
}

void faults_turn(struct faults *faults, uint64_t now_ns)
{
	if (faults->is_over)
		return;
	for (unsigned i = 0; i < faults->node_cnt; i++)
		if (faults->nodes[i].restart_ns && faults->nodes[i].restart_ns <= now_ns)
			restart(faults, i, now_ns);
	for (unsigned kind = 0; kind < FAULT_KIND_CNT; kind++) {
		if (faults->due_ns[kind] > now_ns)
			continue;
		faults->left_cnt[kind]--;
		faults->done_cnt[kind] += events[kind](faults, now_ns);
		due_draw(faults, (enum fault_kind)kind, now_ns);
	}
	if (now_ns >= faults->drifted_ns)
		drift(faults, now_ns);
}

uint64_t faults_next_ns(const struct faults *faults)
{
	uint64_t next_ns = faults->drifted_ns;

	if (faults->is_over)
		return UINT64_MAX;
	for (unsigned i = 0; i < faults->node_cnt; i++)
		if (faults->nodes[i].restart_ns && faults->nodes[i].restart_ns < next_ns)
			next_ns = faults->nodes[i].restart_ns;
	for (unsigned kind = 0; kind < FAULT_KIND_CNT; kind++)
		if (faults->due_ns[kind] < next_ns)
			next_ns = faults->due_ns[kind];
	return next_ns;
}

/* --- life --- */

static void draw(struct faults *faults, const struct fault_ranges *ranges)
{
	struct random *dice = &faults->dice;

	faults->drawn = (struct fault_ranges){
		.loss_per_1000 = (uint32_t)kind_of(dice, ranges->loss_per_1000),
		.duplicate_per_1000 = (uint32_t)kind_of(dice, ranges->duplicate_per_1000),
		.reorder_per_1000 = (uint32_t)kind_of(dice, ranges->reorder_per_1000),
		.delay_ns = up_to(dice, ranges->delay_ns),
		.tail_ns = kind_of(dice, ranges->tail_ns),
		.clog_ns = kind_of(dice, ranges->clog_ns),
		.partition_ns = kind_of(dice, ranges->partition_ns),
		.down_ns = up_to(dice, ranges->down_ns),
		.pause_ns = kind_of(dice, ranges->pause_ns),
		.relapse_per_1000 = (uint32_t)kind_of(dice, ranges->relapse_per_1000),
		.skew_s = kind_of(dice, ranges->skew_s),
		.jump_s = kind_of(dice, ranges->jump_s),
		.drift_ppm = (uint32_t)kind_of(dice, ranges->drift_ppm),
		.crash_cnt = (unsigned)kind_of(dice, ranges->crash_cnt),
		.event_cnt = ranges->event_cnt,
	};
	faults->cut = (enum fault_cut)random_below(dice, FAULT_CUT_CNT);
	faults->is_one_way = random_below(dice, 2);
	faults->left_cnt[FAULT_CRASH] = faults->drawn.crash_cnt;
	if (faults->drawn.partition_ns && faults->cut != FAULT_CUT_NONE)
		faults->left_cnt[FAULT_PARTITION] = (unsigned)up_to(dice, ranges->event_cnt);
	if (faults->drawn.clog_ns)
		faults->left_cnt[FAULT_CLOG] = (unsigned)up_to(dice, ranges->event_cnt);
	if (faults->drawn.pause_ns)
		faults->left_cnt[FAULT_PAUSE] = (unsigned)up_to(dice, ranges->event_cnt);
	if (faults->drawn.jump_s)
		faults->left_cnt[FAULT_JUMP] = (unsigned)up_to(dice, ranges->event_cnt);
}

void faults_begin(struct faults *faults, const struct fault_params *params)
{
	static const uint64_t secret[2] = {3, 4}; /* replay needs order, not secrecy */
	struct fault_ranges *drawn = &faults->drawn;

	memset(faults, 0, sizeof(*faults));
	random_init_seeded(&faults->dice, params->seed ^ 0xfa017);
	faults->net = params->net;
	faults->ops = params->ops;
	faults->ctx = params->ctx;
	faults->begin_ns = params->now_ns;
	faults->for_ns = params->for_ns;
	if (arena_open(&faults->arena, ARENA_GROWS) < 0 ||
	    map_init(&faults->by_addr, &faults->arena, sizeof(struct addr), FAULTS_NODE_CAP,
		     secret) < 0)
		abort();
	draw(faults, params->ranges);
	faults->link = (struct mem_link){
		.delay_ns = drawn->delay_ns,
		.loss_per_1000 = drawn->loss_per_1000,
		.duplicate_per_1000 = drawn->duplicate_per_1000,
		.reorder_per_1000 = drawn->reorder_per_1000,
	};
	net_mem_net_set_default_link(params->net, &faults->link);
	net_mem_net_set_fate(params->net, fate, faults);
	for (unsigned kind = 0; kind < FAULT_KIND_CNT; kind++)
		due_draw(faults, (enum fault_kind)kind, params->now_ns);
	faults->drifted_ns =
		drawn->drift_ppm && params->ops->set_clock ? params->now_ns + DRIFT_NS : UINT64_MAX;
}

void faults_add(struct faults *faults, const struct addr *addr, bool is_spared)
{
	unsigned idx = faults->node_cnt++;
	struct fault_node *node = &faults->nodes[idx];

	if (idx == FAULTS_NODE_CAP)
		abort();
	node->addr = *addr;
	node->is_spared = is_spared;
	if (map_put(&faults->by_addr, &node->addr, node) < 0)
		abort();
	if (!faults->ops->set_clock)
		return;
	node->drift_ppm = (int32_t)either_way(&faults->dice, faults->drawn.drift_ppm);
	clock_set(faults, idx, either_way(&faults->dice, faults->drawn.skew_s));
}

void faults_fini(struct faults *faults)
{
	net_mem_net_set_fate(faults->net, NULL, NULL);
	arena_close(&faults->arena);
}

/*
 * A fault of a node outside the core stays: it is down, or the core does not hear it, or not well.
 */
static void outsider_leave(struct faults *faults, unsigned idx)
{
	struct fault_node *node = &faults->nodes[idx];

	node->restart_ns = 0;
	node->is_cut = random_below(&faults->dice, 2);
	node->is_deaf = random_below(&faults->dice, 2);
	if (random_below(&faults->dice, 3) == 0 && faults->ops->is_up(faults->ctx, idx))
		faults->ops->crash(faults->ctx, idx);
}

static void insider_heal(struct faults *faults, unsigned idx, uint64_t now_ns)
{
	struct fault_node *node = &faults->nodes[idx];

	node->restart_ns = 0;
	node->drift_ppm = 0;
	if (faults->ops->pause && faults->ops->is_up(faults->ctx, idx))
		faults->ops->pause(faults->ctx, idx, now_ns);
	if (faults->ops->set_clock)
		clock_set(faults, idx, 0);
	if (!faults->ops->is_up(faults->ctx, idx))
		faults->ops->start(faults->ctx, idx);
}

unsigned faults_stop(struct faults *faults, unsigned core_min, uint64_t now_ns)
{
	static const struct mem_link well = {.delay_ns = 20 * NS_PER_MS};
	unsigned core_cnt = faults->node_cnt, out_cnt;

	faults->is_over = true;
	faults->healed_ns = now_ns;
	out_cnt = core_min < core_cnt ? (unsigned)up_to(&faults->dice, core_cnt - core_min) : 0;
	for (unsigned tries = 0; out_cnt && tries < 100 * FAULTS_NODE_CAP; tries++) {
		struct fault_node *node = &faults->nodes[any_node(faults)];

		if (node->is_spared || node->is_outside)
			continue;
		node->is_outside = true;
		out_cnt--;
		core_cnt--;
	}
	/* Its losses are fate's from now on, for the outsiders alone. */
	net_mem_net_set_default_link(faults->net, &well);
	for (unsigned i = 0; i < faults->node_cnt; i++)
		if (faults->nodes[i].is_outside)
			outsider_leave(faults, i);
	for (unsigned i = 0; i < faults->node_cnt; i++)
		if (!faults->nodes[i].is_outside)
			insider_heal(faults, i, now_ns);
	return core_cnt;
}

bool faults_is_core(const struct faults *faults, unsigned node)
{
	return !faults->nodes[node].is_outside;
}

void faults_report(const struct faults *faults)
{
	const struct fault_ranges *drawn = &faults->drawn;

	printf("# faults: loss %u, doubled %u, reordered %u of 1000; delay %llu ms and %llu"
	       " more on average\n",
	       drawn->loss_per_1000, drawn->duplicate_per_1000, drawn->reorder_per_1000,
	       drawn->delay_ns / NS_PER_MS, drawn->tail_ns / NS_PER_MS);
	printf("# faults: %u crashes, %u more in recovery, down %llu"
	       " s; %u partitions of %s%s, %llu s; %u clogs, %llu"
	       " s; %u pauses, %llu ms\n",
	       faults->done_cnt[FAULT_CRASH], faults->relapse_cnt, drawn->down_ns / NS_PER_S,
	       faults->done_cnt[FAULT_PARTITION], cut_names[faults->cut],
	       faults->is_one_way ? ", one way" : "", drawn->partition_ns / NS_PER_S,
	       faults->done_cnt[FAULT_CLOG], drawn->clog_ns / NS_PER_S,
	       faults->done_cnt[FAULT_PAUSE], drawn->pause_ns / NS_PER_MS);
	printf("# faults: clocks off by %llu s, %u jumps of %llu"
	       " s, drift %u ppm, at most\n",
	       (unsigned long long)drawn->skew_s, faults->done_cnt[FAULT_JUMP],
	       (unsigned long long)drawn->jump_s, drawn->drift_ppm);
}
