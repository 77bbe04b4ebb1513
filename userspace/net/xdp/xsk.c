/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening an AF_XDP socket: umem registered, four rings mapped, bound with
 * zero copy where the driver can, else with copying. Set-up only; the
 * rings are then worked by xsk_rx.c and xsk_tx.c.
 */
#include "xsk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

/* Both as for the sockets of a busy driver loop (Documentation/networking/napi.rst). */
#define BUSY_POLL_US	 20
#define BUSY_POLL_BUDGET PACKET_BURST_MAX
/* The kernel demands a completion ring of a socket that only receives, too. */
#define RING_CNT_MIN 64

static int option_set(int fd, int name, const void *value, socklen_t len)
{
	return setsockopt(fd, SOL_XDP, name, value, len) < 0 ? -errno : 0;
}

static int umem_register(const struct xsk *xsk)
{
	const struct xdp_umem_reg reg = {
		.addr = (uintptr_t)xsk->umem.area,
		.len = (uint64_t)xsk->umem.frame_cnt * xsk->umem.frame_len,
		.chunk_size = xsk->umem.frame_len,
	};

	return option_set(xsk->fd, XDP_UMEM_REG, &reg, sizeof(reg));
}

/* Which ring, how it is made and where its mapping begins. */
struct ring_plan {
	struct xsk_ring *ring;
	const char *size_step, *map_step; /* reported if that fails */
	int option;
	uint32_t cnt;
	off_t page_off;
	size_t entry_len;
	const struct xdp_ring_offset *off;
	bool is_producer;
};

static int ring_map(struct xsk *xsk, const struct ring_plan *plan, unsigned idx)
{
	size_t len = plan->off->desc + plan->cnt * plan->entry_len;
	uint8_t *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, xsk->fd,
			   plan->page_off);
	struct xsk_ring *ring = plan->ring;
	void *producer, *consumer;

	if (at == MAP_FAILED)
		return -errno;
	xsk->maps[idx].at = at;
	xsk->maps[idx].len = len;
	producer = at + plan->off->producer;
	consumer = at + plan->off->consumer;
	ring->own = plan->is_producer ? producer : consumer;
	ring->peer = plan->is_producer ? consumer : producer;
	ring->flags = (void *)(at + plan->off->flags);
	ring->entries = at + plan->off->desc;
	ring->cnt = plan->cnt;
	if (plan->is_producer)
		xsk_ring_init_producer(ring);
	else
		xsk_ring_init_consumer(ring);
	return 0;
}

static int rings_open(struct xsk *xsk, const struct xsk_config *config, const char **step)
{
	uint32_t completion_cnt =
		config->tx_frame_cnt > RING_CNT_MIN ? config->tx_frame_cnt : RING_CNT_MIN;
	struct xdp_mmap_offsets offs;
	socklen_t offs_len = sizeof(offs);
	const struct ring_plan plans[] = {
		{&xsk->fill, "the size of the fill ring", "the map of the fill ring",
		 XDP_UMEM_FILL_RING, config->rx_frame_cnt, (off_t)XDP_UMEM_PGOFF_FILL_RING,
		 sizeof(uint64_t), &offs.fr, true},
		{&xsk->completion, "the size of the completion ring",
		 "the map of the completion ring", XDP_UMEM_COMPLETION_RING, completion_cnt,
		 (off_t)XDP_UMEM_PGOFF_COMPLETION_RING, sizeof(uint64_t), &offs.cr, false},
		{&xsk->rx, "the size of the receive ring", "the map of the receive ring",
		 XDP_RX_RING, config->rx_frame_cnt, XDP_PGOFF_RX_RING, sizeof(struct xdp_desc),
		 &offs.rx, false},
		{&xsk->tx, "the size of the send ring", "the map of the send ring", XDP_TX_RING,
		 config->tx_frame_cnt, XDP_PGOFF_TX_RING, sizeof(struct xdp_desc), &offs.tx, true},
	};
	unsigned cnt = config->tx_frame_cnt ? 4 : 3;
	int err = 0;

	for (unsigned i = 0; i < cnt && !err; i++) {
		*step = plans[i].size_step;
		err = option_set(xsk->fd, plans[i].option, &plans[i].cnt, sizeof(plans[i].cnt));
	}
	if (err)
		return err;
	*step = "the offsets of the rings";
	if (getsockopt(xsk->fd, SOL_XDP, XDP_MMAP_OFFSETS, &offs, &offs_len) < 0)
		return -errno;
	for (unsigned i = 0; i < cnt && !err; i++) {
		*step = plans[i].map_step;
		err = ring_map(xsk, &plans[i], i);
	}
	return err;
}

static int bind_with(const struct xsk *xsk, uint16_t flags)
{
	const struct sockaddr_xdp sa = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = flags | XDP_USE_NEED_WAKEUP,
		.sxdp_ifindex = xsk->ifindex,
		.sxdp_queue_id = xsk->queue_idx,
	};

	return bind(xsk->fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
}

/* A refused zero-copy bind leaves the socket as it was, so the next step is on the same one. */
static int ladder_bind(struct xsk *xsk, const struct xsk_config *config)
{
	char why[48] = "zero copy needs native mode";
	int err = -EOPNOTSUPP;

	if (config->may_zero_copy) {
		err = bind_with(xsk, XDP_ZEROCOPY);
		xsk->is_zero_copy = err == 0;
		if (err < 0)
			snprintf(why, sizeof(why), "no zero copy: %.32s", strerror(-err));
		else
			snprintf(why, sizeof(why), "zero copy");
	}
	/* The queue is taken, or absent: copying would not help. */
	if (err == -EBUSY || err == -ENODEV || err == -EINVAL)
		return err;
	if (err < 0)
		err = bind_with(xsk, XDP_COPY);
	snprintf(xsk->reason, sizeof(xsk->reason), "%s XDP on %.15s queue %u; %s",
		 config->mode_name, config->device_name, config->queue_idx, why);
	return err;
}

/* Optional: without it, or on a kernel before 5.11, interrupts do the same. */
static bool busy_poll_set(int fd)
{
	const int prefer = 1, time_us = BUSY_POLL_US, budget = BUSY_POLL_BUDGET;

	return setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &prefer, sizeof(prefer)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &time_us, sizeof(time_us)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget)) == 0;
}

static void fill_all(struct xsk *xsk)
{
	uint32_t idx, cnt = xsk_ring_reserve(&xsk->fill, xsk->fill.cnt, &idx);

	weft_assert(cnt == xsk->fill.cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		uint64_t addr;
		uint32_t got = net_umem_acquire(&xsk->umem, &addr, 1, UMEM_FILLING);

		weft_assert(got == 1);
		*xsk_ring_addr(&xsk->fill, idx + i) = addr;
	}
	xsk_ring_commit(&xsk->fill);
}

static int socket_open(struct xsk *xsk)
{
	xsk->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	return xsk->fd < 0 ? -errno : 0;
}

/* Sets *step to what it is about to do: after a failure that names the step. */
static int steps_run(struct xsk *xsk, const struct xsk_config *config, const char **step)
{
	int err;

	*step = "the socket";
	if ((err = socket_open(xsk)) < 0)
		return err;
	*step = "the memory of its frames";
	if ((err = net_umem_init(&xsk->umem, config->rx_frame_cnt + config->tx_frame_cnt,
				 config->frame_len)) < 0)
		return err;
	*step = "the registration of its frames";
	if ((err = umem_register(xsk)) < 0 || (err = rings_open(xsk, config, step)) < 0)
		return err;
	fill_all(xsk);
	*step = "binding it to the queue";
	return ladder_bind(xsk, config);
}

int net_xsk_open(const struct xsk_config *config, const char **out_failed, struct xsk **out_xsk)
{
	struct xsk *xsk = calloc(1, sizeof(*xsk));
	int err;

	*out_failed = "its state";
	if (!xsk)
		return -ENOMEM;
	xsk->fd = -1;
	xsk->ifindex = config->ifindex;
	xsk->queue_idx = config->queue_idx;
	xsk->device = config->device;
	err = steps_run(xsk, config, out_failed);
	if (err < 0) {
		net_xsk_close(xsk);
		return err;
	}
	xsk->is_busy_polled = busy_poll_set(xsk->fd);
	*out_failed = NULL;
	*out_xsk = xsk;
	return 0;
}

void net_xsk_close(struct xsk *xsk)
{
	if (!xsk)
		return;
	if (xsk->fd >= 0)
		close(xsk->fd);
	for (unsigned i = 0; i < sizeof(xsk->maps) / sizeof(xsk->maps[0]); i++)
		if (xsk->maps[i].at)
			munmap(xsk->maps[i].at, xsk->maps[i].len);
	net_umem_fini(&xsk->umem);
	free(xsk);
}

void net_xsk_read_losses(struct xsk *xsk, struct xsk_losses *out_new)
{
	struct xdp_statistics stats = {0};
	socklen_t len = sizeof(stats);
	struct xsk_losses now;

	if (getsockopt(xsk->fd, SOL_XDP, XDP_STATISTICS, &stats, &len) < 0) {
		*out_new = (struct xsk_losses){0};
		return;
	}
	now = (struct xsk_losses){
		.rx_dropped_cnt = stats.rx_dropped,
		.rx_ring_full_cnt = stats.rx_ring_full,
		.fill_empty_cnt = stats.rx_fill_ring_empty_descs,
		.invalid_desc_cnt = stats.rx_invalid_descs + stats.tx_invalid_descs,
	};
	*out_new = (struct xsk_losses){
		.rx_dropped_cnt = now.rx_dropped_cnt - xsk->losses.rx_dropped_cnt,
		.rx_ring_full_cnt = now.rx_ring_full_cnt - xsk->losses.rx_ring_full_cnt,
		.fill_empty_cnt = now.fill_empty_cnt - xsk->losses.fill_empty_cnt,
		.invalid_desc_cnt = now.invalid_desc_cnt - xsk->losses.invalid_desc_cnt,
	};
	xsk->losses = now;
}
