/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAKE3 with AVX-512: sixteen inputs to a vector, and two vectors side by
 * side where there are enough. The 32 registers are then exactly the two
 * states.
 */
#if defined(__x86_64__)

#include <immintrin.h>

#include "crypto/blake3/blake3_compress.h"

typedef uint32_t lanes __attribute__((vector_size(64)));

#define LANES	 16
#define SETS_MAX 2

static inline lanes lanes_rotr16(lanes x)
{
	return (lanes)_mm512_ror_epi32((__m512i)x, 16);
}

static inline lanes lanes_rotr12(lanes x)
{
	return (lanes)_mm512_ror_epi32((__m512i)x, 12);
}

static inline lanes lanes_rotr8(lanes x)
{
	return (lanes)_mm512_ror_epi32((__m512i)x, 8);
}

static inline lanes lanes_rotr7(lanes x)
{
	return (lanes)_mm512_ror_epi32((__m512i)x, 7);
}

/*
 * Words and pairs change places inside each quarter, then quarters among
 * vectors four apart, then eight apart.
 */
static inline void lanes_transpose(lanes x[static LANES])
{
	__m512i words[16], pairs[16], quarters[16];

#pragma GCC unroll 8
	for (unsigned i = 0; i < 16; i += 2) {
		words[i] = _mm512_unpacklo_epi32((__m512i)x[i], (__m512i)x[i + 1]);
		words[i + 1] = _mm512_unpackhi_epi32((__m512i)x[i], (__m512i)x[i + 1]);
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < 16; i += 4) {
		pairs[i] = _mm512_unpacklo_epi64(words[i], words[i + 2]);
		pairs[i + 1] = _mm512_unpackhi_epi64(words[i], words[i + 2]);
		pairs[i + 2] = _mm512_unpacklo_epi64(words[i + 1], words[i + 3]);
		pairs[i + 3] = _mm512_unpackhi_epi64(words[i + 1], words[i + 3]);
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		quarters[i] = _mm512_shuffle_i32x4(pairs[i], pairs[i + 4], 0x88);
		quarters[i + 4] = _mm512_shuffle_i32x4(pairs[i], pairs[i + 4], 0xdd);
		quarters[i + 8] = _mm512_shuffle_i32x4(pairs[i + 8], pairs[i + 12], 0x88);
		quarters[i + 12] = _mm512_shuffle_i32x4(pairs[i + 8], pairs[i + 12], 0xdd);
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		x[i] = (lanes)_mm512_shuffle_i32x4(quarters[i], quarters[i + 8], 0x88);
		x[i + 8] = (lanes)_mm512_shuffle_i32x4(quarters[i], quarters[i + 8], 0xdd);
		x[i + 4] = (lanes)_mm512_shuffle_i32x4(quarters[i + 4], quarters[i + 12], 0x88);
		x[i + 12] = (lanes)_mm512_shuffle_i32x4(quarters[i + 4], quarters[i + 12], 0xdd);
	}
}

#include "crypto/blake3/blake3_lanes.h"

static void hash_many_avx512(const struct blake3_many *many)
{
	size_t at = 0;

	for (; many->cnt - at > LANES;
	     at += many->cnt - at < 2 * LANES ? many->cnt - at : 2 * LANES)
		lanes_hash(many, at, many->cnt - at < 2 * LANES ? many->cnt - at : 2 * LANES, 2);
	if (many->cnt - at > 2) {
		lanes_hash(many, at, many->cnt - at, 1);
		return;
	}
	for (; at < many->cnt; at++)
		blake3_hash_one(many, at, blake3_compress_sse41);
}

const struct blake3_backend blake3_backend_avx512 = {
	.name = "avx512",
	.compress = blake3_compress_sse41,
	.hash_many = hash_many_avx512,
};

#endif
