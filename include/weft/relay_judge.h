/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_RELAY_JUDGE_H
#define WEFT_RELAY_JUDGE_H

#include "weft/facts.h"
#include "weft/frame.h"
#include "weft/relay_tables.h"
#include "weft/unvalidated.h"

/*
 * The verdict on a relayed datagram, judged in this order. Length, kind;
 * tag; index, salt; the leg's source; the inner byte; MTU; credit of the
 * flow and of its grant, volume; count. Part of policy.h, which says what
 * must be defined before.
 */

/* The longest datagram whose whole checksum the program can make. */
#define WEFT_RELAY_SUM_LEN_MAX 4096u

WEFT_INLINE _Bool weft_relay_is_inner(__u32 first)
{
	return first & 0x40 || first == WEFT_PROBE_FIRST_BYTE;
}

/* weft_relay_out_len: of the IP packet that leaves to remote with len bytes in UDP: what is paid for. */
WEFT_INLINE __u32 weft_relay_out_len(const struct weft_endpoint *remote, __u32 len)
{
	__u32 ip_len = weft_endpoint_is_ipv4(remote) ? WEFT_IPV4_LEN : WEFT_IPV6_LEN;

	return ip_len + WEFT_UDP_LEN + len;
}

/* weft_relay_parse reads the label in view and the byte behind it into way. 0: it is cut short. */
WEFT_INLINE _Bool weft_relay_parse(const struct weft_view *view, struct weft_relay_way *way)
{
	const __u8 *at = view->data;

	if (at + WEFT_RELAY_LABEL_LEN > view->end)
		return 0;
	way->label.head = weft_load_le64(at);
	way->label.tag = weft_load_le64(at + 8);
	way->inner = 0;
	if (at + WEFT_RELAY_LABEL_LEN + 1 <= view->end)
		way->inner = at[WEFT_RELAY_LABEL_LEN];
	return 1;
}

/* To an end: this node, which listens to live sessions alone. */
WEFT_INLINE enum weft_reason weft_relay_to_end(struct weft_tables *tables, struct weft_facts *facts,
					       enum weft_relay_kind kind)
{
	if ((kind == WEFT_RELAY_TO_END && facts->len < WEFT_RELAY_LEN_MIN) ||
	    (kind == WEFT_RELAY_UNKNOWN && facts->len != WEFT_RELAY_LABEL_LEN) ||
	    (kind == WEFT_RELAY_TOO_BIG && facts->len != WEFT_RELAY_TOO_BIG_LEN))
		return WEFT_REASON_RELAY_BAD;
	return weft_policy_session(tables, facts) ? WEFT_REASON_RELAY_TO_END
						  : WEFT_REASON_RELAY_STRAY;
}

/* A right tag, and no such flow: the end opens it anew when it gets the answer. */
WEFT_INLINE enum weft_reason weft_relay_unknown(struct weft_tables *tables,
						struct weft_facts *facts,
						struct weft_relay_keys *keys)
{
	const struct weft_bucket_rate rate = WEFT_RELAY_ANSWER_RATE;

	return weft_mark_take(&keys->answer_mark, &rate, 1, weft_policy_now(tables, facts))
		       ? WEFT_REASON_RELAY_UNKNOWN
		       : WEFT_REASON_ANSWER_LIMIT;
}

/*
 * The leg's link header, from a frame that had its tag and came from its
 * address. Only the program sees frames. heard_ns says how old it is.
 */
WEFT_INLINE void weft_relay_learn(struct weft_relay_flow *flow, struct weft_relay_leg *leg,
				  const struct weft_frame *frame, __u32 ifindex, __u64 now_ns)
{
	struct weft_relay_link *link = &leg->link;

	if (link->to != frame->from || link->from != frame->dest || link->tags != frame->tags ||
	    link->ifindex != ifindex) {
		if (!weft_relay_begin_write(flow))
			return;
		link->to = frame->from;
		link->from = frame->dest;
		link->tags = frame->tags;
		link->ifindex = ifindex;
		weft_relay_end_write(flow);
	}
	leg->heard_ns = now_ns;
}

/* The program can send it: where frames go is known, and what is in this one. */
WEFT_INLINE _Bool weft_relay_can_send(struct weft_tables *tables, struct weft_facts *facts,
				      const struct weft_frame *frame,
				      const struct weft_relay_way *way)
{
	const struct weft_relay_link *link = &way->out.link;
	__u64 now_ns = weft_policy_now(tables, facts);

	if (!link->ifindex || way->out.heard_ns + WEFT_RELAY_LINK_AGE_NS < now_ns)
		return 0;
	/* Without a checksum there is nothing to patch, and bytes behind the datagram are not its. */
	if (!frame->udp_sum || facts->len > WEFT_RELAY_SUM_LEN_MAX ||
	    frame->said_len != frame->payload_off + frame->payload_len ||
	    frame->said_len != weft_table_frame_len(tables))
		return 0;
	return weft_table_relay_has_device(tables, link->ifindex);
}

/* The program's mark, or userspace's. Not by an index: the verifier wants a pointer's offset one way. */
WEFT_INLINE __u64 *weft_relay_moved_mark(struct weft_tables *tables, struct weft_relay_flow *flow)
{
#ifdef __bpf__
	return &flow->moved_marks[0];
#else
	return &flow->moved_marks[weft_table_relay_frame(tables) ? 0 : 1];
#endif
}

WEFT_INLINE enum weft_reason weft_relay_moved(struct weft_tables *tables, struct weft_facts *facts,
					      struct weft_relay_flow *flow)
{
	const struct weft_bucket_rate rate = WEFT_RELAY_MOVED_RATE;
	__u64 *mark = weft_relay_moved_mark(tables, flow);

	return weft_mark_take(mark, &rate, 1, weft_policy_now(tables, facts))
		       ? WEFT_REASON_RELAY_MOVED
		       : WEFT_REASON_RELAY_ELSEWHERE;
}

/* Credit of the flow, then of its grant, then volume; what was taken before a refusal returns. */
WEFT_INLINE enum weft_reason weft_relay_pay(struct weft_tables *tables, struct weft_facts *facts,
					    const struct weft_relay_way *way,
					    struct weft_relay_flow *flow)
{
	__u32 len = weft_relay_out_len(&way->out.remote, facts->len), leg = way->leg & 1;
	__u64 now_ns = weft_policy_now(tables, facts);
	enum weft_reason reason = WEFT_REASON_RELAYED;
	struct weft_relay_grant *grant = 0;

	if (!weft_relay_take(&flow->marks[leg], &way->rate, len, now_ns)) {
		__sync_fetch_and_add(&flow->refused[leg], 1);
		return WEFT_REASON_RELAY_LIMIT;
	}
	if (way->grant) {
		grant = weft_table_relay_grant(tables, way->grant);
		if (!grant || !weft_relay_take(&grant->mark, &grant->rate, len, now_ns)) {
			reason = WEFT_REASON_RELAY_GRANT_LIMIT;
		} else if (!weft_relay_spend(&grant->volume_left, len)) {
			weft_relay_give_back(&grant->mark, &grant->rate, len);
			reason = WEFT_REASON_RELAY_VOLUME;
		}
	}
	if (reason != WEFT_REASON_RELAYED) {
		weft_relay_give_back(&flow->marks[leg], &way->rate, len);
		__sync_fetch_and_add(&flow->refused[leg], 1);
		return reason;
	}
	__sync_fetch_and_add(&flow->bytes[leg], len);
	__sync_fetch_and_add(&flow->packets[leg], 1);
	return reason;
}

/* Steps that read what a version guards; CNT: the rest may go on with way. */
WEFT_INLINE enum weft_reason weft_relay_read(const struct weft_facts *facts,
					     struct weft_relay_way *way,
					     struct weft_relay_flow *flow)
{
	__u32 version = *(volatile __u32 *)&flow->version;
	struct weft_relay_leg *leg = &flow->legs[way->leg & 1];
	enum weft_reason reason = WEFT_REASON_CNT;

	if (version & 1)
		return WEFT_REASON_RELAY_SLOW;
	weft_relay_order(&flow->version);
	if (flow->state != WEFT_RELAY_OPEN || flow->salt != weft_relay_salt(way->label.head))
		reason = WEFT_REASON_RELAY_UNKNOWN;
	else if (!weft_endpoint_equal(&leg->remote, &facts->source))
		reason = WEFT_REASON_RELAY_MOVED;
	else if (!weft_relay_is_inner(way->inner))
		reason = WEFT_REASON_RELAY_BAD;
	way->mtu = flow->mtu;
	way->rate = flow->rate;
	way->grant = flow->grant;
	way->out = flow->legs[(way->leg & 1) ^ 1];
	weft_relay_order(&flow->version);
	if (*(volatile __u32 *)&flow->version != version)
		return WEFT_REASON_RELAY_SLOW;
	if (reason == WEFT_REASON_CNT && facts->len - WEFT_RELAY_LABEL_LEN > way->mtu)
		reason = WEFT_REASON_RELAY_TOO_BIG;
	return reason;
}

WEFT_INLINE enum weft_reason weft_relay_forward(struct weft_tables *tables,
						struct weft_facts *facts,
						struct weft_relay_way *way,
						struct weft_relay_keys *keys)
{
	struct weft_relay_flow *flow =
		weft_table_relay_flow(tables, weft_relay_index(way->label.head));
	const struct weft_frame *frame = weft_table_relay_frame(tables);
	enum weft_reason reason = WEFT_REASON_RELAY_UNKNOWN;

	if (flow)
		reason = weft_relay_read(facts, way, flow);
	if (reason == WEFT_REASON_RELAY_UNKNOWN)
		return weft_relay_unknown(tables, facts, keys);
	if (reason == WEFT_REASON_RELAY_MOVED)
		return weft_relay_moved(tables, facts, flow);
	if (reason != WEFT_REASON_CNT)
		return reason;
	if (frame)
		weft_relay_learn(flow, &flow->legs[way->leg & 1], frame,
				 weft_table_relay_ifindex(tables), weft_policy_now(tables, facts));
	if (!way->out.remote.port_be && (frame || !weft_relay_is_on_tcp(&way->out)))
		return frame ? WEFT_REASON_RELAY_SLOW : WEFT_REASON_RELAY_ONE_LEG;
	if (frame && !weft_relay_can_send(tables, facts, frame, way))
		return WEFT_REASON_RELAY_SLOW;
	return weft_relay_pay(tables, facts, way, flow);
}

/*
 * weft_relay_judge decides on a relayed datagram, whose label and next byte
 * are in the way of tables and whose length facts say. RELAYED: it is paid
 * for and leaves by way->out.
 */
WEFT_INLINE enum weft_reason weft_relay_judge(struct weft_tables *tables, struct weft_facts *facts)
{
	struct weft_relay_way *way = weft_table_relay_way(tables);
	struct weft_relay_keys *keys = weft_table_relay_keys(tables);
	enum weft_relay_kind kind;

	if (!way)
		return WEFT_REASON_NO_TABLES;
	kind = weft_relay_kind(way->label.head);
	way->leg = weft_relay_leg(way->label.head);
	if (way->label.head & WEFT_RELAY_ZERO_MASK || !(way->label.head & WEFT_RELAY_WORKER_BIT))
		return WEFT_REASON_RELAY_BAD;
	if (kind != WEFT_RELAY_TO_RELAY)
		return weft_relay_to_end(tables, facts, kind);
	if (facts->len < WEFT_RELAY_LEN_MIN)
		return WEFT_REASON_RELAY_BAD;
	if (!keys || !weft_relay_is_ours(keys, &way->label))
		return WEFT_REASON_RELAY_TAG;
	return weft_relay_forward(tables, facts, way, keys);
}

#endif
