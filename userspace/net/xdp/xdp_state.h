/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_XDP_XDP_STATE_H
#define WEFT_NET_XDP_XDP_STATE_H

#include "netdev.h"
#include "xdp.h"
#include "xsk.h"

/*
 * Private to net/: what the xdp_*.c share.
 *
 * Each device has a program of its own, because the map of sockets goes by
 * number of queue and every device has a queue 0. All other maps are those
 * of the first device: later ones are loaded over them.
 */
enum xdp_map {
	XDP_MAP_CONFIG,
	XDP_MAP_CID_KEYS,
	XDP_MAP_TOKEN_KEYS,
	XDP_MAP_GHASH,
	XDP_MAP_LOCALS,
	XDP_MAP_BANS_IPV4,
	XDP_MAP_BANS_IPV6,
	XDP_MAP_SESSIONS,
	XDP_MAP_PLACES,
	XDP_MAP_MARKS,
	XDP_MAP_TOTALS,
	XDP_MAP_COUNTERS,
	XDP_MAP_SAMPLERS,
	XDP_MAP_SAMPLES,
	XDP_MAP_KRPC_SELVES,
	XDP_MAP_KRPC_BUCKETS,
	XDP_MAP_KRPC_HELD,
	XDP_MAP_KRPC_KEYS,
	XDP_MAP_RELAY_KEYS,
	XDP_MAP_RELAY_FLOWS,
	XDP_MAP_RELAY_GRANTS,
	XDP_MAP_RELAY_DEVICES,
	XDP_MAP_CNT,
};

/*
 * Bytes that the kernel leaves free in front of a packet in a frame
 * (XDP_PACKET_HEADROOM).
 */
#define XDP_FRAME_HEADROOM 256

struct ring_buffer;
struct weft_xdp;

struct xdp_device {
	struct xdp_device_info info;
	char mode_reason[96];
	struct weft_xdp *program;
	int link_fd;
	bool is_unhooked;
	struct xdp_queue queues[XDP_QUEUE_MAX]; /* info.queue_cnt of them */
};

struct xdp {
	struct xdp_params params;
	struct xdp_device *devices[XDP_DEVICE_MAX];
	unsigned device_cnt;
	int maps[XDP_MAP_CNT]; /* this process's descriptors; -1: nothing was attached */
	int watch_fd;
	bool is_link_due;	     /* a MAC or a VLAN changed: the programs are to get it */
	struct ring_buffer *samples; /* NULL: nothing was attached */
	xdp_sample_fn sample_fn;     /* of the net_xdp_samples that runs */
	void *sample_ctx;
	struct weft_krpc_tables krpc;	/* mapped; NULL: nothing was attached */
	struct weft_relay_tables relay; /* the relay room's; NULL: this node is no relay */
	bool is_relay_mapped;
	uint32_t sweep_at; /* the kernel's mark of how far a sweep came */
	bool is_sweeping;
	unsigned cpu_cnt;
	struct weft_counter *cpu_counters;   /* room for one counter of each CPU */
	struct weft_place_block *cpu_places; /* likewise for a block */
	uint64_t generation;		     /* how often tables were made */
};

/* xdp.c: the longest frame that every attached device's sockets take; 0: none is attached. */
uint32_t net_xdp_deliver_len_max(const struct xdp *xdp);

/* xdp_link.c: gives device's program the present state of the device. 0 or -errno. */
WEFT_MUST_CHECK
int net_xdp_link_read(struct xdp_device *device);

/* xdp_tables.c. All later devices share the maps of the first one. 0 or -errno. */
WEFT_MUST_CHECK
int net_xdp_tables_adopt(struct xdp *xdp, const int maps[static XDP_MAP_CNT]);
void net_xdp_tables_forget(struct xdp *xdp);

/* xdp_krpc.c: 0 or -errno, to be undone in either case. */
WEFT_MUST_CHECK
int net_xdp_krpc_map(struct xdp *xdp);
void net_xdp_krpc_unmap(struct xdp *xdp);

/* xdp_relay.c: 0 or -errno, to be undone in either case. */
WEFT_MUST_CHECK
int net_xdp_relay_map(struct xdp *xdp);
void net_xdp_relay_unmap(struct xdp *xdp);
/* net_xdp_relay_devices: after a device came, and before one goes, its place in devices being empty. */
void net_xdp_relay_devices(struct xdp *xdp);

/* xdp_plan.c: queues that send, the first of each worker. */
uint32_t net_xdp_plan_sender_cnt(const struct xdp_config *config, const struct xdp_plan *plan);
/* xdp_plan.c: the part that net_xdp_device_open shares; netdev is what was read. */
void net_xdp_plan_of(const struct xdp_config *config, const struct netdev *netdev,
		     struct xdp_plan *out_plan);

#endif
