/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_LIMITS_WINDOW_H
#define WEFT_SERVICE_LIMITS_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The number of events in the last minute, in two buckets. One is this minute's, the other that
 * of the minute before, weighted by the part of it that still counts. A fresh window admits
 * exactly its cap. No moment sees twice as much, as a plain minute would at its edge. A window
 * of zeros is a fresh one. Pure.
 */
#define SERVICE_WINDOW_NS 60000000000ull

struct service_window {
	uint64_t start_ns; /* of this bucket */
	uint64_t cnt;
	uint64_t before_cnt;
};

/*
 * service_window_has_room: would cnt more (cnt <= cap) be within cap? If not,
 * *out_wait_ns is how long until they are if nothing else comes. take counts them.
 */
bool service_window_has_room(struct service_window *window, uint64_t cap, uint64_t cnt,
			     uint64_t now_ns, uint64_t *out_wait_ns);
void service_window_take(struct service_window *window, uint64_t cnt, uint64_t now_ns);
/* service_window_used: the events that count now, rounded up. */
uint64_t service_window_used(const struct service_window *window, uint64_t now_ns);

#endif
