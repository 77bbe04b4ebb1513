/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_LEN_MAX 1024

static struct {
	enum log_level max_level;
	bool is_journal;
} sink = {LOG_INFO, false};

/* systemd names the journal's stream as DEVICE:INODE of stderr. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_init(enum log_level max_level)
{
	sink.max_level = max_level;
	sink.is_journal = stderr_is_journal();
}

static int line_prefix(char *line, size_t cap, enum log_level level)
{
	static const char *const names[] = {"",	       "",	 "",	 "error",
					    "warning", "notice", "info", "debug"};
	struct timespec ts;
	struct tm tm;
	char when[32];

	if (sink.is_journal)
		return snprintf(line, cap, "<%d>", (int)level);
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	return snprintf(line, cap, "%s.%03ldZ weftd %s: ", when, ts.tv_nsec / 1000000,
			names[level]);
}

/* A name from outside may hold anything; a line of the log stays one line of text. */
static void line_clean(char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
}

bool log_is_on(enum log_level level)
{
	return level <= sink.max_level;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[LINE_LEN_MAX];
	size_t len;
	va_list args;
	int body;

	if (!log_is_on(level))
		return;
	len = (size_t)line_prefix(line, sizeof(line), level);
	va_start(args, fmt);
	body = vsnprintf(line + len, sizeof(line) - len - 1, fmt, args);
	va_end(args);
	len += body < 0 ? 0 : (size_t)body;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line_clean(line, len);
	line[len++] = '\n';
	/*
	 * One write, so lines of threads do not mix; a closed stderr is not this program's failure.
	 */
	(void)!write(STDERR_FILENO, line, len);
}
