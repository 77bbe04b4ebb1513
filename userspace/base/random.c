/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"

static void system_read(uint8_t *at, size_t len)
{
	while (len) {
		ssize_t got = getrandom(at, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		/* Nothing may go on with bytes that are not random. */
		weft_assert(got > 0);
		at += got;
		len -= (size_t)got;
	}
}

/* Small requests are served from a pool, from which the bytes given out are erased. */
static void system_fill(struct random *random, void *dst, size_t len)
{
	uint8_t *at = random->pool + sizeof(random->pool) - random->pool_len;

	if (len > sizeof(random->pool) / 8) {
		system_read(dst, len);
		return;
	}
	if (len > random->pool_len) {
		system_read(random->pool, sizeof(random->pool));
		random->pool_len = sizeof(random->pool);
		at = random->pool;
	}
	memcpy(dst, at, len);
	explicit_bzero(at, len);
	random->pool_len -= len;
}

void random_init_system(struct random *random)
{
	memset(random, 0, sizeof(*random));
	random->fill = system_fill;
}

static uint64_t rotl(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

/* xoshiro256** (Blackman, Vigna 2018). */
static uint64_t seeded_next(uint64_t s[static 4])
{
	uint64_t result = rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

static void seeded_fill(struct random *random, void *dst, size_t len)
{
	uint8_t *at = dst;

	while (len) {
		uint64_t word = seeded_next(random->state);
		size_t step = len < sizeof(word) ? len : sizeof(word);

		memcpy(at, &word, step);
		at += step;
		len -= step;
	}
}

void random_init_seeded(struct random *random, uint64_t seed)
{
	random->fill = seeded_fill;
	/* splitmix64 spreads the seed over the state, as its authors advise. */
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15ull;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ z >> 27) * 0x94d049bb133111ebull;
		random->state[i] = z ^ z >> 31;
	}
}

uint64_t random_u64(struct random *random)
{
	uint64_t value;

	random_fill(random, &value, sizeof(value));
	return value;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
	uint64_t limit, value;

	weft_assert(bound >= 1);
	limit = UINT64_MAX - UINT64_MAX % bound;
	do
		value = random_u64(random);
	while (value >= limit);
	return value % bound;
}
