/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending: the way out of every datagram over UDP. Protocols write into one buffer. Flush hands all
 * of it to the kernel with one sendmmsg per socket. A run of equal datagrams is one message, which
 * the kernel or the device cuts (GSO). Where a device cannot, this file cuts, from then on.
 *
 * Plain system calls and not io_uring, which is no faster here: docs/decisions/0002. Runs on the
 * worker that owns the sockets; after open nothing is allocated.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "udp_socket.h"

#define TX_MESSAGE_CNT 64
/*
 * One full run, or 64 small datagrams: the next run is written where the
 * last one was, while that is still in the cache.
 */
#define TX_BUFFER_LEN (64u * 1024)
#define TX_ALIGN      64

struct tx_message {
	struct iovec iov; /* what is still to be sent */
	struct dgram_route route;
	struct sockaddr_storage name;
	_Alignas(struct cmsghdr) uint8_t control[UDP_CONTROL_LEN_MAX];
	unsigned socket_idx;
	bool is_cut_by_us;
};

struct udp_mmsg_tx {
	struct packet_tx base;
	struct udp_sockets *sockets;
	uint8_t *buffer;
	size_t used_len; /* of buffer, by messages [0, message_cnt) */
	unsigned message_cnt;
	unsigned sent_cnt; /* messages [0, sent_cnt) are the kernel's */
	struct udp_hold hold;
	struct mmsghdr headers[TX_MESSAGE_CNT];
	struct tx_message messages[TX_MESSAGE_CNT];
};

static void tx_count(struct udp_mmsg_tx *tx, size_t len, size_t segment_len)
{
	tx->base.counters.byte_cnt += len;
	tx->base.counters.dgram_cnt += segment_len ? (len + segment_len - 1) / segment_len : 1;
}

static void tx_count_failed(struct udp_mmsg_tx *tx, int err)
{
	if (err == EMSGSIZE)
		tx->base.toobig_cnt++;
	else
		tx->base.counters.dropped_cnt++;
}

/*
 * message_send_cut sends a run datagram by datagram, in batches. Returns
 * 0 when nothing is left, else EAGAIN with iov at the first unsent byte.
 * *out_sent_cnt says how many the kernel took.
 */
static int message_send_cut(struct udp_mmsg_tx *tx, struct tx_message *message,
			    unsigned *out_sent_cnt)
{
	const struct udp_socket *socket = &tx->sockets->sockets[message->socket_idx];
	struct mmsghdr headers[UDP_SEGMENT_CNT_MAX];
	struct iovec iovs[UDP_SEGMENT_CNT_MAX] = {0};
	size_t segment_len = message->route.segment_len, control_len;
	socklen_t name_len = addr_to_sockaddr(&message->route.remote, &message->name);

	*out_sent_cnt = 0;
	control_len = net_udp_control_write(socket, &message->route, 0, message->control);
	while (message->iov.iov_len > 0) {
		uint8_t *data = message->iov.iov_base;
		size_t off = 0;
		unsigned cnt = 0;
		int sent;

		for (; cnt < UDP_SEGMENT_CNT_MAX && off < message->iov.iov_len; cnt++) {
			size_t left = message->iov.iov_len - off;

			iovs[cnt].iov_base = data + off;
			iovs[cnt].iov_len = left < segment_len ? left : segment_len;
			off += iovs[cnt].iov_len;
			headers[cnt].msg_hdr = (struct msghdr){.msg_name = &message->name,
							       .msg_namelen = name_len,
							       .msg_iov = &iovs[cnt],
							       .msg_iovlen = 1,
							       .msg_control = message->control,
							       .msg_controllen = control_len};
		}
		sent = sendmmsg(socket->fd, headers, cnt, MSG_DONTWAIT);
		tx->base.counters.call_cnt++;
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return EAGAIN;
		if (sent < 0)
			tx_count_failed(tx, errno);
		for (int i = 0; i < sent; i++)
			tx_count(tx, iovs[i].iov_len, 0);
		*out_sent_cnt += sent > 0 ? (unsigned)sent : 0;
		for (int i = 0; i < (sent > 0 ? sent : 1); i++) {
			message->iov.iov_base = (uint8_t *)message->iov.iov_base + iovs[i].iov_len;
			message->iov.iov_len -= iovs[i].iov_len;
		}
	}
	return 0;
}

/*
 * message_failed deals with a message that the kernel refused whole. A run refused because a device
 * cannot cut it is cut by this file and sent, and so are all later ones. A run refused for its size
 * says nothing of GSO.
 */
static int message_failed(struct udp_mmsg_tx *tx, struct tx_message *message, int err)
{
	bool may_be_gso = err == EIO || err == EINVAL;
	uint64_t toobig_cnt = tx->base.toobig_cnt;
	unsigned sent_cnt;

	if (!message->route.segment_len || !(may_be_gso || err == EMSGSIZE)) {
		tx_count_failed(tx, err);
		return 0;
	}
	message->is_cut_by_us = true;
	err = message_send_cut(tx, message, &sent_cnt);
	if (may_be_gso && sent_cnt && tx->base.toobig_cnt == toobig_cnt)
		tx->sockets->sockets[message->socket_idx].is_gso_refused = true;
	return err;
}

/* tx_send_some sends messages from sent_cnt on that share a socket. 0 or EAGAIN. */
static int tx_send_some(struct udp_mmsg_tx *tx)
{
	struct tx_message *first = &tx->messages[tx->sent_cnt];
	unsigned cnt = 0, sent_cnt;
	int sent, err = 0;

	if (first->is_cut_by_us) {
		err = message_send_cut(tx, first, &sent_cnt);
		tx->sent_cnt += !err;
		return err;
	}
	while (tx->sent_cnt + cnt < tx->message_cnt && !first[cnt].is_cut_by_us &&
	       first[cnt].socket_idx == first->socket_idx)
		cnt++;
	sent = sendmmsg(tx->sockets->sockets[first->socket_idx].fd, &tx->headers[tx->sent_cnt], cnt,
			MSG_DONTWAIT);
	tx->base.counters.call_cnt++;
	if (sent < 0) {
		if (errno == EINTR)
			return 0;
		if (errno == EAGAIN)
			return EAGAIN;
		err = message_failed(tx, first, errno);
		tx->sent_cnt += !err;
		return err;
	}
	for (int i = 0; i < sent; i++)
		tx_count(tx, first[i].iov.iov_len, first[i].route.segment_len);
	tx->sent_cnt += (unsigned)sent;
	return 0;
}

static int udp_mmsg_flush(struct packet_tx *base)
{
	struct udp_mmsg_tx *tx = (struct udp_mmsg_tx *)base;
	struct udp_sockets *sockets = tx->sockets;

	while (tx->sent_cnt < tx->message_cnt) {
		if (tx_send_some(tx) != 0) {
			if (sockets->await_writable)
				sockets->await_writable(sockets->rx,
							tx->messages[tx->sent_cnt].socket_idx);
			return WEFT_EBUSY;
		}
	}
	tx->sent_cnt = 0;
	tx->message_cnt = 0;
	tx->used_len = 0;
	return 0;
}

static struct udp_mmsg_tx *tx_of_sink(struct dgram_sink *sink)
{
	return container_of(sink, struct udp_mmsg_tx, base.sink);
}

static bool tx_has_room(const struct udp_mmsg_tx *tx, size_t len)
{
	return tx->message_cnt < TX_MESSAGE_CNT && TX_BUFFER_LEN - tx->used_len >= len;
}

/* A full buffer flushes itself: only a full kernel makes the caller wait. */
static bool udp_mmsg_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct udp_mmsg_tx *tx = tx_of_sink(sink);
	size_t room_len;

	if (len > UDP_RUN_LEN_MAX)
		return false;
	if (!tx_has_room(tx, len)) {
		(void)udp_mmsg_flush(&tx->base);
		if (!tx_has_room(tx, len))
			return false;
	}
	room_len = TX_BUFFER_LEN - tx->used_len;
	out_slot->data = tx->buffer + tx->used_len;
	out_slot->cap = room_len < UDP_RUN_LEN_MAX ? room_len : UDP_RUN_LEN_MAX;
	return true;
}

static void udp_mmsg_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			    const struct dgram_route *route)
{
	struct udp_mmsg_tx *tx = tx_of_sink(sink);
	struct tx_message *message = &tx->messages[tx->message_cnt];
	struct msghdr *header = &tx->headers[tx->message_cnt].msg_hdr;
	int socket_idx = net_udp_sockets_choose(tx->sockets, &route->local, &route->remote);
	const struct udp_socket *socket;

	weft_assert_hot(slot->data == tx->buffer + tx->used_len && len <= slot->cap);
	if (socket_idx < 0 || len == 0 || (tx->hold.cnt && net_udp_hold_has(&tx->hold, route))) {
		tx->base.counters.dropped_cnt++;
		return;
	}
	socket = &tx->sockets->sockets[socket_idx];
	message->route = *route;
	if (route->segment_len >= len)
		message->route.segment_len = 0;
	message->socket_idx = (unsigned)socket_idx;
	message->is_cut_by_us =
		message->route.segment_len &&
		(socket->is_gso_refused || len > message->route.segment_len * UDP_SEGMENT_CNT_MAX);
	message->iov = (struct iovec){slot->data, len};
	header->msg_namelen = addr_to_sockaddr(&route->remote, &message->name);
	header->msg_controllen = net_udp_control_write(
		socket, &message->route, message->route.segment_len, message->control);
	tx->message_cnt++;
	tx->used_len += (len + TX_ALIGN - 1) & ~(size_t)(TX_ALIGN - 1);
}

static void udp_mmsg_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)sink;
	(void)slot;
}

static void udp_mmsg_close(struct packet_tx *base)
{
	struct udp_mmsg_tx *tx = (struct udp_mmsg_tx *)base;

	net_udp_sockets_release(tx->sockets);
	munmap(tx->buffer, TX_BUFFER_LEN);
	free(tx);
}

void net_udp_tx_hold(struct packet_tx *base, const struct udp_hold *hold)
{
	((struct udp_mmsg_tx *)base)->hold = *hold;
}

static const struct packet_tx_ops udp_mmsg_tx_ops = {.flush = udp_mmsg_flush,
						     .close = udp_mmsg_close};
static const struct dgram_sink_ops udp_mmsg_sink_ops = {
	.reserve = udp_mmsg_reserve, .commit = udp_mmsg_commit, .cancel = udp_mmsg_cancel};

int net_udp_mmsg_tx_new(struct udp_sockets *sockets, struct packet_tx **out_tx)
{
	struct udp_mmsg_tx *tx = calloc(1, sizeof(*tx));

	if (!tx)
		return -ENOMEM;
	tx->buffer = mmap(NULL, TX_BUFFER_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (tx->buffer == MAP_FAILED) {
		free(tx);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < TX_MESSAGE_CNT; i++) {
		struct msghdr *header = &tx->headers[i].msg_hdr;

		header->msg_name = &tx->messages[i].name;
		header->msg_iov = &tx->messages[i].iov;
		header->msg_iovlen = 1;
		header->msg_control = tx->messages[i].control;
	}
	tx->sockets = sockets;
	sockets->ref_cnt++;
	tx->base.ops = &udp_mmsg_tx_ops;
	tx->base.backend = "udp/sendmmsg";
	tx->base.sink.ops = &udp_mmsg_sink_ops;
	tx->base.sink.batch_len_max = UDP_RUN_LEN_MAX;
	*out_tx = &tx->base;
	return 0;
}
