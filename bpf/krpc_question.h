/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_KRPC_QUESTION_H
#define WEFT_BPF_KRPC_QUESTION_H

#include "limit_tables.h"
#include "weft/krpc_policy.h"

__attribute__((noinline)) int query_judge(struct xdp_md *ctx, struct weft_facts *facts,
					  __u32 is_validated)
{
	return facts ? (int)weft_policy_query(ctx, facts, is_validated != 0)
		     : WEFT_REASON_NO_TABLES;
}

WEFT_INLINE enum weft_reason weft_call_query(struct weft_tables *tables, struct weft_facts *facts,
					     _Bool is_validated)
{
	return (enum weft_reason)query_judge(tables, facts, is_validated);
}

__attribute__((noinline)) int query_is_reply(struct xdp_md *ctx, struct weft_facts *facts)
{
	return facts ? weft_policy_is_reply(ctx, facts) : 0;
}

WEFT_INLINE _Bool weft_call_reply(struct weft_tables *tables, struct weft_facts *facts)
{
	return query_is_reply(tables, facts) != 0;
}

#endif
