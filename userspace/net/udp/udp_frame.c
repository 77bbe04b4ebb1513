/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers of frames, both ways. Pure: bytes in, bytes out. On the path of
 * every AF_XDP datagram, on the worker that owns the socket.
 */
#include "udp_frame.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>

#include "net/checksum.h"
#include "weft/frame.h"

#define HOP_LIMIT 64 /* RFC 1700's default, and Linux' */
#define ECN_BITS  3

static void addr_set(struct addr *addr, const struct weft_endpoint *endpoint, unsigned ifindex)
{
	addr->port = ntohs(endpoint->port_be);
	if (weft_endpoint_is_ipv4(endpoint)) {
		addr->family = ADDR_IPV4;
		memcpy(addr->ip, endpoint->addr + 12, 4);
		return;
	}
	addr->family = ADDR_IPV6;
	memcpy(addr->ip, endpoint->addr, sizeof(addr->ip));
	if (addr_is_link_local(addr))
		addr->scope_id = ifindex;
}

bool net_udp_frame_parse(uint8_t *data, size_t len, unsigned ifindex, struct dgram *out_dgram,
			 size_t *out_link_len)
{
	struct weft_view view = {data, data + len};
	enum weft_reason reason;
	struct weft_frame frame;

	if (!weft_frame_parse(&view, &frame, &reason) || !frame.is_length_good ||
	    frame.said_len > len || frame.payload_len == 0)
		return false;
	/* Written as IPv6, it would be taken for IPv4 (weft/policy.h): no answer has both families. */
	if (frame.is_ipv6 &&
	    (weft_endpoint_is_ipv4(&frame.source) || weft_endpoint_is_ipv4(&frame.local)))
		return false;
	if (!frame.is_ipv6 &&
	    checksum_fold(net_checksum_add(0, data + frame.network_off, WEFT_IPV4_LEN)) != 0)
		return false;
	*out_dgram = (struct dgram){
		.data = data + frame.payload_off, .len = frame.payload_len, .ecn = frame.ecn};
	addr_set(&out_dgram->remote, &frame.source, ifindex);
	addr_set(&out_dgram->local, &frame.local, ifindex);
	*out_link_len = frame.network_off;
	return true;
}

void net_link_header_reverse(const uint8_t *link, size_t len, struct link_header *out_header)
{
	memset(out_header, 0, sizeof(*out_header));
	memcpy(out_header->bytes, link + ETH_ALEN, ETH_ALEN);
	memcpy(out_header->bytes + ETH_ALEN, link, ETH_ALEN);
	memcpy(out_header->bytes + 2 * ETH_ALEN, link + 2 * ETH_ALEN, len - 2 * ETH_ALEN);
	out_header->len = (uint8_t)len;
}

static uint64_t pseudo_header_sum(const struct dgram_route *route, size_t udp_len)
{
	size_t ip_len = route->remote.family == ADDR_IPV4 ? 4 : 16;
	uint64_t sum = net_checksum_add(0, route->local.ip, ip_len);

	sum = net_checksum_add(sum, route->remote.ip, ip_len);
	sum = checksum_add_be16(sum, IPPROTO_UDP);
	return checksum_add_be16(sum, (uint16_t)udp_len);
}

bool net_udp_frame_is_whole(const struct dgram *dgram, bool has_partial_sums)
{
	const struct dgram_route route = {.local = dgram->local, .remote = dgram->remote};
	size_t udp_len = sizeof(struct udphdr) + dgram->len;
	uint64_t sum = pseudo_header_sum(&route, udp_len);
	struct udphdr udp;

	memcpy(&udp, dgram->data - sizeof(udp), sizeof(udp));
	if (udp.check == 0)
		return dgram->remote.family == ADDR_IPV4;
	if (has_partial_sums && udp.check == (uint16_t)~checksum_fold(sum))
		return true;
	return checksum_fold(net_checksum_add(sum, dgram->data - sizeof(udp), udp_len)) == 0;
}

static size_t ipv4_write(uint8_t *at, const struct dgram_route *route, size_t udp_len)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tos = route->ecn & ECN_BITS,
		.tot_len = htons((uint16_t)(sizeof(ip) + udp_len)),
		.frag_off = htons(IP_DF),
		.ttl = HOP_LIMIT,
		.protocol = IPPROTO_UDP,
	};

	memcpy(&ip.saddr, route->local.ip, sizeof(ip.saddr));
	memcpy(&ip.daddr, route->remote.ip, sizeof(ip.daddr));
	ip.check = checksum_fold(net_checksum_add(0, &ip, sizeof(ip)));
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t ipv6_write(uint8_t *at, const struct dgram_route *route, size_t udp_len)
{
	struct ip6_hdr ip = {0};

	ip.ip6_flow = htonl(6u << 28 | (uint32_t)(route->ecn & ECN_BITS) << 20);
	ip.ip6_plen = htons((uint16_t)udp_len);
	ip.ip6_nxt = IPPROTO_UDP;
	ip.ip6_hlim = HOP_LIMIT;
	memcpy(&ip.ip6_src, route->local.ip, sizeof(ip.ip6_src));
	memcpy(&ip.ip6_dst, route->remote.ip, sizeof(ip.ip6_dst));
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

size_t net_udp_frame_write(const struct dgram_slot *frame, const struct link_header *link,
			   const struct dgram_route *route, const uint8_t *data, size_t len)
{
	bool is_ipv4 = route->remote.family == ADDR_IPV4;
	size_t udp_len = sizeof(struct udphdr) + len;
	size_t headers_len = is_ipv4 ? UDP_FRAME_HEADERS_IPV4 : UDP_FRAME_HEADERS_IPV6;
	struct udphdr udp = {.source = htons(route->local.port),
			     .dest = htons(route->remote.port),
			     .len = htons((uint16_t)udp_len)};
	uint8_t *at = frame->data;
	uint64_t sum;

	if (link->len + headers_len + len > frame->cap)
		return 0;
	memcpy(at, link->bytes, link->len);
	at += link->len;
	at += is_ipv4 ? ipv4_write(at, route, udp_len) : ipv6_write(at, route, udp_len);
	sum = net_checksum_add(pseudo_header_sum(route, udp_len), &udp, sizeof(udp));
	udp.check = checksum_fold(net_checksum_copy(sum, at + sizeof(udp), data, len));
	/* RFC 768: a sum of zero is sent as its other form; zero says there is none. */
	if (udp.check == 0)
		udp.check = 0xffff;
	memcpy(at, &udp, sizeof(udp));
	return link->len + headers_len + len;
}
