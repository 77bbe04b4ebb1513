/* SPDX-License-Identifier: Apache-2.0 */
/* BLAKE3 with AVX2: eight inputs side by side. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "crypto/blake3/blake3_compress.h"

typedef uint32_t lanes __attribute__((vector_size(32)));

#define LANES	 8
#define SETS_MAX 1

static inline lanes lanes_rotr16(lanes x)
{
	return (lanes)_mm256_shuffle_epi8(
		(__m256i)x, _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
					     2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
}

static inline lanes lanes_rotr12(lanes x)
{
	return x >> 12 | x << 20;
}

static inline lanes lanes_rotr8(lanes x)
{
	return (lanes)_mm256_shuffle_epi8(
		(__m256i)x, _mm256_setr_epi8(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12,
					     1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12));
}

static inline lanes lanes_rotr7(lanes x)
{
	return x >> 7 | x << 25;
}

/* Pairs of words, then pairs of pairs, then halves change places. */
static inline void lanes_transpose(lanes x[static LANES])
{
	__m256i words[8], pairs[8];

#pragma GCC unroll 4
	for (unsigned i = 0; i < 8; i += 2) {
		words[i] = _mm256_unpacklo_epi32((__m256i)x[i], (__m256i)x[i + 1]);
		words[i + 1] = _mm256_unpackhi_epi32((__m256i)x[i], (__m256i)x[i + 1]);
	}
#pragma GCC unroll 2
	for (unsigned i = 0; i < 8; i += 4) {
		pairs[i] = _mm256_unpacklo_epi64(words[i], words[i + 2]);
		pairs[i + 1] = _mm256_unpackhi_epi64(words[i], words[i + 2]);
		pairs[i + 2] = _mm256_unpacklo_epi64(words[i + 1], words[i + 3]);
		pairs[i + 3] = _mm256_unpackhi_epi64(words[i + 1], words[i + 3]);
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		x[i] = (lanes)_mm256_permute2x128_si256(pairs[i], pairs[i + 4], 0x20);
		x[i + 4] = (lanes)_mm256_permute2x128_si256(pairs[i], pairs[i + 4], 0x31);
	}
}

#include "crypto/blake3/blake3_lanes.h"

static void hash_many_avx2(const struct blake3_many *many)
{
	size_t at = 0;

	for (; many->cnt - at > 2; at += many->cnt - at < LANES ? many->cnt - at : LANES)
		lanes_hash(many, at, many->cnt - at < LANES ? many->cnt - at : LANES, 1);
	for (; at < many->cnt; at++)
		blake3_hash_one(many, at, blake3_compress_sse41);
}

const struct blake3_backend blake3_backend_avx2 = {
	.name = "avx2",
	.compress = blake3_compress_sse41,
	.hash_many = hash_many_avx2,
};

#endif
