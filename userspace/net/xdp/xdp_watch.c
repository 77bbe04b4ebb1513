/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The changes of attached devices, noticed. Changes of the device come by rtnetlink at once; every
 * check asks whether the program was detached, and what the sockets lost. They are counted,
 * reported, and left to the owner to act on: the kernel's socket carries on by itself.
 */
#include <bpf/bpf.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "net/udp/udp_frame.h"
#include "xdp_state.h"

const char *net_xdp_fault_name(enum xdp_fault fault)
{
	static const char *const names[XDP_FAULT_CNT] = {
#define FAULT(name, word) [XDP_##name] = word,
#include "net/xdp/xdp_faults.def"
	};

	return (unsigned)fault < XDP_FAULT_CNT ? names[fault] : "unknown";
}

__attribute__((format(printf, 4, 5))) static void tell(struct xdp *xdp, unsigned number,
						       enum xdp_fault fault, const char *fmt, ...)
{
	char detail[XDP_WHY_CAP];
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	xdp->devices[number]->info.fault_cnt[fault]++;
	if (xdp->params.on_fault)
		xdp->params.on_fault(xdp->params.ctx, number, fault, detail);
}

static void device_gone(struct xdp *xdp, unsigned number)
{
	struct xdp_device_info *info = &xdp->devices[number]->info;

	if (info->is_lost)
		return;
	info->is_lost = true;
	info->is_running = false;
	tell(xdp, number, XDP_DEVICE_GONE,
	     "%s is gone; datagrams come by the kernel's socket, sessions live on", info->name);
}

static void mtu_changed(struct xdp *xdp, unsigned number, uint32_t mtu)
{
	struct xdp_device *device = xdp->devices[number];

	uint32_t before = device->info.mtu;

	device->info.mtu = mtu;
	tell(xdp, number, XDP_MTU_CHANGED, "MTU of %s went from %u to %u%s", device->info.name,
	     before, mtu,
	     mtu > device->info.deliver_len_max - LINK_HEADER_LEN_MAX
		     ? "; larger packets than a frame come by the kernel's socket, attach again "
		       "for larger frames"
		     : "");
}

/* A failure leaves what the program knew: frames of what is new are the stack's. */
static void links_read(struct xdp *xdp)
{
	xdp->is_link_due = false;
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++)
		if (xdp->devices[i] && !xdp->devices[i]->info.is_lost &&
		    net_xdp_link_read(xdp->devices[i]) < 0)
			xdp->is_link_due = true;
}

static void device_changed(void *ctx, const struct netdev *netdev, bool is_gone)
{
	struct xdp *xdp = ctx;

	xdp->is_link_due |= net_netdev_is_vlan(netdev);

	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		struct xdp_device_info *info = xdp->devices[i] ? &xdp->devices[i]->info : NULL;

		if (!info || info->ifindex != netdev->ifindex)
			continue;
		if (is_gone) {
			device_gone(xdp, i);
			continue;
		}
		memcpy(info->name, netdev->name, sizeof(info->name));
		xdp->is_link_due = true;
		if (netdev->mtu != info->mtu)
			mtu_changed(xdp, i, netdev->mtu);
		if (netdev->is_running == info->is_running)
			continue;
		info->is_running = netdev->is_running;
		tell(xdp, i, info->is_running ? XDP_LINK_UP : XDP_LINK_DOWN, "%s %s", info->name,
		     info->is_running ? "is up again" : "has no link");
	}
}

/* A link that was detached by force, or whose device is gone, has no device any more. */
static bool link_is_live(const struct xdp_device *device)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);

	return bpf_link_get_info_by_fd(device->link_fd, &info, &len) < 0 || info.xdp.ifindex != 0;
}

static void link_check(struct xdp *xdp, unsigned number)
{
	struct xdp_device_info *info = &xdp->devices[number]->info;
	char name[IF_NAMESIZE];

	if (info->is_lost || link_is_live(xdp->devices[number]))
		return;
	if (!if_indextoname(info->ifindex, name)) {
		device_gone(xdp, number);
		return;
	}
	info->is_lost = true;
	tell(xdp, number, XDP_PROGRAM_GONE,
	     "somebody detached the program from %s; datagrams come by the kernel's socket, weft "
	     "xdp attach %s puts it back",
	     info->name, info->name);
}

static void losses_check(struct xdp *xdp, unsigned number)
{
	struct xdp_device *device = xdp->devices[number];
	struct xsk_losses sum = {0};

	for (unsigned i = 0; i < device->info.queue_cnt; i++) {
		struct xsk_losses more;

		net_xsk_read_losses(device->queues[i].xsk, &more);
		sum.rx_dropped_cnt += more.rx_dropped_cnt;
		sum.rx_ring_full_cnt += more.rx_ring_full_cnt;
		sum.fill_empty_cnt += more.fill_empty_cnt;
		sum.invalid_desc_cnt += more.invalid_desc_cnt;
		device->queues[i].lost_cnt += more.rx_dropped_cnt + more.rx_ring_full_cnt;
	}
	device->info.rx_lost_cnt += sum.rx_dropped_cnt + sum.rx_ring_full_cnt;
	if (sum.rx_ring_full_cnt)
		tell(xdp, number, XDP_RING_FULL, "%llu datagrams of %s found no place in the ring",
		     (unsigned long long)sum.rx_ring_full_cnt, device->info.name);
	if (sum.fill_empty_cnt)
		tell(xdp, number, XDP_FILL_EMPTY,
		     "%llu times %s found no frame to fill, and lost %llu datagrams",
		     (unsigned long long)sum.fill_empty_cnt, device->info.name,
		     (unsigned long long)sum.rx_dropped_cnt);
	if (sum.invalid_desc_cnt)
		tell(xdp, number, XDP_DESC_REFUSED,
		     "the kernel refused %llu descriptors for %s: please report this",
		     (unsigned long long)sum.invalid_desc_cnt, device->info.name);
}

/* Messages were lost on the way here: what they said is still there to be read. */
static void devices_read(struct xdp *xdp)
{
	struct netdev netdev;

	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++)
		if (xdp->devices[i] && net_netdev_read(xdp->devices[i]->info.name, &netdev) == 0)
			device_changed(xdp, &netdev, false);
}

void net_xdp_check(struct xdp *xdp)
{
	if (net_netdev_watch_drain(xdp->watch_fd, device_changed, xdp))
		devices_read(xdp);
	if (xdp->is_link_due)
		links_read(xdp);
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		if (!xdp->devices[i])
			continue;
		link_check(xdp, i);
		losses_check(xdp, i);
	}
}
