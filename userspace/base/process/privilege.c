/* SPDX-License-Identifier: Apache-2.0 */
/* By the kernel's own calls: a thread has what its maker had, and drops it for itself. */
#include "privilege.h"

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

bool privilege_has(unsigned cap)
{
	struct capabilities caps;

	return capabilities_get(&caps) == 0 &&
	       (caps.data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap));
}

int privilege_drop_all(void)
{
	struct capabilities none = {.header = {.version = _LINUX_CAPABILITY_VERSION_3}};

	/* Ambient ones are lowered with the permitted ones (capabilities(7)). */
	return syscall(SYS_capset, &none.header, none.data) < 0 ? -errno : 0;
}

static void capability_clear(struct capabilities *caps, unsigned cap)
{
	struct __user_cap_data_struct *data = &caps->data[CAP_TO_INDEX(cap)];

	data->effective &= ~CAP_TO_MASK(cap);
	data->permitted &= ~CAP_TO_MASK(cap);
	data->inheritable &= ~CAP_TO_MASK(cap);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, cap, 0, 0);
}

void privilege_give_up(unsigned cap)
{
	struct capabilities caps;

	if (capabilities_get(&caps) < 0)
		return;
	capability_clear(&caps, cap);
	(void)syscall(SYS_capset, &caps.header, caps.data);
}

int privilege_drop(void)
{
	struct capabilities caps;
	int err = capabilities_get(&caps);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < USED_CNT; i++)
		capability_clear(&caps, used[i]);
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
	/* The kernel may know capabilities that the headers do not: it says where they end. */
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
