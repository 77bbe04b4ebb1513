/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfork and execve. The child borrows our memory until execve, so it calls
 * nothing but the system and writes nothing but its error; our signals are
 * blocked meanwhile, lest a handler of ours runs in it.
 */
#include "provider/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN, OUT, ERR, PIPE_CNT };

struct pipes {
	int ours[PIPE_CNT], theirs[PIPE_CNT];
};

static void ends_close(const int ends[static PIPE_CNT])
{
	for (unsigned i = 0; i < PIPE_CNT; i++)
		if (ends[i] >= 0)
			close(ends[i]);
}

static int pipes_open(struct pipes *pipes)
{
	for (unsigned i = 0; i < PIPE_CNT; i++)
		pipes->ours[i] = pipes->theirs[i] = -1;
	for (unsigned i = 0; i < PIPE_CNT; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) < 0)
			goto close_ends;
		pipes->ours[i] = ends[i == IN];
		pipes->theirs[i] = ends[i != IN];
		if (fcntl(pipes->ours[i], F_SETFL, O_NONBLOCK) < 0)
			goto close_ends;
	}
	return 0;
close_ends:;
	int err = -errno;

	ends_close(pipes->ours);
	ends_close(pipes->theirs);
	return err;
}

static bool limits_set(const struct spawn *spawn)
{
	const struct rlimit memory = {spawn->memory_len_max, spawn->memory_len_max};
	const struct rlimit cpu = {spawn->cpu_s_max, spawn->cpu_s_max};
	const struct rlimit core = {0, 0};

	return setrlimit(RLIMIT_AS, &memory) == 0 && setrlimit(RLIMIT_CPU, &cpu) == 0 &&
	       setrlimit(RLIMIT_CORE, &core) == 0;
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

/* What the child does; it comes back only with an error. */
static int child_run(const struct spawn *spawn, const struct pipes *pipes, pid_t parent)
{
	if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return errno;
	if (getppid() != parent)
		return ESRCH;
	for (int i = 0; i < PIPE_CNT; i++)
		if (dup2(pipes->theirs[i], i) < 0)
			return errno;
	if (close_range(PIPE_CNT, ~0u, 0) < 0 || chdir("/") < 0 || !limits_set(spawn))
		return errno;
	signals_reset();
	execve(spawn->path, spawn->argv, spawn->envp);
	return errno;
}

/* Its locals are the child's too while it runs: nothing is done here but this. */
static pid_t __attribute__((noinline)) child_start(const struct spawn *spawn,
						   const struct pipes *pipes, volatile int *out_err)
{
	pid_t parent = getpid();
	pid_t pid = vfork();

	if (pid == 0) {
		*out_err = child_run(spawn, pipes, parent);
		_exit(127);
	}
	return pid;
}

int spawn_run(const struct spawn *spawn, struct spawned *out_spawned)
{
	volatile int child_err = 0;
	struct spawned spawned;
	struct pipes pipes;
	sigset_t all, before;
	int err = pipes_open(&pipes);

	if (err < 0)
		return err;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	spawned.pid = child_start(spawn, &pipes, &child_err);
	err = spawned.pid < 0 ? -errno : -child_err;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	ends_close(pipes.theirs);
	if (spawned.pid < 0)
		goto close_ours;
	spawned.pidfd = err < 0 ? -1 : pidfd_open(spawned.pid, 0);
	if (spawned.pidfd < 0) {
		err = err < 0 ? err : -errno;
		(void)kill(spawned.pid, SIGKILL);
		(void)waitpid(spawned.pid, NULL, 0);
		goto close_ours;
	}
	spawned.in = pipes.ours[IN];
	spawned.out = pipes.ours[OUT];
	spawned.err = pipes.ours[ERR];
	*out_spawned = spawned;
	return 0;
close_ours:
	ends_close(pipes.ours);
	return err;
}

void spawn_kill(const struct spawned *spawned)
{
	(void)kill(-spawned->pid, SIGKILL);
}

int spawn_reap(const struct spawned *spawned)
{
	siginfo_t info = {.si_pid = 0};

	while (waitid(P_PID, (id_t)spawned->pid, &info, WEXITED) < 0)
		if (errno != EINTR)
			return -errno;
	return info.si_code == CLD_EXITED ? info.si_status & 0xff : 256 + info.si_status;
}
