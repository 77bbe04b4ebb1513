/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_RANDOM_H
#define WEFT_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/*
 * The source of randomness, handed down like the time. It is the system's
 * in a daemon, and a seeded stream in the simulator, so that one seed
 * replays a run exactly.
 */
#define RANDOM_POOL_LEN 512
struct random {
	void (*fill)(struct random *random, void *dst, size_t len);
	uint64_t state[4];	       /* of the seeded stream */
	uint8_t pool[RANDOM_POOL_LEN]; /* of the system's: its last pool_len bytes are unused */
	size_t pool_len;
};

void random_init_system(struct random *random);
/* random_init_seeded: xoshiro256**, for the simulator and tests only. */
void random_init_seeded(struct random *random, uint64_t seed);

static inline void random_fill(struct random *random, void *dst, size_t len)
{
	random->fill(random, dst, len);
}

uint64_t random_u64(struct random *random);
/* random_below: uniform in [0, bound), bound >= 1. */
uint64_t random_below(struct random *random, uint64_t bound);

#endif
