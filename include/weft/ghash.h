/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_GHASH_H
#define WEFT_GHASH_H

#include "weft/bytes.h"

/*
 * The integrity tag of QUIC Retry packets (RFC 9001 5.8) without AES. Its
 * key and nonce are published and nothing is encrypted. So the tag is
 * GHASH of the pseudo-packet under a constant (NIST SP 800-38D 6.4).
 * GHASH is exclusive-or of table entries.
 */
#define WEFT_GHASH_TAG_LEN   16
#define WEFT_GHASH_BLOCK_LEN 16

/*
 * products[i][b] is the hash key times a block with byte b at place i and
 * zeros elsewhere, as it lies in memory. A BPF map value, 64 KiB.
 */
struct weft_ghash {
	__u64 products[WEFT_GHASH_BLOCK_LEN][256][2];
	__u64 mask[2]; /* what the tag is masked with: AES of the nonce and counter 1 */
};

_Static_assert(sizeof(struct weft_ghash) == 65552, "BPF map value layout");

/* weft_ghash_fill makes the table; userspace, once. */
WEFT_INLINE void weft_ghash_fill(struct weft_ghash *ghash)
{
	/*
	 * AES-128 under the key be0c690b9f66575a1d766b54e368c84e of zeros, and
	 * of the nonce 461599d35d632bf2239825bb followed by 00000001.
	 */
	__u64 high = 0x72956a454ffaff54ull, low = 0x85a13a1244d01d47ull;

	__builtin_memset(ghash, 0, sizeof(*ghash));
	ghash->mask[0] = __builtin_bswap64(0x555e4b7493556eeaull);
	ghash->mask[1] = __builtin_bswap64(0xaf75d35bd7fba5d8ull);
	/* A block's first bit is its highest power; each next is a shift to the right. */
	for (unsigned bit = 0; bit < 8 * WEFT_GHASH_BLOCK_LEN; bit++) {
		__u64 carry = low & 1 ? 0xe1ull << 56 : 0;

		for (unsigned byte = 0; byte < 256; byte++) {
			if (!(byte & 0x80u >> bit % 8))
				continue;
			ghash->products[bit / 8][byte][0] ^= __builtin_bswap64(high);
			ghash->products[bit / 8][byte][1] ^= __builtin_bswap64(low);
		}
		low = low >> 1 | high << 63;
		high = high >> 1 ^ carry;
	}
}

struct weft_ghash_sum {
	__u64 words[2];
};

/* weft_ghash_absorb adds a block to sum. */
WEFT_INLINE void weft_ghash_absorb(const struct weft_ghash *ghash, struct weft_ghash_sum *sum,
				   __u64 first, __u64 second)
{
	__u64 product[2] = {0, 0};

	first ^= sum->words[0];
	second ^= sum->words[1];
	for (unsigned i = 0; i < 8; i++) {
		const __u64 *of_first = ghash->products[i][first >> 8 * i & 0xff];
		const __u64 *of_second = ghash->products[i + 8][second >> 8 * i & 0xff];

		product[0] ^= of_first[0] ^ of_second[0];
		product[1] ^= of_first[1] ^ of_second[1];
	}
	sum->words[0] = product[0];
	sum->words[1] = product[1];
}

#endif
