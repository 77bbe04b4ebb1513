/* SPDX-License-Identifier: Apache-2.0 */
/* A passphrase: from a file, a descriptor or the terminal, which does not show it. */
#include "machine/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "command/daemon_client.h"
#include "command/command.h"
#include "print/text.h"

/* line_read takes no byte behind the line: 0, -ENODATA (it is empty), -E2BIG or -errno. */
static int line_read(int fd, char line[static PASSPHRASE_CAP])
{
	size_t len = 0;

	while (len < PASSPHRASE_CAP) {
		ssize_t n = read(fd, line + len, 1);

		if (n < 0)
			return -errno;
		if (n == 0 || line[len] == '\n') {
			if (n && len && line[len - 1] == '\r')
				len--;
			line[len] = '\0';
			return len ? 0 : -ENODATA;
		}
		len++;
	}
	return -E2BIG;
}

static int failed(const char *what, int err)
{
	return client_say_error(STATUS_FAILED, what,
				err == -ENODATA ? "its first line is empty"
				: err == -E2BIG ? "its first line is longer than 1023 bytes"
						: strerror(-err),
				"it holds the passphrase in its first line");
}

/* Without echo; what the terminal was like comes back. */
static int terminal_ask(int fd, const char *prompt, char line[static PASSPHRASE_CAP])
{
	struct termios before, silent;
	int err;

	if (tcgetattr(fd, &before) < 0)
		return -errno;
	silent = before;
	silent.c_lflag &= (tcflag_t)~ECHO;
	silent.c_lflag |= ICANON | ECHONL;
	if (tcsetattr(fd, TCSAFLUSH, &silent) < 0)
		return -errno;
	(void)!write(fd, prompt, strlen(prompt));
	err = line_read(fd, line);
	(void)tcsetattr(fd, TCSAFLUSH, &before);
	return err;
}

static int terminal_run(bool is_new, char passphrase[static PASSPHRASE_CAP])
{
	char again[PASSPHRASE_CAP];
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC), err;
	bool is_same = true;

	if (fd < 0)
		return client_say_error(
			STATUS_USAGE, "passphrase", "there is no terminal to ask for it",
			"name it with --passphrase-file FILE or --passphrase-fd FD");
	client_catch_interrupt();
	err = terminal_ask(fd, "Passphrase of the backup: ", passphrase);
	if (err == 0 && is_new) {
		err = terminal_ask(fd, "Once more: ", again);
		is_same = err == 0 && strcmp(again, passphrase) == 0;
		explicit_bzero(again, sizeof(again));
	}
	close(fd);
	if (err == -EINTR)
		return STATUS_INTERRUPTED;
	if (err < 0)
		return client_say_error(STATUS_USAGE, "passphrase",
					err == -ENODATA ? "it is empty" : strerror(-err), NULL);
	return is_same ? STATUS_OK
		       : client_say_error(STATUS_USAGE, "passphrase", "the two differ", NULL);
}

int passphrase_ask(const struct invocation *inv, bool is_new,
		   char passphrase[static PASSPHRASE_CAP])
{
	const char *file = invocation_option(inv, "passphrase-file");
	const char *number = invocation_option(inv, "passphrase-fd");
	uint64_t given;
	int fd, err;

	if (file && number)
		return client_say_error(STATUS_USAGE, "passphrase",
					"--passphrase-file and --passphrase-fd are two", NULL);
	if (!file && !number)
		return terminal_run(is_new, passphrase);
	if (number) {
		if (!text_parse_count(number, &given) || given > 1023)
			return client_say_error(STATUS_USAGE, number, "not a descriptor", NULL);
		err = line_read((int)given, passphrase);
		return err < 0 ? failed("--passphrase-fd", err) : STATUS_OK;
	}
	fd = open(file, O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? -errno : line_read(fd, passphrase);
	if (fd >= 0)
		close(fd);
	return err < 0 ? failed(file, err) : STATUS_OK;
}
