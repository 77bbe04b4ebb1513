/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_UDP_UDP_FRAME_H
#define WEFT_NET_UDP_UDP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dgram.h"

/*
 * Private to net/: a UDP datagram with the headers that it has on the
 * wire, of the one form that the XDP program delivers: Ethernet, up to two
 * VLAN tags, IPv4 without options or IPv6 without extension headers, UDP.
 * They are read by weft/frame.h, as the program reads them.
 */
#define LINK_HEADER_LEN	       14 /* Ethernet alone */
#define LINK_HEADER_LEN_MAX    22 /* Ethernet and two tags */
#define UDP_FRAME_HEADERS_IPV4 28 /* IPv4 and UDP */
#define UDP_FRAME_HEADERS_IPV6 48

/* The header in front of the IP header, its type field included. */
struct link_header {
	uint8_t bytes[LINK_HEADER_LEN_MAX];
	uint8_t len;
};

/*
 * net_udp_frame_parse reads the frame of len bytes at data, which came by the
 * interface ifindex (the scope of link-local addresses). out_dgram's data
 * points into them. *out_link_len: how much of them is link header.
 *
 * The IPv4 header's checksum is verified. UDP's is not: what QUIC carries is
 * authenticated, and for the rest there is net_udp_frame_is_whole.
 *
 * Returns false, with nothing written, when the frame is not whole or not
 * of the form above.
 */
bool net_udp_frame_parse(uint8_t *data, size_t len, unsigned ifindex, struct dgram *out_dgram,
			 size_t *out_link_len);

/*
 * net_udp_frame_is_whole: the UDP checksum in front of dgram's data, which
 * net_udp_frame_parse found, is right; in IPv4 there may be none.
 * has_partial_sums: that of the pseudo-header alone will do, which a sender
 * on the same machine leaves for a card that never sees the datagram.
 */
bool net_udp_frame_is_whole(const struct dgram *dgram, bool has_partial_sums);

/*
 * net_link_header_reverse turns the header of a received frame (len bytes at
 * link: 14, 18 or 22) into that of an answer. Addresses change places, tags
 * stay.
 */
void net_link_header_reverse(const uint8_t *link, size_t len, struct link_header *out_header);

/*
 * net_udp_frame_write writes a datagram of len bytes with all its headers and
 * both checksums into frame. route's addresses are of one family, and local
 * is one address, not a wildcard.
 *
 * Returns the frame's length, or 0 when it is more than frame->cap.
 */
size_t net_udp_frame_write(const struct dgram_slot *frame, const struct link_header *link,
			   const struct dgram_route *route, const uint8_t *data, size_t len);

#endif
