/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weftd's end of the pair. Outbound: provider_launcher_start, provider_launcher_kill ->
 * message_send. Inbound: provider_launcher_ready -> message_take -> events->ended.
 */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/poller.h"
#include "base/process/privilege.h"
#include "launch_message.h"
#include "launcher_process.h"

#define SETUP_PATIENCE_NS (10 * NS_PER_S)
#define CLOSE_PATIENCE_NS (5 * NS_PER_S) /* less than a service manager waits for weftd */
#define BATCH_MAX	  64

struct launcher {
	int fd;
	int nothing; /* /dev/null: the files of a check */
	pid_t pid;
	struct poller *poller; /* NULL: not attached */
	struct poller_watch watch;
	const struct launcher_events *events;
	void *ctx;
	struct launch_ready ready;
	bool is_dead;
	bool has_started; /* a program, once */
	struct launcher_usage usage;
};

/* Only the launcher needs these privileges; a daemon of root has them by its user. */
static void privileges_leave(void)
{
	static const unsigned left[] = {CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_SETPCAP};

	for (size_t i = 0; geteuid() != 0 && i < sizeof(left) / sizeof(left[0]); i++)
		privilege_give_up(left[i]);
}

int provider_launcher_open(struct launcher **out_launcher)
{
	struct launcher *launcher = calloc(1, sizeof(*launcher));
	int ends[2], one = 1, err;

	if (!launcher)
		return -ENOMEM;
	launcher->nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (launcher->nothing < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		err = -errno;
		goto free_launcher;
	}
	/* Each message names its sender, whose user may have changed since the fork. */
	(void)setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	launcher->pid = fork();
	if (launcher->pid == 0)
		provider_launcher_process_run(ends[1]);
	err = -errno;
	close(ends[1]);
	launcher->fd = ends[0];
	if (launcher->pid < 0)
		goto close_fd;
	privileges_leave();
	*out_launcher = launcher;
	return 0;
close_fd:
	close(launcher->fd);
free_launcher:
	if (launcher->nothing >= 0)
		close(launcher->nothing);
	free(launcher);
	return err;
}

/* process_wait: false when it does not end in time. */
static bool process_wait(pid_t pid, uint64_t patience_ns)
{
	uint64_t end_ns = clock_monotonic_ns() + patience_ns;
	struct pollfd nothing = {.fd = -1};
	pid_t done;

	while ((done = waitpid(pid, NULL, WNOHANG)) == 0 && clock_monotonic_ns() < end_ns)
		(void)poll(&nothing, 1, 1);
	return done != 0;
}

void provider_launcher_close(struct launcher *launcher)
{
	if (!launcher)
		return;
	provider_launcher_detach(launcher);
	close(launcher->fd);
	close(launcher->nothing);
	if (!process_wait(launcher->pid, CLOSE_PATIENCE_NS)) {
		/*
		 * This process may not kill a launcher of root, which lives on until its programs
		 * are gone.
		 */
		if (kill(launcher->pid, SIGKILL) == 0)
			(void)waitpid(launcher->pid, NULL, 0);
	}
	free(launcher);
}

pid_t provider_launcher_ancestor(const struct launcher *launcher)
{
	return launcher && launcher->has_started ? launcher->pid : 0;
}

const struct launch_ready *provider_launcher_ready(const struct launcher *launcher)
{
	return launcher && launcher->poller && !launcher->is_dead ? &launcher->ready : NULL;
}

void provider_launcher_usage(const struct launcher *launcher, struct launcher_usage *out_usage)
{
	*out_usage = launcher ? launcher->usage : (struct launcher_usage){.slot_cnt = 0};
}

static void launcher_died(struct launcher *launcher, uint64_t now_ns)
{
	if (launcher->is_dead)
		return;
	launcher->is_dead = true;
	launcher->usage.slot_cnt = 0;
	poller_remove(launcher->poller, &launcher->watch);
	launcher->events->died(launcher->ctx, now_ns);
}

/* message_send: 0, -errno. */
static int message_send(struct launcher *launcher, const struct launch_message *message,
			const int *files)
{
	uint8_t data[LAUNCH_MESSAGE_LEN_MAX];
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(LAUNCH_FD_CNT * sizeof(int))];
	} control = {.room = {0}};
	int len = provider_launch_write(message, data);
	struct iovec iov = {data, len > 0 ? (size_t)len : 0};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (len < 0)
		return len;
	if (files) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(LAUNCH_FD_CNT * sizeof(int));
		memcpy(CMSG_DATA(&control.header), files, LAUNCH_FD_CNT * sizeof(int));
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
	}
	do
		n = sendmsg(launcher->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void usage_note_end(struct launcher_usage *usage, const struct launch_end *end)
{
	if (usage->slot_cnt)
		usage->slot_cnt--;
	usage->refused_cnt += end->err == EAGAIN && end->step == LAUNCH_STEP_FORK;
}

/* message_take: false: nothing more is there now. */
static bool message_take(struct launcher *launcher, uint64_t now_ns)
{
	uint8_t data[LAUNCH_MESSAGE_LEN_MAX];
	struct launch_message message;
	ssize_t n = recv(launcher->fd, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0 || provider_launch_parse(data, (size_t)n, &message) < 0 ||
	    (message.kind != LAUNCH_FAILED && message.kind != LAUNCH_ENDED)) {
		launcher_died(launcher, now_ns);
		return false;
	}
	usage_note_end(&launcher->usage, &message.end);
	launcher->events->ended(launcher->ctx, &message.end, now_ns);
	return true;
}

static void launcher_turn(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct launcher *launcher = container_of(watch, struct launcher, watch);

	if ((events & POLLER_OUT) && poller_change(launcher->poller, watch, POLLER_IN) == 0)
		launcher->events->writable(launcher->ctx, now_ns);
	for (unsigned i = 0; i < BATCH_MAX && !launcher->is_dead; i++)
		if (!message_take(launcher, now_ns))
			return;
}

static int setup_answer(struct launcher *launcher)
{
	struct pollfd fd = {.fd = launcher->fd, .events = POLLIN};
	uint8_t data[LAUNCH_MESSAGE_LEN_MAX];
	struct launch_message message;
	ssize_t n;

	if (poll(&fd, 1, SETUP_PATIENCE_NS / NS_PER_MS) <= 0)
		return WEFT_ECLOSED;
	n = recv(launcher->fd, data, sizeof(data), MSG_DONTWAIT);
	if (n <= 0 || provider_launch_parse(data, (size_t)n, &message) < 0 ||
	    message.kind != LAUNCH_READY)
		return WEFT_ECLOSED;
	launcher->ready = message.ready;
	return 0;
}

int provider_launcher_attach(struct launcher *launcher, const struct launch_setup *setup,
			     struct poller *poller, const struct launcher_events *events, void *ctx)
{
	const struct launch_message message = {.kind = LAUNCH_SETUP, .setup = *setup};
	int err = message_send(launcher, &message, NULL);

	if (err == WEFT_ETOOLARGE)
		return err;
	err = err < 0 ? WEFT_ECLOSED : setup_answer(launcher);
	if (err < 0)
		return err;
	launcher->usage = (struct launcher_usage){.slot_cap = setup->program_cap};
	launcher->events = events;
	launcher->ctx = ctx;
	launcher->watch = (struct poller_watch){.ready = launcher_turn, .fd = launcher->fd};
	err = poller_add(poller, &launcher->watch, POLLER_IN);
	if (err == 0)
		launcher->poller = poller;
	return err;
}

void provider_launcher_detach(struct launcher *launcher)
{
	if (!launcher || !launcher->poller)
		return;
	if (!launcher->is_dead)
		poller_remove(launcher->poller, &launcher->watch);
	launcher->poller = NULL;
}

int provider_launcher_start(struct launcher *launcher, const struct launch_start *start,
			    const int *files)
{
	const struct launch_message message = {.kind = LAUNCH_START, .start = *start};
	int err;

	if (!provider_launcher_ready(launcher))
		return WEFT_ECLOSED;
	err = message_send(launcher, &message, files);
	launcher->usage.slot_cnt += err == 0;
	if (err == 0 && !(start->flags & LAUNCH_CHECK))
		launcher->has_started = true;
	if (err == -EAGAIN)
		return WEFT_EBUSY;
	return err == -EPIPE || err == -ECONNRESET ? WEFT_ECLOSED : err;
}

int provider_launcher_check(struct launcher *launcher, const struct launch_start *start)
{
	const int files[LAUNCH_FD_CNT] = {launcher->nothing, launcher->nothing, launcher->nothing};

	return provider_launcher_start(launcher, start, files);
}

bool provider_launcher_kill(struct launcher *launcher, uint64_t id)
{
	const struct launch_message message = {.kind = LAUNCH_KILL, .end = {.id = id}};

	/* A dead one kills nothing, and its keepers have ended all. */
	if (!provider_launcher_ready(launcher) || message_send(launcher, &message, NULL) != -EAGAIN)
		return true;
	return poller_change(launcher->poller, &launcher->watch, POLLER_IN | POLLER_OUT) < 0;
}

bool provider_launcher_wait(struct launcher *launcher, uint64_t deadline_ns)
{
	struct pollfd fd = {.events = POLLIN};
	uint64_t now_ns = clock_monotonic_ns();

	if (!provider_launcher_ready(launcher) || now_ns >= deadline_ns)
		return false;
	fd.fd = launcher->fd;
	if (poll(&fd, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1) <= 0)
		return false;
	launcher_turn(&launcher->watch, POLLER_IN, clock_monotonic_ns());
	return true;
}
