/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal: its size, what it understands, its keys. */
#include "print/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "print/text.h"

#define COLUMNS_DEFAULT 80
#define ROWS_DEFAULT	24

size_t terminal_columns(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t width;

	if (columns && text_parse_count(columns, &width) && width > 1 && width <= UINT16_MAX)
		return (size_t)width;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : COLUMNS_DEFAULT;
}

unsigned terminal_rows(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 4 ? size.ws_row : ROWS_DEFAULT;
}

bool terminal_moves(void)
{
	const char *term = getenv("TERM");

	return term && *term && strcmp(term, "dumb") != 0;
}

bool terminal_is_styled(void)
{
	const char *no_color = getenv("NO_COLOR");

	return terminal_moves() && !(no_color && *no_color);
}

/* --- keys --- */

static struct termios terminal_before;
static int flags_before;
static bool is_reading_keys;

static void on_key(int signal_number)
{
	(void)signal_number; /* its one effect: it ends a wait */
}

void terminal_keys_begin(void)
{
	struct sigaction action = {.sa_handler = on_key}; /* no SA_RESTART */
	struct termios keys;

	if (tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &terminal_before) < 0)
		return;
	flags_before = fcntl(STDIN_FILENO, F_GETFL);
	keys = terminal_before;
	keys.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	sigaction(SIGIO, &action, NULL);
	is_reading_keys = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
	(void)fcntl(STDIN_FILENO, F_SETOWN, getpid());
	(void)fcntl(STDIN_FILENO, F_SETFL, flags_before | O_ASYNC | O_NONBLOCK);
}

bool terminal_quit_pressed(void)
{
	char key;

	while (is_reading_keys && read(STDIN_FILENO, &key, 1) == 1) {
		if (key == 'q' || key == 'Q')
			return true;
	}
	return false;
}

void terminal_keys_end(void)
{
	if (!is_reading_keys)
		return;
	is_reading_keys = false;
	(void)fcntl(STDIN_FILENO, F_SETFL, flags_before);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}
