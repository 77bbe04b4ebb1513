/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving with epoll and recvmmsg: the fallback where io_uring is
 * refused. One recvmmsg fills buffers, and bursts take datagrams out of
 * them. The next recvmmsg comes only when all were taken, so a datagram
 * that a caller holds is never overwritten. Runs on the worker that owns
 * the sockets.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "udp_socket.h"

/*
 * Messages per call. The first buffers are used again and again, so a
 * larger number costs address space more than cache.
 */
#define RX_MESSAGE_CNT 32
#define RX_BUFFERS_LEN ((size_t)RX_MESSAGE_CNT * UDP_TRAIN_LEN_MAX)

struct rx_message {
	struct iovec iov;
	struct sockaddr_storage name;
	_Alignas(struct cmsghdr) uint8_t control[UDP_CONTROL_LEN_MAX];
};

struct udp_mmsg_rx {
	struct packet_rx base;
	struct udp_sockets *sockets;
	uint8_t *buffers;
	unsigned ready_set;  /* sockets that may have more, by bit */
	unsigned socket_idx; /* the owner of these messages */
	unsigned message_cnt;
	unsigned taken_cnt; /* messages [0, taken_cnt) went into trains */
	struct udp_train train;
	struct mmsghdr headers[RX_MESSAGE_CNT];
	struct rx_message messages[RX_MESSAGE_CNT];
};

/* rx_next_train makes the next message with datagrams in it the train. */
static bool rx_next_train(struct udp_mmsg_rx *rx)
{
	while (rx->taken_cnt < rx->message_cnt) {
		const struct mmsghdr *header = &rx->headers[rx->taken_cnt];
		struct rx_message *message = &rx->messages[rx->taken_cnt++];

		rx->train.data = message->iov.iov_base;
		rx->train.len = header->msg_len;
		if (net_udp_train_parse(&rx->sockets->sockets[rx->socket_idx], &message->name,
					message->control, header->msg_hdr.msg_controllen,
					&rx->train) &&
		    !(header->msg_hdr.msg_flags & MSG_TRUNC))
			return true;
		rx->base.counters.dropped_cnt++;
		rx->train.len = 0;
	}
	return false;
}

static int rx_watch(struct udp_mmsg_rx *rx, unsigned socket_idx, uint32_t events, int op)
{
	struct epoll_event event = {.events = events, .data.u32 = socket_idx};
	int fd = rx->sockets->sockets[socket_idx].fd;

	return epoll_ctl(rx->base.fd, op, fd, &event) < 0 ? -errno : 0;
}

static void rx_find_ready(struct udp_mmsg_rx *rx)
{
	struct epoll_event events[UDP_SOCKET_CNT_MAX];
	int cnt = epoll_wait(rx->base.fd, events, UDP_SOCKET_CNT_MAX, 0);

	rx->base.counters.call_cnt++;
	for (int i = 0; i < cnt; i++) {
		unsigned socket_idx = events[i].data.u32;

		if (events[i].events & ~(unsigned)EPOLLOUT)
			rx->ready_set |= 1u << socket_idx;
		if (events[i].events & EPOLLOUT)
			(void)rx_watch(rx, socket_idx, EPOLLIN, EPOLL_CTL_MOD);
	}
}

/* rx_receive asks one ready socket, each in its turn. False: it had nothing. */
static bool rx_receive(struct udp_mmsg_rx *rx)
{
	int cnt;

	do
		rx->socket_idx = (rx->socket_idx + 1) % rx->sockets->cnt;
	while (!(rx->ready_set & 1u << rx->socket_idx));
	for (unsigned i = 0; i < RX_MESSAGE_CNT; i++) {
		rx->headers[i].msg_hdr.msg_namelen = sizeof(rx->messages[i].name);
		rx->headers[i].msg_hdr.msg_controllen = sizeof(rx->messages[i].control);
	}
	cnt = recvmmsg(rx->sockets->sockets[rx->socket_idx].fd, rx->headers, RX_MESSAGE_CNT,
		       MSG_DONTWAIT, NULL);
	rx->base.counters.call_cnt++;
	if (cnt < RX_MESSAGE_CNT)
		rx->ready_set &= ~(1u << rx->socket_idx);
	rx->taken_cnt = 0;
	rx->message_cnt = cnt > 0 ? (unsigned)cnt : 0;
	return cnt > 0;
}

static unsigned udp_mmsg_burst(struct packet_rx *base, struct dgram *out_dgrams, unsigned cap)
{
	struct udp_mmsg_rx *rx = (struct udp_mmsg_rx *)base;
	unsigned cnt = 0;

	if (!rx->train.len && !rx_next_train(rx)) {
		if (!rx->ready_set)
			rx_find_ready(rx);
		while (rx->ready_set && !rx_receive(rx))
			;
		(void)rx_next_train(rx);
	}
	while (cnt < cap && (rx->train.len || rx_next_train(rx)))
		cnt += net_udp_train_take(&rx->train, out_dgrams + cnt, cap - cnt);
	net_udp_sockets_count_burst(rx->sockets, &base->counters, out_dgrams, cnt);
	return cnt;
}

static void udp_mmsg_await_writable(struct packet_rx *base, unsigned socket_idx)
{
	(void)rx_watch((struct udp_mmsg_rx *)base, socket_idx, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

static void udp_mmsg_rx_close(struct packet_rx *base)
{
	struct udp_mmsg_rx *rx = (struct udp_mmsg_rx *)base;

	rx->sockets->await_writable = NULL;
	net_udp_sockets_release(rx->sockets);
	if (base->fd >= 0)
		close(base->fd);
	munmap(rx->buffers, RX_BUFFERS_LEN);
	free(rx);
}

static const struct packet_rx_ops udp_mmsg_rx_ops = {.burst = udp_mmsg_burst,
						     .close = udp_mmsg_rx_close};

int net_udp_mmsg_rx_new(struct udp_sockets *sockets, struct packet_rx **out_rx)
{
	struct udp_mmsg_rx *rx = calloc(1, sizeof(*rx));
	int err = 0;

	if (!rx)
		return -ENOMEM;
	rx->buffers = mmap(NULL, RX_BUFFERS_LEN, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rx->buffers == MAP_FAILED) {
		err = -ENOMEM;
		goto free_rx;
	}
	rx->base.fd = epoll_create1(EPOLL_CLOEXEC);
	if (rx->base.fd < 0) {
		err = -errno;
		goto unmap_buffers;
	}
	rx->sockets = sockets;
	for (unsigned i = 0; i < sockets->cnt && !err; i++)
		err = rx_watch(rx, i, EPOLLIN, EPOLL_CTL_ADD);
	if (err < 0)
		goto close_epoll;
	for (unsigned i = 0; i < RX_MESSAGE_CNT; i++) {
		struct rx_message *message = &rx->messages[i];

		message->iov.iov_base = rx->buffers + (size_t)i * UDP_TRAIN_LEN_MAX;
		message->iov.iov_len = UDP_TRAIN_LEN_MAX;
		rx->headers[i].msg_hdr = (struct msghdr){.msg_name = &message->name,
							 .msg_iov = &message->iov,
							 .msg_iovlen = 1,
							 .msg_control = message->control};
	}
	sockets->ref_cnt++;
	sockets->await_writable = udp_mmsg_await_writable;
	sockets->rx = &rx->base;
	rx->base.ops = &udp_mmsg_rx_ops;
	rx->base.backend = "udp/epoll";
	*out_rx = &rx->base;
	return 0;
close_epoll:
	close(rx->base.fd);
unmap_buffers:
	munmap(rx->buffers, RX_BUFFERS_LEN);
free_rx:
	free(rx);
	return err;
}
