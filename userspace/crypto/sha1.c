/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-1 as FIPS 180-4, section 6.1, says it, with the 80 words of the
 * schedule kept as a ring of 16. What is hashed here is at most a kilobyte.
 */
#include "crypto/sha1.h"

#include <string.h>

#define BLOCK_LEN  64
#define LENGTH_LEN 8 /* the bit count that ends the last block */
#define ROUND_CNT  80

static const uint32_t sha1_start[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};

static uint32_t rotate_left(uint32_t word, unsigned bits)
{
	return word << bits | word >> (32 - bits);
}

/* mix is f(t; b, c, d) + K(t) of section 4.1.1 and 4.2.1. */
static uint32_t mix(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
	switch (round / 20) {
	case 0:
		return ((b & c) | (~b & d)) + 0x5a827999;
	case 1:
		return (b ^ c ^ d) + 0x6ed9eba1;
	case 2:
		return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
	default:
		return (b ^ c ^ d) + 0xca62c1d6;
	}
}

static uint32_t schedule(uint32_t words[static 16], unsigned round)
{
	uint32_t *word = &words[round % 16];

	if (round >= 16)
		*word = rotate_left(words[(round + 13) % 16] ^ words[(round + 8) % 16] ^
					    words[(round + 2) % 16] ^ *word,
				    1);
	return *word;
}

static void compress(uint32_t state[static 5], const uint8_t block[static BLOCK_LEN])
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
	uint32_t words[16];

	for (unsigned i = 0; i < 16; i++)
		words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
			   (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (unsigned round = 0; round < ROUND_CNT; round++) {
		uint32_t next =
			rotate_left(a, 5) + mix(round, b, c, d) + e + schedule(words, round);

		e = d;
		d = c;
		c = rotate_left(b, 30);
		b = a;
		a = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

void sha1(const void *data, size_t len, uint8_t out[static SHA1_HASH_LEN])
{
	const uint8_t *at = data;
	size_t left = len;
	uint8_t tail[2 * BLOCK_LEN] = {0};
	uint32_t state[5];
	size_t tail_len;

	memcpy(state, sha1_start, sizeof(state));
	for (; left >= BLOCK_LEN; at += BLOCK_LEN, left -= BLOCK_LEN)
		compress(state, at);
	if (left)
		memcpy(tail, at, left);
	tail[left] = 0x80;
	tail_len = left + 1 + LENGTH_LEN <= BLOCK_LEN ? BLOCK_LEN : 2 * BLOCK_LEN;
	for (unsigned i = 0; i < LENGTH_LEN; i++)
		tail[tail_len - 1 - i] = (uint8_t)((uint64_t)len * 8 >> (8 * i));
	for (size_t off = 0; off < tail_len; off += BLOCK_LEN)
		compress(state, tail + off);
	for (unsigned i = 0; i < SHA1_HASH_LEN; i++)
		out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}
