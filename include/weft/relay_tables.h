/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_RELAY_TABLES_H
#define WEFT_RELAY_TABLES_H

#include "weft/bucket.h"
#include "weft/classify.h"
#include "weft/endpoint.h"
#include "weft/siphash.h"

/*
 * Relay flows: the label in front of a relayed datagram, and the tables by
 * which the relay's driver and its workers forward. One memory has them:
 * the maps of bpf/maps.h where a device is attached, else the relay's own.
 * Program and workers take credit by the same atomics, so both at once
 * forward no more than one of them.
 *
 *   byte  0      0x9e
 *   byte  1      bit 7: the leg, bits 0 and 1: the kind, others 0
 *   byte  2      0x80 | the relay's worker
 *   byte  3      generation of the relay key: the hour, modulo 256
 *   bytes 4..5   index of the flow, little-endian
 *   bytes 6..7   salt of this allocation of the index
 *   bytes 8..15  SipHash-2-4 over bytes 0..7 with kind 0, little-endian
 *
 * A QUIC packet or a path probe follows it, but for the two answers. The
 * label is as long on both legs, so a relay rewrites it in place.
 */
#define WEFT_RELAY_INNER_LEN_MIN 21 /* the smallest stateless reset (RFC 9000 10.3) */
#define WEFT_RELAY_LEN_MIN	 (WEFT_RELAY_LABEL_LEN + WEFT_RELAY_INNER_LEN_MIN)
#define WEFT_RELAY_TOO_BIG_LEN	 (WEFT_RELAY_LABEL_LEN + 2) /* the MTU follows, big-endian */

enum weft_relay_kind {
	WEFT_RELAY_TO_RELAY, /* from an end: the only kind that is forwarded */
	WEFT_RELAY_TO_END,   /* from the relay */
	WEFT_RELAY_UNKNOWN,  /* the relay's answer: a right tag of a flow that it has not */
	WEFT_RELAY_TOO_BIG,  /* the relay's answer: longer than the other leg carries */
};

/* The label's first word, as it lies in memory. */
#define WEFT_RELAY_KIND_SHIFT	    8
#define WEFT_RELAY_LEG_SHIFT	    15
#define WEFT_RELAY_WORKER_SHIFT	    16
#define WEFT_RELAY_GENERATION_SHIFT 24
#define WEFT_RELAY_INDEX_SHIFT	    32
#define WEFT_RELAY_SALT_SHIFT	    48
#define WEFT_RELAY_KIND_MASK	    (3ull << WEFT_RELAY_KIND_SHIFT)
#define WEFT_RELAY_ZERO_MASK	    (0x7cull << WEFT_RELAY_KIND_SHIFT)
#define WEFT_RELAY_WORKER_BIT	    (0x80ull << WEFT_RELAY_WORKER_SHIFT)

struct weft_relay_label {
	__u64 head, tag;
};

WEFT_INLINE enum weft_relay_kind weft_relay_kind(__u64 head)
{
	return (enum weft_relay_kind)(head >> WEFT_RELAY_KIND_SHIFT & 3);
}

WEFT_INLINE __u64 weft_relay_head_of_kind(__u64 head, enum weft_relay_kind kind)
{
	return (head & ~WEFT_RELAY_KIND_MASK) | (__u64)kind << WEFT_RELAY_KIND_SHIFT;
}

WEFT_INLINE __u32 weft_relay_leg(__u64 head)
{
	return head >> WEFT_RELAY_LEG_SHIFT & 1;
}

WEFT_INLINE __u32 weft_relay_index(__u64 head)
{
	return head >> WEFT_RELAY_INDEX_SHIFT & 0xffff;
}

WEFT_INLINE __u16 weft_relay_salt(__u64 head)
{
	return (__u16)(head >> WEFT_RELAY_SALT_SHIFT);
}

WEFT_INLINE __u32 weft_relay_generation(__u64 head)
{
	return head >> WEFT_RELAY_GENERATION_SHIFT & 0xff;
}

/*
 * A rate in bytes. The cost of a byte is in units of 2^-20 ns, so that both
 * 8 kbit/s and 100 Gbit/s have one.
 */
#define WEFT_RELAY_COST_SHIFT 20

struct weft_relay_rate {
	__u64 cost; /* 0: no limit */
	__u64 credit_max_ns;
};

/* weft_relay_rate: so many bytes a second, and a burst. 0: no limit. Bursts last an hour at most. */
WEFT_INLINE struct weft_relay_rate weft_relay_rate(__u64 bytes_per_s, __u64 burst_len)
{
	struct weft_relay_rate rate = {0, 0};
	__u64 burst_ns;

	if (!bytes_per_s)
		return rate;
	rate.cost = (1000000000ull << WEFT_RELAY_COST_SHIFT) / bytes_per_s;
	if (!rate.cost)
		rate.cost = 1;
	burst_ns = burst_len / bytes_per_s >= 3600
			   ? 3600000000000ull
			   : burst_len / bytes_per_s * 1000000000 +
				     burst_len % bytes_per_s * 1000000000 / bytes_per_s;
	rate.credit_max_ns = burst_ns;
	return rate;
}

/* weft_relay_cost_ns: what len bytes, 65,575 at most, cost; rounded up, so never more than the rate. */
WEFT_INLINE __u64 weft_relay_cost_ns(const struct weft_relay_rate *rate, __u32 len)
{
	return (rate->cost * len + (1ull << WEFT_RELAY_COST_SHIFT) - 1) >> WEFT_RELAY_COST_SHIFT;
}

/* weft_relay_take takes the credit of len bytes from mark (weft_mark_take), or nothing. */
WEFT_INLINE _Bool weft_relay_take(__u64 *mark, const struct weft_relay_rate *rate, __u32 len,
				  __u64 now_ns)
{
	const struct weft_bucket_rate cost = {weft_relay_cost_ns(rate, len), rate->credit_max_ns};

	return rate->cost == 0 || weft_mark_take(mark, &cost, 1, now_ns);
}

/* weft_relay_give_back: what weft_relay_take took, and a later step refused. */
WEFT_INLINE void weft_relay_give_back(__u64 *mark, const struct weft_relay_rate *rate, __u32 len)
{
	if (rate->cost)
		__sync_fetch_and_sub(mark, weft_relay_cost_ns(rate, len));
}

/*
 * weft_relay_spend takes len bytes of a volume, or nothing. Taking first and
 * giving back never admits too much: at worst two that meet at the end are
 * both refused.
 */
WEFT_INLINE _Bool weft_relay_spend(__s64 *volume_left, __u32 len)
{
	if (*(volatile __s64 *)volume_left < (__s64)len)
		return 0;
	if (__sync_fetch_and_sub(volume_left, (__s64)len) >= (__s64)len)
		return 1;
	__sync_fetch_and_add(volume_left, (__s64)len);
	return 0;
}

/* The tables; values of array maps that userspace has in its memory. */
#define WEFT_RELAY_FLOW_CNT_MAX 65536u
#define WEFT_RELAY_GRANT_CNT	4096u /* row 0 stands for none */
#define WEFT_RELAY_KEY_CNT	4     /* hours honoured: this one and three before */
#define WEFT_RELAY_KEY_LIFE_S	3600

#define WEFT_RELAY_DEVICE_CNT 8 /* that frames may leave by */

/* Answers of kind 2 by program and workers together, 16 bytes each, and a burst of a tenth of it. */
#define WEFT_RELAY_ANSWER_RATE ((struct weft_bucket_rate){50000, 100000000}) /* 20,000/s */
/* Datagrams of a flow that userspace sees because they came from elsewhere than their leg. */
#define WEFT_RELAY_MOVED_RATE ((struct weft_bucket_rate){100000000, 1000000000}) /* 10/s */

struct weft_relay_keys {
	struct weft_siphash_key slots[WEFT_RELAY_KEY_CNT]; /* hour h is in slot h % 4 */
	__u64 answer_mark;				   /* program and workers */
};

/*
 * How frames reach a leg: what its own frames came by, turned round. The
 * kernel's socket sends while there is none, or when it is old.
 */
#define WEFT_RELAY_LINK_AGE_NS 30000000000ull /* unheard for longer, a neighbour may have moved */

struct weft_relay_link {
	__u64 to, from; /* MACs, as the dest of struct weft_frame */
	__u64 tags;	/* as of struct weft_frame */
	__u32 ifindex;	/* 0: not learned */
	__u32 zero;
};

struct weft_relay_leg {
	struct weft_endpoint remote;   /* where its end is; port 0: on TCP; all 0: nowhere yet */
	struct weft_endpoint local;    /* this relay's address, which that end talks to */
	struct weft_relay_label label; /* of what goes to this end: kind 1 */
	struct weft_relay_link link;
	__u64 heard_ns; /* when this leg's last datagram was forwarded */
};

/* weft_relay_is_on_tcp: leg is a session on TCP, to which userspace alone can send. */
WEFT_INLINE _Bool weft_relay_is_on_tcp(const struct weft_relay_leg *leg)
{
	return !leg->remote.port_be && leg->remote.words[0];
}

enum weft_relay_state {
	WEFT_RELAY_FREE,
	WEFT_RELAY_OPEN,
};

/*
 * One flow. version is odd while userspace or the program writes legs, link
 * headers, rates or state. A reader takes what it needs and looks at version
 * again. The rest is counted by atomics.
 */
struct weft_relay_flow {
	__u32 version;
	__u16 salt;
	__u16 state; /* enum weft_relay_state */
	__u32 grant; /* row; 0: none */
	__u16 mtu;   /* longest inner datagram that both legs carry */
	__u16 zero;
	struct weft_relay_rate rate; /* of each direction */
	__u64 marks[2];		     /* by the leg that sends, and so below */
	__u64 moved_marks[2];	     /* the program's, userspace's */
	__u64 bytes[2];		     /* of IP packets that left */
	__u64 packets[2];
	__u64 refused[2]; /* packets: no credit or no volume */
	struct weft_relay_leg legs[2];
};

struct weft_relay_grant {
	struct weft_relay_rate rate; /* of all its flows, both directions */
	__u64 mark;
	__s64 volume_left; /* of the lease at hand, bytes */
	__u64 zero[4];	   /* a cache line each, for CPUs fight for them */
};

_Static_assert(sizeof(struct weft_relay_keys) == 104, "BPF map value layout");
_Static_assert(sizeof(struct weft_relay_leg) == 104, "BPF map value layout");
_Static_assert(sizeof(struct weft_relay_flow) == 320, "five cache lines");
_Static_assert(sizeof(struct weft_relay_grant) == 64, "a cache line");

/* The datagram at hand, and where it goes. */
struct weft_relay_way {
	struct weft_relay_label label; /* as it came */
	__u32 inner;		       /* the first byte behind it */
	__u32 leg;		       /* that sent it */
	__u32 grant;
	__u32 mtu;	 /* of the flow, for the answer */
	__u32 places[2]; /* in its new headers */
	struct weft_relay_rate rate;
	struct weft_relay_leg out; /* the other leg */
};

_Static_assert(sizeof(struct weft_relay_way) == 160, "part of the scratch map's value");

/* Where they are in memory; of the program's, as they are mapped. */
struct weft_relay_tables {
	struct weft_relay_keys *keys;	 /* NULL, and so the others: this node is no relay */
	struct weft_relay_flow *flows;	 /* flow_cnt */
	struct weft_relay_grant *grants; /* WEFT_RELAY_GRANT_CNT */
	__u32 flow_cnt;
};

/*
 * Between reading a version and reading what it guards. Loads are in order
 * on x86; elsewhere an atomic addition is the barrier that BPF has.
 */
#if defined(__bpf__) && !defined(WEFT_BPF_ORDERED_LOADS)
#define weft_relay_order(word) ((void)__sync_fetch_and_add((word), 0))
#elif defined(__bpf__)
#define weft_relay_order(word) __asm__ volatile("" : : : "memory")
#else
#define weft_relay_order(word) __atomic_thread_fence(__ATOMIC_ACQ_REL)
#endif

/*
 * weft_relay_{begin,end}_write: 0 when another CPU writes the flow just
 * now. Between them no reader takes what is half written.
 */
WEFT_INLINE _Bool weft_relay_begin_write(struct weft_relay_flow *flow)
{
	__u32 seen = *(volatile __u32 *)&flow->version;

	return !(seen & 1) && __sync_val_compare_and_swap(&flow->version, seen, seen + 1) == seen;
}

WEFT_INLINE void weft_relay_end_write(struct weft_relay_flow *flow)
{
	__sync_fetch_and_add(&flow->version, 1);
}

/* weft_relay_key: of that generation, or NULL: too old, or none yet. */
WEFT_INLINE const struct weft_siphash_key *weft_relay_key(const struct weft_relay_keys *keys,
							  __u32 generation)
{
	const struct weft_siphash_key *slot = &keys->slots[generation % WEFT_RELAY_KEY_CNT];

	return slot->is_set && slot->generation == generation ? slot : 0;
}

/* weft_relay_is_ours: label, of whatever kind, was made by this relay. */
WEFT_INLINE _Bool weft_relay_is_ours(const struct weft_relay_keys *keys,
				     const struct weft_relay_label *label)
{
	const struct weft_siphash_key *key =
		weft_relay_key(keys, weft_relay_generation(label->head));

	return key && weft_siphash_word(key->key, weft_relay_head_of_kind(label->head,
									  WEFT_RELAY_TO_RELAY)) ==
			      label->tag;
}

/* weft_relay_answer writes the answer of kind UNKNOWN or TOO_BIG to way, and returns its length. */
WEFT_INLINE __u32 weft_relay_answer(const struct weft_relay_way *way, enum weft_relay_kind kind,
				    __u8 *out)
{
	weft_store_le64(out, weft_relay_head_of_kind(way->label.head, kind));
	weft_store_le64(out + 8, way->label.tag);
	out[16] = (__u8)(way->mtu >> 8);
	out[17] = (__u8)way->mtu;
	return kind == WEFT_RELAY_UNKNOWN ? WEFT_RELAY_LABEL_LEN : WEFT_RELAY_TOO_BIG_LEN;
}

#ifndef __bpf__
/* weft_relay_label_make: of leg, kind 0, under the key of generation. 0: that key is not there. */
WEFT_INLINE _Bool weft_relay_label_make(const struct weft_relay_keys *keys, __u32 generation,
					__u64 place, struct weft_relay_label *out_label)
{
	const struct weft_siphash_key *key = weft_relay_key(keys, generation & 0xff);

	if (!key)
		return 0;
	out_label->head = place | WEFT_RELAY_FIRST_BYTE | WEFT_RELAY_WORKER_BIT |
			  (__u64)(generation & 0xff) << WEFT_RELAY_GENERATION_SHIFT;
	out_label->tag = weft_siphash_word(key->key, out_label->head);
	return 1;
}

/* weft_relay_place: leg, worker, index and salt, where the label's first word has them. */
WEFT_INLINE __u64 weft_relay_place(__u32 leg, __u32 worker, __u32 index, __u16 salt)
{
	return (__u64)(leg & 1) << WEFT_RELAY_LEG_SHIFT |
	       (__u64)(worker & 0x7f) << WEFT_RELAY_WORKER_SHIFT |
	       (__u64)(index & 0xffff) << WEFT_RELAY_INDEX_SHIFT |
	       (__u64)salt << WEFT_RELAY_SALT_SHIFT;
}
#endif

#endif
