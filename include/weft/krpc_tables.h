/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_KRPC_TABLES_H
#define WEFT_KRPC_TABLES_H

#include "weft/krpc_reply.h"

/*
 * The tables from which the program answers the DHT's questions. Userspace writes
 * into the maps' memory itself, while the program reads on any CPU:
 *
 *   map                kind    key, value
 *   weft_krpc_selves   array   family: struct weft_krpc_self
 *   weft_krpc_buckets  array   weft_krpc_bucket_idx: struct weft_krpc_bucket
 *   weft_krpc_held     array   word of the set: 64 bits of it
 *   weft_krpc_keys     array   0: struct weft_krpc_reply_keys
 *
 * Nothing is read half written: a value of several words is there twice, and a word
 * says which copy lives, or none. Userspace fills the other copy and then changes that
 * word. The copy that lived is not written again before WEFT_KRPC_REST_NS have passed,
 * and no run of the program takes a thousandth of that. A network's id lives only while
 * all its buckets and a token key do, so a reader that sees the id finds them.
 */
#define WEFT_KRPC_REST_NS 1000000000ull

enum weft_krpc_live {
	WEFT_KRPC_NONE,
	WEFT_KRPC_FIRST,
	WEFT_KRPC_SECOND,
};

/* Our state in a network. */
struct weft_krpc_self {
	struct weft_krpc_id ids[2];
	__u64 token_keys[2][2]; /* of weft_krpc_token */
	__u32 live_id;		/* enum weft_krpc_live */
	__u32 live_token_key;
};

/* The nodes nearest to any target that shares so many leading bits with our id. */
struct weft_krpc_bucket {
	__u32 live; /* enum weft_krpc_live */
	__u32 zero;
	struct weft_krpc_nodes nodes[2];
};

_Static_assert(sizeof(struct weft_krpc_self) == 88, "BPF map value layout");
_Static_assert(sizeof(struct weft_krpc_bucket) == 664, "BPF map value layout");

#define WEFT_KRPC_BUCKETS_CNT (WEFT_KRPC_FAMILY_CNT * WEFT_KRPC_BUCKET_CNT)

WEFT_INLINE __u32 weft_krpc_bucket_idx(__u32 family, __u32 bucket)
{
	return family * WEFT_KRPC_BUCKET_CNT + bucket;
}

/*
 * The keys of which userspace holds something: a bit each of a set that
 * hashes have made random enough. Another key with the same bit costs an
 * answer of userspace's instead of the program's, and nothing else.
 */
#define WEFT_KRPC_HELD_BITS	(1u << 20)
#define WEFT_KRPC_HELD_WORD_CNT (WEFT_KRPC_HELD_BITS / 64)

/* weft_krpc_held_bit: which of them is key's; 64 to a word. */
WEFT_INLINE __u32 weft_krpc_held_bit(const struct weft_krpc_id *key)
{
	/* Not of the first bytes: what we hold is near us. */
	return (__u32)key->words[1] & (WEFT_KRPC_HELD_BITS - 1);
}

/* Where they are in memory; of the program's, as they are mapped. */
struct weft_krpc_tables {
	struct weft_krpc_self *selves;	  /* by family. NULL, and so the others: there are none */
	struct weft_krpc_bucket *buckets; /* WEFT_KRPC_BUCKETS_CNT */
	__u64 *held;			  /* WEFT_KRPC_HELD_WORD_CNT */
	struct weft_krpc_reply_keys *reply_keys;
};

/*
 * Returns the live one of a pair, or NULL. The verifier follows pointers
 * apart and not one of two: the compiler must not make an addition of the
 * choice.
 */
WEFT_INLINE const void *weft_krpc_live(const __u32 *live, const void *first, const void *second)
{
	__u32 which = *(const volatile __u32 *)live;

	if (which == WEFT_KRPC_NONE)
		return 0;
	if (which == WEFT_KRPC_FIRST)
		return first;
	__asm__ volatile("" : "+r"(second));
	return second;
}

/* weft_krpc_live_{id,token_key,nodes}: NULL, too, when there is nothing that could have one. */
WEFT_INLINE const struct weft_krpc_id *weft_krpc_live_id(const struct weft_krpc_self *self)
{
	return self ? weft_krpc_live(&self->live_id, &self->ids[0], &self->ids[1]) : 0;
}

WEFT_INLINE const __u64 *weft_krpc_live_token_key(const struct weft_krpc_self *self)
{
	return self ? weft_krpc_live(&self->live_token_key, self->token_keys[0],
				     self->token_keys[1])
		    : 0;
}

WEFT_INLINE const struct weft_krpc_nodes *
weft_krpc_live_nodes(const struct weft_krpc_bucket *bucket)
{
	return bucket ? weft_krpc_live(&bucket->live, &bucket->nodes[0], &bucket->nodes[1]) : 0;
}

#endif
