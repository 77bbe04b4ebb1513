/* SPDX-License-Identifier: Apache-2.0 */
/* From fork to execve, in the process that becomes the program. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/process/privilege.h"

#define FIRST_FREE_FD 3

void provider_spawn_report_failure(int report, enum launch_step step, int err)
{
	const struct spawn_report said = {.step = step, .err = (uint32_t)err};

	(void)!write(report, &said, sizeof(said));
}

static int int_order(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void provider_spawn_close_except(int *kept, unsigned cnt)
{
	unsigned from = 0;

	qsort(kept, cnt, sizeof(*kept), int_order);
	for (unsigned i = 0; i < cnt; i++) {
		if (kept[i] < 0)
			continue;
		if ((unsigned)kept[i] > from)
			(void)close_range(from, (unsigned)kept[i] - 1, 0);
		from = (unsigned)kept[i] + 1;
	}
	(void)close_range(from, ~0u, 0);
}

static int files_arrange(const struct spawn *spawn, int *out_report)
{
	/* Out of the way first, so that none of them is overwritten. */
	int report = fcntl(spawn->report, F_DUPFD_CLOEXEC, 2 * FIRST_FREE_FD);
	int files[LAUNCH_FD_CNT];

	if (report < 0)
		return errno;
	for (int i = 0; i < LAUNCH_FD_CNT; i++)
		if ((files[i] = fcntl(spawn->files[i], F_DUPFD_CLOEXEC, 2 * FIRST_FREE_FD)) < 0)
			return errno;
	for (int i = 0; i < LAUNCH_FD_CNT; i++)
		if (dup2(files[i], i) < 0)
			return errno;
	if (dup3(report, FIRST_FREE_FD, O_CLOEXEC) < 0 ||
	    close_range(FIRST_FREE_FD + 1, ~0u, 0) < 0)
		return errno;
	*out_report = FIRST_FREE_FD;
	(void)umask(0077);
	return chdir("/") < 0 ? errno : 0;
}

static bool limit_set(int resource, uint64_t value)
{
	struct rlimit limit;

	/* An ordinary user may not raise a limit that is lower already. */
	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return false;
	if (value < limit.rlim_max)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &limit) == 0;
}

static int limits_set(const struct spawn *spawn)
{
	const struct launch_start *start = spawn->start;

	if (limit_set(RLIMIT_AS, start->memory_len_max) &&
	    limit_set(RLIMIT_CPU, start->cpu_s_max) && limit_set(RLIMIT_CORE, 0) &&
	    limit_set(RLIMIT_NOFILE, SPAWN_FILES_MAX) && limit_set(RLIMIT_MEMLOCK, 65536) &&
	    limit_set(RLIMIT_MSGQUEUE, 0) &&
	    (!spawn->has_own_processes || limit_set(RLIMIT_NPROC, SPAWN_PROCESSES_MAX)))
		return 0;
	return errno ? errno : EPERM;
}

static int user_change(const struct launch_start *start)
{
	if (start->uid == LAUNCH_USER_SAME) {
		/* Not for an ordinary user, which keeps its groups. */
		(void)setgroups(0, NULL);
		return 0;
	}
	if (setgroups(0, NULL) < 0 || setresgid(start->gid, start->gid, start->gid) < 0 ||
	    setresuid(start->uid, start->uid, start->uid) < 0)
		return errno;
	return 0;
}

/*
 * The bounding set and the secure bits take CAP_SETPCAP; without it no
 * capability can be gained either, by PR_SET_NO_NEW_PRIVS and the empty sets.
 */
static int bounds_drop(void)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return errno;
	if (!privilege_has(CAP_SETPCAP))
		return 0;
	if (prctl(PR_SET_SECUREBITS, bits) < 0)
		return errno;
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) < 0)
			return errno;
	return 0;
}

static int privileges_drop(void)
{
	int err = privilege_drop_all();

	if (err < 0)
		return -err;
	/* A change of user clears it, so it comes last. */
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? errno : 0;
}

static void signals_reset(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &action, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int program_become(const struct launch_start *start)
{
	if (start->flags & LAUNCH_CHECK) {
		struct stat st;

		if (stat(start->argv[0], &st) < 0)
			return errno;
		if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, start->argv[0], X_OK, AT_EACCESS))
			return EACCES;
		_exit(0);
	}
	execve(start->argv[0], (char *const *)start->argv, (char *const *)start->envp);
	return errno;
}

_Noreturn void provider_spawn_program(const struct spawn *spawn)
{
	const struct launch_start *start = spawn->start;
	enum launch_step step = LAUNCH_STEP_FILES;
	int report = spawn->report, err;

	(void)setsid();
	err = files_arrange(spawn, &report);
	if (err == 0) {
		step = LAUNCH_STEP_PRIVILEGES;
		err = bounds_drop();
	}
	if (err == 0) {
		step = LAUNCH_STEP_USER;
		err = user_change(start);
	}
	if (err == 0) {
		step = LAUNCH_STEP_LIMITS;
		err = limits_set(spawn);
	}
	if (err == 0) {
		step = LAUNCH_STEP_PRIVILEGES;
		err = privileges_drop();
	}
	if (err == 0) {
		step = LAUNCH_STEP_EXEC;
		signals_reset();
		err = program_become(start);
	}
	provider_spawn_report_failure(report, step, err);
	_exit(127);
}
