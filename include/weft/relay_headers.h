/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_RELAY_HEADERS_H
#define WEFT_RELAY_HEADERS_H

#include "weft/frame.h"
#include "weft/relay_tables.h"

/*
 * The headers of a relayed frame, from its link header to its label, made
 * in front of a fixed end. So each header has a place of its own whatever
 * stands before it. The verifier does not know lengths, only branches.
 */
#define WEFT_RELAY_DRAFT_LEN                                                                       \
	96u /* link header 22, IPv6 40, UDP 8, label 16, and what aligns them */
#define WEFT_RELAY_TTL 64

#define WEFT_RELAY_LABEL_AT (WEFT_RELAY_DRAFT_LEN - WEFT_RELAY_LABEL_LEN)
#define WEFT_RELAY_UDP_AT   (WEFT_RELAY_LABEL_AT - WEFT_UDP_LEN)
#define WEFT_RELAY_IPV4_AT  (WEFT_RELAY_UDP_AT - WEFT_IPV4_LEN)
#define WEFT_RELAY_IPV6_AT  (WEFT_RELAY_UDP_AT - WEFT_IPV6_LEN)

/*
 * The part of two endpoints and a label in a checksum. ffff of a v4-mapped
 * address is nothing there.
 */
WEFT_INLINE __u16 weft_relay_sum(const struct weft_endpoint *from, const struct weft_endpoint *to,
				 const struct weft_relay_label *label)
{
	__u64 sum = weft_sum_word(from->words[0]) + weft_sum_word(from->words[1]) +
		    weft_sum_word(to->words[0]) + weft_sum_word(to->words[1]) + from->port_be +
		    to->port_be;

	if (label)
		sum += weft_sum_word(label->head) + weft_sum_word(label->tag);
	return weft_sum_fold(sum);
}

/* Length and protocol of the pseudo-header. */
WEFT_INLINE __u32 weft_relay_pseudo_sum(__u32 udp_len)
{
	return __builtin_bswap16((__u16)udp_len) + ((__u32)WEFT_PROTOCOL_UDP << 8);
}

/* weft_relay_has_partial_sum: the sender left its checksum to a card: that of the pseudo-header is there. */
WEFT_INLINE _Bool weft_relay_has_partial_sum(const struct weft_frame *frame)
{
	__u64 sum = weft_sum_word(frame->source.words[0]) + weft_sum_word(frame->source.words[1]) +
		    weft_sum_word(frame->local.words[0]) + weft_sum_word(frame->local.words[1]) +
		    weft_relay_pseudo_sum(WEFT_UDP_LEN + frame->payload_len);

	return weft_sum_fold(sum) == frame->udp_sum;
}

/*
 * weft_relay_patched_sum: the old checksum less what leaves plus what comes
 * (RFC 1624), so a datagram that was damaged on its way stays so.
 */
WEFT_INLINE __u16 weft_relay_patched_sum(const struct weft_frame *frame,
					 const struct weft_relay_way *way)
{
	const struct weft_relay_leg *out = &way->out;
	__u64 sum = (__u64)(__u16)~frame->udp_sum +
		    weft_relay_sum(&out->local, &out->remote, &out->label) +
		    (__u16)~weft_relay_sum(&frame->source, &frame->local, &way->label);
	__u16 csum = (__u16)~weft_sum_fold(sum);

	return csum ? csum : 0xffff; /* zero says that there is none (RFC 768) */
}

/* weft_relay_whole_sum: inner_sum is that of what follows the label, folded. */
WEFT_INLINE __u16 weft_relay_whole_sum(const struct weft_frame *frame,
				       const struct weft_relay_way *way, __u16 inner_sum)
{
	const struct weft_relay_leg *out = &way->out;
	__u32 udp_len = WEFT_UDP_LEN + frame->payload_len;
	__u64 sum = (__u64)inner_sum + weft_relay_sum(&out->local, &out->remote, &out->label) +
		    weft_relay_pseudo_sum(udp_len) + __builtin_bswap16((__u16)udp_len);
	__u16 csum = (__u16)~weft_sum_fold(sum);

	return csum ? csum : 0xffff;
}

WEFT_INLINE void weft_relay_draft_ipv4(const struct weft_frame *frame,
				       const struct weft_relay_leg *out, __u8 *at)
{
	__u32 len = WEFT_IPV4_LEN + WEFT_UDP_LEN + frame->payload_len;
	__u64 sum;

	weft_store_le64(at, 0x45ull | (__u64)frame->ecn << 8 |
				    (__u64)__builtin_bswap16((__u16)len) << 16 | 0x40ull << 48);
	weft_store_le32(at + 8, WEFT_RELAY_TTL | WEFT_PROTOCOL_UDP << 8);
	weft_store_le32(at + 12, (__u32)(out->local.words[1] >> 32));
	weft_store_le32(at + 16, (__u32)(out->remote.words[1] >> 32));
	sum = weft_sum_word(weft_load_le64(at)) + weft_sum_word(weft_load_le64(at + 8)) +
	      weft_load_le32(at + 16);
	WEFT_STORE(__u16, at + 10, (__u16)~weft_sum_fold(sum));
}

WEFT_INLINE void weft_relay_draft_ipv6(const struct weft_frame *frame,
				       const struct weft_relay_leg *out, __u8 *at)
{
	__u32 len = WEFT_UDP_LEN + frame->payload_len;

	weft_store_le64(at, 0x60ull | (__u64)frame->ecn << 12 |
				    (__u64)__builtin_bswap16((__u16)len) << 32 |
				    (__u64)WEFT_PROTOCOL_UDP << 48 | (__u64)WEFT_RELAY_TTL << 56);
	weft_store_le64(at + 8, out->local.words[0]);
	weft_store_le64(at + 16, out->local.words[1]);
	weft_store_le64(at + 24, out->remote.words[0]);
	weft_store_le64(at + 32, out->remote.words[1]);
}

/* The twelve bytes of both MACs. */
WEFT_INLINE void weft_relay_draft_macs(const struct weft_relay_link *link, __u8 *at)
{
	weft_store_le64(at, link->to | link->from << 48);
	weft_store_le32(at + 8, (__u32)(link->from >> 16));
}

/*
 * By way of memory. An addition to a pointer has either a number that the
 * verifier knows or one that it does not. The compiler makes one addition
 * of several.
 */
WEFT_INLINE __u32 weft_relay_unknown_place(__u32 *slot, __u32 place)
{
	*(volatile __u32 *)slot = place;
	return *(volatile __u32 *)slot;
}

/* The link header in front of the IP header at draft + ip. Returns where it begins. */
WEFT_INLINE __u32 weft_relay_draft_link(struct weft_relay_way *way, __u32 ethertype, __u8 *draft,
					__u32 ip)
{
	const struct weft_relay_link *link = &way->out.link;
	__u32 tag_cnt = !link->tags ? 0 : link->tags >> 32 ? 2 : 1;
	__u32 tags_at = weft_relay_unknown_place(&way->places[0], ip - 2 - 2 * WEFT_VLAN_LEN);
	__u32 begin = weft_relay_unknown_place(&way->places[1],
					       ip - WEFT_ETH_LEN - tag_cnt * WEFT_VLAN_LEN);

	if (tags_at > WEFT_RELAY_IPV4_AT || begin > WEFT_RELAY_IPV4_AT)
		return WEFT_RELAY_DRAFT_LEN;
	weft_store_be32(draft + tags_at, (__u32)(link->tags >> 32));
	weft_store_be32(draft + tags_at + WEFT_VLAN_LEN, (__u32)link->tags);
	WEFT_STORE(__u16, draft + tags_at + 2 * WEFT_VLAN_LEN, __builtin_bswap16((__u16)ethertype));
	weft_relay_draft_macs(link, draft + begin);
	return begin;
}

/*
 * weft_relay_draft writes the headers of what frame becomes, with checksum
 * csum, to end at draft + WEFT_RELAY_DRAFT_LEN. Returns where they begin.
 */
WEFT_INLINE __u32 weft_relay_draft(const struct weft_frame *frame, struct weft_relay_way *way,
				   __u16 csum, __u8 *draft)
{
	const struct weft_relay_leg *out = &way->out;
	__u32 udp_len = WEFT_UDP_LEN + frame->payload_len;

	weft_store_le64(draft + WEFT_RELAY_LABEL_AT, out->label.head);
	weft_store_le64(draft + WEFT_RELAY_LABEL_AT + 8, out->label.tag);
	weft_store_le64(draft + WEFT_RELAY_UDP_AT,
			(__u64)out->local.port_be | (__u64)out->remote.port_be << 16 |
				(__u64)__builtin_bswap16((__u16)udp_len) << 32 | (__u64)csum << 48);
	if (weft_endpoint_is_ipv4(&out->remote)) {
		weft_relay_draft_ipv4(frame, out, draft + WEFT_RELAY_IPV4_AT);
		return weft_relay_draft_link(way, WEFT_ETHERTYPE_IPV4, draft, WEFT_RELAY_IPV4_AT);
	}
	weft_relay_draft_ipv6(frame, out, draft + WEFT_RELAY_IPV6_AT);
	return weft_relay_draft_link(way, WEFT_ETHERTYPE_IPV6, draft, WEFT_RELAY_IPV6_AT);
}

#endif
