/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relay flows in the program's maps. They live in memory of the relay room
 * while no device is attached. With the first device that memory becomes
 * the maps' own, at the same addresses, so workers that forward meanwhile
 * notice nothing. When the last device goes it is plain memory again. Home.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xdp_state.h"

/* One table: where workers have it, and its map. */
struct relay_part {
	void *at;
	size_t len;
	enum xdp_map map;
};
#define PART_CNT 3

static void parts_of(const struct weft_relay_tables *tables, struct relay_part out[PART_CNT])
{
	out[0] = (struct relay_part){tables->keys, sizeof(*tables->keys), XDP_MAP_RELAY_KEYS};
	out[1] = (struct relay_part){tables->flows, tables->flow_cnt * sizeof(tables->flows[0]),
				     XDP_MAP_RELAY_FLOWS};
	out[2] = (struct relay_part){tables->grants,
				     WEFT_RELAY_GRANT_CNT * sizeof(tables->grants[0]),
				     XDP_MAP_RELAY_GRANTS};
}

/*
 * Copies what is there and takes its place. Volumes that a worker counts
 * between the two are lost, so they are withheld meanwhile
 * (volumes_withhold).
 */
static int part_map(const struct xdp *xdp, const struct relay_part *part)
{
	int fd = xdp->maps[part->map];
	void *at = mmap(NULL, part->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	memcpy(at, part->at, part->len);
	munmap(at, part->len);
	at = mmap(part->at, part->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	return at == MAP_FAILED ? -errno : 0;
}

static int part_unmap(const struct relay_part *part)
{
	void *at =
		mmap(NULL, part->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return -errno;
	memcpy(at, part->at, part->len);
	at = mremap(at, part->len, part->len, MREMAP_MAYMOVE | MREMAP_FIXED, part->at);
	return at == MAP_FAILED ? -errno : 0;
}

/* So a byte that is forwarded while tables move is not one that no ledger has: it is refused. */
static __s64 *volumes_withhold(const struct weft_relay_tables *tables)
{
	__s64 *held = calloc(WEFT_RELAY_GRANT_CNT, sizeof(*held));

	for (unsigned i = 0; held && i < WEFT_RELAY_GRANT_CNT; i++) {
		held[i] = __atomic_load_n(&tables->grants[i].volume_left, __ATOMIC_ACQUIRE);
		if (held[i] > 0)
			__atomic_fetch_sub(&tables->grants[i].volume_left, held[i],
					   __ATOMIC_ACQ_REL);
	}
	return held;
}

static void volumes_return(const struct weft_relay_tables *tables, __s64 *held)
{
	for (unsigned i = 0; i < WEFT_RELAY_GRANT_CNT; i++)
		if (held[i] > 0)
			__atomic_fetch_add(&tables->grants[i].volume_left, held[i],
					   __ATOMIC_ACQ_REL);
	free(held);
}

static int parts_move(struct xdp *xdp, bool is_to_map)
{
	struct relay_part parts[PART_CNT];
	__s64 *held = volumes_withhold(&xdp->relay);
	int err = 0;

	if (!held)
		return -ENOMEM;
	parts_of(&xdp->relay, parts);
	for (unsigned i = 0; i < PART_CNT && !err; i++)
		err = is_to_map ? part_map(xdp, &parts[i]) : part_unmap(&parts[i]);
	volumes_return(&xdp->relay, held);
	return err;
}

int net_xdp_relay_map(struct xdp *xdp)
{
	int err;

	if (!xdp->relay.keys)
		return 0;
	err = parts_move(xdp, true);
	xdp->is_relay_mapped = true;
	return err;
}

void net_xdp_relay_unmap(struct xdp *xdp)
{
	/* Without memory for that the maps stay this process's alone, and do as well. */
	if (xdp->is_relay_mapped)
		(void)!parts_move(xdp, false);
	xdp->is_relay_mapped = false;
}

/*
 * A frame of a driver's program can leave by a driver; by a device of
 * generic mode it is lost. So those take part alone.
 */
void net_xdp_relay_devices(struct xdp *xdp)
{
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		const struct xdp_device *device = xdp->devices[i];
		uint32_t ifindex = device ? device->info.ifindex : 0;

		if (!device)
			continue;
		if (device->info.mode == XDP_NATIVE || xdp->device_cnt == 1)
			(void)!bpf_map_update_elem(xdp->maps[XDP_MAP_RELAY_DEVICES], &ifindex,
						   &ifindex, BPF_ANY);
		else
			(void)!bpf_map_delete_elem(xdp->maps[XDP_MAP_RELAY_DEVICES], &ifindex);
	}
}

void net_xdp_set_relay(struct xdp *xdp, const struct weft_relay_tables *tables)
{
	xdp->relay = *tables;
}
