/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_ANSWER_KRPC_H
#define WEFT_BPF_ANSWER_KRPC_H

#include "send_back.h"

/*
 * Drafts the answer to the DHT question that judging read. 0: what it is
 * made from was taken away since, and userspace answers.
 */
__attribute__((noinline)) int answer_draft_krpc(const struct weft_frame *frame)
{
	struct weft_scratch *answer = scratch_acquire();
	const struct weft_krpc_nodes *nodes = 0;
	const struct weft_krpc_query *query;
	struct weft_krpc_draft *draft;
	const struct weft_krpc_self *self;
	const struct weft_krpc_id *own, *near;
	const __u64 *key;
	__u32 idx;

	if (!answer || !frame)
		return 0;
	query = (const struct weft_krpc_query *)answer->work;
	self = weft_table_krpc_self(0, weft_krpc_family_of(&frame->source));
	own = weft_krpc_live_id(self);
	key = weft_krpc_live_token_key(self);
	near = weft_krpc_live_id(weft_table_krpc_self(0, query->family));
	if (!own || !near || !key)
		return 0;
	if (weft_krpc_has_nodes(query)) {
		idx = weft_krpc_bucket_idx(query->family, weft_krpc_bucket(near, &query->target));
		nodes = weft_krpc_live_nodes(weft_table_krpc_bucket(0, idx));
		if (!nodes)
			return 0;
	}
	draft = (struct weft_krpc_draft *)answer->bytes;
	weft_krpc_answer_write(
		query, &frame->source, own, nodes,
		weft_krpc_has_token(query) ? weft_krpc_token(key, &frame->source) : 0, draft);
	answer->begin = 0;
	answer->len = draft->len;
	return 1;
}

WEFT_INLINE _Bool answer_krpc(struct xdp_md *ctx, const struct weft_frame *frame)
{
	return answer_draft_krpc(frame) && answer_send(ctx, frame);
}

#endif
