/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's facts about its device: its MAC, the VLANs above it, and whether checksums may be
 * partial. Read when a device is opened, on the thread that opens it, and again on home when the
 * kernel reports a change.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/weft_xdp.skel.h"
#include "xdp_state.h"
#include "weft/frame.h"

/* VLAN devices that are looked at, of the whole namespace: a node has a few. */
#define VLAN_CNT_MAX 256

/* Those of all devices that remove tags. */
struct vlans {
	struct netdev devices[VLAN_CNT_MAX];
	unsigned cnt;
};

static void vlan_seen(void *ctx, const struct netdev *netdev)
{
	struct vlans *vlans = ctx;

	if (net_netdev_is_vlan(netdev) && netdev->is_up && vlans->cnt < VLAN_CNT_MAX)
		vlans->devices[vlans->cnt++] = *netdev;
}

/* Those right above ifindex and those above them; below is the tag of what is below them. */
static void vlans_put(const struct vlans *vlans, unsigned ifindex, uint64_t below,
		      struct weft_device *out)
{
	for (unsigned i = 0; i < vlans->cnt; i++) {
		const struct netdev *vlan = &vlans->devices[i];
		uint64_t tag = weft_vlan_tag(vlan->vlan_type, vlan->vlan_id);

		if (vlan->link_ifindex != ifindex || !tag)
			continue;
		/* One that finds no room is the stack's. */
		(void)weft_device_put_vlan(out, below << 32 | tag);
		if (!below)
			vlans_put(vlans, vlan->ifindex, tag, out);
	}
}

/*
 * A sender on this machine may leave a checksum to the card. It then arrives unfinished: by
 * every device that is no card, and by the cards of virtual machines.
 */
static bool has_partial_sums(const struct netdev *netdev)
{
	static const char *const drivers[] = {"virtio_net", "vmxnet3", "vif", "veth", "tun"};

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(netdev->driver, drivers[i]) == 0)
			return true;
	return netdev->is_loopback || *netdev->kind;
}

static uint64_t mac_word(const uint8_t mac[6])
{
	uint64_t word = 0;

	memcpy(&word, mac, 6);
	return word;
}

int net_xdp_link_read(struct xdp_device *device)
{
	struct weft_device link = {0};
	struct vlans *vlans;
	struct netdev netdev;
	const uint32_t only = 0;
	int err = net_netdev_read(device->info.name, &netdev);

	if (err < 0)
		return err;
	vlans = calloc(1, sizeof(*vlans));
	if (!vlans)
		return -ENOMEM;
	link.mac = mac_word(netdev.mac);
	link.is_loopback = netdev.is_loopback;
	link.has_partial_sums = device->info.has_partial_sums = has_partial_sums(&netdev);
	err = net_netdev_each(vlan_seen, vlans);
	if (!err)
		vlans_put(vlans, device->info.ifindex, 0, &link);
	free(vlans);
	return err < 0 ? err
		       : bpf_map_update_elem(bpf_map__fd(device->program->maps.weft_device), &only,
					     &link, BPF_ANY);
}
