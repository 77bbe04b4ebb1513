/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_SPAWN_H
#define WEFT_PROVIDER_EXEC_SPAWN_H

#include <stdbool.h>
#include <stdint.h>

#include "launch_message.h"

/*
 * Private to provider/: the last steps of a new process before it becomes a program. It keeps
 * three standard files and no other of weftd's. It has no privilege and no way to get one, its
 * limits, and its user.
 */
#define SPAWN_FILES_MAX	    256
#define SPAWN_PROCESSES_MAX 256 /* of its user, or of its user namespace */

struct spawn {
	const struct launch_start *start;
	const int *files;	/* LAUNCH_FD_CNT: in, out, err */
	int report;		/* takes a spawn_report when a step fails; closed by execve */
	bool has_own_processes; /* its process limit counts no processes of others */
};

/* The report of a supervisor and its program to the launcher; the first one counts. */
struct spawn_report {
	uint32_t is_ended;
	uint32_t step, err; /* !is_ended */
	uint32_t code;	    /* is_ended; as in struct launch_end */
};

/* provider_spawn_report_failure writes it to report. */
void provider_spawn_report_failure(int report, enum launch_step step, int err);
/* provider_spawn_program does not return. Context: a new process with one thread. */
_Noreturn void provider_spawn_program(const struct spawn *spawn);
/*
 * provider_spawn_close_except closes all descriptors but those kept, and sorts these; -1 is none.
 */
void provider_spawn_close_except(int *kept, unsigned cnt);

#endif
