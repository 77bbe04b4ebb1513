/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_KRPC_POLICY_H
#define WEFT_KRPC_POLICY_H

#include "weft/frame.h"
#include "weft/krpc_tables.h"
#include "weft/unvalidated.h"

/*
 * Which of the DHT's questions are answered by the program and which go to
 * userspace. Part of policy.h, which says what must be defined before.
 */

/*
 * A question has `a` as a key. Keys are in order, so none follows a first
 * one that comes after it.
 */
WEFT_INLINE _Bool weft_krpc_may_be_query(const __u8 *data)
{
	return data[3] <= 'a';
}

/* It answers what this node asked a node at its source. */
WEFT_INLINE _Bool weft_policy_is_reply(struct weft_tables *tables, struct weft_facts *facts)
{
	const struct weft_krpc_reply_keys *keys = weft_table_krpc_reply_keys(tables);
	const __u8 *tail;
	__u64 transaction;

	if (!keys || facts->len < WEFT_KRPC_TAIL_LEN)
		return 0;
	tail = weft_table_krpc_tail(tables, facts);
	return tail && weft_krpc_tail_transaction(tail, &transaction) &&
	       weft_krpc_is_own(keys, &facts->source, transaction);
}

/*
 * An address nearer than we are cannot have come to us. It is borrowed
 * or ours, and userspace knows what to think of it.
 */
WEFT_INLINE _Bool weft_krpc_is_credible(const struct weft_facts *facts)
{
	enum weft_addr_scope addr_scope = weft_endpoint_scope(&facts->source);

	return addr_scope != WEFT_ADDR_SCOPE_NONE &&
	       addr_scope >= weft_endpoint_scope(&facts->local);
}

/* The id lives, and is not the asker's, too. */
WEFT_INLINE _Bool weft_krpc_is_other(struct weft_tables *tables, __u32 family,
				     const struct weft_krpc_query *query)
{
	const struct weft_krpc_id *own = weft_krpc_live_id(weft_table_krpc_self(tables, family));

	return own && !weft_krpc_id_equal(own, &query->asker);
}

/* With the ids lives all that an answer is made from. */
WEFT_INLINE _Bool weft_krpc_is_answerable(struct weft_tables *tables,
					  const struct weft_facts *facts,
					  const struct weft_krpc_query *query)
{
	enum weft_krpc_family family = weft_krpc_family_of(&facts->source);

	return weft_krpc_is_other(tables, family, query) &&
	       (query->family == family || weft_krpc_is_other(tables, query->family, query)) &&
	       weft_krpc_is_credible(facts);
}

/* Only what get_peers and get ask for can be held. */
WEFT_INLINE _Bool weft_krpc_is_held(struct weft_tables *tables, const struct weft_krpc_query *query)
{
	__u32 bit = weft_krpc_held_bit(&query->target);
	const __u64 *word;

	if (!weft_krpc_has_token(query))
		return 0;
	word = weft_table_krpc_held(tables, bit / 64);
	return !word || *(const volatile __u64 *)word >> bit % 64 & 1;
}

/*
 * The checksum of UDP's pseudo-header (RFC 768, RFC 8200 8.1). The bytes that
 * v4-mapping puts into addresses add zero.
 */
WEFT_INLINE __u64 weft_krpc_pseudo_sum(const struct weft_facts *facts)
{
	return weft_sum_word(facts->source.words[0]) + weft_sum_word(facts->source.words[1]) +
	       weft_sum_word(facts->local.words[0]) + weft_sum_word(facts->local.words[1]) +
	       __builtin_bswap16((__u16)(facts->len + WEFT_UDP_LEN)) +
	       ((__u64)WEFT_PROTOCOL_UDP << 8);
}

/*
 * The stack would take it for whole. So no answer is made of a damaged
 * question, and the source address was not damaged on the way. IPv4 may
 * have no checksum.
 */
WEFT_INLINE _Bool weft_krpc_is_whole(const struct weft_krpc_text *text,
				     const struct weft_facts *facts)
{
	__u64 sum = weft_krpc_pseudo_sum(facts);

	if (facts->sum == WEFT_SUM_TAKEN || !facts->udp_sum)
		return 1;
	if (facts->sum == WEFT_SUM_PARTIAL && facts->udp_sum == weft_sum_fold(sum))
		return 1;
	sum += __builtin_bswap16((__u16)(facts->len + WEFT_UDP_LEN));
	sum += (__u64)facts->source.port_be + facts->local.port_be + facts->udp_sum;
	WEFT_UNROLL
	for (__u32 off = 0; off < WEFT_KRPC_TEXT_LEN; off += 8) {
		sum += weft_sum_word(weft_load_le64(text->bytes + off));
		/* One after the other: all of them at once are on BPF's stack. */
		__asm__ volatile("" : "+r"(sum));
	}
	return weft_sum_fold(sum) == 0xffff;
}

/*
 * The sender of a question may be worth knowing. Now and then a question of each prefix goes to
 * userspace, which answers it and looks at its sender. A limit on all prefixes together bounds what
 * userspace looks at.
 */
WEFT_INLINE _Bool weft_krpc_is_news(struct weft_tables *tables, const struct weft_config *config,
				    struct weft_facts *facts)
{
	__u64 *all = weft_table_total(tables, WEFT_TOTAL_SENDERS);
	__u64 now_ns = weft_policy_now(tables, facts);

	return weft_call_admit(tables, &facts->source, WEFT_CLASS_SENDER, now_ns) && all &&
	       weft_mark_take(all, &config->totals[WEFT_TOTAL_SENDERS], 1, now_ns);
}

/*
 * Bytes that leave beyond those that came are paid from one purse for all
 * unvalidated sources, together with half of those that came. So pings, with
 * answers hardly longer than they are, have their limit, too.
 */
WEFT_INLINE _Bool weft_krpc_is_affordable(struct weft_tables *tables,
					  const struct weft_config *config,
					  struct weft_facts *facts,
					  const struct weft_krpc_query *query)
{
	__u64 *bytes = weft_table_total(tables, WEFT_TOTAL_KRPC_BYTES);
	__u32 len = weft_krpc_answer_len_max(query, weft_endpoint_is_ipv4(&facts->source));

	return bytes && weft_mark_take(bytes, &config->totals[WEFT_TOTAL_KRPC_BYTES],
				       len - facts->len / 2, weft_policy_now(tables, facts));
}

/* The test for a possible question, within the limits of its source. */
WEFT_INLINE enum weft_reason weft_policy_query(struct weft_tables *tables, struct weft_facts *facts,
					       _Bool is_validated)
{
	const struct weft_config *config = weft_table_config(tables);
	const struct weft_krpc_text *text;
	struct weft_krpc_query *query;

	if (!config)
		return WEFT_REASON_NO_TABLES;
	if (facts->len < WEFT_KRPC_QUERY_LEN_MIN || facts->len > WEFT_KRPC_QUERY_LEN_MAX)
		return WEFT_REASON_KRPC;
	query = weft_table_krpc_query(tables);
	text = weft_table_krpc_text(tables, facts);
	if (!query || !text ||
	    !weft_krpc_query_read(text, facts->len, weft_krpc_family_of(&facts->source), query))
		return WEFT_REASON_KRPC;
	if (!weft_krpc_is_answerable(tables, facts, query) || weft_krpc_is_held(tables, query))
		return WEFT_REASON_KRPC;
	if (!weft_krpc_is_whole(text, facts))
		return WEFT_REASON_BAD_SUM;
	if (!query->is_read_only && weft_krpc_is_news(tables, config, facts))
		return WEFT_REASON_KRPC_SENDER;
	if (!is_validated && !weft_krpc_is_affordable(tables, config, facts, query))
		return WEFT_REASON_KRPC_BUDGET;
	return WEFT_REASON_KRPC_SENT;
}

#endif
