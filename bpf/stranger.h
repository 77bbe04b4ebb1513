/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_STRANGER_H
#define WEFT_BPF_STRANGER_H

#include "limit.h"
#include "weft/stranger.h"

__attribute__((noinline)) int stranger_initial(struct xdp_md *ctx, struct weft_facts *facts,
					       __u32 is_ours)
{
	return facts ? (int)weft_policy_initial(ctx, facts, is_ours != 0) : WEFT_REASON_NO_TABLES;
}

WEFT_INLINE enum weft_reason weft_call_initial(struct weft_tables *tables, struct weft_facts *facts,
					       _Bool is_ours)
{
	return (enum weft_reason)stranger_initial(tables, facts, is_ours);
}

#endif
