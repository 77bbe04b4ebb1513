/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process/last_crash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_CAP 4200

static const char *report_path(const char *dir, const char *name, char path[static PATH_CAP])
{
	snprintf(path, PATH_CAP, "%s/%s", dir, name);
	return path;
}

static void line_parse(const char *line, struct last_crash *crash)
{
	uint64_t offset;

	(void)(sscanf(line, "version %31s", crash->version) == 1 ||
	       sscanf(line, "build %40[0-9a-z]", crash->build) == 1 ||
	       sscanf(line, "died_at %" SCNu64, &crash->died_at_s) == 1 ||
	       sscanf(line, "signal %15[A-Z]", crash->signal) == 1 ||
	       sscanf(line, "code %u", &crash->code) == 1 ||
	       sscanf(line, "sender %u", &crash->sender) == 1 ||
	       sscanf(line, "thread %15[-a-z0-9 ]", crash->thread) == 1 ||
	       sscanf(line, "invariant %79s", crash->invariant) == 1);
	if (sscanf(line, "pc +0x%" SCNx64, &offset) == 1) {
		crash->has_pc = true;
		crash->pc = offset;
	} else if (sscanf(line, "return +0x%" SCNx64, &offset) == 1 &&
		   crash->return_cnt < CRASH_RETURNS_MAX) {
		crash->returns[crash->return_cnt++] = offset;
	}
}

bool last_crash_parse(const char *text, struct last_crash *out_crash)
{
	struct last_crash crash = {0};
	size_t magic_len = strlen(CRASH_REPORT_MAGIC "\n");

	if (strncmp(text, CRASH_REPORT_MAGIC "\n", magic_len) != 0)
		return false;
	for (const char *line = text + magic_len; *line; line += *line == '\n') {
		line_parse(line, &crash);
		line += strcspn(line, "\n");
	}
	if (!crash.died_at_s || !crash.signal[0])
		return false;
	*out_crash = crash;
	return true;
}

static const char *reason_of(const struct last_crash *crash)
{
	bool is_segv = strcmp(crash->signal, "SIGSEGV") == 0;

	if (crash->sender)
		return "sent by a process";
	if (is_segv && crash->code == SEGV_MAPERR)
		return "nothing is mapped there";
	if (is_segv && crash->code == SEGV_ACCERR)
		return "access not allowed";
	if (crash->invariant[0])
		return "a broken invariant";
	return strcmp(crash->signal, "SIGABRT") == 0 ? "a failed check" : "a fault";
}

const char *last_crash_format(const struct last_crash *crash, char text[LAST_CRASH_TEXT_CAP])
{
	time_t died_at = (time_t)crash->died_at_s;
	struct tm tm;
	char when[32] = "", pc[32] = "outside the program";
	int len;

	if (gmtime_r(&died_at, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (crash->has_pc)
		snprintf(pc, sizeof(pc), "+0x%" PRIx64, crash->pc);
	len = snprintf(text, LAST_CRASH_TEXT_CAP,
		       "weftd %s died at %s of %s (%s%s%s) in thread %s at %s, build %s",
		       crash->version, when, crash->signal, reason_of(crash),
		       crash->invariant[0] ? ", " : "", crash->invariant, crash->thread, pc,
		       crash->build);
	for (unsigned i = 0; i < crash->return_cnt && len < LAST_CRASH_TEXT_CAP - 32; i++)
		len += snprintf(text + len, LAST_CRASH_TEXT_CAP - (size_t)len, "%s+0x%" PRIx64,
				i ? " " : ", called from ", crash->returns[i]);
	return text;
}

/* Record locks go with the process alone: a child that outlives it holds none. */
static bool report_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_SETLK, &lock) == 0;
}

static int report_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	if (report_lock(fd))
		return fd;
	close(fd);
	return -EBUSY;
}

int last_crash_open(const char *dir, struct last_crash *out_crash)
{
	char path[PATH_CAP], kept[PATH_CAP], text[CRASH_REPORT_CAP + 1];
	int fd = report_open(report_path(dir, "crash.report", path));
	ssize_t len;

	*out_crash = (struct last_crash){0};
	if (fd < 0)
		return fd;
	len = read(fd, text, sizeof(text) - 1);
	if (len > 0) {
		text[len] = '\0';
		(void)last_crash_parse(text, out_crash);
		(void)rename(path, report_path(dir, "crash.last", kept));
		close(fd);
		fd = report_open(path);
		if (fd < 0)
			return fd;
	}
	/* A full disk is one reason to crash. */
	(void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, CRASH_REPORT_CAP);
	crash_report_to(fd);
	return fd;
}

void last_crash_close(const char *dir, int fd)
{
	char path[PATH_CAP];

	if (fd < 0)
		return;
	crash_report_to(-1);
	(void)unlink(report_path(dir, "crash.report", path));
	close(fd);
}
