/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_STATELESS_RIG_H
#define WEFT_TESTS_STATELESS_RIG_H

#include <arpa/inet.h>

#include "support/check.h"
#include "support/quic_net.h"

#include "base/monotonic.h"
#include "quic/engine.h"

/* Datagrams of no connection, and what they are answered. */

static inline struct addr source(unsigned host)
{
	return (struct addr){.ip = {192, 0, (uint8_t)(host >> 8), (uint8_t)host},
			     .port = 4000,
			     .family = ADDR_IPV4};
}

static inline size_t long_header(uint8_t *to, uint32_t version, size_t len)
{
	static const uint8_t ids[] = {8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 9, 9, 9, 9, 0};

	memset(to, 0x5a, len);
	to[0] = 0xc3;
	for (int i = 0; i < 4; i++)
		to[1 + i] = (uint8_t)(version >> (24 - 8 * i));
	memcpy(to + 5, ids, sizeof(ids));
	to[20] = 0x44; /* length, two bytes: 1100 */
	to[21] = 0x4c;
	return len;
}

#endif
