/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Six levels of 64 slots; a slot of level l spans 64^l ticks. A timer goes
 * into the level its distance asks for and moves down as the time comes
 * near (Varghese and Lauck 1987, scheme 7). Runs of empty slots are
 * skipped by bitmaps, so a long sleep costs no more than a short one.
 */
#include "base/timer.h"

#include <stddef.h>
#include <string.h>

#define TICK_SHIFT 16
#define LEVEL_BITS 6
#define SLOT_MASK  (TIMER_SLOTS - 1)

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->tick = now_ns >> TICK_SHIFT;
}

void timer_init(struct timer *timer, timer_fn fire)
{
	memset(timer, 0, sizeof(*timer));
	timer->fire = fire;
}

bool timer_is_set(const struct timer *timer)
{
	return timer->prev_link != NULL;
}

static void list_push(struct timer **head, struct timer *timer)
{
	timer->next = *head;
	timer->prev_link = head;
	if (*head)
		(*head)->prev_link = &timer->next;
	*head = timer;
}

static void list_unlink(struct timer *timer)
{
	*timer->prev_link = timer->next;
	if (timer->next)
		timer->next->prev_link = timer->prev_link;
	timer->prev_link = NULL;
}

static void wheel_insert(struct timer_wheel *wheel, struct timer *timer)
{
	const uint64_t farthest = (1ull << (LEVEL_BITS * TIMER_LEVELS)) - 1;
	uint64_t at_tick = timer->at_ns >> TICK_SHIFT;
	uint64_t distance;
	unsigned level = 0, slot;

	if (at_tick < wheel->tick)
		at_tick = wheel->tick;
	distance = at_tick - wheel->tick;
	if (distance > farthest) {
		distance = farthest;
		at_tick = wheel->tick + distance;
	}
	while (distance >> (LEVEL_BITS * (level + 1)))
		level++;
	slot = (unsigned)(at_tick >> (LEVEL_BITS * level)) & SLOT_MASK;
	wheel->occupied[level] |= 1ull << slot;
	list_push(&wheel->slots[level][slot], timer);
}

void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t at_ns)
{
	timer_cancel(wheel, timer);
	timer->at_ns = at_ns;
	if (at_ns != TIMER_NEVER)
		wheel_insert(wheel, timer);
}

void timer_cancel(struct timer_wheel *wheel, struct timer *timer)
{
	struct timer **link = timer->prev_link;
	ptrdiff_t idx;

	if (!link)
		return;
	list_unlink(timer);
	if (*link || link < &wheel->slots[0][0] ||
	    link > &wheel->slots[TIMER_LEVELS - 1][TIMER_SLOTS - 1])
		return;
	idx = link - &wheel->slots[0][0];
	wheel->occupied[idx / TIMER_SLOTS] &= ~(1ull << (idx % TIMER_SLOTS));
}

/* Takes a whole slot off the wheel; members stay cancellable. */
static void slot_detach(struct timer_wheel *wheel, unsigned level, unsigned slot,
			struct timer **out_list)
{
	*out_list = wheel->slots[level][slot];
	if (*out_list)
		(*out_list)->prev_link = out_list;
	wheel->slots[level][slot] = NULL;
	wheel->occupied[level] &= ~(1ull << slot);
}

/* At the start of a rotation, the next slot of each level above moves down. */
static void wheel_cascade(struct timer_wheel *wheel)
{
	for (unsigned level = 1; level < TIMER_LEVELS; level++) {
		unsigned slot = (unsigned)(wheel->tick >> (LEVEL_BITS * level)) & SLOT_MASK;
		struct timer *list, *timer;

		slot_detach(wheel, level, slot, &list);
		while ((timer = list)) {
			list_unlink(timer);
			wheel_insert(wheel, timer);
		}
		if (slot != 0)
			return;
	}
}

static void slot_fire(struct timer_wheel *wheel, uint64_t now_ns)
{
	struct timer *due, *timer;

	slot_detach(wheel, 0, (unsigned)wheel->tick & SLOT_MASK, &due);
	while ((timer = due)) {
		list_unlink(timer);
		if (timer->at_ns <= now_ns)
			timer->fire(timer, now_ns);
		else
			wheel_insert(wheel, timer);
	}
}

/* The next tick at which something fires or moves down, at most target. */
static uint64_t wheel_next_stop(const struct timer_wheel *wheel, uint64_t target)
{
	unsigned slot = (unsigned)wheel->tick & SLOT_MASK;
	uint64_t later = slot == SLOT_MASK ? 0 : wheel->occupied[0] >> (slot + 1);
	unsigned level = 1;
	uint64_t stop;

	if (later) {
		stop = wheel->tick + 1 + (unsigned)__builtin_ctzll(later);
	} else {
		if (!wheel->occupied[0])
			while (level < TIMER_LEVELS && !wheel->occupied[level])
				level++;
		if (level == TIMER_LEVELS)
			return target;
		stop = ((wheel->tick >> (LEVEL_BITS * level)) + 1) << (LEVEL_BITS * level);
	}
	return stop < target ? stop : target;
}

void timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ns)
{
	uint64_t target = now_ns >> TICK_SHIFT;

	while (wheel->tick < target) {
		slot_fire(wheel, now_ns);
		wheel->tick = wheel_next_stop(wheel, target);
		if ((wheel->tick & SLOT_MASK) == 0)
			wheel_cascade(wheel);
	}
	slot_fire(wheel, now_ns);
}

static uint64_t slot_earliest(const struct timer *timer)
{
	uint64_t earliest = TIMER_NEVER;

	for (; timer; timer = timer->next)
		if (timer->at_ns < earliest)
			earliest = timer->at_ns;
	return earliest;
}

static uint64_t rotated(uint64_t bits, unsigned by)
{
	return by ? bits >> by | bits << (TIMER_SLOTS - by) : bits;
}

uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel)
{
	unsigned slot = (unsigned)wheel->tick & SLOT_MASK;
	uint64_t next_ns = TIMER_NEVER, bits = rotated(wheel->occupied[0], slot);

	if (bits) {
		slot = (slot + (unsigned)__builtin_ctzll(bits)) & SLOT_MASK;
		next_ns = slot_earliest(wheel->slots[0][slot]);
	}
	for (unsigned level = 1; level < TIMER_LEVELS; level++) {
		uint64_t base = wheel->tick >> (LEVEL_BITS * level), start_ns;

		/* The current slot was moved down already: if set, it is a rotation away. */
		bits = rotated(wheel->occupied[level], ((unsigned)base + 1) & SLOT_MASK);
		if (!bits)
			continue;
		start_ns = (base + 1 + (unsigned)__builtin_ctzll(bits))
			   << (LEVEL_BITS * level + TICK_SHIFT);
		if (start_ns < next_ns)
			next_ns = start_ns;
	}
	return next_ns;
}
