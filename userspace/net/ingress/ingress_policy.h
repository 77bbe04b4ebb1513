/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_INGRESS_INGRESS_POLICY_H
#define WEFT_NET_INGRESS_INGRESS_POLICY_H

#include "tables.h"
#include "weft/limit.h"
#include "weft/validated.h"

/*
 * weft/policy.h over a worker's own tables. Its callers include it: ingress_verdict.c and the tests
 * that hold it against the program.
 */
WEFT_INLINE _Bool weft_call_admit(struct weft_tables *tables, const struct weft_endpoint *source,
				  __u32 class, __u64 now_ns)
{
	return weft_limit_admit(tables, source, class, now_ns);
}

WEFT_INLINE int weft_call_validated_way(struct weft_tables *tables,
					const struct weft_endpoint *source)
{
	return weft_validated_way(tables, source);
}

WEFT_INLINE int weft_call_validated_victim(struct weft_tables *tables,
					   const struct weft_endpoint *source)
{
	return weft_validated_victim(tables, source);
}

#include "weft/unvalidated.h"

WEFT_INLINE enum weft_reason weft_call_initial(struct weft_tables *tables,
					       const struct weft_view *view,
					       struct weft_facts *facts)
{
	return weft_policy_initial(tables, view->data, facts);
}

#include "weft/krpc_policy.h"

WEFT_INLINE enum weft_reason weft_call_query(struct weft_tables *tables, struct weft_facts *facts,
					     _Bool is_proven)
{
	return weft_policy_query(tables, facts, is_proven);
}

WEFT_INLINE _Bool weft_call_reply(struct weft_tables *tables, struct weft_facts *facts)
{
	return weft_policy_is_reply(tables, facts);
}

#include "weft/stun_policy.h"

WEFT_INLINE enum weft_reason weft_call_stun(struct weft_tables *tables, struct weft_facts *facts)
{
	return weft_policy_stun(tables, facts);
}

#include "weft/receive.h"

WEFT_INLINE enum weft_reason weft_call_receive(struct weft_tables *tables,
					       const struct weft_frame *frame,
					       struct weft_facts *facts)
{
	return weft_policy_receive(tables, frame, facts);
}

#include "weft/relay_judge.h"

#define DEMUX_RELAY_TRIES 1000 /* microseconds; its writer is on another CPU, and done in one */

WEFT_INLINE enum weft_reason weft_call_relay(struct weft_tables *tables,
					     const struct weft_view *view, struct weft_facts *facts)
{
	enum weft_reason reason = WEFT_REASON_RELAY_BAD;

	if (!weft_relay_parse(view, &tables->relay_way))
		return reason;
	reason = weft_relay_judge(tables, facts);
	/* By a socket that is a flow whose legs are being written just now. */
	for (unsigned i = 0;
	     reason == WEFT_REASON_RELAY_SLOW && !tables->relay_frame && i < DEMUX_RELAY_TRIES; i++)
		reason = weft_relay_judge(tables, facts);
	return reason;
}

#include "weft/policy.h"

#endif
