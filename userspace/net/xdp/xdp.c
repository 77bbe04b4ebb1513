/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching devices and detaching them. First the program is loaded and
 * attached; it passes everything, as its tables are empty. Then the
 * sockets are bound and stand in its map. Last the worker takes the
 * device and fills the tables, the addresses at the end. So no datagram
 * finds a half-made fast path, and the way back is the same.
 */
#include "xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/packet_io.h"
#include "xdp_state.h"
#include "bpf/weft_xdp.skel.h"

#define FRAME_CNT_DEFAULT 4096 /* 29 ms of a transfer of 140,000 datagrams a second */

void net_xdp_config_defaults(struct xdp_config *config)
{
	*config = (struct xdp_config){
		.frame_cnt = FRAME_CNT_DEFAULT,
		.session_cap = WEFT_SESSION_CNT_DEFAULT,
	};
}

__attribute__((format(printf, 3, 4))) static int failed(char *why, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, XDP_WHY_CAP, fmt, args);
	va_end(args);
	return err;
}

static int failed_privilege(char *why)
{
	return failed(why, -EPERM,
		      "attaching takes CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW: they were not "
		      "given, or are dropped");
}

/* libbpf writes to stderr by itself; what matters of it is in the caller's sentence. */
static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

/* All maps but that of the sockets, in the order of enum xdp_map. */
static void maps_of(const struct weft_xdp *program, struct bpf_map *out_maps[XDP_MAP_CNT])
{
	struct bpf_map *maps[XDP_MAP_CNT] = {
		[XDP_MAP_CONFIG] = program->maps.weft_config,
		[XDP_MAP_CID_KEYS] = program->maps.weft_cid_keys,
		[XDP_MAP_TOKEN_KEYS] = program->maps.weft_token_keys,
		[XDP_MAP_GHASH] = program->maps.weft_ghash,
		[XDP_MAP_LOCALS] = program->maps.weft_locals,
		[XDP_MAP_BANS_IPV4] = program->maps.weft_bans_ipv4,
		[XDP_MAP_BANS_IPV6] = program->maps.weft_bans_ipv6,
		[XDP_MAP_SESSIONS] = program->maps.weft_sessions,
		[XDP_MAP_PLACES] = program->maps.weft_places,
		[XDP_MAP_MARKS] = program->maps.weft_marks,
		[XDP_MAP_TOTALS] = program->maps.weft_totals,
		[XDP_MAP_COUNTERS] = program->maps.weft_counters,
		[XDP_MAP_SAMPLERS] = program->maps.weft_samplers,
		[XDP_MAP_SAMPLES] = program->maps.weft_samples,
		[XDP_MAP_KRPC_SELVES] = program->maps.weft_krpc_selves,
		[XDP_MAP_KRPC_BUCKETS] = program->maps.weft_krpc_buckets,
		[XDP_MAP_KRPC_HELD] = program->maps.weft_krpc_held,
		[XDP_MAP_KRPC_KEYS] = program->maps.weft_krpc_keys,
		[XDP_MAP_RELAY_KEYS] = program->maps.weft_relay_keys,
		[XDP_MAP_RELAY_FLOWS] = program->maps.weft_relay_flows,
		[XDP_MAP_RELAY_GRANTS] = program->maps.weft_relay_grants,
		[XDP_MAP_RELAY_DEVICES] = program->maps.weft_relay_devices,
	};

	memcpy(out_maps, maps, sizeof(maps));
}

static int program_load(const struct xdp *xdp, const struct xdp_config *config,
			struct weft_xdp **out_program)
{
	struct weft_xdp *program;
	struct bpf_map *maps[XDP_MAP_CNT];
	int err = 0;

	libbpf_set_print(say_nothing);
	program = weft_xdp__open();
	/* The object is in this program and whole: memory is all that libelf can lack. */
	if (!program)
		return errno >= __LIBBPF_ERRNO__START ? -ENOMEM : -errno;
	maps_of(program, maps);
	for (unsigned i = 0; i < XDP_MAP_CNT && !err && xdp->maps[i] >= 0; i++)
		err = bpf_map__reuse_fd(maps[i], xdp->maps[i]);
	if (!err && xdp->maps[XDP_MAP_SESSIONS] < 0)
		err = bpf_map__set_max_entries(program->maps.weft_sessions, config->session_cap);
	if (!err && xdp->maps[XDP_MAP_RELAY_FLOWS] < 0 && xdp->relay.flow_cnt)
		err = bpf_map__set_max_entries(program->maps.weft_relay_flows, xdp->relay.flow_cnt);
	if (!err)
		err = weft_xdp__load(program);
	if (err < 0) {
		weft_xdp__destroy(program);
		return err;
	}
	*out_program = program;
	return 0;
}

static int link_open(const struct xdp_device *device, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);

	return bpf_link_create(bpf_program__fd(device->program->progs.weft_xdp),
			       (int)device->info.ifindex, BPF_XDP, &opts);
}

/* Native, else generic when the configuration leaves the choice. */
static int device_attach(struct xdp_device *device, const struct xdp_config *config,
			 const struct xdp_plan *plan, char *why)
{
	int fd = -EOPNOTSUPP;

	snprintf(device->mode_reason, sizeof(device->mode_reason), "%s",
		 plan->mode == XDP_NATIVE ? "the driver runs XDP" : "the driver cannot run XDP");
	if (config->mode != XDP_AUTO)
		snprintf(device->mode_reason, sizeof(device->mode_reason), "as was asked for");
	if (plan->mode == XDP_NATIVE) {
		fd = link_open(device, XDP_FLAGS_DRV_MODE);
		device->info.mode = XDP_NATIVE;
	}
	if (fd < 0 && fd != -EBUSY && fd != -EEXIST && fd != -EPERM &&
	    (config->mode == XDP_AUTO || plan->mode == XDP_GENERIC)) {
		if (plan->mode == XDP_NATIVE)
			snprintf(device->mode_reason, sizeof(device->mode_reason),
				 "native mode refused: %s", strerror(-fd));
		fd = link_open(device, XDP_FLAGS_SKB_MODE);
		device->info.mode = XDP_GENERIC;
	}
	device->link_fd = fd;
	if (fd == -EBUSY || fd == -EEXIST)
		return failed(why, WEFT_EBUSY,
			      "%s has an XDP program of somebody else; bpftool net shows it",
			      plan->name);
	if (fd == -ERANGE)
		return failed(why, fd,
			      "the driver of %s refuses XDP at an MTU of %u, its own or its "
			      "peer's; lower it, or take mode generic",
			      plan->name, plan->mtu);
	if (fd == -EPERM)
		return failed_privilege(why);
	if (fd < 0)
		return failed(why, fd, "attaching to %s: %s", plan->name, strerror(-fd));
	return 0;
}

static int queue_open(struct xdp_device *device, const struct xdp_config *config,
		      const struct xdp_plan *plan, unsigned queue, char *why)
{
	bool is_native = device->info.mode == XDP_NATIVE;
	struct xsk_config xsk = {
		.ifindex = device->info.ifindex,
		.queue_idx = queue,
		.device_name = device->info.name,
		.mode_name = is_native ? "native" : "generic",
		.may_zero_copy = is_native,
		.frame_len = device->info.frame_len,
		.rx_frame_cnt = config->frame_cnt,
		.tx_frame_cnt =
			queue < net_xdp_plan_sender_cnt(config, plan) ? config->frame_cnt : 0,
	};
	const char *step;
	int err = net_xsk_open(&xsk, &step, &device->queues[queue].xsk);
	uint32_t key = queue;

	if (err == -ENOBUFS || err == -ENOMEM)
		return failed(why, err,
			      "queue %u of %s: no memory to lock for %s; raise RLIMIT_MEMLOCK "
			      "(LimitMEMLOCK=), lower xdp.frames, or give CAP_IPC_LOCK",
			      queue, device->info.name, step);
	if (err == -EBUSY)
		return failed(why, WEFT_EBUSY,
			      "queue %u of %s is held by an AF_XDP socket of another program",
			      queue, device->info.name);
	if (err == -EPERM)
		return failed_privilege(why);
	if (err < 0)
		return failed(why, err, "AF_XDP socket on queue %u of %s: %s: %s", queue,
			      device->info.name, step, strerror(-err));
	device->queues[queue].idx = (uint8_t)queue;
	device->queues[queue].xsk->mtu = device->info.mtu;
	device->queues[queue].xsk->has_partial_sums = device->info.has_partial_sums;
	err = bpf_map_update_elem(bpf_map__fd(device->program->maps.weft_xsks), &key,
				  &device->queues[queue].xsk->fd, BPF_ANY);
	return err < 0 ? failed(why, err, "the program's map of sockets: %s", strerror(-err)) : 0;
}

static int device_open_parts(const struct xdp *xdp, const struct xdp_config *config,
			     const struct xdp_plan *plan, struct xdp_device *device, char *why)
{
	struct bpf_prog_info info = {0};
	uint32_t info_len = sizeof(info);
	int err = program_load(xdp, config, &device->program);

	if (err == -EPERM)
		return failed_privilege(why);
	if (err == -ENOMEM)
		return failed(why, err, "no memory to load the XDP program");
	if (err < 0)
		return failed(why, err,
			      "the kernel refuses the XDP program (Linux 5.18 or later "
			      "is needed): %s",
			      strerror(-err));
	if (bpf_prog_get_info_by_fd(bpf_program__fd(device->program->progs.weft_xdp), &info,
				    &info_len) == 0)
		device->info.prog_id = info.id;
	if ((err = net_xdp_link_read(device)) < 0)
		return failed(why, err, "reading the addresses and VLANs of %s: %s", plan->name,
			      strerror(-err));
	if ((err = device_attach(device, config, plan, why)) < 0)
		return err;
	for (unsigned i = 0; i < plan->served_cnt && err >= 0; i++) {
		err = queue_open(device, config, plan, i, why);
		device->info.queue_cnt += device->queues[i].xsk != NULL;
	}
	if (err < 0)
		return err;
	if (!device->queues[0].xsk)
		return failed(why, WEFT_EREFUSED, "%s has no receive queue to serve", plan->name);
	device->info.is_zero_copy = device->queues[0].xsk->is_zero_copy;
	device->info.is_huge = device->queues[0].xsk->umem.is_huge;
	/* Measured: with copying the kernel's socket sends faster (docs/performance.md). */
	device->info.sends =
		plan->may_send && (config->send == XDP_SEND_AF_XDP || device->info.is_zero_copy);
	return 0;
}

int net_xdp_device_open(const struct xdp *xdp, const struct xdp_config *config, const char *name,
			struct xdp_device **out_device, char why[static XDP_WHY_CAP])
{
	struct xdp_device *device;
	struct netdev netdev;
	struct xdp_plan plan;
	int err = net_netdev_read(name, &netdev);

	if (err < 0)
		return failed(why, err, "no device %.32s here: %s", name, strerror(-err));
	net_xdp_plan_of(config, &netdev, &plan);
	if (!plan.is_possible)
		return failed(why, plan.foreign_id ? WEFT_EBUSY : WEFT_EREFUSED, "%s", plan.why);
	device = calloc(1, sizeof(*device));
	if (!device)
		return failed(why, -ENOMEM, "no memory");
	device->link_fd = -1;
	memcpy(device->info.name, netdev.name, sizeof(device->info.name));
	device->info.ifindex = netdev.ifindex;
	device->info.mtu = netdev.mtu;
	device->info.is_loopback = netdev.is_loopback;
	device->info.is_running = netdev.is_running;
	device->info.frame_len = plan.frame_len;
	device->info.deliver_len_max = plan.frame_len - XDP_FRAME_HEADROOM;
	device->info.mode_reason = device->mode_reason;
	err = device_open_parts(xdp, config, &plan, device, why);
	if (err < 0) {
		net_xdp_device_close(device);
		return err;
	}
	*out_device = device;
	return 0;
}

/* From here on datagrams go to the kernel's socket; those in the rings can still be taken. */
static void device_unhook(struct xdp_device *device)
{
	if (device->is_unhooked)
		return;
	device->is_unhooked = true;
	for (uint32_t i = 0; i < device->info.queue_cnt; i++)
		(void)bpf_map_delete_elem(bpf_map__fd(device->program->maps.weft_xsks), &i);
}

void net_xdp_device_close(struct xdp_device *device)
{
	if (!device)
		return;
	if (device->program)
		device_unhook(device);
	for (unsigned i = 0; i < XDP_QUEUE_MAX; i++) {
		packet_rx_close(device->queues[i].rx);
		net_xsk_close(device->queues[i].xsk);
	}
	if (device->link_fd >= 0)
		close(device->link_fd);
	if (device->program)
		weft_xdp__destroy(device->program);
	free(device);
}

int net_xdp_new(const struct xdp_params *params, struct xdp **out_xdp)
{
	struct xdp *xdp = calloc(1, sizeof(*xdp));
	int cpu_cnt = libbpf_num_possible_cpus();
	int err = -ENOMEM;

	if (!xdp)
		return err;
	xdp->params = *params;
	xdp->watch_fd = -1;
	for (unsigned i = 0; i < XDP_MAP_CNT; i++)
		xdp->maps[i] = -1;
	xdp->cpu_cnt = cpu_cnt > 0 ? (unsigned)cpu_cnt : 1;
	xdp->cpu_counters = calloc(xdp->cpu_cnt, sizeof(xdp->cpu_counters[0]));
	xdp->cpu_places = calloc(xdp->cpu_cnt, sizeof(xdp->cpu_places[0]));
	if (!xdp->cpu_counters || !xdp->cpu_places)
		goto free_xdp;
	xdp->watch_fd = net_netdev_watch_open();
	if (xdp->watch_fd < 0) {
		err = xdp->watch_fd;
		goto free_xdp;
	}
	*out_xdp = xdp;
	return 0;
free_xdp:
	net_xdp_free(xdp);
	return err;
}

void net_xdp_free(struct xdp *xdp)
{
	if (!xdp)
		return;
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++)
		if (xdp->devices[i])
			net_xdp_detach(xdp, i);
	if (xdp->watch_fd >= 0)
		close(xdp->watch_fd);
	free(xdp->cpu_places);
	free(xdp->cpu_counters);
	free(xdp);
}

static int device_adopt(struct xdp *xdp, struct xdp_device *device, uint8_t number)
{
	struct bpf_map *maps[XDP_MAP_CNT];
	int fds[XDP_MAP_CNT];
	int err = 0;

	maps_of(device->program, maps);
	for (unsigned i = 0; i < XDP_MAP_CNT; i++)
		fds[i] = bpf_map__fd(maps[i]);
	for (unsigned i = 0; i < device->info.queue_cnt && !err; i++) {
		struct xdp_queue *queue = &device->queues[i];

		queue->device = queue->xsk->device = number;
		queue->teaches = device->info.sends;
		queue->sends = device->info.sends && queue->xsk->tx.cnt;
		err = net_xsk_rx_new(queue->xsk, &queue->rx);
	}
	return err ? err : net_xdp_tables_adopt(xdp, fds);
}

int net_xdp_take(struct xdp *xdp, struct xdp_device *device)
{
	uint8_t number = 0;
	int err;

	while (number < XDP_DEVICE_MAX && xdp->devices[number])
		number++;
	if (number == XDP_DEVICE_MAX)
		return WEFT_EFULL;
	err = device_adopt(xdp, device, number);
	if (err < 0)
		return err;
	xdp->devices[number] = device;
	xdp->device_cnt++;
	net_xdp_relay_devices(xdp);
	return number;
}

void net_xdp_unhook(struct xdp *xdp, unsigned device)
{
	weft_assert(device < XDP_DEVICE_MAX);
	if (xdp->devices[device])
		device_unhook(xdp->devices[device]);
}

void net_xdp_unhook_queue(struct xdp *xdp, unsigned device, unsigned queue)
{
	uint32_t key = queue;

	weft_assert(net_xdp_queue_of(xdp, device, queue) != NULL);
	(void)bpf_map_delete_elem(bpf_map__fd(xdp->devices[device]->program->maps.weft_xsks), &key);
}

void net_xdp_detach(struct xdp *xdp, unsigned number)
{
	struct xdp_device *device;

	weft_assert(number < XDP_DEVICE_MAX);
	device = xdp->devices[number];
	if (!device)
		return;
	xdp->devices[number] = NULL;
	xdp->device_cnt--;
	(void)!bpf_map_delete_elem(xdp->maps[XDP_MAP_RELAY_DEVICES], &device->info.ifindex);
	net_xdp_relay_devices(xdp);
	net_xdp_device_close(device);
	if (!xdp->device_cnt)
		net_xdp_tables_forget(xdp);
}

const struct xdp_device_info *net_xdp_device_info(const struct xdp *xdp, unsigned device)
{
	if (device >= XDP_DEVICE_MAX || !xdp->devices[device])
		return NULL;
	return &xdp->devices[device]->info;
}

struct xdp_queue *net_xdp_queue_of(struct xdp *xdp, unsigned device, unsigned queue)
{
	if (device >= XDP_DEVICE_MAX || !xdp->devices[device] ||
	    queue >= xdp->devices[device]->info.queue_cnt)
		return NULL;
	return &xdp->devices[device]->queues[queue];
}

uint32_t net_xdp_deliver_len_max(const struct xdp *xdp)
{
	uint32_t len_max = 0;

	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		const struct xdp_device *device = xdp->devices[i];

		if (device && (!len_max || device->info.deliver_len_max < len_max))
			len_max = device->info.deliver_len_max;
	}
	return len_max;
}

int net_xdp_watch_fd(const struct xdp *xdp)
{
	return xdp->watch_fd;
}
