/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only judge of received datagrams in this process: between net/ and
 * the protocols, on the worker that owns the socket. For a kernel socket it
 * is the policy of the BPF program; the kernel has judged the headers.
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

/* keys NULL: the tag is right. */
static int owner_of(const struct dgram *dgram, const struct weft_cid_keys *keys)
{
	bool is_long = dgram->judged.flow == WEFT_FLOW_QUIC_LONG;
	size_t off = is_long ? WEFT_LONG_CID_OFF : 1;

	if (dgram->judged.flow >= WEFT_FLOW_STUN && dgram->judged.flow <= WEFT_FLOW_RELAY)
		return DGRAM_OWNER_HOME;
	if (dgram->judged.flow < WEFT_FLOW_QUIC_LONG || dgram->len < off + WEFT_CID_LEN ||
	    (is_long && dgram->data[off - 1] != WEFT_CID_LEN) ||
	    (keys && !weft_cid_is_ours(keys, dgram->data + off)))
		return DGRAM_OWNER_NONE;
	return (int)weft_cid_worker(dgram->data + off);
}

/* A reason says whether the policy checked the id's tag, or a token bound to the id. */
static int owner_by_reason(const struct dgram *dgram, enum weft_reason reason,
			   const struct weft_cid_keys *keys)
{
	switch (reason) {
	case WEFT_REASON_SESSION:
	case WEFT_REASON_NEW_PATH:
	case WEFT_REASON_RETRIED:
		return owner_of(dgram, NULL);
	case WEFT_REASON_KRPC:
	case WEFT_REASON_KRPC_SENDER:
	case WEFT_REASON_KRPC_REPLY:
	case WEFT_REASON_KRPC_SENT:
	case WEFT_REASON_STUN:
	case WEFT_REASON_STUN_SENT:
	case WEFT_REASON_PROBE:
	case WEFT_REASON_RELAY_TO_END: /* flows end at home */
	case WEFT_REASON_KNOWN:	       /* the client repeats its token beside an id of this node */
		return owner_of(dgram, keys);
	default:
		return DGRAM_OWNER_NONE;
	}
}

enum weft_flow net_ingress_classify(struct dgram *dgram)
{
	dgram->judged = (struct dgram_judgement){
		.verdict = WEFT_DELIVER,
		.flow = weft_classify(dgram->data, (__u32)dgram->len),
		.owner = DGRAM_OWNER_UNKNOWN,
	};
	return dgram->judged.flow;
}

void net_ingress_find_owner(struct dgram *dgram, const struct weft_cid_keys *keys)
{
	if (dgram->judged.owner == DGRAM_OWNER_UNKNOWN)
		dgram->judged.owner = owner_of(dgram, keys);
}

enum weft_reason net_ingress_judge_dgram(struct demux_judge *judge, struct dgram *dgram)
{
	struct weft_tables *tables = judge->tables;
	struct weft_view view = {dgram->data, dgram->data + dgram->len};
	struct weft_facts facts = {
		.source = addr_endpoint(&dgram->remote),
		.now_ns = tables->now_ns,
		.len = (__u32)dgram->len,
	};
	enum weft_reason reason;

	tables->payload = dgram->data;
	/*
	 * The driver judges sources of frames (receive.h), and so does the kernel but for ports. Port 0
	 * is that of legs on TCP: no datagram may pass for one.
	 */
	reason = facts.source.port_be ? weft_policy_judge(tables, &view, &facts)
				      : WEFT_REASON_BAD_SOURCE;
	count(tables, reason, facts.len);
	dgram->judged.verdict = weft_verdict(reason);
	dgram->judged.flow = facts.flow;
	dgram->judged.owner = owner_by_reason(dgram, reason, &tables->cid_keys);
	if (dgram->judged.verdict == WEFT_DROP)
		tell_drop(judge, reason, &facts);
	return reason;
}

enum weft_reason net_ingress_judge_leg(struct demux_judge *judge, struct dgram *dgram)
{
	struct weft_tables *tables = judge->tables;
	struct weft_view view = {dgram->data, dgram->data + dgram->len};
	struct weft_facts facts = {
		.source = addr_endpoint(&dgram->remote),
		.flow = WEFT_FLOW_RELAY,
		.now_ns = tables->now_ns,
		.len = (__u32)dgram->len,
	};
	enum weft_reason reason;

	tables->payload = dgram->data;
	reason = weft_call_relay(tables, &view, &facts);
	count(tables, reason, facts.len);
	dgram->judged = (struct dgram_judgement){.verdict = weft_verdict(reason),
						 .flow = WEFT_FLOW_RELAY,
						 .owner = DGRAM_OWNER_NONE};
	return reason;
}
