/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_SEND_BACK_H
#define WEFT_BPF_SEND_BACK_H

#include "maps.h"

/* Sends the frame back with the payload that was drafted in the scratch map. */
#define ANSWER_BEGIN_MAX   63
#define ANSWER_LEN_MAX	   526 /* version negotiation with two ids of 255 bytes */
#define ANSWER_TTL	   64
#define CSUM_LEN_MAX	   512u /* bytes bpf_csum_diff takes at once */
#define ANSWER_HEADERS_OFF 576

WEFT_INLINE __u16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

/*
 * Over payload, UDP header and pseudo-header. The endpoints are as good in
 * this order as swapped, and the 0xffff that v4-mapping puts into each is
 * nothing in one's complement. Zeros follow the payload.
 */
WEFT_INLINE __u16 answer_udp_csum(const struct weft_frame *frame, struct weft_scratch *answer,
				  __u32 begin, __u32 len)
{
	__u32 udp_len = len + WEFT_UDP_LEN, whole_len = (len + 3) & ~3u;
	__u32 first_len = whole_len < CSUM_LEN_MAX ? whole_len : CSUM_LEN_MAX;
	__u64 sum = __builtin_bswap16((__u16)udp_len) * 2ull + ((__u64)WEFT_PROTOCOL_UDP << 8) +
		    frame->source.port_be + frame->local.port_be;
	__u16 csum;

	sum += (__u64)bpf_csum_diff(0, 0, (__be32 *)frame->source.addr, 16, 0);
	sum += (__u64)bpf_csum_diff(0, 0, (__be32 *)frame->local.addr, 16, 0);
	sum += (__u64)bpf_csum_diff(0, 0, (__be32 *)(answer->bytes + begin), first_len, 0);
	if (whole_len > CSUM_LEN_MAX)
		sum += (__u64)bpf_csum_diff(0, 0, (__be32 *)(answer->bytes + begin + CSUM_LEN_MAX),
					    (whole_len - CSUM_LEN_MAX) & 31, 0);
	csum = csum_fold(sum);
	return csum ? csum : 0xffff; /* zero says that there is none (RFC 768) */
}

WEFT_INLINE void answer_write_ipv4(const struct weft_frame *frame, __u8 *at, __u32 udp_len)
{
	__builtin_memset(at, 0, WEFT_IPV4_LEN);
	at[0] = 0x45;
	WEFT_STORE(__be16, at + 2, __builtin_bswap16((__u16)(WEFT_IPV4_LEN + udp_len)));
	at[6] = 0x40; /* do not fragment */
	at[8] = ANSWER_TTL;
	at[9] = WEFT_PROTOCOL_UDP;
	WEFT_STORE(__u32, at + 12, (__u32)(frame->local.words[1] >> 32));
	WEFT_STORE(__u32, at + 16, (__u32)(frame->source.words[1] >> 32));
	WEFT_STORE(__u16, at + 10,
		   csum_fold((__u64)bpf_csum_diff(0, 0, (__be32 *)at, WEFT_IPV4_LEN, 0)));
}

WEFT_INLINE void answer_write_ipv6(const struct weft_frame *frame, __u8 *at, __u32 udp_len)
{
	WEFT_STORE(__u32, at, 0x60);
	WEFT_STORE(__be16, at + 4, __builtin_bswap16((__u16)udp_len));
	at[6] = WEFT_PROTOCOL_UDP;
	at[7] = ANSWER_TTL;
	weft_store_le64(at + 8, frame->local.words[0]);
	weft_store_le64(at + 16, frame->local.words[1]);
	weft_store_le64(at + 24, frame->source.words[0]);
	weft_store_le64(at + 32, frame->source.words[1]);
}

/* The new headers, drafted behind the payload. */
WEFT_INLINE long answer_store_headers(struct xdp_md *ctx, const struct weft_frame *frame,
				      struct weft_scratch *answer, __u32 udp_len)
{
	__u8 *udp = answer->bytes + ANSWER_HEADERS_OFF + WEFT_IPV6_LEN;
	__u8 *ip = udp - WEFT_IPV6_LEN;

	WEFT_STORE(__be16, udp, frame->local.port_be);
	WEFT_STORE(__be16, udp + 2, frame->source.port_be);
	WEFT_STORE(__be16, udp + 4, __builtin_bswap16((__u16)udp_len));
	if (frame->is_ipv6) {
		answer_write_ipv6(frame, ip, udp_len);
		return bpf_xdp_store_bytes(ctx, frame->network_off, ip,
					   WEFT_IPV6_LEN + WEFT_UDP_LEN);
	}
	ip = udp - WEFT_IPV4_LEN;
	answer_write_ipv4(frame, ip, udp_len);
	return bpf_xdp_store_bytes(ctx, frame->network_off, ip, WEFT_IPV4_LEN + WEFT_UDP_LEN);
}

WEFT_INLINE _Bool answer_swap_macs(struct xdp_md *ctx)
{
	__u8 *at = (__u8 *)(long)ctx->data;
	__u32 dest_low, source_low;
	__u16 dest_high, source_high;

	if (at + WEFT_ETH_LEN > (__u8 *)(long)ctx->data_end)
		return 0;
	dest_low = WEFT_LOAD(__u32, at);
	dest_high = WEFT_LOAD(__u16, at + 4);
	source_low = WEFT_LOAD(__u32, at + 6);
	source_high = WEFT_LOAD(__u16, at + 10);
	WEFT_STORE(__u32, at, source_low);
	WEFT_STORE(__u16, at + 4, source_high);
	WEFT_STORE(__u32, at + 6, dest_low);
	WEFT_STORE(__u16, at + 10, dest_high);
	return 1;
}

/*
 * Room at the frame's end, else in front of it. There all is written anew
 * anyway: only the link header has to move, the longest that there can be.
 * veth, which copies a small frame into a buffer of its size, has 0 to 63
 * bytes behind and 256 before (Linux 6.18). Fails without a change.
 */
#define ANSWER_LINK_LEN (WEFT_ETH_LEN + WEFT_VLAN_CNT_MAX * WEFT_VLAN_LEN)

WEFT_INLINE _Bool answer_make_room(struct xdp_md *ctx, struct weft_scratch *answer, int more_len)
{
	if (bpf_xdp_adjust_tail(ctx, more_len) == 0)
		return 1;
	if (more_len <= 0 || bpf_xdp_load_bytes(ctx, 0, answer->work, ANSWER_LINK_LEN) < 0 ||
	    bpf_xdp_adjust_head(ctx, -more_len) < 0)
		return 0;
	return bpf_xdp_store_bytes(ctx, 0, answer->work, ANSWER_LINK_LEN) == 0;
}

/* A function by itself for the verifier's sake, as limit_admit. Returns whether it may go. */
__attribute__((noinline)) int answer_send(struct xdp_md *ctx, const struct weft_frame *frame)
{
	struct weft_scratch *answer = scratch_acquire();
	__u32 frame_len, old_len = (__u32)bpf_xdp_get_buff_len(ctx);
	__u32 begin, len;
	__u16 csum;

	if (!answer || !frame)
		return 0;
	begin = answer->begin;
	len = answer->len;
	if (begin > ANSWER_BEGIN_MAX || len == 0 || len > ANSWER_LEN_MAX)
		return 0;
	weft_store_le32(answer->bytes + begin + len, 0);
	csum = answer_udp_csum(frame, answer, begin, len);
	frame_len = frame->payload_off + len;
	if (frame_len < WEFT_FRAME_LEN_MIN)
		frame_len = WEFT_FRAME_LEN_MIN;
	/* First, for a frame may find no room to grow: then it is as it was. */
	if (!answer_make_room(ctx, answer, (int)frame_len - (int)old_len))
		return 0;
	if (bpf_xdp_store_bytes(ctx, frame->payload_off, answer->bytes + begin, len) < 0)
		return 0;
	WEFT_STORE(__u16, answer->bytes + ANSWER_HEADERS_OFF + WEFT_IPV6_LEN + 6, csum);
	if (answer_store_headers(ctx, frame, answer, len + WEFT_UDP_LEN) < 0)
		return 0;
	return answer_swap_macs(ctx);
}

#endif
