/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_XSK_RIG_H
#define WEFT_TESTS_XSK_RIG_H

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/process/privilege.h"
#include "net/packet_io.h"
#include "net/udp/udp_frame.h"
#include "net/xdp/umem.h"
#include "net/xdp/xdp.h"
#include "net/xdp/xsk.h"
#include "support/check.h"
#include "weft/cid.h"

/*
 * The fast path on a veth pair, in a network namespace of its own. veth0
 * is the device attached; the test speaks raw frames at its other end.
 *
 *	near: veth0 10.77.0.1 fd77::1, XDP  <-->  veth1: an AF_PACKET socket
 */
#define FRAME_CNT 256

static struct weft_cid_keys keys;
static struct xdp_config config;

struct lab {
	struct udp_config udp;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct xdp *xdp;
	struct xdp_worker *xdp_worker;
	int device; /* its number, or what net_xdp_device_open said */
	int far;    /* AF_PACKET on veth1 */
	unsigned fault_cnt[XDP_FAULT_CNT];
	char why[XDP_WHY_CAP];
};

static inline struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static inline void shell(const char *command)
{
	if (system(command) != 0) {
		printf("# failed: %s\n", command);
		abort();
	}
}

static unsigned veth_queue_cnt = 1;

static inline void veth_make(void)
{
	char command[600];

	snprintf(command, sizeof(command),
		 "ip link add veth0 numrxqueues %u numtxqueues %u address 02:00:00:00:00:01 type "
		 "veth "
		 "peer name veth1 numrxqueues %u numtxqueues %u address 02:00:00:00:00:02 && "
		 "ip addr add 10.77.0.1/24 dev veth0 && ip addr add fd77::1/64 dev veth0 nodad && "
		 "ip neigh add 10.77.0.2 lladdr 02:00:00:00:00:02 dev veth0 && "
		 "ip link set veth0 up && ip link set veth1 up",
		 veth_queue_cnt, veth_queue_cnt, veth_queue_cnt, veth_queue_cnt);
	shell(command);
}

static inline void on_fault(void *ctx, unsigned device, enum xdp_fault fault, const char *detail)
{
	struct lab *lab = ctx;

	(void)device, (void)detail;
	lab->fault_cnt[fault]++;
}

static inline void policy_set(struct xdp *xdp)
{
	const struct weft_bucket_rate free_rate = {1, NS_PER_S};
	const struct addr locals[] = {addr_of("10.77.0.1:7000"), addr_of("[fd77::1]:7000")};
	struct weft_config policy = {.token_life_ns = NS_PER_S};

	for (int i = 0; i < WEFT_CLASS_ALL_CNT; i++)
		for (int level = 0; level < WEFT_LEVEL_CNT; level++)
			policy.rates[i][level] = free_rate;
	for (int i = 0; i < WEFT_TOTAL_CNT; i++)
		policy.totals[i] = free_rate;
	for (int i = 0; i < WEFT_ANSWERS_CNT; i++)
		policy.answers[i] = free_rate;
	policy.validated = policy.samples = free_rate;
	if (net_xdp_set_config(xdp, &policy) < 0 || net_xdp_set_cid_keys(xdp, &keys) < 0 ||
	    net_xdp_set_locals(xdp, locals, 2) < 0)
		abort();
}

static inline void queues_each(struct lab *lab, void (*fn)(struct xdp_worker *, struct xdp_queue *))
{
	struct xdp_queue *queue;

	for (unsigned i = 0; (queue = net_xdp_queue_of(lab->xdp, (unsigned)lab->device, i)); i++)
		fn(lab->xdp_worker, queue);
}

static inline void device_detach(struct lab *lab)
{
	queues_each(lab, net_xdp_worker_remove);
	net_xdp_detach(lab->xdp, (unsigned)lab->device);
}

static inline void device_attach(struct lab *lab)
{
	struct xdp_device *device;

	lab->device = net_xdp_device_open(lab->xdp, &config, "veth0", &device, lab->why);
	if (lab->device < 0)
		return;
	lab->device = net_xdp_take(lab->xdp, device);
	if (lab->device < 0)
		abort();
	queues_each(lab, net_xdp_worker_add);
	policy_set(lab->xdp);
}

static inline int far_open(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(0x0003), /* all */
				 .sll_ifindex = (int)if_nametoindex("veth1")};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, at.sll_protocol);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		abort();
	return fd;
}

static inline void lab_open(struct lab *lab)
{
	const struct xdp_params params = {.on_fault = on_fault, .ctx = lab};
	const uint64_t secret[2] = {1, 2};
	unsigned failed_idx;
	struct dgram dgram;

	memset(lab, 0, sizeof(*lab));
	veth_make();
	lab->udp.listen[0] = addr_of("0.0.0.0:7000");
	lab->udp.listen[1] = addr_of("[::]:7000");
	lab->udp.listen_cnt = 2;
	lab->udp.refuse_io_uring = true;
	if (net_udp_open(&lab->udp, &lab->rx, &lab->tx, &failed_idx) < 0)
		abort();
	(void)packet_rx_burst(lab->rx, &dgram, 1);
	if (net_xdp_new(&params, &lab->xdp) < 0 ||
	    net_xdp_worker_new(lab->tx, secret, &lab->xdp_worker) < 0)
		abort();
	lab->far = far_open();
	device_attach(lab);
}

static inline void lab_close(struct lab *lab)
{
	net_xdp_worker_free(lab->xdp_worker);
	net_xdp_free(lab->xdp);
	packet_tx_close(lab->tx);
	packet_rx_close(lab->rx);
	close(lab->far);
	if (if_nametoindex("veth0"))
		shell("ip link del veth0");
}

#define FAR_PORT 4000
static uint16_t far_port = FAR_PORT;

/*
 * A frame to veth0's port 7000 with len bytes that begin as a short header under an id of this
 * node.
 */
static inline size_t frame_of(uint8_t *frame, size_t cap, bool is_ipv4, unsigned tag_cnt,
			      size_t len)
{
	static const uint8_t nonce[WEFT_CID_RANDOM_LEN] = {1, 2, 3, 4, 5, 6};
	struct dgram_route route = {
		.local = addr_of(is_ipv4 ? "10.77.0.2:4000" : "[fd77::2]:4000"),
		.remote = addr_of(is_ipv4 ? "10.77.0.1:7000" : "[fd77::1]:7000"),
		.ecn = 2,
	};
	struct link_header link = {.bytes = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, .len = 12};
	uint8_t data[9000];

	route.local.port = far_port;
	memset(data, 0x55, sizeof(data));
	data[0] = 0x41;
	weft_cid_write(&keys, 0, nonce, data + 1);
	for (unsigned i = 0; i < tag_cnt; i++) {
		memcpy(link.bytes + link.len, (const uint8_t[]){0x81, 0, 0x60, 0},
		       4); /* priority alone */
		link.len = (uint8_t)(link.len + 4);
	}
	memcpy(link.bytes + link.len, is_ipv4 ? "\x08\x00" : "\x86\xdd", 2);
	link.len = (uint8_t)(link.len + 2);
	return net_udp_frame_write(&(struct dgram_slot){frame, cap}, &link, &route, data, len);
}

static inline void far_send(struct lab *lab, bool is_ipv4, unsigned tag_cnt, size_t len)
{
	uint8_t frame[9100];
	size_t frame_len = frame_of(frame, sizeof(frame), is_ipv4, tag_cnt, len);

	if (send(lab->far, frame, frame_len, 0) != (ssize_t)frame_len)
		abort();
}

/* Waits up to a second for cnt datagrams on rx; the veth's softirq is not of this thread. */
static inline unsigned receive(struct packet_rx *rx, struct dgram *dgrams, unsigned cnt)
{
	uint64_t end_ns = clock_monotonic_ns() + NS_PER_S;
	unsigned got = 0;

	while (got < cnt && clock_monotonic_ns() < end_ns)
		got += packet_rx_burst(rx, dgrams + got, cnt - got);
	return got;
}

static inline void check_until(struct lab *lab, enum xdp_fault fault)
{
	uint64_t end_ns = clock_monotonic_ns() + 5 * NS_PER_S;

	while (!lab->fault_cnt[fault] && clock_monotonic_ns() < end_ns)
		net_xdp_check(lab->xdp);
}

static inline bool can_load(void)
{
	struct lab lab;

	lab_open(&lab);
	if (lab.device < 0)
		printf("# %s\n", lab.why);
	lab_close(&lab);
	return lab.device >= 0;
}

#endif
