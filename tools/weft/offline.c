/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft backup and weft store salvage. What is to be done while no daemon
 * has the state folder open is done by weftd itself, which knows where it
 * is: from beside this program, from sbin, or from the PATH.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "path.h"

static bool backup_reply(void *arg, json_t *reply, bool is_last)
{
	(void)arg, (void)reply, (void)is_last;
	return true;
}

int run_backup_create(struct invocation *inv)
{
	char path[PATH_MAX];
	struct client_call call = {.method = "BackupStore", .is_long = true, .reply = backup_reply};

	if (!path_absolute(inv->args[0], path)) {
		fprintf(stderr, "weft: %s: no such place\n", inv->args[0]);
		return STATUS_USAGE;
	}
	call.parameters = json_pack("{s:s}", "path", path);
	return client_call(inv, &call);
}

/* daemon_run becomes weftd; returns only when there is none. */
static int daemon_run(char **argv)
{
	static const char *const places[] = {"weftd", "../sbin/weftd"};
	char own[PATH_MAX], path[PATH_MAX + 16];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	own[len < 0 ? 0 : len] = '\0';
	slash = strrchr(own, '/');
	for (unsigned i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - own), own, places[i]);
		(void)execv(path, argv);
	}
	(void)execvp(argv[0], argv);
	fprintf(stderr, "weft: weftd: %s; run weftd %s where it is installed\n", strerror(errno),
		argv[1]);
	return STATUS_FAILED;
}

static int offline_run(const struct invocation *inv, const char *what, const char *arg)
{
	const char *state = invocation_option(inv, "state");
	const char *config = invocation_option(inv, "config");
	char *argv[8] = {(char *)"weftd", (char *)(uintptr_t)what};
	unsigned cnt = 2;

	if (arg)
		argv[cnt++] = (char *)(uintptr_t)arg;
	if (state) {
		argv[cnt++] = (char *)"--state";
		argv[cnt++] = (char *)(uintptr_t)state;
	}
	if (config) {
		argv[cnt++] = (char *)"--config";
		argv[cnt++] = (char *)(uintptr_t)config;
	}
	return daemon_run(argv);
}

int run_backup_restore(struct invocation *inv)
{
	return offline_run(inv, "--restore", inv->args[0]);
}

int run_store_salvage(struct invocation *inv)
{
	return offline_run(inv, "--salvage", NULL);
}
