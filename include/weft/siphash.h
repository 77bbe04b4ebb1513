/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_SIPHASH_H
#define WEFT_SIPHASH_H

#include "weft/bytes.h"

/*
 * SipHash-2-4 (Aumasson, Bernstein 2012) over whole words, for tags that the
 * BPF program and userspace both make. It is base/siphash_bytes.h without
 * lengths that are no multiple of eight. init, absorb each word, finish.
 */
struct weft_siphash {
	__u64 v0, v1, v2, v3;
};

/* One key of a table that BPF reads; tags name the generation they were made under. */
struct weft_siphash_key {
	__u64 key[2];
	__u32 generation; /* 0..255 */
	__u32 is_set;
};

_Static_assert(sizeof(struct weft_siphash_key) == 24, "BPF map value layout");

WEFT_INLINE __u64 weft_siphash_rotate(__u64 word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

WEFT_INLINE void weft_siphash_round(struct weft_siphash *s)
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

WEFT_INLINE void weft_siphash_init(struct weft_siphash *s, const __u64 key[2])
{
	s->v0 = key[0] ^ 0x736f6d6570736575ull;
	s->v1 = key[1] ^ 0x646f72616e646f6dull;
	s->v2 = key[0] ^ 0x6c7967656e657261ull;
	s->v3 = key[1] ^ 0x7465646279746573ull;
}

/* weft_siphash_absorb takes the eight bytes that word is in little-endian order. */
WEFT_INLINE void weft_siphash_absorb(struct weft_siphash *s, __u64 word)
{
	s->v3 ^= word;
	weft_siphash_round(s);
	weft_siphash_round(s);
	s->v0 ^= word;
}

/* weft_siphash_finish: word_cnt words were absorbed. */
WEFT_INLINE __u64 weft_siphash_finish(struct weft_siphash *s, __u64 word_cnt)
{
	weft_siphash_absorb(s, word_cnt * 8 << 56);
	s->v2 ^= 0xff;
	weft_siphash_round(s);
	weft_siphash_round(s);
	weft_siphash_round(s);
	weft_siphash_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* weft_siphash_word is the tag of one word. */
WEFT_INLINE __u64 weft_siphash_word(const __u64 key[2], __u64 word)
{
	struct weft_siphash s;

	weft_siphash_init(&s, key);
	weft_siphash_absorb(&s, word);
	return weft_siphash_finish(&s, 1);
}

#endif
