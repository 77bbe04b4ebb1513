/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that starts programs. It was forked before weftd read its configuration and key, so
 * it has no secret. It parses weftd's requests as if weftd were hostile, and decides here which
 * ones it allows.
 *
 * Inbound: process_turn -> message_take -> setup_take, start_take, kill_take.
 * A program's end: SIGCHLD -> supervisors_reap -> slot_over -> slot_settle, which
 * says FAILED or ENDED when nothing of the program is left. One thread.
 */
#include "launcher_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/process/privilege.h"
#include "cgroup.h"
#include "confine.h"
#include "supervisor.h"
#include "launch_message.h"
#include "spawn.h"
#include "sweep.h"

#define PROGRAM_CAP_MAX 8192		 /* 4,096 processes, and a check of each of 4,096 offers */
#define SETTLE_NS	(10 * NS_PER_MS) /* between two looks at what is ending */
#define NOBODY		65534

struct slot {
	uint64_t id;
	pid_t supervisor; /* 0: it has ended */
	int report;	  /* its end to read */
	uint64_t ends_ns; /* killed then */
	bool is_used;
	bool is_whole; /* a process namespace: the supervisor's end is the end of all */
	char cgroup[CGROUP_PATH_CAP];
	struct launch_message last; /* the message for the end of all */
};

struct process {
	int fd, signals;
	int life[2]; /* keepers have the first, and see the second go */
	struct slot *slots;
	unsigned slot_cap;
	uint8_t setup_data[LAUNCH_MESSAGE_LEN_MAX]; /* its texts lie here */
	struct launch_setup setup;
	struct confine confine;
	struct cgroup cgroup;
	struct launch_ready ready;
	struct ucred daemon; /* weftd's credentials since it chose its user */
	bool is_set_up;
};

static void say(struct process *process, const struct launch_message *message)
{
	uint8_t data[LAUNCH_MESSAGE_LEN_MAX];
	int len = provider_launch_write(message, data);

	/* Waits for a slow weftd; the next read finds out a dead one. */
	if (len > 0)
		(void)!send(process->fd, data, (size_t)len, MSG_NOSIGNAL);
}

static void say_failed(struct process *process, uint64_t id, enum launch_step step, int err)
{
	const struct launch_message message = {
		.kind = LAUNCH_FAILED,
		.end = {.id = id, .step = step, .err = (uint32_t)err},
	};

	say(process, &message);
}

/* --- the end of a program --- */

static void slot_kill(struct slot *slot)
{
	if (slot->cgroup[0])
		provider_cgroup_kill(slot->cgroup);
	/* Without a process namespace the supervisor has to end the others first. */
	if (slot->supervisor)
		(void)kill(slot->supervisor, slot->is_whole ? SIGKILL : SIGTERM);
}

static bool is_supervisor(void *arg, pid_t pid)
{
	const struct process *process = arg;

	for (unsigned i = 0; i < process->slot_cap; i++)
		if (process->slots[i].is_used && process->slots[i].supervisor == pid)
			return true;
	return false;
}

/* slot_settle says the last word when nothing is left; false: something is. */
static bool slot_settle(struct process *process, struct slot *slot)
{
	if (!slot->is_whole && provider_sweep_children(is_supervisor, process) > 0)
		return false;
	if (slot->cgroup[0]) {
		provider_cgroup_kill(slot->cgroup);
		if (!provider_cgroup_remove(slot->cgroup))
			return false;
	}
	say(process, &slot->last);
	slot->is_used = false;
	return true;
}

/* slot_over: the supervisor has ended and its report is read. */
static void slot_over(struct process *process, struct slot *slot)
{
	struct spawn_report said;
	bool is_said = read(slot->report, &said, sizeof(said)) == (ssize_t)sizeof(said);

	close(slot->report);
	slot->report = -1;
	slot->supervisor = 0;
	slot->last = (struct launch_message){
		.kind = LAUNCH_ENDED,
		.end = {.id = slot->id, .code = 256 + SIGKILL},
	};
	if (is_said && said.is_ended) {
		slot->last.end.code = said.code;
	} else if (is_said) {
		slot->last.kind = LAUNCH_FAILED;
		slot->last.end.step = (enum launch_step)said.step;
		slot->last.end.err = said.err;
	}
	(void)slot_settle(process, slot);
}

static void supervisors_reap(struct process *process)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (unsigned i = 0; i < process->slot_cap; i++)
			if (process->slots[i].is_used && process->slots[i].supervisor == pid)
				slot_over(process, &process->slots[i]);
}

/* slots_expire: when to look again, in milliseconds of poll. */
static int slots_expire(struct process *process, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	for (unsigned i = 0; i < process->slot_cap; i++) {
		struct slot *slot = &process->slots[i];

		if (!slot->is_used || (!slot->supervisor && slot_settle(process, slot)))
			continue;
		if (slot->supervisor && now_ns >= slot->ends_ns) {
			slot_kill(slot);
			slot->ends_ns = now_ns + NS_PER_S;
		}
		if (!slot->supervisor)
			next_ns = now_ns + SETTLE_NS;
		else if (slot->ends_ns < next_ns)
			next_ns = slot->ends_ns;
	}
	if (next_ns == UINT64_MAX)
		return -1;
	return (int)((next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
}

/* --- weftd's requests --- */

/* supervisor_try: 0 or errno of a supervisor that only makes its surroundings. */
static int supervisor_try(struct process *process)
{
	const struct supervisor supervisor = {
		.confine = &process->confine,
		.cgroup = "",
		.files = {-1, -1, -1},
		.life = process->life[0],
		.report = -1,
	};
	struct spawn_report said = {.is_ended = 0};
	struct supervisor with_report = supervisor;
	int report[2], err = 0;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return errno;
	with_report.report = report[1];
	pid = provider_supervisor_fork(&with_report);
	if (pid < 0)
		err = errno;
	close(report[1]);
	if (pid > 0 && read(report[0], &said, sizeof(said)) > 0)
		err = (int)said.err;
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	close(report[0]);
	return err;
}

/* user_try: another user can really be had; one of a user namespace may not be mapped. */
static bool user_try(void)
{
	int status = -1;
	pid_t pid;

	if (!privilege_has(CAP_SETUID) || !privilege_has(CAP_SETGID))
		return false;
	pid = fork();
	if (pid == 0)
		_exit(setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		      setresuid(NOBODY, NOBODY, NOBODY) < 0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool setup_take(struct process *process, const struct launch_message *message)
{
	struct launch_message answer = {.kind = LAUNCH_READY};
	int err;

	if (process->is_set_up || process->daemon.pid <= 0 || message->setup.program_cap == 0 ||
	    message->setup.program_cap > PROGRAM_CAP_MAX)
		return false;
	process->setup = message->setup;
	process->slot_cap = message->setup.program_cap;
	process->slots = calloc(process->slot_cap, sizeof(*process->slots));
	if (!process->slots)
		return false;
	process->is_set_up = true;
	provider_confine_init(&process->confine, &process->setup);
	provider_cgroup_find(&process->cgroup);
	err = supervisor_try(process);
	process->ready = (struct launch_ready){
		.can_change_user = user_try(),
		.can_hide = err == 0,
		.has_cgroup = process->cgroup.base[0],
		.hide_err = (uint32_t)err,
	};
	answer.ready = process->ready;
	say(process, &answer);
	return true;
}

static struct slot *slot_acquire(struct process *process)
{
	for (unsigned i = 0; i < process->slot_cap; i++)
		if (!process->slots[i].is_used)
			return &process->slots[i];
	return NULL;
}

/*
 * start_allow decides which starts weftd may ask for. Only a weftd of root starts programs as root.
 * Names the user in start, LAUNCH_USER_SAME where it is the launcher's, and sets *out_is_whole.
 */
static int start_allow(const struct process *process, struct launch_start *start,
		       enum launch_step *out_step, bool *out_is_whole)
{
	bool is_unconfined = start->flags & LAUNCH_UNCONFINED, is_daemon, is_change;

	if (start->uid == LAUNCH_USER_SAME) {
		start->uid = process->daemon.uid;
		start->gid = process->daemon.gid;
	}
	is_daemon = start->uid == process->daemon.uid;
	is_change = start->uid != process->confine.uid;
	*out_step = LAUNCH_STEP_USER;
	if ((is_change && !process->ready.can_change_user) ||
	    (process->daemon.uid != 0 && (start->uid == 0 || start->gid == 0)))
		return EPERM;
	if (!is_change)
		start->uid = start->gid = LAUNCH_USER_SAME;
	/* A user namespace of one user has no place for another. */
	*out_is_whole = !is_unconfined && process->ready.can_hide &&
			(!is_change || process->confine.is_privileged);
	*out_step = LAUNCH_STEP_HIDE;
	if (!is_unconfined && is_daemon && !*out_is_whole)
		return process->ready.hide_err ? (int)process->ready.hide_err : EPERM;
	return 0;
}

static void start_take(struct process *process, struct launch_start *start, const int *files)
{
	struct slot *slot = slot_acquire(process);
	struct supervisor supervisor = {
		.start = start,
		.life = process->life[0],
		.files = {files[0], files[1], files[2]},
	};
	enum launch_step step = LAUNCH_STEP_FORK;
	bool is_whole = false;
	int report[2] = {-1, -1}, err = slot ? 0 : EAGAIN;

	if (err == 0)
		err = start_allow(process, start, &step, &is_whole);
	if (err == 0 && pipe2(report, O_CLOEXEC | O_NONBLOCK) < 0) {
		step = LAUNCH_STEP_FILES;
		err = errno;
	}
	if (err) {
		say_failed(process, start->id, step, err);
		return;
	}
	*slot = (struct slot){.id = start->id, .report = report[0], .is_whole = is_whole};
	(void)provider_cgroup_make(&process->cgroup, start->id, start->memory_len_max,
				   slot->cgroup);
	supervisor.report = report[1];
	supervisor.cgroup = slot->cgroup;
	supervisor.confine = is_whole ? &process->confine : NULL;
	/*
	 * The user's other processes count where neither namespace nor user is the program's own.
	 */
	supervisor.has_own_processes =
		start->uid != LAUNCH_USER_SAME || (is_whole && !process->confine.is_privileged);
	slot->supervisor = provider_supervisor_fork(&supervisor);
	err = errno;
	close(report[1]);
	slot->ends_ns = clock_monotonic_ns() + start->life_ms * NS_PER_MS;
	slot->is_used = slot->supervisor > 0;
	if (slot->is_used)
		return;
	close(report[0]);
	(void)provider_cgroup_remove(slot->cgroup);
	say_failed(process, start->id, LAUNCH_STEP_FORK, err);
}

static void kill_take(struct process *process, uint64_t id)
{
	for (unsigned i = 0; i < process->slot_cap; i++)
		if (process->slots[i].is_used && process->slots[i].id == id)
			slot_kill(&process->slots[i]);
}

/* message_act: false: weftd does not speak as it should. */
static bool message_act(struct process *process, const uint8_t *data, size_t len, const int *files,
			unsigned file_cnt)
{
	struct launch_message message;

	if (provider_launch_parse(data, len, &message) < 0 ||
	    file_cnt != (message.kind == LAUNCH_START ? LAUNCH_FD_CNT : 0) ||
	    process->is_set_up == (message.kind == LAUNCH_SETUP))
		return false;
	switch (message.kind) {
	case LAUNCH_SETUP:
		/* The texts are to stay. */
		memcpy(process->setup_data, data, len);
		return provider_launch_parse(process->setup_data, len, &message) == 0 &&
		       setup_take(process, &message);
	case LAUNCH_START:
		start_take(process, &message.start, files);
		return true;
	case LAUNCH_KILL:
		kill_take(process, message.end.id);
		return true;
	default:
		return false;
	}
}

/* message_take: false: weftd is gone, or speaks as it should not. */
static bool message_take(struct process *process)
{
	uint8_t data[LAUNCH_MESSAGE_LEN_MAX];
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(LAUNCH_FD_CNT * sizeof(int)) +
			  CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = {data, sizeof(data)};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = &control,
				.msg_controllen = sizeof(control)};
	int files[LAUNCH_FD_CNT] = {-1, -1, -1};
	unsigned file_cnt = 0;
	ssize_t n = recvmsg(process->fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	bool is_good;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&header); at; at = CMSG_NXTHDR(&header, at)) {
		if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SCM_CREDENTIALS &&
		    !process->is_set_up)
			memcpy(&process->daemon, CMSG_DATA(at), sizeof(process->daemon));
		if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SCM_RIGHTS) {
			file_cnt = (unsigned)((at->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(files, CMSG_DATA(at), file_cnt * sizeof(int));
		}
	}
	is_good = n > 0 && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
		  message_act(process, data, (size_t)n, files, file_cnt);
	for (unsigned i = 0; i < file_cnt; i++)
		close(files[i]);
	return is_good;
}

/* --- the process --- */

static bool process_init(struct process *process, int fd)
{
	sigset_t all;

	*process = (struct process){.fd = fd};
	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0) < 0)
		return false;
	(void)prctl(PR_SET_NAME, "weft-launcher");
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	process->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return process->signals >= 0 && pipe2(process->life, O_CLOEXEC) == 0;
}

static bool process_turn(struct process *process)
{
	struct pollfd fds[] = {{.fd = process->fd, .events = POLLIN},
			       {.fd = process->signals, .events = POLLIN}};
	int wait_ms = slots_expire(process, clock_monotonic_ns());
	struct signalfd_siginfo info;

	if (poll(fds, 2, wait_ms) < 0 && errno != EINTR)
		return false;
	while (read(process->signals, &info, sizeof(info)) > 0)
		;
	supervisors_reap(process);
	return !fds[0].revents || message_take(process);
}

/* process_end ends all programs. Keepers that do not come to an end see the life pipe hang up. */
static void process_end(struct process *process)
{
	close(process->life[1]);
	for (unsigned i = 0; i < process->slot_cap; i++)
		if (process->slots[i].is_used)
			slot_kill(&process->slots[i]);
	do
		(void)provider_sweep_children(is_supervisor, process);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
	for (unsigned i = 0; i < process->slot_cap; i++)
		if (process->slots[i].is_used && process->slots[i].cgroup[0])
			(void)provider_cgroup_remove(process->slots[i].cgroup);
}

_Noreturn void provider_launcher_process_run(int fd)
{
	static struct process process;
	int kept[] = {STDERR_FILENO, fd};

	provider_spawn_close_except(kept, sizeof(kept) / sizeof(kept[0]));
	/*
	 * Takes the numbers of the standard files, so that no file for a program gets one by
	 * accident.
	 */
	(void)!open("/dev/null", O_RDWR | O_CLOEXEC);
	(void)!open("/dev/null", O_RDWR | O_CLOEXEC);
	if (process_init(&process, fd))
		while (process_turn(&process))
			;
	process_end(&process);
	_exit(0);
}
