/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_REPLAY_H
#define WEFT_FIREWALL_REPLAY_H

#include "pressure.h"
#include "sketch.h"
#include "weft/err.h"

/*
 * Other limits, tried on the contents of a sketch: which sources would have been refused that were
 * admitted, and the reverse. Both sets of limits meet the same datagrams, spread evenly over their
 * second, with the arithmetic of weft/limit.h at each level. The result is the difference, so an
 * error of the sketch is in both.
 *
 * Modes are those that were, or, when what moves them is to change, those that the recorded load
 * would have led to. Pure; takes tenths of a second for a day.
 */
struct replay_limits {
	struct weft_bucket_rate rates[WEFT_CLASS_CNT][WEFT_LEVEL_CNT];
	/* The sketch's first worker_cnt tables are of workers' sockets, which have a part each. */
	struct weft_bucket_rate worker_rates[WEFT_CLASS_CNT][WEFT_LEVEL_CNT];
	unsigned worker_cnt;
	uint32_t flood_shift;
	struct pressure_config pressure;
};

struct replay_params {
	const struct sketch *sketch;
	struct replay_limits before, after;
	uint64_t from_minute, to_minute; /* [from, to), as firewall_sketch_minute */
};

/*
 * The results of a class. Sources are addresses (IPv4) and /64 that the sketch
 * has by themselves.
 */
struct replay_class {
	uint64_t offered_cnt;
	uint64_t refused_before_cnt, refused_after_cnt;
	uint64_t newly_refused_cnt; /* would have been refused, and were not */
	uint64_t newly_admitted_cnt;
	uint64_t unsure_cnt; /* of these two, how much each may be wrong */
	uint32_t newly_refused_sources, newly_admitted_sources;
};

struct replay_source {
	uint64_t prefix; /* at level 0 */
	enum weft_class class;
	uint64_t newly_refused_cnt, newly_admitted_cnt;
	uint64_t first_minute, last_minute;
};

/* Minutes one after the other in which the outcome differs. */
struct replay_period {
	uint64_t from_minute, to_minute; /* [from, to) */
	uint64_t newly_refused_cnt, newly_admitted_cnt;
};

#define REPLAY_SOURCE_MAX 20
#define REPLAY_PERIOD_MAX 20

struct replay_result {
	struct replay_class classes[WEFT_CLASS_CNT];
	struct replay_source
		sources[REPLAY_SOURCE_MAX]; /* those that most changes for, most first */
	unsigned source_cnt;
	struct replay_period periods[REPLAY_PERIOD_MAX]; /* the worst, most first */
	unsigned period_cnt;
	uint64_t known_s; /* seconds that the sketch has */
	uint64_t mode_before_s[WEFT_MODE_CNT], mode_after_s[WEFT_MODE_CNT];
};

/* firewall_replay_run: 0 or -ENOMEM. */
WEFT_MUST_CHECK
int firewall_replay_run(const struct replay_params *params, struct replay_result *out_result);

/*
 * firewall_replay_take is weft_bucket_take for cnt datagrams evenly spread over the
 * second that begins at at_ns. Returns how many were admitted; at most one
 * more or less than one by one.
 */
uint32_t firewall_replay_take(struct weft_bucket *bucket, const struct weft_bucket_rate *rate,
			      uint32_t cnt, uint64_t at_ns);

#endif
