/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses as text and as the kernel's structures. A v4-mapped IPv6
 * address never survives as such: one peer has one spelling here.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "weft/endpoint.h"

static const uint8_t v4_mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t relay_prefix[ADDR_RELAY_PREFIX_LEN] = {0xfd, 0x6d, 0x65, 0x73, 0x00, 0x68};

static struct addr addr_of_ipv4(const void *ip, uint16_t port)
{
	struct addr addr = {.family = ADDR_IPV4, .port = port};

	memcpy(addr.ip, ip, 4);
	return addr;
}

static struct addr addr_of_ipv6(const uint8_t *ip, uint32_t scope_id, uint16_t port)
{
	struct addr addr = {.family = ADDR_IPV6, .port = port};

	if (memcmp(ip, v4_mapped_prefix, sizeof(v4_mapped_prefix)) == 0)
		return addr_of_ipv4(ip + sizeof(v4_mapped_prefix), port);
	memcpy(addr.ip, ip, 16);
	if (addr_is_link_local(&addr))
		addr.scope_id = scope_id;
	return addr;
}

/* Digits only and no leading zero, so that each number has one spelling. */
static bool number_parse(const char *text, uint32_t max, uint32_t *out_value)
{
	uint64_t value = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return false;
	}
	*out_value = (uint32_t)value;
	return true;
}

static int ipv4_parse(char *host, uint16_t port, struct addr *out_addr)
{
	uint8_t ip[4];

	if (inet_pton(AF_INET, host, ip) != 1)
		return WEFT_EMALFORMED;
	*out_addr = addr_of_ipv4(ip, port);
	return 0;
}

/* host is what stands between the brackets. */
static int ipv6_parse(char *host, uint16_t port, struct addr *out_addr)
{
	char *scope = strchr(host, '%');
	uint32_t scope_id = 0;
	struct addr addr;
	uint8_t ip[16];

	if (scope) {
		*scope++ = '\0';
		if (!number_parse(scope, UINT32_MAX, &scope_id) || scope_id == 0)
			return WEFT_EMALFORMED;
	}
	if (inet_pton(AF_INET6, host, ip) != 1)
		return WEFT_EMALFORMED;
	addr = addr_of_ipv6(ip, scope_id, port);
	if (addr.scope_id != scope_id)
		return WEFT_EMALFORMED;
	*out_addr = addr;
	return 0;
}

static int endpoint_parse(const char *text, struct addr *out_addr)
{
	char host[ADDR_TEXT_CAP];
	uint32_t port;
	char *colon;
	size_t len = strlen(text);

	if (len >= sizeof(host))
		return WEFT_EMALFORMED;
	memcpy(host, text, len + 1);
	colon = strrchr(host, ':');
	if (!colon || !number_parse(colon + 1, UINT16_MAX, &port))
		return WEFT_EMALFORMED;
	*colon = '\0';
	if (host[0] != '[')
		return ipv4_parse(host, (uint16_t)port, out_addr);
	if (colon[-1] != ']')
		return WEFT_EMALFORMED;
	colon[-1] = '\0';
	return ipv6_parse(host + 1, (uint16_t)port, out_addr);
}

#define TCP_PREFIX     "tcp:"
#define TCP_PREFIX_LEN 4

int addr_parse(const char *text, struct addr *out_addr)
{
	bool is_tcp = strncmp(text, TCP_PREFIX, TCP_PREFIX_LEN) == 0;
	int err = endpoint_parse(is_tcp ? text + TCP_PREFIX_LEN : text, out_addr);

	if (err == 0 && is_tcp)
		out_addr->transport = ADDR_TCP;
	return err;
}

const char *addr_format(const struct addr *addr, char buf[static ADDR_TEXT_CAP])
{
	static const char *const prefixes[] = {
		[ADDR_UDP] = "", [ADDR_TCP] = TCP_PREFIX, [ADDR_RELAY] = "relay:"};
	const char *prefix = addr->transport <= ADDR_RELAY ? prefixes[addr->transport] : "";
	char ip[INET6_ADDRSTRLEN];

	if (addr_is_line(addr)) {
		snprintf(buf, ADDR_TEXT_CAP, "line:%u", addr->port);
	} else if (addr->family == ADDR_IPV4) {
		inet_ntop(AF_INET, addr->ip, ip, sizeof(ip));
		snprintf(buf, ADDR_TEXT_CAP, "%s%s:%u", prefix, ip, addr->port);
	} else if (addr->family == ADDR_IPV6) {
		inet_ntop(AF_INET6, addr->ip, ip, sizeof(ip));
		if (addr->scope_id)
			snprintf(buf, ADDR_TEXT_CAP, "%s[%s%%%u]:%u", prefix, ip, addr->scope_id,
				 addr->port);
		else
			snprintf(buf, ADDR_TEXT_CAP, "%s[%s]:%u", prefix, ip, addr->port);
	} else {
		snprintf(buf, ADDR_TEXT_CAP, "none");
	}
	return buf;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool addr_is_same_host(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool addr_is_loopback(const struct addr *addr)
{
	static const uint8_t ipv6_loopback[16] = {[15] = 1};

	if (addr->family == ADDR_IPV4)
		return addr->ip[0] == 127;
	return addr->family == ADDR_IPV6 && memcmp(addr->ip, ipv6_loopback, 16) == 0;
}

bool addr_is_wildcard(const struct addr *addr)
{
	static const uint8_t zero[16];

	return addr->family != ADDR_NONE && memcmp(addr->ip, zero, 16) == 0;
}

bool addr_is_link_local(const struct addr *addr)
{
	if (addr->family == ADDR_IPV4)
		return addr->ip[0] == 169 && addr->ip[1] == 254;
	return addr->family == ADDR_IPV6 && addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80;
}

struct ip_range {
	uint8_t ip[16];
	uint8_t prefix_len;
};

static bool range_holds(const struct ip_range *range, const struct addr *addr)
{
	struct addr key = addr_prefix_key(addr, range->prefix_len);

	return memcmp(key.ip, range->ip, sizeof(key.ip)) == 0;
}

static bool ranges_hold(const struct ip_range *ranges, size_t cnt, const struct addr *addr)
{
	for (size_t i = 0; i < cnt; i++)
		if (range_holds(&ranges[i], addr))
			return true;
	return false;
}

bool addr_has_relay_prefix(const struct addr *addr)
{
	return addr->family == ADDR_IPV6 &&
	       memcmp(addr->ip, relay_prefix, sizeof(relay_prefix)) == 0;
}

bool addr_is_relayed(const struct addr *addr)
{
	return addr->transport == ADDR_RELAY;
}

bool addr_is_relayed_control(const struct addr *addr)
{
	return addr_is_relayed(addr) && addr->port != ADDR_RELAY_CONTENT_PORT;
}

struct addr addr_of_leg(const uint8_t *key, unsigned worker)
{
	struct addr addr = {.family = ADDR_IPV6, .transport = ADDR_LEG};

	memcpy(addr.ip, relay_prefix, ADDR_RELAY_PREFIX_LEN);
	addr.ip[ADDR_RELAY_PREFIX_LEN] = (uint8_t)(worker & 0x7f);
	memcpy(addr.ip + ADDR_RELAY_PREFIX_LEN + 1, key, ADDR_LEG_NAME_LEN);
	return addr;
}

bool addr_is_leg(const struct addr *addr)
{
	return addr->transport == ADDR_LEG;
}

unsigned addr_leg_worker(const struct addr *addr)
{
	return addr->ip[ADDR_RELAY_PREFIX_LEN];
}

const uint8_t *addr_leg_name(const struct addr *addr)
{
	return addr->ip + ADDR_RELAY_PREFIX_LEN + 1;
}

struct addr addr_of_line(unsigned idx)
{
	struct addr addr = {
		.family = ADDR_IPV6, .transport = ADDR_LINE, .port = (uint16_t)(idx + 1)};

	memcpy(addr.ip, relay_prefix, ADDR_RELAY_PREFIX_LEN);
	/* No leg is of this worker. */
	addr.ip[ADDR_RELAY_PREFIX_LEN] = 0x80;
	return addr;
}

bool addr_is_line(const struct addr *addr)
{
	return addr->transport == ADDR_LINE;
}

bool addr_is_global(const struct addr *addr)
{
	static const struct ip_range local_ipv4[] = {
		{{0}, 8},	  {{10}, 8},	   {{100, 64}, 10},   {{127}, 8},
		{{169, 254}, 16}, {{172, 16}, 12}, {{192, 0, 0}, 24}, {{192, 88, 99}, 24},
		{{192, 168}, 16}, {{198, 18}, 15}, {{224}, 4},	      {{240}, 4},
	};
	static const struct ip_range global_ipv6 = {{0x20}, 3};
	static const struct ip_range wrapping_ipv6[] = {{{0x20, 0x01}, 32}, {{0x20, 0x02}, 16}};

	if (addr_is_relayed(addr))
		return true;
	if (addr->family == ADDR_IPV4)
		return !ranges_hold(local_ipv4, sizeof(local_ipv4) / sizeof(local_ipv4[0]), addr);
	return addr->family == ADDR_IPV6 && range_holds(&global_ipv6, addr) &&
	       !ranges_hold(wrapping_ipv6, sizeof(wrapping_ipv6) / sizeof(wrapping_ipv6[0]), addr);
}

bool addr_is_unicast(const struct addr *addr)
{
	if (addr->family == ADDR_IPV4)
		return addr->ip[0] != 0 && addr->ip[0] < 224;
	return addr->family == ADDR_IPV6 && !addr_is_wildcard(addr) && addr->ip[0] != 0xff &&
	       !addr_is_relayed(addr) && !addr_is_line(addr);
}

int addr_from_sockaddr(const struct sockaddr *sa, struct addr *out_addr)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in, sa, sizeof(in));
		*out_addr = addr_of_ipv4(&in.sin_addr, ntohs(in.sin_port));
		return 0;
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		*out_addr = addr_of_ipv6(in6.sin6_addr.s6_addr, in6.sin6_scope_id,
					 ntohs(in6.sin6_port));
		return 0;
	default:
		return WEFT_EMALFORMED;
	}
}

unsigned addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *out_sa)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};

	memset(out_sa, 0, sizeof(*out_sa));
	if (addr->family == ADDR_IPV4) {
		memcpy(&in.sin_addr, addr->ip, 4);
		memcpy(out_sa, &in, sizeof(in));
		return sizeof(in);
	}
	if (addr->family == ADDR_IPV6) {
		memcpy(&in6.sin6_addr, addr->ip, 16);
		in6.sin6_scope_id = addr->scope_id;
		memcpy(out_sa, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

struct weft_endpoint addr_endpoint(const struct addr *addr)
{
	struct weft_endpoint endpoint = {.port_be = htons(addr->port)};

	if (addr->family == ADDR_IPV4)
		weft_endpoint_set_ipv4(&endpoint, addr->ip);
	else
		weft_endpoint_set_ipv6(&endpoint, addr->ip);
	return endpoint;
}

struct addr addr_of_endpoint(const struct weft_endpoint *endpoint)
{
	struct addr addr = {.family = ADDR_IPV6, .port = ntohs(endpoint->port_be)};

	if (weft_endpoint_is_ipv4(endpoint)) {
		addr.family = ADDR_IPV4;
		memcpy(addr.ip, endpoint->addr + 12, 4);
	} else {
		memcpy(addr.ip, endpoint->addr, 16);
	}
	if (!addr.port && addr_has_relay_prefix(&addr))
		addr.transport = ADDR_LEG;
	return addr;
}

struct addr addr_prefix_key(const struct addr *addr, unsigned prefix_len)
{
	struct addr key = {.family = addr->family};

	for (unsigned i = 0; i < sizeof(key.ip) && prefix_len > 0; i++) {
		unsigned bit_cnt = prefix_len < 8 ? prefix_len : 8;

		key.ip[i] = (uint8_t)(addr->ip[i] & (0xff00u >> bit_cnt));
		prefix_len -= bit_cnt;
	}
	return key;
}
