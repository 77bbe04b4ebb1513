/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fail_alloc.h"

#include <errno.h>
#include <stdatomic.h>

#include "support/alloc_wrap.h"

static _Atomic unsigned first; /* 0: not armed */
static _Atomic unsigned fail_cnt;
static _Atomic unsigned asked_cnt;
static atomic_bool has_failed;

void fail_alloc_arm(unsigned n, unsigned cnt)
{
	has_failed = false;
	asked_cnt = 0;
	fail_cnt = cnt;
	first = n;
}

bool fail_alloc_disarm(void)
{
	first = 0;
	return has_failed;
}

bool alloc_is_refused(void)
{
	unsigned at;

	if (first == 0)
		return false;
	at = atomic_fetch_add(&asked_cnt, 1) + 1;
	if (at < first || at - first >= fail_cnt)
		return false;
	has_failed = true;
	errno = ENOMEM;
	return true;
}
