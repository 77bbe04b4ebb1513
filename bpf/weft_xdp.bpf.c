/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * In front of the node. Traffic that is not ours goes on to the kernel.
 * Cheap decisions and answers without state are made here, and the rest is
 * delivered. weft/policy.h decides, for userspace too; beside it stand the
 * tables, the answers, the exit.
 *
 * Runs in the driver, on the CPU of each receive queue. Linux 5.18, with
 * CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW.
 */
#include "maps.h"
#include "frame_verdict.h"
#include "answer_version.h"
#include "answer_retry.h"
#include "answer_krpc.h"
#include "answer_stun.h"
#include "relay_forward.h"
#include "deliver.h"
#include "count.h"

SEC("xdp")
int weft_xdp(struct xdp_md *ctx)
{
	struct weft_scratch *scratch = scratch_acquire();
	struct weft_frame *frame;
	struct weft_facts *facts;
	enum weft_reason reason;
	__u32 action = XDP_PASS;

	if (!scratch)
		return XDP_PASS;
	frame = &scratch->frame;
	facts = &scratch->facts;
	facts->now_ns = 0;
	facts->len = 0;
	reason = (enum weft_reason)judge_frame(ctx, frame, facts);
	if (reason == UNVALIDATED_WAITS)
		reason = (enum weft_reason)unvalidated_initial(facts);
	else if (reason == RELAY_WAITS)
		reason = (enum weft_reason)relay_judge(ctx, facts);
	switch (weft_verdict(reason)) {
	case WEFT_PASS:
		break;
	case WEFT_DROP:
		action = XDP_DROP;
		break;
	case WEFT_DELIVER:
		action = (__u32)deliver_frame(ctx, frame->said_len);
		break;
	case WEFT_ANSWER_VERSION:
		action = answer_version(ctx, frame) ? XDP_TX : XDP_DROP;
		break;
	case WEFT_ANSWER_RETRY:
		action = answer_retry(ctx, frame, facts) ? XDP_TX : XDP_DROP;
		break;
	case WEFT_ANSWER_KRPC:
		if (answer_krpc(ctx, frame)) {
			action = XDP_TX;
			break;
		}
		/* Longer than the driver's buffer lets it grow, or just now out of date. */
		reason = WEFT_REASON_KRPC;
		action = (__u32)deliver_frame(ctx, frame->said_len);
		break;
	case WEFT_ANSWER_STUN:
		if (answer_stun(ctx, frame)) {
			action = XDP_TX;
			break;
		}
		reason = WEFT_REASON_STUN;
		action = (__u32)deliver_frame(ctx, frame->said_len);
		break;
	case WEFT_ANSWER_RELAY:
		action = (__u32)relay_answer(ctx, scratch, reason);
		break;
	case WEFT_FORWARD:
		action = (__u32)relay_forward(ctx, scratch);
		break;
	}
	if (action == XDP_DROP && weft_verdict(reason) != WEFT_DROP)
		reason = WEFT_REASON_ANSWER_FAILED;
	count_frame(scratch, reason, facts->len);
	if (action == XDP_DROP)
		count_drop(ctx, scratch, reason);
	return (int)action;
}

char weft_xdp_license[] SEC("license") = "Dual BSD/GPL";
