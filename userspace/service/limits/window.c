/* SPDX-License-Identifier: Apache-2.0 */
#include "window.h"

#define WINDOW_NS SERVICE_WINDOW_NS

/* Brings the buckets to now; a window that was idle starts with the next event. */
static struct service_window window_at(const struct service_window *window, uint64_t now_ns)
{
	struct service_window at = *window;

	if (now_ns - at.start_ns < WINDOW_NS)
		return at;
	if (now_ns - at.start_ns >= 2 * WINDOW_NS)
		return (struct service_window){.start_ns = now_ns};
	return (struct service_window){.start_ns = at.start_ns + WINDOW_NS, .before_cnt = at.cnt};
}

/* The part of the bucket before that counts at elapsed_ns of this one, rounded up. */
static uint64_t weighed(uint64_t before_cnt, uint64_t elapsed_ns)
{
	unsigned __int128 part = (unsigned __int128)before_cnt * (WINDOW_NS - elapsed_ns);

	return (uint64_t)((part + WINDOW_NS - 1) / WINDOW_NS);
}

/* The first moment of a bucket at which no more than room of the one before counts. */
static uint64_t elapsed_until(uint64_t before_cnt, uint64_t room)
{
	unsigned __int128 part;

	if (before_cnt <= room)
		return 0;
	part = (unsigned __int128)room * WINDOW_NS / before_cnt;
	return WINDOW_NS - (uint64_t)part;
}

uint64_t service_window_used(const struct service_window *window, uint64_t now_ns)
{
	struct service_window at = window_at(window, now_ns);

	return at.cnt + weighed(at.before_cnt, now_ns - at.start_ns);
}

bool service_window_has_room(struct service_window *window, uint64_t cap, uint64_t cnt,
			     uint64_t now_ns, uint64_t *out_wait_ns)
{
	uint64_t elapsed_ns;

	*window = window_at(window, now_ns);
	elapsed_ns = now_ns - window->start_ns;
	if (window->cnt + weighed(window->before_cnt, elapsed_ns) + cnt <= cap)
		return true;
	if (window->cnt + cnt <= cap)
		*out_wait_ns =
			elapsed_until(window->before_cnt, cap - cnt - window->cnt) - elapsed_ns;
	else
		*out_wait_ns = WINDOW_NS - elapsed_ns + elapsed_until(window->cnt, cap - cnt);
	return false;
}

void service_window_take(struct service_window *window, uint64_t cnt, uint64_t now_ns)
{
	*window = window_at(window, now_ns);
	window->cnt += cnt;
}
