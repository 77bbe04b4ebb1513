/* SPDX-License-Identifier: Apache-2.0 */
/* From root to the user of node.user. Start-up only. */
#include "weftd/user.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/log.h"
#include "base/process/privilege.h"
#include "config/config.h"

#define GROUPS_MAX 64

struct user {
	char name[CONFIG_NAME_CAP];
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	unsigned group_cnt;
};

__attribute__((format(printf, 3, 4))) static int refuse(char *message, int err, const char *fmt,
							...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, USER_MESSAGE_CAP, fmt, args);
	va_end(args);
	return err;
}

/* The files themselves: a static program cannot load libc's name services. */
static int user_lookup(const char *name, struct user *out_user, char *message)
{
	struct user user = {.uid = (uid_t)-1};
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *row;
	char *end;
	unsigned long number = strtoul(name, &end, 10);

	if (!file)
		return refuse(message, -errno, "node.user = %s: /etc/passwd: %s", name,
			      strerror(errno));
	while (user.uid == (uid_t)-1 && (row = fgetpwent(file)) != NULL) {
		if (strcmp(row->pw_name, name) != 0 && (*end || row->pw_uid != number))
			continue;
		user.uid = row->pw_uid;
		user.gid = row->pw_gid;
		snprintf(user.name, sizeof(user.name), "%s", row->pw_name);
	}
	fclose(file);
	if (user.uid == (uid_t)-1)
		return refuse(message, WEFT_EABSENT,
			      "node.user = %s: /etc/passwd has no such user; make it "
			      "(useradd --system %s) or name another",
			      name, name);
	if (user.uid == 0)
		return refuse(message, WEFT_EREFUSED,
			      "node.user = %s is root: leave it empty to stay root", name);
	*out_user = user;
	return 0;
}

static bool is_member(char *const *members, const char *name)
{
	while (*members && strcmp(*members, name) != 0)
		members++;
	return *members != NULL;
}

static void groups_lookup(struct user *user)
{
	FILE *file = fopen("/etc/group", "re");
	struct group *row;

	user->groups[user->group_cnt++] = user->gid;
	while (file && user->group_cnt < GROUPS_MAX && (row = fgetgrent(file)) != NULL)
		if (row->gr_gid != user->gid && is_member(row->gr_mem, user->name))
			user->groups[user->group_cnt++] = row->gr_gid;
	if (file)
		fclose(file);
}

/* ---------------------------------------------------------------------- folders */

/* folder_make: every user may pass missing parents, the folder itself is the user's. */
static int folder_make(const char *path, mode_t mode, const struct user *user)
{
	int err = folder_make_parents(path, 0755);

	if (err < 0)
		return err;
	if (mkdir(path, mode) < 0)
		return errno == EEXIST ? 0 : -errno;
	return chown(path, user->uid, user->gid) < 0 ? -errno : 0;
}

/* foreign_find names the first file below dir that is not the user's; false: all are. */
static bool foreign_find(const char *dir, const struct user *user, unsigned depth,
			 char out_path[static CONFIG_PATH_CAP])
{
	DIR *folder = opendir(dir);
	struct dirent *entry;
	bool is_found = false;
	struct stat st;

	while (folder && !is_found && (entry = readdir(folder)) != NULL) {
		bool is_itself = strcmp(entry->d_name, ".") == 0;
		char path[CONFIG_PATH_CAP];

		if (strcmp(entry->d_name, "..") == 0 ||
		    fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    snprintf(path, sizeof(path), "%s%s%s", dir, is_itself ? "" : "/",
			     is_itself ? "" : entry->d_name) >= (int)sizeof(path))
			continue;
		is_found = st.st_uid != user->uid;
		if (is_found)
			memcpy(out_path, path, CONFIG_PATH_CAP);
		else if (depth && S_ISDIR(st.st_mode) && !is_itself)
			is_found = foreign_find(path, user, depth - 1, out_path);
	}
	if (folder)
		closedir(folder);
	return is_found;
}

static int state_prepare(const char *dir, const struct user *user, char *message)
{
	char foreign[CONFIG_PATH_CAP];
	int err = folder_make(dir, 0700, user);

	if (err < 0)
		return refuse(message, err, "state folder %s: %s", dir, strerror(-err));
	/* All files that the store opens lie at most one folder down. */
	if (foreign_find(dir, user, 1, foreign))
		return refuse(message, WEFT_EREFUSED,
			      "%s is not %s's (node.user): run chown -R %s: %s", foreign,
			      user->name, user->name, dir);
	return 0;
}

static int control_prepare(const char *socket, const struct user *user, char *message)
{
	char dir[CONFIG_SOCKET_CAP];
	char *slash;
	int err;

	snprintf(dir, sizeof(dir), "%s", socket);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	err = folder_make(dir, 0755, user);
	return err < 0 ? refuse(message, err, "control socket's folder %s: %s", dir, strerror(-err))
		       : 0;
}

/* ----------------------------------------------------------------------- switching */

static int user_switch(const struct user *user, char *message)
{
	/*
	 * The memory that root may lock without a limit (AF_XDP's frames) the
	 * user may lock, too.
	 */
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	int err;

	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	err = privilege_bound();
	if (err < 0)
		return refuse(message, err, "node.user = %s: capabilities cannot be dropped: %s",
			      user->name, strerror(-err));
	if (setgroups(user->group_cnt, user->groups) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return refuse(message, -errno,
			      "node.user = %s: the kernel refuses to change to it (%s); start as "
			      "root of the whole system, or as %s with node.user empty",
			      user->name, strerror(errno), user->name);
	err = privilege_keep();
	if (err < 0)
		return refuse(message, err, "node.user = %s: capabilities: %s", user->name,
			      strerror(-err));
	return 0;
}

int weftd_user_become(const struct node_config *config, char message[static USER_MESSAGE_CAP])
{
	struct user user;
	int err;

	if (!config->user[0]) {
		if (geteuid() == 0)
			log_warn("running as root: name a user in node.user and weftd changes to "
				 "it, keeping only what attaching XDP takes");
		return 0;
	}
	err = user_lookup(config->user, &user, message);
	if (err < 0 || geteuid() == user.uid)
		return err;
	if (geteuid() != 0)
		return refuse(message, -EPERM,
			      "node.user = %s: only root can change to another user; start as root "
			      "or as %s",
			      config->user, user.name);
	groups_lookup(&user);
	if ((err = state_prepare(config->state_dir, &user, message)) < 0 ||
	    (err = control_prepare(config->control_path, &user, message)) < 0 ||
	    (err = user_switch(&user, message)) < 0)
		return err;
	log_info("running as %s, uid %u", user.name, user.uid);
	return 0;
}
