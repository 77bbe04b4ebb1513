/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_SWEEP_H
#define WEFT_PROVIDER_EXEC_SWEEP_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Private to provider/: ends the processes that programs started. A subreaper's children are all
 * their remains, so killing children until there are none ends a whole tree, sessions and double
 * forks included.
 */

/*
 * provider_sweep_children kills the calling process's children, except those that spares names
 * (NULL: none). Returns how many it killed; the caller reaps them, and inherits their children.
 */
unsigned provider_sweep_children(bool (*spares)(void *arg, pid_t pid), void *arg);

#endif
