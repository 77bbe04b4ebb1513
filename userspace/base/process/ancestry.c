/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A step goes from a process to its parent, both held by pidfds. The
 * parent's is opened before the child is asked a second time, so no id is
 * used again in between.
 */
#include "ancestry.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define DEPTH_MAX 1024 /* a chain that long is made to hide something */
#define RETRY_MAX 16   /* parents that end during the walk */

/* The first version of the kernel's struct pidfd_info (linux/pidfd.h since 6.13). */
struct info {
	uint64_t mask, cgroup;
	uint32_t pid, tgid, ppid;
	uint32_t ids[8];
	int32_t exit_code;
};
_Static_assert(sizeof(struct info) == 64, "kernel ABI");
#define INFO_PID 1u
#define INFO_GET _IOWR(0xff, 11, struct info)

typedef int (*parent_fn)(int pidfd, pid_t *out_pid, pid_t *out_parent);

static int parent_by_info(int pidfd, pid_t *out_pid, pid_t *out_parent)
{
	struct info info = {.mask = INFO_PID};

	if (ioctl(pidfd, INFO_GET, &info) < 0)
		return -errno;
	*out_pid = (pid_t)info.tgid;
	*out_parent = (pid_t)info.ppid;
	return 0;
}

static int pid_of(int pidfd)
{
	char path[64], line[128];
	FILE *file;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (pid == 0 && fgets(line, sizeof(line), file))
		(void)sscanf(line, "Pid: %d", &pid);
	fclose(file);
	return pid > 0 ? pid : -ESRCH;
}

static int parent_by_proc(int pidfd, pid_t *out_pid, pid_t *out_parent)
{
	char path[64], line[256];
	FILE *file;
	int pid = pid_of(pidfd), parent = -1;

	if (pid < 0)
		return pid;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (parent < 0 && fgets(line, sizeof(line), file))
		(void)sscanf(line, "PPid: %d", &parent);
	fclose(file);
	/* Still it: the id is its own until then. */
	if (parent < 0 || pid_of(pidfd) != pid)
		return -ESRCH;
	*out_pid = pid;
	*out_parent = parent;
	return 0;
}

/* step_up: 0 and the parent's pidfd, -1 in *out_pidfd when none is visible; -errno. */
static int step_up(parent_fn parent_of, int pidfd, pid_t *out_pid, int *out_pidfd)
{
	pid_t pid, parent, again;
	int err = parent_of(pidfd, &pid, &parent);

	*out_pid = pid;
	*out_pidfd = -1;
	if (err < 0 || parent == 0)
		return err;
	for (unsigned i = 0; i < RETRY_MAX; i++) {
		*out_pidfd = pidfd_open(parent, 0);
		if (*out_pidfd < 0 && errno != ESRCH)
			return -errno;
		err = parent_of(pidfd, &pid, &again);
		if (err == 0 && *out_pidfd >= 0 && again == parent)
			return 0;
		if (*out_pidfd >= 0)
			close(*out_pidfd);
		*out_pidfd = -1;
		if (err < 0)
			return err;
		parent = again;
	}
	return -EAGAIN;
}

static enum ancestry walk(parent_fn parent_of, int pidfd, pid_t ancestor)
{
	enum ancestry found = ANCESTRY_UNKNOWN;
	int at = pidfd, next = -1;

	for (unsigned depth = 0; depth < DEPTH_MAX && found == ANCESTRY_UNKNOWN; depth++) {
		pid_t pid = 0;
		int err = step_up(parent_of, at, &pid, &next);

		if (at != pidfd)
			close(at);
		at = next;
		if (err < 0)
			return ANCESTRY_UNKNOWN;
		if (pid == ancestor)
			found = ANCESTRY_YES;
		else if (next < 0)
			found = ANCESTRY_NO;
	}
	if (at >= 0 && at != pidfd)
		close(at);
	return found;
}

enum ancestry ancestry_of_proc(int pidfd, pid_t ancestor)
{
	return walk(parent_by_proc, pidfd, ancestor);
}

enum ancestry ancestry_of(int pidfd, pid_t ancestor)
{
	struct info info = {.mask = INFO_PID};

	if (ioctl(pidfd, INFO_GET, &info) == 0)
		return walk(parent_by_info, pidfd, ancestor);
	return errno == ESRCH ? ANCESTRY_UNKNOWN : walk(parent_by_proc, pidfd, ancestor);
}

enum ancestry ancestry_of_peer(int socket, pid_t ancestor)
{
	enum ancestry found;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int pidfd = -1;

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return ANCESTRY_UNKNOWN;
	if (cred.pid == 0)
		return ANCESTRY_NO;
	len = sizeof(pidfd);
	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0)
		pidfd = errno == ENOPROTOOPT ? pidfd_open(cred.pid, 0) : -1;
	if (pidfd < 0)
		return ANCESTRY_UNKNOWN;
	found = ancestry_of(pidfd, ancestor);
	close(pidfd);
	return found;
}
