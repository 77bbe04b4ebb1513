/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending by AF_XDP, in front of the udp side. Slots are the udp side's
 * buffer, which stays in the cache. Commit then writes each datagram once
 * into its frame, summing on the way. The kernel's socket sends instead
 * while the path's link layer is not known, or all frames are under way.
 * It also sends datagrams larger than a frame. Runs on the worker that owns the
 * sockets; after open nothing is allocated.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "net/link_table.h"
#include "net/udp/udp_frame.h"
#include "xsk.h"

/* A run is at most this many datagrams (udp_socket.h, and what QUIC writes at once). */
#define RUN_CNT_MAX 64

struct xsk_tx {
	struct packet_tx base;
	struct packet_tx *udp;
	struct link_table *links;
	struct xsk *xsks[XSK_TX_DEVICE_MAX];
	uint8_t unsent_set; /* devices with frames of which the kernel was not notified, by bit */
};

static struct xsk_tx *tx_of_sink(struct dgram_sink *sink)
{
	return container_of(sink, struct xsk_tx, base.sink);
}

/* Frames that the kernel has sent are free again. */
static void tx_reap(struct xsk *xsk)
{
	uint64_t addrs[RUN_CNT_MAX];
	uint32_t idx, got;

	while ((got = xsk_ring_peek(&xsk->completion, RUN_CNT_MAX, &idx)) > 0) {
		for (uint32_t i = 0; i < got; i++)
			addrs[i] = *xsk_ring_addr(&xsk->completion, idx + i);
		net_umem_release(&xsk->umem, addrs, got, UMEM_SENDING);
		xsk_ring_release(&xsk->completion);
	}
}

/*
 * With copying the call itself sends, 32 frames at a time, and says EAGAIN
 * while there are more. False: the device has no room now.
 */
static bool tx_kick(struct xsk_tx *tx, struct xsk *xsk)
{
	for (uint32_t tries = 0; tries <= xsk->tx.cnt / 32; tries++) {
		if (!xsk_ring_wants_wakeup(&xsk->tx))
			return true;
		tx->base.counters.call_cnt++;
		if (sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) == 0)
			return true;
		if (errno != EAGAIN)
			return errno != EBUSY && errno != ENOBUFS;
	}
	return false;
}

/* Room for cnt frames, if need be by sending what waits. False: there is none. */
static bool tx_acquire(struct xsk_tx *tx, struct xsk *xsk, uint64_t *addrs, uint32_t cnt)
{
	if (xsk->umem.owned_cnt[UMEM_FREE] < cnt)
		tx_reap(xsk);
	if (xsk->umem.owned_cnt[UMEM_FREE] < cnt) {
		(void)tx_kick(tx, xsk);
		tx_reap(xsk);
	}
	return xsk->umem.owned_cnt[UMEM_FREE] >= cnt &&
	       net_umem_acquire(&xsk->umem, addrs, cnt, UMEM_WRITING) == cnt;
}

struct run {
	const uint8_t *data;
	size_t len, segment_len;
	const struct dgram_route *route;
	const struct link_header *link;
};

/* Writes a run whose datagrams fit their frames. False: nothing was sent. */
static bool tx_write(struct xsk_tx *tx, struct xsk *xsk, const struct run *run)
{
	uint32_t cnt = (uint32_t)((run->len + run->segment_len - 1) / run->segment_len);
	uint64_t addrs[RUN_CNT_MAX];
	uint32_t idx, got;

	if (cnt > RUN_CNT_MAX || !tx_acquire(tx, xsk, addrs, cnt))
		return false;
	/* The ring has a place for every frame that sends. */
	got = xsk_ring_reserve(&xsk->tx, cnt, &idx);
	weft_assert(got == cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		size_t off = i * run->segment_len, left = run->len - off;
		size_t len = left < run->segment_len ? left : run->segment_len;
		const struct dgram_slot frame = {umem_data(&xsk->umem, addrs[i]),
						 xsk->umem.frame_len};
		size_t frame_len =
			net_udp_frame_write(&frame, run->link, run->route, run->data + off, len);

		weft_assert(frame_len > 0);
		*xsk_ring_desc(&xsk->tx, idx + i) =
			(struct xdp_desc){.addr = addrs[i], .len = (uint32_t)frame_len};
	}
	net_umem_pass(&xsk->umem, addrs, cnt, UMEM_WRITING, UMEM_SENDING);
	xsk_ring_commit(&xsk->tx);
	tx->unsent_set |= (uint8_t)(1u << xsk->device);
	xsk->sent_cnt += cnt;
	tx->base.counters.dgram_cnt += cnt;
	tx->base.counters.byte_cnt += run->len;
	return true;
}

/* One beyond the device's MTU is left to udp, which reports that to path MTU discovery. */
static bool dgram_fits(const struct xsk *xsk, const struct addr *remote, size_t len)
{
	size_t packet_len = len + (remote->family == ADDR_IPV4 ? UDP_FRAME_HEADERS_IPV4
							       : UDP_FRAME_HEADERS_IPV6);

	return packet_len <= xsk->mtu && packet_len + LINK_HEADER_LEN_MAX <= xsk->umem.frame_len;
}

static bool xsk_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct dgram_sink *udp = &tx_of_sink(sink)->udp->sink;

	return udp->ops->reserve(udp, len, out_slot);
}

static void xsk_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
		       const struct dgram_route *route)
{
	struct xsk_tx *tx = tx_of_sink(sink);
	struct dgram_sink *udp = &tx->udp->sink;
	struct run run = {
		.data = slot->data,
		.len = len,
		.segment_len =
			route->segment_len && route->segment_len < len ? route->segment_len : len,
		.route = route,
	};
	uint8_t device = 0;
	struct xsk *xsk = NULL;

	run.link = net_link_table_lookup(tx->links, &route->local, &route->remote, &device);
	if (run.link)
		xsk = tx->xsks[device];
	if (xsk && len && dgram_fits(xsk, &route->remote, run.segment_len) &&
	    tx_write(tx, xsk, &run))
		udp->ops->cancel(udp, slot);
	else
		udp->ops->commit(udp, slot, len, route);
}

static void xsk_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	struct dgram_sink *udp = &tx_of_sink(sink)->udp->sink;

	udp->ops->cancel(udp, slot);
}

static int xsk_flush(struct packet_tx *base)
{
	struct xsk_tx *tx = (struct xsk_tx *)base;
	int err;

	for (uint8_t i = 0; i < XSK_TX_DEVICE_MAX; i++) {
		if (!(tx->unsent_set & 1u << i))
			continue;
		if (tx_kick(tx, tx->xsks[i]))
			tx->unsent_set &= (uint8_t)~(1u << i);
		tx_reap(tx->xsks[i]);
	}
	err = packet_tx_flush(tx->udp);
	base->toobig_cnt = tx->udp->toobig_cnt;
	return tx->unsent_set ? WEFT_EBUSY : err;
}

void net_xsk_tx_set(struct packet_tx *base, uint8_t device, struct xsk *xsk)
{
	struct xsk_tx *tx = (struct xsk_tx *)base;

	weft_assert(device < XSK_TX_DEVICE_MAX);
	if (tx->xsks[device] == xsk)
		return;
	tx->xsks[device] = xsk;
	tx->unsent_set &= (uint8_t)~(1u << device);
}

static void xsk_tx_close(struct packet_tx *base)
{
	free(base);
}

static const struct packet_tx_ops xsk_tx_ops = {.flush = xsk_flush, .close = xsk_tx_close};
static const struct dgram_sink_ops xsk_sink_ops = {
	.reserve = xsk_reserve, .commit = xsk_commit, .cancel = xsk_cancel};

int net_xsk_tx_new(struct packet_tx *udp, struct link_table *links, struct packet_tx **out_tx)
{
	struct xsk_tx *tx = calloc(1, sizeof(*tx));

	if (!tx)
		return -ENOMEM;
	tx->udp = udp;
	tx->links = links;
	tx->base.ops = &xsk_tx_ops;
	tx->base.sink.ops = &xsk_sink_ops;
	tx->base.sink.batch_len_max = udp->sink.batch_len_max;
	tx->base.backend = "af_xdp";
	snprintf(tx->base.reason, sizeof(tx->base.reason),
		 "paths whose link layer is known by AF_XDP, others by %s", udp->backend);
	*out_tx = &tx->base;
	return 0;
}
