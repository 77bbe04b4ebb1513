/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_UNVALIDATED_H
#define WEFT_UNVALIDATED_H

#include "weft/cid.h"
#include "weft/facts.h"
#include "weft/xdp_maps.h"
#include "weft/frame.h"
#include "weft/limit.h"
#include "weft/validated.h"
#include "weft/token.h"

/*
 * Sources that proved their address and sources that did not: what each
 * may send, and how an Initial's token makes one of the other. Part of
 * policy.h, which says what must be defined before.
 */
/* The clock is asked only for what depends on it, and once. */
WEFT_INLINE __u64 weft_policy_now(struct weft_tables *tables, struct weft_facts *facts)
{
	if (facts->now_ns == 0)
		facts->now_ns = weft_table_now(tables);
	return facts->now_ns;
}

/* WEFT_CID_LEN bytes at cid can be read and were made under a key of this node. */
WEFT_INLINE _Bool weft_policy_is_ours(struct weft_tables *tables, const __u8 *cid)
{
	const struct weft_cid_keys *keys = weft_table_cid_keys(tables);

	return keys && weft_cid_is_ours(keys, cid);
}

/* The destination id that facts have is an id of this node. */
WEFT_INLINE _Bool weft_policy_is_to_us(struct weft_tables *tables, const struct weft_facts *facts)
{
	return facts->dcid.len == WEFT_CID_LEN &&
	       weft_policy_is_ours(tables, (const __u8 *)facts->dcid.words);
}

/* The path of a live session, or NULL. Only a holder of a connection's keys has made it. */
WEFT_INLINE struct weft_session *weft_policy_session(struct weft_tables *tables,
						     struct weft_facts *facts)
{
	struct weft_session *session = weft_table_session(tables, &facts->source);

	return session && session->expires_ns > weft_policy_now(tables, facts) ? session : 0;
}

/* The entry of a source that showed a Retry's token, or NULL. */
WEFT_INLINE struct weft_validated *weft_policy_retried(struct weft_tables *tables,
						       struct weft_facts *facts)
{
	int way = weft_call_validated_way(tables, &facts->source);
	struct weft_validated *validated;

	validated = way < 0 ? 0 : weft_validated_at(tables, &facts->source, (__u32)way);
	return validated && validated->expires_ns > weft_policy_now(tables, facts) ? validated : 0;
}

/* The bucket that pays for a datagram of a proven source's own, or NULL. */
WEFT_INLINE struct weft_bucket *weft_policy_purse(struct weft_tables *tables,
						  struct weft_facts *facts)
{
	struct weft_session *session = weft_policy_session(tables, facts);
	struct weft_validated *validated;

	if (session)
		return &session->bucket;
	validated = weft_policy_retried(tables, facts);
	return validated ? &validated->bucket : 0;
}

/* purse may be NULL. */
WEFT_INLINE _Bool weft_policy_has_credit(struct weft_tables *tables,
					 const struct weft_config *config, struct weft_facts *facts,
					 struct weft_bucket *purse)
{
	return purse && weft_bucket_take(purse, &config->validated, weft_policy_now(tables, facts));
}

/* reason if an answer of that kind may leave, which is drawn by lot when all want one. */
WEFT_INLINE enum weft_reason weft_policy_answer(struct weft_tables *tables,
						const struct weft_config *config,
						struct weft_facts *facts, enum weft_answer kind,
						enum weft_reason reason)
{
	struct weft_random_drop *draw = weft_table_random_drop(tables, kind);

	if (!draw || !weft_random_drop_take(draw, &config->answers[kind], config->salt,
					    weft_policy_now(tables, facts)))
		return WEFT_REASON_ANSWER_LIMIT;
	return reason;
}

/*
 * A datagram that leads to a connection of this node by an id with a right tag; id is its first
 * word. From a session's path it passes. From a source that answered a Retry, that source's own
 * purse pays: it is shaking hands. From anywhere else it is charged to the connection, never to the
 * source, which may be borrowed. A client that moved needs one such datagram to be validated where
 * it is.
 */
WEFT_INLINE enum weft_reason weft_policy_our_id(struct weft_tables *tables,
						const struct weft_config *config,
						struct weft_facts *facts, __u64 id)
{
	struct weft_validated *validated;

	if (weft_policy_session(tables, facts))
		return WEFT_REASON_SESSION;
	validated = weft_policy_retried(tables, facts);
	if (validated && weft_policy_has_credit(tables, config, facts, &validated->bucket))
		return WEFT_REASON_SESSION;
	return weft_limit_admit_id(tables, id, weft_policy_now(tables, facts))
		       ? WEFT_REASON_NEW_PATH
		       : WEFT_REASON_REPLAYED_ID;
}

/* Limits a datagram per proven address, else per prefix. */
WEFT_INLINE enum weft_reason weft_policy_limit(struct weft_tables *tables,
					       const struct weft_config *config,
					       struct weft_facts *facts, enum weft_class class,
					       enum weft_reason good, enum weft_reason limit)
{
	struct weft_bucket *purse = weft_policy_purse(tables, facts);

	if (purse)
		return weft_policy_has_credit(tables, config, facts, purse) ? good : limit;
	return weft_call_admit(tables, &facts->source, class, weft_policy_now(tables, facts))
		       ? good
		       : limit;
}

/* A first Initial whose token, if it has one, says nothing: never dropped, asked for proof. */
WEFT_INLINE enum weft_reason weft_policy_unvalidated(struct weft_tables *tables,
						     const struct weft_config *config,
						     struct weft_facts *facts)
{
	if (config->mode != WEFT_MODE_NORMAL && !weft_policy_purse(tables, facts))
		return WEFT_REASON_RETRY_SENT;
	return weft_policy_limit(tables, config, facts, WEFT_CLASS_INITIAL, WEFT_REASON_INITIAL,
				 WEFT_REASON_RETRY_SENT);
}

/*
 * The source has shown a good token. A Retry's is bound to address, port
 * and id: from now on the source is limited by itself. A known one is bound
 * to the address and may be shown from all its ports. So it makes no entry,
 * and pays from the address.
 */
WEFT_INLINE enum weft_reason weft_policy_shown(struct weft_tables *tables,
					       const struct weft_config *config,
					       struct weft_facts *facts, __u8 kind)
{
	struct weft_bucket *purse = weft_policy_purse(tables, facts);
	__u64 now_ns = weft_policy_now(tables, facts);

	if (kind == WEFT_TOKEN_KNOWN)
		return (purse && weft_policy_has_credit(tables, config, facts, purse)) ||
				       weft_call_admit(tables, &facts->source, WEFT_CLASS_KNOWN,
						       now_ns)
			       ? WEFT_REASON_KNOWN
			       : WEFT_REASON_RETRY_SENT;
	if (!purse) {
		weft_validated_put(tables, &facts->source,
				   weft_call_validated_victim(tables, &facts->source),
				   now_ns + config->token_life_ns);
		return WEFT_REASON_RETRIED;
	}
	/* A second Retry a client would not take (RFC 9000 17.2.5.2). */
	return weft_policy_has_credit(tables, config, facts, purse) ? WEFT_REASON_RETRIED
								    : WEFT_REASON_INITIAL_LIMIT;
}

/*
 * An Initial with a token of our length and kind. A client repeats the
 * Retry's token in all its Initials (RFC 9000 17.2.5.3), also when it uses
 * the next id by then. The token no longer fits then, but the id is ours.
 */
WEFT_INLINE enum weft_reason weft_policy_token(struct weft_tables *tables,
					       const struct weft_config *config,
					       struct weft_facts *facts, const __u8 *at)
{
	const struct weft_token_keys *keys = weft_table_token_keys(tables);
	__u32 now_s = weft_config_wall_s(config, weft_policy_now(tables, facts));
	struct weft_token token = {
		.client = facts->source,
		.retry_scid = {facts->dcid.words[0], facts->dcid.words[1]},
	};
	enum weft_token_verdict verdict;

	if (!keys)
		return WEFT_REASON_NO_TABLES;
	verdict = weft_token_read(keys, at, now_s, &token);
	if (verdict == WEFT_TOKEN_GOOD)
		return weft_policy_shown(tables, config, facts, token.kind);
	if (weft_policy_is_to_us(tables, facts))
		return weft_policy_our_id(tables, config, facts, facts->dcid.words[0]);
	if (token.kind != WEFT_TOKEN_RETRY)
		return weft_policy_unvalidated(tables, config, facts);
	if (verdict == WEFT_TOKEN_FORGED)
		return WEFT_REASON_BAD_TOKEN;
	return verdict == WEFT_TOKEN_LATE ? WEFT_REASON_LATE_TOKEN : WEFT_REASON_UNKEYED_TOKEN;
}

WEFT_INLINE enum weft_reason weft_policy_first(struct weft_tables *tables,
					       const struct weft_config *config, const __u8 *head,
					       struct weft_facts *facts)
{
	__u32 off = WEFT_LONG_CID_OFF, dcid_len, scid_len, varint_len;
	__u64 token_len;

	dcid_len = head[WEFT_LONG_CID_OFF - 1];
	if (dcid_len < WEFT_TOKEN_ID_MIN || dcid_len > WEFT_ID_LEN_MAX)
		return WEFT_REASON_BAD_INITIAL;
	weft_id_load(&facts->dcid, head + WEFT_LONG_CID_OFF, dcid_len);
	off += dcid_len;
	scid_len = head[off];
	if (scid_len > WEFT_ID_LEN_MAX)
		return WEFT_REASON_BAD_INITIAL;
	off += 1;
	weft_id_load(&facts->scid, head + off, scid_len);
	off += scid_len;
	/*
	 * A variable-length integer of 1, 2, 4 or 8 bytes (RFC 9000 16). The
	 * mask tells the verifier so.
	 */
	varint_len = 0x8421u >> 4 * (head[off] >> 6) & 15;
	token_len = weft_load_be64(head + off) << 2 >> 2 >> (64 - 8 * varint_len);
	if (token_len > facts->len)
		return WEFT_REASON_BAD_INITIAL;
	off += varint_len;
	if (token_len == WEFT_TOKEN_LEN &&
	    (head[off] == WEFT_TOKEN_RETRY || head[off] == WEFT_TOKEN_KNOWN))
		return weft_policy_token(tables, config, facts, head + off);
	if (weft_policy_is_to_us(tables, facts))
		return weft_policy_our_id(tables, config, facts, facts->dcid.words[0]);
	return weft_policy_unvalidated(tables, config, facts);
}

/*
 * An Initial of 1200 bytes and more. Its first WEFT_HEAD_LEN bytes at head
 * can be read at any offset.
 */
WEFT_INLINE enum weft_reason weft_policy_initial(struct weft_tables *tables, const __u8 *head,
						 struct weft_facts *facts)
{
	const struct weft_config *config = weft_table_config(tables);
	enum weft_reason reason;

	if (!config)
		return WEFT_REASON_NO_TABLES;
	reason = weft_policy_first(tables, config, head, facts);
	return reason == WEFT_REASON_RETRY_SENT
		       ? weft_policy_answer(tables, config, facts, WEFT_ANSWERS_RETRY, reason)
		       : reason;
}

#endif
