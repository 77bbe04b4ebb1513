/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft backup and weft store salvage. weftd itself, which knows the state folder, does what needs a
 * folder that no daemon has open. It is found beside this program, in sbin, or by the PATH.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/text/utf8.h"
#include "command/daemon_client.h"
#include "machine/passphrase.h"
#include "command/command_path.h"

static void print_backup(const struct invocation *inv, const void *reply)
{
	const struct api_backup_keys_out *out = reply;

	printf("%s: %" PRId64 " rows, %" PRId64
	       " bytes\nwithout its passphrase nothing in it is ever readable again\n",
	       inv->args[0], out->rows, out->bytes);
}

int run_backup_create(struct invocation *inv)
{
	char path[PATH_MAX], passphrase[PASSPHRASE_CAP];
	struct api_backup_store_in whole = {.path = path};
	struct api_backup_keys_in keys = {.path = path, .passphrase = passphrase};
	bool is_whole = invocation_option(inv, "whole") != NULL;
	struct client_call call = {.request = is_whole ? api_backup_store_request(&whole)
						       : api_backup_keys_request(&keys),
				   .is_long = true};
	int status;

	if (!path_absolute(inv->args[0], path)) {
		fprintf(stderr, "weft: %s: no such place\n", inv->args[0]);
		return STATUS_USAGE;
	}
	if (is_whole)
		return client_show_call(inv, &call, NULL);
	status = passphrase_ask(inv, true, passphrase);
	if (status != STATUS_OK)
		return status;
	if (utf8_is_valid(passphrase, strlen(passphrase)))
		status = client_show_call(inv, &call, print_backup);
	else
		status = client_say_error(STATUS_USAGE, "passphrase", "it is no UTF-8", NULL);
	explicit_bzero(passphrase, sizeof(passphrase));
	return status;
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

struct offline_words {
	char *argv[10];
	unsigned cnt;
};

static void words_add(struct offline_words *words, const char *name, const char *value)
{
	if (!value)
		return;
	words->argv[words->cnt++] = (char *)(uintptr_t)name;
	if (*value)
		words->argv[words->cnt++] = (char *)(uintptr_t)value;
}

static int offline_run(const struct invocation *inv, struct offline_words *words)
{
	words_add(words, "--state", invocation_option(inv, "state"));
	words_add(words, "--config", invocation_option(inv, "config"));
	return daemon_run(words->argv);
}

/* passphrase_hand: a descriptor that weftd reads the line from, as text; a pipe takes it whole. */
static int passphrase_hand(const struct invocation *inv, char fd_text[static 12])
{
	char passphrase[PASSPHRASE_CAP];
	int ends[2], status = passphrase_ask(inv, false, passphrase);
	size_t len;

	if (status != STATUS_OK)
		return status;
	len = strlen(passphrase);
	passphrase[len] = '\n';
	if (pipe(ends) < 0 || write(ends[1], passphrase, len + 1) != (ssize_t)len + 1)
		status = client_say_error(STATUS_FAILED, "passphrase", strerror(errno), NULL);
	else
		close(ends[1]);
	explicit_bzero(passphrase, sizeof(passphrase));
	snprintf(fd_text, 12, "%d", ends[0]);
	return status;
}

int run_backup_restore(struct invocation *inv)
{
	struct offline_words words = {.argv = {(char *)"weftd"}, .cnt = 1};
	char fd_text[12];
	struct stat st;
	int status;

	words_add(&words, "--restore", inv->args[0]);
	if (stat(inv->args[0], &st) < 0)
		return client_say_error(STATUS_NOT_FOUND, inv->args[0], strerror(errno), NULL);
	/* The folder of a whole copy is not sealed. */
	if (!S_ISDIR(st.st_mode)) {
		status = passphrase_hand(inv, fd_text);
		if (status != STATUS_OK)
			return status;
		words_add(&words, "--restore-passphrase-fd", fd_text);
	}
	return offline_run(inv, &words);
}

int run_store_salvage(struct invocation *inv)
{
	struct offline_words words = {.argv = {(char *)"weftd"}, .cnt = 1};

	words_add(&words, "--salvage", "");
	return offline_run(inv, &words);
}
