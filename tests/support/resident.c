/* SPDX-License-Identifier: Apache-2.0 */
#include "support/resident.h"

#include <stdbool.h>
#include <stdio.h>

size_t resident_len(void)
{
	FILE *statm = fopen("/proc/self/statm", "r");
	unsigned long all, resident;
	bool is_read = statm && fscanf(statm, "%lu %lu", &all, &resident) == 2;

	if (statm)
		fclose(statm);
	return is_read ? resident * 4096 : 0;
}
