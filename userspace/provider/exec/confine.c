/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces of one program. A namespace that the program makes itself cannot remove these mounts:
 * the kernel locks them there (mount_namespaces(7)). In the launcher's forks.
 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/process/privilege.h"
#include "launch_message.h"

void provider_confine_init(struct confine *confine, const struct launch_setup *setup)
{
	*confine = (struct confine){
		.setup = setup,
		.uid = geteuid(),
		.gid = getegid(),
		.is_privileged = privilege_has(CAP_SYS_ADMIN),
	};
}

pid_t provider_confine_fork(const struct confine *confine)
{
	unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | SIGCHLD;

	if (!confine->is_privileged)
		flags |= CLONE_NEWUSER;
	return (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
}

static int file_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The one user of a new user namespace is the one outside. */
static int user_map(const struct confine *confine)
{
	char uid_line[48], gid_line[48];
	int err;

	snprintf(uid_line, sizeof(uid_line), "%u %u 1", confine->uid, confine->uid);
	snprintf(gid_line, sizeof(gid_line), "%u %u 1", confine->gid, confine->gid);
	/* A process that cannot be dumped may not write its own maps. */
	if (prctl(PR_SET_DUMPABLE, 1) < 0)
		return -errno;
	err = file_put("/proc/self/setgroups", "deny");
	if (err == 0)
		err = file_put("/proc/self/uid_map", uid_line);
	if (err == 0)
		err = file_put("/proc/self/gid_map", gid_line);
	if (prctl(PR_SET_DUMPABLE, 0) < 0 && err == 0)
		err = -errno;
	return err;
}

static int empty_mount(const char *path)
{
	return mount("none", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		     "mode=0555,size=4k,nr_inodes=2") < 0
		       ? -errno
		       : 0;
}

static int path_hide(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		return empty_mount(path);
	return mount("/dev/null", path, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

/*
 * Through the old /proc other processes' roots are seen, where nothing is
 * hidden. A container may allow no new one: then there is none at all.
 */
static int proc_mount(void)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount("proc", "/proc", "proc", flags, NULL) == 0 ||
	    mount("proc", "/proc", "proc", flags, "subset=pid") == 0)
		return 0;
	return empty_mount("/proc");
}

int provider_confine_enter(const struct confine *confine)
{
	int err = confine->is_privileged ? 0 : user_map(confine);

	if (err == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		err = -errno;
	for (unsigned i = 0; err == 0 && i < confine->setup->hidden_cnt; i++)
		err = path_hide(confine->setup->hidden[i]);
	return err < 0 ? err : proc_mount();
}
