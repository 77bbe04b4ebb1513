/* SPDX-License-Identifier: Apache-2.0 */
#include "barriers.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

void barriers_ask_for(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	int err = (int)syscall(SYS_capget, &header, caps);

	caps[CAP_TO_INDEX(CAP_PERFMON)].effective &= ~CAP_TO_MASK(CAP_PERFMON);
	caps[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
	if (err == 0)
		err = (int)syscall(SYS_capset, &header, caps);
	if (err < 0) {
		perror("CAP_PERFMON cannot be given up");
		exit(1);
	}
}
