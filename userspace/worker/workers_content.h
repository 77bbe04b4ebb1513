/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_WORKERS_CONTENT_H
#define WEFT_WORKER_WORKERS_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/timer.h"
#include "blobs/blobs.h"
#include "upload_parts.h"

struct blobs_member;
struct workers;

/*
 * What home keeps the other workers' servers up to date about, beside what
 * peers may read (workers_spread_served): limits, with each worker's part of those
 * that are for all together; files that gets are fetching; who else serves.
 * Home's thread.
 */
struct workers_content {
	struct timer timer; /* first */
	struct timer_wheel *timers;
	struct workers *workers;
	struct blobs *home;
	uint64_t divided_ns;			    /* 0: never */
	bool is_limits_due;			    /* they changed, or not all could be told */
	struct upload_part parts[UPLOAD_PARTS_MAX]; /* home's first */
	struct worker_credits {
		struct blobs_credit credits[BLOBS_ZONE_CNT]; /* of uploads, as told last */
		uint64_t before[BLOBS_ZONE_CNT];	     /* taken at the last look */
	} credits[UPLOAD_PARTS_MAX];			     /* home's are its own */
	unsigned credit_turn;				     /* who is granted first */
};

/* workers_content_start tells all of it for the first time; everything is borrowed until stop. */
void workers_content_start(struct workers_content *state, struct workers *workers,
			   struct blobs *home, struct timer_wheel *timers, uint64_t now_ns);
/* workers_content_stop: nothing is told any more; one that was not started is nothing. */
void workers_content_stop(struct workers_content *state);
/* workers_content_limits_changed: they are told in this turn or the next. */
void workers_content_limits_changed(struct workers_content *state);
/* workers_content_member: worker idx (0: home) was told of member; all others hear of it. */
void workers_content_member(struct workers_content *state, unsigned idx,
			    const struct blobs_member *member, uint64_t now_ns);

#endif
