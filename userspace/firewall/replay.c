/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Minute by minute, second by second, level by level: what level 0 admits
 * is offered to level 1. A network whose own row is missing is reckoned
 * from those of its sources that have one.
 */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"

#define ROW_MAX (WEFT_LEVEL_CNT * SKETCH_ROW_CNT)

/* A prefix in a minute under both sets of limits. */
struct row {
	struct sketch_source source;
	const uint8_t *cnts; /* NULL: no row of the sketch, reckoned from its parts */
	int parent;	     /* its network's row, or -1 */
	struct weft_bucket before, after;
	/* The second at hand: the load offered to the rows below, and the part admitted. */
	uint32_t below_cnt, below_before_cnt, below_after_cnt;
	uint64_t newly_refused_cnt, newly_admitted_cnt;
};

struct minute {
	uint64_t number; /* 0: none */
	unsigned row_cnt;
	struct row rows[ROW_MAX];
};

struct replay {
	const struct replay_params *params;
	struct replay_result *result;
	struct minute minutes[2]; /* the one at hand and the one before, in turns */
	struct pressure pressure; /* under the limits after */
	uint64_t unvalidated_cnt;
	bool is_mode_replayed;
	struct replay_source *sources; /* one for each row that changed, merged at last */
	size_t source_cnt;
	struct replay_period period; /* that goes on; from_minute 0: none */
};

uint32_t firewall_replay_take(struct weft_bucket *bucket, const struct weft_bucket_rate *rate,
			      uint32_t cnt, uint64_t at_ns)
{
	uint64_t idle_ns = at_ns > bucket->filled_at_ns ? at_ns - bucket->filled_at_ns : 0;
	uint64_t room_ns = rate->credit_max_ns > bucket->credit_ns
				   ? rate->credit_max_ns - bucket->credit_ns
				   : 0;
	uint64_t credit_ns = bucket->credit_ns + (idle_ns < room_ns ? idle_ns : room_ns);
	uint64_t wanted_ns = cnt * rate->cost_ns, taken_ns;
	uint64_t admitted_cnt = cnt;

	if (!cnt)
		return 0; /* earns when it is asked the next time */
	credit_ns += NS_PER_S;
	if (wanted_ns > credit_ns)
		admitted_cnt = credit_ns / rate->cost_ns;
	/* The last one comes at the second's end, after which credit is capped again. */
	taken_ns = admitted_cnt * rate->cost_ns;
	bucket->credit_ns = credit_ns - taken_ns;
	if (bucket->credit_ns + rate->cost_ns > rate->credit_max_ns)
		bucket->credit_ns = rate->credit_max_ns > rate->cost_ns
					    ? rate->credit_max_ns - rate->cost_ns
					    : 0;
	bucket->filled_at_ns = at_ns + NS_PER_S;
	/* Nothing is ever admitted beyond the burst at once. */
	return rate->cost_ns > rate->credit_max_ns ? 0 : (uint32_t)admitted_cnt;
}

static struct row *row_find(struct minute *minute, const struct sketch_source *source)
{
	for (unsigned i = 0; i < minute->row_cnt; i++)
		if (firewall_sketch_source_equal(&minute->rows[i].source, source))
			return &minute->rows[i];
	return NULL;
}

static bool is_ipv4(uint64_t prefix)
{
	return prefix >> 32 == UINT32_MAX;
}

static unsigned level_cnt_of(uint64_t prefix)
{
	return is_ipv4(prefix) ? 2 : WEFT_LEVEL_CNT;
}

/* A source that was silent for a minute has a full bucket: a zeroed one is. */
static struct row *row_add(struct minute *minute, struct minute *last,
			   const struct sketch_source *source, const uint8_t *cnts)
{
	struct row *row = &minute->rows[minute->row_cnt++];
	const struct row *before =
		last->number + 1 == minute->number ? row_find(last, source) : NULL;

	*row = (struct row){.source = *source, .cnts = cnts, .parent = -1};
	if (before) {
		row->before = before->before;
		row->after = before->after;
	}
	return row;
}

static void parent_find(struct minute *minute, struct minute *last, unsigned i)
{
	struct sketch_source source = minute->rows[i].source;
	struct row *parent;

	if (++source.level >= level_cnt_of(source.prefix))
		return;
	source.prefix = source.prefix >> 8 * source.level << 8 * source.level;
	parent = row_find(minute, &source);
	if (!parent && minute->row_cnt < ROW_MAX)
		parent = row_add(minute, last, &source, NULL);
	if (parent)
		minute->rows[i].parent = (int)(parent - minute->rows);
}

static void minute_lay_out(struct minute *minute, struct minute *last,
			   const struct sketch_slot *slot)
{
	minute->number = slot->minute;
	minute->row_cnt = 0;
	for (unsigned i = 0; i < slot->row_cnt; i++)
		row_add(minute, last, &slot->rows[i].source, slot->rows[i].cnts);
	/* Networks are added at the end, and their own networks after them. */
	for (unsigned i = 0; i < minute->row_cnt; i++)
		parent_find(minute, last, i);
}

/*
 * An Initial beyond its rate is asked for a Retry; a DHT datagram of a
 * unvalidated source is dropped in mode flood.
 */
static struct weft_bucket_rate rate_of(const struct replay_limits *limits,
				       const struct sketch_source *source, enum weft_mode mode,
				       enum weft_mode recorded)
{
	unsigned class = source->class;
	struct weft_bucket_rate rate;

	rate = source->table < limits->worker_cnt ? limits->worker_rates[class][source->level]
						  : limits->rates[class][source->level];
	if (mode == WEFT_MODE_FLOOD)
		rate.cost_ns <<= limits->flood_shift;
	if (class == WEFT_CLASS_KRPC && mode == WEFT_MODE_FLOOD && mode != recorded)
		rate.credit_max_ns = 0;
	return rate;
}

struct second {
	uint64_t at_ns;
	unsigned idx;
	enum weft_mode recorded, after;
};

static void class_note(struct replay *replay, struct row *row, uint32_t offered_cnt,
		       uint32_t refused_before, uint32_t refused_after)
{
	struct replay_class *class = &replay->result->classes[row->source.class];
	uint64_t more = refused_after > refused_before ? refused_after - refused_before : 0;
	uint64_t less = refused_before > refused_after ? refused_before - refused_after : 0;

	class->refused_before_cnt += refused_before;
	class->refused_after_cnt += refused_after;
	class->newly_refused_cnt += more;
	class->newly_admitted_cnt += less;
	row->newly_refused_cnt += more;
	row->newly_admitted_cnt += less;
	if (more || less)
		class->unsure_cnt += (uint64_t)offered_cnt * SKETCH_ERROR_PERCENT / 100 + 1;
}

/*
 * The datagrams of a network from sources without a row. The record counts all that level 0
 * admitted then. Within the record's error there were no other sources.
 */
static uint32_t others_cnt(const struct row *row, uint32_t recorded_cnt)
{
	uint32_t known_cnt = row->below_cnt + row->below_cnt * SKETCH_ERROR_PERCENT / 100;

	return recorded_cnt > known_cnt ? recorded_cnt - row->below_cnt : 0;
}

static void row_second(struct replay *replay, struct minute *minute, struct row *row,
		       const struct second *second)
{
	const struct replay_params *params = replay->params;
	struct weft_bucket_rate before =
		rate_of(&params->before, &row->source, second->recorded, second->recorded);
	struct weft_bucket_rate after =
		rate_of(&params->after, &row->source, second->after, second->recorded);
	uint32_t recorded_cnt = row->cnts ? firewall_sketch_cnt_of(row->cnts[second->idx]) : 0;
	uint32_t more_cnt = row->source.level ? others_cnt(row, recorded_cnt) : recorded_cnt;
	uint32_t offered_before = row->below_before_cnt + more_cnt;
	uint32_t offered_after = row->below_after_cnt + more_cnt;
	uint32_t admitted_before =
		firewall_replay_take(&row->before, &before, offered_before, second->at_ns);
	uint32_t admitted_after =
		firewall_replay_take(&row->after, &after, offered_after, second->at_ns);
	struct row *parent = row->parent < 0 ? NULL : &minute->rows[row->parent];

	class_note(replay, row, offered_before, offered_before - admitted_before,
		   offered_after - admitted_after);
	if (row->source.level == 0)
		replay->result->classes[row->source.class].offered_cnt += offered_before;
	row->below_cnt = row->below_before_cnt = row->below_after_cnt = 0;
	if (!parent)
		return;
	parent->below_cnt += offered_before;
	parent->below_before_cnt += admitted_before;
	parent->below_after_cnt += admitted_after;
}

static void mode_of_second(struct replay *replay, const struct sketch_second *load,
			   struct second *second)
{
	struct pressure_load now = {.handshake_cnt = load->half_open_cnt};

	second->recorded = second->after = load->mode;
	if (replay->is_mode_replayed) {
		now.unvalidated_cnt = replay->unvalidated_cnt += load->unvalidated_cnt;
		second->after = firewall_pressure_measure(&replay->pressure, &now, second->at_ns);
	}
	replay->result->mode_before_s[second->recorded]++;
	replay->result->mode_after_s[second->after]++;
	replay->result->known_s++;
}

static void minute_run(struct replay *replay, struct minute *minute, const struct sketch_slot *slot)
{
	for (unsigned i = 0; i < SKETCH_SLOT_S; i++) {
		struct second second = {
			.at_ns = ((slot->minute - 1) * SKETCH_SLOT_S + i) * NS_PER_S,
			.idx = i,
		};

		if (!slot->seconds[i].is_known)
			continue;
		mode_of_second(replay, &slot->seconds[i], &second);
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			for (unsigned k = 0; k < minute->row_cnt; k++)
				if (minute->rows[k].source.level == level)
					row_second(replay, minute, &minute->rows[k], &second);
	}
}

/* Sources that are put together: as if each went on at its rate, its burst spent. */
static uint64_t bin_refused(const struct sketch_bin *bin, const struct weft_bucket_rate *rate)
{
	uint64_t each_cnt = bin->second_cnt ? bin->dgram_cnt / bin->second_cnt : 0;
	uint64_t per_s = NS_PER_S / rate->cost_ns;

	return each_cnt > per_s ? (each_cnt - per_s) * bin->second_cnt : 0;
}

/* A bin is uncertain by its whole width: how long each source went on is not recorded. */
static void bins_run(struct replay *replay, const struct sketch_slot *slot,
		     uint64_t *newly_refused_cnt, uint64_t *newly_admitted_cnt)
{
	for (unsigned i = 0; i < WEFT_CLASS_CNT; i++) {
		struct replay_class *class = &replay->result->classes[i];

		for (unsigned k = 0; k < SKETCH_BIN_CNT; k++) {
			const struct sketch_bin *bin = &slot->bins[i][k];
			uint64_t before = bin_refused(bin, &replay->params->before.rates[i][0]);
			uint64_t after = bin_refused(bin, &replay->params->after.rates[i][0]);
			uint64_t more = after > before ? after - before : 0;
			uint64_t less = before > after ? before - after : 0;

			class->offered_cnt += bin->dgram_cnt;
			class->refused_before_cnt += before;
			class->refused_after_cnt += after;
			class->newly_refused_cnt += more;
			class->newly_admitted_cnt += less;
			class->unsure_cnt += more + less;
			*newly_refused_cnt += more;
			*newly_admitted_cnt += less;
		}
	}
}

static bool is_more_period(const struct replay_period *a, const struct replay_period *b)
{
	return a->newly_refused_cnt + a->newly_admitted_cnt >
	       b->newly_refused_cnt + b->newly_admitted_cnt;
}

static void period_end(struct replay *replay)
{
	struct replay_result *result = replay->result;
	unsigned at = result->period_cnt;

	if (!replay->period.from_minute)
		return;
	while (at > 0 && is_more_period(&replay->period, &result->periods[at - 1])) {
		if (at < REPLAY_PERIOD_MAX)
			result->periods[at] = result->periods[at - 1];
		at--;
	}
	if (at < REPLAY_PERIOD_MAX)
		result->periods[at] = replay->period;
	result->period_cnt += result->period_cnt < REPLAY_PERIOD_MAX;
	replay->period.from_minute = 0;
}

static void period_note(struct replay *replay, uint64_t minute, uint64_t newly_refused_cnt,
			uint64_t newly_admitted_cnt)
{
	struct replay_period *period = &replay->period;

	if (!newly_refused_cnt && !newly_admitted_cnt) {
		period_end(replay);
		return;
	}
	if (!period->from_minute)
		*period = (struct replay_period){.from_minute = minute};
	period->to_minute = minute + 1;
	period->newly_refused_cnt += newly_refused_cnt;
	period->newly_admitted_cnt += newly_admitted_cnt;
}

/* Rows of networks are skipped: which of their sources were refused is unknown. */
static void sources_note(struct replay *replay, const struct minute *minute)
{
	for (unsigned i = 0; i < minute->row_cnt; i++) {
		const struct row *row = &minute->rows[i];

		if (row->source.level || (!row->newly_refused_cnt && !row->newly_admitted_cnt))
			continue;
		replay->sources[replay->source_cnt++] = (struct replay_source){
			.prefix = row->source.prefix,
			.class = row->source.class,
			.newly_refused_cnt = row->newly_refused_cnt,
			.newly_admitted_cnt = row->newly_admitted_cnt,
			.first_minute = minute->number,
			.last_minute = minute->number,
		};
	}
}

static void slot_run(struct replay *replay, const struct sketch_slot *slot)
{
	struct minute *minute = &replay->minutes[slot->minute % 2];
	struct minute *last = &replay->minutes[(slot->minute + 1) % 2];
	uint64_t newly_refused_cnt = 0, newly_admitted_cnt = 0;

	minute_lay_out(minute, last, slot);
	minute_run(replay, minute, slot);
	for (unsigned i = 0; i < minute->row_cnt; i++) {
		newly_refused_cnt += minute->rows[i].newly_refused_cnt;
		newly_admitted_cnt += minute->rows[i].newly_admitted_cnt;
	}
	bins_run(replay, slot, &newly_refused_cnt, &newly_admitted_cnt);
	sources_note(replay, minute);
	period_note(replay, slot->minute, newly_refused_cnt, newly_admitted_cnt);
}

static int by_prefix(const void *a, const void *b)
{
	const struct replay_source *x = a, *y = b;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return x->class != y->class		   ? (int)x->class - (int)y->class
	       : x->first_minute < y->first_minute ? -1
						   : x->first_minute > y->first_minute;
}

static int by_change(const void *a, const void *b)
{
	const struct replay_source *x = a, *y = b;
	uint64_t of_x = x->newly_refused_cnt + x->newly_admitted_cnt;
	uint64_t of_y = y->newly_refused_cnt + y->newly_admitted_cnt;

	return of_x == of_y ? by_prefix(a, b) : of_x < of_y ? 1 : -1;
}

/* A source has one entry a minute and table: they become one. */
static void sources_merge(struct replay *replay)
{
	struct replay_source *all = replay->sources, *last = NULL;
	struct replay_result *result = replay->result;
	size_t kept = 0;

	qsort(all, replay->source_cnt, sizeof(all[0]), by_prefix);
	for (size_t i = 0; i < replay->source_cnt; i++) {
		if (last && last->prefix == all[i].prefix && last->class == all[i].class) {
			last->newly_refused_cnt += all[i].newly_refused_cnt;
			last->newly_admitted_cnt += all[i].newly_admitted_cnt;
			last->last_minute = all[i].last_minute;
			continue;
		}
		last = &all[kept++];
		*last = all[i];
	}
	for (size_t i = 0; i < kept; i++) {
		result->classes[all[i].class].newly_refused_sources += all[i].newly_refused_cnt > 0;
		result->classes[all[i].class].newly_admitted_sources +=
			all[i].newly_admitted_cnt > 0;
	}
	qsort(all, kept, sizeof(all[0]), by_change);
	result->source_cnt = kept < REPLAY_SOURCE_MAX ? (unsigned)kept : REPLAY_SOURCE_MAX;
	memcpy(result->sources, all, result->source_cnt * sizeof(all[0]));
}

int firewall_replay_run(const struct replay_params *params, struct replay_result *out_result)
{
	uint64_t minute_cnt = params->to_minute - params->from_minute;
	struct replay *replay = calloc(1, sizeof(*replay));

	if (minute_cnt > SKETCH_SLOT_CNT)
		minute_cnt = SKETCH_SLOT_CNT;
	memset(out_result, 0, sizeof(*out_result));
	if (!replay)
		return -ENOMEM;
	replay->sources = calloc(minute_cnt + 1, SKETCH_ROW_CNT * sizeof(replay->sources[0]));
	if (!replay->sources) {
		free(replay);
		return -ENOMEM;
	}
	replay->params = params;
	replay->result = out_result;
	replay->is_mode_replayed = memcmp(&params->before.pressure, &params->after.pressure,
					  sizeof(params->after.pressure)) != 0;
	firewall_pressure_init(&replay->pressure, &params->after.pressure);
	for (uint64_t minute = params->to_minute - minute_cnt; minute < params->to_minute;
	     minute++) {
		const struct sketch_slot *slot = firewall_sketch_slot_at(params->sketch, minute);

		if (slot)
			slot_run(replay, slot);
		else
			period_end(replay);
	}
	period_end(replay);
	sources_merge(replay);
	free(replay->sources);
	free(replay);
	return 0;
}
