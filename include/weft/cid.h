/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_CID_H
#define WEFT_CID_H

#include <linux/types.h>

/*
 * The QUIC connection ids we hand out, for the driver and for userspace:
 *
 *   byte  0      0x80 | worker, so that a short header never looks like KRPC
 *   byte  1      generation of the key under which the tag was made
 *   bytes 2..7   random
 *   bytes 8..15  SipHash-2-4 over bytes 0..7, little-endian
 *
 * Whoever was not given an id cannot make one: a wrong tag is dropped
 * without a look-up. Plain C without libc, loops or pointer arithmetic on
 * lengths, so that the BPF verifier takes it too.
 */
#define WEFT_CID_LEN	    16
#define WEFT_CID_RANDOM_LEN 6
#define WEFT_CID_WORKER_MAX 127
/*
 * How many generations are honoured at once. An id lives as long as its
 * connection unless it is retired, so rotation must be slower than
 * idle connections by this factor.
 */
#define WEFT_CID_KEY_CNT 4

struct weft_cid_key {
	__u64 key[2];
	__u32 generation; /* 0..255 */
	__u32 is_set;
};

/* A BPF map value. Userspace writes it, everybody reads it. */
struct weft_cid_keys {
	struct weft_cid_key slots[WEFT_CID_KEY_CNT]; /* generation g is in slot g % 4 */
	__u32 current_generation;
	__u32 zero;
};

_Static_assert(sizeof(struct weft_cid_key) == 24, "BPF map value layout");
_Static_assert(sizeof(struct weft_cid_keys) == 104, "BPF map value layout");

static inline __u64 weft_cid_load_le64(const __u8 *at)
{
	return (__u64)at[0] | (__u64)at[1] << 8 | (__u64)at[2] << 16 | (__u64)at[3] << 24 |
	       (__u64)at[4] << 32 | (__u64)at[5] << 40 | (__u64)at[6] << 48 | (__u64)at[7] << 56;
}

struct weft_siphash {
	__u64 v0, v1, v2, v3;
};

static inline __u64 weft_siphash_rotate(__u64 word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void weft_siphash_round(struct weft_siphash *s)
{
	s->v0 += s->v1;
	s->v1 = weft_siphash_rotate(s->v1, 13) ^ s->v0;
	s->v0 = weft_siphash_rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = weft_siphash_rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = weft_siphash_rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = weft_siphash_rotate(s->v1, 17) ^ s->v2;
	s->v2 = weft_siphash_rotate(s->v2, 32);
}

/*
 * weft_siphash_word is SipHash-2-4 of the eight bytes that word is in
 * little-endian order: base/siphash.h for one input length, unrolled.
 */
static inline __u64 weft_siphash_word(const __u64 key[2], __u64 word)
{
	const __u64 length_block = (__u64)8 << 56;
	struct weft_siphash s = {
		.v0 = key[0] ^ 0x736f6d6570736575ull,
		.v1 = key[1] ^ 0x646f72616e646f6dull,
		.v2 = key[0] ^ 0x6c7967656e657261ull,
		.v3 = key[1] ^ 0x7465646279746573ull,
	};

	s.v3 ^= word;
	weft_siphash_round(&s);
	weft_siphash_round(&s);
	s.v0 ^= word;
	s.v3 ^= length_block;
	weft_siphash_round(&s);
	weft_siphash_round(&s);
	s.v0 ^= length_block;
	s.v2 ^= 0xff;
	weft_siphash_round(&s);
	weft_siphash_round(&s);
	weft_siphash_round(&s);
	weft_siphash_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/*
 * weft_cid_keys_rotate makes key current under the next generation; ids
 * of the oldest of WEFT_CID_KEY_CNT generations stop being ours. Start
 * with a zeroed table. Userspace only; a copy is then put into the map.
 */
static inline void weft_cid_keys_rotate(struct weft_cid_keys *keys, const __u64 key[2])
{
	__u32 generation = (keys->current_generation + 1) & 0xff;
	struct weft_cid_key *slot = &keys->slots[generation % WEFT_CID_KEY_CNT];

	slot->key[0] = key[0];
	slot->key[1] = key[1];
	slot->generation = generation;
	slot->is_set = 1;
	keys->current_generation = generation;
}

/*
 * weft_cid_write makes an id of worker (0 to WEFT_CID_WORKER_MAX) under
 * the current key. keys was rotated at least once; random is used as is.
 */
static inline void weft_cid_write(const struct weft_cid_keys *keys, __u32 worker,
				  const __u8 random[WEFT_CID_RANDOM_LEN],
				  __u8 out_cid[WEFT_CID_LEN])
{
	__u32 generation = keys->current_generation;
	__u64 tag;

	out_cid[0] = (__u8)(0x80 | (worker & WEFT_CID_WORKER_MAX));
	out_cid[1] = (__u8)generation;
	__builtin_memcpy(&out_cid[2], random, WEFT_CID_RANDOM_LEN);
	tag = weft_siphash_word(keys->slots[generation % WEFT_CID_KEY_CNT].key,
				weft_cid_load_le64(out_cid));
	for (int i = 0; i < 8; i++)
		out_cid[8 + i] = (__u8)(tag >> (8 * i));
}

/* weft_cid_is_ours: the sixteen bytes at cid were made under a key we still honour. */
static inline _Bool weft_cid_is_ours(const struct weft_cid_keys *keys, const __u8 *cid)
{
	const struct weft_cid_key *slot = &keys->slots[cid[1] % WEFT_CID_KEY_CNT];

	if (!(cid[0] & 0x80) || !slot->is_set || slot->generation != cid[1])
		return 0;
	return weft_siphash_word(slot->key, weft_cid_load_le64(cid)) == weft_cid_load_le64(cid + 8);
}

/* weft_cid_worker: whose connection an id of ours belongs to. */
static inline __u32 weft_cid_worker(const __u8 *cid)
{
	return cid[0] & WEFT_CID_WORKER_MAX;
}

#endif
