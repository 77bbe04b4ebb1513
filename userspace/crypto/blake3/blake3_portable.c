/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAKE3 compression in plain C: for machines without vectors, and the
 * plain statement of what the vector back ends compute.
 */
#include <string.h>

#include "crypto/blake3/blake3_compress.h"

static inline uint32_t rotr(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static inline void mix(uint32_t v[static 16], const unsigned at[static 4], uint32_t x, uint32_t y)
{
	uint32_t a = v[at[0]], b = v[at[1]], c = v[at[2]], d = v[at[3]];

	a += b + x;
	d = rotr(d ^ a, 16);
	c += d;
	b = rotr(b ^ c, 12);
	a += b + y;
	d = rotr(d ^ a, 8);
	c += d;
	b = rotr(b ^ c, 7);
	v[at[0]] = a;
	v[at[1]] = b;
	v[at[2]] = c;
	v[at[3]] = d;
}

static inline void mix_all(uint32_t v[static 16], const uint32_t m[static 16],
			   const uint8_t order[static 16])
{
	static const unsigned places[8][4] = {
		{0, 4, 8, 12},	{1, 5, 9, 13},	{2, 6, 10, 14}, {3, 7, 11, 15},
		{0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13},	{3, 4, 9, 14},
	};

#pragma GCC unroll 8
	for (unsigned i = 0; i < 8; i++)
		mix(v, places[i], m[order[2 * i]], m[order[2 * i + 1]]);
}

static void compress_portable(const struct blake3_block *block, uint32_t out[static 16])
{
	uint32_t m[16];
	uint32_t v[16] = {
		[8] = blake3_iv[0],
		[9] = blake3_iv[1],
		[10] = blake3_iv[2],
		[11] = blake3_iv[3],
		[12] = (uint32_t)block->counter,
		[13] = (uint32_t)(block->counter >> 32),
		[14] = block->len,
		[15] = block->flags,
	};
	uint32_t cv[8];

	memcpy(m, block->bytes, sizeof(m));
	memcpy(cv, block->cv, sizeof(cv));
	memcpy(v, cv, sizeof(cv));
#pragma GCC unroll 7
	for (unsigned r = 0; r < BLAKE3_ROUNDS; r++)
		mix_all(v, m, blake3_schedule[r]);
	for (unsigned i = 0; i < 8; i++) {
		out[i] = v[i] ^ v[i + 8];
		out[i + 8] = v[i + 8] ^ cv[i];
	}
}

static void hash_many_portable(const struct blake3_many *many)
{
	for (size_t i = 0; i < many->cnt; i++)
		blake3_hash_one(many, i, compress_portable);
}

const struct blake3_backend blake3_backend_portable = {
	.name = "portable",
	.compress = compress_portable,
	.hash_many = hash_many_portable,
};
