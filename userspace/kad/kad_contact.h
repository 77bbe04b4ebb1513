/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_KAD_KAD_CONTACT_H
#define WEFT_KAD_KAD_CONTACT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "kad/id.h"

/* A node as others name it: where it is in the key space and on the network. */
struct kad_contact {
	struct kad_id id;
	struct addr addr;
	uint64_t tag;	/* the plane's own, carried along and never read */
	bool is_proven; /* the plane found that the id belongs to the address (BEP-42) */
};

/*
 * From how far away an address can be reached. An address at which no node can be reached has no
 * scope: port 0, 0/8, multicast, documentation and reserved ranges (RFC 6890).
 */
enum kad_addr_scope {
	KAD_ADDR_SCOPE_NONE,
	KAD_ADDR_SCOPE_HOST,
	KAD_ADDR_SCOPE_SITE,
	KAD_ADDR_SCOPE_GLOBAL
};

enum kad_addr_scope kad_addr_scope_of(const struct addr *addr);

/*
 * kad_addr_scope_is_credible: a node at teller may know that contact can be reached at addr. A
 * private address from a node on the Internet is in this node's network, not in the sender's.
 */
bool kad_addr_scope_is_credible(const struct addr *addr, const struct addr *teller);

/*
 * The addresses that one operator is likely to have many of. Caps count them by the /24 of IPv4
 * and the /64 of IPv6. The caps do not apply on the own site (kad_subnet_is_capped). All hosts
 * of a private network may be in one subnet, and a node that names such a host is on that
 * network.
 */
struct addr kad_subnet(const struct addr *addr);
bool kad_subnet_is_capped(const struct addr *addr);

#endif
