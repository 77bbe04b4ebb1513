/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_KRPC_H
#define WEFT_KRPC_H

#include "weft/endpoint.h"
#include "weft/siphash.h"

/*
 * The questions that the DHT asks most (BEP 5: ping, find_node, get_peers; BEP 44:
 * get). They are in the one form in which nearly all nodes write them. Also the
 * answers to those of them that need nothing but a list of nodes. One reader and
 * one writer for the BPF program and for userspace: the same question gets the
 * same bytes from both.
 *
 *   d1:ad2:id20:ID                                            e1:q4:ping      TAIL
 *   d1:ad2:id20:ID  6:target20:TARGET  [4:wantl2:n4e|...n6e]  e1:q9:find_node TAIL
 *   d1:ad2:id20:ID 9:info_hash20:HASH  [4:want...]            e1:q9:get_peers TAIL
 *   d1:ad2:id20:ID  6:target20:TARGET  [4:want...]            e1:q3:get       TAIL
 *
 *   TAIL: [2:roi1e] 1:tN:T [1:v4:V] 1:y1:qe, with T of 1 to 8 bytes
 *
 * Anything else, right or wrong, is for the strict reader in userspace.
 */
#define WEFT_KRPC_ID_LEN	      20
#define WEFT_KRPC_TRANSACTION_LEN_MAX 8
#define WEFT_KRPC_QUERY_LEN_MIN	      55  /* a ping with T of one byte */
#define WEFT_KRPC_QUERY_LEN_MAX	      129 /* a get_peers with all that it may have */

enum weft_krpc_kind {
	WEFT_KRPC_PING,
	WEFT_KRPC_FIND_NODE,
	WEFT_KRPC_GET_PEERS,
	WEFT_KRPC_GET,
};

/* The two networks of the DHT (BEP 32). */
enum weft_krpc_family {
	WEFT_KRPC_IPV4,
	WEFT_KRPC_IPV6,
	WEFT_KRPC_FAMILY_CNT,
};

/* An id, a target or an info-hash; four zeros behind it. Words as they lie in memory. */
struct weft_krpc_id {
	union {
		__u8 bytes[24];
		__u64 words[3];
	};
};

/* A question read. Without pointers, so that the BPF verifier lets functions have it. */
struct weft_krpc_query {
	struct weft_krpc_id asker;
	struct weft_krpc_id target; /* info-hash of get_peers; zeros of a ping */
	__u64 transaction;	    /* T, zeros behind it */
	__u8 transaction_len;
	__u8 kind;	   /* enum weft_krpc_kind */
	__u8 family;	   /* of the nodes wanted: as `want` says, else the asker's */
	__u8 is_read_only; /* BEP 43: answered, and never a contact */
	__u32 off;	   /* how far it was read */
};

/* weft_krpc_family_of: the network that a node at endpoint belongs to. */
WEFT_INLINE enum weft_krpc_family weft_krpc_family_of(const struct weft_endpoint *endpoint)
{
	return weft_endpoint_is_ipv4(endpoint) ? WEFT_KRPC_IPV4 : WEFT_KRPC_IPV6;
}

/* The 20 bytes at at; 24 can be read. */
WEFT_INLINE void weft_krpc_id_load(struct weft_krpc_id *id, const __u8 *at)
{
	id->words[0] = weft_load_le64(at);
	id->words[1] = weft_load_le64(at + 8);
	id->words[2] = weft_load_le32(at + 16);
}

/* Writes all 24: what follows the id is then written over the rest. */
WEFT_INLINE void weft_krpc_id_store(const struct weft_krpc_id *id, __u8 *at)
{
	weft_store_le64(at, id->words[0]);
	weft_store_le64(at + 8, id->words[1]);
	weft_store_le64(at + 16, id->words[2]);
}

WEFT_INLINE _Bool weft_krpc_id_equal(const struct weft_krpc_id *a, const struct weft_krpc_id *b)
{
	return a->words[0] == b->words[0] && a->words[1] == b->words[1] &&
	       a->words[2] == b->words[2];
}

/*
 * weft_krpc_bucket: how many leading bits two ids share, 0 to 159; an id
 * and itself are in the last bucket.
 */
#define WEFT_KRPC_BUCKET_CNT 160

WEFT_INLINE __u32 weft_krpc_bucket(const struct weft_krpc_id *a, const struct weft_krpc_id *b)
{
	__u32 shared = 0;
	__u64 word = __builtin_bswap64(a->words[0] ^ b->words[0]);

	if (!word) {
		word = __builtin_bswap64(a->words[1] ^ b->words[1]);
		shared = 64;
	}
	if (!word) {
		/* The last four bytes; a bit behind them stops the count. */
		word = __builtin_bswap64(a->words[2] ^ b->words[2]) | 1ull << 32;
		shared = 128;
	}
	/* By halves: BPF has no instruction that counts zeros. */
	for (__u32 half = 32; half > 0; half >>= 1) {
		if (word >> (64 - half))
			continue;
		word <<= half;
		shared += half;
	}
	return shared;
}

/*
 * A datagram's bytes where any offset below 128 can be read at; what
 * follows the datagram does not matter.
 */
#define WEFT_KRPC_TEXT_LEN 144

struct weft_krpc_text {
	__u8 bytes[WEFT_KRPC_TEXT_LEN];
};

/*
 * An offset from memory, at most mask. To the BPF verifier one that it
 * knows is another program for each way that leads there; of this it knows
 * the mask.
 */
WEFT_INLINE __u32 weft_krpc_off(const __u32 *off, __u32 mask)
{
	return *(const volatile __u32 *)off & mask;
}

/* The next eight bytes; and those behind them. */
WEFT_INLINE const __u8 *weft_krpc_next(const struct weft_krpc_text *text,
				       const struct weft_krpc_query *query)
{
	return text->bytes + weft_krpc_off(&query->off, 127);
}

/* The letters of text as the word that they are in memory. */
#define WEFT_KRPC_LETTER(text, i) ((__u64)(__u8)(text)[i] << 8 * (i))
#define WEFT_KRPC_2(text)	  (WEFT_KRPC_LETTER(text, 0) | WEFT_KRPC_LETTER(text, 1))
#define WEFT_KRPC_3(text)	  (WEFT_KRPC_2(text) | WEFT_KRPC_LETTER(text, 2))
#define WEFT_KRPC_4(text)	  (WEFT_KRPC_3(text) | WEFT_KRPC_LETTER(text, 3))
#define WEFT_KRPC_5(text)	  (WEFT_KRPC_4(text) | WEFT_KRPC_LETTER(text, 4))
#define WEFT_KRPC_6(text)	  (WEFT_KRPC_5(text) | WEFT_KRPC_LETTER(text, 5))
#define WEFT_KRPC_7(text)	  (WEFT_KRPC_6(text) | WEFT_KRPC_LETTER(text, 6))
#define WEFT_KRPC_8(text)	  (WEFT_KRPC_7(text) | WEFT_KRPC_LETTER(text, 7))

/* The first len bytes of a word, 1 to 8. */
WEFT_INLINE __u64 weft_krpc_head(__u64 word, __u32 len)
{
	return word << (64 - 8 * len) >> (64 - 8 * len);
}

/*
 * The parts of a question, in the order in which they stand: whether each
 * is as it should be, with query->off behind it.
 */
WEFT_INLINE _Bool weft_krpc_read_target(const struct weft_krpc_text *text,
					struct weft_krpc_query *query)
{
	const __u8 *at = text->bytes;
	__u64 first = weft_load_le64(at + 32), second = weft_load_le64(at + 40);

	weft_krpc_id_load(&query->asker, at + 12);
	query->target = (struct weft_krpc_id){.words = {0, 0, 0}};
	query->kind = WEFT_KRPC_PING;
	query->off = 32;
	if (first == WEFT_KRPC_8("6:target") && weft_krpc_head(second, 3) == WEFT_KRPC_3("20:")) {
		query->kind = WEFT_KRPC_FIND_NODE;
		query->off = 43;
	}
	if (first == WEFT_KRPC_8("9:info_h") &&
	    weft_krpc_head(second, 6) == WEFT_KRPC_6("ash20:")) {
		query->kind = WEFT_KRPC_GET_PEERS;
		query->off = 46;
	}
	if (query->kind != WEFT_KRPC_PING) {
		weft_krpc_id_load(&query->target, weft_krpc_next(text, query));
		query->off += WEFT_KRPC_ID_LEN;
	}
	return weft_load_le64(at) == WEFT_KRPC_8("d1:ad2:i") &&
	       weft_load_le32(at + 8) == WEFT_KRPC_4("d20:");
}

WEFT_INLINE _Bool weft_krpc_read_want(const struct weft_krpc_text *text,
				      struct weft_krpc_query *query)
{
	const __u8 *at = weft_krpc_next(text, query);
	__u32 family = weft_load_le32(at + 8);

	if (weft_load_le64(at) != WEFT_KRPC_8("4:wantl2"))
		return 1;
	query->off += 12;
	query->family = family == WEFT_KRPC_4(":n4e") ? WEFT_KRPC_IPV4 : WEFT_KRPC_IPV6;
	return query->kind != WEFT_KRPC_PING &&
	       (family == WEFT_KRPC_4(":n4e") || family == WEFT_KRPC_4(":n6e"));
}

WEFT_INLINE _Bool weft_krpc_read_method(const struct weft_krpc_text *text,
					struct weft_krpc_query *query)
{
	const __u8 *at = weft_krpc_next(text, query);
	__u64 first = weft_load_le64(at), second = weft_load_le64(at + 8);

	if (query->kind == WEFT_KRPC_PING) {
		query->off += 10;
		return first == WEFT_KRPC_8("e1:q4:pi") &&
		       weft_krpc_head(second, 2) == WEFT_KRPC_2("ng");
	}
	if (query->kind == WEFT_KRPC_FIND_NODE && first == WEFT_KRPC_8("e1:q3:ge")) {
		query->kind = WEFT_KRPC_GET;
		query->off += 9;
		return (__u8)second == 't';
	}
	query->off += 15;
	return query->kind == WEFT_KRPC_GET_PEERS
		       ? first == WEFT_KRPC_8("e1:q9:ge") &&
				 weft_krpc_head(second, 7) == WEFT_KRPC_7("t_peers")
		       : first == WEFT_KRPC_8("e1:q9:fi") &&
				 weft_krpc_head(second, 7) == WEFT_KRPC_7("nd_node");
}

WEFT_INLINE _Bool weft_krpc_read_transaction(const struct weft_krpc_text *text,
					     struct weft_krpc_query *query)
{
	const __u8 *at;
	__u64 word = weft_load_le64(weft_krpc_next(text, query));
	__u32 len;

	query->is_read_only = weft_krpc_head(word, 7) == WEFT_KRPC_7("2:roi1e");
	if (query->is_read_only)
		query->off += 7;
	at = weft_krpc_next(text, query);
	word = weft_load_le64(at);
	len = (__u32)(word >> 24 & 0xff) - '0';
	if (weft_krpc_head(word, 3) != WEFT_KRPC_3("1:t") || (word >> 32 & 0xff) != ':' ||
	    len - 1 >= WEFT_KRPC_TRANSACTION_LEN_MAX)
		return 0;
	query->transaction_len = (__u8)len;
	query->transaction = weft_krpc_head(weft_load_le64(at + 5), len);
	query->off += 5 + len;
	return 1;
}

/* Up to the datagram's end at len. */
WEFT_INLINE _Bool weft_krpc_read_end(const struct weft_krpc_text *text, __u32 len,
				     struct weft_krpc_query *query)
{
	__u64 word = weft_load_le64(weft_krpc_next(text, query));

	if (weft_krpc_head(word, 5) == WEFT_KRPC_5("1:v4:"))
		query->off += 9;
	word = weft_load_le64(weft_krpc_next(text, query));
	return weft_krpc_head(word, 7) == WEFT_KRPC_7("1:y1:qe") && query->off + 7 == len;
}

/*
 * weft_krpc_query_read reads the datagram of len bytes in text, which came
 * from the network family. 0: it is not of the form above, and query means
 * nothing.
 */
WEFT_INLINE _Bool weft_krpc_query_read(const struct weft_krpc_text *text, __u32 len,
				       enum weft_krpc_family family, struct weft_krpc_query *query)
{
	query->family = (__u8)family;
	return len >= WEFT_KRPC_QUERY_LEN_MIN && len <= WEFT_KRPC_QUERY_LEN_MAX &&
	       weft_krpc_read_target(text, query) && weft_krpc_read_want(text, query) &&
	       weft_krpc_read_method(text, query) && weft_krpc_read_transaction(text, query) &&
	       weft_krpc_read_end(text, len, query);
}

/*
 * Nodes as an answer has them, key and all: "5:nodes52:" and two compact
 * nodes of 26 bytes, or "6:nodes6" and so many of 38.
 */
#define WEFT_KRPC_NODE_CNT_MAX	8
#define WEFT_KRPC_NODE_LEN_MAX	38
#define WEFT_KRPC_NODES_LEN_MAX (8 + 4 + WEFT_KRPC_NODE_CNT_MAX * WEFT_KRPC_NODE_LEN_MAX)
#define WEFT_KRPC_NODES_CAP	320

struct weft_krpc_nodes {
	__u32 len; /* at most WEFT_KRPC_NODES_LEN_MAX */
	__u32 zero;
	__u8 text[WEFT_KRPC_NODES_CAP];
};

_Static_assert(WEFT_KRPC_NODES_LEN_MAX <= WEFT_KRPC_NODES_CAP && WEFT_KRPC_NODES_CAP % 8 == 0,
	       "copied by words");

/* weft_krpc_node_len: of a compact node, id, address and port. */
WEFT_INLINE __u32 weft_krpc_node_len(enum weft_krpc_family family)
{
	return family == WEFT_KRPC_IPV4 ? 26 : 38;
}

#ifndef __bpf__
/* weft_krpc_nodes_write: cnt compact nodes of family, 0 to WEFT_KRPC_NODE_CNT_MAX, as an answer has them. */
WEFT_INLINE void weft_krpc_nodes_write(struct weft_krpc_nodes *nodes, enum weft_krpc_family family,
				       const __u8 *compact, __u32 cnt)
{
	__u32 len = cnt * weft_krpc_node_len(family), off = family == WEFT_KRPC_IPV4 ? 7 : 8;

	*nodes = (struct weft_krpc_nodes){.len = 0};
	__builtin_memcpy(nodes->text, family == WEFT_KRPC_IPV4 ? "5:nodes" : "6:nodes6", off);
	for (__u32 unit = len >= 100 ? 100 : len >= 10 ? 10 : 1; unit > 0; unit /= 10)
		nodes->text[off++] = (__u8)('0' + len / unit % 10);
	nodes->text[off++] = ':';
	__builtin_memcpy(nodes->text + off, compact, len);
	nodes->len = off + len;
}
#endif

/*
 * weft_krpc_token: what an answer to a get or get_peers of asker carries, and its put or
 * announce_peer has to bring. It is SipHash-2-4 over the asker's address, whatever the port, as
 * eight bytes in little-endian order.
 */
#define WEFT_KRPC_TOKEN_LEN 8

WEFT_INLINE __u64 weft_krpc_token(const __u64 key[2], const struct weft_endpoint *asker)
{
	struct weft_siphash s;

	weft_siphash_init(&s, key);
	weft_siphash_absorb(&s, asker->words[0]);
	weft_siphash_absorb(&s, asker->words[1]);
	return weft_siphash_finish(&s, 2);
}

/*
 * An answer, its keys in order:
 *
 *   d2:ip6:ADDRPORT1:rd2:id20:ID[5:nodes...][5:token8:TOKEN]e1:tN:T1:y1:re
 *
 * with 18 bytes of address and port in IPv6. Never more than
 * WEFT_KRPC_GAIN_MAX times what asked for it.
 */
#define WEFT_KRPC_GAIN_MAX     5
#define WEFT_KRPC_HEAD_LEN_MAX 57
#define WEFT_KRPC_TAIL_LEN_MAX 21 /* e1:tN:T1:y1:re */
#define WEFT_KRPC_ANSWER_LEN_MAX                                                                   \
	(WEFT_KRPC_HEAD_LEN_MAX + WEFT_KRPC_NODES_LEN_MAX + 9 + WEFT_KRPC_TOKEN_LEN +              \
	 WEFT_KRPC_TAIL_LEN_MAX)
/* The most for the least: a get of 85 bytes by IPv6. */
_Static_assert(WEFT_KRPC_ANSWER_LEN_MAX - 7 <= WEFT_KRPC_GAIN_MAX * 85, "gain of a get");
_Static_assert(WEFT_KRPC_HEAD_LEN_MAX < 64 && WEFT_KRPC_ANSWER_LEN_MAX < 512, "masks");

/* Where an answer is written: words reach beyond its end, as far as the verifier fears. */
struct weft_krpc_draft {
	__u8 bytes[536];
	__u32 len;
	__u32 zero;
};

/* weft_krpc_has_{nodes,token}: what the answer to query has besides an id. */
WEFT_INLINE _Bool weft_krpc_has_nodes(const struct weft_krpc_query *query)
{
	return query->kind != WEFT_KRPC_PING;
}

WEFT_INLINE _Bool weft_krpc_has_token(const struct weft_krpc_query *query)
{
	return query->kind == WEFT_KRPC_GET_PEERS || query->kind == WEFT_KRPC_GET;
}

/* weft_krpc_answer_len_max: what the answer has when eight nodes are known. */
WEFT_INLINE __u32 weft_krpc_answer_len_max(const struct weft_krpc_query *query, _Bool is_ipv4)
{
	__u32 len = (is_ipv4 ? 44u : 57u) + 13 + query->transaction_len;

	if (weft_krpc_has_nodes(query))
		len += query->family == WEFT_KRPC_IPV4 ? 219 : 316;
	return weft_krpc_has_token(query) ? len + 9 + WEFT_KRPC_TOKEN_LEN : len;
}

/* The asker's address, and the id of the node that answers. */
WEFT_INLINE void weft_krpc_write_head(const struct weft_endpoint *asker,
				      const struct weft_krpc_id *own, struct weft_krpc_draft *draft)
{
	__u8 *at = draft->bytes;

	if (weft_endpoint_is_ipv4(asker)) {
		weft_store_le64(at, WEFT_KRPC_7("d2:ip6:"));
		weft_store_le32(at + 7, (__u32)(asker->words[1] >> 32));
		draft->len = 11;
	} else {
		weft_store_le64(at, WEFT_KRPC_8("d2:ip18:"));
		weft_store_le64(at + 8, asker->words[0]);
		weft_store_le64(at + 16, asker->words[1]);
		draft->len = 24;
	}
	at += weft_krpc_off(&draft->len, 31);
	WEFT_STORE(__be16, at, asker->port_be);
	weft_store_le64(at + 2, WEFT_KRPC_8("1:rd2:id"));
	weft_store_le32(at + 10, (__u32)WEFT_KRPC_3("20:"));
	weft_krpc_id_store(own, at + 13);
	draft->len += 13 + WEFT_KRPC_ID_LEN;
}

WEFT_INLINE void weft_krpc_write_nodes(const struct weft_krpc_nodes *nodes,
				       struct weft_krpc_draft *draft)
{
	__u8 *at = draft->bytes + weft_krpc_off(&draft->len, 63);

	WEFT_UNROLL
	for (__u32 i = 0; i < WEFT_KRPC_NODES_CAP; i += 8)
		weft_store_le64(at + i, weft_load_le64(nodes->text + i));
	draft->len += nodes->len;
}

WEFT_INLINE __u8 *weft_krpc_end(struct weft_krpc_draft *draft)
{
	return draft->bytes + weft_krpc_off(&draft->len, 511);
}

WEFT_INLINE void weft_krpc_write_token(__u64 token, struct weft_krpc_draft *draft)
{
	__u8 *at = weft_krpc_end(draft);

	weft_store_le64(at, WEFT_KRPC_8("5:token8"));
	at[8] = ':';
	weft_store_le64(at + 9, token);
	draft->len += 9 + WEFT_KRPC_TOKEN_LEN;
}

/* The end of `r`, the question's T, and what it is. */
WEFT_INLINE void weft_krpc_write_tail(const struct weft_krpc_query *query,
				      struct weft_krpc_draft *draft)
{
	__u8 *at = weft_krpc_end(draft);

	weft_store_le64(at, WEFT_KRPC_4("e1:t") | (__u64)('0' + query->transaction_len) << 32 |
				    (__u64)':' << 40);
	weft_store_le64(at + 6, query->transaction);
	draft->len += 6 + query->transaction_len;
	at = weft_krpc_end(draft);
	weft_store_le64(at, WEFT_KRPC_7("1:y1:re"));
	draft->len += 7;
}

/*
 * weft_krpc_answer_write writes the answer to query, which came from asker,
 * and returns its length, at most WEFT_KRPC_ANSWER_LEN_MAX. own: the id of
 * this node in the network that asker belongs to. nodes: those nearest to
 * the target in the network that query wants, not looked at for a ping.
 * token is asker's; it is not looked at for ping and find_node.
 */
WEFT_INLINE __u32 weft_krpc_answer_write(const struct weft_krpc_query *query,
					 const struct weft_endpoint *asker,
					 const struct weft_krpc_id *own,
					 const struct weft_krpc_nodes *nodes, __u64 token,
					 struct weft_krpc_draft *draft)
{
	weft_krpc_write_head(asker, own, draft);
	if (nodes && weft_krpc_has_nodes(query))
		weft_krpc_write_nodes(nodes, draft);
	if (weft_krpc_has_token(query))
		weft_krpc_write_token(token, draft);
	weft_krpc_write_tail(query, draft);
	return draft->len;
}

#endif
