/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_PROGRESS_H
#define WEFT_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Progress on stderr. On a terminal it is one line that is redrawn, as wide
 * as the terminal and without escape sequences. Elsewhere it is a line now
 * and then.
 */
struct progress {
	bool has_terminal;
	size_t drawn_len; /* of the line that stands without an end; 0: none */
	uint64_t drawn_ns;
	uint64_t since_ns; /* of the rate's window */
	uint64_t since_done;
	double rate_per_s; /* smoothed; 0: not known yet */
};

struct progress_state {
	const char *verb;   /* "receiving" */
	uint64_t done, cnt; /* bytes; cnt 0: not known yet */
	uint64_t item_done, item_cnt;
};

void progress_init(struct progress *progress, bool has_terminal);
void progress_show(struct progress *progress, const struct progress_state *state);
/* progress_clear takes the line away, before something else is printed. */
void progress_clear(struct progress *progress);

#endif
