/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_COMMAND_INVOCATION_H
#define WEFT_TOOLS_COMMAND_INVOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "varlink/blocks.h"

struct command;
struct client_replies;

/* One run of one command, as it was typed. */
#define INVOCATION_ARG_MAX    72 /* all the filters that four schemas may have */
#define INVOCATION_OPTION_MAX 24 /* of one command */
struct invocation {
	const struct command *command;
	const char *args[INVOCATION_ARG_MAX];
	unsigned arg_cnt;
	const char *values[INVOCATION_OPTION_MAX]; /* of its options; NULL: not given */
	const char *socket;			   /* NULL: where it usually is */
	bool is_json;
	bool is_help;
	uint64_t timeout_ms; /* for the daemon to answer */
	bool is_version;
	bool has_terminal_out;	       /* stdout */
	bool has_terminal_err;	       /* stderr */
	struct varlink_blocks *blocks; /* what lasts as long as the run */
	struct client_replies **kept;  /* replies that do */
};

/* invocation_option: the value of an option, "" of a flag, NULL when it was not given. */
const char *invocation_option(const struct invocation *inv, const char *name);
/*
 * invocation_parse reads the command line. Returns STATUS_OK, or
 * STATUS_USAGE after saying what is wrong and what may have been meant.
 */
int invocation_parse(int argc, char **argv, struct invocation *out_inv);

#endif
