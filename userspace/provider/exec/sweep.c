/* SPDX-License-Identifier: Apache-2.0 */
/* Children as /proc lists them. In the launcher and its keepers, one thread each. */
#include "sweep.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

unsigned provider_sweep_children(bool (*spares)(void *arg, pid_t pid), void *arg)
{
	char path[64];
	FILE *file;
	unsigned cnt = 0;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fscanf(file, "%d", &pid) == 1) {
		if (pid <= 0 || (spares && spares(arg, pid)))
			continue;
		cnt += kill(pid, SIGKILL) == 0;
	}
	fclose(file);
	return cnt;
}
