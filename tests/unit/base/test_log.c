/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "support/check.h"
#include "weft/err.h"

static int saved_fd, pipe_fd;

/* From here to stderr_read, what is written to stderr goes into a pipe. */
static void stderr_catch(void)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		abort();
	saved_fd = dup(STDERR_FILENO);
	pipe_fd = fds[0];
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
}

static char *stderr_read(void)
{
	static char text[8192];
	ssize_t len;

	dup2(saved_fd, STDERR_FILENO);
	close(saved_fd);
	len = read(pipe_fd, text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = '\0';
	close(pipe_fd);
	return text;
}

static void test_the_level_limits_what_is_written(void)
{
	char *text;

	stderr_catch();
	unsetenv("JOURNAL_STREAM");
	log_init(LOG_NOTICE);
	log_info("quiet");
	log_notice("port %d", 7000);
	text = stderr_read();
	CHECK(!strstr(text, "quiet"));
	CHECK(strstr(text, "Z weftd notice: port 7000\n"));
}

static void test_journald_gets_a_priority_and_a_foreign_stream_does_not(void)
{
	char stream[64];
	struct stat st;
	char *text;

	stderr_catch();
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(LOG_INFO);
	log_error("lost");
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(LOG_INFO);
	log_error("found");
	text = stderr_read();
	unsetenv("JOURNAL_STREAM");
	CHECK(strncmp(text, "<3>lost\n", 8) == 0);
	CHECK(strstr(text, "weftd error: found\n"));
	CHECK(!strstr(text, "<3>found"));
}

static void test_a_message_stays_one_line(void)
{
	char name[3000];
	char *text;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	stderr_catch();
	log_init(LOG_INFO);
	log_info("%s", "a\n<3>b\x1b[2J");
	log_info("%s", name);
	text = stderr_read();
	CHECK(strstr(text, "a?<3>b?[2J\n"));
	CHECK_EQ(strlen(strchr(text, '\n') + 1), 1023);
	CHECK_EQ(text[strlen(text) - 1], '\n');
}

static void test_every_error_code_has_words_of_its_own(void)
{
	for (int err = WEFT_EFULL; err >= WEFT_ESEALED; err--) {
		CHECK(strcmp(weft_err_text(err), "unknown error") != 0);
		for (int other = WEFT_EFULL; other > err; other--)
			CHECK(strcmp(weft_err_text(err), weft_err_text(other)) != 0);
	}
	CHECK_STR(weft_err_text(WEFT_ESEALED - 1), "unknown error");
	CHECK_STR(weft_err_text(-ENOENT), "No such file or directory");
	CHECK_STR(weft_err_text(-999), "unknown error");
	CHECK_STR(weft_err_text(INT_MIN), "unknown error");
	CHECK_STR(weft_err_text(0), "no error");
	CHECK_STR(weft_err_text(INT_MAX), "no error");
}

int main(void)
{
	RUN(test_the_level_limits_what_is_written);
	RUN(test_journald_gets_a_priority_and_a_foreign_stream_does_not);
	RUN(test_a_message_stays_one_line);
	RUN(test_every_error_code_has_words_of_its_own);
	return check_done();
}
