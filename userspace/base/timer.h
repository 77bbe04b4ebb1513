/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_TIMER_H
#define WEFT_BASE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Timers of one worker, on a hierarchical wheel: set and cancel are O(1),
 * an idle timer costs nothing per turn. A timer never fires before its
 * time, and fires in the first expire at or after it. The wheel's step of
 * 2^16 ns (65.5 us) bounds only the order: timers of one step fire in any
 * order. next_ns is exact for the timers of the nearest step, so pacing
 * stays smooth. For farther ones it may name an earlier moment, when the
 * wheel has to turn.
 *
 * fire may set and cancel any timer, also its own and those due in the
 * same expire. It may free the object that its timer is in.
 */
struct timer;
typedef void (*timer_fn)(struct timer *timer, uint64_t now_ns);

struct timer {
	struct timer *next;
	struct timer **prev_link; /* NULL: not set */
	uint64_t at_ns;
	timer_fn fire;
};

#define TIMER_LEVELS 8 /* 8 x 6 bits of steps of 2^16 ns: all of uint64_t */
#define TIMER_SLOTS  64

struct timer_wheel {
	uint64_t tick;			 /* everything before this step has fired */
	struct timer *due;		 /* taken off by the expire that runs, in order */
	uint64_t occupied[TIMER_LEVELS]; /* bit per slot that holds timers */
	struct timer *slots[TIMER_LEVELS][TIMER_SLOTS];
};

#define TIMER_NEVER UINT64_MAX

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns);
void timer_init(struct timer *timer, timer_fn fire);
/*
 * timer_set moves a set timer. at_ns in the past fires on the next expire
 * (not on the one that runs); TIMER_NEVER cancels.
 */
void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t at_ns);
void timer_cancel(struct timer_wheel *wheel, struct timer *timer);
bool timer_is_set(const struct timer *timer);
/* timer_wheel_expire fires what is due; not from within fire. */
void timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ns);
/* timer_wheel_next_ns: when expire should run next (maybe in the past), or TIMER_NEVER. */
uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel);

#endif
