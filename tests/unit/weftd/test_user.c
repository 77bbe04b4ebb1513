/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What node.user refuses before anything changes, and what a child of root becomes. What needs root
 * is left out without it.
 */
#include "weftd/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/config.h"
#include "support/check.h"
#include "support/scratch.h"

#define USER "nobody"

static struct node_config config;
static char message[USER_MESSAGE_CAP];
static char dir[SCRATCH_CAP];

/* A configuration with the state in DIR/state and the control socket in DIR/run. */
static void begin(const char *user)
{
	memset(&config, 0, sizeof(config));
	message[0] = '\0';
	scratch_make(dir);
	snprintf(config.user, sizeof(config.user), "%s", user);
	scratch_path(config.state_dir, sizeof(config.state_dir), dir, "state");
	scratch_path(config.control_path, sizeof(config.control_path), dir, "run/control.sock");
}

/* The user's row of /etc/passwd; false: it has none, or the test does not run as root. */
static bool may_become(struct passwd *out_row)
{
	FILE *file = geteuid() == 0 ? fopen("/etc/passwd", "re") : NULL;
	struct passwd *row = NULL;

	while (file && (row = fgetpwent(file)) && strcmp(row->pw_name, USER) != 0)
		;
	if (row)
		*out_row = *row;
	else
		printf("# left out: only root can become " USER ", where there is one\n");
	if (file)
		fclose(file);
	return row != NULL;
}

static void test_without_a_name_nothing_changes(void)
{
	uid_t uid = geteuid();

	begin("");
	CHECK_EQ(weftd_user_become(&config, message), 0);
	CHECK_EQ(geteuid(), uid);
	CHECK(access(config.state_dir, F_OK) < 0);
	scratch_remove(dir);
}

static void test_unknown_users_and_root_are_refused(void)
{
	static const struct {
		const char *user;
		int want;
		const char *says;
	} rows[] = {
		{"no-such-user", WEFT_EABSENT, "useradd --system no-such-user"},
		{"nobody ", WEFT_EABSENT, "no such user"},
		{"4294967294", WEFT_EABSENT, "no such user"},
		{"root", WEFT_EREFUSED, "leave it empty to stay root"},
		{"0", WEFT_EREFUSED, "leave it empty to stay root"},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(rows[i].user);
		CHECK_EQ(weftd_user_become(&config, message), rows[i].want);
		CHECK(strstr(message, rows[i].says));
		CHECK(access(config.state_dir, F_OK) < 0);
		scratch_remove(dir);
	}
}

/* The file in the state folder and one a folder down are those that the store would open. */
static void test_a_state_folder_of_another_is_refused_with_the_command(void)
{
	static const struct {
		const char *folder, *file; /* below the state folder; NULL: none */
	} rows[] = {
		{NULL, "node.key"},
		{"db", "db/data.mdb"},
		{"db", NULL},
		{NULL, NULL}, /* the folder itself */
	};
	char path[SCRATCH_CAP + 64];
	struct passwd row;

	if (!may_become(&row))
		return;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(USER);
		CHECK_EQ(mkdir(config.state_dir, 0700), 0);
		if (rows[i].folder)
			CHECK_EQ(mkdir(scratch_path(path, sizeof(path), config.state_dir,
						    rows[i].folder),
				       0700),
				 0);
		if (rows[i].file)
			scratch_write(
				scratch_path(path, sizeof(path), config.state_dir, rows[i].file),
				"x", 1);
		CHECK_EQ(weftd_user_become(&config, message), WEFT_EREFUSED);
		CHECK(strstr(message, "(node.user): run chown -R " USER ": "));
		CHECK(strstr(message, config.state_dir));
		CHECK_EQ(geteuid(), 0);
		scratch_remove(dir);
	}
}

/* In a child: 0, or the number of what is wrong. */
static int become_and_look(const struct passwd *row)
{
	uid_t uids[3];
	gid_t gids[3], groups[8];
	struct stat st;

	if (weftd_user_become(&config, message) != 0)
		return 1;
	if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 ||
	    getresgid(&gids[0], &gids[1], &gids[2]) < 0)
		return 2;
	for (unsigned i = 0; i < 3; i++)
		if (uids[i] != row->pw_uid || gids[i] != row->pw_gid)
			return 3;
	if (getgroups(8, groups) != 1 || groups[0] != row->pw_gid)
		return 4;
	if (stat(config.state_dir, &st) < 0 || st.st_uid != row->pw_uid ||
	    (st.st_mode & 07777) != 0700)
		return 5;
	*strrchr(config.control_path, '/') = '\0';
	if (stat(config.control_path, &st) < 0 || st.st_uid != row->pw_uid)
		return 6;
	return setresuid(0, 0, 0) == 0 ? 7 : 0; /* there is no way back */
}

static void test_root_becomes_the_user_for_good_and_makes_its_folders(void)
{
	struct passwd row;
	int status;
	pid_t child;

	if (!may_become(&row))
		return;
	begin(USER);
	CHECK_EQ(chmod(dir, 0755), 0);
	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(become_and_look(&row));
	CHECK(child > 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_without_a_name_nothing_changes);
	RUN(test_unknown_users_and_root_are_refused);
	RUN(test_a_state_folder_of_another_is_refused_with_the_command);
	RUN(test_root_becomes_the_user_for_good_and_makes_its_folders);
	return check_done();
}
