/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_PROCESS_ANCESTRY_H
#define WEFT_BASE_PROCESS_ANCESTRY_H

#include <sys/types.h>

/* Whether the process at the other end of a socket descends from another one. */
enum ancestry {
	ANCESTRY_NO,
	ANCESTRY_YES,
	ANCESTRY_UNKNOWN, /* it has ended, or a process between them cannot be seen */
};

/*
 * ancestry_of_peer asks for the peer of a connected unix socket: SO_PEERPIDFD (Linux 6.5), else
 * SO_PEERCRED and pidfd_open. A peer of another process namespace, which is not visible here, is no
 * descendant.
 */
enum ancestry ancestry_of_peer(int socket, pid_t ancestor);
/*
 * ancestry_of walks from the process of pidfd up to its parents: by PIDFD_GET_INFO
 * (Linux 6.13), else by /proc. pidfd is borrowed.
 */
enum ancestry ancestry_of(int pidfd, pid_t ancestor);
/* ancestry_of_proc is ancestry_of by /proc alone. */
enum ancestry ancestry_of_proc(int pidfd, pid_t ancestor);

#endif
