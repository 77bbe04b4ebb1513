/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_POLICY_H
#define WEFT_POLICY_H

#include "weft/frame.h"
#include "weft/krpc_policy.h"
#include "weft/limit.h"
#include "weft/receive.h"
#include "weft/stun_policy.h"
#include "weft/relay_judge.h"
#include "weft/unvalidated.h"

/*
 * The verdict on a datagram: one function for the BPF program and for userspace, which differ only
 * in their tables. A file that includes this and its parts, limit.h, unvalidated.h, krpc_policy.h,
 * stun_policy.h and relay_judge.h, has defined before them, static and inline:
 *
 *   struct weft_tables                          all of them
 *   weft_table_config, _locals, _cid_keys, _token_keys   the values, or NULL
 *   weft_table_device(tables)                   that which the frame came by, or NULL
 *   weft_table_now(tables)                      the time, never 0
 *   weft_table_tick(tables)                     something that changes 100 to 1000 times a second
 *   weft_table_frame_len(tables)                bytes of the frame at hand
 *   weft_table_ban(tables, source)              the ban of the longest prefix, or NULL
 *   weft_table_session(tables, source)          that path, expired or not, or NULL
 *   weft_table_validated_set(tables, i)            a set, i < WEFT_VALIDATED_SET_CNT, or NULL
 *   weft_table_random_drop(tables, answer)             of that kind of answers, or NULL
 *   weft_table_place(tables, class, level, i)   a place of unvalidated sources, i < WEFT_PLACE_CNT
 *   weft_table_mark(tables, class, level, i)    the credit of that place, of all CPUs
 *   weft_table_total(tables, total)             the mark of all unvalidated sources, or NULL
 *   weft_table_krpc_text(tables, facts)         the whole payload, of WEFT_KRPC_QUERY_LEN_MAX
 *                                               and less, where it can be read at any offset,
 *                                               zeros behind it
 *   weft_table_krpc_query(tables)               where it is read to, kept for the answer
 *   weft_table_krpc_tail(tables, facts)         its last WEFT_KRPC_TAIL_LEN bytes, of as many and more
 *   weft_table_krpc_reply_keys                  the value, or NULL
 *   weft_table_stun_head(tables, facts)         the first WEFT_STUN_LEN_MIN bytes of as many and more
 *   weft_table_krpc_self, _held(tables, i)      value i of weft/krpc_tables.h, or NULL
 *
 *   weft_table_relay_keys(tables)               the values, or NULL: this node is no relay
 *   weft_table_relay_flow, _grant(tables, i)    value i of weft/relay_tables.h, or NULL
 *   weft_table_relay_way(tables)                where the relayed datagram at hand is described
 *   weft_table_relay_frame(tables)              the frame that it came in, or NULL: by a socket
 *   weft_table_relay_ifindex(tables)            the device that it came by
 *   weft_table_relay_has_device(tables, i)      the program can send by device i
 *
 * Lookups return a pointer that lives as long as the call, or NULL. Some functions are called
 * through the includer. The BPF verifier reads a function by itself once, and an inlined one once
 * for each way that leads there:
 *
 *   weft_call_admit(tables, source, class, now_ns)   weft_limit_admit; before unvalidated.h
 *   weft_call_validated_way(tables, source)             weft_validated_way; before unvalidated.h
 *   weft_call_validated_victim(tables, source)          weft_validated_victim; before unvalidated.h
 *   weft_call_initial(tables, view, facts)           weft_policy_initial of what is in view;
 *                                                    before policy.h
 *   weft_call_query(tables, facts, is_validated)        weft_policy_query; before policy.h
 *   weft_call_receive(tables, frame, facts)          weft_policy_receive; before policy.h
 *   weft_call_reply(tables, facts)                   weft_policy_is_reply; before policy.h
 *   weft_call_stun(tables, facts)                    weft_policy_stun; before policy.h
 *   weft_call_relay(tables, view, facts)             weft_relay_judge of what is in view, by the way
 *                                                    of tables; before policy.h
 */

WEFT_INLINE enum weft_reason weft_policy_short(struct weft_tables *tables,
					       const struct weft_config *config,
					       const struct weft_view *view,
					       struct weft_facts *facts)
{
	if (view->data + 1 + WEFT_CID_LEN <= view->end &&
	    weft_policy_is_ours(tables, view->data + 1))
		return weft_policy_our_id(tables, config, facts, weft_load_le64(view->data + 1));
	/*
	 * A peer's stateless reset has an id of noise, as has any datagram from a borrowed address.
	 */
	if (facts->len < WEFT_RESET_LEN_CAP &&
	    weft_policy_has_credit(tables, config, facts, weft_policy_purse(tables, facts)))
		return WEFT_REASON_MAYBE_RESET;
	return WEFT_REASON_BAD_ID;
}

WEFT_INLINE enum weft_reason weft_policy_version(struct weft_tables *tables,
						 const struct weft_config *config,
						 struct weft_facts *facts)
{
	if (facts->len < WEFT_INITIAL_LEN_MIN)
		return WEFT_REASON_SMALL_VERSION;
	return weft_policy_answer(tables, config, facts, WEFT_ANSWERS_VERSION,
				  WEFT_REASON_VERSION_SENT);
}

WEFT_INLINE enum weft_reason weft_policy_long(struct weft_tables *tables,
					      const struct weft_config *config,
					      const struct weft_view *view,
					      struct weft_facts *facts)
{
	const __u8 *at = view->data;
	__u32 version = weft_load_be32(at + 1), type = at[0] >> 4 & 3;

	if (version != 0 && version != WEFT_QUIC_V1)
		return weft_policy_version(tables, config, facts);
	if (version == WEFT_QUIC_V1 && type == WEFT_LONG_INITIAL &&
	    facts->len >= WEFT_INITIAL_LEN_MIN)
		return weft_call_initial(tables, view, facts);
	/* Servers' Initials may be short, and theirs are all answers to what we sent. */
	if (at[WEFT_LONG_CID_OFF - 1] == WEFT_CID_LEN &&
	    facts->len >= WEFT_LONG_CID_OFF + WEFT_CID_LEN &&
	    at + WEFT_LONG_CID_OFF + WEFT_CID_LEN <= view->end &&
	    weft_policy_is_ours(tables, at + WEFT_LONG_CID_OFF))
		return weft_policy_our_id(tables, config, facts,
					  weft_load_le64(at + WEFT_LONG_CID_OFF));
	if (version == 0)
		return WEFT_REASON_STRAY_VERSION;
	if (type == WEFT_LONG_INITIAL)
		return WEFT_REASON_SMALL_INITIAL;
	if (type != WEFT_LONG_EARLY_DATA)
		return WEFT_REASON_BAD_ID;
	if (config->mode != WEFT_MODE_NORMAL && !weft_policy_purse(tables, facts))
		return WEFT_REASON_EARLY_DATA;
	return weft_policy_limit(tables, config, facts, WEFT_CLASS_INITIAL, WEFT_REASON_INITIAL,
				 WEFT_REASON_INITIAL_LIMIT);
}

/*
 * DHT datagrams of unvalidated sources that userspace takes in all. The rest of
 * the rings and of home's time in a flood is for the replies that it asked for.
 */
WEFT_INLINE enum weft_reason weft_policy_krpc_deliver(struct weft_tables *tables,
						      const struct weft_config *config,
						      struct weft_facts *facts)
{
	__u64 *all = weft_table_total(tables, WEFT_TOTAL_KRPC);

	return all && weft_mark_take(all, &config->totals[WEFT_TOTAL_KRPC], 1,
				     weft_policy_now(tables, facts))
		       ? WEFT_REASON_KRPC
		       : WEFT_REASON_KRPC_FLOOD;
}

WEFT_INLINE enum weft_reason weft_policy_krpc(struct weft_tables *tables,
					      const struct weft_config *config,
					      const struct weft_view *view,
					      struct weft_facts *facts)
{
	struct weft_bucket *purse;
	enum weft_reason reason;

	if (!weft_krpc_may_be_query(view->data) && weft_call_reply(tables, facts))
		return WEFT_REASON_KRPC_REPLY;
	purse = weft_policy_purse(tables, facts);
	if (purse) {
		if (!weft_policy_has_credit(tables, config, facts, purse))
			return WEFT_REASON_KRPC_LIMIT;
	} else if (!weft_call_admit(tables, &facts->source, WEFT_CLASS_KRPC,
				    weft_policy_now(tables, facts))) {
		return WEFT_REASON_KRPC_LIMIT;
	}
	reason = weft_krpc_may_be_query(view->data) ? weft_call_query(tables, facts, purse != 0)
						    : WEFT_REASON_KRPC;
	return reason == WEFT_REASON_KRPC && !purse
		       ? weft_policy_krpc_deliver(tables, config, facts)
		       : reason;
}

/* The ban in force, or NULL. */
WEFT_INLINE const struct weft_ban *weft_policy_ban(struct weft_tables *tables,
						   const struct weft_config *config,
						   struct weft_facts *facts)
{
	const struct weft_ban *ban;

	if (!(weft_endpoint_is_ipv4(&facts->source) ? config->ban_ipv4_cnt : config->ban_ipv6_cnt))
		return 0;
	ban = weft_table_ban(tables, &facts->source);
	if (ban && ban->expires_ns != 0 && ban->expires_ns <= weft_policy_now(tables, facts))
		return 0;
	return ban;
}

/*
 * weft_policy_judge decides on a datagram that came to a socket of this node. view is its payload;
 * facts have its source and len.
 */
WEFT_INLINE enum weft_reason weft_policy_judge(struct weft_tables *tables,
					       const struct weft_view *view,
					       struct weft_facts *facts)
{
	const struct weft_config *config = weft_table_config(tables);
	const struct weft_ban *ban;

	facts->flow = WEFT_FLOW_OTHER;
	if (!config)
		return WEFT_REASON_NO_TABLES;
	ban = weft_policy_ban(tables, config, facts);
	if (ban)
		return WEFT_REASON_BANNED;
	if (view->data + WEFT_CLASSIFY_LEN > view->end)
		return WEFT_REASON_NO_PROTOCOL;
	facts->flow = weft_classify(view->data, facts->len);
	switch (facts->flow) {
	case WEFT_FLOW_QUIC_SHORT:
		return weft_policy_short(tables, config, view, facts);
	case WEFT_FLOW_QUIC_LONG:
		return weft_policy_long(tables, config, view, facts);
	case WEFT_FLOW_KRPC:
		return weft_policy_krpc(tables, config, view, facts);
	case WEFT_FLOW_STUN:
		return weft_call_stun(tables, facts);
	case WEFT_FLOW_PROBE:
		return weft_policy_limit(tables, config, facts, WEFT_CLASS_PROBE, WEFT_REASON_PROBE,
					 WEFT_REASON_PROBE_LIMIT);
	case WEFT_FLOW_RELAY:
		return weft_call_relay(tables, view, facts);
	default:
		return WEFT_REASON_NO_PROTOCOL;
	}
}

/*
 * weft_policy_judge_frame decides on the frame of a device that lies in
 * view. frame and facts are filled in, and view becomes the payload.
 */
WEFT_INLINE enum weft_reason weft_policy_judge_frame(struct weft_tables *tables,
						     struct weft_view *view,
						     struct weft_frame *frame,
						     struct weft_facts *facts)
{
	enum weft_reason reason;

	facts->flow = WEFT_FLOW_OTHER;
	if (!weft_frame_parse(view, frame, &reason))
		return reason;
	reason = weft_call_receive(tables, frame, facts);
	if (reason != WEFT_REASON_CNT)
		return reason;
	return weft_policy_judge(tables, view, facts);
}

/*
 * weft_policy_weigh says whether a drop is to be reported: returns the number of drops that it
 * stands for, or 0.
 */
WEFT_INLINE __u32 weft_policy_weigh(struct weft_tables *tables, const struct weft_config *config,
				    struct weft_sampler *sampler, struct weft_facts *facts)
{
	__u64 tick = weft_table_tick(tables), weight = sampler->weight + 1;

	sampler->weight = weight;
	if (tick == sampler->tick)
		return 0;
	sampler->tick = tick;
	if (!weft_bucket_take(&sampler->bucket, &config->samples, weft_policy_now(tables, facts)))
		return 0;
	sampler->weight = 0;
	return weight < ~0u ? (__u32)weight : ~0u;
}

#endif
