/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process for each call, with one thread. All signals are blocked, as
 * its launcher left them.
 */
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "spawn.h"
#include "sweep.h"

/* sweep_all returns when no child is left, so none that could make another. */
static void sweep_all(void)
{
	do
		(void)provider_sweep_children(NULL, NULL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
}

static uint32_t code_of(int status)
{
	return WIFSIGNALED(status) ? 256 + (uint32_t)WTERMSIG(status)
				   : (uint32_t)WEXITSTATUS(status);
}

/* children_reap: true when leader is among the ended children. */
static bool children_reap(pid_t leader, int *out_status)
{
	bool is_over = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == leader) {
			*out_status = status;
			is_over = true;
		}
	return is_over;
}

/* leader_wait: false when it is to be ended. */
static bool leader_wait(pid_t leader, int life, int *out_status)
{
	struct pollfd fds[] = {{.fd = life}, {.fd = -1, .events = POLLIN}};
	struct signalfd_siginfo info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	fds[1].fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fds[1].fd < 0)
		return false;
	while (!children_reap(leader, out_status)) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return false;
		if (fds[0].revents)
			return false;
		while (read(fds[1].fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
			if (info.ssi_signo == SIGTERM)
				return false;
	}
	return true;
}

static _Noreturn void program_keep(const struct supervisor *supervisor, pid_t leader)
{
	struct spawn_report said = {.is_ended = 1, .code = 256 + SIGKILL};
	int kept[] = {supervisor->report, supervisor->life}, status;

	provider_spawn_close_except(kept, sizeof(kept) / sizeof(kept[0]));
	if (leader_wait(leader, supervisor->life, &status))
		said.code = code_of(status);
	/* The first of a process namespace takes all others with it. */
	if (!supervisor->confine)
		sweep_all();
	(void)!write(supervisor->report, &said, sizeof(said));
	_exit(0);
}

static _Noreturn void supervisor_fail(const struct supervisor *supervisor, enum launch_step step,
				      int err)
{
	provider_spawn_report_failure(supervisor->report, step, err);
	_exit(127);
}

static _Noreturn void supervisor_run(const struct supervisor *supervisor)
{
	const struct spawn spawn = {
		.start = supervisor->start,
		.files = supervisor->files,
		.report = supervisor->report,
		.has_own_processes = supervisor->has_own_processes,
	};
	int kept[] = {supervisor->files[0], supervisor->files[1], supervisor->files[2],
		      supervisor->report, supervisor->life};
	pid_t leader;
	int err;

	provider_spawn_close_except(kept, sizeof(kept) / sizeof(kept[0]));
	(void)prctl(PR_SET_NAME, "weft-keeper");
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (supervisor->cgroup[0] && !provider_cgroup_enter(supervisor->cgroup))
		supervisor_fail(supervisor, LAUNCH_STEP_LIMITS, errno);
	if (supervisor->confine) {
		err = provider_confine_enter(supervisor->confine);
		if (err < 0)
			supervisor_fail(supervisor, LAUNCH_STEP_HIDE, -err);
	}
	if (!supervisor->start)
		_exit(0);
	leader = fork();
	if (leader < 0)
		supervisor_fail(supervisor, LAUNCH_STEP_FORK, errno);
	if (leader == 0)
		provider_spawn_program(&spawn);
	program_keep(supervisor, leader);
}

pid_t provider_supervisor_fork(const struct supervisor *supervisor)
{
	pid_t pid = supervisor->confine ? provider_confine_fork(supervisor->confine) : fork();

	if (pid == 0)
		supervisor_run(supervisor);
	return pid;
}
