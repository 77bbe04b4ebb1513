/* SPDX-License-Identifier: Apache-2.0 */
/* Only the file system of cgroup version 2; version 1 has no cgroup.kill. In the launcher. */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define GROUP_PREFIX   "weft-call-"
#define GROUP_PIDS_MAX "64" /* of one call: many times the processes of a script's pipeline */

static bool file_write(const char *dir, const char *name, const char *text)
{
	char path[CGROUP_PATH_CAP + 64];
	size_t len = strlen(text);
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = write(fd, text, len);
	close(fd);
	return n == (ssize_t)len;
}

/* mount_find: where the cgroup2 file system is mounted. */
static bool mount_find(char mount[static CGROUP_PATH_CAP])
{
	char line[4096], type[32], where[CGROUP_PATH_CAP];
	FILE *file = fopen("/proc/self/mounts", "re");
	bool is_found = false;

	_Static_assert(CGROUP_PATH_CAP == 512, "the width below");
	if (!file)
		return false;
	while (!is_found && fgets(line, sizeof(line), file))
		is_found = sscanf(line, "%*s %511s %31s", where, type) == 2 &&
			   strcmp(type, "cgroup2") == 0;
	fclose(file);
	if (is_found)
		snprintf(mount, CGROUP_PATH_CAP, "%s", where);
	return is_found;
}

/* own_find: the group of this process; false also when it is outside the mounted tree. */
static bool own_find(const char *mount, char own[static CGROUP_PATH_CAP])
{
	char line[CGROUP_PATH_CAP];
	FILE *file = fopen("/proc/self/cgroup", "re");
	bool is_found = false;

	if (!file)
		return false;
	while (!is_found && fgets(line, sizeof(line), file))
		is_found = strncmp(line, "0::/", 4) == 0;
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	if (!is_found || strstr(line, "/.."))
		return false;
	return snprintf(own, CGROUP_PATH_CAP, "%s%s", mount, line + 3) < CGROUP_PATH_CAP;
}

static bool is_delegated(const char *dir)
{
	static const char *const marks[] = {"user.delegate", "trusted.delegate"};
	char path[CGROUP_PATH_CAP + 32], mark = '0';

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	if (access(path, W_OK) < 0)
		return false;
	for (unsigned i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (getxattr(dir, marks[i], &mark, 1) == 1 && mark == '1')
			return true;
	return false;
}

static void leftovers_remove(const char *base)
{
	DIR *dir = opendir(base);
	char path[CGROUP_PATH_CAP];
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, GROUP_PREFIX, strlen(GROUP_PREFIX)) != 0 ||
		    snprintf(path, sizeof(path), "%s/%s", base, entry->d_name) >= (int)sizeof(path))
			continue;
		provider_cgroup_kill(path);
		(void)provider_cgroup_remove(path);
	}
	closedir(dir);
}

/* A group with processes of its own gives its children no controllers: then there are none. */
static void controllers_enable(struct cgroup *cgroup)
{
	char path[CGROUP_PATH_CAP + 32], text[256] = "";
	FILE *file;

	(void)file_write(cgroup->base, "cgroup.subtree_control", "+memory");
	(void)file_write(cgroup->base, "cgroup.subtree_control", "+pids");
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", cgroup->base);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(text, sizeof(text), file)) {
		cgroup->has_memory = strstr(text, "memory");
		cgroup->has_pids = strstr(text, "pids");
	}
	fclose(file);
}

void provider_cgroup_find(struct cgroup *cgroup)
{
	char mount[CGROUP_PATH_CAP], own[CGROUP_PATH_CAP];
	char *slash;

	*cgroup = (struct cgroup){.has_memory = false};
	if (!mount_find(mount) || !own_find(mount, own))
		return;
	/*
	 * DelegateSubgroup= puts the service one below the delegated group, so that there may be
	 * siblings.
	 */
	slash = strrchr(own, '/');
	if (!is_delegated(own)) {
		if (slash <= own + strlen(mount))
			return;
		*slash = '\0';
		if (!is_delegated(own))
			return;
	}
	snprintf(cgroup->base, sizeof(cgroup->base), "%s", own);
	leftovers_remove(cgroup->base);
	controllers_enable(cgroup);
}

bool provider_cgroup_make(const struct cgroup *cgroup, uint64_t id, uint64_t memory_len_max,
			  char path[static CGROUP_PATH_CAP])
{
	char text[32];

	if (!cgroup->base[0] ||
	    snprintf(path, CGROUP_PATH_CAP, "%s/" GROUP_PREFIX "%" PRIx64, cgroup->base, id) >=
		    CGROUP_PATH_CAP ||
	    mkdir(path, 0700) < 0) {
		path[0] = '\0';
		return false;
	}
	snprintf(text, sizeof(text), "%" PRIu64, memory_len_max);
	if ((!cgroup->has_memory ||
	     (file_write(path, "memory.max", text) && file_write(path, "memory.oom.group", "1"))) &&
	    (!cgroup->has_pids || file_write(path, "pids.max", GROUP_PIDS_MAX)))
		return true;
	(void)provider_cgroup_remove(path);
	path[0] = '\0';
	return false;
}

bool provider_cgroup_enter(const char *path)
{
	return file_write(path, "cgroup.procs", "0");
}

void provider_cgroup_kill(const char *path)
{
	(void)file_write(path, "cgroup.kill", "1");
}

bool provider_cgroup_remove(const char *path)
{
	return rmdir(path) == 0 || errno == ENOENT;
}
