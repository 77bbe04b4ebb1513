/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A step's number is cut into digits of six bits. A timer stands on the
 * level of the highest digit in which its step differs from the wheel's,
 * in the slot of that digit. So on each level but the lowest the occupied
 * slots lie after the wheel's own digit, and the lowest occupied level
 * holds the earliest timers. The wheel spreads a slot over the levels
 * below when it reaches it. A timer moves at most seven times in its life.
 */
#include "base/timer.h"

#include <stddef.h>

#define TICK_SHIFT 16
#define DIGIT_BITS 6
#define DIGIT_MASK (TIMER_SLOTS - 1)
#define NO_EVENT   UINT64_MAX

static void timer_link(struct timer **link, struct timer *timer)
{
	timer->next = *link;
	timer->prev_link = link;
	if (timer->next)
		timer->next->prev_link = &timer->next;
	*link = timer;
}

static void timer_unlink(struct timer *timer)
{
	*timer->prev_link = timer->next;
	if (timer->next)
		timer->next->prev_link = timer->prev_link;
	timer->next = NULL;
	timer->prev_link = NULL;
}

static unsigned tick_digit(uint64_t tick, unsigned level)
{
	return (unsigned)(tick >> DIGIT_BITS * level) & DIGIT_MASK;
}

static void wheel_place(struct timer_wheel *wheel, struct timer *timer)
{
	uint64_t tick = timer->at_ns >> TICK_SHIFT;
	uint64_t differs;
	unsigned level, slot;

	if (tick < wheel->tick)
		tick = wheel->tick;
	differs = tick ^ wheel->tick;
	level = differs ? (unsigned)(63 - __builtin_clzll(differs)) / DIGIT_BITS : 0;
	slot = tick_digit(tick, level);
	timer_link(&wheel->slots[level][slot], timer);
	wheel->occupied[level] |= 1ull << slot;
}

/* The slot at or after the wheel's digit that comes first, or TIMER_SLOTS. */
static unsigned level_first_slot(const struct timer_wheel *wheel, unsigned level)
{
	uint64_t ahead = wheel->occupied[level] >> tick_digit(wheel->tick, level);

	if (!ahead)
		return TIMER_SLOTS;
	return tick_digit(wheel->tick, level) + (unsigned)__builtin_ctzll(ahead);
}

/* When the first occupied slot begins: its timers are due or to be spread then. */
static uint64_t wheel_next_event(const struct timer_wheel *wheel, unsigned *out_level)
{
	for (unsigned level = 0; level < TIMER_LEVELS; level++) {
		unsigned slot = level_first_slot(wheel, level);
		uint64_t digits_above = wheel->tick >> DIGIT_BITS * level & ~(uint64_t)DIGIT_MASK;

		if (slot == TIMER_SLOTS)
			continue;
		*out_level = level;
		return (digits_above | slot) << DIGIT_BITS * level;
	}
	return NO_EVENT;
}

static struct timer *slot_take(struct timer_wheel *wheel, unsigned level)
{
	unsigned slot = tick_digit(wheel->tick, level);
	struct timer *first = wheel->slots[level][slot];

	wheel->slots[level][slot] = NULL;
	wheel->occupied[level] &= ~(1ull << slot);
	return first;
}

static void wheel_spread(struct timer_wheel *wheel, unsigned level)
{
	struct timer *timer = slot_take(wheel, level);

	while (timer) {
		struct timer *next = timer->next;

		wheel_place(wheel, timer);
		timer = next;
	}
}

/* Moves what the wheel's own step holds and is due to the end of the due list. */
static struct timer **wheel_collect(struct timer_wheel *wheel, uint64_t now_ns,
				    struct timer **due_end)
{
	struct timer *timer = slot_take(wheel, 0);

	while (timer) {
		struct timer *next = timer->next;

		if (timer->at_ns <= now_ns) {
			timer_link(due_end, timer);
			due_end = &timer->next;
		} else {
			wheel_place(wheel, timer);
		}
		timer = next;
	}
	return due_end;
}

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns)
{
	*wheel = (struct timer_wheel){.tick = now_ns >> TICK_SHIFT};
}

void timer_init(struct timer *timer, timer_fn fire)
{
	*timer = (struct timer){.fire = fire};
}

void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t at_ns)
{
	timer_cancel(wheel, timer);
	if (at_ns == TIMER_NEVER)
		return;
	timer->at_ns = at_ns;
	wheel_place(wheel, timer);
}

void timer_cancel(struct timer_wheel *wheel, struct timer *timer)
{
	uintptr_t off = (uintptr_t)timer->prev_link - (uintptr_t)wheel->slots;
	size_t idx = off / sizeof(struct timer *);

	if (!timer->prev_link)
		return;
	/* The only timer of a slot: prev_link is the slot itself. */
	if (off < sizeof(wheel->slots) && !timer->next)
		wheel->occupied[idx / TIMER_SLOTS] &= ~(1ull << idx % TIMER_SLOTS);
	timer_unlink(timer);
}

bool timer_is_set(const struct timer *timer)
{
	return timer->prev_link != NULL;
}

void timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ns)
{
	struct timer **due_end = &wheel->due;
	uint64_t now_tick = now_ns >> TICK_SHIFT;
	uint64_t event;
	unsigned level;

	while ((event = wheel_next_event(wheel, &level)) <= now_tick) {
		wheel->tick = event;
		if (level > 0) {
			wheel_spread(wheel, level);
			continue;
		}
		due_end = wheel_collect(wheel, now_ns, due_end);
		if (event == now_tick)
			break;
	}
	if (wheel->tick < now_tick)
		wheel->tick = now_tick;
	while (wheel->due) {
		struct timer *timer = wheel->due;

		timer_unlink(timer);
		timer->fire(timer, now_ns);
	}
}

uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel)
{
	uint64_t next_ns = TIMER_NEVER;
	unsigned level = 0;
	uint64_t event = wheel_next_event(wheel, &level);

	if (wheel->due)
		return wheel->due->at_ns;
	if (event == NO_EVENT)
		return TIMER_NEVER;
	if (level > 0)
		return event << TICK_SHIFT;
	for (struct timer *timer = wheel->slots[0][tick_digit(event, 0)]; timer;
	     timer = timer->next)
		if (timer->at_ns < next_ns)
			next_ns = timer->at_ns;
	return next_ns;
}
