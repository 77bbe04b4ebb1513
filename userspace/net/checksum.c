/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies and sums in one pass. QUIC has just sealed the datagram, so it
 * is read from the cache; it is written once, into its umem frame.
 */
#include "net/checksum.h"

/*
 * Two vectors of two words each; the compiler makes of them what the
 * machine has. Halves are added apart, so no carry is lost below 2^32
 * additions.
 */
typedef uint64_t words __attribute__((vector_size(16)));
#define STEP_LEN (2 * sizeof(words))

static inline words halves(words at)
{
	return (at & 0xffffffff) + (at >> 32);
}

static uint64_t tail_add(uint64_t sum, const uint8_t *at, size_t len)
{
	for (; len >= 4; at += 4, len -= 4) {
		uint32_t word;

		memcpy(&word, at, sizeof(word));
		sum += word;
	}
	if (len) {
		uint32_t word = 0;

		memcpy(&word, at, len);
		sum += word;
	}
	return sum;
}

uint64_t net_checksum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *at = data;
	words sums[2] = {{0}};

	for (; len >= STEP_LEN; at += STEP_LEN, len -= STEP_LEN) {
		words in[2];

		memcpy(in, at, sizeof(in));
		sums[0] += halves(in[0]);
		sums[1] += halves(in[1]);
	}
	sums[0] += sums[1];
	return tail_add(sum + sums[0][0] + sums[0][1], at, len);
}

uint64_t net_checksum_copy(uint64_t sum, void *dst, const void *src, size_t len)
{
	const uint8_t *at = src;
	uint8_t *to = dst;
	words sums[2] = {{0}};

	for (; len >= STEP_LEN; at += STEP_LEN, to += STEP_LEN, len -= STEP_LEN) {
		words in[2];

		memcpy(in, at, sizeof(in));
		memcpy(to, in, sizeof(in));
		sums[0] += halves(in[0]);
		sums[1] += halves(in[1]);
	}
	memcpy(to, at, len);
	sums[0] += sums[1];
	return tail_add(sum + sums[0][0] + sums[0][1], at, len);
}
