/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/process/last_crash.h"
#include "support/check.h"

static const char whole[] = CRASH_REPORT_MAGIC "\nversion 0.1.0\nbuild 00ff\ndied_at 1700000000\n"
					       "signal SIGSEGV\ncode 1\nthread worker-1\n"
					       "pc +0x1234\nreturn +0x10\nreturn +0x20\nend\n";

static void test_a_report_is_read_whole(void)
{
	struct last_crash crash;
	char text[LAST_CRASH_TEXT_CAP];

	CHECK(last_crash_parse(whole, &crash));
	CHECK_STR(last_crash_format(&crash, text),
		  "weftd 0.1.0 died at 2023-11-14T22:13:20Z of SIGSEGV (nothing is mapped there) "
		  "in thread worker-1 at +0x1234, build 00ff, called from +0x10 +0x20");
}

/* A stack that cannot be read ends the handler; the head is enough. */
static void test_every_prefix_with_time_and_signal_is_a_report(void)
{
	size_t needed = (size_t)(strstr(whole, "SIGSEGV") - whole) + 1;
	struct last_crash crash;
	char text[sizeof(whole)];

	for (size_t len = 0; len < sizeof(whole); len++) {
		memcpy(text, whole, len);
		text[len] = '\0';
		CHECK_EQ(last_crash_parse(text, &crash), len >= needed);
	}
}

static void test_more_returns_than_fit_are_left_out(void)
{
	char text[CRASH_REPORT_CAP], sentence[LAST_CRASH_TEXT_CAP];
	struct last_crash crash;
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", whole);

	for (unsigned i = 2; i <= CRASH_RETURNS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"return +0xffffffffffffff%02x\n", i);
	CHECK(last_crash_parse(text, &crash));
	CHECK_EQ(crash.return_cnt, CRASH_RETURNS_MAX);
	CHECK(strlen(last_crash_format(&crash, sentence)) < LAST_CRASH_TEXT_CAP - 1);
}

static void test_what_is_no_report_is_refused(void)
{
	struct last_crash crash = {.died_at_s = 7};

	CHECK(!last_crash_parse("", &crash));
	CHECK(!last_crash_parse("weft-crash 2\ndied_at 1\nsignal SIGSEGV\n", &crash));
	CHECK(!last_crash_parse(CRASH_REPORT_MAGIC "\ndied_at 1\n", &crash));
	CHECK_EQ(crash.died_at_s, 7);
}

/* die runs in a child: it dies of an invariant with its report in dir. */
static int die(const char *dir)
{
	struct last_crash before;
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		(void)dup2(null, STDERR_FILENO);
		(void)crash_arm("0.0.1");
		crash_thread_begin("home");
		if (last_crash_open(dir, &before) >= 0)
			weft_assert(!"reached");
		_exit(1);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_the_next_run_reads_what_the_last_died_of(void)
{
	char dir[] = "/tmp/weft-crash-XXXXXX", path[64];
	struct last_crash crash;
	struct stat st;
	int fd;

	CHECK(mkdtemp(dir));
	CHECK_EQ(die(dir), SIGABRT);
	fd = last_crash_open(dir, &crash);
	CHECK(fd >= 0);
	CHECK(crash.died_at_s > 0 && crash.return_cnt > 0);
	CHECK_STR(crash.signal, "SIGABRT");
	CHECK_STR(crash.thread, "home");
	CHECK(strstr(crash.invariant, "test_last_crash.c:"));
	last_crash_close(dir, fd);
	/* Told once: the run after that finds nothing, and the report is kept. */
	fd = last_crash_open(dir, &crash);
	CHECK_EQ(crash.died_at_s, 0);
	last_crash_close(dir, fd);
	snprintf(path, sizeof(path), "%s/crash.last", dir);
	CHECK_EQ(stat(path, &st), 0);
	unlink(path);
	CHECK_EQ(rmdir(dir), 0);
}

int main(void)
{
	RUN(test_a_report_is_read_whole);
	RUN(test_every_prefix_with_time_and_signal_is_a_report);
	RUN(test_more_returns_than_fit_are_left_out);
	RUN(test_what_is_no_report_is_refused);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	RUN(test_the_next_run_reads_what_the_last_died_of);
#endif
	return check_done();
}
