/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define IP_TEXT_CAP 64

/* Decimal in [min, max] and nothing else. */
static int number_parse(const char *text, unsigned long min, unsigned long max,
			unsigned long *out_value)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return WEFT_EMALFORMED;
	*out_value = strtoul(text, &end, 10);
	return *end || *out_value < min || *out_value > max ? WEFT_EMALFORMED : 0;
}

static int ip_parse(char *ip, bool is_ipv6, struct addr *out_addr)
{
	char *scope = is_ipv6 ? strchr(ip, '%') : NULL;
	unsigned long scope_id;

	if (scope) {
		*scope++ = '\0';
		if (number_parse(scope, 1, UINT32_MAX, &scope_id) < 0)
			return WEFT_EMALFORMED;
		out_addr->scope_id = (uint32_t)scope_id;
	}
	out_addr->family = is_ipv6 ? ADDR_IPV6 : ADDR_IPV4;
	return inet_pton(is_ipv6 ? AF_INET6 : AF_INET, ip, out_addr->ip) == 1 ? 0
									      : WEFT_EMALFORMED;
}

int addr_parse(const char *text, struct addr *out_addr)
{
	bool is_ipv6 = text[0] == '[';
	const char *colon = strrchr(text, ':');
	struct addr addr = { 0 };
	char ip[IP_TEXT_CAP];
	unsigned long port;
	size_t len;

	if (!colon || number_parse(colon + 1, 0, UINT16_MAX, &port) < 0)
		return WEFT_EMALFORMED;
	text += is_ipv6;
	len = (size_t)(colon - text);
	if (is_ipv6 && (colon <= text || colon[-1] != ']'))
		return WEFT_EMALFORMED;
	len -= is_ipv6;
	if (len >= sizeof(ip))
		return WEFT_EMALFORMED;
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (ip_parse(ip, is_ipv6, &addr) < 0)
		return WEFT_EMALFORMED;
	addr.port = (uint16_t)port;
	*out_addr = addr;
	return 0;
}

const char *addr_format(const struct addr *addr, char buf[static ADDR_TEXT_CAP])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (addr->family == ADDR_IPV4) {
		inet_ntop(AF_INET, addr->ip, ip, sizeof(ip));
		snprintf(buf, ADDR_TEXT_CAP, "%s:%u", ip, addr->port);
	} else if (addr->family == ADDR_IPV6) {
		inet_ntop(AF_INET6, addr->ip, ip, sizeof(ip));
		if (addr->scope_id)
			snprintf(buf, ADDR_TEXT_CAP, "[%s%%%u]:%u", ip, addr->scope_id, addr->port);
		else
			snprintf(buf, ADDR_TEXT_CAP, "[%s]:%u", ip, addr->port);
	} else {
		snprintf(buf, ADDR_TEXT_CAP, "none");
	}
	return buf;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool addr_is_loopback(const struct addr *addr)
{
	static const uint8_t loopback6[16] = { [15] = 1 };

	if (addr->family == ADDR_IPV4)
		return addr->ip[0] == 127;
	return addr->family == ADDR_IPV6 && memcmp(addr->ip, loopback6, 16) == 0;
}

bool addr_is_wildcard(const struct addr *addr)
{
	static const uint8_t any[16];

	return addr->family != ADDR_NONE && memcmp(addr->ip, any, 16) == 0;
}

bool addr_is_link_local(const struct addr *addr)
{
	if (addr->family == ADDR_IPV4)
		return addr->ip[0] == 169 && addr->ip[1] == 254;
	return addr->family == ADDR_IPV6 && addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80;
}

int addr_from_sockaddr(const struct sockaddr *sa, struct addr *out_addr)
{
	static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct addr addr = { 0 };
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	if (sa->sa_family == AF_INET) {
		memcpy(&in4, sa, sizeof(in4));
		memcpy(addr.ip, &in4.sin_addr, 4);
		addr.port = ntohs(in4.sin_port);
		addr.family = ADDR_IPV4;
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		addr.port = ntohs(in6.sin6_port);
		addr.family = ADDR_IPV6;
		if (memcmp(&in6.sin6_addr, v4_mapped, sizeof(v4_mapped)) == 0) {
			memcpy(addr.ip, in6.sin6_addr.s6_addr + 12, 4);
			addr.family = ADDR_IPV4;
		} else {
			memcpy(addr.ip, &in6.sin6_addr, 16);
			addr.scope_id = addr_is_link_local(&addr) ? in6.sin6_scope_id : 0;
		}
	} else {
		return WEFT_EMALFORMED;
	}
	*out_addr = addr;
	return 0;
}

unsigned addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *out_sa)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in4 = { .sin_family = AF_INET };

	memset(out_sa, 0, sizeof(*out_sa));
	if (addr->family == ADDR_IPV6) {
		memcpy(&in6.sin6_addr, addr->ip, 16);
		in6.sin6_port = htons(addr->port);
		in6.sin6_scope_id = addr->scope_id;
		memcpy(out_sa, &in6, sizeof(in6));
		return sizeof(in6);
	}
	memcpy(&in4.sin_addr, addr->ip, 4);
	in4.sin_port = htons(addr->port);
	memcpy(out_sa, &in4, sizeof(in4));
	return sizeof(in4);
}

struct addr addr_prefix_key(const struct addr *addr, unsigned prefix_len)
{
	struct addr key = { .family = addr->family };
	unsigned whole = prefix_len / 8, rest = prefix_len % 8;
	unsigned ip_len = addr->family == ADDR_IPV6 ? 16 : 4;

	if (whole > ip_len)
		whole = ip_len;
	memcpy(key.ip, addr->ip, whole);
	if (whole < ip_len && rest)
		key.ip[whole] = addr->ip[whole] & (uint8_t)(0xff << (8 - rest));
	return key;
}
