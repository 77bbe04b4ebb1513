/* SPDX-License-Identifier: Apache-2.0 */
#include "arrivals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sketch.h"

#define PLACES_PER_TABLE ((size_t)WEFT_CLASS_CNT * WEFT_LEVEL_CNT * WEFT_PLACE_CNT)

struct arrivals_seen {
	uint32_t offered_cnt, refused_cnt;
};

size_t firewall_arrivals_footprint(unsigned table_cnt)
{
	return table_cnt * PLACES_PER_TABLE * sizeof(struct arrivals_seen);
}

int firewall_arrivals_open(struct arrivals *arrivals, unsigned table_cnt, struct sketch *sketch)
{
	*arrivals = (struct arrivals){.sketch = sketch, .table_cnt = table_cnt};
	arrivals->seen = calloc(table_cnt, PLACES_PER_TABLE * sizeof(arrivals->seen[0]));
	return arrivals->seen ? 0 : -ENOMEM;
}

void firewall_arrivals_close(struct arrivals *arrivals)
{
	free(arrivals->seen);
	arrivals->seen = NULL;
}

void firewall_arrivals_forget(struct arrivals *arrivals, unsigned table)
{
	memset(arrivals->seen + table * PLACES_PER_TABLE, 0,
	       PLACES_PER_TABLE * sizeof(arrivals->seen[0]));
}

void firewall_arrivals_begin(struct arrivals *arrivals)
{
	for (unsigned class = 0; class < WEFT_CLASS_CNT; class ++) {
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++) {
			struct arrivals_credit *credits = arrivals->limits[class][level].credits;

			credits[1] = credits[0];
			credits[0] = (struct arrivals_credit){0};
		}
	}
}

static bool is_emptier(const struct arrivals_credit *a, const struct arrivals_credit *b)
{
	return a->max_ns && (!b->max_ns || a->left_ns < b->left_ns);
}

struct arrivals_credit firewall_arrivals_credit(const struct arrivals_limit *limit)
{
	return limit->credits[is_emptier(&limit->credits[1], &limit->credits[0])];
}

/* As it would be asked now. */
static uint64_t credit_now(const struct weft_bucket *bucket, const struct weft_bucket_rate *rate,
			   uint64_t now_ns)
{
	uint64_t earned_ns = now_ns > bucket->filled_at_ns ? now_ns - bucket->filled_at_ns : 0;

	if (bucket->credit_ns >= rate->credit_max_ns ||
	    earned_ns >= rate->credit_max_ns - bucket->credit_ns)
		return rate->credit_max_ns;
	return bucket->credit_ns + earned_ns;
}

static void limit_note(struct arrivals_limit *limit, const struct weft_place *place,
		       const struct arrivals_seen *grown, const struct weft_bucket_rate *rate,
		       uint64_t now_ns)
{
	const struct arrivals_credit credit = {credit_now(&place->bucket, rate, now_ns),
					       rate->credit_max_ns};

	limit->offered_cnt += grown->offered_cnt;
	limit->refused_cnt += grown->refused_cnt;
	if (grown->refused_cnt)
		limit->refused_at_ns = now_ns;
	if (is_emptier(&credit, &limit->credits[0]))
		limit->credits[0] = credit;
}

void firewall_arrivals_read(struct arrivals *arrivals, const struct arrivals_block *block,
			    uint64_t now_ns)
{
	struct arrivals_limit *limit = &arrivals->limits[block->class][block->level];
	struct arrivals_seen *seen =
		arrivals->seen + block->table * PLACES_PER_TABLE +
		((size_t)block->class * WEFT_LEVEL_CNT + block->level) * WEFT_PLACE_CNT +
		block->first;

	for (uint32_t i = 0; i < block->cnt; i++) {
		const struct weft_place *place = &block->places[i];
		struct arrivals_seen grown = {place->offered_cnt - seen[i].offered_cnt,
					      place->refused_cnt - seen[i].refused_cnt};
		struct sketch_source source = {
			.prefix = place->prefix,
			.table = (uint8_t)block->limits_table,
			.class = (uint8_t)block->class,
			.level = (uint8_t)block->level,
		};

		if (!grown.offered_cnt)
			continue;
		seen[i] = (struct arrivals_seen){place->offered_cnt, place->refused_cnt};
		limit_note(limit, place, &grown, &block->rate, now_ns);
		firewall_sketch_tell(arrivals->sketch, &source, grown.offered_cnt,
				     block->rate.cost_ns);
	}
}

#define CLASS_REASON_MAX 5

/* The results of each class's datagrams, beside those of proven addresses. */
static const enum weft_reason class_reasons[WEFT_CLASS_CNT][CLASS_REASON_MAX] = {
	[WEFT_CLASS_INITIAL] = {WEFT_REASON_INITIAL, WEFT_REASON_INITIAL_LIMIT,
				WEFT_REASON_RETRY_SENT, WEFT_REASON_ANSWER_LIMIT},
	[WEFT_CLASS_KRPC] = {WEFT_REASON_KRPC, WEFT_REASON_KRPC_LIMIT, WEFT_REASON_KRPC_SENT,
			     WEFT_REASON_KRPC_SENDER, WEFT_REASON_KRPC_BUDGET},
	[WEFT_CLASS_STUN] = {WEFT_REASON_STUN, WEFT_REASON_STUN_LIMIT, WEFT_REASON_STUN_SENT,
			     WEFT_REASON_STUN_FLOOD, WEFT_REASON_STUN_BUDGET},
	[WEFT_CLASS_PROBE] = {WEFT_REASON_PROBE, WEFT_REASON_PROBE_LIMIT},
};

/* 0 stands for no reason, and is one that counts no unvalidated source. */
uint64_t firewall_arrivals_class_cnt(const struct weft_counter *counters, enum weft_class class)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CLASS_REASON_MAX && class_reasons[class][i]; i++)
		sum += counters[class_reasons[class][i]].packet_cnt;
	return sum;
}
