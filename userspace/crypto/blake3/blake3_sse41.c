/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAKE3 with SSE4.1: four inputs side by side. The one-block function has
 * a row of the state to a vector, and the wider back ends use it too.
 */
#if defined(__x86_64__)

#include <immintrin.h>

#include "crypto/blake3/blake3_compress.h"

typedef uint32_t lanes __attribute__((vector_size(16)));

#define LANES	 4
#define SETS_MAX 1

static inline lanes lanes_shuffle_bytes(lanes x, __m128i order)
{
	return (lanes)_mm_shuffle_epi8((__m128i)x, order);
}

static inline lanes lanes_rotr16(lanes x)
{
	return lanes_shuffle_bytes(
		x, _mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
}

static inline lanes lanes_rotr12(lanes x)
{
	return x >> 12 | x << 20;
}

static inline lanes lanes_rotr8(lanes x)
{
	return lanes_shuffle_bytes(
		x, _mm_setr_epi8(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12));
}

static inline lanes lanes_rotr7(lanes x)
{
	return x >> 7 | x << 25;
}

static inline void lanes_transpose(lanes x[static LANES])
{
	__m128i ab_low = _mm_unpacklo_epi32((__m128i)x[0], (__m128i)x[1]);
	__m128i ab_high = _mm_unpackhi_epi32((__m128i)x[0], (__m128i)x[1]);
	__m128i cd_low = _mm_unpacklo_epi32((__m128i)x[2], (__m128i)x[3]);
	__m128i cd_high = _mm_unpackhi_epi32((__m128i)x[2], (__m128i)x[3]);

	x[0] = (lanes)_mm_unpacklo_epi64(ab_low, cd_low);
	x[1] = (lanes)_mm_unpackhi_epi64(ab_low, cd_low);
	x[2] = (lanes)_mm_unpacklo_epi64(ab_high, cd_high);
	x[3] = (lanes)_mm_unpackhi_epi64(ab_high, cd_high);
}

#include "crypto/blake3/blake3_lanes.h"

static inline void rows_mix(lanes row[static 4], lanes x, lanes y)
{
	row[0] += row[1] + x;
	row[3] = lanes_rotr16(row[3] ^ row[0]);
	row[2] += row[3];
	row[1] = lanes_rotr12(row[1] ^ row[2]);
	row[0] += row[1] + y;
	row[3] = lanes_rotr8(row[3] ^ row[0]);
	row[2] += row[3];
	row[1] = lanes_rotr7(row[1] ^ row[2]);
}

static inline lanes lanes_gather(const uint32_t m[static 16], const uint8_t *order)
{
	return (lanes){m[order[0]], m[order[2]], m[order[4]], m[order[6]]};
}

/*
 * Columns are mixed as they lie; for the diagonals rows 1, 2, 3 are turned
 * by 1, 2, 3 places, and back.
 */
void blake3_compress_sse41(const struct blake3_block *block, uint32_t out[static 16])
{
	uint32_t m[16];
	lanes cv[2], row[4];

	memcpy(m, block->bytes, sizeof(m));
	memcpy(cv, block->cv, sizeof(cv));
	row[0] = cv[0];
	row[1] = cv[1];
	row[2] = lanes_load(blake3_iv);
	row[3] = (lanes){(uint32_t)block->counter, (uint32_t)(block->counter >> 32), block->len,
			 block->flags};
#pragma GCC unroll 16
	for (unsigned r = 0; r < BLAKE3_ROUNDS; r++) {
		const uint8_t *order = blake3_schedule[r];

		rows_mix(row, lanes_gather(m, order), lanes_gather(m, order + 1));
		row[1] = __builtin_shuffle(row[1], (lanes){1, 2, 3, 0});
		row[2] = __builtin_shuffle(row[2], (lanes){2, 3, 0, 1});
		row[3] = __builtin_shuffle(row[3], (lanes){3, 0, 1, 2});
		rows_mix(row, lanes_gather(m, order + 8), lanes_gather(m, order + 9));
		row[1] = __builtin_shuffle(row[1], (lanes){3, 0, 1, 2});
		row[2] = __builtin_shuffle(row[2], (lanes){2, 3, 0, 1});
		row[3] = __builtin_shuffle(row[3], (lanes){1, 2, 3, 0});
	}
	row[0] ^= row[2];
	row[1] ^= row[3];
	row[2] ^= cv[0];
	row[3] ^= cv[1];
	memcpy(out, row, sizeof(row));
}

static void hash_many_sse41(const struct blake3_many *many)
{
	size_t at = 0;

	for (; many->cnt - at > 1; at += many->cnt - at < LANES ? many->cnt - at : LANES)
		lanes_hash(many, at, many->cnt - at < LANES ? many->cnt - at : LANES, 1);
	if (at < many->cnt)
		blake3_hash_one(many, at, blake3_compress_sse41);
}

const struct blake3_backend blake3_backend_sse41 = {
	.name = "sse41",
	.compress = blake3_compress_sse41,
	.hash_many = hash_many_sse41,
};

#endif
