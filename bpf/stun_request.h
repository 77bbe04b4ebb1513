/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_STUN_REQUEST_H
#define WEFT_BPF_STUN_REQUEST_H

#include "krpc_question.h"
#include "weft/stun_policy.h"

__attribute__((noinline)) int stun_judge(struct xdp_md *ctx, struct weft_facts *facts)
{
	return facts ? (int)weft_policy_stun(ctx, facts) : WEFT_REASON_NO_TABLES;
}

WEFT_INLINE enum weft_reason weft_call_stun(struct weft_tables *tables, struct weft_facts *facts)
{
	return (enum weft_reason)stun_judge(tables, facts);
}

#endif
