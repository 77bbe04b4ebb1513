/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_CGROUP_H
#define WEFT_PROVIDER_EXEC_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Private to provider/: a control group for each started program. It is made where the service
 * manager delegated a group to weftd. systemd marks such a group by the attribute user.delegate
 * or trusted.delegate. Elsewhere no groups are made: the tree is its manager's.
 */
#define CGROUP_PATH_CAP 512

struct cgroup {
	char base[CGROUP_PATH_CAP]; /* "": none is delegated */
	bool has_memory, has_pids;  /* controllers of the groups in it */
};

/*
 * provider_cgroup_find looks for the delegated group and ends an earlier launcher's remains in it.
 */
void provider_cgroup_find(struct cgroup *cgroup);
/*
 * provider_cgroup_make makes the group of program id with its limits, and its path. False: without
 * one.
 */
bool provider_cgroup_make(const struct cgroup *cgroup, uint64_t id, uint64_t memory_len_max,
			  char path[static CGROUP_PATH_CAP]);
/* provider_cgroup_enter moves the calling process there. */
bool provider_cgroup_enter(const char *path);
void provider_cgroup_kill(const char *path);
/* provider_cgroup_remove: false while a process is left in it. */
bool provider_cgroup_remove(const char *path);

#endif
