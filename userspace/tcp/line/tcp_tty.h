/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCP_LINE_TCP_TTY_H
#define WEFT_TCP_LINE_TCP_TTY_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

struct poller;
struct random;
struct tcp_config;
struct tcp_engine;
struct tcp_line_stats;
struct tcp_ttys;

/*
 * The lines of an engine as devices of the kernel, on a worker's poller. A device that is absent or
 * breaks is opened again and again. What cannot be sent waits in the windows of the lines.
 */
struct tcp_ttys_params {
	struct tcp_engine *engine; /* freed before the devices are closed */
	const struct tcp_config *config;
	struct poller *poller;
	struct random *random;
	/* Line idx is there (err 0), or its device failed by err (-errno). Each change once. */
	void (*on_device)(void *ctx, unsigned idx, int err);
	void *ctx;
	uint64_t now_ns;
};
/* tcp_ttys_open: 0 with *out_ttys, or -ENOMEM. A device that does not open is no error. */
WEFT_MUST_CHECK
int tcp_ttys_open(const struct tcp_ttys_params *params, struct tcp_ttys **out_ttys);
/* tcp_ttys_close takes NULL. */
void tcp_ttys_close(struct tcp_ttys *ttys);
/* tcp_ttys_expire runs due timers; call at tcp_ttys_next_ns. */
void tcp_ttys_expire(struct tcp_ttys *ttys, uint64_t now_ns);
uint64_t tcp_ttys_next_ns(const struct tcp_ttys *ttys);
/* tcp_ttys_is_idle: line idx can be dialled. */
bool tcp_ttys_is_idle(const struct tcp_ttys *ttys, unsigned idx);
void tcp_ttys_stats(const struct tcp_ttys *ttys, struct tcp_line_stats *out_stats);

#endif
