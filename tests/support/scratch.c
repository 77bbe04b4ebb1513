/* SPDX-License-Identifier: Apache-2.0 */
#include "support/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void bail(const char *what, const char *path)
{
	printf("Bail out! %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

char *scratch_make(char path[static SCRATCH_CAP])
{
	const char *base = getenv("TMPDIR");

	snprintf(path, SCRATCH_CAP, "%s/weft-test-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(path))
		bail("cannot make", path);
	return path;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)ftw;
	if (kind == FTW_DNR) {
		chmod(path, st->st_mode | 0700);
		return 0;
	}
	return remove(path);
}

void scratch_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

char *scratch_path(char *path, size_t cap, const char *dir, const char *name)
{
	if ((size_t)snprintf(path, cap, "%s/%s", dir, name) >= cap)
		bail("path too long:", name);
	return path;
}

void scratch_write(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		bail("cannot make", path);
	if (write(fd, data, len) != (ssize_t)len)
		bail("cannot write", path);
	close(fd);
}
