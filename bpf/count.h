/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_COUNT_H
#define WEFT_BPF_COUNT_H

#include "maps.h"

/* The one exit: each frame is counted under its reason, and some drops are reported. */
WEFT_INLINE void count_frame(struct weft_scratch *scratch, enum weft_reason reason, __u32 len)
{
	struct weft_counter *counter;

	scratch->idx = reason;
	counter = bpf_map_lookup_elem(&weft_counters, &scratch->idx);
	if (!counter)
		return;
	counter->packet_cnt++;
	counter->byte_cnt += len;
}

WEFT_INLINE void count_drop(struct xdp_md *ctx, struct weft_scratch *scratch,
			    enum weft_reason reason)
{
	struct weft_facts *facts = &scratch->facts;
	const struct weft_config *cfg = weft_table_config(ctx);
	struct weft_sampler *sampler;
	struct weft_sample *sample;
	__u32 weight;

	scratch->idx = reason;
	sampler = bpf_map_lookup_elem(&weft_samplers, &scratch->idx);
	if (!cfg || !sampler)
		return;
	weight = weft_policy_weigh(ctx, cfg, sampler, facts);
	if (!weight)
		return;
	sample = bpf_ringbuf_reserve(&weft_samples, sizeof(*sample), 0);
	if (!sample)
		return;
	sample->at_ns = facts->now_ns;
	sample->source = facts->source;
	sample->weight = weight;
	sample->reason = (__u16)reason;
	sample->flow = (__u8)facts->flow;
	sample->zero = 0;
	bpf_ringbuf_submit(sample, 0);
}

#endif
