/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_RECEIVE_H
#define WEFT_RECEIVE_H

#include "weft/facts.h"
#include "weft/xdp_maps.h"
#include "weft/frame.h"

/*
 * Whether the stack behind a device would take a frame as its own, by its
 * headers. Part of policy.h, which says what must be defined before.
 */
/* The stack would take it: its own link-layer address, of a VLAN that is configured, or of none. */
WEFT_INLINE _Bool weft_policy_is_to_device(const struct weft_device *device,
					   const struct weft_frame *frame)
{
	return frame->dest == device->mac &&
	       (!frame->tags || weft_device_has_vlan(device, frame->tags));
}

/*
 * An address of this node, whatever the port, or of loopback: no datagram that comes by a device
 * has such a source.
 */
WEFT_INLINE _Bool weft_policy_is_own(const struct weft_locals *locals,
				     const struct weft_frame *frame)
{
	return weft_endpoint_is_loopback(&frame->source) ||
	       weft_locals_have_addr(locals, &frame->source, frame->local.port_be);
}

/*
 * weft_policy_receive: facts get what frame says. WEFT_REASON_CNT: it is a
 * datagram for us, to be judged.
 */
WEFT_INLINE enum weft_reason weft_policy_receive(struct weft_tables *tables,
						 const struct weft_frame *frame,
						 struct weft_facts *facts)
{
	const struct weft_locals *locals = weft_table_locals(tables);
	const struct weft_device *device = weft_table_device(tables);

	if (!locals || !device)
		return WEFT_REASON_NO_TABLES;
	if (!weft_locals_have(locals, &frame->local) ||
	    (frame->is_ipv6 && weft_endpoint_is_ipv4(&frame->local)))
		return WEFT_REASON_OTHER_PORT;
	if (!weft_policy_is_to_device(device, frame))
		return WEFT_REASON_OTHER_HOST;
	facts->source = frame->source;
	facts->local = frame->local;
	facts->payload_off = frame->payload_off;
	if (!frame->is_length_good || frame->said_len > weft_table_frame_len(tables))
		return WEFT_REASON_BAD_LENGTH;
	facts->len = frame->payload_len;
	facts->sum = device->has_partial_sums ? WEFT_SUM_PARTIAL : WEFT_SUM_FULL;
	facts->udp_sum = frame->udp_sum;
	/* RFC 8200 8.1: IPv6 has no datagrams without one. */
	if (!frame->is_header_good || (frame->is_ipv6 && !frame->udp_sum))
		return WEFT_REASON_BAD_SUM;
	/* A v4-mapped source is on no wire (RFC 4291 2.5.5.2): it would pass for an IPv4 peer. */
	if (!weft_endpoint_may_send(&frame->source, &frame->local) ||
	    (frame->is_ipv6 && weft_endpoint_is_ipv4(&frame->source)) ||
	    (!device->is_loopback && weft_policy_is_own(locals, frame)))
		return WEFT_REASON_BAD_SOURCE;
	return WEFT_REASON_CNT;
}

#endif
