/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_FRAME_VERDICT_H
#define WEFT_BPF_FRAME_VERDICT_H

#include "limit_tables.h"
#include "krpc_question.h"
#include "stun_request.h"
#include "unvalidated_initial.h"
#include "weft/receive.h"
#include "weft/relay_judge.h"

__attribute__((noinline)) int receive_frame(struct xdp_md *ctx, const struct weft_frame *frame,
					    struct weft_facts *facts)
{
	return frame && facts ? (int)weft_policy_receive(ctx, frame, facts) : WEFT_REASON_NO_TABLES;
}

WEFT_INLINE enum weft_reason weft_call_receive(struct weft_tables *tables,
					       const struct weft_frame *frame,
					       struct weft_facts *facts)
{
	return (enum weft_reason)receive_frame(tables, frame, facts);
}

/* The copied words are judged when judge_frame has returned, as for an Initial. */
#define RELAY_WAITS (WEFT_REASON_CNT + 1)

WEFT_INLINE enum weft_reason weft_call_relay(struct weft_tables *tables,
					     const struct weft_view *view, struct weft_facts *facts)
{
	struct weft_scratch *scratch = scratch_acquire();

	return scratch && weft_relay_parse(view, &scratch->relay) ? (enum weft_reason)RELAY_WAITS
								  : WEFT_REASON_RELAY_BAD;
}

#include "weft/policy.h"

/*
 * A function by itself, so that the verifier does not follow each reason
 * to each exit. It also reads the side of a branch that it knows is not
 * taken, for a processor may speculate that way.
 */
__attribute__((noinline)) int judge_frame(struct xdp_md *ctx, struct weft_frame *frame,
					  struct weft_facts *facts)
{
	struct weft_view view = {(const __u8 *)(long)ctx->data, (const __u8 *)(long)ctx->data_end};

	return frame && facts ? (int)weft_policy_judge_frame(ctx, &view, frame, facts)
			      : WEFT_REASON_NO_TABLES;
}

#endif
