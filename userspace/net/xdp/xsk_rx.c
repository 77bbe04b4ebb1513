/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving by AF_XDP: frames that the program redirected are taken out of
 * the rx ring in batches and lent to the caller. The caller's next burst
 * first gives them back to be filled. So the kernel always has every frame
 * that is not in the caller's hands. Runs on the worker that owns the
 * socket; nothing is copied and nothing allocated.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "net/ingress/ingress_verdict.h"
#include "net/link_table.h"
#include "net/udp/udp_frame.h"
#include "xsk.h"
#include "weft/cid.h"
#include "weft/facts.h"

struct xsk_rx {
	struct packet_rx base;
	struct xsk *xsk;
	struct link_table *links; /* NULL: no send side uses AF_XDP */
	bool is_busy;		  /* the last burst brought something */
	uint32_t lent_cnt;
	uint64_t lent[PACKET_BURST_MAX];
};

static void rx_give_back(struct xsk_rx *rx)
{
	struct xsk_ring *fill = &rx->xsk->fill;
	uint32_t idx, got;

	if (!rx->lent_cnt)
		return;
	/* The ring has a place for every frame that receives. */
	got = xsk_ring_reserve(fill, rx->lent_cnt, &idx);
	weft_assert(got == rx->lent_cnt);
	for (uint32_t i = 0; i < got; i++)
		*xsk_ring_addr(fill, idx + i) = rx->lent[i];
	net_umem_pass(&rx->xsk->umem, rx->lent, got, UMEM_LENT, UMEM_FILLING);
	xsk_ring_commit(fill);
	rx->lent_cnt = 0;
}

/*
 * Lets the driver run on this thread (busy polling), or notifies it that there are frames to fill.
 */
static void rx_call(struct xsk_rx *rx)
{
	rx->base.counters.call_cnt++;
	(void)recvfrom(rx->xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static uint32_t rx_peek(struct xsk_rx *rx, uint32_t want, uint32_t *out_idx)
{
	struct xsk *xsk = rx->xsk;
	uint32_t got = xsk_ring_peek(&xsk->rx, want, out_idx);

	if (got || !((rx->is_busy && xsk->is_busy_polled) || xsk_ring_wants_wakeup(&xsk->fill)))
		return got;
	rx_call(rx);
	return xsk_ring_peek(&xsk->rx, want, out_idx);
}

/*
 * The program has judged the datagram. A short header that it delivers has
 * an id of this node, unless the datagram may be a stateless reset. For
 * other protocols only UDP's checksum proves what was sent, and from where:
 * returns false if it is wrong.
 */
static bool rx_judge(const struct xsk_rx *rx, struct dgram *dgram)
{
	switch (net_ingress_classify(dgram)) {
	case WEFT_FLOW_STUN:
	case WEFT_FLOW_KRPC:
	case WEFT_FLOW_PROBE:
	case WEFT_FLOW_RELAY:
		return net_udp_frame_is_whole(dgram, rx->xsk->has_partial_sums);
	case WEFT_FLOW_QUIC_SHORT:
		if (dgram->len >= WEFT_RESET_LEN_CAP)
			dgram->judged.owner = (int)weft_cid_worker(dgram->data + 1);
		return true;
	default:
		return true;
	}
}

static bool rx_take(struct xsk_rx *rx, const struct xdp_desc *desc, struct dgram *out_dgram)
{
	struct umem *umem = &rx->xsk->umem;
	uint8_t *frame = umem_data(umem, desc->addr);
	size_t link_len;

	weft_assert_hot(net_umem_holds(umem, desc->addr, desc->len));
	if (!net_udp_frame_parse(frame, desc->len, rx->xsk->ifindex, out_dgram, &link_len) ||
	    !rx_judge(rx, out_dgram)) {
		rx->base.counters.dropped_cnt++;
		return false;
	}
	rx->base.counters.byte_cnt += out_dgram->len;
	/* The sender was given an id of this node, so its frame shows the way back. */
	if (rx->links && out_dgram->judged.flow == WEFT_FLOW_QUIC_SHORT)
		net_link_table_learn(rx->links, out_dgram, frame, link_len, rx->xsk->device);
	return true;
}

static unsigned xsk_burst(struct packet_rx *base, struct dgram *out_dgrams, unsigned cap)
{
	struct xsk_rx *rx = (struct xsk_rx *)base;
	uint32_t idx, got;
	unsigned cnt = 0;

	if (cap > PACKET_BURST_MAX)
		cap = PACKET_BURST_MAX;
	do {
		rx_give_back(rx);
		got = rx_peek(rx, cap, &idx);
		for (uint32_t i = 0; i < got; i++) {
			const struct xdp_desc *desc = xsk_ring_desc(&rx->xsk->rx, idx + i);

			rx->lent[i] = desc->addr;
			cnt += rx_take(rx, desc, &out_dgrams[cnt]);
		}
		rx->lent_cnt = got;
		net_umem_pass(&rx->xsk->umem, rx->lent, got, UMEM_FILLING, UMEM_LENT);
		xsk_ring_release(&rx->xsk->rx);
		rx->is_busy = got > 0;
	} while (got && !cnt);
	base->counters.dgram_cnt += cnt;
	return cnt;
}

static void xsk_rx_close(struct packet_rx *base)
{
	free(base);
}

static const struct packet_rx_ops xsk_rx_ops = {.burst = xsk_burst, .close = xsk_rx_close};

void net_xsk_rx_teach(struct packet_rx *base, struct link_table *links)
{
	((struct xsk_rx *)base)->links = links;
}

int net_xsk_rx_new(struct xsk *xsk, struct packet_rx **out_rx)
{
	struct xsk_rx *rx = calloc(1, sizeof(*rx));

	if (!rx)
		return -ENOMEM;
	rx->xsk = xsk;
	rx->base.ops = &xsk_rx_ops;
	rx->base.backend = xsk->is_zero_copy ? "af_xdp/zero-copy" : "af_xdp/copy";
	rx->base.fd = xsk->fd;
	memcpy(rx->base.reason, xsk->reason, sizeof(rx->base.reason));
	*out_rx = &rx->base;
	return 0;
}
