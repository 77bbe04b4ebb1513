/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_XDP_XSK_RING_H
#define WEFT_NET_XDP_XSK_RING_H

#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Private to net/: one side of the four rings between an AF_XDP socket and the kernel. Each has one
 * producer and one consumer; the kernel is the other one, in any context.
 *
 *   fill        the worker produces addresses of frames for the kernel to fill
 *   rx          the worker consumes descriptors of frames it filled
 *   tx          the worker produces descriptors of frames to send
 *   completion  the worker consumes addresses of frames that are sent
 *
 * Indices are of 32 bits, run on over the ring's end and wrap. The entries are published by a
 * store-release of the own index and taken after a load-acquire of the other's
 * (Documentation/networking/af_xdp.rst). The kernel is trusted with its own index.
 */
struct xsk_ring {
	uint32_t *own;	      /* the index that this side moves; shared */
	const uint32_t *peer; /* the kernel's; shared */
	const uint32_t *flags;
	void *entries;
	uint32_t cnt;  /* power of two */
	uint32_t at;   /* reserved or peeked up to here; own is behind it or equal */
	uint32_t edge; /* what the kernel's index allowed when last read; at is never past it */
};

/* xsk_ring_init_{producer,consumer} set what is not shared; the rest points into the mapping. */
static inline void xsk_ring_init_producer(struct xsk_ring *ring)
{
	ring->at = *ring->own;
	ring->edge = *ring->peer + ring->cnt;
}

static inline void xsk_ring_init_consumer(struct xsk_ring *ring)
{
	ring->at = *ring->own;
	ring->edge = *ring->peer;
}

/*
 * xsk_ring_reserve gives up to want places from index *out_idx on, and
 * returns how many. They are the caller's until commit, which publishes
 * all reserved places.
 */
static inline uint32_t xsk_ring_reserve(struct xsk_ring *ring, uint32_t want, uint32_t *out_idx)
{
	if (ring->edge - ring->at < want)
		ring->edge = __atomic_load_n(ring->peer, __ATOMIC_ACQUIRE) + ring->cnt;
	if (ring->edge - ring->at < want)
		want = ring->edge - ring->at;
	*out_idx = ring->at;
	ring->at += want;
	return want;
}

/*
 * xsk_ring_peek gives up to want entries from index *out_idx on, and
 * returns how many; release hands the places of all of them back.
 */
static inline uint32_t xsk_ring_peek(struct xsk_ring *ring, uint32_t want, uint32_t *out_idx)
{
	if (ring->edge - ring->at < want)
		ring->edge = __atomic_load_n(ring->peer, __ATOMIC_ACQUIRE);
	if (ring->edge - ring->at < want)
		want = ring->edge - ring->at;
	*out_idx = ring->at;
	ring->at += want;
	return want;
}

static inline void xsk_ring_commit(struct xsk_ring *ring)
{
	__atomic_store_n(ring->own, ring->at, __ATOMIC_RELEASE);
}

static inline void xsk_ring_release(struct xsk_ring *ring)
{
	__atomic_store_n(ring->own, ring->at, __ATOMIC_RELEASE);
}

/* Addresses, in the fill and completion rings. */
static inline uint64_t *xsk_ring_addr(const struct xsk_ring *ring, uint32_t idx)
{
	return (uint64_t *)ring->entries + (idx & (ring->cnt - 1));
}

/* Descriptors, in the rx and tx rings. */
static inline struct xdp_desc *xsk_ring_desc(const struct xsk_ring *ring, uint32_t idx)
{
	return (struct xdp_desc *)ring->entries + (idx & (ring->cnt - 1));
}

/* xsk_ring_wants_wakeup: the kernel looks at the ring only after a system call. */
static inline bool xsk_ring_wants_wakeup(const struct xsk_ring *ring)
{
	return __atomic_load_n(ring->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP;
}

#endif
