/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft: speaks to a daemon over its control socket. One table of commands
 * (commands.c), one call each; what people see is made here, what is true
 * is known to the daemon.
 */
#include <stdio.h>
#include <unistd.h>

#include "codec/json_heap.h"
#include "command/daemon_client.h"
#include "weft/version.h"

int main(int argc, char **argv)
{
	struct varlink_blocks blocks = {0};
	struct client_replies *kept = NULL;
	struct invocation inv = {
		.has_terminal_out = isatty(STDOUT_FILENO),
		.has_terminal_err = isatty(STDERR_FILENO),
		.blocks = &blocks,
		.kept = &kept,
	};
	int status;

	json_heap_begin();
	status = invocation_parse(argc, argv, &inv);
	if (status != STATUS_OK)
		return status;
	if (inv.is_version) {
		printf("weft %s\n", WEFT_VERSION);
		return STATUS_OK;
	}
	if (inv.is_help || (!inv.command && !inv.arg_cnt)) {
		help_print(&inv, stdout);
		return STATUS_OK;
	}
	if (!inv.command) {
		fprintf(stderr, "weft %s: a verb is missing\n\n", inv.args[0]);
		help_print(&inv, stderr);
		return STATUS_USAGE;
	}
	status = inv.command->run ? inv.command->run(&inv) : command_call_run(&inv);
	client_replies_free(kept);
	varlink_blocks_free(&blocks);
	/* Output that could not be written, a full disk or a closed pipe, is a failure too. */
	if (fflush(stdout) != 0 && status == STATUS_OK) {
		perror("weft: standard output");
		status = STATUS_FAILED;
	}
	return status;
}
