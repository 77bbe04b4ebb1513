/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_ANSWER_STUN_H
#define WEFT_BPF_ANSWER_STUN_H

#include "send_back.h"
#include "weft/stun_answer.h"

/* Drafts the answer to the STUN request whose header judging read. */
__attribute__((noinline)) int answer_draft_stun(const struct weft_frame *frame)
{
	struct weft_scratch *answer = scratch_acquire();

	if (!answer || !frame)
		return 0;
	weft_stun_answer_write((const __u8 *)answer->work, &frame->source, answer->bytes);
	answer->begin = 0;
	answer->len = weft_stun_answer_len(weft_endpoint_is_ipv4(&frame->source));
	return 1;
}

WEFT_INLINE _Bool answer_stun(struct xdp_md *ctx, const struct weft_frame *frame)
{
	return answer_draft_stun(frame) && answer_send(ctx, frame);
}

#endif
