/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_ENDPOINT_H
#define WEFT_ENDPOINT_H

#include "weft/bytes.h"

/*
 * An address and a port, in both families one: IPv4 is v4-mapped
 * (::ffff:192.0.2.1). Compared by bytes and used as a key of BPF maps, so
 * what is not used is zero.
 */
struct weft_endpoint {
	union {
		__u8 addr[16]; /* network order */
		__u64 words[2];
	};
	__be16 port_be;
	__u16 zero[3];
};

_Static_assert(sizeof(struct weft_endpoint) == 24, "BPF map key layout");

/* The second word of ::ffff:0.0.0.0, as it lies in memory. */
#define WEFT_ENDPOINT_V4_WORD 0x00000000ffff0000ull

WEFT_INLINE void weft_endpoint_set_ipv4(struct weft_endpoint *endpoint, const __u8 *addr)
{
	endpoint->words[0] = 0;
	endpoint->words[1] = WEFT_ENDPOINT_V4_WORD | (__u64)weft_load_le32(addr) << 32;
}

WEFT_INLINE void weft_endpoint_set_ipv6(struct weft_endpoint *endpoint, const __u8 *addr)
{
	endpoint->words[0] = weft_load_le64(addr);
	endpoint->words[1] = weft_load_le64(addr + 8);
}

WEFT_INLINE _Bool weft_endpoint_equal(const struct weft_endpoint *a, const struct weft_endpoint *b)
{
	return a->port_be == b->port_be && a->words[1] == b->words[1] && a->words[0] == b->words[0];
}

WEFT_INLINE _Bool weft_endpoint_is_ipv4(const struct weft_endpoint *endpoint)
{
	return endpoint->words[0] == 0 && (__u32)endpoint->words[1] == (__u32)WEFT_ENDPOINT_V4_WORD;
}

/* weft_endpoint_ipv4 is the IPv4 address in host order; of IPv6 the last four bytes. */
WEFT_INLINE __u32 weft_endpoint_ipv4(const struct weft_endpoint *endpoint)
{
	return __builtin_bswap32((__u32)(endpoint->words[1] >> 32));
}

WEFT_INLINE _Bool weft_endpoint_is_loopback(const struct weft_endpoint *endpoint)
{
	if (weft_endpoint_is_ipv4(endpoint))
		return weft_endpoint_ipv4(endpoint) >> 24 == 127;
	return endpoint->words[0] == 0 && endpoint->words[1] == 1ull << 56;
}

/*
 * How far an address is known: nowhere, on its host, at its site, or on the
 * Internet (RFC 6890; of IPv6 2000::/3). Wider ones are greater.
 */
enum weft_addr_scope {
	WEFT_ADDR_SCOPE_NONE,
	WEFT_ADDR_SCOPE_HOST,
	WEFT_ADDR_SCOPE_SITE,
	WEFT_ADDR_SCOPE_GLOBAL,
};

WEFT_INLINE enum weft_addr_scope weft_endpoint_scope(const struct weft_endpoint *endpoint)
{
	__u32 addr = weft_endpoint_ipv4(endpoint);

	if (weft_endpoint_is_loopback(endpoint))
		return WEFT_ADDR_SCOPE_HOST;
	if (!weft_endpoint_is_ipv4(endpoint)) {
		if ((endpoint->addr[0] & 0xe0) == 0x20)
			return WEFT_ADDR_SCOPE_GLOBAL;
		return (endpoint->addr[0] & 0xfe) == 0xfc || (endpoint->addr[0] == 0xfe &&
							      (endpoint->addr[1] & 0xc0) == 0x80)
			       ? WEFT_ADDR_SCOPE_SITE
			       : WEFT_ADDR_SCOPE_NONE;
	}
	if (addr >> 24 == 0 || addr >> 24 >= 224 || addr >> 8 == 0xc00000)
		return WEFT_ADDR_SCOPE_NONE;
	return addr >> 24 == 10 || addr >> 20 == 0xac1 || addr >> 16 == 0xc0a8 ||
			       addr >> 16 == 0xa9fe || addr >> 22 == 0x6440 >> 6 ||
			       addr >> 17 == 0xc612 >> 1
		       ? WEFT_ADDR_SCOPE_SITE
		       : WEFT_ADDR_SCOPE_GLOBAL;
}

/*
 * weft_endpoint_may_send: a datagram can have come from source to local.
 * Refused are an address of many, none at all, no port, local itself, and
 * loopback to anything but loopback. None of these may be answered (RFC
 * 1122 3.2.1.3, RFC 4291 2.5 and 2.7).
 */
WEFT_INLINE _Bool weft_endpoint_may_send(const struct weft_endpoint *source,
					 const struct weft_endpoint *local)
{
	if (source->port_be == 0 || weft_endpoint_equal(source, local))
		return 0;
	if (weft_endpoint_is_loopback(source) && !weft_endpoint_is_loopback(local))
		return 0;
	if (weft_endpoint_is_ipv4(source)) {
		__u32 first = weft_endpoint_ipv4(source) >> 24;

		return first != 0 && first < 224;
	}
	return source->addr[0] != 0xff && (source->words[0] | source->words[1]) != 0;
}

/* Limits count prefixes of three lengths: IPv6 /64, /56, /48; IPv4 /32 and /24. */
#define WEFT_LEVEL_CNT 3

WEFT_INLINE __u32 weft_endpoint_level_cnt(const struct weft_endpoint *endpoint)
{
	return weft_endpoint_is_ipv4(endpoint) ? 2 : WEFT_LEVEL_CNT;
}

/*
 * weft_endpoint_prefix is the prefix at level as a word. IPv4 stands
 * below ffff:ffff::/32, whose addresses send nothing.
 */
WEFT_INLINE __u64 weft_endpoint_prefix(const struct weft_endpoint *endpoint, __u32 level)
{
	__u64 word = weft_endpoint_is_ipv4(endpoint)
			     ? 0xffffffffull << 32 | weft_endpoint_ipv4(endpoint)
			     : weft_load_be64(endpoint->addr);

	return word >> 8 * level << 8 * level;
}

/* weft_prefix_endpoint is the first address of a prefix of level 0, without a port. */
WEFT_INLINE struct weft_endpoint weft_prefix_endpoint(__u64 prefix)
{
	struct weft_endpoint endpoint = {.words = {__builtin_bswap64(prefix)}};

	if (prefix >> 32 == 0xffffffff) {
		endpoint.words[0] = 0;
		endpoint.words[1] = WEFT_ENDPOINT_V4_WORD | (__u64)__builtin_bswap32((__u32)prefix)
								    << 32;
	}
	return endpoint;
}

#endif
