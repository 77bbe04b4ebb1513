/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line. */
#include "print/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "print/terminal.h"
#include "print/text.h"

#define DRAW_EVERY_NS  (100 * NS_PER_MS)
#define LINE_EVERY_NS  (10 * NS_PER_S)
#define RATE_WINDOW_NS (500 * NS_PER_MS)
#define RATE_WEIGHT    0.3 /* of the newest window */
#define BAR_LEN	       20
#define BAR_LINE_MIN   72 /* narrower terminals get the figures alone */
#define LINE_CAP       256
#define ECHO_LEN       2 /* the ^C that a terminal shows behind the line */

void progress_init(struct progress *progress, bool has_terminal)
{
	*progress = (struct progress){.has_terminal = has_terminal && terminal_moves()};
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

/* A line under way; a part that does not fit, and all after it, are left out. */
struct line {
	char text[LINE_CAP];
	size_t len, max;
	bool is_full;
};

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *fmt, ...)
{
	char part[LINE_CAP];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(part, sizeof(part), fmt, args);
	va_end(args);
	line->is_full |= len < 0 || line->len + (size_t)len > line->max;
	if (line->is_full)
		return;
	memcpy(line->text + line->len, part, (size_t)len + 1);
	line->len += (size_t)len;
}

static unsigned permille_of(const struct progress_state *state)
{
	double share = state->cnt ? (double)state->done / (double)state->cnt : 0;

	return share >= 1 ? 1000 : (unsigned)(1000 * share);
}

static void line_add_bar(struct line *line, const struct progress_state *state)
{
	unsigned permille = permille_of(state), filled = permille * BAR_LEN / 1000;
	char bar[BAR_LEN + 1];

	memset(bar, '.', BAR_LEN);
	memset(bar, '#', filled);
	bar[BAR_LEN] = '\0';
	if (line->max >= BAR_LINE_MIN)
		line_add(line, "[%s] ", bar);
	line_add(line, "%3u%% ", permille / 10);
}

static void line_write(const struct progress *progress, const struct progress_state *state,
		       struct line *line)
{
	char done[TEXT_SHORT_CAP], cnt[TEXT_SHORT_CAP], rate[TEXT_SHORT_CAP], left[TEXT_SHORT_CAP];

	if (progress->has_terminal && state->cnt)
		line_add_bar(line, state);
	line_add(line, "%s", state->verb);
	if (state->cnt)
		line_add(line, " %s of %s", text_bytes(state->done, done),
			 text_bytes(state->cnt, cnt));
	else if (state->done)
		line_add(line, " %s", text_bytes(state->done, done));
	if (progress->rate_per_s >= 1)
		line_add(line, ", %s/s", text_bytes((uint64_t)progress->rate_per_s, rate));
	if (progress->rate_per_s >= 1 && state->cnt > state->done)
		line_add(line, ", %s left",
			 text_seconds((uint64_t)((double)(state->cnt - state->done) /
						 progress->rate_per_s),
				      left));
	if (state->item_cnt)
		line_add(line, ", %" PRIu64 "/%" PRIu64 " files", state->item_done,
			 state->item_cnt);
}

/* line_max: letters that a line may have on the terminal, and what Ctrl-C puts behind it. */
static size_t line_max(void)
{
	size_t columns = terminal_columns(STDERR_FILENO);

	if (columns > LINE_CAP)
		return LINE_CAP - 1;
	return columns > 1 + ECHO_LEN ? columns - 1 - ECHO_LEN : 0;
}

void progress_show(struct progress *progress, const struct progress_state *state)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t every_ns = progress->has_terminal ? DRAW_EVERY_NS : LINE_EVERY_NS;
	struct line line = {.max = LINE_CAP - 1};

	rate_update(progress, state->done, now_ns);
	/* Without a terminal, work of a few seconds is done in silence. */
	if (!progress->drawn_ns && !progress->has_terminal)
		progress->drawn_ns = now_ns;
	if (now_ns - progress->drawn_ns < every_ns)
		return;
	progress->drawn_ns = now_ns;
	if (progress->has_terminal)
		line.max = line_max();
	line_write(progress, state, &line);
	if (!progress->has_terminal) {
		fprintf(stderr, "%s\n", line.text);
		return;
	}
	progress_clear(progress);
	fprintf(stderr, "%s", line.text);
	progress->drawn_len = line.len;
}

/* With spaces: any terminal knows those. */
void progress_clear(struct progress *progress)
{
	if (progress->drawn_len)
		fprintf(stderr, "\r%*s\r", (int)progress->drawn_len + ECHO_LEN, "");
	progress->drawn_len = 0;
}
