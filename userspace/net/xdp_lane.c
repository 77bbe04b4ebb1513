/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's share of attached devices. Queues come and go between turns;
 * in one the receive sides teach, and the send side asks, the lane's table
 * of links.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/link_table.h"
#include "net/xdp.h"
#include "net/xsk.h"

struct xdp_lane {
	struct link_table *links;
	struct packet_tx *tx; /* in front of udp */
	struct xdp_queue *queues[XDP_DEVICE_MAX][XDP_QUEUE_MAX];
	uint8_t sender_cnt; /* of queues */
};

_Static_assert(XDP_DEVICE_MAX <= XSK_TX_DEVICE_MAX, "the send side has room for every device");

int xdp_lane_new(struct packet_tx *udp, const uint64_t secret[2], struct xdp_lane **out_lane)
{
	struct xdp_lane *lane = calloc(1, sizeof(*lane));
	int err = -ENOMEM;

	if (!lane)
		return err;
	if ((err = link_table_new(secret, &lane->links)) < 0 ||
	    (err = xsk_tx_new(udp, lane->links, &lane->tx)) < 0) {
		xdp_lane_free(lane);
		return err;
	}
	*out_lane = lane;
	return 0;
}

void xdp_lane_free(struct xdp_lane *lane)
{
	if (!lane)
		return;
	packet_tx_close(lane->tx);
	link_table_free(lane->links);
	free(lane);
}

/* The first of device's queues sends for all of the lane. */
static void sender_choose(struct xdp_lane *lane, uint8_t device)
{
	struct xsk *xsk = NULL;

	for (unsigned i = XDP_QUEUE_MAX; i-- > 0;)
		if (lane->queues[device][i] && lane->queues[device][i]->sends)
			xsk = lane->queues[device][i]->xsk;
	xsk_tx_set(lane->tx, device, xsk);
	if (!xsk)
		link_table_forget(lane->links, device);
}

void xdp_lane_add(struct xdp_lane *lane, struct xdp_queue *queue)
{
	weft_assert(!lane->queues[queue->device][queue->idx]);
	lane->queues[queue->device][queue->idx] = queue;
	lane->sender_cnt += queue->sends;
	xsk_rx_teach(queue->rx, queue->teaches ? lane->links : NULL);
	sender_choose(lane, queue->device);
}

void xdp_lane_remove(struct xdp_lane *lane, struct xdp_queue *queue)
{
	weft_assert(lane->queues[queue->device][queue->idx] == queue);
	lane->queues[queue->device][queue->idx] = NULL;
	lane->sender_cnt -= queue->sends;
	xsk_rx_teach(queue->rx, NULL);
	sender_choose(lane, queue->device);
}

struct packet_tx *xdp_lane_tx(const struct xdp_lane *lane)
{
	return lane->sender_cnt ? lane->tx : NULL;
}

void xdp_lane_set_mtu(struct xdp_lane *lane, unsigned device, uint32_t mtu)
{
	for (unsigned i = 0; i < XDP_QUEUE_MAX; i++)
		if (lane->queues[device][i])
			lane->queues[device][i]->xsk->mtu = mtu;
}

void xdp_lane_turn(struct xdp_lane *lane, uint64_t now_ns)
{
	link_table_turn(lane->links, now_ns);
}

void xdp_queue_frames(const struct xdp_queue *queue, uint32_t out_cnt[static XDP_FRAME_OWNER_CNT])
{
	_Static_assert(XDP_FRAME_OWNER_CNT == UMEM_OWNER_CNT, "every owner");
	memcpy(out_cnt, queue->xsk->umem.owned_cnt, sizeof(queue->xsk->umem.owned_cnt));
}

uint64_t xdp_queue_sent_cnt(const struct xdp_queue *queue)
{
	return queue->xsk->sent_cnt;
}
