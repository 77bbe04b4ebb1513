/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_TIMER_H
#define WEFT_BASE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Timers of one worker, on a hierarchical wheel: set and cancel are O(1),
 * an idle timer costs nothing per turn. Resolution is 2^16 ns (65.5 us);
 * a timer never fires early and at most one tick late, except deadlines
 * within one tick, which are kept exactly so that pacing stays smooth.
 */
struct timer;
typedef void (*timer_fn)(struct timer *timer, uint64_t now_ns);

struct timer {
	struct timer *next;
	struct timer **prev_link; /* NULL: not set */
	uint64_t at_ns;
	timer_fn fire;
};

#define TIMER_LEVELS 6
#define TIMER_SLOTS  64

struct timer_wheel {
	uint64_t tick; /* everything before this tick has fired */
	uint64_t occupied[TIMER_LEVELS];
	struct timer *slots[TIMER_LEVELS][TIMER_SLOTS];
};

#define TIMER_NEVER UINT64_MAX

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns);
void timer_init(struct timer *timer, timer_fn fire);
/* timer_set moves a set timer; at_ns in the past fires on the next expire. */
void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t at_ns);
void timer_cancel(struct timer_wheel *wheel, struct timer *timer);
bool timer_is_set(const struct timer *timer);
/* timer_wheel_expire fires what is due, in order of time up to a tick. */
void timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ns);
/* timer_wheel_next_ns: when expire should run next, or TIMER_NEVER. */
uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel);

#endif
