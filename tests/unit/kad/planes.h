/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_KAD_PLANES_H
#define WEFT_TESTS_KAD_PLANES_H

#include <stdio.h>

#include "base/memory/arena.h"
#include "base/random.h"
#include "kad/lookup.h"
#include "kad/routing_table.h"
#include "support/check.h"

/*
 * The planes that share the core: every test of it runs with the numbers
 * of each, on addresses of each family.
 */
static const struct plane {
	const char *name;
	unsigned k, wide_cnt, alpha;
	enum addr_family family;
} planes[] = {
	{"Mainline over IPv4", 8, 128, 4, ADDR_IPV4},
	{"Mainline over IPv6", 8, 8, 4, ADDR_IPV6},
	{"overlay", 20, 20, 3, ADDR_IPV4},
};

#define PLANE_CNT (sizeof(planes) / sizeof(planes[0]))

#define RUN_PLANES(test)                                                                           \
	do {                                                                                       \
		for (plane = planes; plane < planes + PLANE_CNT; plane++) {                        \
			printf("# %s\n", plane->name);                                             \
			RUN(test);                                                                 \
		}                                                                                  \
	} while (0)

static const struct plane *plane;

#define SECOND 1000000000ull

/* An address of subnet number net, host number host. */
static inline struct addr plane_addr(unsigned net, unsigned host)
{
	struct addr addr = {.family = (uint8_t)plane->family, .port = 6881};

	addr.ip[0] = plane->family == ADDR_IPV4 ? 20 : 0x20;
	addr.ip[1] = (uint8_t)(net >> 8);
	addr.ip[2] = (uint8_t)net;
	addr.ip[plane->family == ADDR_IPV4 ? 3 : 15] = (uint8_t)host;
	return addr;
}

/* A proven contact that shares exactly bits leading bits with id, in a subnet of its own. */
static inline struct kad_contact plane_contact(const struct kad_id *id, unsigned bits,
					       unsigned number, struct random *random)
{
	struct kad_contact contact = {.id = kad_id_random_in(id, bits, random),
				      .addr = plane_addr(number, 1),
				      .is_proven = true};

	return contact;
}

#endif
