/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_CID_H
#define WEFT_CID_H

#include "weft/siphash.h"

/*
 * The QUIC connection ids we hand out, for the driver and for userspace:
 *
 *   byte  0      0x80 | worker, so that a short header never looks like KRPC
 *   byte  1      generation of the key under which the tag was made
 *   bytes 2..7   random
 *   bytes 8..15  SipHash-2-4 over bytes 0..7, little-endian
 *
 * A sender that was given no id cannot make one: a wrong tag is dropped
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

/* A BPF map value. Userspace writes it, all read it. */
struct weft_cid_keys {
	struct weft_siphash_key slots[WEFT_CID_KEY_CNT]; /* generation g is in slot g % 4 */
	__u32 current_generation;
	__u32 zero;
};

_Static_assert(sizeof(struct weft_cid_keys) == 104, "BPF map value layout");

/*
 * weft_cid_keys_rotate makes key current under the next generation; ids
 * of the oldest of WEFT_CID_KEY_CNT generations stop being ours. Start
 * with a zeroed table. Userspace only; a copy is then put into the map.
 */
WEFT_INLINE void weft_cid_keys_rotate(struct weft_cid_keys *keys, const __u64 key[2])
{
	__u32 generation = (keys->current_generation + 1) & 0xff;
	struct weft_siphash_key *slot = &keys->slots[generation % WEFT_CID_KEY_CNT];

	slot->key[0] = key[0];
	slot->key[1] = key[1];
	slot->generation = generation;
	slot->is_set = 1;
	keys->current_generation = generation;
}

/*
 * weft_cid_make makes an id of worker (0 to WEFT_CID_WORKER_MAX) under the
 * current key, as the two little-endian words it is on the wire. keys was
 * rotated at least once; the low six bytes of random are used as they are.
 */
WEFT_INLINE void weft_cid_make(const struct weft_cid_keys *keys, __u32 worker, __u64 random,
			       __u64 out_words[2])
{
	__u32 generation = keys->current_generation & 0xff;

	out_words[0] = random << 16 | generation << 8 | 0x80 | (worker & WEFT_CID_WORKER_MAX);
	out_words[1] =
		weft_siphash_word(keys->slots[generation % WEFT_CID_KEY_CNT].key, out_words[0]);
}

/* weft_cid_write is weft_cid_make with bytes in and out. */
WEFT_INLINE void weft_cid_write(const struct weft_cid_keys *keys, __u32 worker,
				const __u8 random[WEFT_CID_RANDOM_LEN], __u8 out_cid[WEFT_CID_LEN])
{
	__u64 noise = 0, words[2];

	__builtin_memcpy(&noise, random, WEFT_CID_RANDOM_LEN);
	weft_cid_make(keys, worker, noise, words);
	__builtin_memcpy(out_cid, words, sizeof(words));
}

/* weft_cid_is_ours: the sixteen bytes at cid were made under a key we still honour. */
WEFT_INLINE _Bool weft_cid_is_ours(const struct weft_cid_keys *keys, const __u8 *cid)
{
	const struct weft_siphash_key *slot = &keys->slots[cid[1] % WEFT_CID_KEY_CNT];

	if (!(cid[0] & 0x80) || !slot->is_set || slot->generation != cid[1])
		return 0;
	return weft_siphash_word(slot->key, weft_load_le64(cid)) == weft_load_le64(cid + 8);
}

/* weft_cid_worker: the worker whose connection has cid, an id of this node. */
WEFT_INLINE __u32 weft_cid_worker(const __u8 *cid)
{
	return cid[0] & WEFT_CID_WORKER_MAX;
}

#endif
