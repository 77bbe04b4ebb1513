/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_SUPERVISOR_H
#define WEFT_PROVIDER_EXEC_SUPERVISOR_H

#include "confine.h"
#include "launch_message.h"

/*
 * Private to provider/: the process between the launcher and one program. It makes the program's
 * surroundings, starts it, and ends its remains: as the first of a process namespace by ending
 * itself, else as subreaper. It ends everything when the launcher does or on SIGTERM.
 */
struct supervisor {
	const struct launch_start *start; /* NULL: tries out the surroundings and ends */
	const struct confine *confine;	  /* NULL: none */
	const char *cgroup;		  /* path; "": none */
	int files[LAUNCH_FD_CNT];
	int report;		/* takes one struct spawn_report */
	int life;		/* hangs up when the launcher ends */
	bool has_own_processes; /* as in struct spawn */
};

/* provider_supervisor_fork: the supervisor's pid, or -1 with errno. */
pid_t provider_supervisor_fork(const struct supervisor *supervisor);

#endif
