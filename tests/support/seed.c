/* SPDX-License-Identifier: Apache-2.0 */
#include "support/seed.h"

#include <stdlib.h>

uint64_t seed_of_run(uint64_t seed)
{
	const char *text = getenv("SEED");

	return text ? strtoull(text, NULL, 0) : seed;
}

bool seed_is_small(void)
{
	return getenv("SIM_SMALL");
}
