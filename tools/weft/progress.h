/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_PROGRESS_H
#define WEFT_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Progress on stderr: one line that is redrawn on a terminal, else a line
 * now and then. Names in it are cleaned.
 */
struct progress {
	bool has_terminal;
	bool is_drawn; /* a line stands that has no end */
	uint64_t drawn_ns;
	uint64_t since_ns; /* of the rate's window */
	uint64_t since_done;
	double rate_per_s; /* smoothed; 0: not known yet */
};

struct progress_state {
	const char *verb;   /* "fetching" */
	uint64_t done, cnt; /* bytes; cnt 0: not known yet */
	uint64_t item_done, item_cnt;
};

void progress_init(struct progress *progress, bool has_terminal);
void progress_show(struct progress *progress, const struct progress_state *state);
/* progress_clear takes the line away, before something else is printed. */
void progress_clear(struct progress *progress);

#endif
