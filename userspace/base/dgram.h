/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_DGRAM_H
#define WEFT_BASE_DGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/classify.h"
#include "weft/err.h"
#include "weft/reason.h"

/*
 * A datagram as every protocol sees it, and the seam through which
 * protocols send. net/ implements struct dgram_sink; quic/ and dht/ write
 * into it and know no packet I/O.
 */

/*
 * The findings of net/ingress/ about a received datagram. It is found once; the worker and the
 * protocols read it and look at no first byte and no tag again.
 */
struct dgram_judgement {
	enum weft_verdict verdict;
	enum weft_flow flow;
	int owner; /* the worker in a connection id with a right tag; home for KRPC; or: */
#define DGRAM_OWNER_HOME    0
#define DGRAM_OWNER_NONE    (-1) /* no connection id of this node */
#define DGRAM_OWNER_UNKNOWN (-2) /* the tag is still to be checked */
};

/* Received: data is borrowed until the receiver's next burst. */
struct dgram {
	uint8_t *data;	    /* writable: QUIC decrypts in place */
	size_t len;	    /* bytes, >= 1 */
	struct addr local;  /* the address it was sent to */
	struct addr remote; /* the address it came from */
	uint8_t ecn;	    /* the two ECN bits */
	struct dgram_judgement judged;
};

/*
 * Room for one datagram, or for a run of datagrams of one size that the
 * kernel cuts apart (GSO).
 */
struct dgram_slot {
	uint8_t *data;
	size_t cap; /* bytes; at least what was asked for */
};

/* How what was written into a slot leaves. */
struct dgram_route {
	struct addr local; /* source address; family ADDR_NONE: kernel's choice */
	struct addr remote;
	size_t segment_len; /* bytes of each datagram but the last; 0: one datagram */
	uint8_t ecn;
};

struct dgram_sink;

/*
 * reserve gives room for len bytes, or false when the sender is full:
 *     the caller keeps its state and tries again after the next flush.
 *     At most one slot is reserved at a time.
 * commit hands the first len bytes of the slot to the sender.
 * cancel gives the slot back unsent.
 * Context: the worker that owns the sink.
 */
struct dgram_sink_ops {
	bool (*reserve)(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot);
	void (*commit)(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
		       const struct dgram_route *route);
	void (*cancel)(struct dgram_sink *sink, const struct dgram_slot *slot);
};

struct dgram_sink {
	const struct dgram_sink_ops *ops;
	size_t batch_len_max; /* most bytes one slot can hold: 65,487 with GSO, else one MTU */
};

#endif
