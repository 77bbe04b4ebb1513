/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_SPAWN_H
#define WEFT_PROVIDER_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

#include "weft/err.h"

/*
 * Private to provider/: starting a program with nothing of ours but three
 * pipes. It leads a process group of its own and is killed when we die.
 */
struct spawn {
	const char *path; /* and so its first argument */
	char *const *argv;
	char *const *envp;
	uint64_t memory_len_max; /* of its address space */
	uint64_t cpu_s_max;
};

struct spawned {
	pid_t pid;
	int pidfd;	  /* readable when it has ended */
	int in, out, err; /* our ends of its standard files; they do not block */
};

/*
 * spawn_run: 0 with descriptors that are yours, or -errno, also of execve. Our
 * memory is not copied, whatever its size. Context: the one thread that
 * lives as long as the process.
 */
WEFT_MUST_CHECK
int spawn_run(const struct spawn *spawn, struct spawned *out_spawned);
/* spawn_kill ends the whole group. The leader was not reaped yet, so its id is nobody else's. */
void spawn_kill(const struct spawned *spawned);
/*
 * spawn_reap takes the exit code of one that has ended: [0, 255], or 256 and its
 * signal when one killed it; -errno.
 */
WEFT_MUST_CHECK
int spawn_reap(const struct spawned *spawned);

#endif
