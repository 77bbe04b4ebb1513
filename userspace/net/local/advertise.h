/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_LOCAL_ADVERTISE_H
#define WEFT_NET_LOCAL_ADVERTISE_H

#include "base/addr.h"

#define ADVERTISED_MAX 8

/* The addresses that links and HELLO carry. */
struct advertised {
	struct addr addrs[ADVERTISED_MAX];
	unsigned cnt;
};
/* net_advertised_add: addr comes last, unless it is there or all places are taken. */
void net_advertised_add(struct advertised *out, const struct addr *addr);
/*
 * net_advertise: the given addresses if there are any; else the bound ones, with a wildcard
 * replaced by the machine's own addresses of that family.
 */
void net_advertise(struct advertised *out, const struct addr *given, unsigned given_cnt,
		   const struct addr *bound, unsigned bound_cnt);

#endif
