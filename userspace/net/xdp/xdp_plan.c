/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says beforehand what attaching to a device would do. Every kind of device that is not a plain one
 * has its sentence here. Changes nothing; blocks for some queries.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/netdev.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "net/udp/udp_frame.h"
#include "xdp_state.h"

/*
 * A driver in native mode wants a packet in one page, with 256 bytes in
 * front and its own bookkeeping behind it.
 */
#define NATIVE_MTU_MAX 3498

__attribute__((format(printf, 2, 3))) static void warn(struct xdp_plan *plan, const char *fmt, ...)
{
	va_list args;

	if (plan->warning_cnt == XDP_WARNING_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(plan->warnings[plan->warning_cnt++], XDP_WHY_CAP, fmt, args);
	va_end(args);
}

__attribute__((format(printf, 2, 3))) static void refuse(struct xdp_plan *plan, const char *fmt,
							 ...)
{
	va_list args;

	plan->is_possible = false;
	va_start(args, fmt);
	vsnprintf(plan->why, sizeof(plan->why), fmt, args);
	va_end(args);
}

static void foreign_name_read(struct xdp_plan *plan)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(plan->foreign_id);

	if (fd < 0)
		return;
	if (bpf_prog_get_info_by_fd(fd, &info, &len) == 0)
		snprintf(plan->foreign_name, sizeof(plan->foreign_name), "%s", info.name);
	close(fd);
}

static void plan_foreign(struct xdp_plan *plan, const struct netdev *netdev)
{
	plan->foreign_id = netdev->prog_id;
	if (!plan->foreign_id)
		return;
	foreign_name_read(plan);
	refuse(plan,
	       "%s has an XDP program already, id %u%s%s%s, and keeps it; take it off (bpftool "
	       "net, "
	       "ip link set dev %s xdp off) or leave datagrams to the kernel's socket",
	       netdev->name, plan->foreign_id, plan->foreign_name[0] ? ", named \"" : "",
	       plan->foreign_name, plan->foreign_name[0] ? "\"" : "", netdev->name);
}

/* The features that the driver reports. False: unknown, before Linux 6.3. */
static bool features_read(const struct netdev *netdev, uint64_t *out_features)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	struct utsname kernel;
	unsigned major, minor;

	if (uname(&kernel) < 0 || sscanf(kernel.release, "%u.%u", &major, &minor) != 2 ||
	    major < 6 || (major == 6 && minor < 3) ||
	    bpf_xdp_query((int)netdev->ifindex, 0, &opts) < 0)
		return false;
	*out_features = opts.feature_flags;
	return true;
}

static void plan_mode(const struct xdp_config *config, struct xdp_plan *plan,
		      const struct netdev *netdev)
{
	const uint64_t needed = NETDEV_XDP_ACT_BASIC | NETDEV_XDP_ACT_REDIRECT;
	uint64_t features = 0;
	bool is_told = features_read(netdev, &features);
	bool is_native = (features & needed) == needed;

	plan->mode = config->mode == XDP_AUTO ? XDP_NATIVE : config->mode;
	plan->is_mode_certain = is_told || config->mode != XDP_AUTO;
	plan->may_zero_copy = features & NETDEV_XDP_ACT_XSK_ZEROCOPY;
	if (is_told && !is_native && config->mode == XDP_NATIVE)
		refuse(plan, "the driver of %s cannot run XDP natively; take mode auto or generic",
		       netdev->name);
	if (is_told && !is_native && config->mode == XDP_AUTO)
		plan->mode = XDP_GENERIC;
	if (plan->mode == XDP_NATIVE && plan->mtu > NATIVE_MTU_MAX && config->mode == XDP_AUTO)
		plan->is_mode_certain = false;
	if (plan->mode == XDP_GENERIC) {
		plan->may_zero_copy = false;
		warn(plan, "generic mode runs behind the driver, on packets the kernel has "
			   "allocated already: it filters and limits, but saves little");
	}
}

/* Devices whose frames do not begin as Ethernet, or whose queues are not their own. */
static void plan_kind(struct xdp_plan *plan, const struct netdev *netdev)
{
	if (netdev->is_loopback) {
		warn(plan, "lo carries only this machine's own packets: nothing there needs a "
			   "filter");
		return;
	}
	if (!netdev->is_ethernet)
		refuse(plan,
		       "frames of %s have no Ethernet header (tun, WireGuard, PPP); attach the "
		       "device below it, or leave datagrams to the kernel's socket",
		       netdev->name);
	if (strcmp(netdev->kind, "bond") == 0 || strcmp(netdev->kind, "team") == 0)
		refuse(plan,
		       "%s is a %s: its packets belong to its ports' queues; attach each port "
		       "instead",
		       netdev->name, netdev->kind);
	if (strcmp(netdev->kind, "bridge") == 0)
		warn(plan, "a bridge shows only what it hands up to this host; to stop a flood "
			   "earlier attach its ports");
	if (strcmp(netdev->kind, "vlan") == 0)
		warn(plan, "a VLAN device runs XDP behind the device below it; attach that one to "
			   "decide in the driver: tags are understood");
	if (strcmp(netdev->kind, "veth") == 0 && plan->mode == XDP_NATIVE) {
		warn(plan, "attaching XDP to a veth turns segmentation offload off for the whole "
			   "device: bulk TCP and UDP of everybody towards it falls to about a "
			   "quarter");
		warn(plan,
		     "the driver's own answers (Retry, version negotiation) reach the other "
		     "end of a veth only while an XDP program runs there, too; mode generic has "
		     "no such condition");
	}
	if (netdev->master_ifindex)
		warn(plan,
		     "%s is a port of a bridge or bond: only datagrams to this host's own "
		     "addresses are taken, what is forwarded passes",
		     netdev->name);
	if (!netdev->is_up)
		warn(plan, "%s is down; datagrams come when it is up", netdev->name);
}

uint32_t net_xdp_plan_sender_cnt(const struct xdp_config *config, const struct xdp_plan *plan)
{
	uint32_t worker_cnt = config->worker_cnt ? config->worker_cnt : 1;

	if (!plan->may_send)
		return 0;
	return plan->served_cnt < worker_cnt ? plan->served_cnt : worker_cnt;
}

static void plan_frames(const struct xdp_config *config, struct xdp_plan *plan)
{
	uint32_t room, sender_cnt;

	plan->may_send = config->send == XDP_SEND_AF_XDP ||
			 (config->send == XDP_SEND_AUTO && plan->may_zero_copy);

	plan->frame_len = UMEM_FRAME_LEN_MIN;
	if (plan->mtu + LINK_HEADER_LEN_MAX > UMEM_FRAME_LEN_MIN - XDP_FRAME_HEADROOM)
		plan->frame_len = UMEM_FRAME_LEN_MAX;
	room = plan->frame_len - XDP_FRAME_HEADROOM - LINK_HEADER_LEN_MAX;
	if (plan->mtu > room)
		warn(plan,
		     "frames hold packets of %u bytes and the MTU is %u: larger ones come by "
		     "the kernel's socket",
		     room, plan->mtu);
	plan->served_cnt = plan->queue_cnt;
	if (config->queue_cnt && config->queue_cnt < plan->served_cnt)
		plan->served_cnt = config->queue_cnt;
	if (plan->served_cnt > XDP_QUEUE_MAX)
		plan->served_cnt = XDP_QUEUE_MAX;
	if (plan->served_cnt < plan->queue_cnt)
		warn(plan,
		     "of %u queues %u %s served: what arrives on the others comes by the "
		     "kernel's socket",
		     plan->queue_cnt, plan->served_cnt, plan->served_cnt == 1 ? "is" : "are");
	sender_cnt = net_xdp_plan_sender_cnt(config, plan);
	plan->frames_len = sender_cnt * net_umem_footprint(2 * config->frame_cnt, plan->frame_len) +
			   (plan->served_cnt - sender_cnt) *
				   net_umem_footprint(config->frame_cnt, plan->frame_len);
}

/* Entries as the kernel keeps them: key, value and its own header, about. */
static size_t tables_len(const struct xdp_config *config)
{
	size_t cpu_cnt = (size_t)libbpf_num_possible_cpus();
	size_t per_cpu = WEFT_CLASS_ALL_CNT * WEFT_LEVEL_CNT * WEFT_PLACE_BLOCKS *
				 sizeof(struct weft_place_block) +
			 WEFT_VALIDATED_SET_CNT * sizeof(struct weft_validated_set);
	size_t entry = sizeof(struct weft_endpoint) + sizeof(struct weft_session) + 64;

	size_t krpc = WEFT_KRPC_BUCKETS_CNT * sizeof(struct weft_krpc_bucket) +
		      WEFT_KRPC_HELD_WORD_CNT * sizeof(__u64);

	size_t marks = WEFT_CLASS_ALL_CNT * WEFT_LEVEL_CNT * WEFT_PLACE_BLOCKS *
		       sizeof(struct weft_mark_block);

	size_t relay = WEFT_RELAY_GRANT_CNT * sizeof(struct weft_relay_grant) +
		       config->relay_flow_cnt * sizeof(struct weft_relay_flow);

	return cpu_cnt * per_cpu + marks + config->session_cap * entry + WEFT_SAMPLES_LEN + krpc +
	       relay;
}

void net_xdp_plan_of(const struct xdp_config *config, const struct netdev *netdev,
		     struct xdp_plan *out_plan)
{
	struct xdp_plan plan = {.is_possible = true,
				.mtu = netdev->mtu,
				.queue_cnt = netdev->rx_queue_cnt,
				.tables_len = tables_len(config)};

	memcpy(plan.name, netdev->name, sizeof(plan.name));
	memcpy(plan.kind, netdev->kind, sizeof(plan.kind));
	memcpy(plan.driver, netdev->driver, sizeof(plan.driver));
	plan_mode(config, &plan, netdev);
	plan_kind(&plan, netdev);
	plan_frames(config, &plan);
	plan_foreign(&plan, netdev);
	if (config->mode == XDP_OFF)
		refuse(&plan, "XDP is off by configuration (xdp.mode)");
	*out_plan = plan;
}

int net_xdp_plan(const struct xdp_config *config, const char *name, struct xdp_plan *out_plan)
{
	struct netdev netdev;
	int err = net_netdev_read(name, &netdev);

	if (err < 0)
		return err;
	net_xdp_plan_of(config, &netdev, out_plan);
	return 0;
}
