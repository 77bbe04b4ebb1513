/* SPDX-License-Identifier: Apache-2.0 */
/* By the kernel's own calls: a thread has what its maker had, and drops it for itself. */
#include "base/privilege.h"

#include <errno.h>
#include <stdint.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const unsigned used[] = {CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON};
#define USED_CNT   (sizeof(used) / sizeof(used[0]))
#define NEEDED_CNT 3 /* the first of them */

struct capabilities {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
};

static int capabilities_get(struct capabilities *caps)
{
	*caps = (struct capabilities){.header = {.version = _LINUX_CAPABILITY_VERSION_3}};
	return syscall(SYS_capget, &caps->header, caps->data) < 0 ? -errno : 0;
}

bool privilege_is_held(void)
{
	struct capabilities caps;

	if (capabilities_get(&caps) < 0)
		return false;
	for (unsigned i = 0; i < NEEDED_CNT; i++)
		if (!(caps.data[CAP_TO_INDEX(used[i])].effective & CAP_TO_MASK(used[i])))
			return false;
	return true;
}

int privilege_drop(void)
{
	struct capabilities caps;
	int err = capabilities_get(&caps);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < USED_CNT; i++) {
		struct __user_cap_data_struct *data = &caps.data[CAP_TO_INDEX(used[i])];

		data->effective &= ~CAP_TO_MASK(used[i]);
		data->permitted &= ~CAP_TO_MASK(used[i]);
		data->inheritable &= ~CAP_TO_MASK(used[i]);
		(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, used[i], 0, 0);
	}
	return syscall(SYS_capset, &caps.header, caps.data) < 0 ? -errno : 0;
}

static bool is_used(unsigned capability)
{
	for (unsigned i = 0; i < USED_CNT; i++)
		if (used[i] == capability)
			return true;
	return false;
}

int privilege_bound(void)
{
	/* The kernel may know capabilities that our headers do not: it says where they end. */
	for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!is_used(cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int privilege_keep(void)
{
	struct capabilities caps;
	uint32_t kept[_LINUX_CAPABILITY_U32S_3] = {0};
	int err = capabilities_get(&caps);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < USED_CNT; i++)
		kept[CAP_TO_INDEX(used[i])] |= CAP_TO_MASK(used[i]);
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		caps.data[i].permitted &= kept[i];
		caps.data[i].effective = caps.data[i].permitted;
		caps.data[i].inheritable = 0;
	}
	(void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	return syscall(SYS_capset, &caps.header, caps.data) < 0 ? -errno : 0;
}
