/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_PROCESS_SANDBOX_CALLS_H
#define WEFT_BASE_PROCESS_SANDBOX_CALLS_H

#include <stdbool.h>

#include "sandbox.h"
#include "weft/err.h"

/* Only sandbox.c calls these. A call outside the role's list raises SIGSYS. */
bool sandbox_calls_are_known(void);
bool sandbox_calls_can_filter(void);
/* sandbox_calls_enter sets the filter on the calling thread. 0 or -errno. */
WEFT_MUST_CHECK
int sandbox_calls_enter(enum sandbox_role role);

#endif
