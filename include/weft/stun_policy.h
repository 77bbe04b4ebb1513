/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_STUN_POLICY_H
#define WEFT_STUN_POLICY_H

#include "weft/krpc_policy.h"
#include "weft/stun_answer.h"
#include "weft/unvalidated.h"

/*
 * Which STUN requests are answered by the program and which go to userspace.
 * Part of policy.h, which says what must be defined before.
 */

/* The stack's verdict on the checksum, as weft_krpc_is_whole, for a payload of 20 bytes. */
WEFT_INLINE _Bool weft_stun_is_whole(const __u8 *head, const struct weft_facts *facts)
{
	__u64 sum = weft_krpc_pseudo_sum(facts);

	if (facts->sum == WEFT_SUM_TAKEN || !facts->udp_sum)
		return 1;
	if (facts->sum == WEFT_SUM_PARTIAL && facts->udp_sum == weft_sum_fold(sum))
		return 1;
	sum += __builtin_bswap16((__u16)(facts->len + WEFT_UDP_LEN));
	sum += (__u64)facts->source.port_be + facts->local.port_be + facts->udp_sum;
	sum += weft_sum_word(weft_load_le64(head)) + weft_sum_word(weft_load_le64(head + 8));
	sum += weft_load_le32(head + 16);
	return weft_sum_fold(sum) == 0xffff;
}

/*
 * An answer is paid as one of the DHT is, from the same purse: what leaves
 * beyond half of what came. Userspace's answer to a request with attributes
 * is paid here as well.
 */
WEFT_INLINE _Bool weft_stun_is_affordable(struct weft_tables *tables,
					  const struct weft_config *config,
					  struct weft_facts *facts, _Bool is_plain)
{
	__u64 *bytes = weft_table_total(tables, WEFT_TOTAL_KRPC_BYTES);
	__u32 len = is_plain ? weft_stun_answer_len(weft_endpoint_is_ipv4(&facts->source))
			     : facts->len + WEFT_STUN_ANSWER_LEN_GROWTH;

	return bytes && weft_mark_take(bytes, &config->totals[WEFT_TOTAL_KRPC_BYTES],
				       len - facts->len / 2, weft_policy_now(tables, facts));
}

/* A request from an address that proved itself, if is_validated, or within the limits of its source. */
WEFT_INLINE enum weft_reason weft_stun_answer(struct weft_tables *tables,
					      const struct weft_config *config,
					      struct weft_facts *facts, _Bool is_validated)
{
	const __u8 *head = weft_table_stun_head(tables, facts);
	_Bool is_plain;

	if (!head || !weft_stun_is_request(head))
		return WEFT_REASON_STUN;
	if (!is_validated && config->mode == WEFT_MODE_FLOOD)
		return WEFT_REASON_STUN_FLOOD;
	is_plain = facts->len == WEFT_STUN_LEN_MIN && weft_stun_is_plain(head);
	if (is_plain && !weft_stun_is_whole(head, facts))
		return WEFT_REASON_BAD_SUM;
	if (!is_validated && !weft_stun_is_affordable(tables, config, facts, is_plain))
		return WEFT_REASON_STUN_BUDGET;
	return is_plain && weft_krpc_is_credible(facts) ? WEFT_REASON_STUN_SENT : WEFT_REASON_STUN;
}

/* A datagram of STUN: a request, or an answer to a request of this node. */
WEFT_INLINE enum weft_reason weft_policy_stun(struct weft_tables *tables, struct weft_facts *facts)
{
	const struct weft_config *config = weft_table_config(tables);
	struct weft_bucket *purse;

	if (!config)
		return WEFT_REASON_NO_TABLES;
	purse = weft_policy_purse(tables, facts);
	if (purse ? !weft_policy_has_credit(tables, config, facts, purse)
		  : !weft_call_admit(tables, &facts->source, WEFT_CLASS_STUN,
				     weft_policy_now(tables, facts)))
		return WEFT_REASON_STUN_LIMIT;
	return weft_stun_answer(tables, config, facts, purse != 0);
}

#endif
