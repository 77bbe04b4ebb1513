/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "text.h"

#define DRAW_EVERY_NS  (100 * NS_PER_MS)
#define LINE_EVERY_NS  (10 * NS_PER_S)
#define RATE_WINDOW_NS (500 * NS_PER_MS)
#define RATE_WEIGHT    0.3 /* of the newest window */
#define BAR_LEN	       20

void progress_init(struct progress *progress, bool has_terminal)
{
	*progress = (struct progress){.has_terminal = has_terminal};
}

static void rate_update(struct progress *progress, uint64_t done, uint64_t now_ns)
{
	uint64_t span_ns = now_ns - progress->since_ns;
	double rate;

	if (!progress->since_ns || done < progress->since_done) {
		progress->since_ns = now_ns;
		progress->since_done = done;
		return;
	}
	if (span_ns < RATE_WINDOW_NS)
		return;
	rate = (double)(done - progress->since_done) * 1e9 / (double)span_ns;
	progress->rate_per_s =
		progress->rate_per_s > 0
			? progress->rate_per_s + RATE_WEIGHT * (rate - progress->rate_per_s)
			: rate;
	progress->since_ns = now_ns;
	progress->since_done = done;
}

static size_t bar_write(char *line, size_t cap, const struct progress_state *state)
{
	unsigned permille =
		state->cnt ? (unsigned)(1000.0 * (double)state->done / (double)state->cnt) : 0;
	unsigned filled = permille * BAR_LEN / 1000;
	char bar[BAR_LEN + 1];

	if (permille > 1000)
		permille = 1000;
	if (filled > BAR_LEN)
		filled = BAR_LEN;
	memset(bar, '.', BAR_LEN);
	memset(bar, '#', filled);
	bar[BAR_LEN] = '\0';
	return (size_t)snprintf(line, cap, "[%s] %3u%% ", bar, permille / 10);
}

static void line_write(const struct progress *progress, const struct progress_state *state,
		       char *line, size_t cap)
{
	char done[TEXT_SHORT_CAP], cnt[TEXT_SHORT_CAP], rate[TEXT_SHORT_CAP], left[TEXT_SHORT_CAP];
	size_t len = 0;

	if (progress->has_terminal && state->cnt)
		len = bar_write(line, cap, state);
	len += (size_t)snprintf(line + len, cap - len, "%s %s", state->verb,
				text_bytes(state->done, done));
	if (state->cnt)
		len += (size_t)snprintf(line + len, cap - len, " of %s",
					text_bytes(state->cnt, cnt));
	if (state->item_cnt)
		len += (size_t)snprintf(line + len, cap - len, ", %" PRIu64 "/%" PRIu64 " files",
					state->item_done, state->item_cnt);
	if (progress->rate_per_s >= 1)
		len += (size_t)snprintf(line + len, cap - len, ", %s/s",
					text_bytes((uint64_t)progress->rate_per_s, rate));
	if (progress->rate_per_s >= 1 && state->cnt > state->done)
		(void)snprintf(line + len, cap - len, ", %s left",
			       text_seconds((uint64_t)((double)(state->cnt - state->done) /
						       progress->rate_per_s),
					    left));
}

static int terminal_width(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

void progress_show(struct progress *progress, const struct progress_state *state)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t every_ns = progress->has_terminal ? DRAW_EVERY_NS : LINE_EVERY_NS;
	char line[256];

	rate_update(progress, state->done, now_ns);
	/* Without a terminal, work of a few seconds is done in silence. */
	if (!progress->drawn_ns && !progress->has_terminal)
		progress->drawn_ns = now_ns;
	if (now_ns - progress->drawn_ns < every_ns)
		return;
	progress->drawn_ns = now_ns;
	line_write(progress, state, line, sizeof(line));
	if (progress->has_terminal)
		fprintf(stderr, "\r%.*s\x1b[K", terminal_width() - 1, line);
	else
		fprintf(stderr, "%s\n", line);
	progress->is_drawn = progress->has_terminal;
}

void progress_clear(struct progress *progress)
{
	if (progress->is_drawn)
		fprintf(stderr, "\r\x1b[K");
	progress->is_drawn = false;
}
