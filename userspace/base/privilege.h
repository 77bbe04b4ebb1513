/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_PRIVILEGE_H
#define WEFT_BASE_PRIVILEGE_H

#include <stdbool.h>

/*
 * The capabilities that attaching an XDP program to a device takes:
 * CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW. They belong to a thread, and a new
 * one inherits its maker's, so threads that need none drop them first of
 * all.
 */

/* privilege_is_held: this thread has all three. */
bool privilege_is_held(void);
/* privilege_drop gives them up for the calling thread and what it starts. 0 or -errno. */
int privilege_drop(void);

#endif
