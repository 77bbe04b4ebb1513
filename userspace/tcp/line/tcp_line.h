/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCP_LINE_TCP_LINE_H
#define WEFT_TCP_LINE_TCP_LINE_H

#include "tcp/line/tcp_line_arq.h"

struct random;

/*
 * The links of an engine over lines, without I/O: bytes of devices and the time go in, frames come
 * out. A line has one connection at a time. The other end may begin one at any time, and the one
 * before is lost then: it has been started again. A dial on a line that has one fails.
 *
 * All is laid out at the start for TCP_LINES_MAX lines. The other end of a line fills nothing but
 * its own line's window and reader.
 */
struct tcp_lines;
struct tcp_lines_params {
	struct tcp_engine *engine; /* freed before the lines are */
	const struct tcp_config *config;
	struct random *random;
	/* Line idx has frames to send. Never asks for them inside tcp_lines_output. */
	void (*kick)(void *ctx, unsigned idx);
	void *ctx;
};
/* tcp_lines_new: 0 with *out_lines, which are the engine's from now on, or -ENOMEM. */
WEFT_MUST_CHECK
int tcp_lines_new(const struct tcp_lines_params *params, struct tcp_lines **out_lines);
/* tcp_lines_free takes NULL. */
void tcp_lines_free(struct tcp_lines *lines);

/* tcp_lines_set_up: the device of line idx is there, or no more: its connection is lost. */
void tcp_lines_set_up(struct tcp_lines *lines, unsigned idx, bool is_up, uint64_t now_ns);
void tcp_lines_input(struct tcp_lines *lines, unsigned idx, const void *data, size_t len,
		     uint64_t now_ns);
/* tcp_lines_output writes the next frame of line idx, and returns its length; 0: none. */
size_t tcp_lines_output(struct tcp_lines *lines, unsigned idx,
			uint8_t out[static TCP_LINE_FRAME_MAX], uint64_t now_ns);
/* tcp_lines_expire runs due timers; call at tcp_lines_next_ns, UINT64_MAX: none. */
void tcp_lines_expire(struct tcp_lines *lines, uint64_t now_ns);
uint64_t tcp_lines_next_ns(const struct tcp_lines *lines);

/* tcp_lines_is_idle: line idx is up, and has no connection. */
bool tcp_lines_is_idle(const struct tcp_lines *lines, unsigned idx);
void tcp_lines_stats(const struct tcp_lines *lines, struct tcp_line_stats *out_stats);

#endif
