/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's random numbers, seeded: handshakes then have the same keys and the same lengths in each
 * run. Only the old interface replaces them for the whole library without a separate provider.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <stddef.h>

#include <openssl/rand.h>

#include "support/sim.h"

static struct random stream;

static int stream_bytes(unsigned char *buf, int len)
{
	random_fill(&stream, buf, (size_t)len);
	return 1;
}

static int stream_status(void)
{
	return 1;
}

static const RAND_METHOD stream_method = {
	.bytes = stream_bytes,
	.pseudorand = stream_bytes,
	.status = stream_status,
};

void sim_random_take(uint64_t seed)
{
	random_init_seeded(&stream, seed);
	if (RAND_set_rand_method(&stream_method) != 1)
		abort();
}

void sim_random_release(void)
{
	(void)RAND_set_rand_method(NULL);
}
