/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NETLAB_DELAY_LINE_H
#define NETLAB_DELAY_LINE_H

#include <stddef.h>
#include <stdint.h>

struct wire_held;

/*
 * Frames that wait for their moment, in order of departure and, of equal
 * moments, of arrival. One thread.
 */
struct delay_line;

/*
 * delay_line_new makes an empty line that keeps at most bytes_max bytes of
 * frames. Returns NULL when memory or a packet socket is refused; errno says why.
 */
struct delay_line *delay_line_new(size_t bytes_max);

void delay_line_free(struct delay_line *line);

/*
 * delay_line_put copies a frame that departs at held->depart_ns. Without
 * room it is dropped and counted. Context: any moment, also a past one.
 */
void delay_line_put(struct delay_line *line, const struct wire_held *held, const void *frame);

/*
 * delay_line_send sends what is due and returns the moment of the next
 * departure, CLOCK_MONOTONIC in ns, or UINT64_MAX when nothing waits.
 */
uint64_t delay_line_send(struct delay_line *line, uint64_t now_ns);

/* delay_line_dropped_cnt tells how many frames found no room or were refused by their device. */
uint64_t delay_line_dropped_cnt(const struct delay_line *line);

#endif
