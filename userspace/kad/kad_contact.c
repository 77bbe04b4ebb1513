/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/kad_contact.h"

#include <string.h>

static enum kad_addr_scope addr_scope_of_ipv4(const uint8_t ip[static 4])
{
	if (ip[0] == 127)
		return KAD_ADDR_SCOPE_HOST;
	if (ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) ||
	    (ip[0] == 192 && ip[1] == 168) || (ip[0] == 169 && ip[1] == 254) ||
	    (ip[0] == 100 && (ip[1] & 0xc0) == 64) || (ip[0] == 198 && (ip[1] & 0xfe) == 18))
		return KAD_ADDR_SCOPE_SITE;
	if (ip[0] == 0 || ip[0] >= 224 || (ip[0] == 192 && ip[1] == 0 && ip[2] == 0))
		return KAD_ADDR_SCOPE_NONE;
	return KAD_ADDR_SCOPE_GLOBAL;
}

static enum kad_addr_scope addr_scope_of_ipv6(const uint8_t ip[static 16])
{
	static const uint8_t loopback[16] = {[15] = 1};

	if (memcmp(ip, loopback, sizeof(loopback)) == 0)
		return KAD_ADDR_SCOPE_HOST;
	if ((ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) || (ip[0] & 0xfe) == 0xfc)
		return KAD_ADDR_SCOPE_SITE;
	return (ip[0] & 0xe0) == 0x20 ? KAD_ADDR_SCOPE_GLOBAL : KAD_ADDR_SCOPE_NONE;
}

enum kad_addr_scope kad_addr_scope_of(const struct addr *addr)
{
	/* A label means nothing to others. */
	if (addr->port == 0 || addr_is_relayed(addr))
		return KAD_ADDR_SCOPE_NONE;
	switch (addr->family) {
	case ADDR_IPV4:
		return addr_scope_of_ipv4(addr->ip);
	case ADDR_IPV6:
		return addr_scope_of_ipv6(addr->ip);
	default:
		return KAD_ADDR_SCOPE_NONE;
	}
}

bool kad_addr_scope_is_credible(const struct addr *addr, const struct addr *teller)
{
	enum kad_addr_scope addr_scope = kad_addr_scope_of(addr);

	return addr_scope != KAD_ADDR_SCOPE_NONE && addr_scope >= kad_addr_scope_of(teller);
}

struct addr kad_subnet(const struct addr *addr)
{
	return addr_prefix_key(addr, addr->family == ADDR_IPV4 ? 24 : 64);
}

bool kad_subnet_is_capped(const struct addr *addr)
{
	return kad_addr_scope_of(addr) == KAD_ADDR_SCOPE_GLOBAL;
}
