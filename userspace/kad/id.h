/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_KAD_ID_H
#define WEFT_KAD_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define KAD_ID_LEN  20
#define KAD_ID_BITS 160

/*
 * A place in the key space, of a node or of a value. Mainline ids are 20
 * bytes (BEP-5); the overlay takes the first 20 of its 32-byte keys.
 * Distance is XOR, read as a big-endian number.
 */
struct kad_id {
	uint8_t bytes[KAD_ID_LEN];
};

static inline bool kad_id_equal(const struct kad_id *a, const struct kad_id *b)
{
	return memcmp(a->bytes, b->bytes, KAD_ID_LEN) == 0;
}

/* kad_id_common_bits: leading bits that a and b share, in [0, KAD_ID_BITS]. */
static inline unsigned kad_id_common_bits(const struct kad_id *a, const struct kad_id *b)
{
	unsigned i = 0;

	while (i < KAD_ID_LEN && a->bytes[i] == b->bytes[i])
		i++;
	if (i == KAD_ID_LEN)
		return KAD_ID_BITS;
	return 8 * i + (unsigned)__builtin_clz((unsigned)(a->bytes[i] ^ b->bytes[i])) - 24;
}

/* kad_id_is_nearer: a is strictly nearer to target than b. */
static inline bool kad_id_is_nearer(const struct kad_id *target, const struct kad_id *a,
				    const struct kad_id *b)
{
	for (unsigned i = 0; i < KAD_ID_LEN; i++) {
		uint8_t to_a = a->bytes[i] ^ target->bytes[i];
		uint8_t to_b = b->bytes[i] ^ target->bytes[i];

		if (to_a != to_b)
			return to_a < to_b;
	}
	return false;
}

#endif
