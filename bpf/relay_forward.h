/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_RELAY_FORWARD_H
#define WEFT_BPF_RELAY_FORWARD_H

#include "send_back.h"
#include "weft/relay_headers.h"

/*
 * Relayed datagrams in the driver. judge_frame leaves their label in the
 * scratch map; they are judged when it has returned, as Initials are.
 */
__attribute__((noinline)) int relay_judge(struct xdp_md *ctx, struct weft_facts *facts)
{
	return facts ? (int)weft_relay_judge(ctx, facts) : WEFT_REASON_NO_TABLES;
}

#define RELAY_STEP_LEN 512u /* bytes bpf_csum_diff takes at once */
#define RELAY_STEP_CNT (WEFT_RELAY_SUM_LEN_MAX / RELAY_STEP_LEN)

/* The sum of what follows the label, folded; of a datagram of WEFT_RELAY_SUM_LEN_MAX at most. */
__attribute__((noinline)) int relay_inner_sum(struct xdp_md *ctx, const struct weft_frame *frame)
{
	struct weft_scratch *copy = scratch_acquire();
	__u64 sum = 0;
	__u32 off, left;

	if (!copy || !frame)
		return 0;
	off = frame->payload_off + WEFT_RELAY_LABEL_LEN;
	left = frame->payload_len - WEFT_RELAY_LABEL_LEN;
	for (__u32 i = 0; i < RELAY_STEP_CNT && left; i++) {
		__u32 len = left < RELAY_STEP_LEN ? left : RELAY_STEP_LEN;

		if (len < RELAY_STEP_LEN)
			__builtin_memset(copy->bytes, 0, RELAY_STEP_LEN);
		if (len < 1 || len > RELAY_STEP_LEN ||
		    bpf_xdp_load_bytes(ctx, off, copy->bytes, len) < 0)
			return 0;
		sum += (__u64)bpf_csum_diff(0, 0, (__be32 *)copy->bytes, RELAY_STEP_LEN, 0);
		off += len;
		left -= len;
	}
	return weft_sum_fold(sum);
}

/* The new headers in front of the inner datagram. Returns whether they are there. */
__attribute__((noinline)) int relay_rewrite(struct xdp_md *ctx, const struct weft_frame *frame,
					    const struct weft_facts *facts)
{
	struct weft_scratch *draft = scratch_acquire();
	__u32 old_len, new_len, begin;
	__u16 csum;

	if (!draft || !frame || !facts)
		return 0;
	if (facts->sum == WEFT_SUM_PARTIAL && weft_relay_has_partial_sum(frame))
		csum = weft_relay_whole_sum(frame, &draft->relay,
					    (__u16)relay_inner_sum(ctx, frame));
	else
		csum = weft_relay_patched_sum(frame, &draft->relay);
	old_len = frame->payload_off + WEFT_RELAY_LABEL_LEN;
	begin = weft_relay_draft(frame, &draft->relay, csum, draft->bytes);
	if (begin > WEFT_RELAY_IPV4_AT)
		return 0;
	new_len = WEFT_RELAY_DRAFT_LEN - begin;
	/* First, for a frame may find no room to grow: then it is as it was. */
	if (bpf_xdp_adjust_head(ctx, (int)old_len - (int)new_len) < 0)
		return 0;
	return bpf_xdp_store_bytes(ctx, 0, draft->bytes + begin, new_len) == 0;
}

/* Sends the frame to the other leg, by the device that that one was heard by. */
WEFT_INLINE int relay_forward(struct xdp_md *ctx, struct weft_scratch *scratch)
{
	__u32 ifindex = scratch->relay.out.link.ifindex;

	if (!relay_rewrite(ctx, &scratch->frame, &scratch->facts))
		return XDP_DROP;
	if (ifindex == ctx->ingress_ifindex)
		return XDP_TX;
	return (int)bpf_redirect_map(&weft_relay_devices, ifindex, XDP_DROP);
}

WEFT_INLINE int relay_answer(struct xdp_md *ctx, struct weft_scratch *scratch,
			     enum weft_reason reason)
{
	scratch->begin = 0;
	scratch->len = weft_relay_answer(&scratch->relay,
					 reason == WEFT_REASON_RELAY_UNKNOWN ? WEFT_RELAY_UNKNOWN
									     : WEFT_RELAY_TOO_BIG,
					 scratch->bytes);
	return answer_send(ctx, &scratch->frame) ? XDP_TX : XDP_DROP;
}

#endif
