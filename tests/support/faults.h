/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_FAULTS_H
#define WEFT_TESTS_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory/arena.h"
#include "base/map.h"
#include "base/random.h"
#include "net/mem.h"

/*
 * The faults of a run, as its seed draws them: links that lose, double, delay and reorder, or are
 * clogged. Also partitions, crashes with restarts, pauses, and clocks that are off. A drawn value
 * lies between nothing and its range. A quarter of the kinds are left out, so that some seeds have
 * one kind alone. After faults_stop a core of the nodes is well for good, and what was wrong with
 * the others stays (docs/simulator.md).
 *
 * The owner asks faults_next_ns and calls faults_turn; nothing here reads a clock.
 */
#define FAULTS_NODE_CAP 256
#define FAULTS_CLOG_CAP 64

/* The most that a seed draws. Zeros leave a kind out. */
struct fault_ranges {
	uint32_t loss_per_1000, duplicate_per_1000, reorder_per_1000;
	uint64_t delay_ns, tail_ns;    /* of a link at least, and the mean of what comes on top */
	uint64_t clog_ns;	       /* mean of how long one keeps all that is sent */
	uint64_t partition_ns;	       /* and of how long a partition is kept */
	uint64_t down_ns, pause_ns;    /* of a node that crashed, or does nothing */
	uint32_t relapse_per_1000;     /* restarts that end in another crash within a second */
	uint64_t skew_s, jump_s;       /* clocks that are off from the start, and that are set */
	uint32_t drift_ppm;	       /* clocks that are too fast or slow */
	unsigned crash_cnt, event_cnt; /* crashes, and of the other kinds each, in all */
};
/* As wide as those of TigerBeetle's VOPR, where it has the kind. */
extern const struct fault_ranges fault_ranges_wide;

/* What the nodes are; the owner's. A function that is NULL leaves its kind out. */
struct fault_ops {
	bool (*is_up)(void *ctx, unsigned node);
	void (*crash)(void *ctx, unsigned node);
	void (*start)(void *ctx, unsigned node);
	void (*pause)(void *ctx, unsigned node, uint64_t until_ns);
	void (*set_clock)(void *ctx, unsigned node, int64_t skew_s);
};

enum fault_cut { FAULT_CUT_NONE, FAULT_CUT_ONE, FAULT_CUT_HALF, FAULT_CUT_RANDOM, FAULT_CUT_CNT };

enum fault_kind {
	FAULT_CRASH,
	FAULT_PARTITION,
	FAULT_CLOG,
	FAULT_PAUSE,
	FAULT_JUMP,
	FAULT_KIND_CNT,
};

struct fault_node {
	struct addr addr;
	bool is_spared;	 /* it does not crash by itself */
	bool is_outside; /* of the core; after faults_stop */
	bool is_cut,
		is_deaf;     /* an outsider that the core does not hear, or that does not hear it */
	uint8_t side;	     /* in a partition */
	uint64_t restart_ns; /* 0: it is not down by a fault of this run */
	int64_t skew_s;	     /* with what it was set to */
	int32_t drift_ppm;
};

struct faults {
	struct random dice;
	struct mem_net *net;
	const struct fault_ops *ops;
	void *ctx;
	struct arena arena;
	struct map by_addr;
	struct fault_node nodes[FAULTS_NODE_CAP];
	unsigned node_cnt;
	struct fault_ranges drawn;
	struct mem_link link;
	enum fault_cut cut;
	bool is_one_way, is_over;
	uint64_t begin_ns, for_ns;
	uint64_t due_ns[FAULT_KIND_CNT]; /* of the next; UINT64_MAX: no more */
	unsigned left_cnt[FAULT_KIND_CNT], done_cnt[FAULT_KIND_CNT];
	unsigned relapse_cnt;
	uint64_t healed_ns, drifted_ns; /* when the partition ends, and when clocks drift on */
	struct {
		uint8_t from, to;
		uint64_t until_ns;
	} clogs[FAULTS_CLOG_CAP];
};

struct fault_params {
	uint64_t seed;
	const struct fault_ranges *ranges;
	struct mem_net *net;
	const struct fault_ops *ops;
	void *ctx;
	uint64_t for_ns, now_ns;
};
/*
 * faults_begin draws what goes wrong within for_ns from now_ns, and gives the network its link. The
 * owner adds nodes by faults_add, all that are to take part, in order of their number.
 */
void faults_begin(struct faults *faults, const struct fault_params *params);
void faults_add(struct faults *faults, const struct addr *addr, bool is_spared);
void faults_fini(struct faults *faults);
/* faults_turn does what is due; faults_next_ns: when that is next. */
void faults_turn(struct faults *faults, uint64_t now_ns);
uint64_t faults_next_ns(const struct faults *faults);
/*
 * faults_stop chooses a core of at least core_min nodes, with the spared ones among them. It heals
 * and starts them all, and makes the faults of the others permanent. Returns the number of nodes in
 * the core.
 */
unsigned faults_stop(struct faults *faults, unsigned core_min, uint64_t now_ns);
/* faults_is_core: after faults_stop. */
bool faults_is_core(const struct faults *faults, unsigned node);
/* faults_report prints, as a TAP comment, what was drawn and what came of it. */
void faults_report(const struct faults *faults);

#endif
