/* SPDX-License-Identifier: Apache-2.0 */
#include "support/uring_probe.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int uring_probe_refusal(void)
{
	static struct {
		struct io_uring_probe head;
		struct io_uring_probe_op ops[256];
	} probe;
	char path[32], target[64];

	for (int fd = 0; fd < 1024; fd++) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		if (strcmp(target, "anon_inode:[io_uring]") != 0)
			continue;
		memset(&probe, 0, sizeof(probe));
		return syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, &probe, 256) < 0
			       ? -errno
			       : 0;
	}
	return -ENOENT;
}
