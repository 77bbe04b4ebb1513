/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving with io_uring. One multishot recvmsg per socket fills buffers from a provided ring. So
 * a busy worker receives without a system call, and an idle burst only looks at memory. Runs on
 * the worker that owns the sockets: the ring is made disabled and belongs to the thread of the
 * first burst.
 *
 * A buffer is in one of three places. It is provided to the kernel, or in the train being taken
 * apart, or lent to the caller until its next burst.
 */
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "udp_socket.h"

/*
 * Power of two. The kernel goes round all of them, so they are cache
 * footprint. With coalesced receives 16 are 10 % faster than 64; with
 * single datagrams 32 are 15 % faster than 16 (bench/quic, 2026-11).
 */
#define RX_BUFFER_CNT 32
#define RX_GROUP      0
#define RX_WRITABLE   0x100 /* in user_data beside the socket index: a wait for room */

/*
 * io_uring puts its header, the name and the control before the payload;
 * a name of 32 and not 28 bytes keeps the control aligned.
 */
#define RX_NAME_LEN    32
#define RX_BUFFER_LEN  66048 /* 65,536 + 16 + 32 + 128, rounded to 512 */
#define RX_BUFFERS_LEN ((size_t)RX_BUFFER_CNT * RX_BUFFER_LEN)

_Static_assert(sizeof(struct io_uring_recvmsg_out) + RX_NAME_LEN + UDP_CONTROL_LEN_MAX +
			       UDP_TRAIN_LEN_MAX <=
		       RX_BUFFER_LEN,
	       "a coalesced receive fits one buffer");

struct udp_uring_rx {
	struct packet_rx base;
	struct udp_sockets *sockets;
	struct io_uring ring;
	struct io_uring_buf_ring *buffer_ring;
	uint8_t *buffers;
	struct msghdr layout; /* lengths of name and control in every buffer */
	unsigned armed_set;   /* sockets with a receive under way, by bit */
	unsigned awaited_set; /* and those whose room is waited for */
	bool is_enabled;
	int wake_fd; /* eventfd: completions or task work wait */
	uint16_t train_buffer;
	uint16_t lent_cnt;
	uint16_t lent[RX_BUFFER_CNT];
	struct udp_train train;
};

static void rx_provide(struct udp_uring_rx *rx, const uint16_t *buffers, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		io_uring_buf_ring_add(
			rx->buffer_ring, rx->buffers + (size_t)buffers[i] * RX_BUFFER_LEN,
			RX_BUFFER_LEN, buffers[i], io_uring_buf_ring_mask(RX_BUFFER_CNT), (int)i);
	io_uring_buf_ring_advance(rx->buffer_ring, (int)cnt);
}

/* rx_arm starts a receive on each socket that has none. */
static void rx_arm(struct udp_uring_rx *rx)
{
	unsigned all_set = (1u << rx->sockets->cnt) - 1;

	/* Entries that a submit left in the queue, for want of memory, are submitted again. */
	if (rx->armed_set == all_set && !io_uring_sq_ready(&rx->ring))
		return;
	for (unsigned i = 0; i < rx->sockets->cnt; i++) {
		struct io_uring_sqe *sqe;

		if (rx->armed_set & 1u << i)
			continue;
		sqe = io_uring_get_sqe(&rx->ring);
		if (!sqe)
			break;
		io_uring_prep_recvmsg_multishot(sqe, rx->sockets->sockets[i].fd, &rx->layout, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = RX_GROUP;
		sqe->user_data = i;
		rx->armed_set |= 1u << i;
	}
	rx->base.counters.call_cnt++;
	(void)io_uring_submit(&rx->ring);
}

/* rx_train_of makes the receive that cqe reports the train. False: nothing to take. */
static bool rx_train_of(struct udp_uring_rx *rx, const struct io_uring_cqe *cqe)
{
	uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	struct io_uring_recvmsg_out *out;
	bool is_whole;

	if (!(cqe->flags & IORING_CQE_F_BUFFER))
		return false;
	weft_assert(buffer < RX_BUFFER_CNT);
	out = io_uring_recvmsg_validate(rx->buffers + (size_t)buffer * RX_BUFFER_LEN, cqe->res,
					&rx->layout);
	if (out) {
		rx->train.data = io_uring_recvmsg_payload(out, &rx->layout);
		rx->train.len = io_uring_recvmsg_payload_length(out, cqe->res, &rx->layout);
		is_whole = net_udp_train_parse(&rx->sockets->sockets[cqe->user_data],
					       io_uring_recvmsg_name(out),
					       (uint8_t *)io_uring_recvmsg_name(out) + RX_NAME_LEN,
					       out->controllen, &rx->train) &&
			   !(out->flags & MSG_TRUNC);
		if (is_whole) {
			rx->train_buffer = buffer;
			return true;
		}
	}
	rx->base.counters.dropped_cnt++;
	rx->train.len = 0;
	rx_provide(rx, &buffer, 1);
	return false;
}

static bool rx_peek(struct udp_uring_rx *rx, struct io_uring_cqe **out_cqe)
{
	if (io_uring_peek_cqe(&rx->ring, out_cqe) == 0)
		return true;
	/* Arrived datagrams wait as task work until this thread enters the kernel. */
	if (!(IO_URING_READ_ONCE(*rx->ring.sq.kflags) &
	      (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)))
		return false;
	rx->base.counters.call_cnt++;
	(void)io_uring_get_events(&rx->ring);
	return io_uring_peek_cqe(&rx->ring, out_cqe) == 0;
}

/* rx_next_train goes through completions up to one that brought datagrams. */
static bool rx_next_train(struct udp_uring_rx *rx)
{
	struct io_uring_cqe *cqe;

	while (rx_peek(rx, &cqe)) {
		bool has_train = false;

		if (cqe->user_data & RX_WRITABLE) {
			rx->awaited_set &= ~(1u << (cqe->user_data - RX_WRITABLE));
		} else {
			if (!(cqe->flags & IORING_CQE_F_MORE))
				rx->armed_set &= ~(1u << cqe->user_data);
			has_train = cqe->res >= 0 && rx_train_of(rx, cqe);
		}
		io_uring_cqe_seen(&rx->ring, cqe);
		if (has_train)
			return true;
	}
	return false;
}

/*
 * Waiting is by an eventfd. The ring's own descriptor does not become readable for deferred task
 * work when another call than io_uring_enter waits (seen on Linux 6.18). It is cleared only on the
 * way to sleep and before the last look, so a busy worker pays no call for it.
 */
static bool rx_last_look(struct udp_uring_rx *rx)
{
	uint64_t count;

	if (read(rx->wake_fd, &count, sizeof(count)) < 0)
		return false;
	return rx_next_train(rx);
}

static unsigned udp_uring_burst(struct packet_rx *base, struct dgram *out_dgrams, unsigned cap)
{
	struct udp_uring_rx *rx = (struct udp_uring_rx *)base;
	unsigned cnt = 0;

	if (!rx->is_enabled) {
		if (io_uring_enable_rings(&rx->ring) < 0)
			return 0;
		rx->is_enabled = true;
	}
	rx_provide(rx, rx->lent, rx->lent_cnt);
	rx->lent_cnt = 0;
	rx_arm(rx);
	while (cnt < cap &&
	       (rx->train.len || rx_next_train(rx) || (cnt == 0 && rx_last_look(rx)))) {
		cnt += net_udp_train_take(&rx->train, out_dgrams + cnt, cap - cnt);
		if (!rx->train.len)
			rx->lent[rx->lent_cnt++] = rx->train_buffer;
	}
	/*
	 * A receive ends when buffers run out. It must be under way again
	 * before the worker waits, or nothing would wake it.
	 */
	rx_arm(rx);
	net_udp_sockets_count_burst(rx->sockets, &base->counters, out_dgrams, cnt);
	return cnt;
}

/* Once per socket: a sender that is full asks at every turn. */
static void udp_uring_await_writable(struct packet_rx *base, unsigned socket_idx)
{
	struct udp_uring_rx *rx = (struct udp_uring_rx *)base;
	struct io_uring_sqe *sqe;

	if (!rx->is_enabled || rx->awaited_set & 1u << socket_idx)
		return;
	sqe = io_uring_get_sqe(&rx->ring);
	if (!sqe)
		return;
	io_uring_prep_poll_add(sqe, rx->sockets->sockets[socket_idx].fd, POLLOUT);
	sqe->user_data = RX_WRITABLE | socket_idx;
	rx->awaited_set |= 1u << socket_idx;
	(void)io_uring_submit(&rx->ring);
}

/*
 * A receive under way holds its socket. The kernel takes a ring apart in the background: the port
 * would stay taken for milliseconds after the daemon is gone.
 */
static void rx_cancel_all(struct udp_uring_rx *rx)
{
	struct io_uring_sync_cancel_reg cancel = {
		.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
		.timeout = {-1, -1},
	};

	if (!rx->is_enabled)
		return;
	(void)io_uring_register_sync_cancel(&rx->ring, &cancel);
	(void)io_uring_get_events(&rx->ring);
}

static void udp_uring_rx_close(struct packet_rx *base)
{
	struct udp_uring_rx *rx = (struct udp_uring_rx *)base;

	rx_cancel_all(rx);
	rx->sockets->await_writable = NULL;
	io_uring_free_buf_ring(&rx->ring, rx->buffer_ring, RX_BUFFER_CNT, RX_GROUP);
	io_uring_queue_exit(&rx->ring);
	close(rx->wake_fd);
	net_udp_sockets_release(rx->sockets);
	munmap(rx->buffers, RX_BUFFERS_LEN);
	free(rx);
}

static const struct packet_rx_ops udp_uring_rx_ops = {.burst = udp_uring_burst,
						      .close = udp_uring_rx_close};

/*
 * Once enabled, the ring receives and waits for room, and does nothing else: an attacker that wrote
 * into its memory opens no file with it.
 */
static int rx_restrict(struct io_uring *ring)
{
	struct io_uring_restriction allowed[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_RECVMSG},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_ADD},
		{.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_BUFFER_SELECT},
		{.opcode = IORING_RESTRICTION_REGISTER_OP,
		 .register_op = IORING_REGISTER_ENABLE_RINGS},
		{.opcode = IORING_RESTRICTION_REGISTER_OP,
		 .register_op = IORING_REGISTER_SYNC_CANCEL},
		{.opcode = IORING_RESTRICTION_REGISTER_OP,
		 .register_op = IORING_UNREGISTER_PBUF_RING},
	};

	return io_uring_register_restrictions(ring, allowed, sizeof(allowed) / sizeof(allowed[0]));
}

int net_udp_uring_rx_new(struct udp_sockets *sockets, struct packet_rx **out_rx)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
		.cq_entries = 4 * RX_BUFFER_CNT,
	};
	struct udp_uring_rx *rx = calloc(1, sizeof(*rx));
	int err;

	if (!rx)
		return -ENOMEM;
	rx->buffers = mmap(NULL, RX_BUFFERS_LEN, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rx->buffers == MAP_FAILED) {
		err = -ENOMEM;
		goto free_rx;
	}
	err = io_uring_queue_init_params(2 * UDP_SOCKET_CNT_MAX, &rx->ring, &params);
	if (err < 0)
		goto unmap_buffers;
	rx->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* liburing gives its errors as results and leaves errno alone. */
	err = rx->wake_fd < 0 ? -errno : io_uring_register_eventfd(&rx->ring, rx->wake_fd);
	if (err < 0)
		goto exit_ring;
	rx->buffer_ring = io_uring_setup_buf_ring(&rx->ring, RX_BUFFER_CNT, RX_GROUP, 0, &err);
	if (!rx->buffer_ring || (err = rx_restrict(&rx->ring)) < 0)
		goto exit_ring;
	for (uint16_t i = 0; i < RX_BUFFER_CNT; i++)
		rx_provide(rx, &i, 1);
	rx->layout.msg_namelen = RX_NAME_LEN;
	rx->layout.msg_controllen = UDP_CONTROL_LEN_MAX;
	rx->sockets = sockets;
	sockets->ref_cnt++;
	sockets->await_writable = udp_uring_await_writable;
	sockets->rx = &rx->base;
	rx->base.ops = &udp_uring_rx_ops;
	rx->base.backend = "udp/io_uring";
	rx->base.fd = rx->wake_fd;
	*out_rx = &rx->base;
	return 0;
exit_ring:
	io_uring_queue_exit(&rx->ring);
	if (rx->wake_fd >= 0)
		close(rx->wake_fd);
unmap_buffers:
	munmap(rx->buffers, RX_BUFFERS_LEN);
free_rx:
	free(rx);
	return err;
}
