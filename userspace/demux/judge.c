/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy of the BPF program where there is none: between net/ and the
 * protocols, on the worker that owns the socket. Headers were the kernel's
 * to judge; the payload is judged here.
 */
#include "demux/judge.h"

#include <arpa/inet.h>

#include "base/dgram.h"
#include "demux/policy.h"

static struct weft_endpoint endpoint_of(const struct addr *addr)
{
	struct weft_endpoint endpoint = {.port_be = htons(addr->port)};

	if (addr->family == ADDR_IPV4)
		weft_endpoint_set_ipv4(&endpoint, addr->ip);
	else
		weft_endpoint_set_ipv6(&endpoint, addr->ip);
	return endpoint;
}

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

enum weft_reason demux_judge_dgram(struct demux_judge *judge, const struct dgram *dgram,
				   uint64_t now_ns)
{
	struct weft_tables *tables = judge->tables;
	struct weft_view view = {dgram->data, dgram->data + dgram->len};
	struct weft_facts facts = {
		.source = endpoint_of(&dgram->remote),
		.now_ns = now_ns,
		.len = (__u32)dgram->len,
	};
	enum weft_reason reason;

	tables->now_ns = now_ns;
	tables->payload = dgram->data;
	reason = weft_policy_judge(tables, &view, &facts);
	tables->counters[reason].packet_cnt++;
	tables->counters[reason].byte_cnt += facts.len;
	if (weft_verdict(reason) == WEFT_DROP)
		tell_drop(judge, reason, &facts);
	return reason;
}
