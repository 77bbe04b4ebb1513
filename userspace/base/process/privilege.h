/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_PROCESS_PRIVILEGE_H
#define WEFT_BASE_PROCESS_PRIVILEGE_H

#include <stdbool.h>

/*
 * The capabilities that attaching an XDP program to a device takes:
 * CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW. CAP_PERFMON is not needed, but a
 * program loaded with it has no barriers against speculation and decides in
 * a third of the time (docs/performance.md). They belong to a thread, and a
 * new one inherits its maker's, so threads that need none drop them first
 * of all.
 */

/* privilege_is_held: this thread has all three. */
bool privilege_is_held(void);
/* privilege_drop gives all four up for the calling thread and what it starts. 0 or -errno. */
int privilege_drop(void);
/*
 * privilege_bound takes all but the four out of the bounding set, for good,
 * and lets the four outlive the change of user that follows. privilege_keep,
 * after that, leaves of what is permitted the four alone and makes them
 * effective. 0 or -errno. Main thread, before any other.
 */
int privilege_bound(void);
int privilege_keep(void);
/* privilege_has: this thread has capability cap of linux/capability.h in effect. */
bool privilege_has(unsigned cap);
/* privilege_give_up drops cap alone, for the calling thread and what it starts; as far as it has it. */
void privilege_give_up(unsigned cap);
/*
 * privilege_drop_all gives every capability up for the calling thread and what
 * it starts; its bounding set stays. 0 or -errno.
 */
int privilege_drop_all(void);

#endif
