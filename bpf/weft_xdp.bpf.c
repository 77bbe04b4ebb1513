/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * In front of the node: what is not ours goes on to the kernel, what costs
 * nothing to decide is decided here, what can be answered without state is
 * answered here, and the rest is delivered. weft/policy.h decides, for
 * userspace too; beside it stand the tables, the answers, the exit.
 *
 * Runs in the driver, on the CPU of each receive queue. Linux 5.18, with
 * CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW.
 */
#include "maps.h"
#include "limit.h"
#include "stranger.h"
#include "weft/policy.h"
#include "clock.h"
#include "count.h"
#include "deliver.h"

SEC("xdp")
int weft_xdp(struct xdp_md *ctx)
{
	struct weft_view view = {(const __u8 *)(long)ctx->data, (const __u8 *)(long)ctx->data_end};
	struct weft_facts facts = {.len = (__u32)bpf_xdp_get_buff_len(ctx)};
	__u32 len = facts.len;
	struct weft_frame frame;
	enum weft_reason reason;

	facts.now_ns = clock_now_ns();
	reason = weft_policy_judge_frame(ctx, &view, &frame, &facts);
	count_frame(reason, len);
	switch (weft_verdict(reason)) {
	case WEFT_DROP:
		count_drop(reason, &facts);
		return XDP_DROP;
	case WEFT_DELIVER:
		return deliver_frame(ctx, len);
	case WEFT_ANSWER_VERSION:
	case WEFT_ANSWER_RETRY:
		return XDP_DROP;
	case WEFT_PASS:
		break;
	}
	return XDP_PASS;
}

char weft_xdp_license[] SEC("license") = "Dual BSD/GPL";
