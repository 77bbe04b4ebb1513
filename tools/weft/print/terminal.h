/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_TERMINAL_H
#define WEFT_TOOLS_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* The terminal's properties. */

/* terminal_columns of the one at fd: $COLUMNS as POSIX has it, else what it says, else 80. */
size_t terminal_columns(int fd);
/* terminal_rows of the one at fd, 24 when it does not say. */
unsigned terminal_rows(int fd);
/* terminal_moves: it knows escape sequences, as $TERM unset or "dumb" does not. */
bool terminal_moves(void);
/* terminal_is_styled: it moves, and $NO_COLOR is unset or empty. */
bool terminal_is_styled(void);

/*
 * terminal_keys_begin reads standard input key by key, without showing them,
 * where it is a terminal in the foreground. A key that comes interrupts a call
 * (client_catch_interrupt). terminal_keys_end gives the terminal back as it
 * was. terminal_quit_pressed: q was typed.
 */
void terminal_keys_begin(void);
bool terminal_quit_pressed(void);
void terminal_keys_end(void);

#endif
