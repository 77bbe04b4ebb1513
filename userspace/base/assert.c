/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/process/crash.h"

_Noreturn void assert_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "weft: broken invariant: %s (%s:%d)\n", what, file, line);
	crash_note(file, line);
	abort();
}
