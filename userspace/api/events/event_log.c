/* SPDX-License-Identifier: Apache-2.0 */
/* Events as lines of the log. Home worker. */
#include "api/events/event_log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/log.h"
#include "codec/text/zbase32.h"
#include "control/redact.h"

#define LINE_CAP 512
#define ID_SHORT 8

/* Events that repeat while one thing is under way, or that have a sentence of their own. */
static const char *const quiet[] = {
	"get.progress",	      "import.progress", "peer.looked-for", "get.failed",
	"share.file-changed", "peer.bad-bytes",	 "file.bad",	    "import.done",
};

static bool kind_is_quiet(const char *kind)
{
	for (size_t i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++) {
		if (strcmp(kind, quiet[i]) == 0)
			return true;
	}
	return false;
}

struct line {
	char text[LINE_CAP];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(line->text + line->len, LINE_CAP - line->len, fmt, args);
	va_end(args);
	if (len > 0)
		line->len +=
			(size_t)len < LINE_CAP - line->len ? (size_t)len : LINE_CAP - line->len - 1;
}

/* A word as it is, and anything else as JSON quotes it. */
static void line_add_text(struct line *line, const char *name, const char *text)
{
	bool is_id = strlen(text) == ZBASE32_KEY_TEXT_CAP - 1 && !strpbrk(text, " /.:");
	json_t *json;
	char *quoted;

	if (is_id) {
		line_add(line, " %s=%.*s", name, ID_SHORT, text);
		return;
	}
	if (*text && !strpbrk(text, " \"=\\\t\r\n")) {
		line_add(line, " %s=%s", name, text);
		return;
	}
	json = json_string(text);
	quoted = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
	if (quoted)
		line_add(line, " %s=%s", name, quoted);
	free(quoted);
	json_decref(json);
}

static void line_add_field(struct line *line, const char *name, const json_t *value)
{
	char *text;

	if (json_is_string(value)) {
		line_add_text(line, name, json_string_value(value));
	} else if (json_is_boolean(value)) {
		line_add(line, " %s=%s", name, json_is_true(value) ? "yes" : "no");
	} else if (!json_is_null(value)) {
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		if (text)
			line_add(line, " %s=%s", name, text);
		free(text);
	}
}

/* line_write: "subsystem: event" of "subsystem.event", and the fields. */
static void line_write(struct line *line, const char *kind, const json_t *fields)
{
	const char *dot = strchr(kind, '.');
	json_t *shown = fields ? control_redact_capabilities(fields) : NULL;
	const char *name;
	json_t *value;

	if (dot)
		line_add(line, "%.*s: %s", (int)(dot - kind), kind, dot + 1);
	else
		line_add(line, "%s", kind);
	json_object_foreach(shown, name, value) line_add_field(line, name, value);
	json_decref(shown);
}

/* window_take: false: this second has had its lines. */
static bool window_take(struct event_log_window *window, uint64_t now_ns)
{
	if (window->second != now_ns / NS_PER_S) {
		window->second = now_ns / NS_PER_S;
		window->line_cnt = 0;
	}
	if (window->line_cnt == EVENT_LOG_PER_S) {
		window->left_out_cnt++;
		return false;
	}
	window->line_cnt++;
	return true;
}

void api_event_log_write(struct event_log *log, const char *kind, const json_t *fields,
			 uint64_t now_ns)
{
	bool is_quiet = kind_is_quiet(kind);
	enum log_level level = is_quiet ? LOG_DEBUG : LOG_INFO;
	struct event_log_window *window = is_quiet ? &log->debug : &log->info;
	struct line line = {.len = 0};

	if (!log_is_on(level) || !window_take(window, now_ns))
		return;
	line_write(&line, kind, fields);
	if (window->left_out_cnt)
		line_add(&line, " left_out=%" PRIu64, window->left_out_cnt);
	window->left_out_cnt = 0;
	log_write(level, "%s", line.text);
}
