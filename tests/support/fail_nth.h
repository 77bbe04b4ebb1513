/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_FAIL_NTH_H
#define WEFT_TESTS_FAIL_NTH_H

#include <stdbool.h>

/*
 * Makes the n-th system call that touches files fail, so that every error
 * path is driven: n = 1, 2, 3, ... until a run ends that fired nothing. The
 * functions counted are the ones fail_nth.c defines in place of libc's;
 * descriptors other than regular files and directories are left alone.
 * Process-wide and safe with threads.
 */
#define FAIL_NTH_KILL 0 /* instead of an errno: SIGKILL to the process, before the call */

/* fail_nth_arm makes the n-th call from now fail once with error (an errno or FAIL_NTH_KILL). */
void fail_nth_arm(unsigned n, int error);
/* fail_nth_arm_all makes the n-th and every later call fail: a disk that stays full. */
void fail_nth_arm_all(unsigned n, int error);
/* fail_nth_arm_sync makes the next syncfs fail, and nothing else. */
void fail_nth_arm_sync(int error);
/* fail_nth_disarm ends it; true when a call was made to fail. */
bool fail_nth_disarm(void);

#endif
