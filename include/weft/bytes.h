/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BYTES_H
#define WEFT_BYTES_H

#include <linux/types.h>

/*
 * Words at any address, for the BPF program and for userspace. The kernel
 * runs BPF loads at any alignment from packets and map values. But clang
 * cuts a memcpy of unknown alignment into single bytes; the cast is one
 * instruction. Everywhere else memcpy is that.
 */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weft's tags and tables are laid out for little-endian machines"
#endif

/* Calls in BPF are verified at each call; in userspace the compiler knows best. */
#ifdef __bpf__
#define WEFT_INLINE static inline __attribute__((always_inline))
#else
#define WEFT_INLINE static inline
#endif

/* Before a loop whose turns the BPF verifier wants to see apart, with constant offsets. */
#ifdef __bpf__
#define WEFT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define WEFT_UNROLL
#endif

#ifdef __bpf__
#define WEFT_LOAD(type, at)	   (*(const type *)(at))
#define WEFT_STORE(type, at, word) (*(type *)(at) = (word))
#else
#define WEFT_LOAD(type, at)                                                                        \
	({                                                                                         \
		type weft_word;                                                                    \
		__builtin_memcpy(&weft_word, (at), sizeof(weft_word));                             \
		weft_word;                                                                         \
	})
#define WEFT_STORE(type, at, word)                                                                 \
	do {                                                                                       \
		type weft_word = (word);                                                           \
		__builtin_memcpy((at), &weft_word, sizeof(weft_word));                             \
	} while (0)
#endif

WEFT_INLINE __u64 weft_load_le64(const __u8 *at)
{
	return WEFT_LOAD(__u64, at);
}

WEFT_INLINE __u32 weft_load_le32(const __u8 *at)
{
	return WEFT_LOAD(__u32, at);
}

WEFT_INLINE __u16 weft_load_be16(const __u8 *at)
{
	return __builtin_bswap16(WEFT_LOAD(__u16, at));
}

WEFT_INLINE __u32 weft_load_be32(const __u8 *at)
{
	return __builtin_bswap32(WEFT_LOAD(__u32, at));
}

WEFT_INLINE __u64 weft_load_be64(const __u8 *at)
{
	return __builtin_bswap64(WEFT_LOAD(__u64, at));
}

WEFT_INLINE void weft_store_le64(__u8 *at, __u64 word)
{
	WEFT_STORE(__u64, at, word);
}

WEFT_INLINE void weft_store_le32(__u8 *at, __u32 word)
{
	WEFT_STORE(__u32, at, word);
}

WEFT_INLINE void weft_store_be32(__u8 *at, __u32 word)
{
	WEFT_STORE(__u32, at, __builtin_bswap32(word));
}

#endif
