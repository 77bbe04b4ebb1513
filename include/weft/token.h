/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_TOKEN_H
#define WEFT_TOKEN_H

#include "weft/cid.h"
#include "weft/endpoint.h"

/*
 * The tokens of QUIC Initials (RFC 9000 8.1), made and checked alike in
 * the BPF program and in userspace:
 *
 *   byte  0       kind
 *   byte  1       generation of the key: the day of the wall clock, modulo 256
 *   byte  2       length of the client's first destination id, 8..20; known: 0
 *   byte  3       0
 *   bytes 4..7    wall clock in seconds, big-endian
 *   bytes 8..27   that id, zeros behind it; known: the peer that it was given to and
 *                 since when that peer is known. This is sealed, so that an onlooker
 *                 learns nothing from tokens; quic/address_token.c alone reads it.
 *   bytes 28..35  SipHash-2-4, little-endian, over bytes 0..27, the port (2
 *                 bytes, then none more), the address (16), our id (16)
 *
 * A Retry token is bound to the port and to the id that the Retry gave the
 * client. A known token is handed out to a validated peer for its next connection.
 * It is bound to the address alone: RFC 9000 8.1.4 lets no other address go without
 * the limit on what it is sent. Keys follow from the node's key and the day, so a
 * token outlives a restart and is nothing to another node.
 */
#define WEFT_TOKEN_LEN	  36
#define WEFT_TOKEN_RETRY  0xd7
#define WEFT_TOKEN_KNOWN  0xd8
#define WEFT_TOKEN_ID_MIN 8 /* RFC 9000 7.2 */

/* Long enough for a slow path's Retry and answer, short enough to be useless when stolen. */
#define WEFT_TOKEN_RETRY_LIFE_S 10
#define WEFT_TOKEN_KNOWN_LIFE_S (2 * 86400)
/* How far ahead of its present time the wall clock may have been when it was set back. */
#define WEFT_TOKEN_AHEAD_S    2
#define WEFT_TOKEN_KEY_CNT    4 /* days honoured, one of them tomorrow */
#define WEFT_TOKEN_KEY_LIFE_S 86400

/* A BPF map value. The key of day d is in slot d % 4 with generation d % 256. */
struct weft_token_keys {
	struct weft_siphash_key slots[WEFT_TOKEN_KEY_CNT];
};

_Static_assert(sizeof(struct weft_token_keys) == 96, "BPF map value layout");

/*
 * An id of up to 20 bytes as words, zeros behind it: arithmetic the BPF
 * verifier follows where it would not follow a length.
 */
#define WEFT_ID_LEN_MAX	 20
#define WEFT_ID_ROOM_LEN 24 /* bytes that are read to load any id */

struct weft_id {
	__u64 words[3];
	__u32 len;
	__u32 zero;
};

/*
 * weft_id_load: WEFT_ID_ROOM_LEN bytes at at can be read; len is at most
 * WEFT_ID_LEN_MAX. By a table, because to the verifier each branch on len
 * would be another program.
 */
WEFT_INLINE void weft_id_load(struct weft_id *id, const __u8 *at, __u32 len)
{
#define WEFT_ID_MASK(len, begin)                                                                   \
	((len) <= (begin)	? 0                                                                \
	 : (len) >= (begin) + 8 ? ~0ull                                                            \
				: (1ull << 8 * (((len) - (begin)) & 7)) - 1)
#define WEFT_ID_MASKS(len) {WEFT_ID_MASK(len, 0), WEFT_ID_MASK(len, 8), WEFT_ID_MASK(len, 16)}
	static const __u64 masks[WEFT_ID_LEN_MAX + 1][3] = {
		WEFT_ID_MASKS(0),  WEFT_ID_MASKS(1),  WEFT_ID_MASKS(2),	 WEFT_ID_MASKS(3),
		WEFT_ID_MASKS(4),  WEFT_ID_MASKS(5),  WEFT_ID_MASKS(6),	 WEFT_ID_MASKS(7),
		WEFT_ID_MASKS(8),  WEFT_ID_MASKS(9),  WEFT_ID_MASKS(10), WEFT_ID_MASKS(11),
		WEFT_ID_MASKS(12), WEFT_ID_MASKS(13), WEFT_ID_MASKS(14), WEFT_ID_MASKS(15),
		WEFT_ID_MASKS(16), WEFT_ID_MASKS(17), WEFT_ID_MASKS(18), WEFT_ID_MASKS(19),
		WEFT_ID_MASKS(20),
	};

	id->words[0] = weft_load_le64(at) & masks[len][0];
	id->words[1] = weft_load_le64(at + 8) & masks[len][1];
	id->words[2] = weft_load_le64(at + 16) & masks[len][2];
	id->len = len;
	id->zero = 0;
}
#undef WEFT_ID_MASKS
#undef WEFT_ID_MASK

/* weft_id_store writes all 24 bytes; what follows the id is then written over the rest. */
WEFT_INLINE void weft_id_store(const struct weft_id *id, __u8 *at)
{
	weft_store_le64(at, id->words[0]);
	weft_store_le64(at + 8, id->words[1]);
	weft_store_le64(at + 16, id->words[2]);
}

/* The contents of a token, and the facts that it is bound to. */
struct weft_token {
	struct weft_id original;     /* the client's first destination id; known: sealed, len 0 */
	struct weft_endpoint client; /* known: the port is not looked at */
	__u64 retry_scid[2];	     /* the id our Retry gave; known: not looked at */
	__u32 issued_s;		     /* wall clock */
	__u8 kind;
	__u8 generation;
};

enum weft_token_verdict {
	WEFT_TOKEN_FOREIGN, /* no token of this node: as good as none */
	WEFT_TOKEN_GOOD,
	WEFT_TOKEN_FORGED, /* changed, or another's address, id, node */
	WEFT_TOKEN_LATE,
	WEFT_TOKEN_UNKEYED, /* its key is not honoured any more */
};

WEFT_INLINE __u64 weft_token_head(const struct weft_token *token)
{
	return token->kind | (__u64)token->generation << 8 | (__u64)token->original.len << 16 |
	       (__u64)__builtin_bswap32(token->issued_s) << 32;
}

WEFT_INLINE __u64 weft_token_tag(const __u64 key[2], const struct weft_token *token)
{
	_Bool is_retry = token->kind == WEFT_TOKEN_RETRY;
	struct weft_siphash s;

	weft_siphash_init(&s, key);
	weft_siphash_absorb(&s, weft_token_head(token));
	weft_siphash_absorb(&s, token->original.words[0]);
	weft_siphash_absorb(&s, token->original.words[1]);
	weft_siphash_absorb(&s, token->original.words[2] |
					(is_retry ? (__u64)token->client.port_be << 32 : 0));
	weft_siphash_absorb(&s, token->client.words[0]);
	weft_siphash_absorb(&s, token->client.words[1]);
	weft_siphash_absorb(&s, is_retry ? token->retry_scid[0] : 0);
	weft_siphash_absorb(&s, is_retry ? token->retry_scid[1] : 0);
	return weft_siphash_finish(&s, 8);
}

/* weft_token_day: which key is current at wall clock now_s. */
WEFT_INLINE __u32 weft_token_day(__u32 now_s)
{
	return now_s / WEFT_TOKEN_KEY_LIFE_S;
}

WEFT_INLINE const struct weft_siphash_key *weft_token_key(const struct weft_token_keys *keys,
							  __u32 generation)
{
	return &keys->slots[generation % WEFT_TOKEN_KEY_CNT];
}

/* weft_token_keys_set honours key for the tokens of day; it displaces that of four days before. */
WEFT_INLINE void weft_token_keys_set(struct weft_token_keys *keys, __u32 day, const __u64 key[2])
{
	struct weft_siphash_key *slot = &keys->slots[day % WEFT_TOKEN_KEY_CNT];

	slot->key[0] = key[0];
	slot->key[1] = key[1];
	slot->generation = day & 0xff;
	slot->is_set = 1;
}

/*
 * weft_token_retry_scid makes the id that a Retry gives the client: an id of this node, for worker.
 * The original, client and issued_s of token are set before. The id's noise is a hash of what the
 * id is for, under the day's key. So no other node can predict it, and nothing need be kept. When
 * the day has no key, the id is worth nothing, and weft_token_write says so.
 */
WEFT_INLINE void weft_token_retry_scid(const struct weft_cid_keys *cid_keys,
				       const struct weft_token_keys *keys, __u32 worker,
				       struct weft_token *token)
{
	struct weft_siphash s;

	weft_siphash_init(&s, weft_token_key(keys, weft_token_day(token->issued_s))->key);
	weft_siphash_absorb(&s, token->original.words[0]);
	weft_siphash_absorb(&s, token->original.words[1]);
	weft_siphash_absorb(&s, token->original.words[2] | (__u64)token->issued_s << 32);
	weft_siphash_absorb(&s, token->client.words[0] ^ token->client.port_be);
	weft_siphash_absorb(&s, token->client.words[1]);
	weft_cid_make(cid_keys, worker, weft_siphash_finish(&s, 5), token->retry_scid);
}

/*
 * weft_token_write makes the WEFT_TOKEN_LEN bytes at out from token, whose
 * generation it sets from issued_s. 0 when the day has no key.
 */
WEFT_INLINE _Bool weft_token_write(const struct weft_token_keys *keys, struct weft_token *token,
				   __u8 *out)
{
	const struct weft_siphash_key *slot;

	token->generation = weft_token_day(token->issued_s) & 0xff;
	slot = weft_token_key(keys, token->generation);
	if (!slot->is_set || slot->generation != token->generation)
		return 0;
	weft_store_le64(out, weft_token_head(token));
	weft_id_store(&token->original, out + 8);
	weft_store_le64(out + 28, weft_token_tag(slot->key, token));
	return 1;
}

/*
 * weft_token_read says what the WEFT_TOKEN_LEN bytes at at are worth at
 * wall clock now_s. The caller has set token's client and retry_scid to
 * the Initial's source and to its destination id. The rest is filled in
 * from the bytes, and is meaningful when the verdict is GOOD.
 */
WEFT_INLINE enum weft_token_verdict weft_token_read(const struct weft_token_keys *keys,
						    const __u8 *at, __u32 now_s,
						    struct weft_token *token)
{
	__u64 head = weft_load_le64(at);
	__u32 life_s =
		(__u8)head == WEFT_TOKEN_RETRY ? WEFT_TOKEN_RETRY_LIFE_S : WEFT_TOKEN_KNOWN_LIFE_S;
	const struct weft_siphash_key *slot;

	token->kind = (__u8)head;
	token->generation = (__u8)(head >> 8);
	token->issued_s = __builtin_bswap32((__u32)(head >> 32));
	token->original.words[0] = weft_load_le64(at + 8);
	token->original.words[1] = weft_load_le64(at + 16);
	token->original.words[2] = weft_load_le32(at + 24);
	token->original.len = (__u8)(head >> 16);
	token->original.zero = 0;
	if (token->kind != WEFT_TOKEN_RETRY && token->kind != WEFT_TOKEN_KNOWN)
		return WEFT_TOKEN_FOREIGN;
	slot = weft_token_key(keys, token->generation);
	if (!slot->is_set || slot->generation != token->generation)
		return WEFT_TOKEN_UNKEYED;
	if (token->original.len > WEFT_ID_LEN_MAX || head >> 24 & 0xff ||
	    weft_load_le64(at + 28) != weft_token_tag(slot->key, token))
		return WEFT_TOKEN_FORGED;
	if ((__u32)(now_s + WEFT_TOKEN_AHEAD_S - token->issued_s) > life_s + WEFT_TOKEN_AHEAD_S)
		return WEFT_TOKEN_LATE;
	return WEFT_TOKEN_GOOD;
}

#endif
