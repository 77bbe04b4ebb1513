/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's share of attached devices. Queues come and go between turns;
 * in one the receive sides teach, and the send side asks, the worker's table
 * of links.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/link_table.h"
#include "xdp.h"
#include "xsk.h"

struct xdp_worker {
	struct link_table *links;
	struct packet_tx *tx; /* in front of udp */
	struct xdp_queue *queues[XDP_DEVICE_MAX][XDP_QUEUE_MAX];
	uint8_t sender_cnt; /* of queues */
};

_Static_assert(XDP_DEVICE_MAX <= XSK_TX_DEVICE_MAX, "the send side has room for every device");

int net_xdp_worker_new(struct packet_tx *udp, const uint64_t secret[2],
		       struct xdp_worker **out_worker)
{
	struct xdp_worker *xdp_worker = calloc(1, sizeof(*xdp_worker));
	int err = -ENOMEM;

	if (!xdp_worker)
		return err;
	if ((err = net_link_table_new(secret, &xdp_worker->links)) < 0 ||
	    (err = net_xsk_tx_new(udp, xdp_worker->links, &xdp_worker->tx)) < 0) {
		net_xdp_worker_free(xdp_worker);
		return err;
	}
	*out_worker = xdp_worker;
	return 0;
}

void net_xdp_worker_free(struct xdp_worker *xdp_worker)
{
	if (!xdp_worker)
		return;
	packet_tx_close(xdp_worker->tx);
	net_link_table_free(xdp_worker->links);
	free(xdp_worker);
}

/* The first of device's queues sends for all of the worker. */
static void sender_choose(struct xdp_worker *xdp_worker, uint8_t device)
{
	struct xsk *xsk = NULL;

	for (unsigned i = XDP_QUEUE_MAX; i-- > 0;)
		if (xdp_worker->queues[device][i] && xdp_worker->queues[device][i]->sends)
			xsk = xdp_worker->queues[device][i]->xsk;
	net_xsk_tx_set(xdp_worker->tx, device, xsk);
	if (!xsk)
		net_link_table_forget(xdp_worker->links, device);
}

void net_xdp_worker_add(struct xdp_worker *xdp_worker, struct xdp_queue *queue)
{
	weft_assert(!xdp_worker->queues[queue->device][queue->idx]);
	xdp_worker->queues[queue->device][queue->idx] = queue;
	xdp_worker->sender_cnt += queue->sends;
	net_xsk_rx_teach(queue->rx, queue->teaches ? xdp_worker->links : NULL);
	sender_choose(xdp_worker, queue->device);
}

void net_xdp_worker_remove(struct xdp_worker *xdp_worker, struct xdp_queue *queue)
{
	weft_assert(xdp_worker->queues[queue->device][queue->idx] == queue);
	xdp_worker->queues[queue->device][queue->idx] = NULL;
	xdp_worker->sender_cnt -= queue->sends;
	net_xsk_rx_teach(queue->rx, NULL);
	sender_choose(xdp_worker, queue->device);
}

struct packet_tx *net_xdp_worker_tx(const struct xdp_worker *xdp_worker)
{
	return xdp_worker->sender_cnt ? xdp_worker->tx : NULL;
}

void net_xdp_worker_set_mtu(struct xdp_worker *xdp_worker, unsigned device, uint32_t mtu)
{
	for (unsigned i = 0; i < XDP_QUEUE_MAX; i++)
		if (xdp_worker->queues[device][i])
			xdp_worker->queues[device][i]->xsk->mtu = mtu;
}

void net_xdp_worker_turn(struct xdp_worker *xdp_worker, uint64_t now_ns)
{
	net_link_table_turn(xdp_worker->links, now_ns);
}

void net_xdp_queue_frames(const struct xdp_queue *queue,
			  uint32_t out_cnt[static XDP_FRAME_OWNER_CNT])
{
	_Static_assert(XDP_FRAME_OWNER_CNT == UMEM_OWNER_CNT, "every owner");
	memcpy(out_cnt, queue->xsk->umem.owned_cnt, sizeof(queue->xsk->umem.owned_cnt));
}

uint64_t net_xdp_queue_sent_cnt(const struct xdp_queue *queue)
{
	return queue->xsk->sent_cnt;
}
