/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_CONFINE_H
#define WEFT_PROVIDER_EXEC_CONFINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "weft/err.h"

struct launch_setup;

/*
 * Private to provider/: a private view of files and processes. In its mount namespace the
 * daemon's folders are empty. Its process namespace is killed as a whole with its first process.
 * For an ordinary user both are inside a user namespace that knows this one user.
 */
struct confine {
	const struct launch_setup *setup; /* hidden paths */
	uid_t uid;			  /* of the launcher, seen from outside */
	gid_t gid;
	bool is_privileged; /* CAP_SYS_ADMIN: without a user namespace */
};

/* provider_confine_init finds the abilities of the calling process. */
void provider_confine_init(struct confine *confine, const struct launch_setup *setup);
/* provider_confine_fork forks into new namespaces. As fork, -1 with errno. */
pid_t provider_confine_fork(const struct confine *confine);
/*
 * provider_confine_enter arranges the namespaces from inside. 0 or -errno; then nothing may be
 * started.
 */
WEFT_MUST_CHECK
int provider_confine_enter(const struct confine *confine);

#endif
