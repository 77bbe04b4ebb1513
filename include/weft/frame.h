/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_FRAME_H
#define WEFT_FRAME_H

#include "weft/endpoint.h"
#include "weft/reason.h"

/*
 * Headers at fixed offsets: Ethernet, up to two VLAN tags, IPv4 without
 * options or IPv6 without extension headers, UDP. Compiled for BPF and for
 * userspace. A pointer is compared with end before each header is read,
 * and only constants are added to it: without CAP_PERFMON the verifier
 * takes nothing else.
 */
#define WEFT_ETH_LEN	   14
#define WEFT_VLAN_LEN	   4
#define WEFT_VLAN_CNT_MAX  2
#define WEFT_IPV4_LEN	   20
#define WEFT_IPV6_LEN	   40
#define WEFT_UDP_LEN	   8
#define WEFT_FRAME_LEN_MIN 60 /* IEEE 802.3, without the check sequence */

#define WEFT_ETHERTYPE_IPV4 0x0800
#define WEFT_ETHERTYPE_IPV6 0x86dd
#define WEFT_ETHERTYPE_VLAN 0x8100 /* 802.1Q */
#define WEFT_ETHERTYPE_QINQ 0x88a8 /* 802.1ad */
#define WEFT_PROTOCOL_UDP   17

/* Bytes where they lie: [data, end), read at fixed offsets only. */
struct weft_view {
	const __u8 *data, *end;
};

struct weft_frame {
	struct weft_endpoint source, local;
	__u64 dest;	   /* the six bytes of its destination MAC, as they lie in memory */
	__u64 from;	   /* likewise its source MAC */
	__u64 tags;	   /* weft_vlan_tag of the inner one, of the outer one above it; 0: none */
	__u32 payload_len; /* of UDP, by its header */
	__u16 network_off; /* where the IP header begins */
	__u16 payload_off;
	__u8 ecn; /* the two bits */
	__u8 is_ipv6;
	__u8 is_length_good; /* what UDP says of its length fits what IP says */
	__u8 is_header_good; /* the IPv4 header's checksum; of IPv6, which has none, true */
	__u32 said_len;	     /* of the frame at least, by its IP header */
	__u16 udp_sum;	     /* checksum in the UDP header, in memory's byte order; 0: none */
	__u16 zero[3];	     /* padding is read by the verifier */
};

WEFT_INLINE _Bool weft_ethertype_is_vlan(__u32 type)
{
	return type == WEFT_ETHERTYPE_VLAN || type == WEFT_ETHERTYPE_QINQ;
}

/* weft_vlan_tag: of one VLAN tag, by its ethertype and id; 0 for id 0, which is a priority alone. */
WEFT_INLINE __u64 weft_vlan_tag(__u32 type, __u32 id)
{
	return id ? type << 16 | id : 0;
}

/*
 * weft_sum_fold: the ones' complement sum (RFC 1071) of parts that were
 * added up as words of memory, in 16 bits; 0 for nothing but zeros.
 */
WEFT_INLINE __u16 weft_sum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/* weft_sum_word: what eight bytes add to such a sum. */
WEFT_INLINE __u64 weft_sum_word(__u64 word)
{
	return (word & 0xffffffff) + (word >> 32);
}

/* The five words of an IPv4 header without options. */
WEFT_INLINE _Bool weft_ipv4_sum_is_good(const __u8 *at)
{
	__u64 sum = weft_sum_word(weft_load_le64(at)) + weft_sum_word(weft_load_le64(at + 8)) +
		    weft_load_le32(at + 16);

	return weft_sum_fold(sum) == 0xffff;
}

/* The facts of an IP header by which the UDP header is judged. */
struct weft_frame_ip {
	const __u8 *next; /* what follows the header */
	__u32 said_len;	  /* bytes that follow, as it says */
	enum weft_reason reason;
};

WEFT_INLINE _Bool weft_frame_parse_ipv4(const __u8 *at, const __u8 *end, struct weft_frame *frame,
					struct weft_frame_ip *ip)
{
	__u32 total_len;

	if (at + WEFT_IPV4_LEN > end) {
		ip->reason = WEFT_REASON_CUT_SHORT;
		return 0;
	}
	if (at[0] != 0x45) {
		ip->reason = at[0] >> 4 == 4 ? WEFT_REASON_IP_OPTIONS : WEFT_REASON_NOT_IP;
		return 0;
	}
	if (at[9] != WEFT_PROTOCOL_UDP) {
		ip->reason = WEFT_REASON_NOT_UDP;
		return 0;
	}
	/* More fragments follow, or this one does not begin at 0 (RFC 791 3.1). */
	if (weft_load_be16(at + 6) & 0x3fff) {
		ip->reason = WEFT_REASON_FRAGMENT;
		return 0;
	}
	weft_endpoint_set_ipv4(&frame->source, at + 12);
	weft_endpoint_set_ipv4(&frame->local, at + 16);
	total_len = weft_load_be16(at + 2);
	frame->is_ipv6 = 0;
	frame->is_header_good = weft_ipv4_sum_is_good(at);
	frame->ecn = at[1] & 3;
	ip->said_len = total_len >= WEFT_IPV4_LEN ? total_len - WEFT_IPV4_LEN : 0;
	ip->next = at + WEFT_IPV4_LEN;
	return 1;
}

WEFT_INLINE _Bool weft_frame_parse_ipv6(const __u8 *at, const __u8 *end, struct weft_frame *frame,
					struct weft_frame_ip *ip)
{
	if (at + WEFT_IPV6_LEN > end) {
		ip->reason = WEFT_REASON_CUT_SHORT;
		return 0;
	}
	if (at[0] >> 4 != 6) {
		ip->reason = WEFT_REASON_NOT_IP;
		return 0;
	}
	if (at[6] != WEFT_PROTOCOL_UDP) {
		ip->reason = WEFT_REASON_NOT_UDP;
		return 0;
	}
	weft_endpoint_set_ipv6(&frame->source, at + 8);
	weft_endpoint_set_ipv6(&frame->local, at + 24);
	frame->is_ipv6 = 1;
	frame->is_header_good = 1;
	frame->ecn = at[1] >> 4 & 3;
	ip->said_len = weft_load_be16(at + 4);
	ip->next = at + WEFT_IPV6_LEN;
	return 1;
}

WEFT_INLINE _Bool weft_frame_parse_udp(const struct weft_frame_ip *ip, struct weft_view *view,
				       struct weft_frame *frame)
{
	const __u8 *at = ip->next;
	__u32 udp_len;

	if (at + WEFT_UDP_LEN > view->end)
		return 0;
	frame->source.port_be = WEFT_LOAD(__be16, at);
	frame->local.port_be = WEFT_LOAD(__be16, at + 2);
	udp_len = weft_load_be16(at + 4);
	frame->udp_sum = WEFT_LOAD(__u16, at + 6);
	/* Bytes between the two lengths are UDP options (RFC 9868): not looked at. */
	frame->is_length_good = udp_len >= WEFT_UDP_LEN && udp_len <= ip->said_len;
	frame->payload_len = udp_len - WEFT_UDP_LEN;
	view->data = at + WEFT_UDP_LEN;
	return 1;
}

/*
 * weft_frame_parse reads the headers of the frame in view, which becomes
 * the payload. Returns whether it is UDP at fixed offsets; if not,
 * *out_reason is one of verdict PASS and frame means nothing. The payload
 * is there if is_length_good and the frame has said_len bytes.
 */
WEFT_INLINE _Bool weft_frame_parse(struct weft_view *view, struct weft_frame *frame,
				   enum weft_reason *out_reason)
{
	struct weft_frame_ip ip = {.reason = WEFT_REASON_NOT_IP};
	const __u8 *at = view->data, *end = view->end;
	__u32 type, off = WEFT_ETH_LEN;
	_Bool is_ip = 0;

	*frame = (struct weft_frame){0};
	*out_reason = WEFT_REASON_CUT_SHORT;
	if (at + WEFT_ETH_LEN > end)
		return 0;
	type = weft_load_be16(at + 12);
	frame->dest = weft_load_le32(at) | (__u64)WEFT_LOAD(__u16, at + 4) << 32;
	frame->from = WEFT_LOAD(__u16, at + 6) | (__u64)weft_load_le32(at + 8) << 16;
	at += WEFT_ETH_LEN;
	for (int i = 0; i < WEFT_VLAN_CNT_MAX && weft_ethertype_is_vlan(type); i++) {
		if (at + WEFT_VLAN_LEN > end)
			return 0;
		frame->tags = frame->tags << 32 | weft_vlan_tag(type, weft_load_be16(at) & 0xfff);
		type = weft_load_be16(at + 2);
		at += WEFT_VLAN_LEN;
		off += WEFT_VLAN_LEN;
	}
	frame->network_off = (__u16)off;
	if (type == WEFT_ETHERTYPE_IPV4)
		is_ip = weft_frame_parse_ipv4(at, end, frame, &ip);
	else if (type == WEFT_ETHERTYPE_IPV6)
		is_ip = weft_frame_parse_ipv6(at, end, frame, &ip);
	if (!is_ip) {
		*out_reason = ip.reason;
		return 0;
	}
	off += frame->is_ipv6 ? WEFT_IPV6_LEN : WEFT_IPV4_LEN;
	frame->said_len = off + ip.said_len;
	frame->payload_off = (__u16)(off + WEFT_UDP_LEN);
	return weft_frame_parse_udp(&ip, view, frame);
}

#endif
