/* SPDX-License-Identifier: Apache-2.0 */
#include "own_use.h"

#include <stdio.h>
#include <time.h>

#include "base/monotonic.h"

uint64_t own_core_ns(void)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
	return (uint64_t)at.tv_sec * NS_PER_S + (uint64_t)at.tv_nsec;
}

size_t own_memory_len(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long long kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "RssAnon: %llu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return (size_t)kib * 1024;
}
