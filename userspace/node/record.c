/* SPDX-License-Identifier: Apache-2.0 */
#include "node/record.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "node/gate.h"
#include "node/node_state.h"

#define TICK_NS NS_PER_S

/* The first table is that of home's sockets, the others are the driver's, one for each CPU. */
#define TABLE_HOME 0

static unsigned table_of_cpu(unsigned cpu)
{
	return cpu + 1 < ARRIVALS_TABLE_MAX ? cpu + 1 : ARRIVALS_TABLE_MAX - 1;
}

size_t record_footprint(unsigned cpu_cnt)
{
	return sizeof(struct sketch) + arrivals_footprint(table_of_cpu(cpu_cnt - 1) + 1);
}

#define CLASS_REASON_MAX 5

/* What each class's datagrams leave with, beside what is said of proven addresses. */
static const enum weft_reason class_reasons[WEFT_CLASS_CNT][CLASS_REASON_MAX] = {
	[WEFT_CLASS_INITIAL] = {WEFT_REASON_INITIAL, WEFT_REASON_INITIAL_LIMIT, WEFT_REASON_KNOWN},
	[WEFT_CLASS_NEW_PATH] = {WEFT_REASON_NEW_PATH, WEFT_REASON_REPLAYED_ID},
	[WEFT_CLASS_KRPC] = {WEFT_REASON_KRPC, WEFT_REASON_KRPC_LIMIT, WEFT_REASON_KRPC_SENT,
			     WEFT_REASON_KRPC_SENDER, WEFT_REASON_KRPC_BUDGET},
	[WEFT_CLASS_STUN] = {WEFT_REASON_STUN, WEFT_REASON_STUN_LIMIT},
	[WEFT_CLASS_PROBE] = {WEFT_REASON_PROBE, WEFT_REASON_PROBE_LIMIT},
	[WEFT_CLASS_ANSWER] = {WEFT_REASON_VERSION_SENT, WEFT_REASON_RETRY_SENT,
			       WEFT_REASON_ANSWER_LIMIT},
};

/* What was counted of class; 0 stands for no reason, and is one that counts no stranger. */
static uint64_t class_cnt(const struct weft_counter *counters, enum weft_class class)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CLASS_REASON_MAX && class_reasons[class][i]; i++)
		sum += counters[class_reasons[class][i]].packet_cnt;
	return sum;
}

static struct weft_bucket_rate rate_in_force(const struct weft_config *config,
					     enum weft_class class, unsigned level)
{
	struct weft_bucket_rate rate = config->rates[class][level];

	if (config->mode == WEFT_MODE_FLOOD)
		rate.cost_ns <<= config->flood_shift;
	return rate;
}

struct reading {
	struct record *record;
	enum weft_class class;
	uint64_t now_ns;
};

static void driver_read(void *ctx, const struct xdp_places *places)
{
	struct reading *reading = ctx;
	const struct weft_config *policy = &reading->record->node->fastpath.policy;
	const struct arrivals_block block = {
		.table = table_of_cpu(places->cpu),
		.level = places->level,
		.class = reading->class,
		.first = places->first,
		.cnt = WEFT_PLACE_BLOCK_CNT,
		.places = places->places,
		.rate = rate_in_force(policy, reading->class, places->level),
	};

	arrivals_read(&reading->record->arrivals, &block, reading->now_ns);
}

static void home_read(struct reading *reading)
{
	struct node *node = reading->record->node;

	for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++) {
		const struct arrivals_block block = {
			.table = TABLE_HOME,
			.level = level,
			.class = reading->class,
			.cnt = WEFT_PLACE_CNT,
			.places = gate_places(node->home.gate, reading->class, level),
			.rate = rate_in_force(&node->fastpath.part, reading->class, level),
		};

		arrivals_read(&reading->record->arrivals, &block, reading->now_ns);
	}
}

/* The driver's counts began anew. */
static void generation_check(struct record *record)
{
	struct node *node = record->node;
	uint64_t generation = xdp_tables_generation(node->fastpath.xdp);

	if (generation == record->generation)
		return;
	record->generation = generation;
	for (unsigned table = TABLE_HOME + 1; table < record->arrivals.table_cnt; table++)
		arrivals_forget(&record->arrivals, table);
}

static void classes_read(struct record *record, uint64_t now_ns)
{
	struct node *node = record->node;
	struct weft_counter counters[WEFT_REASON_CNT];

	fastpath_counters(&node->fastpath, counters);
	for (unsigned i = 0; i < WEFT_CLASS_CNT; i++) {
		struct reading reading = {record, i, now_ns};
		uint64_t cnt = class_cnt(counters, i);

		arrivals_begin(&record->arrivals, i);
		if (cnt == record->class_cnts[i])
			continue;
		record->class_cnts[i] = cnt;
		home_read(&reading);
		xdp_places_each(node->fastpath.xdp, i, driver_read, &reading);
	}
}

static void second_tell(struct record *record, uint64_t now_ns)
{
	const struct fastpath *fastpath = &record->node->fastpath;
	uint64_t stranger_cnt = fastpath->pressure.stranger_cnt;
	uint64_t grown = stranger_cnt - record->stranger_cnt;
	const struct sketch_second second = {
		.stranger_cnt = stranger_cnt < record->stranger_cnt || grown > UINT32_MAX
					? 0
					: (uint32_t)grown,
		.handshake_cnt = fastpath->pressure.handshake_cnt,
		.mode = (uint8_t)fastpath->policy.mode,
	};

	record->stranger_cnt = stranger_cnt;
	sketch_tell_second(record->sketch, &second, now_ns);
}

void record_refresh(struct record *record)
{
	generation_check(record);
	classes_read(record, record->node->home.now_ns);
}

/* What is read now was sent in the second that ends. */
static void timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct record *record = (struct record *)((char *)timer - offsetof(struct record, timer));

	generation_check(record);
	second_tell(record, now_ns);
	classes_read(record, now_ns);
	timer_set(&record->node->home.timers, timer, now_ns + TICK_NS);
}

int record_open(struct record *record, struct node *node)
{
	unsigned cpu_cnt = xdp_cpu_cnt();
	int err;

	record->sketch = calloc(1, sizeof(*record->sketch));
	if (!record->sketch)
		return -ENOMEM;
	err = arrivals_open(&record->arrivals, table_of_cpu(cpu_cnt - 1) + 1, record->sketch);
	if (err < 0) {
		free(record->sketch);
		record->sketch = NULL;
		return err;
	}
	record->node = node;
	record->generation = xdp_tables_generation(node->fastpath.xdp);
	timer_init(&record->timer, timer_fire);
	timer_set(&node->home.timers, &record->timer, node->home.now_ns + TICK_NS);
	return 0;
}

void record_close(struct record *record)
{
	if (!record->node)
		return;
	timer_cancel(&record->node->home.timers, &record->timer);
	arrivals_close(&record->arrivals);
	free(record->sketch);
	record->node = NULL;
}
