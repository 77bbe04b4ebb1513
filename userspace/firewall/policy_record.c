/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_record.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "firewall.h"
#include "ingress.h"
#include "net/xdp/xdp.h"
#include "pressure.h"

#define TICK_NS NS_PER_S
#define HOME	0 /* the worker whose tables are read here */

/* The first tables are those of the workers' sockets, by index, the others the driver's, by CPU. */
static unsigned table_of_cpu(unsigned worker_cnt, unsigned cpu)
{
	return worker_cnt + cpu < ARRIVALS_TABLE_MAX ? worker_cnt + cpu : ARRIVALS_TABLE_MAX - 1;
}

size_t firewall_record_footprint(unsigned worker_cnt, unsigned cpu_cnt)
{
	return sizeof(struct sketch) +
	       firewall_arrivals_footprint(table_of_cpu(worker_cnt, cpu_cnt - 1) + 1);
}

static struct xdp *xdp_of(const struct record *record)
{
	return record->params->xdp(record->params->ctx);
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

static void driver_read(struct reading *reading, const struct xdp_places *places)
{
	const struct firewall_params *params = reading->record->params;
	const struct arrivals_block block = {
		.table = table_of_cpu(params->worker_cnt, places->cpu),
		.limits_table = table_of_cpu(params->worker_cnt, 0),
		.level = places->level,
		.class = reading->class,
		.first = places->first,
		.cnt = WEFT_PLACE_BLOCK_CNT,
		.places = places->places,
		.rate = rate_in_force(params->policy, reading->class, places->level),
	};

	firewall_arrivals_read(&reading->record->arrivals, &block, reading->now_ns);
}

static void home_read(struct reading *reading)
{
	const struct firewall_params *params = reading->record->params;

	for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++) {
		const struct arrivals_block block = {
			.table = HOME,
			.limits_table = HOME,
			.level = level,
			.class = reading->class,
			.cnt = WEFT_PLACE_CNT,
			.places = firewall_ingress_places(params->ingress, reading->class, level),
			.rate = rate_in_force(params->part, reading->class, level),
		};

		firewall_arrivals_read(&reading->record->arrivals, &block, reading->now_ns);
	}
}

/* The driver's counts began anew. */
static void generation_check(struct record *record)
{
	uint64_t generation = net_xdp_tables_generation(xdp_of(record));

	if (generation == record->generation)
		return;
	record->generation = generation;
	for (unsigned table = record->params->worker_cnt; table < record->arrivals.table_cnt;
	     table++)
		firewall_arrivals_forget(&record->arrivals, table);
}

static void classes_read(struct record *record, uint64_t now_ns)
{
	const struct firewall_params *params = record->params;
	struct weft_counter counters[WEFT_REASON_CNT];

	params->counters(params->ctx, counters);
	for (unsigned i = 0; i < WEFT_CLASS_CNT; i++) {
		struct reading reading = {record, i, now_ns};
		struct xdp_places places = {.class = i};
		uint64_t cnt = firewall_arrivals_class_cnt(counters, i);

		if (cnt == record->class_cnts[i])
			continue;
		record->class_cnts[i] = cnt;
		home_read(&reading);
		while (net_xdp_places_next(xdp_of(record), &places))
			driver_read(&reading, &places);
	}
}

static void second_tell(struct record *record, uint64_t now_ns)
{
	const struct firewall_params *params = record->params;
	uint64_t unvalidated_cnt = params->pressure->unvalidated_cnt;
	uint64_t grown = unvalidated_cnt - record->unvalidated_cnt;
	uint64_t half_open_cnt = params->pressure->half_open_cnt;
	const struct sketch_second second = {
		.unvalidated_cnt = unvalidated_cnt < record->unvalidated_cnt || grown > UINT32_MAX
					   ? 0
					   : (uint32_t)grown,
		.half_open_cnt = half_open_cnt > UINT32_MAX ? UINT32_MAX : (uint32_t)half_open_cnt,
		.mode = (uint8_t)params->policy->mode,
	};

	record->unvalidated_cnt = unvalidated_cnt;
	firewall_sketch_tell_second(record->sketch, &second, now_ns);
}

void firewall_record_refresh(struct record *record)
{
	generation_check(record);
	classes_read(record, *record->params->now_ns);
}

void firewall_record_take(struct record *record, unsigned worker_idx,
			  const struct arrivals_changes *changes)
{
	const struct firewall_params *params = record->params;

	for (unsigned i = 0; i < changes->cnt; i++) {
		const struct arrivals_block block = {
			.table = worker_idx,
			.limits_table = worker_idx,
			.level = changes->level,
			.class = changes->class,
			.first = changes->changes[i].idx,
			.cnt = 1,
			.places = &changes->changes[i].place,
			.rate = rate_in_force(params->part, changes->class, changes->level),
		};

		firewall_arrivals_read(&record->arrivals, &block, *params->now_ns);
	}
}

/* The workers reports in the middle of a second, so that what is a second apart is in two. */
static uint64_t next_tick_ns(uint64_t now_ns)
{
	return now_ns - now_ns % TICK_NS + TICK_NS;
}

/* The counts read now are of the second that ends. */
static void timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct record *record = container_of(timer, struct record, timer);

	generation_check(record);
	second_tell(record, now_ns);
	firewall_arrivals_begin(&record->arrivals);
	classes_read(record, now_ns);
	timer_set(record->params->timers, timer, next_tick_ns(now_ns));
}

int firewall_record_open(struct record *record, const struct firewall_params *params)
{
	unsigned table_cnt = table_of_cpu(params->worker_cnt, net_xdp_cpu_cnt() - 1) + 1;
	int err;

	record->sketch = calloc(1, sizeof(*record->sketch));
	if (!record->sketch)
		return -ENOMEM;
	err = firewall_arrivals_open(&record->arrivals, table_cnt, record->sketch);
	if (err < 0) {
		free(record->sketch);
		record->sketch = NULL;
		return err;
	}
	record->params = params;
	record->generation = net_xdp_tables_generation(xdp_of(record));
	timer_init(&record->timer, timer_fire);
	timer_set(params->timers, &record->timer, next_tick_ns(*params->now_ns));
	return 0;
}

void firewall_record_close(struct record *record)
{
	if (!record->params)
		return;
	timer_cancel(record->params->timers, &record->timer);
	firewall_arrivals_close(&record->arrivals);
	free(record->sketch);
	record->params = NULL;
}
