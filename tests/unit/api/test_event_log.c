/* SPDX-License-Identifier: Apache-2.0 */
/* Events as lines of the log: what a line says, and how many there are in a second. */
#include "api/events/event_log.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/log.h"
#include "support/check.h"

#define ID "ubdotdhm38udoorcc5k1c4wowu9kh9nmpfu3rb1161jbwydt9cco"

static char told[65536];

/* What an event makes of the log, without the time and the name before it; "": nothing. */
static const char *line_of(struct event_log *log, enum log_level level, const char *kind,
			   const char *fields, uint64_t now_ns)
{
	json_t *json = json_loads(fields, 0, NULL);
	int fd = memfd_create("log", 0), kept = dup(STDERR_FILENO);
	const char *start;
	ssize_t len;

	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	log_init(level);
	api_event_log_write(log, kind, json, now_ns);
	dup2(kept, STDERR_FILENO);
	close(kept);
	json_decref(json);
	len = pread(fd, told, sizeof(told) - 1, 0);
	close(fd);
	told[len > 0 ? len : 0] = '\0';
	start = strstr(told, level == LOG_DEBUG ? "debug: " : "info: ");
	return start ? strchr(start, ' ') + 1 : told;
}

static void test_a_line_names_the_subsystem_the_event_and_the_fields(void)
{
	static const struct {
		const char *kind, *fields, *line;
	} rows[] = {
		{"share.added", "{}", "share: added\n"},
		{"started", "{}", "started\n"},
		{"get.done", "{\"id\": 3, \"ok\": true, \"bad\": false, \"none\": null}",
		 "get: done id=3 ok=yes bad=no\n"},
		{"a.b", "{\"text\": \"word\", \"more\": \"two words\"}",
		 "a: b text=word more=\"two words\"\n"},
		{"a.b", "{\"text\": \"\"}", "a: b text=\"\"\n"},
		{"a.b", "{\"text\": \"x=y\"}", "a: b text=\"x=y\"\n"},
		{"a.b", "{\"text\": \"l1\\nl2\"}", "a: b text=\"l1\\nl2\"\n"},
		{"a.b", "{\"id\": \"" ID "\"}", "a: b id=ubdotdhm\n"},
		{"a.b", "{\"list\": [1, 2]}", "a: b list=[1,2]\n"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct event_log log = {.info = {.second = 0}};

		CHECK_STR(line_of(&log, LOG_INFO, rows[i].kind, rows[i].fields, NS_PER_S),
			  rows[i].line);
	}
}

static void test_a_long_line_is_cut_and_stays_one(void)
{
	struct event_log log = {.info = {.second = 0}};
	char fields[2048] = "{\"text\": \"";
	const char *line;

	memset(fields + 10, 'x', 1500);
	strcpy(fields + 1510, "\", \"more\": 1}");
	line = line_of(&log, LOG_INFO, "a.b", fields, NS_PER_S);
	CHECK_EQ(strlen(line), 512);
	CHECK(strchr(line, '\n') == line + 511);
}

static void test_what_comes_again_and_again_is_for_debugging(void)
{
	static const char *const quiet[] = {"get.progress", "import.progress",	  "peer.looked-for",
					    "get.failed",   "share.file-changed", "peer.bad-bytes",
					    "file.bad"};

	for (size_t i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++) {
		struct event_log log = {.info = {.second = 0}};

		CHECK_STR(line_of(&log, LOG_INFO, quiet[i], "{}", NS_PER_S), "");
		CHECK(line_of(&log, LOG_DEBUG, quiet[i], "{}", NS_PER_S)[0]);
	}
}

static void test_a_second_has_twenty_lines_and_the_next_one_counts_what_was_left_out(void)
{
	struct event_log log = {.info = {.second = 0}};

	for (unsigned i = 0; i < EVENT_LOG_PER_S; i++)
		CHECK_STR(line_of(&log, LOG_INFO, "a.b", "{}", 5 * NS_PER_S + i), "a: b\n");
	CHECK_STR(line_of(&log, LOG_INFO, "a.b", "{}", 5 * NS_PER_S + 30), "");
	CHECK_STR(line_of(&log, LOG_INFO, "a.b", "{}", 6 * NS_PER_S - 1), "");
	CHECK_STR(line_of(&log, LOG_INFO, "a.b", "{}", 6 * NS_PER_S), "a: b left_out=2\n");
	CHECK_STR(line_of(&log, LOG_INFO, "a.b", "{}", 6 * NS_PER_S), "a: b\n");
}

/* Lines for debugging have a second's share of their own. */
static void test_a_flood_of_progress_hides_no_event(void)
{
	struct event_log log = {.info = {.second = 0}};

	for (unsigned i = 0; i < 2 * EVENT_LOG_PER_S; i++)
		(void)line_of(&log, LOG_DEBUG, "get.progress", "{}", NS_PER_S);
	CHECK_STR(line_of(&log, LOG_INFO, "get.done", "{}", NS_PER_S), "get: done\n");
}

int main(void)
{
	RUN(test_a_line_names_the_subsystem_the_event_and_the_fields);
	RUN(test_a_long_line_is_cut_and_stays_one);
	RUN(test_what_comes_again_and_again_is_for_debugging);
	RUN(test_a_second_has_twenty_lines_and_the_next_one_counts_what_was_left_out);
	RUN(test_a_flood_of_progress_hides_no_event);
	return check_done();
}
