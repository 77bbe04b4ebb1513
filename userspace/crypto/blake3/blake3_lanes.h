/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compression function on several inputs at once, one input to a lane
 * of a vector, written once for every vector width. A back end includes
 * this after it has defined
 *
 *	LANES, SETS_MAX		lanes of a vector; vectors side by side
 *	lanes			the vector of LANES words
 *	lanes_rotr16, lanes_rotr12, lanes_rotr8, lanes_rotr7
 *	lanes_transpose		a square of LANES vectors, in place
 *
 * Two sets side by side hide the latency of the chain add, xor, rotate.
 * With 32 registers both states stay in registers, and the message words,
 * transposed into memory, are operands of the additions.
 */
#include <string.h>

#include "crypto/blake3/blake3_compress.h"

#define LANES_INLINE static inline __attribute__((always_inline))

#define LANES_MESSAGE_SQUARES (16 / LANES)
#define LANES_CV_SQUARES      (LANES > 8 ? 1 : 8 / LANES)
#define LANES_CV_PART	      (LANES > 8 ? 32 : 4 * LANES)

/*
 * How far ahead lines of leaves are asked for: the next call's of the
 * widest back end. As many streams as lanes are more than the hardware
 * follows: 6.4 GB/s from memory without, 8.9 with (Zen 5, 2026-11).
 */
#define LANES_PREFETCH_LEN (32 * BLAKE3_LEAF_LEN)

struct lanes_state {
	lanes v[SETS_MAX][16];
};

/* Counters of all lanes, computed once per call. */
struct lanes_counters {
	lanes low[SETS_MAX];
	lanes high[SETS_MAX];
};

LANES_INLINE lanes lanes_load(const void *from)
{
	lanes x;

	memcpy(&x, from, sizeof(x));
	return x;
}

LANES_INLINE lanes lanes_splat(uint32_t word)
{
	return word - (lanes){0};
}

LANES_INLINE void lanes_state_init(struct lanes_state *s, lanes cv[][8],
				   const struct lanes_counters *counters, uint32_t flags,
				   const unsigned sets)
{
#pragma GCC unroll 16
	for (unsigned k = 0; k < sets; k++) {
#pragma GCC unroll 16
		for (unsigned i = 0; i < 8; i++)
			s->v[k][i] = cv[k][i];
#pragma GCC unroll 16
		for (unsigned i = 0; i < 4; i++)
			s->v[k][8 + i] = lanes_splat(blake3_iv[i]);
		s->v[k][12] = counters->low[k];
		s->v[k][13] = counters->high[k];
		s->v[k][14] = lanes_splat(BLAKE3_BLOCK_LEN);
		s->v[k][15] = lanes_splat(flags);
	}
}

/* One half of a round, on columns (half 0) or diagonals (half 1). */
LANES_INLINE void lanes_half_round(struct lanes_state *s, lanes m[][16], const uint8_t *order,
				   const unsigned half, const unsigned sets)
{
#pragma GCC unroll 16
	for (unsigned i = 0; i < 4; i++)
#pragma GCC unroll 16
		for (unsigned k = 0; k < sets; k++) {
			lanes a = s->v[k][i], b = s->v[k][4 + (i + half) % 4];
			lanes c = s->v[k][8 + (i + 2 * half) % 4];
			lanes d = s->v[k][12 + (i + 3 * half) % 4];

			a += m[k][order[8 * half + 2 * i]];
			a += b;
			d = lanes_rotr16(d ^ a);
			c += d;
			b = lanes_rotr12(b ^ c);
			a += m[k][order[8 * half + 2 * i + 1]];
			a += b;
			d = lanes_rotr8(d ^ a);
			c += d;
			b = lanes_rotr7(b ^ c);
			s->v[k][i] = a;
			s->v[k][4 + (i + half) % 4] = b;
			s->v[k][8 + (i + 2 * half) % 4] = c;
			s->v[k][12 + (i + 3 * half) % 4] = d;
		}
}

LANES_INLINE void lanes_rounds(struct lanes_state *s, lanes m[][16], const unsigned sets)
{
#pragma GCC unroll 16
	for (unsigned r = 0; r < BLAKE3_ROUNDS; r++) {
		lanes_half_round(s, m, blake3_schedule[r], 0, sets);
		lanes_half_round(s, m, blake3_schedule[r], 1, sets);
	}
}

/* The block at off of each input, word i of all inputs in m[set][i]. */
LANES_INLINE void lanes_load_message(const uint8_t *const rows[], size_t off, lanes m[][16],
				     const unsigned sets)
{
#pragma GCC unroll 16
	for (unsigned k = 0; k < sets; k++) {
#pragma GCC unroll 16
		for (unsigned q = 0; q < LANES_MESSAGE_SQUARES; q++) {
			lanes square[LANES];
#pragma GCC unroll 16
			for (unsigned i = 0; i < LANES; i++)
				square[i] =
					lanes_load(rows[k * LANES + i] + off + q * sizeof(lanes));
			lanes_transpose(square);
#pragma GCC unroll 16
			for (unsigned i = 0; i < LANES; i++)
				m[k][q * LANES + i] = square[i];
		}
	}
}

/* Chaining values back to one after the other; lanes from cnt on are not wanted. */
LANES_INLINE void lanes_store_cvs(lanes cv[][8], uint8_t *out, size_t cnt, const unsigned sets)
{
	for (unsigned k = 0; k < sets; k++) {
#pragma GCC unroll 16
		for (unsigned q = 0; q < LANES_CV_SQUARES; q++) {
			lanes square[LANES];
#pragma GCC unroll 16
			for (unsigned i = 0; i < LANES; i++)
				square[i] = i < 8 ? cv[k][(q * LANES + i) % 8] : (lanes){0};
			lanes_transpose(square);
#pragma GCC unroll 16
			for (unsigned i = 0; i < LANES; i++) {
				if (k * LANES + i < cnt)
					memcpy(out + 32 * (k * LANES + i) + q * LANES_CV_PART,
					       &square[i], LANES_CV_PART);
			}
		}
	}
}

LANES_INLINE void lanes_count(const struct blake3_many *many, size_t first, const unsigned sets,
			      struct lanes_counters *out_counters)
{
	for (unsigned k = 0; k < sets; k++) {
		uint32_t low[LANES], high[LANES];

		for (unsigned i = 0; i < LANES; i++) {
			uint64_t counter =
				many->first_counter + many->counter_step * (first + k * LANES + i);

			low[i] = (uint32_t)counter;
			high[i] = (uint32_t)(counter >> 32);
		}
		out_counters->low[k] = lanes_load(low);
		out_counters->high[k] = lanes_load(high);
	}
}

/*
 * Inputs [first, first + cnt) of many, cnt at most sets * LANES; lanes
 * beyond cnt repeat the last input and are thrown away.
 */
LANES_INLINE void lanes_hash(const struct blake3_many *many, size_t first, size_t cnt,
			     const unsigned sets)
{
	size_t stride = many->block_cnt * (size_t)BLAKE3_BLOCK_LEN;
	const uint8_t *rows[SETS_MAX * LANES];
	struct lanes_counters counters;
	struct lanes_state s;
	lanes cv[SETS_MAX][8];
	lanes m[SETS_MAX][16];

	for (unsigned i = 0; i < sets * LANES; i++)
		rows[i] = many->data + stride * (first + (i < cnt ? i : cnt - 1));
	lanes_count(many, first, sets, &counters);
#pragma GCC unroll 16
	for (unsigned k = 0; k < sets; k++)
#pragma GCC unroll 16
		for (unsigned i = 0; i < 8; i++)
			cv[k][i] = lanes_splat(many->key[i]);

	for (unsigned n = 0; n < many->block_cnt; n++) {
		uint32_t flags = many->flags | (n == 0 ? many->flags_start : 0u) |
				 (n + 1 == many->block_cnt ? many->flags_end : 0u);

		if (many->block_cnt > 1)
			for (unsigned i = 0; i < sets * LANES; i++)
				__builtin_prefetch(
					rows[i] + n * BLAKE3_BLOCK_LEN + LANES_PREFETCH_LEN, 0, 2);
		lanes_load_message(rows, n * BLAKE3_BLOCK_LEN, m, sets);
		/* Keeps the message out of registers the states need. */
		__asm__ volatile("" : "+m"(m));
		lanes_state_init(&s, cv, &counters, flags, sets);
		lanes_rounds(&s, m, sets);
#pragma GCC unroll 16
		for (unsigned k = 0; k < sets; k++)
#pragma GCC unroll 16
			for (unsigned i = 0; i < 8; i++)
				cv[k][i] = s.v[k][i] ^ s.v[k][8 + i];
	}
	lanes_store_cvs(cv, many->out + 32 * first, cnt, sets);
}
