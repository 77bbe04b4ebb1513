/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy of the BPF program where there is none: between net/ and the
 * protocols, on the worker that owns the socket. Headers were the kernel's
 * to judge; the payload is judged here.
 */
#include "ingress_verdict.h"

#include "base/dgram.h"
#include "ingress_policy.h"

static void tell_drop(struct demux_judge *judge, enum weft_reason reason, struct weft_facts *facts)
{
	struct weft_tables *tables = judge->tables;
	struct weft_sample sample = {
		.source = facts->source,
		.reason = (__u16)reason,
		.flow = (__u8)facts->flow,
	};

	sample.weight =
		weft_policy_weigh(tables, &tables->config, &tables->samplers[reason], facts);
	sample.at_ns = facts->now_ns;
	if (sample.weight && judge->on_sample)
		judge->on_sample(judge->ctx, &sample);
}

static void count(struct weft_tables *tables, enum weft_reason reason, uint32_t len)
{
	tables->counters[reason].packet_cnt++;
	tables->counters[reason].byte_cnt += len;
}

enum weft_reason net_ingress_judge_dgram(struct demux_judge *judge, const struct dgram *dgram,
					 uint64_t now_ns)
{
	struct weft_tables *tables = judge->tables;
	struct weft_view view = {dgram->data, dgram->data + dgram->len};
	struct weft_facts facts = {
		.source = addr_endpoint(&dgram->remote),
		.now_ns = now_ns,
		.len = (__u32)dgram->len,
	};
	enum weft_reason reason;

	tables->now_ns = now_ns;
	tables->payload = dgram->data;
	reason = weft_policy_judge(tables, &view, &facts);
	count(tables, reason, facts.len);
	if (weft_verdict(reason) == WEFT_DROP)
		tell_drop(judge, reason, &facts);
	return reason;
}
