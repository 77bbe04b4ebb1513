/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_WORKER_LINES_H
#define WEFT_WORKER_WORKER_LINES_H

#include <stdint.h>

#include "weft/err.h"

struct tcp_line_stats;
struct worker;
struct worker_lines;
struct worker_params;

/*
 * Lines of home: their devices, and dials. The key at the other end of a line is dialled while this
 * node has no session with it.
 */
/* worker_lines_open: without lines it does nothing. As worker_open. */
WEFT_MUST_CHECK
int worker_lines_open(struct worker *worker, const struct worker_params *params, char *what);
/* worker_lines_close takes NULL. After mesh and the engine are freed. */
void worker_lines_close(struct worker_lines *lines);
/* The three take NULL. expire: call at next_ns, UINT64_MAX: never. */
void worker_lines_expire(struct worker_lines *lines, uint64_t now_ns);
uint64_t worker_lines_next_ns(const struct worker_lines *lines);
void worker_lines_stats(const struct worker_lines *lines, struct tcp_line_stats *out_stats);

#endif
